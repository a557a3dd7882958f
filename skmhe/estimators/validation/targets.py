"""From what users pass as y to class indices or a CSR indicator."""

import warnings
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import check_consistent_length

from skmhe.estimators._sklearn import parameter_errors
from skmhe.labels.containers import (
    are_comparable,
    distinct_labels,
    find_labels,
    label_array,
    label_list,
    names_of_labels,
)
from skmhe.labels.forms import (
    LabelColumn,
    LabelIndicator,
    LabelLists,
    Labels,
    read_labels,
)

N_SHOWN = 5  # labels that an error names
KINDS = {
    "labels": "one label per sample",
    "lists": "lists of labels",
    "dense": "an indicator",
    "sparse": "an indicator",
}


class Target(NamedTuple):
    """Validated targets."""

    # Class indices of shape (n_samples,), or a CSR indicator (n_samples, n_labels).
    y: Any
    # The labels: sorted, but for an indicator, which has them in the order of columns.
    classes: np.ndarray
    # What `y` was: 1-D "labels", a "dense" or "sparse" indicator, or "lists" of labels.
    kind: str
    # Those of an indicator, which `predict` returns as well.
    dtype: np.dtype | None = None
    container: type | None = None
    # `classes` with those that have features, but no sample; None if there are none.
    all_classes: np.ndarray | None = None

    @property
    def multilabel(self) -> bool:
        """Whether a sample may have several labels."""
        return self.kind != "labels"

    @property
    def is_indicator(self) -> bool:
        """Whether `y` was an indicator, with a column for each label."""
        return self.kind in ("dense", "sparse")

    def renumbered(self, numbers: np.ndarray, n_labels: int) -> Any:
        """Return `y` with a new number, below `n_labels`, for each of its labels."""
        if not self.multilabel:
            return numbers[self.y]
        entries = self.y.data, numbers[self.y.indices], self.y.indptr
        y = sp.csr_array(entries, shape=(self.y.shape[0], n_labels))
        y.sort_indices()
        return y


def read_targets(y: Any, multilabel: bool, form: Target | None = None) -> Labels:
    """Read y, for an estimator that may have been fitted to targets of a form before.

    Nested zeros and ones are an indicator, unless 0 or 1 is a label in lists.
    """
    if form is None or form.kind != "lists":
        return read_labels(y, single=not multilabel)
    are_labels = (find_labels(np.arange(2), form.classes) >= 0).any()
    return read_labels(y, zeros_and_ones="lists" if are_labels else "indicator")


def check_target(
    y: Any,
    n_samples: int,
    multilabel: bool,
    given: np.ndarray | None = None,
    known: np.ndarray | None = None,
    form: Target | None = None,
) -> Target:
    """Validate targets, which may be multi-label if the estimator accepts that.

    `given` are all labels as `partial_fit` was given them, in the order of the columns
    of an indicator, `known` those of its first call. Others are an error. `form` is
    that of the targets that were fitted before.
    """
    labels = read_targets(y, multilabel, form)
    check_consistent_length(np.empty(n_samples), np.empty(labels.n_samples))
    if isinstance(labels, LabelIndicator):
        target = _of_indicator(labels, given, known)
    else:
        if known is None and given is not None:
            known = distinct_labels(given, "classes")[0]
        if isinstance(labels, LabelLists):
            target = _of_lists(labels, known)
        else:
            target = _of_column(labels, known)
    return target


def _of_column(labels: LabelColumn, known: np.ndarray | None) -> Target:
    """Return targets of one label per sample."""
    if labels.is_vector:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Please change "
            "the shape of y to (n_samples,), for example by y.ravel().",
            DataConversionWarning,
            stacklevel=2,
        )
    if known is None:
        known, places = labels.distinct("y")
    else:
        places = _find(labels.labels, known)
    if len(known) < 2:
        raise ValueError(
            f"y has one class, {known.tolist()[0]!r}: there is nothing to tell apart. "
            "The number of classes must be at least 2."
        )
    return Target(places.astype(np.int64), known, "labels")


def _of_lists(labels: LabelLists, known: np.ndarray | None) -> Target:
    """Return targets of lists of labels."""
    if known is not None:
        places = _find(labels.labels, known)
    elif len(labels.labels):
        known, places = distinct_labels(labels.labels, "y")
    else:
        raise ValueError(
            "y has lists of labels that are all empty: there must be at least one "
            "label."
        )
    return Target(labels.indicator(places, len(known)), known, "lists")


def _of_indicator(
    labels: LabelIndicator, given: np.ndarray | None, known: np.ndarray | None
) -> Target:
    """Return targets of an indicator, whose columns may have names or be given ones."""
    if given is None:
        given = known
    if given is None:
        given = np.arange(labels.n_labels) if labels.names is None else labels.names
    rows = rows_of_classes(labels, given)
    if known is None:
        known = given
    elif known is not given:
        rows = rows[:, find_labels(known, given)]
    kind = "dense" if labels.container is None else "sparse"
    return Target(rows, known, kind, labels.dtype, labels.container)


