"""What several classes of models use; needs joblib, NumPy and SciPy only."""

from pathlib import Path

import joblib
import numpy as np
import scipy.sparse as sp

N_THREADS = 2
BEAM_WIDTH = 10


def to_indicator(y, n_labels):
    """Return targets as a CSR indicator."""
    if y.ndim == 2:
        return sp.csr_matrix(y, dtype=np.float32)
    n = len(y)
    entries = (np.ones(n, np.float32), y, np.arange(n + 1))
    return sp.csr_matrix(entries, shape=(n, n_labels))


def folder_size(path):
    """Return the bytes of a file, or of all files of a folder."""
    path = Path(path)
    if path.is_file():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


class Pickled:
    """What is written to disk by joblib: a pickle, without a copy in memory."""

    def save(self, path):
        joblib.dump(self.model, path)


def row_text(X, i):
    """Return the features of a row as "index:value" words."""
    a, b = X.indptr[i], X.indptr[i + 1]
    pairs = zip(X.indices[a:b].tolist(), X.data[a:b].tolist(), strict=True)
    return " ".join(f"{j}:{value:.6g}" for j, value in pairs)


def dense_labels(rows, k):
    """Return ranked labels as an array, -1 where there are fewer than k."""
    labels = np.full((len(rows), k), -1, dtype=np.int64)
    for i, row in enumerate(rows):
        labels[i, : min(k, len(row))] = row[:k]
    return labels
