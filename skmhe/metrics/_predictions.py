"""Validation of predictions, and their conversion to ranked label indices."""

from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skmhe.metrics._topk import (
    NO_PREDICTION,
    canonical_csr,
    top_k_dense,
    top_k_sparse,
)
from skmhe.metrics._true_labels import as_array, check_index_range


def check_k(k: int) -> None:
    """Raise ValueError unless `k` is a positive integer."""
    if not isinstance(k, Integral) or isinstance(k, (bool, np.bool_)) or k < 1:
        raise ValueError(f"k={k!r} must be an integer of at least 1.")


def check_y_pred(y_pred: Any) -> tuple[NDArray[Any] | sp.csr_array, int | None]:
    """Validate predictions, and return them with their number of labels.

    It is None for integers, which are ranked label indices. Floating-point numbers are
    scores with one column per label, and CSR of canonical format if they are sparse.
    """
    if sp.issparse(y_pred):
        is_scores = True
    else:
        y_pred = as_array(y_pred, "y_pred")
        is_scores = y_pred.dtype.kind == "f"
    if y_pred.ndim != 2 or y_pred.dtype.kind not in ("f" if is_scores else "iu"):
        raise ValueError(
            f"y_pred has shape {y_pred.shape} and dtype {y_pred.dtype}; pass a dense "
            "integer array of shape (n_samples, m) of ranked label indices, or "
            "floating-point scores of shape (n_samples, n_labels), dense or sparse. "
            "Convert integer scores with y_pred.astype(float)."
        )
    if not is_scores:
        return y_pred, None
    if sp.issparse(y_pred):
        y_pred = canonical_csr(y_pred)
    check_no_nan(y_pred.data if sp.issparse(y_pred) else y_pred, "y_pred")
    return y_pred, y_pred.shape[1]


def check_no_nan(scores: NDArray[Any], name: str) -> None:
    """Raise ValueError if a score is NaN."""
    # The minimum of an array with NaN is NaN; np.isnan would copy all scores.
    if scores.size and np.isnan(scores.min()):
        raise ValueError(
            f"{name} contains NaN, which cannot be ranked; replace NaN scores, for "
            "example by -inf for labels that must never be predicted."
        )


def rank_top_k(
    y_pred: NDArray[Any] | sp.csr_array, k: int, n_labels: int | None
) -> NDArray[np.int64]:
    """Rank the top-k labels of each sample, shape (n_samples, k), of checked `y_pred`.

    `NO_PREDICTION` stands where there is none. `n_labels` is None if it is not known.
    """
    n_columns = y_pred.shape[1]
    for limit, what in ((n_columns, "columns of y_pred"), (n_labels, "labels")):
        if limit is not None and k > limit:
            raise ValueError(
                f"k={k} is larger than the number of {what}, {limit}; pass k <= "
                f"{limit}."
            )
    if sp.issparse(y_pred):
        return top_k_sparse(y_pred, k)
    if y_pred.dtype.kind == "f":
        return top_k_dense(y_pred, k)
    return _check_ranked(y_pred[:, :k].astype(np.int64, copy=False), n_labels)


def _check_ranked(ranked: NDArray[np.int64], n_labels: int | None) -> NDArray[np.int64]:
    check_index_range(ranked, NO_PREDICTION, n_labels, "y_pred")
    in_order = np.sort(ranked, axis=1)
    repeated = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)
    if repeated.any():
        sample, place = np.argwhere(repeated)[0]
        raise ValueError(
            f"y_pred ranks the label index {in_order[sample, place]} twice in sample "
            f"{sample}; a label can be predicted only once per sample. An integer "
            "y_pred is interpreted as ranked label indices: pass scores as "
            "floating-point numbers."
        )
    return ranked
