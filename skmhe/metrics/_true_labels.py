"""Validation of true labels, and the one form that they are converted to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from skmhe.metrics._topk import canonical_csr

# An indicator, integer label indices, or one collection of labels per sample.
LabelsLike: TypeAlias = (
    ArrayLike | sp.sparray | sp.spmatrix | Sequence[Collection[Any] | NDArray[Any]]
)

# Keeps sample * n_labels + label within int64 for up to 2**32 samples.
_MAX_LABELS = 2**31

_FORMS = (
    "a 0/1 indicator (dense or scipy sparse, one column per label), one integer label "
    "index per sample, or one list of label indices per sample"
)


@dataclass(frozen=True)
class TrueLabels:
    """True labels of all samples, without duplicates: a CSR indicator without data.

    Sample i has the labels ``indices[indptr[i]:indptr[i + 1]]``.
    """

    indptr: NDArray[np.integer]  # shape: (n_samples + 1,)
    indices: NDArray[np.integer]  # shape: (n_true,)
    n_labels: int | None  # None if the input does not tell it: label indices or lists

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.indptr) - 1

    @property
    def counts(self) -> NDArray[np.integer]:
        """Number of true labels of each sample, ndarray of shape (n_samples,)."""
        return np.diff(self.indptr)

    @property
    def samples(self) -> NDArray[np.intp]:
        """Sample of each entry of `indices`, ndarray of shape (n_true,)."""
        return np.repeat(np.arange(self.n_samples), self.counts)

    @classmethod
    def from_flat(
        cls,
        indices: NDArray[np.integer],
        lengths: NDArray[np.integer],
        n_labels: int | None,
        name: str,
    ) -> "TrueLabels":
        """Build true labels from the concatenated labels of all samples.

        `lengths` is the number of labels of each sample, shape (n_samples,). Raises
        ValueError if a sample has the same label twice.
        """
        truth = cls(np.concatenate([[0], np.cumsum(lengths)]), indices, n_labels)
        width = int(indices.max(initial=0)) + 1
        keys = np.sort(truth.samples * width + indices)
        repeated = np.flatnonzero(keys[1:] == keys[:-1])
        if repeated.size:
            raise ValueError(
                f"{name} has the same label twice in sample "
                f"{keys[repeated[0]] // width}; list each label once."
            )
        return truth


def check_y_true(y_true: LabelsLike | TrueLabels, name: str = "y_true") -> TrueLabels:
    """Validate true labels in any of the accepted forms and convert them."""
    if isinstance(y_true, TrueLabels):
        return y_true
    if sp.issparse(y_true):
        truth = _from_sparse(y_true, name)
    elif is_nested(y_true):
        truth = _from_lists(y_true, name)
    else:
        truth = _from_array(as_array(y_true, name), name)
    if truth.n_samples == 0:
        raise ValueError(f"{name} is empty; pass at least one sample.")
    return truth


def is_nested(y: Any) -> bool:
    """Tell whether `y` is a sequence of label lists."""
    if getattr(y, "ndim", 1) != 1 or not hasattr(y, "__len__") or len(y) == 0:
        return False
    if hasattr(y, "dtype") and y.dtype != object:
        return False
    return _is_collection(next(iter(y)))


def flatten_lists(y: Any, name: str) -> tuple[NDArray[np.int64], list[Any]]:
    """Return the lengths of label lists, shape (n_samples,), and all of their labels.

    Raises ValueError if an item is not a list, or they look like rows of an indicator.
    """
    odd = next((i for i, row in enumerate(y) if not _is_collection(row)), None)
    if odd is not None:
        raise ValueError(
            f"{name} mixes label lists with single labels: the item of sample {odd} is "
            "not a list. Put the labels of every sample in a list, [label] for a "
            "single one."
        )
    lengths = np.fromiter(map(len, y), dtype=np.int64, count=len(y))
    labels = list(chain.from_iterable(y))
    _reject_nested_indicator(lengths, labels, name)
    return lengths, labels


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Convert to an array, with an error message that names the argument."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} has rows of different lengths.") from error


def check_index_range(
    indices: NDArray[np.integer], lowest: int, n_labels: int | None, name: str
) -> None:
    """Raise ValueError unless lowest <= index < n_labels for every index."""
    if indices.size == 0:
        return
    limit = _MAX_LABELS if n_labels is None else n_labels
    worst = indices.min() if indices.min() < lowest else indices.max()
    if worst < lowest or worst >= limit:
        padding = f" or {lowest} (no prediction)" if lowest < 0 else ""
        raise ValueError(
            f"{name} contains the label index {worst}, but label indices must be from "
            f"0 to {limit - 1}{padding}. Number the labels from 0, in the same way in "
            "y_true and y_pred."
        )


def _is_collection(row: Any) -> bool:
    return isinstance(row, (list, tuple, set, frozenset, np.ndarray))


def _reject_nested_indicator(
    lengths: NDArray[np.int64], labels: list[Any], name: str
) -> None:
    """Refuse lists that may be the labels 0 and 1 as well as rows of an indicator."""
    width = lengths[0]
    if width < 2 or (lengths != width).any():
        return
    if all(isinstance(v, Real) and v in (0, 1) for v in labels):
        raise ValueError(
            f"{name} is ambiguous: its lists of {width} zeros and ones each may be "
            "label lists or the rows of an indicator. Pass an indicator as "
            "numpy.asarray(...), and label lists as the result of "
            "MultiLabelBinarizer(sparse_output=True).fit_transform."
        )


def _from_lists(y_true: Any, name: str) -> TrueLabels:
    lengths, labels = flatten_lists(y_true, name)
    try:
        indices = np.array(labels if labels else np.zeros(0, dtype=np.int64))
    except ValueError as error:  # nested lists of different depth
        raise ValueError(f"{name} must be {_FORMS}.") from error
    _check_label_indices(indices, name)
    return TrueLabels.from_flat(indices.astype(np.int64), lengths, None, name)


def _from_array(y_true: NDArray[Any], name: str) -> TrueLabels:
    if y_true.ndim == 2 and y_true.dtype.kind in "buif":
        _check_zero_one(y_true, name)
        return _from_sparse(sp.csr_array(y_true), name)
    if y_true.ndim != 1:
        raise ValueError(
            f"{name} is an array of shape {y_true.shape} and dtype {y_true.dtype}; "
            f"pass {_FORMS}."
        )
    if y_true.size:  # the dtype of an empty list is float64
        _check_label_indices(y_true, name)
    return TrueLabels(np.arange(len(y_true) + 1), y_true.astype(np.int64), None)


def _from_sparse(y_true: Any, name: str) -> TrueLabels:
    if y_true.ndim != 2 or y_true.dtype.kind not in "buif":
        raise ValueError(
            f"{name} is sparse with shape {y_true.shape} and dtype {y_true.dtype}; a "
            "sparse indicator must be two-dimensional and numeric or bool."
        )
    csr = canonical_csr(y_true)
    _check_zero_one(csr.data, name)
    if not csr.data.all():
        csr = csr.copy()
        csr.eliminate_zeros()
    return TrueLabels(csr.indptr, csr.indices, csr.shape[1])


def _check_label_indices(indices: NDArray[Any], name: str) -> None:
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise ValueError(
            f"{name} contains labels of dtype {indices.dtype} instead of integer label "
            "indices; encode them first, for example with "
            f"sklearn.preprocessing.LabelEncoder. {name} must be {_FORMS}."
        )
    check_index_range(indices, 0, None, name)


def _check_zero_one(values: NDArray[Any], name: str) -> None:
    bad = (values != 0) & (values != 1)
    if bad.any():
        raise ValueError(
            f"{name} is interpreted as an indicator but contains {values[bad][0]}; "
            f"only 0 and 1 are allowed. Pass {_FORMS}."
        )
