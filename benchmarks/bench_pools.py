"""What pools of labels cost and lose against the loss of all labels (UniDEC's claim).

    python benchmarks/bench_pools.py --labels 10000 --epochs 15
    python benchmarks/bench_pools.py --labels 100000 --kept 8 --epochs 2 --pool-epochs 6

The data are generated: each label has ten features of its own, a sample has --kept of
those of its label and others up to ten; each label has as many training samples. Label
features are the label's own ones. Trained is the network alone, once with pools (heads:
strategy="sampling", label encoder: the default pool_size), once with the loss of all
labels (strategy="full", pool_size=C). Prints seconds of fit, the median milliseconds of
a step, and precision@1 of test samples, by both scores, the classifier and the encoder.
A step of pools costs so much less that --pool-epochs may be more than --epochs: the
ratio is that of whole fits. --only-pools shows how a step grows with the labels.
"""

import argparse
import time
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp

from skmhe import MHEClassifier, _training

FEATURES_PER_LABEL = 10
GROUP_SIZE = 100
N_TEST = 5_000


def make_samples(rng, own, labels, n_kept, n_features):
    """Return samples with some of their labels' features, and others."""
    n = len(labels)
    kept = rng.rand(n, FEATURES_PER_LABEL).argsort(1)[:, :n_kept]
    columns = np.hstack(
        [
            np.take_along_axis(own[labels], kept, 1),
            rng.randint(n_features, size=(n, FEATURES_PER_LABEL - n_kept)),
        ]
    )
    return indicator_rows(columns, n_features)


def indicator_rows(columns, n_features):
    """Return CSR rows of unit length with these features."""
    n, width = columns.shape
    entries = np.ones(n * width, np.float32) / np.sqrt(width, dtype=np.float32)
    rows = np.arange(0, n * width + 1, width)
    X = sp.csr_matrix((entries, columns.ravel(), rows), shape=(n, n_features))
    X.sum_duplicates()
    return X


def make_data(n_labels, args, seed):
    """Return training samples and labels, test samples and labels, label features."""
    rng = np.random.RandomState(seed)
    own = rng.randint(args.features, size=(n_labels, FEATURES_PER_LABEL))
    y = rng.permutation(np.arange(n_labels).repeat(args.samples_per_label))
    y_test = rng.randint(n_labels, size=N_TEST)
    X, X_test = (
        make_samples(rng, own, labels, args.kept, args.features)
        for labels in (y, y_test)
    )
    return X, y, X_test, y_test, indicator_rows(own, args.features)


@contextmanager
def timed_steps():
    """Yield a list of the milliseconds of each training step inside the block."""
    milliseconds, step = [], _training.train_step

    def timed(*args):
        start = time.perf_counter()
        loss = step(*args)
        milliseconds.append(1000 * (time.perf_counter() - start))
        return loss

    _training.train_step = timed
    try:
        yield milliseconds
    finally:
        _training.train_step = step


def run(data, width, seed, settings):
    """Return seconds of fitting, ms a step, precisions by both scores and each."""
    X, y, X_test, y_test, Z = data
    clf = MHEClassifier(
        model="network",
        hidden_layer_sizes=(width,),
        encoder_weight=0.5,
        random_state=seed,
        **settings,
    )
    start = time.perf_counter()
    with timed_steps() as milliseconds:
        clf.fit(X, y, label_features=Z)
    figures = [time.perf_counter() - start, np.median(milliseconds)]
    for scoring in ("both", "classifier", "encoder"):
        clf.set_params(scoring=scoring)
        labels, _ = clf.predict_topk(X_test, k=1)
        figures.append(100 * np.mean(labels[:, 0] == y_test))
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", nargs="+", type=int, default=[10_000])
    parser.add_argument("--samples-per-label", type=int, default=1)
    parser.add_argument("--kept", type=int, default=5, help="features of a sample")
    parser.add_argument("--features", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5, help="of both losses")
    parser.add_argument("--pool-epochs", type=int, help="of pools, if others")
    parser.add_argument("--batch-size", type=int, help="default: auto")
    parser.add_argument("--only-pools", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    names = "labels", "loss of", "epochs", "fit s", "ratio", "ms a step", "P@1"
    print(f"| {' | '.join(names)} | classifier | encoder |")
    print("|---" * (len(names) + 2) + "|", flush=True)
    for n_labels in args.labels:
        kinds = {
            # Groups of the same size for any number of labels: the classifier's
            # part of a step does not grow with it then, either.
            "pools": {
                "strategy": "sampling",
                "head_sizes": (-(-n_labels // GROUP_SIZE), GROUP_SIZE),
                "max_iter": args.pool_epochs or args.epochs,
            },
            "all labels": {
                "strategy": "full",
                "pool_size": n_labels,
                "max_iter": args.epochs,
            },
        }
        if args.only_pools:
            del kinds["all labels"]
        fastest = None
        for name, settings in kinds.items():
            settings["batch_size"] = args.batch_size or "auto"
            seconds, step, *found = np.mean(
                [
                    run(make_data(n_labels, args, seed), args.width, seed, settings)
                    for seed in range(args.seeds)
                ],
                axis=0,
            )
            fastest = fastest or seconds
            cells = [f"{n_labels:,}", name, f"{settings['max_iter']}"]
            cells += [f"{seconds:.1f}", f"{seconds / fastest:.1f}", f"{step:.1f}"]
            cells += [f"{value:.2f}" for value in found]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
