"""Fit a million labels on half a million samples; print time and peak memory.

    python benchmarks/bench_million.py
    python benchmarks/bench_million.py --samples 50000 --labels 100000 --model linear

The data are generated: each label has three features of its own, and a sample has those
of its three labels and six random ones. The default is half a million samples with
50,000 features, a million labels, and one epoch. Prints the seconds of `fit`, the rows
per second in which --rows samples get their five best labels, P@1, and the peak memory
of the process, with the data. The figures are written to --out, see results.py.
"""

import argparse
import resource
import time

import numpy as np
import scipy.sparse as sp
from results import add_out_argument, print_rows, write

from skmhe import MHEMultiLabelClassifier

LABELS_PER_SAMPLE, OWN_FEATURES, NONZEROS = 3, 3, 15


def make_data(n, n_labels, n_features, own, rng):
    """Return samples and their labels; each label has features of its own."""
    labels = rng.randint(n_labels, size=(n, LABELS_PER_SAMPLE))
    true = own[labels].reshape(n, -1)
    noise = rng.randint(n_features, size=(n, NONZEROS - true.shape[1]))
    columns = np.hstack([true, noise])
    X = _csr(columns, n_features)
    X.data[:] = 1 / np.sqrt(NONZEROS)
    return X, _csr(labels, n_labels)


def _csr(columns, n_columns):
    """Return the CSR array with ones in some columns of each row."""
    n, m = columns.shape
    starts = np.arange(0, n * m + 1, m)
    entries = np.ones(n * m, np.float32), columns.ravel(), starts
    rows = sp.csr_array(entries, shape=(n, n_columns))
    rows.sum_duplicates()
    rows.data[:] = 1
    return rows


def main():
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=500_000)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=20_000, help="samples to predict")
    parser.add_argument("--model", default="both")
    add_out_argument(parser, "million")
    args = parser.parse_args()
    rng = np.random.RandomState(0)
    own = rng.randint(args.features, size=(args.labels, OWN_FEATURES))
    X, Y = make_data(args.samples, args.labels, args.features, own, rng)
    X_test, Y_test = make_data(args.rows, args.labels, args.features, own, rng)
    clf = MHEMultiLabelClassifier(
        model=args.model, max_iter=1, random_state=0, verbose=True
    )
    start = time.perf_counter()
    clf.fit(X, Y)
    fitted = time.perf_counter()
    print(f"  fit {fitted - start:.1f} s, heads {clf.head_sizes_}", flush=True)
    labels, _ = clf.predict_topk(X_test, k=5)
    done = time.perf_counter()
    row = {
        "P@1": 100 * Y_test[np.arange(args.rows), labels[:, 0]].mean(),
        "fit_s": fitted - start,
        "rows_per_s": args.rows / (done - fitted),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }
    rows = {f"{args.labels:,} labels, {args.model}": row}
    print_rows("generated", rows)
    settings = {"samples": args.samples, "features": args.features, "max_iter": 1}
    write(args.out, "bench_million.py", "generated", rows, settings)


if __name__ == "__main__":
    main()
