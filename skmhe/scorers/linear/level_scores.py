"""Scores of all nodes of a level of linear classifiers, for many samples."""

import numpy as np
import scipy.sparse as sp
import torch

from skmhe.scorers.batch import Rows, to_tensor
from skmhe.scorers.linear.tables import (
    DenseLevel,
    Level,
    SparseLevel,
    ranges,
    starts_of,
)

# To add a feature's dense row of weights takes a tenth to a twentieth of the time that
# a sparse one takes for each weight: it pays from this share of weights that are not 0.
DENSE_ROW_SHARE = 0.05
# Bytes of dense rows at most.
DENSE_BYTES = 2**26


class LevelScores:
    """Scores of all nodes of a level, for some samples.

    The level's weights are turned around once, from nodes to features, for the
    features that the samples have. Features with weights in many nodes get a dense row,
    the others are multiplied as sparse ones. Each sparse sample is summed in an order
    of its own: its scores do not depend on the other samples.

    As `child_scores` of all nodes, times a factor.
    """

    def __init__(self, level: Level, X: Rows, scale: float = 1.0) -> None:
        self.level, self.X, self.scale = level, X, scale
        if isinstance(level, SparseLevel):
            self._split(level, X)

    def _split(self, level: SparseLevel, X: sp.csr_array) -> None:
        """Divide the samples' features into those with dense rows and the others."""
        n_nodes = level.intercepts.size
        features = np.unique(X.indices)
        weights = _by_feature(level, features, X)
        weights.data *= X.dtype.type(self.scale)
        lengths = np.diff(weights.indptr)
        # Of the densest features, as many as memory is for.
        often = np.argsort(-lengths, kind="stable")
        often = often[: DENSE_BYTES // (n_nodes * X.dtype.itemsize)]
        often = np.sort(often[lengths[often] > DENSE_ROW_SHARE * n_nodes])
        intercepts = level.intercepts.reshape(1, -1).astype(X.dtype)
        intercepts *= X.dtype.type(self.scale)
        # The intercepts are the weights of a feature that all samples have.
        self.table = np.concatenate([intercepts, weights[often].toarray()])
        X = X[:, features]
        ones = sp.csr_array(np.ones((X.shape[0], 1), X.dtype))
        self.frequent = sp.hstack([ones, X[:, often]], format="csr")
        is_rare = np.ones(len(features), bool)
        is_rare[often] = False
        rare = np.flatnonzero(is_rare)
        self.rare, self.weights = X[:, rare], weights[rare]

    def of(self, rows: slice) -> np.ndarray:
        """Return the scores of some samples, shape (n_rows, n_nodes)."""
        if isinstance(self.level, DenseLevel):
            return _dense_scores(self.level, self.X[rows], self.scale)
        scores = self.frequent[rows] @ self.table
        scores += (self.rare[rows] @ self.weights).toarray()
        return scores


def _by_feature(
    level: SparseLevel, features: np.ndarray, X: sp.csr_array
) -> sp.csr_array:
    """Return the weights of sorted features, CSR of shape (n_distinct, n_nodes)."""
    n_parents, size = level.intercepts.shape
    place = np.full(X.shape[1], -1, np.int32)
    place[features] = np.arange(len(features))
    places = place[level.features]
    rows = np.flatnonzero(places >= 0)
    rows = rows[np.argsort(places[rows], kind="stable")]
    lengths = np.diff(level.indptr)[rows]
    stored = ranges(level.indptr[rows], lengths)
    parents = np.repeat(np.arange(n_parents, dtype=np.int32), np.diff(level.node_rows))
    # 32 bits: with others, SciPy would convert the samples' indices in every product.
    columns = (
        np.repeat(parents[rows] * np.int32(size), lengths) + level.children[stored]
    )
    starts = starts_of(np.bincount(places[rows], lengths, len(features)))
    values = level.values[stored].astype(X.dtype)
    shape = len(features), n_parents * size
    return sp.csr_array((values, columns.astype(np.int32), starts), shape=shape)


def _dense_scores(level: DenseLevel, X: np.ndarray, scale: float) -> np.ndarray:
    """Return the scores of all nodes, of a level with a weight of every feature."""
    scores = np.empty((len(X), *level.intercepts.shape), X.dtype)
    rows, out = torch.from_numpy(X), torch.from_numpy(scores)
    for node, weights in enumerate(level.weights):
        torch.mm(rows, to_tensor(weights).to(rows.dtype), out=out[:, node])
    scores += level.intercepts
    scores *= scale
    return scores.reshape(len(scores), level.intercepts.size)
