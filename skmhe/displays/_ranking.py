"""A ranking measure by the number of predictions."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.displays._plotting import (
    Display,
    check_axes,
    check_choice,
    default_name,
)
from skmhe.displays._predictions import predict_and_compare
from skmhe.metrics._evaluation import Evaluation, assess
from skmhe.metrics._measures import MEASURES, propensity_scored_precision
from skmhe.metrics._propensities import check_propensities
from skmhe.metrics._scorer import check_propensities_and_labels, propensities_of

# How the axis and the legend call each measure.
TITLES = {
    "coverage": ("Coverage at k", "C@k"),
    "ndcg": ("nDCG at k", "nDCG@k"),
    "precision": ("Precision at k", "P@k"),
    "psp": ("Propensity-scored precision at k", "PSP@k"),
    "recall": ("Recall at k", "R@k"),
}


class RankingDisplay(Display):
    """Precision at k, or another ranking measure, by k.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create one. All parameters
    are stored as attributes.

    Parameters
    ----------
    values : ndarray of shape (k,)
        The measure of the best 1, 2, ..., k predictions.
    measure : {"coverage", "ndcg", "precision", "psp", "recall"}, default="precision"
        The measure, see :class:`skmhe.metrics.RankingScorer`.
    name : str, default=None
        Name of the curve in the legend, in front of the measure.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve.
    ax_ : matplotlib Axes
        Axes with the curve.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    skmhe.metrics.precision_at_k : The measures of one k.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.displays import RankingDisplay
    >>> RankingDisplay(np.array([0.8, 0.6, 0.5]), name="linear").plot()
    <skmhe.displays._ranking.RankingDisplay object at ...>
    """

    def __init__(
        self,
        values: NDArray[np.float64],
        *,
        measure: str = "precision",
        name: str | None = None,
    ) -> None:
        self.values, self.measure, self.name = values, measure, name

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Plot the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made. They may have other curves:
            of other models, or of other measures.
        name : str, default=None
            Name of the curve. If None, that of the display.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : RankingDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check_choice("measure", self.measure, TITLES)
        self._use_axes(ax)
        title, short = TITLES[self.measure]
        name = self.name if name is None else name
        label = short if name is None else f"{name}, {short}"
        ks = np.arange(len(self.values)) + 1
        self._plot_curve(ks, self.values, kwargs, label=label, marker="o")
        if self.ax_.get_ylabel() not in ("", title):
            title = "Measure at k"  # of several measures, which the legend names
        self.ax_.set(xlabel="k, number of predictions", ylabel=title)
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self._show_legend()
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        measure: str = "precision",
        k: int = 5,
        propensities: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the measure of an estimator's predictions.

        Parameters
        ----------
        estimator : estimator instance
            Fitted classifier, pipeline or search: anything that a
            :class:`skmhe.metrics.RankingScorer` takes.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, in any form that the estimator accepts.
        y : array-like, sparse matrix, DataFrame or list of lists
            True labels, in every form that `fit` takes.
        measure : {"coverage", "ndcg", "precision", "psp", "recall"}, \
                default="precision"
            The measure, see :class:`skmhe.metrics.RankingScorer`.
        k : int, default=5
            Largest number of predictions, at most the number of classes.
        propensities : array-like of shape (n_labels,), default=None
            Propensity of each label, also of those that the test data have alone. Only
            used, and required, for ``measure="psp"``; see
            :func:`skmhe.metrics.propensities`.
        labels : array-like of shape (n_labels,), default=None
            The label of each propensity. Only used for ``measure="psp"``, and required
            if `y` has labels that the estimator does not know; see
            :class:`skmhe.metrics.RankingScorer`.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. If None, all samples have the same weight.
        name : str, default=None
            Name of the curve. If None, that of the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        RankingDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            If an argument is invalid, see :class:`skmhe.metrics.RankingScorer`.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skmhe import MHEClassifier
        >>> from skmhe.displays import RankingDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = MHEClassifier(model="linear", random_state=0).fit(X[:900], y[:900])
        >>> display = RankingDisplay.from_estimator(
        ...     clf, X[900:], y[900:], measure="recall", k=3
        ... )
        >>> display.values.round(2)
        array([0.92, 0.96, 0.97])
        """
        check_axes(ax)
        check_choice("measure", measure, TITLES)
        check_propensities_and_labels(measure, propensities, labels)
        predicted = predict_and_compare(estimator, X, y, k, sample_weight)
        if propensities is not None:
            known = predicted.y, predicted.known, predicted.classes
            propensities = propensities_of(*known, propensities, labels)
        values = _by_k(predicted.found, measure, propensities)
        display = cls(values, measure=measure, name=default_name(estimator, name))
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        measure: str = "precision",
        k: int = 5,
        propensities: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the measure of given predictions.

        Parameters
        ----------
        y_true : array-like, sparse matrix, DataFrame or list of lists
            True labels, see :func:`skmhe.metrics.precision_at_k`.
        y_pred : array-like of shape (n_samples, m), {array-like, sparse matrix} of \
                float of shape (n_samples, n_labels), or pair of arrays
            Ranked labels, scores, or the result of `predict_topk`, see
            :func:`skmhe.metrics.precision_at_k`.
        measure : {"coverage", "ndcg", "precision", "psp", "recall"}, \
                default="precision"
            The measure, see :class:`skmhe.metrics.RankingScorer`.
        k : int, default=5
            Largest number of predictions, at most the number of those of each sample.
        propensities : array-like of shape (n_labels,), default=None
            Propensity of each label, also of those that the test data have alone. Only
            used, and required, for ``measure="psp"``; see
            :func:`skmhe.metrics.propensities`.
        labels : array-like of shape (n_labels,), default=None
            The label of each column of scores and of each propensity, see
            :func:`skmhe.metrics.precision_at_k`.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. If None, all samples have the same weight.
        name : str, default=None
            Name of the curve. If None, the legend only has the measure.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        RankingDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If an argument is invalid, see :func:`skmhe.metrics.precision_at_k`.

        Examples
        --------
        >>> from skmhe.displays import RankingDisplay
        >>> y_true, y_pred = [["cat", "old"], ["dog"]], [["old", "dog"], ["cat", "dog"]]
        >>> RankingDisplay.from_predictions(y_true, y_pred, k=2).values
        array([0.5, 0.5])
        """
        check_axes(ax)
        check_choice("measure", measure, TITLES)
        of_propensities = labels if measure == "psp" else None
        check_propensities_and_labels(measure, propensities, of_propensities)
        if propensities is not None:
            propensities = check_propensities(propensities)
        n_propensities = None if propensities is None else len(propensities)
        found = assess(
            y_true, y_pred, k, labels, sample_weight, n_propensities=n_propensities
        )
        values = _by_k(found, measure, propensities)
        return cls(values, measure=measure, name=name).plot(ax, **kwargs)


def _by_k(found: Evaluation, measure: str, propensities: Any) -> NDArray[np.float64]:
    """Return the measure of the first 1, 2, ... predictions."""
    parts = map(found.first, range(1, found.k + 1))
    if measure == "psp":
        values = [propensity_scored_precision(part, propensities) for part in parts]
    else:
        values = list(map(MEASURES[measure], parts))
    return np.array(values)
