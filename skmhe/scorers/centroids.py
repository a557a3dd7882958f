"""Centroids of the labels' samples, and what leaves a sample out of its own."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from skmhe.nn.products import grouped_linear, product, product_dtype
from skmhe.scorers.batch import Rows, add_product, in_form, squared_lengths, to_tensor
from skmhe.scorers.linear.tables import SparseLevel, child_scores, run_bounds, starts_of
from skmhe.scorers.storage import compacted, restored, round_to_half

Array = np.ndarray

# The features that occur in most centroids are multiplied as a dense block: few
# features have most of the stored values, and a sparse product goes through each.
N_FREQUENT = 128
# Where X is sparse, a centroid keeps its largest values: those of frequent labels have
# thousands of small ones. On held-out samples nothing is lost with 64.
N_KEPT = 64
# Pairs of a sample and its label that are handled at a time.
PAIRS_PER_BLOCK = 20_000
# Cells of a table of where values are stored.
TABLE_CELLS = 2**21
TINY = np.float32(1e-12)


class Centroids:
    """Centroids of unit length: the normalized sums of each label's unit samples.

    A dense block of shape (n_labels, m) has the values of the m frequent features, the
    CSR rest of shape (n_features, n_labels) those of the others.
    """

    def __init__(
        self, frequent: np.ndarray, block: np.ndarray, rest: sp.csr_array
    ) -> None:
        self.frequent, self.block = frequent, block
        # As arrays: SciPy's containers remember what they were asked, which would
        # change an estimator by predicting with it.
        self.indptr, self.indices, self.values = rest.indptr, rest.indices, rest.data
        self._level: SparseLevel | None = None

    def __getstate__(self) -> dict[str, Any]:
        # What can be made again is not written to disk.
        return compacted(self.__dict__ | {"_level": None})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(restored(state))

    @property
    def n_features(self) -> int:
        """Number of features of a centroid."""
        return len(self.indptr) - 1

    @property
    def rest(self) -> sp.csr_array:
        """The values outside of the dense block: the labels of each feature."""
        shape = (self.n_features, len(self.block))
        return sp.csr_array((self.values, self.indices, self.indptr), shape=shape)

    def extended(self, rows: Rows) -> "Centroids":
        """Return the same with more labels, by rows of shape (n_added, n_features)."""
        dense = sp.csr_array(rows)[:, self.frequent].toarray()
        more = without_features(sp.csr_array(rows), self.frequent).T
        rest = sp.hstack([self.rest, more], format="csr")
        block = np.concatenate([self.block, dense]).astype(np.float32)
        return Centroids(self.frequent, block, rest)

    def cosines(self, X: Rows, labels: np.ndarray | None = None) -> np.ndarray:
        """Return the cosines of rows of unit length and labels, shape (n, m).

        Of all labels, or of some.
        """
        found = _cosines(X, self.frequent, self.block, self.rest)
        return found if labels is None else found[:, labels]

    def group_cosines(self, X: Rows, groups: np.ndarray, size: int) -> np.ndarray:
        """Return the cosines of rows of unit length and the labels of some groups.

        Groups of `size` consecutive labels for each sample, shape (n, n_groups), give
        an array of shape (n, n_groups, size); of any value where the last group has no
        such label, to which other scores add -inf.
        """
        n, n_groups = groups.shape
        samples = np.repeat(np.arange(n), n_groups)
        if isinstance(X, np.ndarray) and len(self.frequent) == X.shape[1]:
            block = to_tensor(self.block)
            pairs = torch.from_numpy(samples), torch.from_numpy(groups.ravel())
            rows = torch.from_numpy(X)
            zeros = block.new_zeros(len(block))
            result = grouped_linear(rows, *pairs, block, zeros, size).numpy()
        else:
            X = in_form(X, sparse=True)
            # A beam may propose groups after the last label, of codes without one.
            owners = np.minimum(groups.ravel(), -(-len(self.block) // size) - 1)
            result = child_scores(self.level(size), X, samples, owners)
        return result.reshape(n, n_groups, size)

    def level(self, size: int) -> SparseLevel:
        """Return the same in tables by group of `size` labels; made once."""
        level = self._level
        if level is None or level.intercepts.shape[1] != size:
            level = self._level = self._make_level(size)
        return level

    def summary(self, size: int, labels: np.ndarray) -> SparseLevel:
        """Return a table of one node: groups of `size` labels, and some labels.

        Values of a group are the largest of its labels': with samples without negative
        values, its scores are at least the cosines of all of its labels. The labels are
        sorted.
        """
        level = self.level(size)
        n_groups, lengths = len(level.intercepts), np.diff(level.indptr)
        groups = np.repeat(np.arange(n_groups), np.diff(level.node_rows))
        largest = np.maximum.reduceat(level.values, level.indptr[:-1])
        owners = np.repeat(groups * np.int64(size), lengths) + level.children
        places = np.searchsorted(labels, owners)
        places[places == len(labels)] = 0
        kept = labels[places] == owners
        features = np.repeat(level.features, lengths)[kept]
        return _root_level(
            np.concatenate([level.features, features]),
            np.concatenate([groups, n_groups + places[kept]]),
            np.concatenate([largest, level.values[kept]]),
            n_groups + len(labels),
        )

    def _make_level(self, size: int) -> SparseLevel:
        n_labels, n_features = self.block.shape[0], self.rest.shape[0]
        labels, columns = self.block.nonzero()
        rest = self.rest.tocoo()
        features = np.concatenate([self.frequent[columns], rest.row])
        values = np.concatenate([self.block[labels, columns], rest.data])
        labels = np.concatenate([labels, rest.col])
        groups = labels // size
        order = np.argsort(groups * np.int64(n_features) + features, kind="stable")
        groups, features = groups[order], features[order]
        new = np.diff(groups, prepend=-1).astype(bool)
        new |= np.diff(features, prepend=-1).astype(bool)
        first = np.flatnonzero(new)
        n_groups = -(-n_labels // size)
        return SparseLevel(
            starts_of(np.bincount(groups[first], minlength=n_groups)),
            features[first].astype(np.int32),
            np.append(first, len(order)).astype(np.int32),
            (labels[order] % size).astype(np.uint16 if size <= 2**16 else np.int32),
            values[order].astype(np.float32),
            np.zeros((n_groups, size), np.float32),
        )


class TrainingCentroids(NamedTuple):
    """The same as rows of labels, and what it takes to leave a sample out."""

    frequent: np.ndarray
    block: np.ndarray
    rows: sp.csr_array  # shape: (n_labels, n_features)
    lengths: np.ndarray  # float32, before normalization; shape: (n_labels,)
    # Of the samples' own labels, in CSR of shape (n_samples, n_labels): the product of
    # a sample with its own part of the sum, and 1 / length of the rest (0 of nothing).
    own: sp.csr_array
    scale: sp.csr_array

    def cosines(self, X: Rows, labels: np.ndarray) -> np.ndarray:
        """Return cosines as they are without the sample in its own labels' centroids.

        With the sum c of a label's samples, those of x are (x . c - 1) / |c - x|, and 0
        for the only sample of a label. The rows of X are the samples that `own` and
        `scale` are of, and have unit length; the labels (m,) are sorted, with all of
        the samples' own among them. Returns an array of shape (n, m).
        """
        rest = self.rows[labels].T.tocsr()
        result = _cosines(X, self.frequent, self.block[labels], rest)
        own = self.own.indices
        samples = np.repeat(np.arange(X.shape[0]), np.diff(self.own.indptr))
        pairs = samples, np.searchsorted(labels, own)
        left = result[pairs] * self.lengths[own] - self.own.data
        result[pairs] = left * self.scale.data
        return result

    def for_predictions(self) -> Centroids:
        """Return the centroids in the form that predictions need."""
        rest = sp.csr_array(self.rows.T)
        round_to_half([rest.data])
        return Centroids(self.frequent, self.block, rest)


def fit_centroids(X: Rows, Y: sp.csr_array) -> TrainingCentroids:
    """Return the labels' centroids of rows of unit length; Y may hold weights."""
    sums: Rows = Y.T.tocsr() @ X
    if not isinstance(sums, np.ndarray):
        sums.sort_indices()
    lengths = np.sqrt(squared_lengths(sums)).astype(np.float32)
    if isinstance(sums, np.ndarray):
        block = (sums / np.maximum(lengths, TINY)[:, None]).astype(np.float32)
        round_to_half([block])  # as on disk
        none = sp.csr_array(sums.shape, dtype=np.float32)
        own = _own_parts(Y, lengths, partial(_dense_own, X, sums))
        return TrainingCentroids(np.arange(X.shape[1]), block, none, lengths, *own)
    kept = _largest(sums, N_KEPT)
    own = _own_parts(Y, lengths, partial(_sparse_own, X, sums, kept))
    row_lengths = np.repeat(np.maximum(lengths, TINY), np.diff(sums.indptr))
    sums.data = (sums.data / row_lengths).astype(np.float32)
    rows = _select(sums, kept)
    counts = np.bincount(rows.indices, minlength=X.shape[1])
    frequent = np.sort(np.argsort(-counts, kind="stable")[:N_FREQUENT])
    block = rows[:, frequent].toarray()
    round_to_half([block])  # as on disk
    return TrainingCentroids(
        frequent, block, without_features(rows, frequent), lengths, *own
    )


