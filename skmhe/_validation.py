"""What users pass: parameters, float32 samples, weights and numbers.

Every error about data is raised here and in _targets.py, the only files that use names
which scikit-learn does not document.
"""

import functools
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    validate_data,
)

from skmhe.label_codec import LABEL_ORDERS

__all__ = [
    "MAX_FULL_LABELS",
    "PARAMETER_CONSTRAINTS",
    "RANK_CONSTRAINT",
    "canonical_rows",
    "check_fit_samples",
    "check_k",
    "check_predict_samples",
    "check_weight",
    "fit_context",
    "resolve_strategy",
    "unchanged_on_error",
]

# Up to so many labels "auto" scores them all, in training and prediction; up to so
# many it trains on samples of them.
MAX_FULL_LABELS, MAX_SAMPLED_LABELS = 1024, 2**17
PARAMETER_CONSTRAINTS = {
    "strategy": [StrOptions({"auto", "cascade", "product", "sampling", "full"})],
    "model": [StrOptions({"both", "linear", "network"})],
    "n_heads": [Interval(Integral, 1, None, closed="left")],
    "head_sizes": ["array-like", None],
    "label_order": [StrOptions(set(LABEL_ORDERS))],
    "beam_width": [Interval(Integral, 1, None, closed="left")],
    "n_sampled_groups": [Interval(Integral, 0, None, closed="left")],
    "hidden_layer_sizes": [
        "array-like",
        Interval(Integral, 1, None, closed="left"),
    ],
    "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "input_dropout": [Interval(Real, 0, 1, closed="left")],
    "C": [Interval(Real, 0, None, closed="neither")],
    "centroid_prior": [Interval(Real, 0, None, closed="left")],
    "linear_weight": [Interval(Real, 0, None, closed="neither")],
    "encoder_weight": [Interval(Real, 0, 1, closed="left")],
    "share_encoder": [StrOptions({"auto"}), "boolean"],
    "pool_size": [StrOptions({"auto"}), Interval(Integral, 2, None, closed="left")],
    "n_pool_positives": [Interval(Integral, 1, None, closed="left")],
    "n_hard_negatives": [Interval(Integral, 0, None, closed="left")],
    "shortlist_size": [Interval(Integral, 1, None, closed="left")],
    "shortlist_refresh": [Interval(Integral, 1, None, closed="left")],
    "shortlist_search": [StrOptions({"auto", "exact", "approximate"})],
    "neighbor_batches": ["boolean"],
    "scoring": [StrOptions({"both", "classifier", "encoder"})],
    "backbone": [callable, None],
    "freeze": ["boolean", str, "array-like"],
    "backbone_learning_rate": [Interval(Real, 0, None, closed="neither"), dict, None],
    "margin": [StrOptions({"arcface", "cosface"}), None],
    "margin_size": [Interval(Real, 0, None, closed="left")],
    "margin_scale": [Interval(Real, 0, None, closed="neither")],
    "pool_labels": [
        StrOptions(
            {"auto", "batch", "batch_and_own_group", "batch_groups", "own_group"}
        )
    ],
    "hard_negatives": [StrOptions({"auto"}), "boolean"],
    "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
    "averaging_decay": [Interval(Real, 0, 1, closed="neither"), None],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [
        StrOptions({"auto"}),
        Interval(Integral, 1, None, closed="left"),
    ],
    "learning_rate": [StrOptions({"constant", "linear", "cosine", "one_cycle"})],
    "learning_rate_init": [
        StrOptions({"auto"}),
        Interval(Real, 0, None, closed="neither"),
    ],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "device": [str],
    "precision": [StrOptions({"auto", "float32", "bfloat16"})],
}
RANK_CONSTRAINT = {"rank": [Interval(Integral, 1, None, closed="left")]}


def unchanged_on_error(method):
    """Make a method that fits leave the estimator as it was if it fails."""

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        before = vars(self).copy()
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return wrapper


# Samples


def check_fit_samples(estimator, X, reset):
    """Validate training samples, and remember or compare their features."""
    # What was fitted counts, whatever the parameter is by now.
    fitted = None if reset else estimator._spec.user_backbone
    if (estimator.backbone if reset else fitted) is not None:
        X = _check_backbone_samples(estimator, X, reset)
        if fitted is not None:
            fitted.check_inputs(X)
        return X
    X = validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype=np.float32, order="C"
    )
    return canonical_rows(X)


def _check_backbone_samples(estimator, X, reset):
    """Validate dense samples of any shape: float32, or int64 for tokens."""
    X = validate_data(
        estimator, X, reset=reset, dtype="numeric", order="C", allow_nd=True
    )
    if X.dtype.kind in "iu":
        return X.astype(np.int64, copy=False)
    return check_array(X, dtype=np.float32, order="C", allow_nd=True, input_name="X")


def check_predict_samples(estimator, X):
    """Validate samples to predict."""
    if _is_plain(estimator, X):
        return canonical_rows(X)
    return check_fit_samples(estimator, X, reset=False)


def _is_plain(estimator, X):
    """Tell whether samples are as they are wanted already.

    scikit-learn's own look at an array takes longer than to predict a row.
    """
    if type(X) not in (sp.csr_array, sp.csr_matrix) or X.dtype != np.float32:
        return False
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None or X.shape[0] == 0 or X.shape[1] != estimator.n_features_in_:
        return False
    return X.indices.dtype == np.int32 and bool(np.isfinite(X.data).all())


def canonical_rows(X):
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


# Weights and numbers


def check_weight(sample_weight, X):
    """Return float64 weights of shape (n,), or None.

    Scaled so that the mean of those above 0 is 1: their unit means nothing.
    """
    if sample_weight is None:
        return None
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not np.any(weight):
        raise ValueError(
            "sample_weight is 0 for every sample: there is nothing to learn from."
        )
    return weight / weight[weight > 0].mean()


def resolve_strategy(strategy, model, n_labels):
    """Return the strategy that "auto" stands for, or that a model has."""
    if strategy == "product" and model == "linear":
        raise ValueError(
            "model='linear' has no independent heads, but strategy='product': use "
            "another strategy, or model='network'."
        )
    if strategy == "sampling" and model == "linear":
        return "cascade"  # there is no training to sample for
    if strategy != "auto":
        return strategy
    if n_labels <= MAX_FULL_LABELS:
        return "full"
    if n_labels <= MAX_SAMPLED_LABELS and model != "linear":
        return "sampling"
    return "cascade"


def check_k(k, n_labels):
    """Return the number `k` of labels to predict."""
    valid = isinstance(k, Integral) and not isinstance(k, bool) and 1 <= k <= n_labels
    if not valid:
        raise ValueError(
            f"k={k!r} must be an integer in 1..{n_labels}, the number of labels."
        )
    return int(k)
