"""Similarities of samples to the labels' centroids, in training without themselves."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

# The features that occur in most centroids are multiplied as a dense block: few
# features have most of the stored values, and a sparse product goes through each.
N_FREQUENT = 32
TINY = np.float32(1e-12)


class Centroids(NamedTuple):
    """Centroids of unit length: the normalised sums of each label's unit samples."""

    frequent: np.ndarray  # features of the dense block; shape: (m,)
    block: np.ndarray  # float32, shape: (n_labels, m)
    indptr: np.ndarray  # the other features, as CSR of shape (n_features, n_labels)
    indices: np.ndarray
    values: np.ndarray

    @property
    def rest(self):
        """The part outside of the dense block: the labels of each feature."""
        shape = (len(self.indptr) - 1, len(self.block))
        return sp.csr_array((self.values, self.indices, self.indptr), shape=shape)


class TrainingCentroids(NamedTuple):
    """The same as rows of labels, and what it takes to leave a sample out."""

    frequent: np.ndarray
    block: np.ndarray
    rows: sp.csr_array  # shape: (n_labels, n_features)
    lengths: np.ndarray  # float32, before normalisation; shape: (n_labels,)

    def by_feature(self):
        """Return the centroids in the form that predictions need."""
        rest = sp.csr_array(self.rows.T)
        return Centroids(
            self.frequent, self.block, rest.indptr, rest.indices, rest.data
        )


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
        return TrainingCentroids(np.arange(X.shape[1]), block, none, lengths)
    sums.sort_indices()
    squares = np.asarray(sums.multiply(sums).sum(1)).ravel()
    lengths = np.sqrt(squares).astype(np.float32)
    row_lengths = np.repeat(np.maximum(lengths, TINY), np.diff(sums.indptr))
    sums.data = (sums.data / row_lengths).astype(np.float32)
    counts = np.bincount(sums.indices, minlength=X.shape[1])
    frequent = np.sort(np.argsort(-counts, kind="stable")[:N_FREQUENT])
    block = sums[:, frequent].toarray()
    return TrainingCentroids(frequent, block, _without(sums, frequent), lengths)


def _without(X, features):
    """Return a copy of sparse rows without the values of some features."""
    kept = np.ones(X.shape[1], bool)
    kept[features] = False
    kept = kept[X.indices]
    starts = np.concatenate([[0], np.cumsum(kept)])[X.indptr]
    return sp.csr_array((X.data[kept], X.indices[kept], starts), shape=X.shape)


def _cosines(X, frequent, block, rest):
    """Return the product of samples and centroids, in two parts."""
    # By torch, whose threads would wait for those of NumPy's products.
    dense = torch.from_numpy(X[:, frequent].toarray() if sp.issparse(X) else X)
    result = (dense @ torch.from_numpy(block).to(dense.dtype).T).numpy()
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


def left_out_similarities(centroids, X, y, labels, weight=None):
    """Return cosines as they are without the sample in its own label's centroid.

    With the sum c of the label's samples, those of x are (x . c - 1) / |c - x|, and
    0 for the only sample of a label.

    Parameters
    ----------
    centroids : TrainingCentroids
        The centroids.
    X : {CSR, ndarray} of shape (n, n_features)
        Training samples of unit length.
    y : ndarray of shape (n,)
        Each sample's label.
    labels : ndarray of shape (m,)
        Sorted labels, all of `y` among them.
    weight : ndarray of shape (n,), default=None
        Weights that the samples have in the sums.

    Returns
    -------
    ndarray of float32, of shape (n, m)
        Cosines.
    """
    rest = centroids.rows[labels].T
    result = _cosines(X, centroids.frequent, centroids.block[labels], rest)
    own = np.arange(len(y)), np.searchsorted(labels, y)
    weight = np.float32(1) if weight is None else weight
    # Of a sample: 1, or 0 for an empty one.
    square = np.diff(X.indptr) > 0 if sp.issparse(X) else X.any(1)
    length = centroids.lengths[y]
    product = result[own] * length
    rest = length**2 - 2 * weight * product + weight**2 * square
    alone = rest <= 1e-4 * weight**2
    left = (product - weight * square) / np.sqrt(np.where(alone, 1, rest))
    result[own] = np.where(alone, 0, left)
    return result
