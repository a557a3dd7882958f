"""Thousands of classes of images: characters in fonts that were never seen.

    python benchmarks/tasks/make_characters.py characters.npz
    python benchmarks/tasks/bench_characters.py characters.npz
    python benchmarks/tasks/bench_characters.py characters.npz --verify

A small convolutional network is trained on images of some fonts, with each kind of
head, and tested on fonts of other families. Prints top-1 and top-5 accuracy in percent,
the seconds of fitting, and for the head alone (on random features) the milliseconds per
step and the size of its weights, their moments and gradients.

With --verify, the network is trained on some of the characters with a margin, and then
compares pairs of images of other characters, in fonts that were not in the training
data either, by the cosine of their features. Prints the true accept rate (TAR) in
percent at false accept rates (FAR) of 0.01 and 0.001.
"""

import argparse
import time

import numpy as np
import torch
from networks import CharacterNet
from spread import mean_sd

from skmhe import Backbone, Cascade, Full, MHEClassifier, Product, Sampling
from skmhe.nn import (
    CascadeHead,
    FullHead,
    Margin,
    ProductHead,
    RowAdamW,
    SamplingHead,
)

FARS = 1e-2, 1e-3


def load(path, n_fonts):
    """Return images (float32, mean 0), labels, and which rows are of test fonts."""
    with np.load(path) as data:
        images, labels = data["images"], data["label"].astype(np.int64)
        fonts, is_test = data["font"], data["font_is_test"]
    training = np.flatnonzero(~is_test)
    # Evenly spaced, as the training fonts are ordered by their kind.
    taken = training[np.linspace(0, len(training) - 1, n_fonts).round().astype(int)]
    rows = np.flatnonzero(np.isin(fonts, taken) | is_test[fonts])
    X = images[rows].astype(np.float32) / 255
    return X - X.mean(dtype=np.float64), labels[rows], is_test[fonts[rows]]


def make_strategy(name, args):
    """Return the strategy with this name."""
    strategies = {
        "full": Full(),
        "sampling": Sampling(n_sampled_groups=args.groups),
        "cascade": Cascade(beam_width=args.beam),
        "product": Product(),
    }
    return strategies[name]


def make_estimator(strategy, args, seed):
    """Return the estimator with a network for images."""
    # Full has a single head.
    head_sizes = None if strategy.max_heads == 1 else args.head_sizes
    return MHEClassifier(
        strategy,
        backbone=Backbone(CharacterNet, width=args.width, weight_decay=0.01),
        head_sizes=head_sizes,
        batch_size=args.batch_size,
        max_iter=args.epochs,
        learning_rate="one_cycle",
        learning_rate_init=args.rate,
        verbose=args.verbose,
        random_state=seed,
    )


def head_costs(strategy, d, n_labels, args):
    """Return a head's milliseconds per step, and the megabytes that it needs."""
    sizes = args.head_sizes
    heads = {
        "full": lambda: FullHead(d, n_labels),
        "cascade": lambda: CascadeHead(
            d,
            sizes,
            n_labels,
            beam_width=args.beam,
            hard_negatives=True,
            sparse_grad=True,
        ),
        "product": lambda: ProductHead(d, sizes, n_labels, sparse_grad=True),
        "sampling": lambda: SamplingHead(
            d,
            n_labels,
            sizes[1],
            args.groups,
            sparse_grad=True,
            pool_labels="batch_and_own_group",
        ),
    }
    torch.manual_seed(0)
    head = heads[strategy]()
    optimizer = RowAdamW(head.parameters(), lr=1e-3)
    seconds = []
    for _ in range(20):
        features = torch.randn(args.batch_size, d, requires_grad=True)
        targets = torch.randint(n_labels, (args.batch_size,))
        start = time.perf_counter()
        optimizer.zero_grad()
        head.loss(features, targets).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    gradients = [p.grad for p in head.parameters()]
    tensors = [g._values() if g.is_sparse else g for g in gradients]
    kept = sum(p.nbytes for p in head.parameters())
    moved = sum(tensor.nbytes for tensor in tensors)
    return 1e3 * np.median(seconds), (3 * kept + moved) / 1e6