def _root_level(
    features: np.ndarray, children: np.ndarray, values: np.ndarray, n_children: int
) -> SparseLevel:
    """Return a table of one node, of weights of features in any order."""
    order = np.argsort(features, kind="stable")
    features, children, values = features[order], children[order], values[order]
    first = np.flatnonzero(np.diff(features, prepend=-1))
    return SparseLevel(
        np.array([0, len(first)], np.int32),
        features[first],
        np.append(first, len(features)).astype(np.int32),
        children.astype(np.uint16 if n_children <= 2**16 else np.int32),
        values,
        np.zeros((1, n_children), np.float32),
    )


def _largest(X: sp.csr_array, n_kept: int) -> np.ndarray:
    """Tell which stored values are among the largest of their row.

    Of equal ones at the limit, the first.
    """
    kept = np.ones(X.nnz, bool)
    for row in np.flatnonzero(np.diff(X.indptr) > n_kept):
        part = slice(*X.indptr[row : row + 2])
        values = np.abs(X.data[part])
        limit = np.partition(values, -n_kept)[-n_kept]
        larger = values > limit
        equal = np.flatnonzero(values == limit)
        larger[equal[: n_kept - np.count_nonzero(larger)]] = True
        kept[part] = larger
    return kept


def _select(X: sp.csr_array, kept: np.ndarray) -> sp.csr_array:
    """Return sparse rows with some of their stored values."""
    starts = np.concatenate([[0], np.cumsum(kept)])[X.indptr]
    return sp.csr_array((X.data[kept], X.indices[kept], starts), shape=X.shape)


