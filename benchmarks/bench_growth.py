"""Measure how cost grows with the number of labels; print tables and exponents.

    python benchmarks/bench_growth.py --rivals-python ENV/bin/python --labels 1000 10000

The data are generated, with the same numbers of samples, features and stored values for
each number of labels C. A label has ten features of its own; a sample has half of the
features of each of its labels, and the same number of random ones. Two tables:

- epoch: an epoch of the network alone (a first call of partial_fit, in which all C
  labels are known), by strategy, single-label;
- fit: the whole fit of skmhe (the default and the fast setting) and of PECOS, with
  three labels per sample.

Each model runs in a process of its own with two threads and at most --memory GiB of
data: what needs more is shown as "> 6 GiB" and not tried with more labels. The last row
of a model is the exponent b of cost ~ C^b, by least squares on logarithms, from
--fit-from labels on: below, costs that do not grow prevail. ENV is the environment that
bench_rivals.py describes. The figures are written to growth_epoch.json and
growth_fit.json in the folder --out, see results.py.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from bench_rivals import FAST, measure, parse_run
from results import FOLDER, NO_FILE, print_rows, write

COSTS = ("fit_s", "rows_per_s", "peak_mib")
# The second is oneDNN's.
MEMORY_ERRORS = ("memory", "could not create a primitive")
STRATEGIES = ("full", "sampling", "cascade", "product")
FEATURES_PER_LABEL = 10


def make_data(folder, n_labels, n_samples, n_features, labels_per_sample, seed):
    """Write a data set in the form that data.py describes."""
    rng = np.random.RandomState(seed)
    own = rng.randint(n_features, size=(n_labels, FEATURES_PER_LABEL))
    folder.mkdir()
    for part, n in (("train", n_samples), ("test", n_samples // 10)):
        labels = rng.randint(n_labels, size=(n, labels_per_sample))
        # The number of labels is taken from the largest one.
        labels[0, 0] = n_labels - 1
        kept = rng.rand(n, labels_per_sample, FEATURES_PER_LABEL).argsort(2)
        kept = kept[:, :, : FEATURES_PER_LABEL // 2]
        true = np.take_along_axis(own[labels], kept, 2).reshape(n, -1)
        noise = rng.randint(n_features, size=true.shape)
        columns = np.hstack([true, noise])
        rows = np.repeat(np.arange(n), columns.shape[1])
        entries = np.ones(columns.size, np.float32), (rows, columns.ravel())
        X = sp.csr_matrix(entries, shape=(n, n_features))
        X.data[:] = 1 / np.sqrt(columns.shape[1])
        sp.save_npz(folder / f"X_{part}.npz", X)
        if labels_per_sample == 1:
            np.save(folder / f"y_{part}.npy", labels[:, 0])
            continue
        rows = np.repeat(np.arange(n), labels_per_sample)
        entries = np.ones(labels.size, np.float32), (rows, labels.ravel())
        Y = sp.csr_matrix(entries, shape=(n, n_labels))
        Y.data[:] = 1
        sp.save_npz(folder / f"Y_{part}.npz", Y)


def measure_run(folder, run, args):
    """Return medians of the costs over the repeats; None if memory was not enough."""
    python = args.rivals_python if run.source is None else sys.executable
    rows = []
    for seed in range(args.repeats):
        try:
            costs, _ = measure(folder, run, seed, python, memory=args.memory)
        except subprocess.CalledProcessError as error:
            by_memory = any(text in error.stderr.lower() for text in MEMORY_ERRORS)
            if error.returncode > 0 and not by_memory:
                sys.exit(f"{run.name} on {folder.name} failed:\n{error.stderr[-3000:]}")
            return None
        rows.append([costs[name] for name in COSTS])
    return dict(zip(COSTS, np.median(rows, axis=0).tolist(), strict=True))


def exponents(found, fit_from):
    """Return b of cost ~ C^b for each cost, as text; "" if there are too few costs."""
    kept = {n: costs for n, costs in found.items() if costs and n >= fit_from}
    if len(kept) < 2:
        return dict.fromkeys(COSTS, "")
    logs = np.log([[costs[name] for name in COSTS] for costs in kept.values()])
    slopes = np.polyfit(np.log(list(kept)), logs, 1)[0]
    return {name: f"{b:.2f}" for name, b in zip(COSTS, slopes, strict=True)}


def rows_of(found, args):
    """Return a model's rows of figures, by the number of labels."""
    too_large = {"fit_s": f"> {args.memory:g} GiB"}
    rows = {f"{n:,}": costs or too_large for n, costs in found.items()}
    return rows | {"exponent": exponents(found, args.fit_from)}


def measure_all(runs, labels_per_sample, args):
    """Return {name: {number of labels: costs}}, the runs taking turns."""
    found = {name: {} for name in runs}
    for n_labels in args.labels:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / f"{n_labels}-labels"
            make_data(
                folder, n_labels, args.samples, args.features, labels_per_sample, 0
            )
            for name, run in runs.items():
                if None in found[name].values():
                    continue
                found[name][n_labels] = measure_run(folder, run, args)
                print(f"  {n_labels:,} {name}: {found[name][n_labels]}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rivals-python", help="Python of the rivals' environment")
    parser.add_argument(
        "--labels", nargs="+", type=int, default=[10**3, 10**4, 10**5, 10**6]
    )
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=20_000)
    parser.add_argument("--tables", nargs="+", default=["epoch", "fit"])
    parser.add_argument("--memory", type=float, default=6, help="GiB of each process")
    parser.add_argument("--fit-from", type=int, default=10**4)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="folder of result files; - for none"
    )
    args = parser.parse_args()
    epochs = {s: parse_run(f'skmhe-epoch:{{"strategy": "{s}"}}') for s in STRATEGIES}
    fits = {"skmhe": parse_run("skmhe"), FAST: parse_run(FAST)}
    if args.rivals_python is not None:
        fits["pecos"] = parse_run("pecos")
    tables = {"epoch": (epochs, 1), "fit": (fits, 3)}
    settings = {"samples": args.samples, "features": args.features}
    for table in args.tables:
        runs, labels_per_sample = tables[table]
        out = NO_FILE if args.out == NO_FILE else args.out / f"growth_{table}.json"
        for name, found in measure_all(runs, labels_per_sample, args).items():
            rows = rows_of(found, args)
            print_rows(name, rows)
            write(out, "bench_growth.py", name, rows, settings)


if __name__ == "__main__":
    main()
