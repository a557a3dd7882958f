"""A measure by how often labels occur in training, from head to tail."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.displays._plotting import (
    Display,
    check_axes,
    check_choice,
    default_name,
)
from skmhe.displays._predictions import (
    predict_and_compare,
    read_and_compare,
    training_frequencies,
)
from skmhe.metrics._evaluation import Evaluation
from skmhe.metrics._frequency_bins import (
    bin_labels,
    lowest_frequencies,
    read_bins,
)

TITLES = {"f1": "F1", "precision": "Precision", "recall": "Recall"}


class FrequencyDisplay(Display):
    """Recall, or another measure, of frequent and of rare labels.

    Labels are put into bins by their number of training samples. In each bin, the k
    best predictions of all samples are counted together (micro-average): the *recall*
    is the share of the true labels that are predicted, the *precision* the share of the
    predictions that are true, and *F1* their harmonic mean. Bins without true labels
    are left out; the precision of a bin that nothing is predicted of is NaN.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create one. All parameters
    are stored as attributes.

    Parameters
    ----------
    values : ndarray of shape (n_bins,)
        The measure in each bin, the bin of the most frequent labels first.
    bins : ndarray of int, of shape (n_bins, 2)
        The lowest and the highest number of training samples of each bin.
    n_labels : ndarray of int, of shape (n_bins,)
        Number of labels of each bin among the true ones.
    measure : {"f1", "precision", "recall"}, default="recall"
        The measure.
    k : int, default=5
        Number of predictions of each sample.
    name : str, default=None
        Name of the curve in the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve.
    ax_ : matplotlib Axes
        Axes with the curve.
    figure_ : matplotlib Figure
        Figure with the axes.

    Examples
    --------
    >>> from skmhe.displays import FrequencyDisplay
    >>> FrequencyDisplay([0.9, 0.4], [[10, 50], [1, 9]], [12, 230]).plot()
    <skmhe.displays._frequency.FrequencyDisplay object at ...>
    """

    def __init__(
        self,
        values: ArrayLike,
        bins: ArrayLike,
        n_labels: ArrayLike,
        *,
        measure: str = "recall",
        k: int = 5,
        name: str | None = None,
    ) -> None:
        self.values, self.bins, self.n_labels = values, bins, n_labels
        self.measure, self.k, self.name = measure, k, name

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Plot the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made. They may have curves of the
            same labels by other models.
        name : str, default=None
            Name of the curve. If None, that of the display.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : FrequencyDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check_choice("measure", self.measure, TITLES)
        self._use_axes(ax)
        name = self.name if name is None else name
        # Matplotlib gives the bins of another curve the same places by their texts.
        lowest = np.asarray(self.bins)[:, 0]
        rows = zip(lowest.tolist(), np.asarray(self.n_labels).tolist(), strict=True)
        texts = [f"{_short(low)}\n{_short(n)}" for low, n in rows]
        self._check_bins(texts)
        self._plot_curve(texts, self.values, kwargs, label=name, marker="o")
        self.ax_.set(
            xlabel="Training samples per label, at least\n"
            "(second row: number of such labels)",
            ylabel=f"{TITLES[self.measure]} at {self.k}",
        )
        self._show_legend()
        return self

    def _check_bins(self, texts: list[str]) -> None:
        """Raise ValueError if the axes have a curve of other bins.

        Its places on the horizontal axis would not be in order with those of this one.
        """
        for line in self.ax_.lines:
            shown = list(line.get_xdata(orig=True))
            if all(isinstance(text, str) for text in shown) and shown != texts:
                raise ValueError(
                    f"ax has a curve of the bins {_of_text(shown)}, but this one has "
                    f"{_of_text(texts)}: pass ax=None, or compare predictions of the "
                    "same labels with the same y_train and bins."
                )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        y_train: Any,
        measure: str = "recall",
        k: int = 5,
        bins: int | Sequence[int] = 5,
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
        y_train : array-like, sparse matrix, DataFrame or list of lists
            Labels of the training samples, by which labels are frequent or rare, in any
            form that `y` may have.
        measure : {"f1", "precision", "recall"}, default="recall"
            The measure.
        k : int, default=5
            Number of predictions of each sample, at most the number of classes.
        bins : int or sequence of int, default=5
            Largest number of bins, which become wider from the rarest to the most
            frequent labels by about the same factor; or the lowest number of training
            samples of each bin, for example ``(1, 10, 100)``. Labels below the first
            number have a bin of their own, and so have those without training samples.
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
        FrequencyDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            If an argument is invalid, see :class:`skmhe.metrics.RankingScorer`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_digits
        >>> from skmhe import MHEClassifier
        >>> from skmhe.displays import FrequencyDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> rare = (y == 8) & (np.arange(len(y)) % 10 > 0)
        >>> X_train, y_train = X[:900][~rare[:900]], y[:900][~rare[:900]]
        >>> clf = MHEClassifier(model="linear", random_state=0).fit(X_train, y_train)
        >>> display = FrequencyDisplay.from_estimator(
        ...     clf, X[900:], y[900:], y_train=y_train, k=1, bins=(1, 50)
        ... )
        >>> display.values.round(2)
        array([0.93, 0.29])
        """
        check_axes(ax)
        check_choice("measure", measure, TITLES)
        edges = read_bins(bins)
        predicted = predict_and_compare(estimator, X, y, k, sample_weight)
        frequencies = training_frequencies(y_train, predicted.classes, predicted.known)
        name = default_name(estimator, name)
        display = cls._from_counts(predicted.found, frequencies, measure, edges, name)
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        y_train: Any,
        measure: str = "recall",
        k: int = 5,
        bins: int | Sequence[int] = 5,
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
        y_train : array-like, sparse matrix, DataFrame or list of lists
            Labels of the training samples, in any form that `y_true` may have.
        measure : {"f1", "precision", "recall"}, default="recall"
            The measure.
        k : int, default=5
            Number of predictions of each sample, at most the number of those there are.
        bins : int or sequence of int, default=5
            See :meth:`from_estimator`.
        labels : array-like of shape (n_labels,), default=None
            The label of each column of scores, and of an indicator without names, see
            :func:`skmhe.metrics.precision_at_k`.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. If None, all samples have the same weight.
        name : str, default=None
            Name of the curve. If None, it has none.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        FrequencyDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If an argument is invalid, see :func:`skmhe.metrics.precision_at_k`.

        Examples
        --------
        >>> from skmhe.displays import FrequencyDisplay
        >>> y_train = [["cat"], ["cat"], ["cat", "dog"]]
        >>> y_true, y_pred = [["cat"], ["dog"]], [["cat"], ["cat"]]
        >>> display = FrequencyDisplay.from_predictions(
        ...     y_true, y_pred, y_train=y_train, k=1
        ... )
        >>> display.bins
        array([[3, 3],
               [1, 1]])
        >>> display.values
        array([1., 0.])
        """
        check_axes(ax)
        check_choice("measure", measure, TITLES)
        edges = read_bins(bins)
        found = read_and_compare(y_true, y_pred, k, labels, sample_weight, y_train)
        display = cls._from_counts(*found, measure, edges, name)
        return display.plot(ax, **kwargs)

    @classmethod
    def _from_counts(
        cls,
        found: Evaluation,
        frequencies: NDArray[np.integer],
        measure: str,
        bins: int | list[int],
        name: str | None,
    ) -> Self:
        """Make the display of predictions, given the training samples of labels."""
        weights = found.weights
        weights = np.ones(found.truth.n_samples) if weights is None else weights
        of_true = weights[found.truth.samples]
        true, made = found.truth.indices[of_true > 0], found.ranked >= 0
        edges = lowest_frequencies(bins, frequencies)
        bin_of = bin_labels(frequencies, edges)

        def count(labels: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
            return np.bincount(bin_of[labels], weights, len(edges))

        of_ranked = np.broadcast_to(weights[:, None], made.shape)
        n_true = count(true, of_true[of_true > 0])
        n_predicted = count(found.ranked[made], of_ranked[made])
        n_hits = count(found.ranked[found.hits], of_ranked[found.hits])
        f1 = (n_true + n_predicted) / 2
        total = {"recall": n_true, "precision": n_predicted, "f1": f1}[measure]
        values = np.full(len(edges), np.nan)
        np.divide(n_hits, total, out=values, where=total > 0)
        highest = np.append(edges[1:] - 1, frequencies.max(initial=edges[-1]))
        shown = np.flatnonzero(n_true)[::-1]
        if not len(shown):
            raise ValueError(
                "There are no true labels of samples with a weight above 0: pass "
                "samples of which some have labels."
            )
        return cls(
            values[shown],
            np.column_stack([edges, highest])[shown],
            np.bincount(bin_of[np.unique(true)], minlength=len(edges))[shown],
            measure=measure,
            k=found.k,
            name=name,
        )


def _of_text(texts: list[str]) -> list[str]:
    """Return the lowest numbers of bins, of what the axis shows of them."""
    return [text.partition("\n")[0] for text in texts]


def _short(number: int) -> str:
    """Return a text that leaves room for its neighbors: 23k instead of 23,456."""
    return f"{number / 1000:.3g}k" if number >= 10_000 else str(number)
