"""Tell whether two images show the same character, for characters never seen before.

A network is trained to classify some characters with an angular margin (ArcFace). The
angle between its features of two images is then small if they show the same character,
even if that was not in the training data. The images come from
``python benchmarks/tasks/make_characters.py characters.npz``.

Run it with ``python examples/verification.py characters.npz``. It takes a few minutes.
"""

import argparse
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from torch import nn

from skmhe import MHEClassifier, Sampling
from skmhe.nn import Margin

MAKE = "python benchmarks/tasks/make_characters.py characters.npz"
N_FONTS, N_UNSEEN = 6, 1_000


def make_network(width=32):
    """Return a network from images (n, 1, 32, 32) to features (n, 256)."""
    channels = 1, width, 2 * width, 4 * width
    layers = []
    for n_inputs, n_outputs in pairwise(channels):
        layers += [
            nn.Conv2d(n_inputs, n_outputs, 3, stride=2, padding=1),
            nn.BatchNorm2d(n_outputs),
            nn.ReLU(),
        ]
    head = nn.Flatten(), nn.Linear(16 * channels[-1], 256), nn.BatchNorm1d(256)
    return nn.Sequential(*layers, *head)


def cosines(features, others):
    """Return the cosine of each row and the same row of the other array."""
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(others, axis=1)
    return (features * others).sum(axis=1) / lengths


def main(path):
    """Train on some characters, then compare images of others."""
    with np.load(path) as data:
        fonts, is_test, names = data["font"], data["font_is_test"], data["font_names"]
        images, labels, signs = data["images"], data["label"], data["characters"]
    unseen = np.isin(
        labels, np.random.RandomState(0).permutation(len(signs))[:N_UNSEEN]
    )
    train = np.isin(fonts, np.flatnonzero(~is_test)[:N_FONTS]) & ~unseen
    X = images.astype(np.float32) / 255
    print(f"{train.sum():,} images of {len(signs) - N_UNSEEN:,} characters to train on")
    clf = MHEClassifier(
        backbone=make_network,
        strategy=Sampling(margin=Margin("arcface", 0.3, scale=32.0)),
        batch_size=256,
        max_iter=4,
        learning_rate="one_cycle",
        learning_rate_init=3e-3,
        random_state=0,
    )
    start = time.perf_counter()
    clf.fit(X[train], labels[train])
    print(f"fit {time.perf_counter() - start:.0f} s")

    # The same characters in two fonts that were not in the training data either.
    first, second = np.flatnonzero(is_test)[:2]
    rows, other_rows = (
        np.flatnonzero((fonts == font) & unseen) for font in (first, second)
    )
    rows = rows[np.argsort(labels[rows])]
    other_rows = other_rows[np.argsort(labels[other_rows])]
    features, others = clf.transform(X[rows]), clf.transform(X[other_rows])
    same = cosines(features, others)
    different = np.concatenate(
        [cosines(features, np.roll(others, by, axis=0)) for by in range(1, 101)]
    )
    print(f"{names[first]} and {names[second]}: {len(same):,} characters never seen")
    for far in (1e-2, 1e-3):
        threshold = np.quantile(different, 1 - far)
        print(
            f"  cosine above {threshold:.2f}: {np.mean(same > threshold):.1%} of pairs "
            f"of the same character, {far:.1%} of pairs of different ones"
        )
    worst = np.argsort(same)[:10]
    print("  hardest:", " ".join(signs[labels[rows[worst]]]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "path", nargs="?", default="characters.npz", help=f"what {MAKE} makes"
    )
    path = parser.parse_args().path
    if not Path(path).is_file():
        parser.error(f"there is no file {path}: make it by {MAKE}")
    main(path)
