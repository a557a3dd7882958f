"""Propensities of labels, and the precision at k that they weight."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.labels.containers import distinct_labels
from skmhe.labels.forms import LabelIndicator, Labels
from skmhe.metrics._alignment import (
    as_true_labels,
    check_all_known,
    check_labels,
    check_range,
    number_labels,
    read_true_labels,
    whole_numbers,
)
from skmhe.metrics._evaluation import assess
from skmhe.metrics._measures import propensity_scored_precision
from skmhe.metrics._true_labels import TrueLabels

# With fewer samples, log(n) < 1 and the model gives propensities above 1.
_MIN_SAMPLES = 3


def propensities(
    y_train: Any,
    a: float = 0.55,
    b: float = 1.5,
    *,
    n_labels: int | None = None,
    labels: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Estimate the propensity of each label: the probability that it is observed.

    Some of the labels that are relevant to a sample are missing in its annotation, and
    rare labels are missing more often. The propensity of the label l is modeled as
    ``p_l = 1 / (1 + (log(n) - 1) * (b + 1)**a * (N_l + b)**-a)`` for n training
    samples, ``N_l`` of which have the label l [1]_. Here log is the natural logarithm.

    Parameters
    ----------
    y_train : array-like, sparse matrix, DataFrame or list of lists
        Training labels of at least 3 samples, in any form that `y_true` of
        :func:`precision_at_k` may have.
    a : float, default=0.55
        Exponent of the model, at least 0. Usual values are 0.6 for Amazon data sets,
        0.5 for Wikipedia data sets, and 0.55 otherwise.
    b : float, default=1.5
        Offset of the model, above 0. Usual values are 2.6 for Amazon data sets, 0.4 for
        Wikipedia data sets, and 1.5 otherwise.
    n_labels : int, default=None
        Number of labels. Only used without `labels`. If None, the number of columns of
        an indicator, of names, or the largest integer label plus 1.
    labels : array-like of shape (n_labels,), default=None
        The label of each propensity, and of each column of an indicator without names.
        All labels of `y_train` must be among them. If None, the propensities have the
        order of the columns of an indicator, or the sorted order of names. Integer
        labels are indices, so that there is one value for each integer from 0, whether
        it occurs or not.

    Returns
    -------
    ndarray of shape (n_labels,)
        Propensities, in (0, 1].

    Raises
    ------
    ValueError
        If `y_train` has another form or fewer than 3 samples, `a` or `b` is out of
        range, or `n_labels` or `labels` contradict `y_train`.

    See Also
    --------
    propensity_scored_precision_at_k : Precision weighted by inverse propensities.

    Notes
    -----
    The propensities of names have the order of `classes_` of an estimator that is
    fitted to the same labels. Those of integers do so only if no integer from 0 to the
    largest one is missing: for labels 3 and 7, there are 8 propensities and two
    classes. Pass ``labels=classifier.classes_`` for the propensities of the classes.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma, "Extreme multi-label loss functions for
       recommendation, tagging, ranking & other missing label applications", KDD 2016.

    Examples
    --------
    >>> from skmhe.metrics import propensities
    >>> propensities([[0], [0, 1], [0], [0]], n_labels=3).round(3)
    array([0.8  , 0.721, 0.662])
    >>> y_train = [["cat"], ["cat", "dog"], ["cat"], ["cat"]]
    >>> propensities(y_train, labels=["cat", "dog", "fox"]).round(3)
    array([0.8  , 0.721, 0.662])
    """
    known = check_labels(labels)
    read = read_true_labels(y_train, "y_train", known)
    _check_positive(a, "a", zero_allowed=True)
    _check_positive(b, "b", zero_allowed=False)
    check_enough_samples(read)
    truth, size = _number_training_labels(read, known, n_labels)
    frequencies = np.bincount(truth.indices, minlength=size)  # shape: (n_labels,)
    return propensity_model(frequencies, truth.n_samples, a, b)


def propensity_model(
    frequencies: NDArray[np.integer], n_samples: int, a: float = 0.55, b: float = 1.5
) -> NDArray[np.float64]:
    """Return the propensities of labels that so many samples have: (n_labels,)."""
    scale = (np.log(n_samples) - 1) * (b + 1) ** a
    odds: NDArray[np.float64] = scale * (frequencies + b) ** -a
    return 1 / (1 + odds)


