"""A batch of samples, and the way from NumPy arrays to torch."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn import get_config
from torch import Tensor

from skmhe.labels.clustering import Rows as Rows
from skmhe.nn import SparseRows
from skmhe.scorers.parts import PartName, Samples, part_of

# Bounds the memory of features and of gathered rows, which scores do not count.
MAX_CHUNK_ROWS = 2048
BYTES_PER_SCORE = 4
BYTES_PER_MIB = 2**20


class Batch:
    """Samples that are scored together, and what several scorers need of them.

    Each is computed at most once.
    """

    def __init__(self, X: Samples, device: torch.device) -> None:
        self.X, self.device = X, device
        self._features: Tensor | SparseRows | None = None
        self._unit: dict[tuple[int, bool], Rows] = {}
        # Not a cached property: until Python 3.12, threads would wait for each other.
        self._tensor: Tensor | SparseRows | None = None

    def __len__(self) -> int:
        return self.X.shape[0]

    def part(self, name: PartName) -> Any:
        """Return what some scorers read of the samples."""
        return part_of(self.X, name)

    @property
    def tensor(self) -> Tensor | SparseRows:
        """The samples, for the network."""
        if self._tensor is None:
            self._tensor = rows_to_tensor(self.part("network"), self.device)
        return self._tensor

    def features(self, make: Callable[..., Any]) -> Any:
        """Return what the network's backbone, which is given, makes of the samples."""
        if self._features is None:
            known = getattr(self.X, "features", None)  # of `Featured`
            self._features = (
                make(self.tensor)
                if known is None
                else rows_to_tensor(known, self.device)
            )
        return self._features

    def unit_rows(self, sparse: bool | None = None, part: PartName = "linear") -> Rows:
        """Return the samples as `comparable_rows`, as CSR or dense, or as they are."""
        rows = self.part(part)
        sparse = sp.issparse(rows) if sparse is None else sparse
        key = id(rows), sparse
        if key not in self._unit:
            self._unit[key] = comparable_rows(in_form(rows, sparse))
        return self._unit[key]


