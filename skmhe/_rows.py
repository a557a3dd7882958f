"""Samples of unit length, as similarities and linear classifiers take them."""

import numpy as np
import scipy.sparse as sp


def unit_rows(X, dtype=np.float32):
    """Return samples scaled to unit length.

    Unlike scikit-learn's `normalize`, it does not take very short rows for zero.

    Parameters
    ----------
    X : {ndarray, CSR} of shape (n, n_features)
        Samples.
    dtype : dtype, default=float32
        Precision of the result.

    Returns
    -------
    {ndarray, CSR} of shape (n, n_features)
        Rows of length 1, or 0.
    """
    is_sparse = sp.issparse(X)
    values = (X.data if is_sparse else X).astype(np.float64)
    if is_sparse:
        rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        squares = np.bincount(rows, values * values, X.shape[0])
    else:
        squares = np.einsum("ij,ij->i", values, values)
    lengths = np.sqrt(squares)
    lengths[lengths == 0] = 1
    if not is_sparse:
        return (values / lengths[:, None]).astype(dtype)
    values = (values / lengths[rows]).astype(dtype)
    return sp.csr_array((values, X.indices, X.indptr), shape=X.shape)
