"""Forms in which the same samples and targets can be given."""

import numpy as np
import pandas as pd
import scipy.sparse as sp


def with_explicit_zeros(array):
    """Return CSR that stores every entry."""
    n, m = array.shape
    indices = np.tile(np.arange(m), n)
    return sp.csr_matrix((array.ravel(), indices, np.arange(n + 1) * m), array.shape)


def with_int64_indices(array, container=sp.csr_matrix):
    """Return CSR whose indices have 64 bits."""
    matrix = container(array)
    matrix.indices = matrix.indices.astype(np.int64)
    matrix.indptr = matrix.indptr.astype(np.int64)
    return matrix


def unsorted(array):
    """Return CSR whose rows are reversed."""
    matrix = sp.csr_matrix(array)
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        matrix.indices[start:stop] = matrix.indices[start:stop][::-1].copy()
        matrix.data[start:stop] = matrix.data[start:stop][::-1].copy()
    matrix.has_sorted_indices = False
    return matrix


def unsorted_with_duplicates(array):
    """Return CSR whose rows are reversed, and hold each value as two halves."""
    rows = unsorted(array)
    data, indices = [], []
    for start, stop in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
        data += [rows.data[start:stop] / 2] * 2
        indices += [rows.indices[start:stop]] * 2
    matrix = sp.csr_matrix(
        (np.concatenate(data), np.concatenate(indices), 2 * rows.indptr), rows.shape
    )
    assert not matrix.has_canonical_format
    return matrix


def read_only_csr(array):
    """Return CSR that cannot be written to."""
    matrix = sp.csr_matrix(array)
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.flags.writeable = False
    return matrix


def read_only(array):
    """Return a copy that cannot be written to."""
    array = array.copy()
    array.flags.writeable = False
    return array


def negative_strides(array):
    """Return the same array, stored from its end to its start."""
    return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]


DENSE_SAMPLES = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "F-order": np.asfortranarray,
    "negative strides": negative_strides,
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "byte-swapped": lambda X: X.astype(X.dtype.newbyteorder()),
    "byte-swapped float32": lambda X: X.astype(">f4"),
    "read-only": read_only,
    "read-only float32": lambda X: read_only(X.astype(np.float32)),
    "lists": lambda X: X.tolist(),
    "object": lambda X: X.astype(object),
}
SPARSE_SAMPLES = {
    "csr_matrix": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "csc_matrix": sp.csc_matrix,
    "coo_array": sp.coo_array,
    "lil_matrix": sp.lil_matrix,
    "float32": lambda X: sp.csr_matrix(X.astype(np.float32)),
    "int64 indices": with_int64_indices,
    "unsorted, duplicates": unsorted_with_duplicates,
    "explicit zeros": with_explicit_zeros,
    "read-only": read_only_csr,
}
DENSE_INDICATORS = {
    "int64": lambda Y: Y,
    "uint8": lambda Y: Y.astype(np.uint8),
    "bool": lambda Y: Y.astype(bool),
    "float64": lambda Y: Y.astype(float),
    "float32": lambda Y: Y.astype(np.float32),
    "F-order": np.asfortranarray,
    "negative strides": negative_strides,
    "DataFrame": pd.DataFrame,
    "lists of 0 and 1": lambda Y: Y.tolist(),
    "tuples of 0 and 1": lambda Y: [tuple(row) for row in Y.tolist()],
    "list of arrays": list,
}
SPARSE_INDICATORS = {
    "csr_matrix": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "csc_matrix": sp.csc_matrix,
    "csc_array": sp.csc_array,
    "coo_matrix": sp.coo_matrix,
    "coo_array": sp.coo_array,
    "lil_matrix": sp.lil_matrix,
    "dok_array": sp.dok_array,
    "uint8": lambda Y: sp.csr_matrix(Y, dtype=np.uint8),
    "bool": lambda Y: sp.csr_array(Y, dtype=bool),
    "float": lambda Y: sp.csr_matrix(Y, dtype=float),
    "explicit zeros": with_explicit_zeros,
    "int64 indices": lambda Y: with_int64_indices(Y, sp.csr_array),
    "unsorted": unsorted,
    "read-only": read_only_csr,
}


def to_lists(Y, names=None):
    """Return the labels of each row of an indicator."""
    return [
        [int(j) if names is None else names[j] for j in np.flatnonzero(row)]
        for row in Y
    ]


def named(row_type):
    """Return what makes rows of a type that hold names of labels."""
    return lambda Y: [
        row_type(row) for row in to_lists(Y, [f"label {j}" for j in range(Y.shape[1])])
    ]


LISTS_OF_LABELS = {
    "ints": to_lists,
    "strings": named(list),
    "tuples": named(tuple),
    "sets": named(set),
    "frozensets": named(frozenset),
    "arrays": named(np.array),
    "array of lists": lambda Y: np.array(named(list)(Y), dtype=object),
    "a label twice": lambda Y: [row + row[:1] for row in to_lists(Y)],
}


def content(data):
    """Return copies of all arrays that make up some data."""
    if sp.issparse(data):
        if data.format in ("csr", "csc"):
            return [data.data.copy(), data.indices.copy(), data.indptr.copy()]
        data = data.tocoo()
        return [data.data.copy(), *(c.copy() for c in data.coords)]
    return [np.array(data, copy=True)]
