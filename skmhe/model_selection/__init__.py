"""Splits of multi-label data, and cross-validation with them."""

from skmhe.model_selection._split import (
    MultiLabelStratifiedKFold,
    MultiLabelStratifiedShuffleSplit,
    train_test_split,
)
from skmhe.model_selection._validation import cross_validate

__all__ = [
    "MultiLabelStratifiedKFold",
    "MultiLabelStratifiedShuffleSplit",
    "cross_validate",
    "train_test_split",
]
