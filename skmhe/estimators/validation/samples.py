"""Samples, their weights, and the number of labels to predict."""

import reprlib
from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from skmhe.estimators._sklearn import check_sample_weight
from skmhe.scorers.batch import Rows
from skmhe.scorers.parts import PART_NAMES, Parts, Samples
from skmhe.scorers.user_backbone import UserBackbone

# Labels that predict_topk returns, if there are so many.
DEFAULT_K = 5
# Of the values of CSR samples, those that need no closer look: vectorizers' own.
PLAIN_TYPES = np.float32, np.float64


def check_fit_samples(
    estimator: BaseEstimator, X: Any, has_backbone: bool, reset: bool = True
) -> Samples:
    """Return finite samples: float32, or int64 (token ids) for a backbone.

    A user's backbone takes dense samples of any shape. The estimator gets
    `n_features_in_` and `feature_names_in_`; without `reset`, it must have the same.
    Of samples that have parts, it gets the number of all features.
    """
    name = type(estimator).__name__
    if not isinstance(X, Parts):
        check = partial(validate_data, estimator, reset=reset)
        return _checked_rows(check, X, has_backbone, name, "X")
    check = partial(check_array, estimator=estimator)
    parts = Parts(
        network=_checked_rows(check, X.network, has_backbone, name, "X.network"),
        linear=_checked_rows(check, X.linear, False, name, "X.linear"),
    )
    if reset:
        estimator.n_features_in_ = sum(parts.widths)
        vars(estimator).pop("feature_names_in_", None)
    return parts


def _checked_rows(
    check: Callable[..., Any], X: Any, has_backbone: bool, name: str, shown: str
) -> Rows:
    """Return a part of the samples, or all of them, by a check of scikit-learn."""
    check = partial(check, order="C")
    try:
        if has_backbone:
            return _dense_rows(check, X, shown)
        rows = check(X, accept_sparse="csr", dtype=np.float32)
    except (ValueError, TypeError) as error:
        advice = _advice(name, X, has_backbone, shown)
        if advice is None and shown in str(error):
            raise
        raise type(error)(advice or f"{shown}: {error}") from error
    return canonical_rows(rows)


def _dense_rows(check: Callable[..., Any], X: Any, shown: str) -> np.ndarray:
    """Return samples for a backbone."""
    rows = check(X, dtype="numeric", allow_nd=True)
    if rows.dtype.kind in "iu":
        return rows.astype(np.int64, copy=False)
    return check_array(
        rows, dtype=np.float32, order="C", allow_nd=True, input_name=shown
    )


def _advice(name: str, X: Any, has_backbone: bool, shown: str) -> str | None:
    """Return what to do about samples that scikit-learn refused, if that is known."""
    if sp.issparse(X) and has_backbone:
        return (
            f"{shown} is sparse, but a backbone takes dense tensors: pass "
            f"{shown}.toarray(), the tokens that skmhe.text.Tokenizer makes of texts "
            "to a transformer, or FeatureParts(network=..., linear=...) for both kinds."
        )
    values = _values(X)
    if values is None:
        return None
    text = find_text(X)
    if text is not None:
        found = f"{shown} holds texts, such as {reprlib.repr(text)}, but "
        if has_backbone:
            return found + (
                "a backbone needs numbers: pass token ids, integers of shape "
                "(n_samples, length), padded to one length, as skmhe.text.Tokenizer "
                "makes them for a transformer."
            )
        return found + (
            f"{name} needs numbers: use make_pipeline(TfidfVectorizer(), {name}()) for "
            "a list of texts (or skmhe.text.TransformerVectorizer), OneHotEncoder() "
            "for columns of categories."
        )
    if _cells(values)[1]:
        return (
            f"{shown} has rows of different lengths, but needs the same number of "
            "values in each: pad tokens to one length, or pass a sparse matrix of "
            "features."
        )
    if values.ndim > 2 and not has_backbone:
        return (
            f"{shown} has shape {values.shape}, but {name} takes (n_samples, "
            "n_features): pass backbone=, a torch.nn.Module that makes features of "
            f"samples of shape {values.shape[1:]}; or X.reshape(len(X), -1)."
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
    estimator: BaseEstimator,
    X: Any,
    user_backbone: UserBackbone | None = None,
    widths: tuple[int, int] | None = None,
) -> Samples:
    """Return samples like those that were fitted, to predict or to train further.

    What was fitted counts, such as a user's backbone, whatever the parameters are now;
    and the widths of the parts, None if samples had none.
    """
    name = type(estimator).__name__
    if isinstance(X, Parts) != (widths is not None):
        raise ValueError(_other_form(name, X))
    plain = None
    if user_backbone is None and widths is None:
        plain = _plain_samples(estimator, X)
    if plain is not None:
        return canonical_rows(plain)
    X = check_fit_samples(estimator, X, user_backbone is not None, reset=False)
    if user_backbone is not None:
        user_backbone.check_inputs(X)
    if widths is not None:
        for part, width, fitted in zip(PART_NAMES, X.widths, widths, strict=True):
            if width != fitted:
                raise ValueError(
                    f"X.{part} has {width} features, but {name} was fitted with "
                    f"{fitted}: make the parts by the transformers that made those of "
                    "fit."
                )
    return X


def _other_form(name: str, X: Any) -> str:
    """Return the error of samples with parts in place of those without, or reverse."""
    if isinstance(X, Parts):
        return (
            f"X={X!r} has two parts, but {name} was fitted with a single array: pass "
            "one, or fit with Parts."
        )
    return (
        f"X is of type {type(X).__name__}, but {name} was fitted with Parts: pass "
        "skmhe.Parts(network=..., linear=...), made as those of fit."
    )


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
