"""Cascades of any sizes."""

import math

import numpy as np
import torch
from head_cases import randomize
from hypothesis import strategies as st

from skmhe.nn import CascadeHead


def make_cascade(head_sizes, n_labels=None, seed=0, scale=1.5, **options):
    return randomize(CascadeHead(3, head_sizes, n_labels, **options), seed, scale)


@st.composite
def cascades(draw, **options):
    head_sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    n_labels = draw(st.integers(1, math.prod(head_sizes)))
    options = {key: draw(strategy) for key, strategy in options.items()}
    return make_cascade(head_sizes, n_labels, seed=draw(st.integers(0, 99)), **options)


def targets_of(head, n):
    """Return targets for any number of labels, also for fewer than four."""
    rng = np.random.default_rng(0)
    if not head.multilabel:
        return torch.from_numpy(rng.integers(0, head.n_labels, n))
    return torch.from_numpy((rng.random((n, head.n_labels)) < 0.3).astype(float))
