"""Weights of linear classifiers in a tree, and their scores."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.scorers.batch import Rows, to_tensor

# Number of pairs of a node from which a dense table of its weights pays.
PAIRS_PER_TABLE = 8


class DenseLevel(NamedTuple):
    """The classifiers of one level, with a weight of every feature."""

    weights: np.ndarray  # float32, shape: (n_nodes, n_features, n_children)
    intercepts: np.ndarray  # float32, shape: (n_nodes, n_children)

    def weights_of(self, child: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the features that score a child, and its weights of them."""
        node, place = divmod(child, self.intercepts.shape[1])
        return np.arange(self.weights.shape[1]), self.weights[node, :, place]

    def sorted_scores(
        self, X: Rows, samples: np.ndarray, nodes: np.ndarray, bounds: np.ndarray
    ) -> np.ndarray:
        """Score pairs sorted by node, without the intercepts."""
        scores = np.empty((len(nodes), self.intercepts.shape[1]), X.dtype)
        for first, last in pairwise(bounds):
            part = torch.from_numpy(X[samples[first:last]])
            table = to_tensor(self.weights[nodes[first]])
            torch.mm(part, table, out=torch.from_numpy(scores[first:last]))
        return scores

    def all_scores(self, X: np.ndarray, scale: float = 1.0) -> Tensor:
        """Return the scores of all nodes times a factor, shape (n, n_nodes)."""
        rows = torch.from_numpy(X)
        scores = rows.new_empty(len(X), *self.intercepts.shape)
        for node, weights in enumerate(self.weights):
            torch.mm(rows, to_tensor(weights), out=scores[:, node])
        return scores.add_(to_tensor(self.intercepts)).mul_(scale).flatten(1)


