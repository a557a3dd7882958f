"""Measure how cost grows with the number of labels; print tables and exponents.

    python benchmarks/bench_growth.py --rivals-python ENV/bin/python --labels 1000 10000

The data are generated: samples, features and stored values stay the same for each
number of labels C. A label has ten features of its own; a sample has half of those of
each of its labels, and as many others. Two tables:

- an epoch of the network alone (a first call of partial_fit, in which all C labels
  are known), by strategy, one label a sample;
- the whole fit of skmhe (both settings) and of PECOS, three labels a sample.

Each model runs in a process of its own with two threads and at most --memory GiB of
data: what needs more is printed as "> 6 GiB" and not tried again with more labels. The
last row of a table is the exponent b of cost ~ C^b, by least squares on logarithms,
from the numbers of labels of at least --fit-from on: small ones have costs that do
not grow. ENV is the environment that bench_rivals.py tells of.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from bench_rivals import measure

COSTS = {"fit_s": "fit s", "rows_per_s": "rows/s", "peak_mib": "peak MiB"}
STRATEGIES = ("full", "sampling", "cascade", "product")
FEATURES_PER_LABEL = 10
TOO_LARGE = "too large"


def make_data(folder, n_labels, n_samples, n_features, labels_per_sample, seed):
    """Write a data set in the form that data.py tells."""
    rng = np.random.RandomState(seed)
    own = rng.randint(n_features, size=(n_labels, FEATURES_PER_LABEL))
    folder.mkdir()
    for part, n in (("train", n_samples), ("test", n_samples // 10)):
        labels = rng.randint(n_labels, size=(n, labels_per_sample))
        # The largest label tells how many there are.
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


def measure_run(folder, model, parameters, args):
    """Return medians of the costs over the repeats, or `TOO_LARGE`."""
    python = sys.executable if model.startswith("skmhe") else args.rivals_python
    rows = []
    for seed in range(args.repeats):
        try:
            costs, _ = measure(
                folder, model, parameters, seed, python, memory=args.memory
            )
        except subprocess.CalledProcessError as error:
            if "memory" not in error.stderr.lower() and error.returncode > 0:
                sys.exit(f"{model} on {folder.name} failed:\n{error.stderr[-3000:]}")
            return TOO_LARGE
        rows.append([costs[name] for name in COSTS])
    return np.median(rows, axis=0)


def exponent(n_labels, values):
    """Return b of values ~ n_labels^b, nan of fewer than two."""
    if len(values) < 2:
        return np.nan
    return np.polyfit(np.log(n_labels), np.log(values), 1)[0]


def print_table(title, results, args):
    """Print the costs of each run for each number of labels."""
    print(f"\n{title}")
    width = 11 * len(COSTS)
    print(" " * 9 + "".join(f"{name:>{width}}" for name in results))
    print(f"{'C':>9}" + "".join(f"{t:>11}" for _ in results for t in COSTS.values()))
    for i, n_labels in enumerate(args.labels):
        line = f"{n_labels:>9,}"
        for found in results.values():
            if i >= len(found):
                line += " " * width
            elif isinstance(found[i], str):
                line += f"{f'> {args.memory} GiB':>{width}}"
            else:
                line += "".join(f"{value:>11,.2f}" for value in found[i])
        print(line)
    line = f"{'exponent':>9}"
    for found in results.values():
        kept = [
            (n, values)
            for n, values in zip(args.labels, found, strict=False)
            if n >= args.fit_from and not isinstance(values, str)
        ]
        labels = [n for n, _ in kept]
        for column in range(len(COSTS)):
            b = exponent(labels, [values[column] for _, values in kept])
            line += f"{b:>11.2f}"
    print(line, flush=True)


def run(title, labels_per_sample, runs, args):
    """Measure all runs for all numbers of labels, print them, and return them."""
    results = {name: [] for name, *_ in runs}
    for n_labels in args.labels:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / f"{n_labels}-labels"
            make_data(
                folder, n_labels, args.samples, args.features, labels_per_sample, 0
            )
            for name, model, parameters in runs:
                if TOO_LARGE in [v for v in results[name] if isinstance(v, str)]:
                    continue
                found = measure_run(folder, model, parameters, args)
                results[name].append(found)
                print(f"  {n_labels:,} {name}: {found}", flush=True)
    print_table(title, results, args)
    return {
        name: [v if isinstance(v, str) else v.tolist() for v in found]
        for name, found in results.items()
    }


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
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    args = parser.parse_args()
    epochs = [(name, "skmhe-epoch", {"strategy": name}) for name in STRATEGIES]
    fits = [("default", "skmhe", {}), ("fast", "skmhe", {"model": "linear"})]
    if args.rivals_python is not None:
        fits.append(("pecos", "pecos", {}))
    tables = {
        "epoch": ("An epoch of the network alone, one label a sample", 1, epochs),
        "fit": ("The whole fit, three labels a sample", 3, fits),
    }
    results = {name: run(*tables[name], args) for name in args.tables}
    if args.out is not None:
        args.out.write_text(json.dumps({"labels": args.labels} | results) + "\n")


if __name__ == "__main__":
    main()
