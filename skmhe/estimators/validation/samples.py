"""Samples, their weights, and the number of labels to predict."""

import reprlib
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from skmhe.estimators._sklearn import check_sample_weight
from skmhe.scorers.batch import Rows
from skmhe.scorers.user_backbone import UserBackbone

# Labels that predict_topk returns, if there are so many.
DEFAULT_K = 5
# Of the values of CSR samples, those that need no closer look: vectorizers' own.
PLAIN_TYPES = np.float32, np.float64


def check_fit_samples(
    estimator: BaseEstimator, X: Any, has_backbone: bool, reset: bool = True
) -> Rows:
    """Return finite samples: float32, or int64 (token ids) for a backbone.

    A user's backbone takes dense samples of any shape. The estimator gets
    `n_features_in_` and `feature_names_in_`; without `reset`, it must have the same.
    """
    try:
        if has_backbone:
            return _dense_samples(estimator, X, reset)
        X = validate_data(
            estimator, X, reset=reset, accept_sparse="csr", dtype=np.float32, order="C"
        )
    except ValueError as error:
        advice = _advice(type(estimator).__name__, X, has_backbone)
        if advice is None:
            raise
        raise ValueError(advice) from error
    return canonical_rows(X)


def _dense_samples(estimator: BaseEstimator, X: Any, reset: bool) -> np.ndarray:
    """Return samples for a backbone."""
    X = validate_data(
        estimator, X, reset=reset, dtype="numeric", order="C", allow_nd=True
    )
    if X.dtype.kind in "iu":
        return X.astype(np.int64, copy=False)
    return check_array(X, dtype=np.float32, order="C", allow_nd=True, input_name="X")


def _advice(name: str, X: Any, has_backbone: bool) -> str | None:
    """Return what to do about samples that scikit-learn refused, if that is known."""
    values = _values(X)
    if values is None:
        return None
    text = find_text(X)
    if text is not None:
        found = f"X holds texts, such as {reprlib.repr(text)}, but "
        if has_backbone:
            return found + (
                "a backbone needs numbers: pass token ids, integers of shape "
                "(n_samples, length), padded to one length."
            )
        return found + (
            f"{name} needs numbers: use make_pipeline(TfidfVectorizer(), {name}()) for "
            "a list of texts, OneHotEncoder() for columns of categories."
        )
    if _cells(values)[1]:
        return (
            "X has rows of different lengths, but needs the same number of values in "
            "each: pad tokens to one length, or pass a sparse matrix of features."
        )
    if values.ndim > 2 and not has_backbone:
        return (
            f"X has shape {values.shape}, but {name} takes (n_samples, n_features): "
            "pass backbone=, a torch.nn.Module that makes features of samples of shape "
            f"{values.shape[1:]}; or X.reshape(len(X), -1)."
        )
    return None


def find_text(X: Any) -> str | bytes | None:
    """Return a text that samples or their rows hold in place of numbers, if any."""
    values = _values(X)
    if values is None:
        return None
    cells, rows = _cells(values)
    inside = (cell for row in [cells, *rows] for cell in row)
    return next((cell for cell in inside if isinstance(cell, str | bytes)), None)


def _cells(values: np.ndarray) -> tuple[list[Any], list[Any]]:
    """Return the objects of an array, and those of them that are rows."""
    cells = [] if values.dtype != object else values.ravel().tolist()
    return cells, [c for c in cells if isinstance(c, list | tuple | np.ndarray)]


def _values(X: Any) -> np.ndarray | None:
    """Return samples as an array, of objects unless it is one of numbers already."""
    if sp.issparse(X):
        return None
    try:
        values = np.asarray(X)
    except ValueError:  # of different lengths
        return np.array(X, dtype=object)
    # Not a copy of numbers, which may be many.
    return values if values.dtype.kind in "biuf" else np.array(X, dtype=object)


def check_predict_samples(
    estimator: BaseEstimator, X: Any, user_backbone: UserBackbone | None = None
) -> Rows:
    """Return samples like those that were fitted, to predict or to train further.

    What was fitted counts, such as a user's backbone, whatever the parameters are now.
    """
    plain = _plain_samples(estimator, X) if user_backbone is None else None
    if plain is not None:
        return canonical_rows(plain)
    X = check_fit_samples(estimator, X, user_backbone is not None, reset=False)
    if user_backbone is not None:
        user_backbone.check_inputs(X)
    return X


def _plain_samples(estimator: Any, X: Any) -> Any:
    """Return CSR samples of the right width in float32; None for all others.

    scikit-learn's own look at an array takes longer than to predict a row.
    """
    if type(X) not in (sp.csr_array, sp.csr_matrix) or X.dtype not in PLAIN_TYPES:
        return None
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None or X.shape[0] == 0 or X.shape[1] != estimator.n_features_in_:
        return None
    with np.errstate(over="ignore"):  # what is too large is refused
        values = X.data.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        return None
    if values is X.data:
        return X
    return sp.csr_array((values, X.indices, X.indptr), shape=X.shape)


def canonical_rows(X: Any) -> Any:
    """Return CSR rows that are sorted, without duplicates and stored zeros."""
    if not sp.issparse(X):
        return X
    rows = sp.csr_array(X)
    if not rows.has_canonical_format or not np.all(rows.data):
        # The user's matrix is not ours to sort.
        rows = rows.copy()
        rows.sum_duplicates()
        rows.eliminate_zeros()
    return rows


def check_weight(sample_weight: Any, X: Rows) -> np.ndarray | None:
    """Return float64 weights of shape (n,), or None.

    Scaled so that the mean of those above 0 is 1: their unit means nothing.
    """
    if sample_weight is None:
        return None
    try:
        weight = check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"sample_weight must be {X.shape[0]} finite numbers of at least 0, one for "
            f"each sample: {error} (For weights of labels, use class_weight.)"
        ) from error
    if not np.any(weight):
        raise ValueError(
            "sample_weight is 0 for every sample: there is nothing to learn from. Pass "
            "a positive weight for some samples."
        )
    return weight / weight[weight > 0].mean()


def check_k(k: Any, n_labels: int) -> int:
    """Return the number `k` of labels to predict; for None, `DEFAULT_K` if possible."""
    if k is None:
        return min(DEFAULT_K, n_labels)
    is_integer = isinstance(k, Integral) and not isinstance(k, bool)
    if not is_integer or not 1 <= int(k) <= n_labels:
        raise ValueError(
            f"k={k!r} must be an integer from 1 to {n_labels}, the number of labels."
        )
    return int(k)