def without_features(X: sp.csr_array, features: np.ndarray) -> sp.csr_array:
    """Return a copy of sparse rows without the values of some features."""
    kept = np.ones(X.shape[1], bool)
    kept[features] = False
    return _select(X, kept[X.indices])


def _own_parts(
    Y: sp.csr_array, lengths: np.ndarray, products: Callable[..., tuple[Array, ...]]
) -> tuple[sp.csr_array, sp.csr_array]:
    """Return what leaves samples out of their own labels' centroids.

    ``products(samples, labels)`` are those of samples and their labels' sums, and of
    samples and themselves, of all features and of those that the centroids keep.
    """
    Y = sp.csr_array(Y, copy=True)
    weights, Y.data = Y.data.astype(np.float32), np.arange(Y.nnz)
    pairs = Y.tocsc()  # by label
    labels = np.repeat(np.arange(Y.shape[1]), np.diff(pairs.indptr))
    own, scale = np.empty(Y.nnz, np.float32), np.empty(Y.nnz, np.float32)
    for start in range(0, Y.nnz, PAIRS_PER_BLOCK):
        part = slice(start, start + PAIRS_PER_BLOCK)
        places, weight = pairs.data[part], weights[pairs.data[part]]
        total, square, kept = products(pairs.indices[part], labels[part])
        rest = lengths[labels[part]] ** 2 - 2 * weight * total + weight**2 * square
        alone = rest <= 1e-4 * weight**2
        own[places] = weight * kept
        scale[places] = np.where(alone, 0, 1 / np.sqrt(np.where(alone, 1, rest)))
    parts = (own, Y.indices, Y.indptr), (scale, Y.indices, Y.indptr)
    return sp.csr_array(parts[0], shape=Y.shape), sp.csr_array(parts[1], shape=Y.shape)


