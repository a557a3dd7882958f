"""Small problems of linear classifiers, and what their scores are by brute force."""

import numpy as np
import pytest
import scipy.sparse as sp

from skmhe.scorers.batch import unit_rows
from skmhe.scorers.linear import fit_levels
from skmhe.scorers.linear.solver import (
    Problem,
    Samples,
    minimize_squared_hinge,
)
from skmhe.scorers.linear.tables import DenseLevel, child_scores

N, N_FEATURES, N_LABELS = 60, 12, 7
CONTAINERS = [sp.csr_array, np.asarray]
containers = pytest.mark.parametrize("container", CONTAINERS, ids=["sparse", "dense"])


def make_data(seed=0, n=N, share=0.4, n_labels=N_LABELS):
    """Return unit samples with some zeros, and an indicator of 1 to 3 labels."""
    rng = np.random.RandomState(seed)
    X = rng.randn(n, N_FEATURES) * (rng.rand(n, N_FEATURES) < share)
    X[:, 0] = 1  # no empty sample
    y = np.arange(n) % n_labels
    X[np.arange(n), 1 + y % (N_FEATURES - 1)] += 1
    Y = np.zeros((n, n_labels), bool)
    Y[np.arange(n), y] = Y[np.arange(n), rng.randint(0, n_labels, n)] = True
    return unit_rows(X), Y


def make_text_like(n=40, n_features=30, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.rand(n, n_features) * (rng.rand(n, n_features) < 0.3)
    return unit_rows(X.astype(np.float32))


def one_hot(y, n_labels=N_LABELS):
    return sp.csr_array(np.eye(n_labels, dtype=np.float32)[y])


def solve(X, Y, cost=1.0, prior=0.0, **steps):
    """Return weights and intercepts."""
    cost = np.broadcast_to(np.float32(cost), Y.shape)
    found = minimize_squared_hinge(Problem(Samples(X), Y, cost), prior, **steps)
    return X.T @ found.coefficients, found.intercepts


def fit(X, Y, sizes, **options):
    """Return the levels of the tree."""
    options = {"C": 1.0, "prior": 0.0} | options
    return fit_levels(X, sp.csr_array(Y.astype(np.float32)), sizes, **options)[0]


def dense_weights(level, node, n_features=N_FEATURES):
    if isinstance(level, DenseLevel):
        return level.weights[node]
    features, table = level.table(node)
    weights = np.zeros((n_features, table.shape[1]), np.float32)
    weights[features] = table[1:]
    return weights


def all_node_scores(level, X):
    """Return the scores of all nodes of a level, node by node."""
    n = X.shape[0]
    scores = [
        child_scores(level, X, np.arange(n), np.full(n, node))
        for node in range(len(level.intercepts))
    ]
    return np.concatenate(scores, axis=1)


def path_scores(levels, X, n_labels=N_LABELS):
    """Return the sums of log-scores along every label's path."""
    total = np.zeros((X.shape[0], 1))
    for level in levels:
        loss = np.maximum(0, 1 - all_node_scores(level, X)) ** 2
        size = level.intercepts.shape[1]
        total = np.repeat(total[:, : len(level.intercepts)], size, axis=1) - loss
    return total[:, :n_labels]
