"""Turn what users pass as y_true and y_pred into one canonical form each.

True labels become a `TrueLabels` (the index part of a CSR indicator), predictions
become ranked label indices of shape (n_rows, k). Every input error is raised here.
"""

from dataclasses import dataclass
from itertools import chain
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp

from skmhe.metrics._topk import (
    NO_PREDICTION,
    canonical_csr,
    top_k_dense,
    top_k_sparse,
)

# Keeps row * n_labels + label within int64 for up to 2**32 rows.
_MAX_LABELS = 2**31

_Y_TRUE_FORMS = (
    "a 0/1 indicator (dense or scipy sparse, one column a label), integer label "
    "indices (one a row), or one list of label indices a row"
)


@dataclass(frozen=True)
class TrueLabels:
    """The true labels of every row, without duplicates.

    Attributes
    ----------
    indptr : ndarray of shape (n_rows + 1,)
        Row i holds `indices[indptr[i]:indptr[i + 1]]`.
    indices : ndarray of shape (n_true,)
        Label indices, row after row.
    n_labels : int or None
        Number of labels; None when the input only shows an index for each true label.
    """

    indptr: np.ndarray
    indices: np.ndarray
    n_labels: int | None

    @property
    def n_rows(self):
        """Number of rows."""
        return len(self.indptr) - 1

    @property
    def counts(self):
        """Number of true labels of each row, shape (n_rows,)."""
        return np.diff(self.indptr)

    @property
    def rows(self):
        """Row of each entry of `indices`, shape (n_true,)."""
        return np.repeat(np.arange(self.n_rows), self.counts)


# ------------------------------------------------------------------ true labels


def check_y_true(y_true, name="y_true"):
    """Return `y_true` as `TrueLabels`."""
    if isinstance(y_true, TrueLabels):
        return y_true
    if sp.issparse(y_true):
        truth = _from_sparse(y_true, name)
    elif is_nested(y_true):
        truth = _from_lists(y_true, name)
    else:
        truth = _from_array(_as_array(y_true, name), name)
    if truth.n_rows == 0:
        raise ValueError(f"{name} is empty; pass at least one row.")
    return truth


def is_nested(y):
    """Tell whether `y` is a sequence of label lists."""
    if getattr(y, "ndim", 1) != 1 or not hasattr(y, "__len__") or len(y) == 0:
        return False
    if hasattr(y, "dtype") and y.dtype != object:
        return False
    return _is_collection(next(iter(y)))


def flatten_lists(y, name):
    """Return the length of each label list and all their labels in one list."""
    odd = next((i for i, row in enumerate(y) if not _is_collection(row)), None)
    if odd is not None:
        raise ValueError(
            f"{name} mixes label lists with single labels: row {odd} is not a list. "
            "Put every row in a list, [label] for a single one."
        )
    lengths = np.fromiter(map(len, y), dtype=np.int64, count=len(y))
    labels = list(chain.from_iterable(y))
    _reject_nested_indicator(lengths, labels, name)
    return lengths, labels


def true_labels_from_flat(indices, lengths, n_labels, name):
    """Build `TrueLabels` from concatenated label indices; a row's labels must differ.

    Parameters
    ----------
    indices : ndarray of shape (n_true,)
        Label indices, row after row.
    lengths : ndarray of shape (n_rows,)
        Number of labels of each row.
    n_labels : int or None
        Number of labels, if known.
    name : str
        Name of the argument, for error texts.

    Returns
    -------
    TrueLabels
    """
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.repeat(np.arange(len(lengths)), lengths)
    width = int(indices.max(initial=0)) + 1
    keys = np.sort(rows * width + indices)
    repeated = np.flatnonzero(keys[1:] == keys[:-1])
    if repeated.size:
        row = keys[repeated[0]] // width
        raise ValueError(
            f"{name} holds the same label twice in row {row}; list each label once."
        )
    return TrueLabels(indptr, indices, n_labels)


def _as_array(values, name):
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} has rows of different lengths.") from error


def _is_collection(row):
    return isinstance(row, (list, tuple, set, frozenset, np.ndarray))


