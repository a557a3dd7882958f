"""Fit the estimators with their defaults on data sets on disk, and print a table.

    python benchmarks/bench_accuracy.py FOLDER clinc150:full clinc150:cascade ...

FOLDER holds a folder for each data set, in the form that data.py tells.
A run is DATA:STRATEGY, and may name parameters: ``clinc150:product:n_heads=3``,
several of them with semicolons between. Figures are medians over the seeds.
Multi-label probabilities are scored by their expected calibration error, ECE, over
the first five predictions in ten bins of equal width.
"""

import argparse
import ast
import pickle
import time
from pathlib import Path

import numpy as np
from data import load

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.metrics import (
    precision_at_k,
    propensities,
    propensity_scored_precision_at_k,
)

K = (1, 3, 5)


def calibration_error(probabilities, correct, n_bins=10):
    bins = np.minimum((probabilities * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, probabilities - correct, minlength=n_bins)
    return np.abs(gaps).sum() / len(probabilities)


def is_correct(y_test, labels):
    if y_test.ndim == 1:
        return labels == y_test[:, None]
    rows = np.arange(len(labels))[:, None]
    return np.asarray(y_test[rows, labels].todense()) != 0


def run(folder, strategy, parameters, seed):
    X_train, X_test, y_train, y_test = load(folder)
    single = y_train.ndim == 1
    estimator = MHEClassifier if single else MHEMultiLabelClassifier
    clf = estimator(strategy, random_state=seed, **parameters)
    start = time.perf_counter()
    clf.fit(X_train, y_train)
    fitted = time.perf_counter()
    labels, scores = clf.predict_topk(X_test, k=max(K))
    done = time.perf_counter()
    p = propensities(y_train)
    return [
        *(100 * precision_at_k(y_test, labels, k=k) for k in K),
        *(100 * propensity_scored_precision_at_k(y_test, labels, p, k=k) for k in K),
        100 * calibration_error(scores.ravel(), is_correct(y_test, labels).ravel()),
        fitted - start,
        len(labels) / (done - fitted),
        len(pickle.dumps(clf)) / 2**20,
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", nargs="+", metavar="DATA:STRATEGY[:name=value;..]")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    args = parser.parse_args()
    columns = ["P@1", "P@3", "P@5", "PSP@1", "PSP@3", "PSP@5"]
    columns += ["ECE", "fit s", "rows/s", "MiB"]
    print(f"{'run':<44}" + "".join(f"{c:>9}" for c in columns))
    for name in args.runs:
        data, strategy, *rest = name.split(":")
        pairs = (pair.split("=") for pair in ":".join(rest).split(";") if pair)
        parameters = {key: ast.literal_eval(value) for key, value in pairs}
        rows = [
            run(args.folder / data, strategy, parameters, seed)
            for seed in range(args.seeds)
        ]
        medians = np.median(rows, axis=0)
        print(f"{name:<44}" + "".join(f"{v:>9.2f}" for v in medians), flush=True)


if __name__ == "__main__":
    main()