def propensity_scored_precision_at_k(
    y_true: Any,
    y_pred: Any,
    propensities: ArrayLike,
    k: int = 5,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the propensity-scored precision at k, divided by its largest value.

    A correct prediction of the label l counts as ``1/p_l`` instead of 1, so that rare
    labels count more [1]_. For one sample,
    ``G = (1/k) * sum_{r=1..k} y[l_r] / p[l_r]``, where ``l_r`` is the label ranked
    r-th and ``y[l]`` is 1 if the label l is true and 0 otherwise. The result is the sum
    of ``G`` over samples divided by the same sum for the best possible ranking, in
    which the true labels of lowest propensity come first. As in published values of
    PSP@k, it is one ratio of sums and not a mean of ratios. Samples without true
    labels have no effect.

    Parameters
    ----------
    y_true : array-like, sparse matrix, DataFrame or list of lists
        True labels, see :func:`precision_at_k`.
    y_pred : array-like of shape (n_samples, m), {array-like, sparse matrix} of float \
            of shape (n_samples, n_labels), or pair of arrays
        Ranked labels, scores, or the result of `predict_topk`, see
        :func:`precision_at_k`.
    propensities : array-like of shape (n_labels,)
        Propensity of each label, in (0, 1]. Estimate them from the training labels
        with :func:`propensities`.
    k : int, default=5
        Number of top-ranked predictions to consider.
    labels : array-like of shape (n_labels,), default=None
        The label of each propensity, and of each column of scores and of an indicator
        without names. If None, they are the names of the columns of `y_pred` or
        `y_true`, and otherwise the indices from 0: labels that are neither need
        `labels`.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights in both sums. If None, all samples have the same weight.

    Returns
    -------
    float
        Propensity-scored precision at k, between 0 and 1; 0 if no sample has a true
        label.

    Raises
    ------
    ValueError
        If `propensities` does not have one value in (0, 1] for each label, also of
        `y_true`, or another argument is invalid, see :func:`precision_at_k`.

    See Also
    --------
    propensities : Estimate propensities from training labels.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma, "Extreme multi-label loss functions for
       recommendation, tagging, ranking & other missing label applications", KDD 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.metrics import propensity_scored_precision_at_k
    >>> y_pred = np.array([[2, 1, 0], [0, 1, 2]])
    >>> propensity_scored_precision_at_k([[0, 2], [1]], y_pred, [1, 1, 0.2], k=1)
    0.833...
    """
    values = check_propensities(propensities)
    found = assess(y_true, y_pred, k, labels, sample_weight, n_propensities=len(values))
    return propensity_scored_precision(found, values)


def check_enough_samples(read: Labels) -> None:
    """Raise ValueError if there are too few training samples for the model."""
    if read.n_samples < _MIN_SAMPLES:
        raise ValueError(
            f"y_train has {read.n_samples} samples; the propensity model needs at "
            f"least {_MIN_SAMPLES}."
        )


def check_propensities(propensities: ArrayLike) -> NDArray[np.float64]:
    """Validate propensities: numbers in (0, 1], shape (n_labels,)."""
    values = np.asarray(propensities)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "uif":
        raise ValueError(
            f"propensities has shape {values.shape} and dtype {values.dtype}; pass one "
            "number in (0, 1] for each label, for example "
            "skmhe.metrics.propensities(y_train)."
        )
    bad = ~((values > 0) & (values <= 1))
    if bad.any():
        raise ValueError(
            f"propensities contains {values[bad][0]} for label index {bad.argmax()}; "
            "each must be in (0, 1] (pass propensities, not their inverses)."
        )
    return values.astype(np.float64, copy=False)


def _check_positive(value: float, name: str, *, zero_allowed: bool) -> None:
    valid = isinstance(value, Real) and np.isfinite(value)
    if not valid or value < 0 or (value == 0 and not zero_allowed):
        bound = ">= 0" if zero_allowed else "> 0"
        raise ValueError(f"{name}={value!r} must be a finite number {bound}.")


def _number_training_labels(
    read: Labels, labels: NDArray[Any] | None, n_labels: int | None
) -> tuple[TrueLabels, int]:
    """Return the training labels by their numbers, and the number of labels."""
    if labels is not None:
        if n_labels is not None:
            raise ValueError(
                f"n_labels={n_labels!r} and labels, which has {len(labels)} values, "
                "are both given; leave n_labels out."
            )
        truth = number_labels(read, labels, "y_train")
        check_all_known(read, truth, labels, "y_train")
        return truth, len(labels)
    if isinstance(read, LabelIndicator):
        truth = TrueLabels(read.rows.indptr, read.rows.indices)
        return truth, _resolve_n_labels(read.n_labels, True, n_labels)
    indices = whole_numbers(read.labels)
    is_named = len(indices) > 0 and indices.dtype.kind not in "iu"
    if is_named:
        indices = distinct_labels(indices, "y_train")[1]
    check_range(indices, 0, None, "y_train")
    truth = as_true_labels(read, indices.astype(np.int64, copy=False))
    least = int(truth.indices.max(initial=-1)) + 1
    return truth, _resolve_n_labels(least, is_named, n_labels)


def _resolve_n_labels(least: int, is_exact: bool, n_labels: int | None) -> int:
    """Return `n_labels` or, if it is None, the number that the training labels tell."""
    if n_labels is None:
        return least
    _check_positive(n_labels, "n_labels", zero_allowed=False)
    is_possible = n_labels == least if is_exact else n_labels >= least
    if n_labels != int(n_labels) or not is_possible:
        allowed = f"{least}" if is_exact else f"an integer >= {least}"
        raise ValueError(
            f"n_labels={n_labels!r} contradicts y_train; it must be {allowed}."
        )
    return int(n_labels)
