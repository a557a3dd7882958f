"""Sparse rows as tensors, the form in which a batch of texts comes, and their product.

Also the checks of arguments that may be such rows.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class SparseRows(NamedTuple):
    """A batch of sparse rows in CSR form, as tensors on one device.

    Attributes
    ----------
    indices : Tensor of int, of shape (n_nonzeros,)
        Feature of each stored value.
    offsets : Tensor of int, of shape (n_rows + 1,)
        Where each row starts; the last is n_nonzeros.
    values : Tensor of float, of shape (n_nonzeros,)
        The stored values.
    n_features : int
        Number of columns.

    Examples
    --------
    The arrays of a CSR matrix of scipy, as tensors:

    >>> import torch
    >>> from scipy.sparse import csr_array
    >>> from skmhe.nn import InputLayer, SparseRows
    >>> X = csr_array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]])
    >>> rows = SparseRows(
    ...     torch.as_tensor(X.indices),
    ...     torch.as_tensor(X.indptr),
    ...     torch.as_tensor(X.data, dtype=torch.float32),
    ...     n_features=X.shape[1],
    ... )
    >>> rows.shape
    (2, 3)
    >>> InputLayer(3, 4)(rows).shape
    torch.Size([2, 4])
    """

    indices: Tensor
    offsets: Tensor
    values: Tensor
    n_features: int

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return (len(self.offsets) - 1, self.n_features)

    def to(self, device: torch.device | str) -> "SparseRows":
        """Return the same rows on another device."""
        indices, offsets, values = (tensor.to(device) for tensor in self[:3])
        return SparseRows(indices, offsets, values, self.n_features)

    def slice(self, rows: slice) -> "SparseRows":
        """Return the rows of a slice without a step."""
        offsets = self.offsets[rows.start : rows.stop + 1]
        stored = slice(int(offsets[0]), int(offsets[-1]))
        return SparseRows(
            self.indices[stored],
            offsets - offsets[0],
            self.values[stored],
            self.n_features,
        )

    def transpose(self) -> tuple[Tensor, "SparseRows"]:
        """Return the distinct features and the CSR form of their columns."""
        order = torch.argsort(self.indices, stable=True)
        features, counts = torch.unique_consecutive(
            self.indices[order], return_counts=True
        )
        offsets = F.pad(counts.cumsum(0), (1, 0)).to(self.offsets.dtype)
        n_rows = self.shape[0]
        rows = torch.arange(n_rows, device=order.device, dtype=self.indices.dtype)
        rows = torch.repeat_interleave(rows, self.offsets.diff())
        columns = SparseRows(rows[order], offsets, self.values[order], n_rows)
        return features.long(), columns

    def to_compact(self) -> tuple[Tensor, Tensor]:
        """Return the distinct features and the dense matrix of their columns."""
        features, columns = self.transpose()
        n_rows = self.shape[0]
        position = torch.repeat_interleave(
            torch.arange(len(features), device=features.device), columns.offsets.diff()
        )
        # shape: (n_rows, n_distinct)
        dense = self.values.new_zeros(n_rows, len(features))
        dense.index_put_(
            (columns.indices.long(), position), columns.values, accumulate=True
        )
        return features, dense


def check_tensor(name: str, value: object, *others: type) -> None:
    """Raise TypeError for arrays and lists, where a tensor is needed."""
    if not isinstance(value, (Tensor, *others)):
        raise TypeError(
            f"{name} must be a torch.Tensor, got {type(value).__name__}: "
            f"torch.as_tensor({name}) makes one."
        )


def check_width(name: str, rows: Tensor | SparseRows, width: int) -> None:
    """Raise ValueError if these are no rows of this width."""
    check_tensor(name, rows, SparseRows)
    shape = tuple(rows.shape)
    if len(shape) != 2 or shape[1] != width:
        raise ValueError(f"{name} must have shape (n, {width}), got {shape}.")


def sparse_product(rows: SparseRows, matrix: Tensor) -> Tensor:
    """Multiply sparse rows with a dense matrix of shape (n_features, n_out)."""
    return F.embedding_bag(
        rows.indices,
        matrix,
        rows.offsets,
        mode="sum",
        per_sample_weights=rows.values,
        include_last_offset=True,
    )