def rows_per_chunk(scores_per_row: int) -> int:
    """Return how many rows' scores fit into scikit-learn's working memory."""
    memory = get_config()["working_memory"] * BYTES_PER_MIB
    fitting = int(memory // (scores_per_row * BYTES_PER_SCORE))
    return max(1, min(MAX_CHUNK_ROWS, fitting))


def row_chunks(n_rows: int, scores_per_row: int) -> Iterator[slice]:
    """Yield slices of rows whose scores fit into scikit-learn's working memory."""
    step = rows_per_chunk(scores_per_row)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def squared_lengths(X: Rows) -> np.ndarray:
    """Return the squared lengths of rows, shape (n,)."""
    if isinstance(X, np.ndarray):
        return np.einsum("ij,ij->i", X, X)
    return np.asarray(X.multiply(X).sum(1)).ravel()


def unit_rows(X: Rows) -> Rows:
    """Return rows scaled to unit length, in float32; rows of zeros stay as they are.

    Unlike scikit-learn's `normalize`, it does not take very short rows for zero.
    """
    if isinstance(X, np.ndarray):
        values = X.astype(np.float64)
        lengths = np.sqrt(squared_lengths(values))
        lengths[lengths == 0] = 1
        values /= lengths[:, None]  # in place: new memory costs more than to divide
        return values.astype(np.float32)
    values = X.data.astype(np.float64)
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    lengths = np.sqrt(np.bincount(rows, values * values, X.shape[0]))
    lengths[lengths == 0] = 1
    values /= lengths[rows]
    values = values.astype(np.float32)
    return sp.csr_array((values, X.indices, X.indptr), shape=X.shape)


def comparable_rows(X: Rows) -> Rows:
    """Return samples, or labels, as rows that are equal where both mean the same.

    Of unit length, but tokens are as they are.
    """
    if isinstance(X, np.ndarray):
        X = X.reshape(len(X), -1)
        if X.dtype.kind == "i":
            return X.astype(np.float64)
    return unit_rows(X)


def in_form(X: Rows, sparse: bool) -> Rows:
    """Return rows as CSR or as an array."""
    if isinstance(X, np.ndarray):
        return sp.csr_array(X) if sparse else X
    return X if sparse else X.toarray()


def take_rows(X: Any, rows: slice | Tensor) -> Any:
    """Return some rows of an array, given as a slice or as a tensor."""
    return X[rows if isinstance(rows, slice) else rows.cpu().numpy()]


def add_entries(scores: Tensor, entries: sp.csr_array | None) -> Tensor:
    """Add the entries of a sparse array to a tensor in place."""
    if entries is not None and entries.nnz:
        coo = entries.tocoo()
        rows, columns = (
            torch.from_numpy(c).to(scores.device).long() for c in (coo.row, coo.col)
        )
        values = torch.from_numpy(coo.data).to(scores)
        scores.index_put_((rows, columns), values, accumulate=True)
    return scores


def add_product(result: Tensor, a: sp.csr_array, b: sp.csr_array) -> None:
    """Add the product of two sparse arrays to a tensor in place.

    Where torch has the MKL, it adds them up where they belong; SciPy makes a sparse
    array first, and a dense one of that. Both arrays are of float32.
    """
    # torch warns that they are new: once, see below, unless it is asked to warn always.
    if HAS_SPARSE_PRODUCTS and not torch.is_warn_always_enabled():
        result.addmm_(_to_csr_tensor(a), _to_csr_tensor(b))
    else:
        result += torch.from_numpy((a @ b).toarray())


def dense_product(a: Rows, b: Rows) -> np.ndarray:
    """Return the product of two arrays, dense or sparse, as a dense one."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a @ b
    result = torch.zeros(a.shape[0], b.shape[1])
    add_product(result, a, b)
    return result.numpy()


def _to_csr_tensor(X: sp.csr_array) -> Tensor:
    starts, columns = (
        to_tensor(part.astype(np.int32, copy=False)) for part in (X.indptr, X.indices)
    )
    return torch.sparse_csr_tensor(
        starts, columns, to_tensor(X.data), size=X.shape, check_invariants=False
    )


def _has_sparse_products() -> bool:
    if not torch.backends.mkl.is_available():
        return False
    with warnings.catch_warnings():
        # The first such tensor of a process warns that they are new, and, in some
        # versions, that nothing is checked.
        about = "Sparse (CSR tensor support|invariant checks)"
        warnings.filterwarnings("ignore", about, UserWarning)
        _to_csr_tensor(sp.csr_array((1, 1), dtype=np.float32))
    return True


class _Writable:
    """A buffer that claims to be writable."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array  # keeps the memory alive
        interface = array.__array_interface__
        self.__array_interface__ = interface | {"data": (interface["data"][0], False)}


def to_tensor(array: np.ndarray) -> Tensor:
    """Wrap an array as a tensor on the CPU: the only way from NumPy to torch.

    No memory is copied if torch can use the array's. Read-only arrays (a memory map of
    another process's data) are shared, too: nothing here writes to what it was given,
    but torch, which has no read-only tensors, would warn each time.
    """
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    if not array.flags.writeable:
        array = np.asarray(_Writable(array)) if array.size else array.copy()
    return torch.from_numpy(array)


def rows_to_tensor(
    X: Rows, device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor | SparseRows:
    """Return a batch of samples, dense or CSR, on a device; tokens stay integers."""
    if isinstance(X, np.ndarray):
        tensor = to_tensor(X).to(device)
        return tensor if X.dtype.kind == "i" else tensor.to(dtype)
    indices, indptr, data = map(to_tensor, (X.indices, X.indptr, X.data))
    rows = SparseRows(indices, indptr, data, X.shape[1]).to(device)
    return rows._replace(values=rows.values.to(dtype))


# Whether torch multiplies sparse arrays; at import, as threads share what is warned of.
HAS_SPARSE_PRODUCTS = _has_sparse_products()
