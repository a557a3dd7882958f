"""True labels that predictions are compared with, in the form that was fitted."""

from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp
from sklearn.metrics import accuracy_score

from skmhe.estimators.validation.targets import (
    KINDS,
    Target,
    read_targets,
    rows_of_classes,
    shown,
)
from skmhe.labels.containers import check_comparable, find_labels
from skmhe.labels.forms import LabelColumn, LabelIndicator, LabelLists


def accuracy(
    y: Any, predicted: Any, sample_weight: Any, form: Target, multilabel: bool
) -> float:
    """Return the share of samples with exactly the labels that were predicted.

    `y` is in any form that says the same as that of the targets that were fitted: lists
    and indicators may take each other's place, where the columns are the labels.
    `predicted` is an indicator of the classes, or the place of the class of each
    sample, of shape (n_samples,). Labels that were not fitted are never predicted.
    """
    correct = _are_correct(y, predicted, form, multilabel)
    everything = np.ones_like(correct)
    return float(accuracy_score(everything, correct, sample_weight=sample_weight))


def _are_correct(y: Any, predicted: Any, form: Target, multilabel: bool) -> np.ndarray:
    labels = read_targets(y, multilabel, form)
    if labels.n_samples != predicted.shape[0]:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: y has "
            f"{labels.n_samples}, but X has {predicted.shape[0]}."
        )
    if isinstance(labels, LabelColumn):
        if form.multilabel:
            _refuse("has one label per sample", form)
        check_comparable(labels.labels, form.classes, "y")
        return find_labels(labels.labels, form.classes) == predicted
    if not form.multilabel:
        is_indicator = isinstance(labels, LabelIndicator)
        _refuse("is an indicator" if is_indicator else "has lists of labels", form)
    if isinstance(labels, LabelIndicator):
        return ~_differ(rows_of_classes(labels, form.classes), predicted)
    return _are_correct_lists(labels, predicted, form)


def _are_correct_lists(labels: LabelLists, predicted: Any, form: Target) -> np.ndarray:
    check_comparable(labels.labels, form.classes, "y")
    places = find_labels(labels.labels, form.classes)
    unknown = places < 0
    # A column beyond the classes for all labels that are not known.
    n_labels = len(form.classes)
    true = labels.indicator(np.where(unknown, n_labels, places), n_labels + 1)
    predicted = sp.csr_array(predicted)
    predicted.resize(true.shape)
    return ~_differ(true, predicted)


def _differ(true: sp.csr_array, predicted: Any) -> np.ndarray:
    """Tell which rows of two indicators differ."""
    difference = sp.csr_array(true != sp.csr_array(predicted))
    return np.diff(difference.indptr) > 0


def _refuse(found: str, form: Target) -> NoReturn:
    raise ValueError(
        f"y {found}, but this estimator was fitted to {KINDS[form.kind]}: pass these, "
        f"of the labels {shown(form.classes)}."
    )
