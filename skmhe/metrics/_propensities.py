"""Propensities of labels, and the precision at k that they weight."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.metrics._evaluation import evaluate
from skmhe.metrics._true_labels import LabelsLike, TrueLabels, check_y_true

# With fewer samples, log(n) < 1 and the model gives propensities above 1.
_MIN_SAMPLES = 3


def propensities(
    y_train: LabelsLike,
    a: float = 0.55,
    b: float = 1.5,
    *,
    n_labels: int | None = None,
) -> NDArray[np.float64]:
    """Estimate the propensity of each label: the probability that it is observed.

    Some of the labels that are relevant to a sample are missing in its annotation, and
    rare labels are missing more often. The propensity of the label l is modeled as
    ``p_l = 1 / (1 + (log(n) - 1) * (b + 1)**a * (N_l + b)**-a)`` for n training
    samples, ``N_l`` of which have the label l [1]_. Here log is the natural logarithm.

    Parameters
    ----------
    y_train : {array-like, sparse matrix} of shape (n_samples, n_labels), \
            array-like of int of shape (n_samples,), or list of n_samples lists of int
        Training labels of at least 3 samples, in any form that `y_true` of
        :func:`precision_at_k` may have.
    a : float, default=0.55
        Exponent of the model, at least 0. Usual values are 0.6 for Amazon data sets,
        0.5 for Wikipedia data sets, and 0.55 otherwise.
    b : float, default=1.5
        Offset of the model, above 0. Usual values are 2.6 for Amazon data sets, 0.4 for
        Wikipedia data sets, and 1.5 otherwise.
    n_labels : int, default=None
        Number of labels. If None, the number of columns of an indicator, or the largest
        index plus 1 for label indices and lists.

    Returns
    -------
    ndarray of shape (n_labels,)
        Propensities, in (0, 1].

    Raises
    ------
    ValueError
        If `y_train` has another form or fewer than 3 samples, `a` or `b` is out of
        range, or `n_labels` contradicts `y_train`.

    See Also
    --------
    propensity_scored_precision_at_k : Precision weighted by inverse propensities.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma, "Extreme multi-label loss functions for
       recommendation, tagging, ranking & other missing label applications", KDD 2016.

    Examples
    --------
    >>> from skmhe.metrics import propensities
    >>> propensities([[0], [0, 1], [0], [0]], n_labels=3).round(3)
    array([0.8  , 0.721, 0.662])
    """
    truth = check_y_true(y_train, "y_train")
    _check_positive(a, "a", zero_allowed=True)
    _check_positive(b, "b", zero_allowed=False)
    if truth.n_samples < _MIN_SAMPLES:
        raise ValueError(
            f"y_train has {truth.n_samples} samples; the propensity model needs at "
            f"least {_MIN_SAMPLES}."
        )
    size = _resolve_n_labels(truth, n_labels)
    frequencies = np.bincount(truth.indices, minlength=size)  # shape: (n_labels,)
    scale = (np.log(truth.n_samples) - 1) * (b + 1) ** a
    odds: NDArray[np.float64] = scale * (frequencies + b) ** -a
    return 1 / (1 + odds)


def propensity_scored_precision_at_k(
    y_true: LabelsLike,
    y_pred: Any,
    propensities: ArrayLike,
    k: int = 5,
    *,
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
    y_true : {array-like, sparse matrix} of shape (n_samples, n_labels), \
            array-like of int of shape (n_samples,), or list of n_samples lists of int
        True labels, see :func:`precision_at_k`.
    y_pred : array-like of int of shape (n_samples, m), or {array-like, sparse \
            matrix} of float of shape (n_samples, n_labels)
        Ranked label indices or scores, see :func:`precision_at_k`.
    propensities : array-like of shape (n_labels,)
        Propensity of each label, in (0, 1]. Estimate them from the training labels
        with :func:`propensities`.
    k : int, default=5
        Number of top-ranked predictions to consider.
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
        If `propensities` does not have one value in (0, 1] for each label, or another
        argument is invalid, see :func:`precision_at_k`.

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
    inverse = 1 / check_propensities(propensities)
    found = evaluate(y_true, y_pred, k, sample_weight, n_propensities=len(inverse))
    gains = np.where(found.hits, inverse[found.ranked], 0).sum(axis=1)
    best = found.average(_best_gains(found.truth, inverse, k))
    if best == 0:
        return 0.0
    # For the best ranking, rounding may make the ratio slightly larger than 1.
    return min(found.average(gains) / best, 1.0)


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


def _resolve_n_labels(truth: TrueLabels, n_labels: int | None) -> int:
    """Return `n_labels` or, if it is None, the number that the training labels tell."""
    smallest = int(truth.indices.max(initial=-1)) + 1
    known = truth.n_labels
    if n_labels is None:
        return smallest if known is None else known
    _check_positive(n_labels, "n_labels", zero_allowed=False)
    if (
        n_labels != int(n_labels)
        or n_labels < smallest
        or known not in (None, n_labels)
    ):
        allowed = f"an integer >= {smallest}" if known is None else f"{known}"
        raise ValueError(
            f"n_labels={n_labels!r} contradicts y_train; it must be {allowed}."
        )
    return int(n_labels)


def _best_gains(
    truth: TrueLabels, inverse: NDArray[np.float64], k: int
) -> NDArray[Any]:
    """Sum the k largest inverse propensities of each sample's true labels.

    `inverse` has shape (n_labels,), the sums have shape (n_samples,).
    """
    n_labels = len(inverse)
    by_gain = np.argsort(-inverse, kind="stable")
    rank_of_label = np.empty(n_labels, dtype=np.int64)
    rank_of_label[by_gain] = np.arange(n_labels)
    samples = truth.samples
    # Sorting sample * n_labels + rank orders the labels within each sample.
    keys = np.sort(samples * n_labels + rank_of_label[truth.indices])
    leading = np.arange(len(keys)) - truth.indptr[samples] < k
    gains = inverse[by_gain[keys[leading] % n_labels]]
    return np.bincount(samples[leading], weights=gains, minlength=truth.n_samples)
