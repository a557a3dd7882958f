"""What features of labels give: the estimators with and without them.

    python benchmarks/bench_labels.py FOLDER wnhyp debdeps --seeds 3
    python benchmarks/bench_labels.py FOLDER wnhyp debdeps --ablation
    python benchmarks/bench_labels.py FOLDER wnhyp --settings loss_weight=0.5 \
        'n_shortlisted=1;shortlist_refresh=2'

FOLDER holds a folder for each data set, in the form that data.py describes, with the
texts of samples and labels: one TF-IDF vectorizer, fitted to the training texts, makes
the features of the labels. Prints means over the seeds for the defaults without label
features; for the defaults with them, scored by the classifier and the label encoder
together and by each alone; and for each of --settings (parameters of `LabelEncoder`),
or of the list that --ablation stands for. The figures are written to --out, see
results.py.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from bench_accuracy import K, make_estimator, parse_parameters
from data import VECTORIZER, load, read_texts
from results import FOLDER, add_out_argument, print_rows, write
from sklearn.feature_extraction.text import TfidfVectorizer

from skmhe.metrics import (
    precision_at_k,
    propensities,
    propensity_scored_precision_at_k,
)

FIGURES = [f"P@{k}" for k in K] + [f"PSP@{k}" for k in K] + ["rows_per_s", "fit_s"]
ABLATION = [
    "loss_weight=0.02",
    "loss_weight=0.5",
    "n_positives=1",
    "n_shortlisted=1",
    "n_shortlisted=1;shortlist_refresh=1",
    "n_shortlisted=1;shortlist_search='approximate'",
    "n_shortlisted=3;shortlist_size=50",
    "pool_size=1024",
    "pool_size=6144",
    "neighbor_batches=True",
    "backbone=None",
]
SCORED_WITH = {"together": "both", "classifier": "classifier", "encoder": "encoder"}


def label_features(folder):
    """Return TF-IDF features of the labels' texts, in the words of the samples."""
    vectorizer = TfidfVectorizer(**VECTORIZER)
    vectorizer.fit(read_texts(folder / "texts_train.txt.gz"))
    return vectorizer.transform(read_texts(folder / "label_texts.txt.gz"))


def measure(clf, data, p):
    """Return the figures of a fitted estimator, in percent, and samples per second."""
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
    clf = make_estimator(y, seed, parameters)
    start = time.perf_counter()
    clf.fit(X, y, label_features=Z)
    return clf, time.perf_counter() - start


def nested(text):
    """Return the parameters of the label encoder that NAME=VALUE;... stands for."""
    parameters = parse_parameters(text)
    return {f"label_encoder__{name}": value for name, value in parameters.items()}


def measure_fits(data, Z, parameters, scored_with, args):
    """Return mean figures over the seeds for each way of scoring."""
    p = propensities(data[2])
    figures = {name: [] for name in scored_with}
    for seed in range(args.seeds):
        clf, seconds = fit(data, Z, seed, parameters)
        for name, value in scored_with.items():
            if Z is not None:
                clf.set_params(label_encoder__score_with=value)
            figures[name].append([*measure(clf, data, p), seconds])
    return {
        name: dict(zip(FIGURES, np.mean(values, axis=0), strict=True))
        for name, values in figures.items()
    }


def run_data(folder, settings, args):
    """Return rows of figures by name."""
    data, Z = load(folder), label_features(folder)
    rows = measure_fits(data, None, {}, {"without": "both"}, args)
    rows |= measure_fits(data, Z, {}, SCORED_WITH, args)
    for text in settings:
        rows |= measure_fits(data, Z, nested(text), {text: "both"}, args)
        print(f"  {folder.name} {text}: P@1 {rows[text]['P@1']:.2f}", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument("--settings", nargs="*", default=[], metavar="NAME=VALUE;...")
    parser.add_argument("--ablation", action="store_true", help="a list of settings")
    add_out_argument(parser, "labels")
    args = parser.parse_args()
    if args.ablation and args.out == FOLDER / "labels.json":
        args.out = FOLDER / "labels_ablation.json"
    settings = args.settings + ABLATION * args.ablation
    for name in args.data:
        rows = run_data(args.folder / name, settings, args)
        print_rows(name, rows)
        write(args.out, "bench_labels.py", name, rows, {"seeds": args.seeds})


if __name__ == "__main__":
    main()
