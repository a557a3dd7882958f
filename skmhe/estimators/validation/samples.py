"""Samples, their weights, and the number of labels to predict."""

import functools
from collections.abc import Callable
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from skmhe.estimators._sklearn import check_sample_weight
from skmhe.scorers.batch import Rows
from skmhe.scorers.user_backbone import UserBackbone

# Labels that predict_topk returns, if there are so many.
DEFAULT_K = 5

Method = TypeVar("Method", bound=Callable[..., Any])


def unchanged_on_error(method: Method) -> Method:
    """Make a method that fits leave the estimator as it was if it fails."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = vars(self).copy()
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return wrapper  # type: ignore[return-value]


def check_fit_samples(
    estimator: BaseEstimator, X: Any, has_backbone: bool, reset: bool = True
) -> Rows:
    """Return finite samples: float32, or int64 (token ids) for a backbone.

    A user's backbone takes dense samples of any shape. The estimator gets
    `n_features_in_` and `feature_names_in_`; without `reset`, it must have the same.
    """
    if not has_backbone:
        X = validate_data(
            estimator, X, reset=reset, accept_sparse="csr", dtype=np.float32, order="C"
        )
        return canonical_rows(X)
    X = validate_data(
        estimator, X, reset=reset, dtype="numeric", order="C", allow_nd=True
    )
    if X.dtype.kind in "iu":
        return X.astype(np.int64, copy=False)
    return check_array(X, dtype=np.float32, order="C", allow_nd=True, input_name="X")


def check_predict_samples(
    estimator: BaseEstimator, X: Any, user_backbone: UserBackbone | None = None
) -> Rows:
    """Return samples like those that were fitted, to predict or to train further.

    What was fitted counts, such as a user's backbone, whatever the parameters are now.
    """
    if user_backbone is None and _is_plain(estimator, X):
        return canonical_rows(X)
    X = check_fit_samples(estimator, X, user_backbone is not None, reset=False)
    if user_backbone is not None:
        user_backbone.check_inputs(X)
    return X


def _is_plain(estimator: Any, X: Any) -> bool:
    """Tell whether samples are as they are wanted already.

    scikit-learn's own look at an array takes longer than to predict a row.
    """
    if type(X) not in (sp.csr_array, sp.csr_matrix) or X.dtype != np.float32:
        return False
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None or X.shape[0] == 0 or X.shape[1] != estimator.n_features_in_:
        return False
    return X.indices.dtype == np.int32 and bool(np.isfinite(X.data).all())


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
    weight = check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
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