class SparseLevel(NamedTuple):
    """The classifiers of one level, with the weights that are not small.

    A row of weights belongs to a node and a feature.
    """

    node_rows: np.ndarray  # int32, where each node's rows start; (n_nodes + 1,)
    features: np.ndarray  # int32, sorted within a node; shape: (n_rows,)
    indptr: np.ndarray  # int32, where each row's weights start; (n_rows + 1,)
    children: np.ndarray  # uint16, of the node; shape: (n_weights,)
    # float32, or float16 in a file that is mapped; shape: (n_weights,)
    values: np.ndarray
    intercepts: np.ndarray  # float32, shape: (n_nodes, n_children)

    def weights_of(self, child: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the features that score a child, and its weights of them."""
        node, place = divmod(child, self.intercepts.shape[1])
        start, stop = self.indptr[self.node_rows[node : node + 2]]
        stored = start + np.flatnonzero(self.children[start:stop] == place)
        rows = self.indptr.searchsorted(stored, side="right") - 1
        return self.features[rows], self.values[stored]

    def table(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a node's features, and their weights below a row of zeros."""
        first, last = self.node_rows[node : node + 2]
        starts = self.indptr[first : last + 1]
        own = slice(starts[0], starts[-1])
        table = np.zeros((last - first + 1, self.intercepts.shape[1]), np.float32)
        rows = np.repeat(np.arange(1, last - first + 1), np.diff(starts))
        table[rows, self.children[own]] = self.values[own]
        return self.features[first:last], table

    def sorted_scores(
        self, X: Rows, samples: np.ndarray, nodes: np.ndarray, bounds: np.ndarray
    ) -> np.ndarray:
        """Score pairs sorted by node, without the intercepts."""
        many = len(nodes) >= PAIRS_PER_TABLE * (len(bounds) - 1)
        score = _scores_by_tables if many else _scores_by_rows
        return score(self, X, samples, nodes, bounds)


Level = SparseLevel | DenseLevel


def level_of(
    nodes: np.ndarray, features: np.ndarray, values: np.ndarray, shape: tuple[int, int]
) -> SparseLevel:
    """Return a level of some weights, of the children of all nodes, in any order.

    The shape is that of the intercepts, which are 0: of nodes and children of each.
    """
    n_parents, size = shape
    parents, children = np.divmod(nodes, size)
    width = int(features.max(initial=0)) + 1
    keys = parents.astype(np.int64) * width + features
    order = np.argsort(keys, kind="stable")
    first = np.flatnonzero(np.diff(keys[order], prepend=-1))
    rows = order[first]
    return SparseLevel(
        starts_of(np.bincount(parents[rows], minlength=n_parents)),
        features[rows].astype(np.int32),
        np.append(first, len(order)).astype(np.int32),
        children[order].astype(np.uint16 if size <= 2**16 else np.int32),
        values[order].astype(np.float32),
        np.zeros(shape, np.float32),
    )


def stored_weights(
    level: SparseLevel, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the features, children of all nodes, and values of some rows' weights.

    Of all rows by default.
    """
    n_parents, size = level.intercepts.shape
    parents = np.repeat(np.arange(n_parents, dtype=np.int32), np.diff(level.node_rows))
    lengths, features = np.diff(level.indptr), level.features
    children, values = level.children, level.values
    if rows is not None:
        parents, lengths, features = parents[rows], lengths[rows], features[rows]
        stored = ranges(level.indptr[rows], lengths)
        children, values = children[stored], values[stored]
    nodes = np.repeat(parents * np.int32(size), lengths) + children
    return np.repeat(features, lengths), nodes, values


def label_weights(levels: list[Level], label: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of a label, sorted, and its weights of them, in float64.

    In a tree, a weight is the sum of those of the nodes on the label's path: what a
    value adds to the sum of their margins.
    """
    found, child = [], label
    for level in reversed(levels):
        found.append(level.weights_of(child))
        child //= level.intercepts.shape[1]
    every, weights = map(np.concatenate, zip(*found, strict=True))
    features, places = np.unique(every, return_inverse=True)
    return features, np.bincount(places, weights, len(features))


def child_scores(
    level: Level, X: Rows, samples: np.ndarray, nodes: np.ndarray
) -> np.ndarray:
    """Score the children of (sample, node) pairs, shape (n_pairs, n_children).

    Scores are 1 for a clear yes and -1 for a clear no. X has rows of unit length, in
    float32, and CSR for a `SparseLevel`.
    """
    order = np.argsort(nodes, kind="stable")  # neighbors stay in cache
    samples, nodes = samples[order], nodes[order]
    bounds = run_bounds(nodes)
    found = level.sorted_scores(X, samples, nodes, bounds)
    # Of no products, `bincount` makes integers.
    found = found + level.intercepts[nodes]
    scores = np.empty(found.shape, X.dtype)
    scores[order] = found
    return scores


def _scores_by_tables(
    level: SparseLevel,
    X: sp.csr_array,
    samples: np.ndarray,
    nodes: np.ndarray,
    bounds: np.ndarray,
) -> np.ndarray:
    """Score pairs sorted by node, with a dense table of each node's weights."""
    scores = np.empty((len(nodes), level.intercepts.shape[1]), X.dtype)
    lengths = np.diff(X.indptr)[samples]
    stored = ranges(X.indptr[samples], lengths)
    features, factors = X.indices[stored], torch.from_numpy(X.data[stored])
    starts = torch.from_numpy(starts_of(lengths))
    # Where a feature's row is; 0 is a row of zeros, for features without weights.
    place = np.zeros(X.shape[1], np.int32)
    for first, last in pairwise(bounds):
        start, stop = starts[first], starts[last]
        own, table = level.table(nodes[first])
        place[own] = np.arange(1, len(own) + 1)
        rows = torch.from_numpy(place[features[start:stop]])
        place[own] = 0
        scores[first:last] = F.embedding_bag(
            rows,
            torch.from_numpy(table),
            starts[first : last + 1] - start,
            mode="sum",
            per_sample_weights=factors[start:stop],
            include_last_offset=True,
        )
    return scores


def _scores_by_rows(
    level: SparseLevel,
    X: sp.csr_array,
    samples: np.ndarray,
    nodes: np.ndarray,
    bounds: np.ndarray,
) -> np.ndarray:
    """Score pairs sorted by node, with the stored weights of their features only."""
    lengths = np.diff(X.indptr)[samples]
    stored = ranges(X.indptr[samples], lengths)
    pairs = np.repeat(np.arange(len(nodes)), lengths)
    rows, known = _find_rows(level, X.indices[stored], nodes, lengths, bounds)
    pairs, rows, factors = pairs[known], rows[known], X.data[stored[known]]
    # Every (stored value, weight) pair that meets, summed by pair and child.
    lengths = level.indptr[rows + 1] - level.indptr[rows]
    weights = ranges(level.indptr[rows], lengths)
    n_children = level.intercepts.shape[1]
    cells = np.repeat(pairs * n_children, lengths)
    cells += level.children[weights]
    products = np.repeat(factors, lengths)
    products *= level.values[weights]
    sums = np.bincount(cells, products, len(nodes) * n_children)
    return sums.reshape(-1, n_children)


def _find_rows(
    level: SparseLevel,
    features: np.ndarray,
    nodes: np.ndarray,
    lengths: np.ndarray,
    bounds: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of each feature of each pair's node, and which have one."""
    rows, starts = np.empty(len(features), np.int64), starts_of(lengths)[bounds]
    distinct = nodes[bounds[:-1]]
    first_rows, stops = level.node_rows[distinct], level.node_rows[distinct + 1]
    # Lists, as a number out of an array takes longer than one out of a list.
    runs = zip(first_rows.tolist(), stops.tolist(), strict=True)
    for (first, last), (start, stop) in zip(
        runs, pairwise(starts.tolist()), strict=True
    ):
        found = level.features[first:last].searchsorted(features[start:stop])
        np.add(found, first, out=rows[start:stop])
    inside = rows < np.repeat(stops, np.diff(starts))
    # A row after the last one is no row of any node.
    np.minimum(rows, len(level.features) - 1, out=rows)
    known = np.flatnonzero(inside & (level.features[rows] == features))
    return rows, known


def run_bounds(values: np.ndarray) -> np.ndarray:
    """Return where runs of equal values start, and where the last one ends."""
    if not len(values):
        return np.empty(0, np.int64)
    starts = np.flatnonzero(values[1:] != values[:-1]) + 1
    return np.concatenate([[0], starts, [len(values)]])


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Return where runs of some lengths start; the last is where they end."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the concatenation of ``range(start, start + length)``."""
    stops = np.cumsum(lengths)
    total = stops[-1] if len(stops) else 0
    return np.arange(total) + np.repeat(starts + lengths - stops, lengths)