def _dense_own(
    X: Array, sums: Array, samples: Array, labels: Array
) -> tuple[Array, ...]:
    """Return the products of `_own_parts`, where X is dense."""
    rows = X[samples]
    square = squared_lengths(rows)
    return np.einsum("ij,ij->i", rows, sums[labels]), square, square


def _sparse_own(
    X: sp.csr_array, sums: sp.csr_array, kept: Array, samples: Array, labels: Array
) -> tuple[Array, ...]:
    """Return the products of `_own_parts`, where X is sparse."""
    X = X[samples]
    pairs = np.repeat(np.arange(len(samples)), np.diff(X.indptr))
    places = _places(sums, labels[pairs], X.indices)
    values = X.data.astype(np.float64)
    n, squares = len(samples), values * values
    total = np.bincount(pairs, squares, n)
    # SciPy does not store sums that are 0.
    stored = places < sums.nnz
    pairs, places = pairs[stored], places[stored]
    return (
        np.bincount(pairs, values[stored] * sums.data[places], n),
        total,
        np.bincount(pairs, squares[stored] * kept[places], n),
    )


def _places(X: sp.csr_array, rows: Array, columns: Array) -> Array:
    """Return where cells of ascending rows are stored, or `X.nnz` if they are not.

    By a table of all cells of some rows: to search takes several times as long.
    """
    n_columns = X.shape[1]
    n_rows = rows[-1] - rows[0] + 1 if len(rows) else 0
    n_together = min(max(1, TABLE_CELLS // n_columns), n_rows)
    table = np.full(n_together * n_columns, X.nnz)
    places = np.empty(len(rows), np.int64)
    groups = (rows - rows[0]) // n_together if len(rows) else rows
    for first, last in pairwise(run_bounds(groups)):
        start = rows[first] - (rows[first] - rows[0]) % n_together
        stop = min(start + n_together, X.shape[0])
        stored = slice(X.indptr[start], X.indptr[stop])
        lengths = np.diff(X.indptr[start : stop + 1])
        cells = np.repeat(np.arange(len(lengths)) * n_columns, lengths)
        cells += X.indices[stored]
        table[cells] = np.arange(stored.start, stored.stop)
        found = slice(first, last)
        places[found] = table[(rows[found] - start) * n_columns + columns[found]]
        table[cells] = X.nnz
    return places


def _cosines(
    X: Rows, frequent: np.ndarray, block: np.ndarray, rest: sp.csr_array
) -> np.ndarray:
    """Return the product of samples and centroids, in two parts."""
    others = None
    if len(frequent) < X.shape[1]:
        X, others = _split(in_form(X, sparse=True), frequent)
    # By torch, whose threads would wait for those of NumPy's products.
    dense = torch.from_numpy(in_form(X, sparse=False))
    result = product(dense, to_tensor(block).T, product_dtype(dense))
    if others is not None:
        add_product(result, others, rest)
    return result.numpy()


def _split(X: sp.csr_array, frequent: np.ndarray) -> tuple[np.ndarray, sp.csr_array]:
    """Return sparse rows as a dense block of frequent features, and the others."""
    places = np.full(X.shape[1], -1, np.int32)
    places[frequent] = np.arange(len(frequent))
    columns = places[X.indices]
    rest = columns < 0
    here = np.flatnonzero(~rest)
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))[here]
    block = np.zeros((X.shape[0], len(frequent)), np.float32)
    # Stored twice, a value would be lost; X has been summed.
    block[rows, columns[here]] = X.data[here]
    return block, _select(X, rest)