def _reject_nested_indicator(lengths, labels, name):
    """Refuse nested lists that read both as labels {0, 1} and as an indicator."""
    width = lengths[0]
    if width < 2 or (lengths != width).any():
        return
    if all(isinstance(v, Real) and v in (0, 1) for v in labels):
        raise ValueError(
            f"{name} is a nested list of {width} zeros and ones a row, which may be an "
            "indicator or label lists. For an indicator pass numpy.asarray(...); for "
            "label lists pass MultiLabelBinarizer(sparse_output=True).fit_transform's "
            "result."
        )


def _from_lists(y_true, name):
    lengths, labels = flatten_lists(y_true, name)
    if not labels:
        return TrueLabels(np.zeros(len(lengths) + 1, np.int64), np.zeros(0, int), None)
    try:
        indices = np.array(labels)
    except ValueError as error:  # lists of different depth
        raise ValueError(f"{name} must be {_Y_TRUE_FORMS}.") from error
    _check_label_indices(indices, name)
    return true_labels_from_flat(indices.astype(np.int64), lengths, None, name)


def _from_array(y_true, name):
    if y_true.ndim == 2 and y_true.dtype.kind in "buif":
        _check_zero_one(y_true, name)
        return _from_sparse(sp.csr_array(y_true), name)
    if y_true.ndim == 1 and y_true.size == 0:
        return TrueLabels(np.zeros(1, np.int64), np.zeros(0, np.int64), None)
    if y_true.ndim != 1:
        raise ValueError(
            f"{name} is an array of shape {y_true.shape} and dtype {y_true.dtype}; "
            f"pass {_Y_TRUE_FORMS}."
        )
    _check_label_indices(y_true, name)
    indptr = np.arange(len(y_true) + 1)
    return TrueLabels(indptr, y_true.astype(np.int64), None)


def _check_label_indices(indices, name):
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise ValueError(
            f"{name} holds labels of dtype {indices.dtype}, not integer label indices; "
            "encode them first, e.g. with sklearn.preprocessing.LabelEncoder (pass "
            f"{_Y_TRUE_FORMS})."
        )
    _check_range(indices, 0, None, name)


def _check_range(indices, lowest, n_labels, name):
    """Raise unless lowest <= index < n_labels for every index."""
    if indices.size == 0:
        return
    limit = _MAX_LABELS if n_labels is None else n_labels
    worst = indices.min() if indices.min() < lowest else indices.max()
    if worst < lowest or worst >= limit:
        padding = f" or {NO_PREDICTION} (no prediction)" if lowest < 0 else ""
        raise ValueError(
            f"{name} holds label index {worst}; allowed are 0 to {limit - 1}{padding}. "
            "Number the labels alike in y_true and y_pred, from 0."
        )


def _from_sparse(y_true, name):
    if y_true.ndim != 2 or y_true.dtype.kind not in "buif":
        raise ValueError(
            f"{name} is sparse with shape {y_true.shape} and dtype {y_true.dtype}; a "
            "sparse indicator must be two-dimensional, numeric or bool."
        )
    csr = canonical_csr(y_true)
    _check_zero_one(csr.data, name)
    if not csr.data.all():
        csr = csr.copy()
        csr.eliminate_zeros()
    return TrueLabels(csr.indptr, csr.indices, csr.shape[1])


def _check_zero_one(values, name):
    if values.dtype.kind == "b":
        return
    bad = (values != 0) & (values != 1)
    if bad.any():
        raise ValueError(
            f"{name} is read as an indicator but holds {values[bad][0]}; only 0 and 1 "
            f"are allowed. Pass {_Y_TRUE_FORMS}."
        )


# ------------------------------------------------------------------ predictions


def check_k(k):
    """Raise unless `k` is a positive integer."""
    if not isinstance(k, Integral) or isinstance(k, (bool, np.bool_)) or k < 1:
        raise ValueError(f"k={k!r} must be an integer of at least 1.")


