"""Fit the estimators with their defaults on data sets on disk, and print a table.

    python benchmarks/bench_accuracy.py FOLDER clinc150:full clinc150:cascade

FOLDER holds a folder for each data set, in the form that data.py describes. A run is
DATA:STRATEGY, optionally followed by parameters, separated by semicolons:
``wnhyp:cascade:n_heads=3;strategy__beam_width=20``. Figures are medians over the seeds.
ECE is the expected calibration error of the probabilities of the five best predictions,
in ten bins of equal width. The figures are written to --out, see results.py.
"""

import argparse
import ast
import pickle
import time
from pathlib import Path

import numpy as np
from data import load
from results import add_out_argument, print_rows, write

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.metrics import (
    precision_at_k,
    propensities,
    propensity_scored_precision_at_k,
)

K = (1, 3, 5)
FIGURES = [f"P@{k}" for k in K] + [f"PSP@{k}" for k in K]
FIGURES += ["ECE", "fit_s", "rows_per_s", "disk_mib"]


def calibration_error(probabilities, correct, n_bins=10):
    """Return the expected calibration error of predicted probabilities."""
    bins = np.minimum((probabilities * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, probabilities - correct, minlength=n_bins)
    return np.abs(gaps).sum() / len(probabilities)


def is_correct(y_test, labels):
    """Tell for each predicted label whether the sample has it."""
    if y_test.ndim == 1:
        return labels == y_test[:, None]
    rows = np.arange(len(labels))[:, None]
    return np.asarray(y_test[rows, labels].todense()) != 0


def make_estimator(y, seed, parameters):
    """Return the estimator for a target, with nested parameters set by their names."""
    estimator = MHEClassifier() if y.ndim == 1 else MHEMultiLabelClassifier()
    return estimator.set_params(**{"random_state": seed} | parameters)


def parse_parameters(text):
    """Return the parameters that "name=value;name=value" stands for."""
    pairs = (pair.partition("=") for pair in text.split(";") if pair)
    return {name: ast.literal_eval(value) for name, _, value in pairs}


def run(data, parameters, seed):
    """Return the figures of one fit."""
    X_train, X_test, y_train, y_test = data
    clf = make_estimator(y_train, seed, parameters)
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
    parser.add_argument("runs", nargs="+", metavar="DATA:STRATEGY[:name=value;...]")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    add_out_argument(parser, "strategies")
    args = parser.parse_args()
    runs = {}
    for text in args.runs:
        data, _, name = text.partition(":")
        runs.setdefault(data, []).append(name)
    for data, names in runs.items():
        loaded, rows = load(args.folder / data), {}
        for name in names:
            strategy, _, rest = name.partition(":")
            parameters = {"strategy": strategy} | parse_parameters(rest)
            figures = [run(loaded, parameters, seed) for seed in range(args.seeds)]
            rows[name] = dict(zip(FIGURES, np.median(figures, axis=0), strict=True))
            print(f"  {data} {name}: fit {rows[name]['fit_s']:.1f} s", flush=True)
        print_rows(data, rows)
        write(args.out, "bench_accuracy.py", data, rows, {"seeds": args.seeds})


if __name__ == "__main__":
    main()
