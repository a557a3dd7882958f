"""What files hold of `skmhe.model_selection`: thresholds, and how they were found."""

from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold, ShuffleSplit

from skmhe.io.container import require
from skmhe.io.fields import (
    ANY,
    FLAG,
    NUMBER,
    Field,
    array,
    check_below,
    check_fields,
    count,
    either,
    instance,
    one_of,
    optional,
)
from skmhe.io.schema import LABELS, record
from skmhe.io.values import Kind, dtype_of
from skmhe.labels.forms import LabelIndicator, LabelLists
from skmhe.model_selection import (
    MultiLabelFixedThresholdClassifier,
    MultiLabelStratifiedKFold,
    MultiLabelStratifiedShuffleSplit,
    MultiLabelTunedThresholdClassifierCV,
)
from skmhe.model_selection._targets import TargetForm

THRESHOLD_CLASSIFIERS = (
    MultiLabelFixedThresholdClassifier,
    MultiLabelTunedThresholdClassifierCV,
)
FORM = {"_form": instance(TargetForm), "estimator_": ANY}
# Infinity, too: of labels that are never predicted.
THRESHOLD = Field(
    lambda value: isinstance(value, Real) and not isinstance(value, bool), "a number"
)
# What is fitted, in addition to parameters.
THRESHOLD_ATTRIBUTES: dict[type, dict[str, Field]] = {
    MultiLabelFixedThresholdClassifier: FORM,
    MultiLabelTunedThresholdClassifierCV: FORM
    | {"best_threshold_": either(THRESHOLD, array("f8", 1)), "best_score_": NUMBER},
}
SHUFFLED = {"n_splits": count(1), "test_size": ANY, "train_size": ANY}
SPLITS = {"n_splits": count(2), "shuffle": FLAG}


def _indicator_entries(read: LabelIndicator) -> dict[str, Any]:
    """Return the entries of an indicator without samples, as estimators keep it."""
    names = ("n_labels", "names", "container")
    return {n: getattr(read, n) for n in names} | {"dtype": np.dtype(read.dtype).str}


def _indicator(entries: dict[str, Any]) -> LabelIndicator:
    fields = {
        "n_labels": count(1),
        "names": optional(LABELS),
        "dtype": ANY,
        "container": one_of(None, sp.csr_array, sp.csr_matrix),
    }
    check_fields("LabelIndicator", entries, fields)
    n_labels, names = entries["n_labels"], entries["names"]
    same = names is None or len(names) == n_labels
    require(same, "its columns have other names")
    rows = sp.csr_array((0, n_labels), dtype=np.float32)
    dtype = dtype_of(entries["dtype"], "biuf")
    return LabelIndicator(rows, names, dtype, entries["container"])


def _form(read: Any, labels: np.ndarray) -> TargetForm:
    same = isinstance(read, LabelLists) or len(labels) == read.n_labels
    require(same, "its targets have other columns")
    return TargetForm(read, labels)


KINDS_OF_THRESHOLDS: dict[str, Kind] = {
    "TargetForm": record(
        TargetForm,
        {"read": instance(LabelIndicator, LabelLists), "labels": LABELS},
        _form,
    ),
    "LabelLists": record(LabelLists, {"labels": LABELS, "lengths": array("i", 1)}),
    "LabelIndicator": Kind(LabelIndicator, _indicator_entries, _indicator),
    **{
        of.__name__: record(of, fields | {"random_state": ANY})
        for kinds, fields in (
            ((KFold, MultiLabelStratifiedKFold), SPLITS),
            ((ShuffleSplit, MultiLabelStratifiedShuffleSplit), SHUFFLED),
        )
        for of in kinds
    },
}


def check_thresholds(estimator: Any) -> None:
    """Require that thresholds and columns are those of the estimator's labels."""
    # The fitted copy predicts, but scikit-learn asks this one for its tags.
    inner = estimator.estimator
    require(isinstance(inner, BaseEstimator), "its parameter estimator is a value")
    classes = np.asarray(estimator.classes_)
    # An index that is none would be written to wherever it points.
    columns = estimator._form.columns_of(classes)
    check_below("the columns of its labels", columns, len(estimator._form.labels))
    shape = np.shape(estimator._thresholds())
    require(shape in ((), classes.shape), "its thresholds are those of other labels")
