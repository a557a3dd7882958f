"""Estimators to save, and what saved and loaded ones are compared by."""

import re

import numpy as np
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal
from torch import nn

import skmhe.io
from skmhe import MHEClassifier, MHEMultiLabelClassifier, Sampling

N_LABELS, N_FEATURES = 12, 30
SMALL = {
    "hidden_layer_sizes": (16,),
    "batch_size": 32,
    "max_iter": 2,
    "random_state": 0,
    "dtype": "float32",
}


class Net(nn.Module):
    """A network of the user's."""

    def __init__(self, width=8, n_features=N_FEATURES):
        super().__init__()
        self.layer = nn.Linear(n_features, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, inputs):
        return torch.relu(self.norm(self.layer(inputs)))


def make_net(width=8):
    """Make the network."""
    return Net(width)


def frozen_names(module):
    """Freeze the first weights."""
    return ["layer.weight"]


def make_data(multilabel=False, n=90):
    """Return sparse samples and targets."""
    rng = np.random.RandomState(0)
    y = np.arange(n) % N_LABELS
    X = rng.random_sample((n, N_FEATURES)) * (rng.random_sample((n, N_FEATURES)) < 0.15)
    X[np.arange(n), y] += 1
    X = sp.csr_array(X)
    if not multilabel:
        return X, y
    Y = rng.random_sample((n, N_LABELS)) < 0.15
    Y[np.arange(n), y] = True
    return X, sp.csr_array(Y.astype(np.int32))


def make(multilabel=False, strategy="full", **params):
    """Return an estimator that is fitted in a moment."""
    cls = MHEMultiLabelClassifier if multilabel else MHEClassifier
    if strategy == "sampling":
        strategy = Sampling(n_sampled_groups=2)
    return cls(strategy, **(SMALL | params))


def saved_and_loaded(estimator, path, compact=True, **options):
    """Return what is loaded of a file of an estimator."""
    skmhe.io.save(estimator, path, compact=compact)
    return skmhe.io.load(path, **options)


def assert_same(one, other, X):
    """Compare predictions, to the bit, and what users see."""
    assert type(one) is type(other)
    assert vars(one).keys() == vars(other).keys()
    assert_array_equal(one.predict_proba(X), other.predict_proba(X), strict=True)
    for found, expected in zip(one.predict_topk(X), other.predict_topk(X), strict=True):
        assert_array_equal(found, expected, strict=True)
    predicted, expected = one.predict(X), other.predict(X)
    assert type(predicted) is type(expected)
    if sp.issparse(predicted):
        assert predicted.dtype == expected.dtype
        predicted, expected = predicted.toarray(), expected.toarray()
    assert_array_equal(predicted, expected)
    assert_array_equal(one.classes_, other.classes_, strict=True)
    for name in ("head_sizes_", "n_iter_", "loss_curve_", "validation_scores_"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.combination_ == other.combination_
    assert shown(one) == shown(other)


def shown(estimator):
    """Return what a user sees of an estimator; random states show their place."""
    return re.sub(r" at 0x\w+", "", repr(estimator))
