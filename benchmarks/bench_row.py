"""Measure calls for one row, and of batches, by the number of labels.

    OMP_NUM_THREADS=1 python benchmarks/bench_row.py --labels 1000 10000 100000 1000000

Nothing is fitted: models of the size that a fit would give are drawn at random. Each
label has 40 features with a weight in its linear classifier and in its centroid, half
of them out of those of its group of labels; so have the rows, of up to 50 nonzero
features. The other half follow Zipf's law, as words do. The network has one hidden
layer of 256 units; three of the models are its strategies with linear classifiers.

Prints the milliseconds of `predict_topk(x, k=5)` and of `predict(x)` for one row
(medians, and the least of the calls), for single and multi-label targets. With
--batches, also those of `predict_topk` for so many rows (the least of some calls). The
figures are written to --out, see results.py.

With --threads 8, also how many times as many rows per second eight threads answer that
call the same estimator with one row each, as one thread does: the cores of the machine
at best, 1 if threads only wait for each other. One thread and eight take turns; the
figure is the median of the ratios.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from results import BATCHES, add_out_argument, print_rows, write

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.estimators.strategies import MAX_FULL_LABELS, MAX_SAMPLED_LABELS
from skmhe.labels import LabelCodec
from skmhe.labels.codec import balanced_head_sizes
from skmhe.scorers.centroids import SparseCentroids
from skmhe.scorers.linear.tables import SparseLevel, starts_of
from skmhe.scorers.model import CENTROID_SCALES, Model
from skmhe.scorers.network import Network

WEIGHTS_PER_LABEL, N_STORED, N_HIDDEN = 40, 50, 256
FEATURES_PER_GROUP = 500
N_FITTED = 12  # labels of the estimators that give the others their form
# Rows that are called one by one, and those before that are not measured.
N_CALLS, N_FIRST = 200, 20
N_TURNS = 7  # of one thread, and of several
# The name of each model: model=, strategy= (None: by the number of labels).
MODELS = {
    "linear": ("linear", None),
    "default": ("both", None),
    "sampling": ("both", "sampling"),
    "cascade": ("both", "cascade"),
}
TARGETS = {"multi-label": True, "one label": False}


def drawn_features(rng, groups, n_features, n):
    """Draw features for members of groups, shape (len(groups), n); some are equal."""
    often = n_features ** rng.random_sample((len(groups), n // 2)) - 1
    own = groups[:, None] * 193 + rng.randint(
        FEATURES_PER_GROUP, size=(len(groups), n - n // 2)
    )
    return np.hstack([often.astype(np.int32), (own % n_features).astype(np.int32)])


def make_rows(n, n_labels, n_features, seed=0):
    """Return rows whose features are those of a group, as TfidfVectorizer does."""
    rng = np.random.RandomState(seed)
    n_groups = -(-n_labels // balanced_head_sizes(n_labels, 2)[-1])
    columns = drawn_features(rng, rng.randint(n_groups, size=n), n_features, N_STORED)
    starts = np.arange(n + 1, dtype=np.int32) * N_STORED
    values = rng.random_sample(columns.size)
    X = sp.csr_matrix((values, columns.ravel(), starts), shape=(n, n_features))
    X.sum_duplicates()
    return X


def make_level(owners, features, size, n_nodes, rng, least=-0.4):
    """Return a level of random weights, of (node, feature) pairs that may repeat."""
    keys = np.unique(
        (owners // size * (features.max() + np.int64(1)) + features) * size
        + owners % size
    )
    pairs, children = np.divmod(keys, size)
    new = np.flatnonzero(np.diff(pairs, prepend=-1))
    nodes, own = np.divmod(pairs[new], features.max() + np.int64(1))
    return SparseLevel(
        starts_of(np.bincount(nodes, minlength=n_nodes)),
        own.astype(np.int32),
        np.append(new, len(keys)).astype(np.int32),
        children.astype(np.uint16 if size <= 2**16 else np.int32),
        (rng.random_sample(len(keys)) + least).astype(np.float32),
        np.full((n_nodes, size), -0.9, np.float32),
    )


def make_levels(features, sizes, rng):
    """Return linear classifiers of labels with some features, (n_labels, m)."""
    n_labels, m = features.shape
    owners = np.repeat(np.arange(n_labels), m)
    if len(sizes) == 1:
        return [make_level(owners, features.ravel(), n_labels, 1, rng)]
    n_nodes = -(-n_labels // sizes[-1])
    # A group is told by some of the features of its labels.
    some = slice(0, None, max(1, sizes[-1] // 20))
    root = make_level(
        owners.reshape(features.shape)[some].ravel() // sizes[-1],
        features[some].ravel(),
        sizes[0],
        1,
        rng,
        least=0.2,
    )
    return [root, make_level(owners, features.ravel(), sizes[-1], n_nodes, rng)]


def make_centroids(features, search):
    """Return random centroids of labels with some features, (n_labels, m)."""
    n_labels, m = features.shape
    # A feature that was drawn twice counts once.
    keys = np.unique(np.arange(n_labels)[:, None] * (features.max() + 1) + features)
    labels, columns = np.divmod(keys, features.max() + 1)
    values = np.full(len(keys), m**-0.5, np.float32)
    return SparseCentroids.of(labels, columns, values, search)


def make_weights(network, rng):
    """Return random weights of a network that is on no device."""
    generator = np.random.default_rng(rng.randint(2**31))
    weights = {}
    for name, tensor in network.state_dict().items():
        drawn = generator.standard_normal(tuple(tensor.shape), np.float32)
        # Few labels are likely for any sample.
        start = -3.0 if name.startswith("head.biases") else 0.0
        weights[name] = np.asarray(start + drawn * np.float32(0.05), np.float32)
    weights["backbone.input_scale"] = np.ones((), np.float32)
    if "log_centroid_scale" in weights:
        scale = np.log(np.float32(CENTROID_SCALES[True]))
        weights["log_centroid_scale"] = np.asarray(scale)
    return weights


def auto_strategy(model, n_labels):
    """Return the strategy that "auto" is, for a number of labels."""
    if n_labels <= MAX_FULL_LABELS:
        return "full"
    sampled = n_labels <= MAX_SAMPLED_LABELS and model == "both"
    return "sampling" if sampled else "cascade"


def make_estimator(name, n_labels, n_features, multilabel=True, seed=0):
    """Return an estimator with the arrays that a fit would leave, at random.

    One of few labels is fitted; its parts are then replaced by larger ones.
    """
    model, strategy = MODELS[name]
    strategy = strategy or auto_strategy(model, n_labels)
    cls = MHEMultiLabelClassifier if multilabel else MHEClassifier
    clf = cls(
        strategy=strategy,
        model=model,
        hidden_layer_sizes=(N_HIDDEN,),
        label_order="natural",
        max_iter=1,
        random_state=0,
    )
    Y = sp.eye_array(N_FITTED, dtype=int, format="csr")
    X = sp.csr_array(np.eye(N_FITTED, n_features, dtype=np.float32))
    clf.fit(X, Y if multilabel else np.arange(N_FITTED))
    rng = np.random.RandomState(seed)
    fitted = make_model(clf._fitted.model, strategy, n_labels, n_features, rng)
    form = clf._fitted.form._replace(classes=np.arange(n_labels))
    clf._show(clf._fitted._replace(model=fitted, form=form, n_first_labels=n_labels))
    return clf


def make_model(small, strategy, n_labels, n_features, rng):
    """Return a model like a small one, with more labels and random weights."""
    sizes = balanced_head_sizes(n_labels, 2)
    groups = np.arange(n_labels) // sizes[-1]
    features = drawn_features(rng, groups, n_features, WEIGHTS_PER_LABEL)
    many = strategy == "sampling" and n_labels > MAX_FULL_LABELS
    has_tree = strategy == "cascade" or many
    levels = make_levels(features, sizes if has_tree else (n_labels,), rng)
    parts = {}
    if small.spec is None:
        own_sizes = {"head_sizes": sizes} if strategy == "cascade" else {}
        search = replace(small.search, n_labels=n_labels, **own_sizes)
    else:
        head = small.spec.head.with_options(
            n_labels=n_labels, head_sizes=sizes, group_size=sizes[-1]
        )
        spec, search = small.spec._replace(head=head), head.search
        parts = {"spec": spec, "weights": make_weights(meta_network(spec), rng)}
        if small.centroids is not None:
            parts["centroids"] = make_centroids(features, search)
    codec = LabelCodec(n_labels, sizes)
    return Model(codec, search, linear=levels, n_linear=n_labels, **parts)


def meta_network(spec):
    """Return a network that has shapes only."""
    with torch.device("meta"):
        return Network(spec)


def milliseconds(call, X):
    """Return the median and the least time of calls for one row each."""
    rows = [X[i : i + 1] for i in range(N_CALLS)]
    times = [seconds(call, row) for row in rows[:N_FIRST] + rows]
    return 1000 * float(np.median(times[N_FIRST:])), 1000 * min(times[N_FIRST:])


def seconds(call, X):
    start = time.perf_counter()
    call(X)
    return time.perf_counter() - start


def gain_of_threads(call, X, n_threads):
    """Return rows per second of threads that call for one row each, to those of one."""
    rows = [X[i : i + 1] for i in range(N_CALLS)]

    def all_rows(pool):
        list(pool.map(call, rows))

    ratios = []
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(n_threads) as many:
        for pool in (one, many):  # starts the threads
            all_rows(pool)
        for _ in range(N_TURNS):
            ratios.append(seconds(all_rows, one) / seconds(all_rows, many))
    return float(np.median(ratios))


def measure(clf, X, batches, n_threads):
    """Return the figures of a model."""

    def topk(rows):
        return clf.predict_topk(rows, 5)

    row = {}
    row["row_ms"], row["least_ms"] = milliseconds(topk, X)
    row["predict_ms"], row["predict_least_ms"] = milliseconds(clf.predict, X)
    for n in batches:
        calls = (seconds(topk, X[:n]) for _ in range(max(5, N_CALLS // n)))
        row[f"batch_{n}_ms"] = 1000 * min(calls)
    if n_threads:
        row["threads_gain"] = gain_of_threads(topk, X, n_threads)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--labels", nargs="+", type=int, default=[10**3, 10**4, 10**5, 10**6]
    )
    parser.add_argument("--features", type=int, default=10**5)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=MODELS)
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), default=TARGETS)
    parser.add_argument("--batches", nargs="*", type=int, choices=BATCHES, default=[])
    parser.add_argument("--threads", type=int, help="threads that call at a time")
    add_out_argument(parser, "row")
    args = parser.parse_args()
    settings = {"features": args.features, "calls": N_CALLS, "threads": args.threads}
    for n_labels in args.labels:
        X = make_rows(max(N_CALLS, *args.batches, 0), n_labels, args.features, seed=1)
        rows = {}
        for target in args.targets:
            for name in args.models:
                # "sampling" is what the default is up to so many labels.
                if name == "sampling" and n_labels > MAX_SAMPLED_LABELS:
                    continue
                clf = make_estimator(name, n_labels, args.features, TARGETS[target])
                rows[f"{name}, {target}"] = measure(clf, X, args.batches, args.threads)
        print_rows(f"{n_labels:,}", rows)
        write(args.out, "bench_row.py", f"{n_labels:,}", rows, settings)


if __name__ == "__main__":
    main()
