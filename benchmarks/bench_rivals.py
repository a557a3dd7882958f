"""Measure skmhe and other libraries on the same data in the same run; print a table.

    python benchmarks/bench_rivals.py FOLDER wnhyp --rivals-python ENV/bin/python
    python benchmarks/bench_rivals.py FOLDER wnhyp --models skmhe \
        'skmhe:{"strategy": "cascade", "strategy__beam_width": 20}' skmhe@../before

FOLDER holds a folder for each data set, in the form that data.py describes;
make_data.py builds some. The other libraries live in an environment of their own, made
by

    python -m venv ENV
    ENV/bin/pip install torch==2.13.0 "numpy<2" scipy scikit-learn
    ENV/bin/pip install "numpy<2" torch==2.13.0 napkinxc omikuji libpecos fasttext-wheel
    ENV/bin/pip install --no-deps libmultilabel sparsekmeans liblinear-multicore
    ENV/bin/pip install "numpy<2" pandas psutil tqdm python-graphblas

(LibMultiLabel's own dependencies are those of its neural networks, too.)

A model is the name of a library. For skmhe, parameters may follow as JSON, nested ones
by the names that set_params takes. skmhe@PATH is the skmhe of another checkout, such as
one of the commit before a change: it is run by the same code, and called by its commit.

scikit-learn's one-vs-rest LinearSVC solves a problem of all samples for each label:
where there are more than 2,000 labels it is skipped, with a line that says so. On
wnhyp, its weights alone would take 2.4 GiB.

Each model runs in a process of its own with two threads, the models taking turns, and
figures are medians over the repeats (each with another seed). Run it on an otherwise
idle machine. The accuracies of all models are computed here, by `skmhe.metrics`. In the
end, the default and the fast setting are compared with the other libraries, see
comparison.py. The figures are written to --out, see results.py.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_accuracy import K
from comparison import compared
from data import load
from results import REPOSITORY, add_out_argument, commit, print_rows, write

from skmhe.metrics import (
    ndcg_at_k,
    precision_at_k,
    propensities,
    propensity_scored_precision_at_k,
)

HERE = Path(__file__).resolve().parent
N_THREADS = "2"
ACCURACIES = [f"P@{k}" for k in K] + [f"PSP@{k}" for k in K] + ["nDCG@5"]
COSTS = ("fit_s", "rows_per_s", "row_ms", "disk_mib", "peak_mib")
# skmhe in its fast setting; models that are slow or weak are measured when named.
FAST = 'skmhe:{"model": "linear"}'
RIVALS = (
    *("pecos", "omikuji", "napkinxc", "libmultilabel", "libmultilabel-3"),
    *("linearsvc", "centroid"),
)
# Models that are skipped where there are more labels.
MAX_LABELS = {"linearsvc": 2000}
RUN = re.compile(r"(?P<model>[\w-]+)(@(?P<path>[^:]+))?(:(?P<parameters>\{.*\}))?")


class Run(NamedTuple):
    """A model to be measured."""

    name: str  # how it is called in tables; never a path
    model: str
    parameters: dict
    source: Path | None  # the checkout whose skmhe runs; None for other libraries


def parse_run(text):
    """Return the run that "model", "model:{json}" or "model@path:{json}" stands for."""
    match = RUN.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form MODEL, MODEL:{{JSON}} or skmhe@PATH:{{JSON}}"
        )
    model, path, parameters = match["model"], match["path"], match["parameters"]
    name, source = text, REPOSITORY if model.startswith("skmhe") else None
    if path is not None:
        source = Path(path).resolve()
        if not (source / "skmhe" / "__init__.py").exists():
            raise argparse.ArgumentTypeError(f"{path} is not a checkout of skmhe")
        name = f"{model}@{commit(source) or source.name}"
        name += f":{parameters}" if parameters not in (None, "{}") else ""
    return Run(name, model, json.loads(parameters or "{}"), source)


def worker_command(folder, run, seed, python):
    """Return the command line of a worker, and its environment."""
    command = [python, HERE / "rivals" / "worker.py", folder, run.model]
    command += ["--seed", str(seed), "--parameters", json.dumps(run.parameters)]
    path = [HERE]  # for data.py
    if run.source is not None:
        path.append(run.source)
        command += ["--source", run.source]
    environment = os.environ | {
        "OMP_NUM_THREADS": N_THREADS,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
    }
    return command, environment


def measure(folder, run, seed, python, memory=None):
    """Run a model in a process of its own; return its figures and predictions.

    `memory` limits the GiB of its data. A failure is raised as CalledProcessError.
    """
    command, environment = worker_command(folder, run, seed, python)
    with tempfile.TemporaryDirectory() as temporary:
        labels = Path(temporary) / "labels.npy"
        command += ["--labels", labels]
        if memory is not None:
            command += ["--memory", str(memory)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout.splitlines()[-1]), np.load(labels)


def fill(labels):
    """Replace each -1 by the smallest label that its row does not have."""
    labels = labels.copy()
    for i in np.flatnonzero((labels < 0).any(1)):
        missing = labels[i] < 0
        others = np.setdiff1d(np.arange(2 * labels.shape[1]), labels[i])
        labels[i, missing] = others[: missing.sum()]
    return labels


def accuracies(y_train, y_test, labels):
    """Return the measures of ACCURACIES in percent."""
    # A library may return fewer labels than asked for: those added are no better than
    # chance, and no worse.
    labels = fill(labels)
    p = propensities(y_train)
    values = [precision_at_k(y_test, labels, k=k) for k in K]
    values += [propensity_scored_precision_at_k(y_test, labels, p, k=k) for k in K]
    return [100 * value for value in [*values, ndcg_at_k(y_test, labels, k=K[-1])]]


def runnable(runs, y_train, data):
    """Return the runs of models that can be fitted to so many labels."""
    n_labels = y_train.shape[1] if y_train.ndim == 2 else int(y_train.max()) + 1
    fitting = []
    for run in runs:
        if n_labels > MAX_LABELS.get(run.model, n_labels):
            most = f"{n_labels:,} labels, more than {MAX_LABELS[run.model]:,}"
            print(f"  {data} {run.name}: skipped ({most})", flush=True)
        else:
            fitting.append(run)
    return fitting


def run_data(folder, args):
    """Measure all models on a data set; return medians of the figures by name."""
    _, _, y_train, y_test = load(folder)
    runs = runnable(args.models, y_train, folder.name)
    figures = {run.name: [] for run in runs}
    for repeat in range(args.repeats):
        for run in runs:
            python = args.rivals_python if run.source is None else sys.executable
            try:
                costs, labels = measure(folder, run, repeat, python)
            except subprocess.CalledProcessError as error:
                sys.exit(f"{run.name} on {folder.name} failed:\n{error.stderr[-3000:]}")
            scores = accuracies(y_train, y_test, labels)
            figures[run.name].append([*scores, *(costs[name] for name in COSTS)])
            print(f"  {folder.name} {run.name}: fit {costs['fit_s']:.1f} s", flush=True)
    return {
        name: dict(zip([*ACCURACIES, *COSTS], np.median(rows, axis=0), strict=True))
        for name, rows in figures.items()
    }


def print_ratios(rows):
    """Print time and size of each run relative to the first one's."""
    first, *others = rows
    for name in others:
        ratios = [
            f"{cost} {rows[name][cost] / rows[first][cost]:.2f}" for cost in COSTS
        ]
        print(f"{name} / {first}: {', '.join(ratios)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--rivals-python", help="Python of the rivals' environment")
    parser.add_argument(
        "--models",
        nargs="+",
        type=parse_run,
        default=[parse_run(text) for text in ("skmhe", FAST, *RIVALS)],
        help="models to measure, see above",
    )
    parser.add_argument("--repeats", type=int, default=3)
    add_out_argument(parser, "rivals")
    args = parser.parse_args()
    if any(run.source is None for run in args.models) and args.rivals_python is None:
        parser.error("--rivals-python is needed to run the rivals; see the docstring")
    if len({run.name for run in args.models}) < len(args.models):
        parser.error(
            "two runs have the same name (checkouts are called by their commit)"
        )
    for data in args.data:
        rows = run_data(args.folder / data, args)
        print_rows(data, rows)
        print_ratios(rows)
        if against_rivals := compared({data: rows}).get(data):
            print_rows(data, against_rivals)
        write(args.out, "bench_rivals.py", data, rows, {"repeats": args.repeats})


if __name__ == "__main__":
    main()
