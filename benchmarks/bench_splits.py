"""Compare ways to split multi-label data into folds: their time, and their labels.

    pip install iterative-stratification
    python benchmarks/bench_splits.py FOLDER bibtex delicious debdeps made

Splits the training samples into --folds folds, by MultiLabelStratifiedKFold, by scikit-
learn's KFold, and by the package iterative-stratification where it is installed and a
dense Y has at most --dense-mib MiB (of a byte per value: its time grows with the
number of samples times the square of that of labels). "made" is drawn here: 600,000
samples with 5 of 25,000 labels each, of frequencies that fall as 1 / rank.

For each one, prints the means over --seeds seeds of its CPU time, and of four figures
that are better the smaller they are: LD, the deviation of the odds of a label in a fold
from those in all samples, and ED, the deviation of the size of a fold, both means as in
Sechidis et al. (2011); the share of labels with two samples or more that have no
training sample in some fold, in percent; and the share of pairs of a fold and a label
with at least as many samples as there are folds, where the fold has none of them, in
percent. The figures are written to --out, see results.py.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from data import load
from results import add_out_argument, print_rows, write
from sklearn.model_selection import KFold

from skmhe.model_selection import MultiLabelStratifiedKFold

try:
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
except ImportError:
    MultilabelStratifiedKFold = None

MADE = 600_000, 25_000, 5  # samples, labels, labels of a sample


def make_targets(n_samples, n_labels, n_each):
    """Draw a CSR indicator whose labels have a long tail."""
    rng = np.random.default_rng(0)
    shares = np.cumsum(1 / np.arange(1, n_labels + 1))
    drawn = rng.random(n_samples * n_each) * shares[-1]
    entries = np.repeat(np.arange(n_samples), n_each), np.searchsorted(shares, drawn)
    y = sp.csr_array((np.ones(len(drawn), bool), entries), (n_samples, n_labels))
    y.sum_duplicates()
    return y.astype(np.float32)


def assess(y, tests):
    """Return the figures of folds, given the test samples of each one."""
    counts = y.sum(axis=0)
    in_folds = np.array([y[test].sum(axis=0) for test in tests])  # (folds, labels)
    sizes = np.array([len(test) for test in tests])
    occurs = counts > 0
    with np.errstate(divide="ignore"):
        odds = in_folds[:, occurs] / (sizes[:, None] - in_folds[:, occurs])
        wanted = counts[occurs] / (y.shape[0] - counts[occurs])
    lost = (in_folds == counts).any(axis=0)[counts >= 2]
    return {
        "LD": np.abs(odds - wanted).mean(),
        "ED": np.abs(sizes - y.shape[0] / len(tests)).mean(),
        "lost_labels": 100 * lost.mean(),
        "empty_pairs": 100 * (in_folds[:, counts >= len(tests)] == 0).mean(),
    }


def measure(y, splitter, n_folds, n_seeds):
    """Return the means of the figures over some seeds."""
    X, sparse, found = np.empty((y.shape[0], 1)), sp.csr_array(y), []
    for seed in range(n_seeds):
        folds = splitter(n_splits=n_folds, shuffle=True, random_state=seed)
        start = time.process_time()
        tests = [test for _, test in folds.split(X, y)]
        found.append({"cpu_s": time.process_time() - start, **assess(sparse, tests)})
    return {name: np.mean([one[name] for one in found]) for name in found[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dense-mib", type=float, default=20)
    add_out_argument(parser, "splits")
    args = parser.parse_args()
    for data in args.data:
        made = data == "made"
        y = make_targets(*MADE) if made else load(args.folder / data)[2]
        counts = args.folds, args.seeds
        rows = {
            "skmhe": measure(y, MultiLabelStratifiedKFold, *counts),
            "KFold": measure(y, KFold, *counts),
        }
        is_small = y.shape[0] * y.shape[1] <= args.dense_mib * 2**20
        if MultilabelStratifiedKFold is not None and is_small:
            rival = measure(y.toarray(), MultilabelStratifiedKFold, *counts)
            rows["iterative-stratification"] = rival
        print_rows(data, rows)
        settings = {"folds": args.folds, "seeds": args.seeds}
        write(args.out, "bench_splits.py", data, rows, settings)


if __name__ == "__main__":
    main()
