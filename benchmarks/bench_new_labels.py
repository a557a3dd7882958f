"""Labels that come after fitting: how well they are found without training.

    python benchmarks/bench_new_labels.py FOLDER wnhyp debdeps --seeds 3

FOLDER is that of bench_labels.py. A share of the labels is held out: the estimator is
not trained on samples that have no other label, nor told of these labels, until
add_labels gives it their features. Prints the mean over the seeds of

- recall@10 of the held-out labels among all labels, for test samples that have any;
- recall@10 of the other labels, for the test samples that have any;
- P@1 and P@5 of all test samples and all labels,

for the labels nearest by TF-IDF, for the estimator before the labels were added, and
after it by each way of scoring. The last columns are the seconds of fit and of
add_labels. The figures are written to --out, see results.py.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from bench_accuracy import make_estimator
from bench_labels import SCORED_WITH, label_features
from data import load
from results import add_out_argument, print_rows, write

from skmhe.metrics import precision_at_k, recall_at_k

HELD_OUT = 0.2
K = 10
FIGURES = [f"new_R@{K}", f"other_R@{K}", "P@1", "P@5", "fit_s", "add_s"]


def indicator(y, n_labels):
    """Return targets as a CSR indicator."""
    if y.ndim == 2:
        return sp.csr_array(y)
    entries = (np.ones(len(y)), y, np.arange(len(y) + 1))
    return sp.csr_array(entries, shape=(len(y), n_labels))


def hold_out(X, y, held_out):
    """Return the samples that are left, with the other labels numbered anew."""
    seen = np.flatnonzero(~held_out)
    if y.ndim == 1:
        kept = ~held_out[y]
        return X[kept], np.searchsorted(seen, y[kept])
    Y = y[:, seen]
    kept = np.diff(Y.indptr) > 0
    return X[kept], Y[kept]


def measure(truth, held_out, predicted):
    """Return the recall of held-out and other labels, and P@1 and P@5, in percent."""
    figures = []
    for of_group in (held_out, ~held_out):
        part = sp.csr_array(truth @ sp.diags_array(of_group.astype(float)))
        part.eliminate_zeros()
        rows = np.diff(part.indptr) > 0
        figures.append(recall_at_k(part[rows], predicted[rows], k=K))
    figures += [precision_at_k(truth, predicted, k=k) for k in (1, 5)]
    return [100 * figure for figure in figures]


def nearest(X, Z):
    """Return the labels with the most similar features."""
    Z_columns, found = Z.T.tocsr(), []
    for start in range(0, X.shape[0], 1000):
        cosines = (X[start : start + 1000] @ Z_columns).toarray()
        found.append(np.argsort(-cosines, axis=1, kind="stable")[:, :K])
    return np.concatenate(found)


def run(folder, seed):
    """Return rows of figures by name."""
    X, X_test, y, y_test = load(folder)
    Z = label_features(folder)
    n_labels = Z.shape[0]
    truth = indicator(y_test, n_labels)
    held_out = np.random.RandomState(seed).random_sample(n_labels) < HELD_OUT
    order = np.concatenate([np.flatnonzero(~held_out), np.flatnonzero(held_out)])
    figures = measure(truth, held_out, nearest(X_test, Z))
    rows = {"TF-IDF, nearest label": [*figures, 0.0, 0.0]}
    clf, start = make_estimator(y, seed, {}), time.perf_counter()
    clf.fit(*hold_out(X, y, held_out), label_features=Z[~held_out])
    fitted = time.perf_counter()
    before = order[clf.predict_topk(X_test, k=K)[0]]
    rows["before add_labels"] = [*measure(truth, held_out, before), fitted - start, 0.0]
    begun = time.perf_counter()
    clf.add_labels(Z[held_out])
    added = time.perf_counter()
    for name, value in SCORED_WITH.items():
        clf.set_params(label_encoder__score_with=value)
        predicted = order[clf.predict_topk(X_test, k=K)[0]]
        figures = measure(truth, held_out, predicted)
        rows[name] = [*figures, fitted - start, added - begun]
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    add_out_argument(parser, "new_labels")
    args = parser.parse_args()
    for name in args.data:
        seeds = [run(args.folder / name, seed) for seed in range(args.seeds)]
        rows = {}
        for row in seeds[0]:
            means = np.mean([figures[row] for figures in seeds], axis=0)
            rows[row] = dict(zip(FIGURES, means, strict=True))
        print_rows(name, rows)
        write(args.out, "bench_new_labels.py", name, rows, {"seeds": args.seeds})


if __name__ == "__main__":
    main()
