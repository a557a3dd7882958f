"""What features of labels give: the estimators with and without them.

    python benchmarks/bench_labels.py FOLDER wnhyp debdeps --seeds 3
    python benchmarks/bench_labels.py FOLDER wnhyp debdeps --ablation
    python benchmarks/bench_labels.py FOLDER wnhyp --settings encoder_weight=0.5 \
        'n_hard_negatives=1;shortlist_refresh=2'

FOLDER holds a folder for each data set, in the form that data.py tells, with
texts_train.txt.gz and label_texts.txt.gz beside it, from which one TF-IDF vectorizer,
fitted to the training texts, makes the features of the labels. Prints the mean over the
seeds for the defaults without features of labels, for the defaults with them, by the
classifier and the label encoder together and alone, and for each of --settings, or of
the list that --ablation stands for.
"""

import argparse
import ast
import gzip
import time
from pathlib import Path

import numpy as np
from data import load
from sklearn.feature_extraction.text import TfidfVectorizer

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.metrics import (
    precision_at_k,
    propensities,
    propensity_scored_precision_at_k,
)

K = (1, 3, 5)
ABLATION = [
    "encoder_weight=0.02",
    "encoder_weight=0.5",
    "n_pool_positives=1",
    "n_hard_negatives=1",
    "n_hard_negatives=1;shortlist_refresh=1",
    "n_hard_negatives=1;shortlist_search='approximate'",
    "n_hard_negatives=3;shortlist_size=50",
    "pool_size=1024",
    "pool_size=6144",
    "neighbor_batches=True",
    "share_encoder=False",
]
SCORINGS = {"together": "both", "classifier": "classifier", "encoder": "encoder"}


def read_lines(path):
    """Return the lines of a compressed text file."""
    with gzip.open(path, "rt", encoding="utf8") as file:
        return file.read().splitlines()


def label_features(folder):
    """Return TF-IDF features of the labels' texts, in the words of the samples."""
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)
    vectorizer.fit(read_lines(folder / "texts_train.txt.gz"))
    return vectorizer.transform(read_lines(folder / "label_texts.txt.gz"))


def measure(clf, data, p):
    """Return the figures of a fitted estimator, in percent, and rows a second."""
    _, X_test, _, y_test = data
    start = time.perf_counter()
    labels, _ = clf.predict_topk(X_test, k=max(K))
    seconds = time.perf_counter() - start
    return [
        *(100 * precision_at_k(y_test, labels, k=k) for k in K),
        *(100 * propensity_scored_precision_at_k(y_test, labels, p, k=k) for k in K),
        len(labels) / seconds,
    ]


def fit(data, Z, seed, parameters):
    """Return a fitted estimator, and the seconds of fitting."""
    X, _, y, _ = data
    estimator = MHEClassifier if y.ndim == 1 else MHEMultiLabelClassifier
    clf = estimator(random_state=seed, **parameters)
    start = time.perf_counter()
    clf.fit(X, y, label_features=Z)
    return clf, time.perf_counter() - start


def parsed(text):
    """Return the parameters that NAME=VALUE;.. stands for."""
    pairs = (pair.split("=") for pair in text.split(";"))
    return {name: ast.literal_eval(value) for name, value in pairs}


def rows_of(folder, settings, n_seeds):
    """Yield names and mean figures over the seeds, each as soon as it is known."""
    data, Z = load(folder), label_features(folder)
    p, defaults = propensities(data[2]), list(SCORINGS.items())
    # What is fitted with which features and parameters, and by which names it is shown.
    fits = [(None, {}, [("without", "both")]), (Z, {}, defaults)]
    fits += [(Z, parsed(text), [(text, "both")]) for text in settings]
    for features, parameters, names in fits:
        figures = {name: [] for name, _ in names}
        for seed in range(n_seeds):
            clf, seconds = fit(data, features, seed, parameters)
            for name, scoring in names:
                clf.set_params(scoring=scoring)
                figures[name].append([*measure(clf, data, p), seconds])
        yield from ((name, np.mean(rows, 0)) for name, rows in figures.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument("--settings", nargs="*", default=[], metavar="NAME=VALUE;..")
    parser.add_argument("--ablation", action="store_true", help="a list of settings")
    args = parser.parse_args()
    settings = args.settings + ABLATION * args.ablation
    names = [f"P@{k}" for k in K] + [f"PSP@{k}" for k in K] + ["rows/s", "fit s"]
    print("| data | label features | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 2) + "|")
    for name in args.data:
        for row, figures in rows_of(args.folder / name, settings, args.seeds):
            *scores, rate, seconds = figures
            cells = [f"{score:.2f}" for score in scores]
            cells += [f"{rate:,.0f}", f"{seconds:.1f}"]
            print(f"| {name} | {row} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
