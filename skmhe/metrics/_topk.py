"""The k largest scores of each row, dense or CSR, with an exact rule for ties."""

import numpy as np
import scipy.sparse as sp
from sklearn import get_config

NO_PREDICTION = -1

# Larger chunks leave the cache and run no faster, whatever working_memory allows.
_CHUNK_BYTES = 2**25


def canonical_csr(matrix):
    """Return CSR with sorted indices and no duplicates; never write into `matrix`."""
    csr = matrix.tocsr()
    # A new object on the same buffers: cached format flags may be stale.
    csr = sp.csr_array((csr.data, csr.indices, csr.indptr), shape=csr.shape)
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return csr


def top_k_dense(scores, k):
    """Return the columns of the k largest scores of each row; ties: lower column first.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_columns)
        Scores; NaN is refused, infinities rank as numbers.
    k : int
        At most n_columns.

    Returns
    -------
    columns : ndarray of shape (n_rows, k), dtype int64
    """
    assert scores.ndim == 2 and k <= scores.shape[1]
    columns = np.empty((scores.shape[0], k), dtype=np.int64)
    for rows in _row_chunks(scores.shape[0], scores.shape[1]):
        _reject_nan(scores[rows])
        columns[rows] = _top_k_block(scores[rows], k)
    return columns


def top_k_sparse(scores, k):
    """Return the labels of the k largest stored scores of each row.

    Only stored entries (explicit zeros too) are predictions; a row with fewer than k
    of them ends in `NO_PREDICTION`. Ties: lower label first.
    """
    scores = canonical_csr(scores)
    _reject_nan(scores.data)
    ranked = np.full((scores.shape[0], k), NO_PREDICTION, dtype=np.int64)
    counts = np.diff(scores.indptr)
    # Rows of similar length are padded together: at most half of a block is padding,
    # even if one row is a thousand times longer than the others.
    size_class = np.frexp(counts)[1]
    for size in np.unique(size_class[counts > 0]):
        members = np.flatnonzero(size_class == size)
        width = max(int(counts[members].max()), k)
        for chunk in _row_chunks(len(members), 2 * width):
            rows = members[chunk]
            ranked[rows] = _top_k_stored(scores, rows, width, k)
    return ranked


def _top_k_stored(scores, rows, width, k):
    """Rank the stored entries of the given CSR rows, padded to `width` columns."""
    starts, ends = scores.indptr[rows, None], scores.indptr[rows + 1, None]
    source = starts + np.arange(width)
    stored = source < ends  # shape: (rows, width)
    source = np.where(stored, source, 0)
    # Padding comes after all stored entries, so that it loses ties even at -inf.
    places = _top_k_block(np.where(stored, scores.data[source], -np.inf), k)
    labels = scores.indices[np.take_along_axis(source, places, axis=1)]
    return np.where(np.take_along_axis(stored, places, axis=1), labels, NO_PREDICTION)


def _top_k_block(scores, k):
    n_columns = scores.shape[1]
    # shape: (rows, 1), the k-th largest score
    cut = np.partition(scores, n_columns - k, axis=1)[:, n_columns - k, None]
    chosen = scores >= cut
    crowded = np.flatnonzero(np.count_nonzero(chosen, axis=1) > k)
    if crowded.size:
        chosen[crowded] = _cut_ties(scores[crowded], cut[crowded], k)
    columns = np.nonzero(chosen)[1].reshape(-1, k)
    # Columns are ascending here, so a stable sort leaves ties in label order.
    best = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def _cut_ties(scores, cut, k):
    """Mark exactly k columns a row, the lowest ones among those equal to `cut`."""
    above = scores > cut
    tied = scores == cut
    room = k - np.count_nonzero(above, axis=1, keepdims=True)
    return above | (tied & (np.cumsum(tied, axis=1, dtype=np.int32) <= room))


def _row_chunks(n_rows, n_columns):
    """Yield slices of rows whose temporaries (about 24 bytes a cell) fit in memory."""
    budget = min(get_config()["working_memory"] * 2**20, _CHUNK_BYTES)
    step = max(1, int(budget // (24 * max(1, n_columns))))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def _reject_nan(scores):
    if np.isnan(scores).any():
        raise ValueError(
            "y_pred holds NaN scores, which have no rank; replace them, e.g. by -inf "
            "for labels that must not be predicted."
        )
