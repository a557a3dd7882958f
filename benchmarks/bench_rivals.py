"""Measure skmhe and other libraries on the same data in the same run; print a table.

    python benchmarks/bench_rivals.py FOLDER wnhyp --rivals-python ENV/bin/python

FOLDER holds a folder for each data set, in the form that data.py tells. The rivals live
in an environment of their own, made by

    python -m venv ENV
    ENV/bin/pip install torch==2.13.0 "numpy<2" scipy scikit-learn
    ENV/bin/pip install "numpy<2" torch==2.13.0 napkinxc omikuji libpecos fasttext-wheel

Each model runs in a process of its own with two threads, the models taking turns, and
figures are medians over the repeats (each with another seed). Run it on an otherwise
idle machine. The accuracies are computed here, by `skmhe.metrics`, for all.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from bench_accuracy import K
from data import load

from skmhe.metrics import (
    ndcg_at_k,
    precision_at_k,
    propensities,
    propensity_scored_precision_at_k,
)

HERE = Path(__file__).parent
N_THREADS = "2"
ACCURACIES = [f"P@{k}" for k in K] + [f"PSP@{k}" for k in K] + ["nDCG@5"]
COSTS = {
    "fit_s": "fit s",
    "rows_per_s": "rows/s",
    "row_ms": "ms/row",
    "disk_mib": "disk MiB",
    "peak_mib": "peak MiB",
}
# Ours in its fast setting; those that are slow or weak are measured when named.
FAST = 'skmhe:{"model": "linear"}'
RIVALS = ("pecos", "omikuji", "napkinxc", "centroid")


def parse_run(text):
    """Split "skmhe:{json}" into the model and its parameters."""
    model, _, parameters = text.partition(":")
    return text, model, json.loads(parameters or "{}")


def measure(folder, model, parameters, seed, python, memory=None):
    """Run a model in a process of its own; return its figures and predictions.

    `memory` limits the GiB of its data. A failure is raised as CalledProcessError.
    """
    # The worker's imports: data.py, and for skmhe this checkout.
    path = [HERE, HERE.parent] if model.startswith("skmhe") else [HERE]
    environment = os.environ | {
        "OMP_NUM_THREADS": N_THREADS,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
    }
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "labels.npy"
        command = [python, HERE / "rivals" / "worker.py", folder, model, out]
        command += ["--seed", str(seed), "--parameters", json.dumps(parameters)]
        if memory is not None:
            command += ["--memory", str(memory)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout.splitlines()[-1]), np.load(out)


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


def run_data(folder, runs, args):
    """Measure all runs on a data set; return {run: {column: median}}."""
    _, _, y_train, y_test = load(folder)
    rows = {name: [] for name, *_ in runs}
    for repeat in range(args.repeats):
        for name, model, parameters in runs:
            ours = model == "skmhe"
            python = sys.executable if ours else args.rivals_python
            try:
                costs, labels = measure(folder, model, parameters, repeat, python)
            except subprocess.CalledProcessError as error:
                sys.exit(f"{model} on {folder.name} failed:\n{error.stderr[-3000:]}")
            rows[name].append(
                [*accuracies(y_train, y_test, labels), *(costs[c] for c in COSTS)]
            )
            print(f"  {folder.name} {name}: fit {costs['fit_s']:.1f} s", flush=True)
    columns = [*ACCURACIES, *COSTS]
    return {
        name: dict(zip(columns, np.median(values, axis=0).tolist(), strict=True))
        for name, values in rows.items()
    }


def print_table(data, table):
    """Print the figures, and those of time and size as ratios to the first run's."""
    titles = [*ACCURACIES, *COSTS.values()]
    print(f"\n{data:<30}" + "".join(f"{title:>10}" for title in titles))
    for name, row in table.items():
        print(f"{name[:29]:<30}" + "".join(f"{v:>10.2f}" for v in row.values()))
    first, *others = table
    for name in others:
        ratios = [table[name][c] / table[first][c] for c in COSTS]
        blank = " " * 10 * len(ACCURACIES)
        label = f"{name[:18]} / {first}"
        print(f"{label[:29]:<30}{blank}" + "".join(f"{r:>9.2f}x" for r in ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--rivals-python", help="Python of the rivals' environment")
    parser.add_argument(
        "--models",
        nargs="+",
        type=parse_run,
        default=[parse_run(m) for m in ("skmhe", FAST, *RIVALS)],
        help="models; skmhe takes parameters: 'skmhe:{\"max_iter\": 5}'",
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    args = parser.parse_args()
    needs_rivals = any(model != "skmhe" for _, model, _ in args.models)
    if needs_rivals and args.rivals_python is None:
        parser.error("--rivals-python is needed to run the rivals; see the docstring")
    results = {}
    for data in args.data:
        results[data] = run_data(args.folder / data, args.models, args)
        print_table(data, results[data])
    if args.out is not None:
        args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
