"""Classify images of thousands of characters, in fonts that were never seen.

The images come from ``python benchmarks/tasks/make_characters.py characters.npz``,
which renders them from free fonts. The estimator's `backbone` is a small convolutional
network. With ``strategy="sampling"``, each training step scores a sample of the 6,000
classes instead of all of them.

Run it with ``python examples/characters.py characters.npz``. It takes a few minutes.
"""

import argparse
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from torch import nn

from skmhe import MHEClassifier

MAKE = "python benchmarks/tasks/make_characters.py characters.npz"
N_FONTS = 6


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


def main(path):
    """Train on some fonts, then read characters of another one."""
    with np.load(path) as data:
        fonts, is_test, names = data["font"], data["font_is_test"], data["font_names"]
        images, labels, signs = data["images"], data["label"], data["characters"]
    train = np.isin(fonts, np.flatnonzero(~is_test)[:N_FONTS])
    unseen = np.flatnonzero(is_test)[0]
    test = fonts == unseen
    X, X_test = (images[rows].astype(np.float32) / 255 for rows in (train, test))
    print(
        f"{train.sum():,} images of {len(np.unique(labels)):,} characters in {N_FONTS} "
        f"fonts; test font: {names[unseen]}"
    )
    clf = MHEClassifier(
        backbone=make_network,
        strategy="sampling",
        batch_size=256,
        max_iter=4,
        learning_rate="one_cycle",
        learning_rate_init=3e-3,
        random_state=0,
    )
    start = time.perf_counter()
    clf.fit(X, labels[train])
    print(f"fit {time.perf_counter() - start:.0f} s")
    found, _ = clf.predict_topk(X_test, k=5)
    hits = found == labels[test][:, None]
    print(f"accuracy {hits[:, 0].mean():.1%}, top 5 {hits.any(axis=1).mean():.1%}")
    shown = np.random.RandomState(0).choice(len(hits), 20, replace=False)
    print("true:     ", "".join(signs[labels[test][shown]]))
    print("predicted:", "".join(signs[found[shown, 0]]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "path", nargs="?", default="characters.npz", help=f"what {MAKE} makes"
    )
    path = parser.parse_args().path
    if not Path(path).is_file():
        parser.error(f"there is no file {path}: make it by {MAKE}")
    main(path)