def check_y_pred(y_pred, k, n_labels):
    """Return ranked label indices of shape (n_rows, k).

    Parameters
    ----------
    y_pred : {ndarray, sparse matrix} of shape (n_rows, m)
        Integer ranked indices, or floating-point scores with one column a label.
    k : int
        Number of leading predictions wanted, already validated as >= 1.
    n_labels : int or None
        Number of labels, where known from the other arguments.

    Returns
    -------
    ranked : ndarray of shape (n_rows, k), dtype int64
        Best label first; `NO_PREDICTION` where there is none.
    n_labels : int or None
        Number of labels, now also from the columns of the scores.
    """
    if sp.issparse(y_pred):
        is_scores = True
    else:
        y_pred = _as_array(y_pred, "y_pred")
        is_scores = y_pred.dtype.kind == "f"
    if y_pred.ndim != 2 or y_pred.dtype.kind not in ("f" if is_scores else "iu"):
        raise ValueError(
            f"y_pred has shape {y_pred.shape} and dtype {y_pred.dtype}; pass a dense "
            "integer array (n_rows, m) of ranked label indices, or floating-point "
            "scores (n_rows, n_labels), dense or sparse (.astype(float))."
        )
    if not is_scores:
        _check_k_fits(k, y_pred.shape[1], n_labels)
        return _check_ranked(y_pred, k, n_labels), n_labels
    n_labels = check_n_labels(y_pred=y_pred.shape[1], other_arguments=n_labels)
    _check_k_fits(k, n_labels, n_labels)
    top_k = top_k_sparse if sp.issparse(y_pred) else top_k_dense
    return top_k(y_pred, k), n_labels


def _check_k_fits(k, n_columns, n_labels):
    if k > n_columns or (n_labels is not None and k > n_labels):
        what = "columns of y_pred" if k > n_columns else "labels"
        limit = n_columns if k > n_columns else n_labels
        raise ValueError(
            f"k={k} is larger than the number of {what}, {limit}; pass k <= {limit}."
        )


def _check_ranked(y_pred, k, n_labels):
    ranked = y_pred[:, :k].astype(np.int64, copy=False)
    _check_range(ranked, NO_PREDICTION, n_labels, "y_pred")
    in_order = np.sort(ranked, axis=1)
    repeated = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)
    if repeated.any():
        row, place = np.argwhere(repeated)[0]
        raise ValueError(
            f"y_pred ranks label index {in_order[row, place]} twice in row {row}; a "
            "label can be predicted once a row. An integer y_pred is read as ranked "
            "label indices: pass scores as floating-point numbers."
        )
    return ranked


# ------------------------------------------------------------- the other arguments


def check_n_labels(**known):
    """Return the number of labels all arguments agree on; None where none tells it."""
    counts = {name: count for name, count in known.items() if count is not None}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise ValueError(
            f"The numbers of labels differ ({told}); give every argument one column or "
            "entry for each label."
        )
    return next(iter(counts.values()), None)


def check_same_length(n_true, n_pred):
    """Raise unless y_true and y_pred have the same number of rows."""
    if n_true != n_pred:
        raise ValueError(
            f"y_true has {n_true} rows but y_pred has {n_pred}; both need one row a "
            "sample."
        )


def check_truth_range(truth, n_labels):
    """Raise unless every true label index is below `n_labels`."""
    _check_range(truth.indices, 0, n_labels, "y_true")


def check_propensities(propensities):
    """Return propensities as a float64 array of shape (n_labels,), each in (0, 1]."""
    values = np.asarray(propensities)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "uif":
        raise ValueError(
            f"propensities has shape {values.shape} and dtype {values.dtype}; pass one "
            "number in (0, 1] for each label, e.g. skmhe.metrics.propensities(y_train)."
        )
    bad = ~((values > 0) & (values <= 1))
    if bad.any():
        raise ValueError(
            f"propensities holds {values[bad][0]} for label index {bad.argmax()}; "
            "each must be in (0, 1] (propensities, not their inverses)."
        )
    return values.astype(np.float64, copy=False)


def check_sample_weight(sample_weight, n_rows):
    """Return weights as float64 of shape (n_rows,), or None."""
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    if weights.shape != (n_rows,) or weights.dtype.kind not in "buif":
        raise ValueError(
            f"sample_weight has shape {weights.shape} and dtype {weights.dtype}; pass "
            f"one number for each of the {n_rows} rows."
        )
    weights = weights.astype(np.float64, copy=False)
    if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() == 0:
        raise ValueError(
            "sample_weight must be finite, not negative and not zero for every row; "
            f"got values from {weights.min()} to {weights.max()}."
        )
    return weights


def check_positive(value, name, *, zero_allowed):
    """Raise unless `value` is a finite number above (or at) zero."""
    valid = isinstance(value, Real) and np.isfinite(value)
    if not valid or value < 0 or (value == 0 and not zero_allowed):
        bound = "at least 0" if zero_allowed else "above 0"
        raise ValueError(f"{name}={value!r} must be a finite number {bound}.")
