"""Splits of multi-label data, cross-validation with them, and thresholds."""

from skmhe.model_selection._split import (
    MultiLabelStratifiedKFold,
    MultiLabelStratifiedShuffleSplit,
    train_test_split,
)
from skmhe.model_selection._threshold import MultiLabelFixedThresholdClassifier
from skmhe.model_selection._tuned_threshold import MultiLabelTunedThresholdClassifierCV
from skmhe.model_selection._validation import cross_validate

__all__ = [
    "MultiLabelFixedThresholdClassifier",
    "MultiLabelStratifiedKFold",
    "MultiLabelStratifiedShuffleSplit",
    "MultiLabelTunedThresholdClassifierCV",
    "cross_validate",
    "train_test_split",
]
