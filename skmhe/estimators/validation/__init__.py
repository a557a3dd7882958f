"""Validation: what users pass as samples, targets, weights and label features.

Every error about data is raised here.
"""

from skmhe.estimators.validation.label_features import (
    check_added_labels,
    check_label_features,
    set_aside,
)
from skmhe.estimators.validation.samples import (
    check_fit_samples,
    check_k,
    check_predict_samples,
    check_weight,
    unchanged_on_error,
)
from skmhe.estimators.validation.targets import (
    Target,
    check_classes,
    check_label_weight,
    check_same_labels,
    check_target,
)

__all__ = [
    "Target",
    "check_added_labels",
    "check_classes",
    "check_fit_samples",
    "check_k",
    "check_label_features",
    "check_label_weight",
    "check_predict_samples",
    "check_same_labels",
    "check_target",
    "check_weight",
    "set_aside",
    "unchanged_on_error",
]
