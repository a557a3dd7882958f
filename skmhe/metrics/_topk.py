"""Ranking of the top-k scores of each row, dense or sparse, with a rule for ties."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn import get_config

NO_PREDICTION = -1

# Larger chunks do not fit in the cache and are no faster, whatever working_memory is.
_CHUNK_BYTES = 2**25


def canonical_csr(matrix: Any) -> sp.csr_array:
    """Convert to CSR with sorted indices and summed duplicates.

    `matrix` stays as it is; the result may share its buffers.
    """
    csr = matrix.tocsr()
    # A new object on the same buffers, because cached format flags may be stale.
    csr = sp.csr_array((csr.data, csr.indices, csr.indptr), shape=csr.shape)
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return csr


def top_k_dense(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Rank the columns of the k largest scores of each row, shape (n_rows, k).

    Of equal scores, the lower column comes first. No score is NaN.
    """
    assert scores.ndim == 2 and 1 <= k <= scores.shape[1]
    columns = np.empty((scores.shape[0], k), dtype=np.int64)
    for rows in _row_chunks(*scores.shape):
        columns[rows] = _top_k_block(scores[rows], k)
    return columns


def top_k_sparse(scores: sp.csr_array, k: int) -> NDArray[np.int64]:
    """Do the same for canonical CSR, where only stored scores are predictions.

    They include explicit zeros. In rows with fewer than k, `NO_PREDICTION` follows.
    """
    assert scores.has_canonical_format and k >= 1
    ranked = np.full((scores.shape[0], k), NO_PREDICTION, dtype=np.int64)
    counts = np.diff(scores.indptr)
    # Rows of similar length are padded together, so that at most half of a block is
    # padding even if one row is a thousand times longer than the others.
    size_class = np.frexp(counts)[1]
    for size in np.unique(size_class[counts > 0]):
        members = np.flatnonzero(size_class == size)
        width = max(int(counts[members].max()), k)
        for chunk in _row_chunks(len(members), 2 * width):
            rows = members[chunk]
            ranked[rows] = _top_k_stored(scores, rows, width, k)
    return ranked


def _top_k_stored(
    scores: sp.csr_array, rows: NDArray[np.intp], width: int, k: int
) -> NDArray[np.int64]:
    """Rank the stored entries of the given CSR rows, padded to `width` columns."""
    starts, ends = scores.indptr[rows, None], scores.indptr[rows + 1, None]
    source = starts + np.arange(width)
    stored = source < ends  # shape: (n_rows, width)
    source = np.where(stored, source, 0)
    # Padding follows the stored entries, so that it loses ties even at -inf.
    places = _top_k_block(np.where(stored, scores.data[source], -np.inf), k)
    labels = scores.indices[np.take_along_axis(source, places, axis=1)]
    return np.where(np.take_along_axis(stored, places, axis=1), labels, NO_PREDICTION)


def _top_k_block(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    n_columns = scores.shape[1]
    # The k-th largest score of each row, shape: (n_rows, 1)
    cut = np.partition(scores, n_columns - k, axis=1)[:, n_columns - k, None]
    chosen = scores >= cut
    crowded = np.flatnonzero(np.count_nonzero(chosen, axis=1) > k)
    if crowded.size:
        chosen[crowded] = _cut_ties(scores[crowded], cut[crowded], k)
    columns = np.nonzero(chosen)[1].reshape(-1, k)
    # The columns are ascending, so that a stable sort leaves ties in that order.
    best = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def _cut_ties(scores: NDArray[Any], cut: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Mark exactly k columns per row, the lowest ones among those equal to `cut`."""
    above: NDArray[np.bool_] = scores > cut
    tied: NDArray[np.bool_] = scores == cut
    room = k - np.count_nonzero(above, axis=1, keepdims=True)
    return above | (tied & (np.cumsum(tied, axis=1, dtype=np.int32) <= room))


def _row_chunks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Yield slices of rows whose temporary arrays fit in scikit-learn's memory limit.

    The temporary arrays take about 24 bytes per element.
    """
    budget = min(get_config()["working_memory"] * 2**20, _CHUNK_BYTES)
    step = max(1, int(budget // (24 * max(1, n_columns))))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
