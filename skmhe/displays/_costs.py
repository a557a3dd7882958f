"""What a classifier costs, by the number of labels."""

import pickle
import time
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from skmhe.displays._plotting import Display, check_axes, check_choice, default_name
from skmhe.estimators import predict_topk
from skmhe.estimators.costs import network_costs
from skmhe.final_classifier import classes_of, final_step

TITLES = {
    "parameters": "Parameters of the network",
    "multiply_adds": "Multiply-adds of a prediction",
    "fit_seconds": "Seconds to fit",
    "predict_seconds": "Seconds to predict a sample",
    "bytes": "Bytes of the fitted model",
}
COUNTED, MEASURED = ("parameters", "multiply_adds"), tuple(TITLES)[2:]


class CostDisplay(Display):
    """Parameters, operations, time or memory of a classifier, by the number of labels.

    Use :meth:`from_estimator`, which counts without fitting, or :meth:`from_fits`,
    which measures, to create one. All parameters are stored as attributes.

    Parameters
    ----------
    n_labels : ndarray of int, of shape (n_sizes,)
        Numbers of labels.
    costs : dict of str to ndarray of shape (n_sizes,)
        One or more costs of each number of labels: "parameters" of the network,
        "multiply_adds" of the prediction of a sample's best label, "fit_seconds",
        "predict_seconds" of a sample, or "bytes" of the pickled model.
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

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores by the number of samples.

    Examples
    --------
    >>> from skmhe.displays import CostDisplay
    >>> CostDisplay([100, 1000], {"fit_seconds": [2.0, 15.0]}).plot()
    <skmhe.displays._costs.CostDisplay object at ...>
    """

    def __init__(
        self,
        n_labels: ArrayLike,
        costs: Mapping[str, ArrayLike],
        *,
        name: str | None = None,
    ) -> None:
        self.n_labels, self.costs, self.name = n_labels, costs, name

    def plot(
        self,
        ax: Any = None,
        *,
        cost: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the curve, on logarithmic axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made. They may have curves of the
            same cost of other models.
        cost : str, default=None
            Which cost to show, a key of `costs`. If None, the first one.
        name : str, default=None
            Name of the curve. If None, that of the display.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : CostDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no such cost, or none at all.
        """
        if not self.costs:
            raise ValueError(
                "costs is empty: pass one cost or more, for example {'bytes': [...]}."
            )
        cost = next(iter(self.costs)) if cost is None else cost
        check_choice("cost", cost, self.costs)
        self._use_axes(ax)
        name = self.name if name is None else name
        self.ax_.set(xscale="log", yscale="log")
        curve = self.n_labels, self.costs[cost]
        self._plot_curve(*curve, kwargs, label=name, marker="o")
        self.ax_.set(xlabel="Number of labels", ylabel=TITLES.get(cost, cost))
        _mark_sizes(self.ax_)
        self._show_legend()
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_labels: Sequence[int] = (1_000, 10_000, 100_000, 1_000_000),
        cost: str = "parameters",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the size of an estimator's network, or the operations of a prediction.

        Nothing is fitted, and no memory is needed for weights: they are counted by
        their shapes. Linear classifiers are not counted, as their weights depend on
        the data; see :meth:`from_fits`.

        Parameters
        ----------
        estimator : MHEClassifier or MHEMultiLabelClassifier
            Its parameters count, whether it is fitted or not. With
            ``strategy="auto"``, each number of labels has the strategy that `fit` would
            take.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, of which only the shape and the number of stored values count.
        n_labels : sequence of int, default=(1_000, 10_000, 100_000, 1_000_000)
            Numbers of labels.
        cost : {"multiply_adds", "parameters"}, default="parameters"
            What is shown: the number of the network's parameters, or the multiply-adds
            that the best label of a sample takes. Both are kept in `costs`.
        name : str, default=None
            Name of the curve. If None, that of the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        CostDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            If an argument is invalid, or the estimator has no network whose size is
            known.

        Examples
        --------
        >>> import numpy as np
        >>> from skmhe import MHEClassifier
        >>> from skmhe.displays import CostDisplay
        >>> display = CostDisplay.from_estimator(
        ...     MHEClassifier("product"), np.zeros((1000, 64)), n_labels=(100, 10_000)
        ... )
        >>> display.costs["parameters"]
        array([21780, 68040])
        """
        check_axes(ax)
        check_choice("cost", cost, COUNTED)
        sizes = _read_sizes(n_labels)
        found = [network_costs(final_step(estimator), X, size) for size in sizes]
        costs = dict(zip(COUNTED, map(np.array, zip(*found, strict=True)), strict=True))
        display = cls(np.array(sizes), costs, name=default_name(estimator, name))
        return display.plot(ax, cost=cost, **kwargs)

    @classmethod
    def from_fits(
        cls,
        estimator: Any,
        data: Iterable[tuple[Any, Any]],
        *,
        cost: str = "fit_seconds",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Fit an estimator to some data sets, and plot what that takes.

        Parameters
        ----------
        estimator : estimator instance
            Classifier, pipeline or search, of any package. It is cloned for each fit.
        data : iterable of (X, y)
            Data sets, whose labels are the classes of the fitted model. A generator
            needs memory for one at a time.
        cost : {"bytes", "fit_seconds", "predict_seconds"}, default="fit_seconds"
            What is shown: the seconds of `fit`, those per sample of
            :func:`skmhe.predict_topk` of all of X, or the bytes of the pickled model.
            All of them are kept in `costs`.
        name : str, default=None
            Name of the curve. If None, that of the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        CostDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            If an argument is invalid, or the estimator has no classes.

        Examples
        --------
        >>> from sklearn.naive_bayes import MultinomialNB
        >>> from skmhe.datasets import make_extreme_classification
        >>> from skmhe.displays import CostDisplay
        >>> problems = (
        ...     make_extreme_classification(500, n_labels=n, multilabel=False)
        ...     for n in (5, 20)
        ... )
        >>> data = ((problem.data, problem.target) for problem in problems)
        >>> display = CostDisplay.from_fits(MultinomialNB(), data, cost="bytes")
        >>> display.n_labels
        array([ 5, 20])
        """
        check_axes(ax)
        check_choice("cost", cost, MEASURED)
        found = [_measure(clone(estimator), *pair) for pair in _read_data(data)]
        found.sort()
        n_labels, *measured = map(np.array, zip(*found, strict=True))
        costs = dict(zip(MEASURED, measured, strict=True))
        display = cls(n_labels, costs, name=default_name(estimator, name))
        return display.plot(ax, cost=cost, **kwargs)


def _mark_sizes(ax: Any) -> None:
    """Have a tick at each number of labels, such as 10k, and nowhere else."""
    from matplotlib.ticker import EngFormatter

    shown = {float(size) for line in ax.lines for size in line.get_xdata()}
    ax.set_xticks(sorted(shown))
    ax.set_xticks([], minor=True)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))


def _read_sizes(n_labels: Any) -> list[int]:
    """Return numbers of labels, in increasing order; ValueError for others."""
    sizes = list(n_labels) if np.iterable(n_labels) else [n_labels]
    if not sizes or not all(
        isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 2
        for size in sizes
    ):
        raise ValueError(
            f"n_labels={n_labels!r} must be integers of at least 2, the numbers of "
            "labels to compare, for example (1_000, 10_000)."
        )
    return sorted(map(int, sizes))


def _read_data(data: Any) -> Iterable[tuple[Any, Any]]:
    """Yield pairs of X and y; ValueError for anything else, and where there is none."""
    number = 0
    for number, pair in enumerate(data, 1):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(
                f"data[{number - 1}] is a {type(pair).__name__}, but must be a pair (X,"
                " y): of a Bunch, pass (bunch.data, bunch.target)."
            )
        yield pair[0], pair[1]
    if not number:
        raise ValueError(
            "data is empty: pass a sequence or a new generator of pairs (X, y)."
        )


def _measure(estimator: Any, X: Any, y: Any) -> tuple[int, float, float, int]:
    """Fit, and return the number of labels and the measured costs."""
    start = time.perf_counter()
    estimator.fit(X, y)
    fitted = time.perf_counter()
    n_labels = len(classes_of(final_step(estimator)))
    predicted, _ = predict_topk(estimator, X)
    seconds = (time.perf_counter() - fitted) / len(predicted)
    return n_labels, fitted - start, seconds, len(pickle.dumps(estimator))
