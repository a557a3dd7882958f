"""Compare F1 of predicted labels by 0.5, by the k best, and by tuned thresholds.

    python benchmarks/bench_thresholds.py FOLDER bibtex delicious

The estimator is fitted to the training samples, and all thresholds are chosen on them,
by --folds folds. The numbers of labels of "the k best" is the mean number of true ones
of a training sample. Prints micro, macro and example F1 of the test samples in percent,
and the seconds of the whole fit. The figures are written to --out, see results.py.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from data import load
from results import add_out_argument, print_rows, write

from skmhe import MHEMultiLabelClassifier
from skmhe.metrics import f1_score
from skmhe.model_selection import (
    MultiLabelFixedThresholdClassifier,
    MultiLabelTunedThresholdClassifierCV,
)

AVERAGES = "micro", "macro", "samples"


def make_models(estimator, y, n_folds):
    """Return the classifiers to compare, by the names of their rows."""
    k = max(round(y.nnz / y.shape[0]), 1)
    best = {"threshold": -np.inf, "max_labels": k}
    models = {
        "0.5": MultiLabelFixedThresholdClassifier(estimator),
        "k best": MultiLabelFixedThresholdClassifier(estimator, **best),
    }
    for average in AVERAGES:
        models[f"tuned, {average}"] = MultiLabelTunedThresholdClassifierCV(
            estimator, scoring=f"f1_{average}", cv=n_folds
        )
    models["tuned, macro, per label"] = MultiLabelTunedThresholdClassifierCV(
        estimator, scoring="f1_macro", per_label=True, cv=n_folds
    )
    return models


def measure(model, X, y, X_test, y_test):
    start = time.perf_counter()
    model.fit(X, y)
    fit_s = time.perf_counter() - start
    predicted = model.predict(X_test)
    scores = {
        f"{average}_F1": 100 * f1_score(y_test, predicted, average=average)
        for average in AVERAGES
    }
    threshold = np.mean(getattr(model, "best_threshold_", 0.5))
    if getattr(model, "threshold", None) == -np.inf:
        threshold = None
    return {**scores, "threshold": threshold, "fit_s": fit_s}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--model", default="linear", help="of the estimator")
    add_out_argument(parser, "thresholds")
    args = parser.parse_args()
    for data in args.data:
        X, X_test, y, y_test = load(args.folder / data)
        estimator = MHEMultiLabelClassifier(model=args.model, random_state=0)
        rows = {
            name: measure(model, X, y, X_test, y_test)
            for name, model in make_models(estimator, y, args.folds).items()
        }
        print_rows(data, rows)
        settings = {"folds": args.folds, "model": args.model}
        write(args.out, "bench_thresholds.py", data, rows, settings)


if __name__ == "__main__":
    main()