def classify(args):
    """Print accuracies on fonts that were not in the training data."""
    X, y, is_test = load(args.data, args.fonts)
    n_labels = len(np.unique(y))
    print(
        f"{n_labels:,} characters; {(~is_test).sum():,} images of {args.fonts} fonts "
        f"to train on, {is_test.sum():,} of other fonts to test\n"
    )
    print("| strategy | top-1 | top-5 | fit s | head: ms/step | head: MB |")
    print("|---" * 6 + "|", flush=True)
    for strategy in args.strategies:
        figures = []
        for seed in range(args.seeds):
            clf = make_estimator(make_strategy(strategy, args), args, seed)
            start = time.perf_counter()
            clf.fit(X[~is_test], y[~is_test])
            seconds = time.perf_counter() - start
            labels, _ = clf.predict_topk(X[is_test], k=5)
            hits = labels == y[is_test, None]
            figures.append([100 * hits[:, 0].mean(), 100 * hits.sum(1).mean(), seconds])
        first, fifth, seconds = np.transpose(figures)
        cost, size = head_costs(strategy, 256, n_labels, args)
        print(
            f"| {strategy} | {mean_sd(first)} | {mean_sd(fifth)} | "
            f"{seconds.mean():.0f} | {cost:.1f} | {size:.1f} |",
            flush=True,
        )


def acceptance(features, labels):
    """Return the TAR at each of FARS, for all pairs of samples."""
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = features @ features.T
    pairs = np.triu_indices(len(labels), 1)
    same = labels[pairs[0]] == labels[pairs[1]]
    cosines = cosines[pairs]
    thresholds = np.quantile(cosines[~same], [1 - far for far in FARS])
    return [100 * np.mean(cosines[same] > threshold) for threshold in thresholds]


def verify(args):
    """Print the TAR for characters and fonts that were not in the training data."""
    X, y, is_test = load(args.data, args.fonts)
    known = np.random.RandomState(0).permutation(len(np.unique(y)))
    unseen = np.isin(y, known[: args.unseen])
    train, pairs = ~is_test & ~unseen, is_test & unseen
    print(
        f"{len(known) - args.unseen:,} characters to train on, pairs of "
        f"{args.unseen:,} others in other fonts: {pairs.sum():,} images\n"
    )
    print("| strategy | pool | margin | TAR at 1e-2 | TAR at 1e-3 | fit s |")
    print("|---" * 6 + "|", flush=True)
    kinds = [("full", "batch"), ("sampling", "batch"), ("sampling", "batch_groups")]
    kinds += [("sampling", "own_group")]
    for strategy, pool_labels in kinds:
        for kind in args.margins:
            margin, figures = Margin(kind, args.margin_size, args.scale), []
            pool = {} if strategy == "full" else {"pool_labels": pool_labels}
            for seed in range(args.seeds):
                chosen = make_strategy(strategy, args)
                chosen.set_params(margin=margin, **pool)
                clf = make_estimator(chosen, args, seed)
                start = time.perf_counter()
                clf.fit(X[train], y[train])
                seconds = time.perf_counter() - start
                found = acceptance(clf.transform(X[pairs]), y[pairs])
                figures.append([*found, seconds])
            first, second, seconds = np.transpose(figures)
            print(
                f"| {strategy} | {pool_labels if pool else 'all'} | {kind} | "
                f"{mean_sd(first)} | "
                f"{mean_sd(second)} | {seconds.mean():.0f} |",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    strategies = ["full", "sampling", "cascade", "product"]
    parser.add_argument("--strategies", nargs="+", default=strategies)
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--fonts", type=int, default=12, help="to train on")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-3)
    # A first head shorter than sqrt(C) is more accurate; chosen with other fonts.
    parser.add_argument("--head-sizes", nargs="+", type=int, default=[40, 153])
    parser.add_argument("--beam", type=int, default=10, help="width, of cascade")
    parser.add_argument("--groups", type=int, default=8, help="that sampling draws")
    parser.add_argument("--unseen", type=int, default=1_000, help="characters")
    parser.add_argument("--margins", nargs="+", default=["arcface"])
    parser.add_argument("--margin-size", type=float, default=0.3)
    parser.add_argument("--scale", type=float, default=32.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    verify(args) if args.verify else classify(args)


if __name__ == "__main__":
    main()
