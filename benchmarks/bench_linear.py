"""What the linear classifiers gain from further steps of their solver.

    python benchmarks/bench_linear.py FOLDER clinc150 bibtex delicious wnhyp
    python benchmarks/bench_linear.py FOLDER clinc150 --tol 0.02 0.001 --liblinear

FOLDER holds a folder for each data set, in the form that data.py describes. A part of
the training samples is held out, and model="linear" is fitted to the others and stopped
at each relative length of the gradient in --tol; the library's own is 0.02. Prints the
precision on the held-out samples, the largest number of steps of a label, and the
processor's seconds of fit, means over --splits. --liblinear adds scikit-learn's
LinearSVC with the same C, one-vs-rest. The figures are written to --out, see
results.py.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
from bench_accuracy import K, is_correct, make_estimator
from data import load
from results import add_out_argument, print_rows, write
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from skmhe.scorers.linear import fit
from skmhe.scorers.linear.solver import minimize_squared_hinge

HELD_OUT = 0.15


class Liblinear:
    """LinearSVC with the default C of `LinearTree`, for all labels."""

    n_iter_ = None

    def fit(self, X, y):
        """Fit a classifier for each label."""
        self.svc = OneVsRestClassifier(LinearSVC(C=0.5)).fit(normalize(X), y)
        return self

    def predict_topk(self, X, k):
        """Return the best labels."""
        scores = self.svc.decision_function(normalize(X))
        best = np.argsort(-scores, axis=1)[:, :k]
        return (best if self.svc.multilabel_ else self.svc.classes_[best]), None


def run(model, split):
    """Return precisions, steps and seconds."""
    X, X_test, y, y_test = split
    start = time.process_time()
    model.fit(X, y)
    figures = {"cpu_s": time.process_time() - start}
    if model.n_iter_ is not None:
        figures["steps"] = model.n_iter_
    labels, _ = model.predict_topk(X_test, k=max(K))
    correct = is_correct(y_test, labels)
    return {f"P@{k}": 100 * correct[:, :k].mean() for k in K} | figures


def solved_to(tol):
    """Make all fits stop at this relative length of the gradient."""
    return patch.object(
        fit, "minimize_squared_hinge", partial(minimize_squared_hinge, tol=tol)
    )


def main():
    """Print and write the figures of each data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--tol", type=float, nargs="+", default=[0.1, 0.02, 0.001])
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--liblinear", action="store_true")
    add_out_argument(parser, "linear")
    args = parser.parse_args()
    for data in args.data:
        X, _, y, _ = load(args.folder / data)
        found = {}
        for seed in range(args.splits):
            split = train_test_split(X, y, test_size=HELD_OUT, random_state=seed)
            for tol in args.tol:
                with solved_to(tol):
                    model = make_estimator(y, seed, {"model": "linear"})
                    found.setdefault(f"gradient {tol:g}", []).append(run(model, split))
            if args.liblinear:
                found.setdefault("LinearSVC", []).append(run(Liblinear(), split))
        rows = {
            name: {figure: np.mean([run[figure] for run in runs]) for figure in runs[0]}
            for name, runs in found.items()
        }
        print_rows(data, rows)
        write(args.out, "bench_linear.py", data, rows, {"splits": args.splits})


if __name__ == "__main__":
    main()
