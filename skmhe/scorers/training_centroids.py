"""Centroids of labels as training reads them: a sample is left out of its own."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from skmhe.nn.scores import Search
from skmhe.nn.search import FlatSearch
from skmhe.scorers.batch import Rows, add_product, in_form, squared_lengths
from skmhe.scorers.centroids import (
    Centroids,
    DenseCentroids,
    SparseCentroids,
    dense_cosines,
)
from skmhe.scorers.linear.tables import run_bounds
from skmhe.scorers.storage import round_to_half

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


class TrainingCentroids(NamedTuple):
    """Centroids of unit length, and what it takes to leave a sample out.

    Those are the normalized sums of each label's unit samples.
    """

    frequent: np.ndarray  # features that occur in most centroids; shape: (m,)
    block: np.ndarray  # of these; float32, shape: (n_labels, m)
    rows: sp.csr_array  # of the others; shape: (n_labels, n_features)
    lengths: np.ndarray  # float32, before normalization; shape: (n_labels,)
    # Of the samples' own labels, in CSR of shape (n_samples, n_labels): the product of
    # a sample with its own part of the sum, and 1 / length of the rest (0 of nothing).
    own: sp.csr_array
    scale: sp.csr_array
    of_sparse: bool  # whether the samples are sparse

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

    def for_predictions(self, search: Search) -> Centroids:
        """Return the centroids in the form that predictions need."""
        assert isinstance(search, FlatSearch)
        if not self.of_sparse:
            return DenseCentroids(self.block)
        rest = sp.coo_array(self.rows)
        labels, columns = self.block.nonzero()
        values = np.concatenate([self.block[labels, columns], rest.data])
        round_to_half([values])
        labels = np.concatenate([labels, rest.row])
        features = np.concatenate([self.frequent[columns], rest.col])
        return SparseCentroids.of(labels, features, values, search)


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
        every = np.arange(X.shape[1])
        return TrainingCentroids(every, block, none, lengths, *own, of_sparse=False)
    kept = _largest(sums, N_KEPT)
    own = _own_parts(Y, lengths, partial(_sparse_own, X, sums, kept))
    row_lengths = np.repeat(np.maximum(lengths, TINY), np.diff(sums.indptr))
    sums.data = (sums.data / row_lengths).astype(np.float32)
    rows = _select(sums, kept)
    counts = np.bincount(rows.indices, minlength=X.shape[1])
    frequent = np.sort(np.argsort(-counts, kind="stable")[:N_FREQUENT])
    block = rows[:, frequent].toarray()
    round_to_half([block])  # as on disk
    rest = _without_features(rows, frequent)
    return TrainingCentroids(frequent, block, rest, lengths, *own, of_sparse=True)


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


def _without_features(X: sp.csr_array, features: np.ndarray) -> sp.csr_array:
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
    result = dense_cosines(in_form(X, sparse=False), block)
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
