"""Similarities of samples to the labels' centroids, in training without themselves."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from skmhe._levels import SparseLevel, child_scores, ranges, starts_of
from skmhe._storage import compacted, restored, round_to_half
from skmhe.nn._precision import product, product_dtype
from skmhe.nn._rows import grouped_linear

# The features that occur in most centroids are multiplied as a dense block: few
# features have most of the stored values, and a sparse product goes through each.
N_FREQUENT = 128
# Where X is sparse, a centroid keeps its largest values: those of frequent labels have
# thousands of small ones. On held-out samples nothing is lost with 64.
N_KEPT = 64
# A table for each group of labels pays from so many samples on.
MIN_ROWS_FOR_GROUPS = 64
# Pairs of a sample and its label that are handled at a time.
PAIRS_PER_BLOCK = 20_000
TINY = np.float32(1e-12)


class Centroids:
    """Centroids of unit length: the normalised sums of each label's unit samples.

    Parameters
    ----------
    frequent : ndarray of shape (m,)
        Features of the dense block.
    block : ndarray of shape (n_labels, m)
        Their values.
    rest : CSR of shape (n_features, n_labels)
        The values of the other features.
    """

    def __init__(self, frequent, block, rest):
        self.frequent, self.block = frequent, block
        # As arrays: SciPy's containers remember what they were asked, which would
        # change an estimator by predicting with it.
        self.indptr, self.indices, self.values = rest.indptr, rest.indices, rest.data
        self._level = None

    def __getstate__(self):
        # What can be made again is not written to disk.
        return compacted(self.__dict__ | {"_level": None})

    def __setstate__(self, state):
        self.__dict__.update(restored(state))

    @property
    def rest(self):
        """The values outside of the dense block: the labels of each feature."""
        shape = (len(self.indptr) - 1, len(self.block))
        return sp.csr_array((self.values, self.indices, self.indptr), shape=shape)

    def extended(self, rows):
        """Return the same with more labels, by rows of shape (n_added, n_features)."""
        dense = sp.csr_array(rows)[:, self.frequent].toarray()
        rest = self.rest
        if rest.nnz:
            more = _without(sp.csr_array(rows), self.frequent).T
        else:  # the block has all features
            more = sp.csr_array((rest.shape[0], rows.shape[0]), dtype=np.float32)
        block = np.concatenate([self.block, dense]).astype(np.float32)
        return Centroids(self.frequent, block, sp.hstack([rest, more], format="csr"))

    def level(self, size):
        """Return the same in tables by group of `size` labels; made once."""
        if self._level is None or self._level.intercepts.shape[1] != size:
            self._level = self._make_level(size)
        return self._level

    def _make_level(self, size):
        n_labels, n_features = self.block.shape[0], self.rest.shape[0]
        labels, columns = self.block.nonzero()
        rest = self.rest.tocoo()
        features = np.concatenate([self.frequent[columns], rest.row])
        labels, values = (
            np.concatenate([labels, rest.col]),
            np.concatenate([self.block[labels, columns], rest.data]),
        )
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
    lengths: np.ndarray  # float32, before normalisation; shape: (n_labels,)
    # Of the samples' own labels, in CSR of shape (n_samples, n_labels): the product of
    # a sample with its own part of the sum, and 1 / length of the rest (0 of nothing).
    own: sp.csr_array
    scale: sp.csr_array

    def take(self, rows):
        """Return the same for some of the samples."""
        return self._replace(own=self.own[rows], scale=self.scale[rows])

    def for_predictions(self):
        """Return the centroids in the form that predictions need."""
        rest = sp.csr_array(self.rows.T)
        round_to_half([self.block, rest.data])
        return Centroids(self.frequent, self.block, rest)


def fit_centroids(X, Y):
    """Return the centroids of the labels.

    Parameters
    ----------
    X : {CSR, ndarray} of shape (n_samples, n_features)
        Samples of unit length.
    Y : CSR of shape (n_samples, n_labels)
        Indicator of the labels, or weights of the samples for them.

    Returns
    -------
    TrainingCentroids
    """
    sums = Y.T.tocsr() @ X
    if not sp.issparse(X):
        lengths = np.sqrt(np.einsum("ij,ij->i", sums, sums)).astype(np.float32)
        block = (sums / np.maximum(lengths, TINY)[:, None]).astype(np.float32)
        none = sp.csr_array(sums.shape, dtype=np.float32)
        own = _own_parts(X, Y, lengths, lambda s, k: _dense_own(X, sums, s, k))
        return TrainingCentroids(np.arange(X.shape[1]), block, none, lengths, *own)
    sums.sort_indices()
    squares = np.asarray(sums.multiply(sums).sum(1)).ravel()
    lengths = np.sqrt(squares).astype(np.float32)
    kept = _largest(sums, N_KEPT)
    own = _own_parts(X, Y, lengths, lambda s, k: _sparse_own(X, sums, kept, s, k))
    row_lengths = np.repeat(np.maximum(lengths, TINY), np.diff(sums.indptr))
    sums.data = (sums.data / row_lengths).astype(np.float32)
    rows = _select(sums, kept)
    counts = np.bincount(rows.indices, minlength=X.shape[1])
    frequent = np.sort(np.argsort(-counts, kind="stable")[:N_FREQUENT])
    block = rows[:, frequent].toarray()
    return TrainingCentroids(frequent, block, _without(rows, frequent), lengths, *own)


def _largest(X, n_kept):
    """Tell which stored values are among the largest of their row."""
    counts = np.diff(X.indptr)
    rows = np.repeat(np.arange(X.shape[0]), counts)
    order = np.lexsort((-np.abs(X.data), rows))
    kept = np.empty(X.nnz, bool)
    kept[order] = np.arange(X.nnz) - np.repeat(X.indptr[:-1], counts) < n_kept
    return kept


def _select(X, kept):
    """Return sparse rows with some of their stored values."""
    starts = np.concatenate([[0], np.cumsum(kept)])[X.indptr]
    return sp.csr_array((X.data[kept], X.indices[kept], starts), shape=X.shape)


def _without(X, features):
    """Return a copy of sparse rows without the values of some features."""
    kept = np.ones(X.shape[1], bool)
    kept[features] = False
    return _select(X, kept[X.indices])


def _own_parts(X, Y, lengths, products):
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
    shape = Y.shape
    return tuple(
        sp.csr_array((v, Y.indices, Y.indptr), shape=shape) for v in (own, scale)
    )


def _dense_own(X, sums, samples, labels):
    rows = X[samples]
    square = np.einsum("ij,ij->i", rows, rows)
    return np.einsum("ij,ij->i", rows, sums[labels]), square, square


def _sparse_own(X, sums, kept, samples, labels):
    lengths = np.diff(X.indptr)[samples]
    stored = ranges(X.indptr[samples], lengths)
    pairs = np.repeat(np.arange(len(samples)), lengths)
    rows, features = labels[pairs], X.indices[stored]
    # Where the feature is in the label's sum, in which it always is.
    first, last = sums.indptr[labels[0]], sums.indptr[labels[-1] + 1]
    owners = np.repeat(
        np.arange(labels[0], labels[-1] + 1),
        np.diff(sums.indptr[labels[0] : labels[-1] + 2]),
    )
    keys = owners * np.int64(X.shape[1]) + sums.indices[first:last]
    place = first + np.searchsorted(keys, rows * np.int64(X.shape[1]) + features)
    values = X.data[stored].astype(np.float64)
    n, squares = len(samples), values * values
    return (
        np.bincount(pairs, values * sums.data[place], n),
        np.bincount(pairs, squares, n),
        np.bincount(pairs, squares * kept[place], n),
    )


def _cosines(X, frequent, block, rest):
    """Return the product of samples and centroids, in two parts."""
    # By torch, whose threads would wait for those of NumPy's products.
    dense = torch.from_numpy(X[:, frequent].toarray() if sp.issparse(X) else X)
    columns = torch.from_numpy(block).to(dense.dtype).T
    result = product(dense, columns, product_dtype(dense)).numpy()
    if sp.issparse(X):
        result += (_without(X, frequent) @ rest).toarray()
    return result


def similarities(centroids, X):
    """Return the cosines of samples and all centroids.

    Parameters
    ----------
    centroids : Centroids
        The centroids.
    X : {CSR, ndarray} of shape (n, n_features)
        Samples of unit length.

    Returns
    -------
    ndarray of float32, of shape (n, n_labels)
        Cosines.
    """
    return _cosines(X, centroids.frequent, centroids.block, centroids.rest)


def group_similarities(centroids, X, groups, size):
    """Return the cosines of samples and the centroids of some groups of labels.

    Parameters
    ----------
    centroids : Centroids
        The centroids.
    X : {CSR, ndarray} of shape (n, n_features)
        Samples of unit length.
    groups : ndarray of int64, of shape (n, n_groups)
        Groups of `size` consecutive labels for each sample.
    size : int
        Number of labels of a group.

    Returns
    -------
    ndarray of shape (n, n_groups, size)
        Cosines; of any value where the last group has no such label.
    """
    n, n_groups = groups.shape
    samples = np.repeat(np.arange(n), n_groups)
    if not sp.issparse(X):
        block = torch.from_numpy(centroids.block)
        X, flat = torch.from_numpy(X).to(block.dtype), torch.from_numpy(groups.ravel())
        zeros = block.new_zeros(len(block))
        samples = torch.from_numpy(samples)
        result = grouped_linear(X, samples, flat, block, zeros, size).numpy()
    elif n < MIN_ROWS_FOR_GROUPS:
        labels = groups[:, :, None] * size + np.arange(size)
        labels = np.minimum(labels, len(centroids.block) - 1).reshape(n, -1)
        result = np.take_along_axis(similarities(centroids, X), labels, 1)
    else:
        result = child_scores(centroids.level(size), X, samples, groups.ravel())
    return result.reshape(n, n_groups, size)


def left_out_similarities(centroids, X, labels):
    """Return cosines as they are without the sample in its own labels' centroids.

    With the sum c of a label's samples, those of x are (x . c - 1) / |c - x|, and
    0 for the only sample of a label.

    Parameters
    ----------
    centroids : TrainingCentroids
        The centroids, of these samples (see `TrainingCentroids.take`).
    X : {CSR, ndarray} of shape (n, n_features)
        Training samples of unit length.
    labels : ndarray of shape (m,)
        Sorted labels, all of the samples' own among them.

    Returns
    -------
    ndarray of float32, of shape (n, m)
        Cosines.
    """
    rest = centroids.rows[labels].T
    result = _cosines(X, centroids.frequent, centroids.block[labels], rest)
    own = centroids.own.indices
    samples = np.repeat(np.arange(X.shape[0]), np.diff(centroids.own.indptr))
    pairs = samples, np.searchsorted(labels, own)
    product = result[pairs] * centroids.lengths[own] - centroids.own.data
    result[pairs] = product * centroids.scale.data
    return result