def rows_of_classes(labels: LabelIndicator, classes: np.ndarray) -> sp.csr_array:
    """Return an indicator with its columns in the order of the classes.

    It is an error if the columns may be other labels, or have another order.
    """
    columns = labels.columns_of(classes)
    if columns is None and len(classes) != labels.n_labels:
        raise ValueError(
            f"y is an indicator with {labels.n_labels} columns, but there are "
            f"{len(classes)} labels: there must be a column for each of them, "
            f"{shown(classes)}. Or pass a list of labels for each sample."
        )
    if columns is None:
        raise ValueError(
            f"y is an indicator with the columns {shown(labels.names)}, which are not "
            f"the labels {shown(classes)}: name the columns by these labels, or pass "
            "a list of labels for each sample."
        )
    if np.array_equal(columns, np.arange(len(columns))):
        return labels.rows
    rows = labels.rows[:, columns]
    rows.sort_indices()
    return rows


def shown(labels: Any) -> str:
    """Return the first labels, for an error."""
    dots = ", ..." if len(labels) > N_SHOWN else ""
    return f"[{', '.join(map(repr, labels[:N_SHOWN].tolist()))}{dots}]"


def _find(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the index of each label among the known ones."""
    places = find_labels(labels, classes)
    if (places < 0).any():
        unseen = set(labels[places < 0].tolist())
        first = sorted(unseen, key=str)[:N_SHOWN]
        raise ValueError(
            f"y contains labels that are not among the {len(classes)} known ones, such "
            f"as {first}. Name all labels in the first call of partial_fit "
            "(classes=...), or call fit again."
        )
    return places


def check_classes(
    classes: Any, form: Target | None, multilabel: bool
) -> np.ndarray | None:
    """Return the labels that a call of partial_fit was given, in their order.

    None if y or the earlier calls have to tell them. `form` is that of the targets
    that were fitted, None in the first call.
    """
    if classes is None and form is None and not multilabel:
        raise ValueError(
            "classes=None, but the first call of partial_fit must name all labels: "
            "pass classes=np.unique(y_all)."
        )
    if classes is None:
        return None
    given = names_of_labels(classes, "classes")
    # Those of all samples may be given, such as y.
    place = {label: i for i, label in reversed(list(enumerate(label_list(given))))}
    given = given[sorted(place.values())]
    if form is not None:
        known = form.classes
        if len(given) != len(known) or (find_labels(known, given) < 0).any():
            raise ValueError(
                f"classes has {len(given)} labels, {shown(given)}, that are not the "
                f"{len(known)} of the first call of partial_fit or of fit, "
                f"{shown(known)}: leave classes out, or call fit again."
            )
    return given


def check_same_labels(target: Target, form: Target, has_features: bool) -> None:
    """Raise ValueError for other labels than those that were fitted.

    What to do depends on whether labels have features.
    """
    same = form.multilabel == target.multilabel
    if same and np.array_equal(target.classes, form.classes):
        return
    lacking = form.classes[find_labels(form.classes, target.classes) < 0]
    n_known, n_lacking = len(form.classes), len(lacking)
    if same and n_lacking and n_known == n_lacking + len(target.classes):
        remedy = "train by partial_fit, which needs no sample of each label"
        if form.is_indicator:
            remedy = "give y a column for each of them, of zeros where it has no sample"
        elif has_features:
            remedy = f"pass label_features of all {n_known} labels, or {remedy}"
        raise ValueError(
            f"y lacks {n_lacking} of the {n_known} labels that this estimator was "
            f"fitted to, or that add_labels brought, {shown(lacking)}: to go on with "
            f"warm_start=True, {remedy}; or fit anew with warm_start=False."
        )
    raise ValueError(
        f"y is {KINDS[target.kind]}, of the {len(target.classes)} labels "
        f"{shown(target.classes)}, but this estimator was fitted to "
        f"{KINDS[form.kind]}, of the {n_known} labels {shown(form.classes)}: pass "
        "these, or fit with warm_start=False."
    )


def check_label_weight(
    class_weight: dict[Any, float] | str | None,
    target: Target,
    sample_weight: np.ndarray | None,
) -> np.ndarray | None:
    """Return the weight of each label from `class_weight`, None for equal ones.

    "balanced" is ``n_samples / (n_classes * count)`` as in scikit-learn; for
    multi-label targets, with the number of all true labels in place of `n_samples`.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, dict):
        return _weights_by_label(class_weight, target.classes)
    y = target.y.indices if target.multilabel else target.y
    weight = sample_weight
    if weight is not None and target.multilabel:
        weight = np.repeat(weight, np.diff(target.y.indptr))
    counts = np.bincount(y, weights=weight, minlength=len(target.classes))
    present = counts > 0
    result = np.ones(len(target.classes))
    result[present] = counts.sum() / (present.sum() * counts[present])
    return result


@parameter_errors()
def _weights_by_label(
    class_weight: dict[Any, float], classes: np.ndarray
) -> np.ndarray:
    """Return the weight of each label, 1 by default.

    A fold of a cross-validation may lack some labels, even all that have a weight; but
    their types must be those of labels.
    """
    keys = label_array(list(class_weight))
    if len(keys) and classes.dtype.kind in "mM" and keys.dtype.kind not in "biuf":
        keys = keys.astype(classes.dtype)  # dates, and times of other units
    if not are_comparable(keys, classes):
        raise ValueError(
            f"class_weight has no key that is a label, but {shown(keys)}. The labels "
            f"are {shown(classes)}; those without a weight have 1."
        )
    for label, value in class_weight.items():
        if not isinstance(value, Real) or not 0 <= value < np.inf:
            raise ValueError(
                f"class_weight[{label!r}]={value!r} must be a finite number of at "
                "least 0."
            )
    weights = np.array([*class_weight.values(), 1.0], dtype=np.float64)
    return weights[find_labels(classes, keys)]  # -1, of no key, is the last one
