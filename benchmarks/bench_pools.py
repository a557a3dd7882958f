"""What pools of labels cost and lose against the loss of all labels (UniDEC's claim).

    python benchmarks/bench_pools.py --labels 10000 --epochs 15
    python benchmarks/bench_pools.py --labels 100000 --kept 8 --epochs 2 --pool-epochs 6

A pool is the set of labels that one training step compares its samples with. The data
are generated: each label has ten features of its own; a sample has --kept of those of
its label, and random ones up to ten. All labels have the same number of training
samples. The features of a label are its own ten. The network alone is trained twice:
with pools (strategy="sampling", the label encoder with its default pool_size), and with
the loss of all labels (strategy="full", pool_size=C). Prints the seconds of fit, the
median milliseconds of a step, and precision@1 of test samples, scored by both, by the
classifier and by the label encoder. A step of pools costs so much less that
--pool-epochs may be larger than --epochs; the ratio is that of whole fits. --only-pools
shows how the cost of a step grows with the number of labels. The figures are written to
--out, see results.py.
"""

import argparse
import time
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp
from bench_accuracy import make_estimator
from bench_labels import SCORED_WITH
from results import add_out_argument, print_rows, write
from torch.optim.optimizer import register_optimizer_step_post_hook

FEATURES_PER_LABEL = 10
GROUP_SIZE = 100
N_TEST = 5_000
FIGURES = ["fit_s", "step_ms", "P@1", "classifier_P@1", "encoder_P@1"]


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
    """Yield a list of the milliseconds from each step of the optimizer to the next."""
    milliseconds, optimizers, last = [], [], [None]

    def stepped(optimizer, *_):
        optimizers[:] = optimizers or [optimizer]
        if optimizer is not optimizers[0]:  # another one of the same training step
            return
        now = time.perf_counter()
        if last[0] is not None:
            milliseconds.append(1000 * (now - last[0]))
        last[0] = now

    handle = register_optimizer_step_post_hook(stepped)
    try:
        yield milliseconds
    finally:
        handle.remove()


def run(data, width, seed, settings):
    """Return seconds of fitting, ms a step, precisions by both scores and each."""
    X, y, X_test, y_test, Z = data
    parameters = {
        "model": "network",
        "hidden_layer_sizes": (width,),
        "label_encoder__loss_weight": 0.5,
    }
    clf = make_estimator(y, seed, parameters | settings)
    start = time.perf_counter()
    with timed_steps() as milliseconds:
        clf.fit(X, y, label_features=Z)
    figures = [time.perf_counter() - start, np.median(milliseconds)]
    for value in SCORED_WITH.values():
        clf.set_params(label_encoder__score_with=value)
        labels, _ = clf.predict_topk(X_test, k=1)
        figures.append(100 * np.mean(labels[:, 0] == y_test))
    return figures


def kinds_of_loss(n_labels, args):
    """Return the parameters of each kind of loss by its name."""
    batch_size = {"batch_size": args.batch_size or "auto"}
    kinds = {
        # Groups of the same size for any number of labels: with them, the classifier's
        # part of a step does not grow with it, either.
        "pools": {
            "strategy": "sampling",
            "head_sizes": (-(-n_labels // GROUP_SIZE), GROUP_SIZE),
            "max_iter": args.pool_epochs or args.epochs,
        },
        "all labels": {
            "strategy": "full",
            "label_encoder__pool_size": n_labels,
            "max_iter": args.epochs,
        },
    }
    if args.only_pools:
        del kinds["all labels"]
    return {name: kind | batch_size for name, kind in kinds.items()}


def run_kinds(n_labels, args):
    """Return rows of mean figures by the name of the loss."""
    rows = {}
    for name, settings in kinds_of_loss(n_labels, args).items():
        figures = [
            run(make_data(n_labels, args, seed), args.width, seed, settings)
            for seed in range(args.seeds)
        ]
        row = dict(zip(FIGURES, np.mean(figures, axis=0), strict=True))
        fastest = next(iter(rows.values()), row)["fit_s"]
        epochs, ratio = settings["max_iter"], row["fit_s"] / fastest
        rows[name] = {"epochs": epochs, "fit_ratio": ratio} | row
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", nargs="+", type=int, default=[10_000])
    parser.add_argument("--samples-per-label", type=int, default=1)
    parser.add_argument("--kept", type=int, default=5, help="features of a sample")
    parser.add_argument("--features", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5, help="of both losses")
    parser.add_argument("--pool-epochs", type=int, help="of pools, if different")
    parser.add_argument("--batch-size", type=int, help="default: auto")
    parser.add_argument("--only-pools", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    add_out_argument(parser, "pools")
    args = parser.parse_args()
    settings = {"kept": args.kept, "width": args.width, "seeds": args.seeds}
    for n_labels in args.labels:
        rows = run_kinds(n_labels, args)
        print_rows(f"{n_labels:,}", rows)
        write(args.out, "bench_pools.py", f"{n_labels:,}", rows, settings)


if __name__ == "__main__":
    main()
