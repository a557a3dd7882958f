"""Reliability diagram: how often predictions are right, by their probabilities."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.displays._plotting import (
    GRAY,
    Display,
    check_axes,
    check_choice,
    default_name,
)
from skmhe.displays._predictions import predict_and_compare
from skmhe.metrics._evaluation import Evaluation, assess
from skmhe.metrics._predictions import check_k

STRATEGIES = ("uniform", "quantile")
DIAGONAL = "Perfectly calibrated"
# Areas of the smallest and the largest point, in points squared.
MIN_AREA, MAX_AREA = 10, 100


class ReliabilityDisplay(Display):
    """Reliability diagram of the k most probable labels of each sample.

    Predictions are put into bins by their probabilities. A point shows, of each bin,
    the mean probability and the share of the predictions that are right; its area grows
    with the number of predictions. Points below the diagonal are overconfident.

    scikit-learn's :class:`~sklearn.calibration.CalibrationDisplay` shows all
    probabilities of one class. Of thousands of labels, nearly all probabilities are
    near 0; those of the best labels are what users see.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create one. All parameters
    are stored as attributes.

    Parameters
    ----------
    prob_true : ndarray of shape (n_bins,)
        Share of the predictions of each bin that are right.
    prob_pred : ndarray of shape (n_bins,)
        Mean probability of the predictions of each bin.
    counts : ndarray of shape (n_bins,)
        Number of predictions of each bin, or the sum of their sample weights.
    name : str, default=None
        Name of the curve in the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve.
    points_ : matplotlib PathCollection
        The points, whose areas show the counts.
    ax_ : matplotlib Axes
        Axes with the curve.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : The same for one class.

    Examples
    --------
    >>> from skmhe.displays import ReliabilityDisplay
    >>> ReliabilityDisplay([0.1, 0.4, 0.9], [0.2, 0.5, 0.8], [10, 20, 70]).plot()
    <skmhe.displays._reliability.ReliabilityDisplay object at ...>
    """

    points_: Any

    def __init__(
        self,
        prob_true: ArrayLike,
        prob_pred: ArrayLike,
        counts: ArrayLike,
        *,
        name: str | None = None,
    ) -> None:
        self.prob_true, self.prob_pred, self.counts = prob_true, prob_pred, counts
        self.name = name

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        ref_line: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Plot the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made. They may have other curves.
        name : str, default=None
            Name of the curve. If None, that of the display.
        ref_line : bool, default=True
            Whether to plot the diagonal, where predictions are right as often as they
            say.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : ReliabilityDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if not np.any(np.asarray(self.counts) > 0):
            raise ValueError(
                "There are no predictions in any bin: pass probabilities of samples "
                "with a weight above 0."
            )
        self._use_axes(ax)
        ax = self.ax_
        if ref_line and DIAGONAL not in ax.get_legend_handles_labels()[1]:
            ax.plot([0, 1], [0, 1], ":", color=GRAY, label=DIAGONAL)
        name = self.name if name is None else name
        self._plot_curve(self.prob_pred, self.prob_true, kwargs, label=name)
        shares = np.asarray(self.counts) / np.max(self.counts)
        self.points_ = ax.scatter(
            self.prob_pred,
            self.prob_true,
            s=MIN_AREA + (MAX_AREA - MIN_AREA) * shares,
            color=self.line_.get_color(),
            zorder=self.line_.get_zorder(),
        )
        ax.set(xlabel="Mean predicted probability", ylabel="Share of right predictions")
        self._show_legend()
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        k: int = 1,
        n_bins: int = 10,
        strategy: str = "uniform",
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ref_line: bool = True,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the reliability of an estimator's probabilities.

        Parameters
        ----------
        estimator : estimator instance
            Fitted classifier, pipeline or search whose classifier has `predict_topk` or
            `predict_proba`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, in any form that the estimator accepts.
        y : array-like, sparse matrix, DataFrame or list of lists
            True labels, in every form that `fit` takes.
        k : int, default=1
            Number of predictions of each sample: 1 shows how far the best label can be
            trusted. Each prediction is right or wrong on its own.
        n_bins : int, default=10
            Largest number of bins; those without predictions are left out.
        strategy : {"uniform", "quantile"}, default="uniform"
            Whether bins have the same width, or about as many predictions.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. If None, all samples have the same weight.
        name : str, default=None
            Name of the curve. If None, that of the estimator's class.
        ref_line : bool, default=True
            Whether to plot the diagonal.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        ReliabilityDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            If an argument is invalid, or the estimator has no probabilities.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skmhe import MHEClassifier
        >>> from skmhe.displays import ReliabilityDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = MHEClassifier(model="linear", random_state=0).fit(X[:900], y[:900])
        >>> display = ReliabilityDisplay.from_estimator(clf, X[900:], y[900:])
        >>> int(display.counts.sum())
        897
        """
        check_axes(ax)
        _check(n_bins, strategy)
        methods = ("predict_proba",)
        predicted = predict_and_compare(estimator, X, y, k, sample_weight, methods)
        source = f"The result of {type(estimator).__name__}"
        binned = _bin(predicted.found, n_bins, strategy, source)
        display = cls(*binned, name=default_name(estimator, name))
        return display.plot(ax, ref_line=ref_line, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        k: int = 1,
        n_bins: int = 10,
        strategy: str = "uniform",
        labels: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ref_line: bool = True,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the reliability of given probabilities.

        Parameters
        ----------
        y_true : array-like, sparse matrix, DataFrame or list of lists
            True labels, see :func:`skmhe.metrics.precision_at_k`.
        y_pred : pair of arrays, or {array-like, sparse matrix} of float of shape \
                (n_samples, n_labels)
            The labels and probabilities that `predict_topk` returns, or a column of
            probabilities for each label. In a sparse matrix, only stored entries are
            predictions.
        k : int, default=1
            Number of predictions of each sample, at most the number of those there are.
        n_bins : int, default=10
            Largest number of bins; those without predictions are left out.
        strategy : {"uniform", "quantile"}, default="uniform"
            Whether bins have the same width, or about as many predictions.
        labels : array-like of shape (n_labels,), default=None
            The label of each column of probabilities, and of an indicator without
            names, see :func:`skmhe.metrics.precision_at_k`.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. If None, all samples have the same weight.
        name : str, default=None
            Name of the curve. If None, it has none.
        ref_line : bool, default=True
            Whether to plot the diagonal.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        ReliabilityDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If an argument is invalid, or `y_pred` has no probabilities.

        Examples
        --------
        >>> from skmhe.displays import ReliabilityDisplay
        >>> y_pred = [[0.72, 0.28], [0.74, 0.26], [0.1, 0.9]]
        >>> display = ReliabilityDisplay.from_predictions([0, 1, 1], y_pred)
        >>> display.prob_pred, display.prob_true
        (array([0.73, 0.9 ]), array([0.5, 1. ]))
        """
        check_axes(ax)
        _check(n_bins, strategy)
        found = assess(y_true, y_pred, k, labels, sample_weight, scored=True)
        binned = _bin(found, n_bins, strategy, "y_pred")
        return cls(*binned, name=name).plot(ax, ref_line=ref_line, **kwargs)


def _check(n_bins: Any, strategy: Any) -> None:
    check_k(n_bins, "n_bins")
    check_choice("strategy", strategy, STRATEGIES)


def _check_probabilities(values: NDArray[np.float64], name: str) -> None:
    """Raise ValueError if a value is not from 0 to 1."""
    bad = ~((values >= 0) & (values <= 1))
    if bad.any():
        raise ValueError(
            f"{name} contains {values[bad][0]}, but probabilities are from 0 to 1; "
            "pass probabilities, not scores or logarithms."
        )


def _bin(
    found: Evaluation, n_bins: int, strategy: str, source: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the share that is right, the mean probability and the weight of bins.

    Bins are those of scikit-learn's `calibration_curve`: without their lower edge, but
    for 0. `source` is where the probabilities are from.
    """
    assert found.scores is not None
    made = found.ranked >= 0
    p, hits = found.scores[made].astype(np.float64), found.hits[made]
    _check_probabilities(p, source)
    weights = np.ones(made.shape)
    if found.weights is not None:
        weights *= found.weights[:, None]
    edges = np.linspace(0, 1, n_bins + 1)
    if strategy == "quantile" and len(p):
        edges = np.percentile(p, edges * 100)
    places = np.searchsorted(edges[1:-1], p)

    def total(values: NDArray[Any]) -> NDArray[Any]:
        return np.bincount(places, values * weights[made], n_bins)

    counts = total(np.ones(len(p)))
    kept = counts > 0
    right, mean = total(hits)[kept] / counts[kept], total(p)[kept] / counts[kept]
    return right, mean, counts[kept]
