"""Learning curve of a fit: the loss, or anything else of `history_`, by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from skmhe.displays._plotting import (
    Display,
    check_axes,
    check_choice,
    default_name,
)
from skmhe.final_classifier import final_step

TITLES = {
    "loss": "Mean training loss",
    "validation_score": "Validation score",
    "learning_rate": "Learning rate",
    "seconds": "Seconds per epoch",
}
X_TITLES = {"epoch": "Epoch", "seconds": "Seconds of training"}


class HistoryDisplay(Display):
    """Learning curve of a fit: the training loss, or another quantity, by epoch.

    Use :meth:`from_estimator` to create one. All parameters are stored as attributes.
    scikit-learn's :class:`~sklearn.model_selection.LearningCurveDisplay` shows scores
    by the number of training samples instead.

    Parameters
    ----------
    history : list of dict
        What happened in each epoch, as `history_` of an estimator has it.
    quantity : {"learning_rate", "loss", "seconds", "validation_score"}, default="loss"
        What is shown. Epochs without it are left out.
    x : {"epoch", "seconds"}, default="epoch"
        What the horizontal axis shows: numbers of epochs, or the time that they took
        together.
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
    >>> from skmhe.displays import HistoryDisplay
    >>> history = [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": 1.2}]
    >>> HistoryDisplay(history).plot().line_.get_ydata()
    array([2.5, 1.2])
    """

    def __init__(
        self,
        history: Sequence[Mapping[str, Any]],
        *,
        quantity: str = "loss",
        x: str = "epoch",
        name: str | None = None,
    ) -> None:
        self.history, self.quantity, self.x, self.name = history, quantity, x, name

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Plot the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made. They may have curves of
            the same quantity of other fits.
        name : str, default=None
            Name of the curve. If None, that of the display.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : HistoryDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            If no epoch has the quantity, or the display has invalid parameters.
        """
        check_choice("quantity", self.quantity, TITLES)
        check_choice("x", self.x, X_TITLES)
        if not all(isinstance(epoch, Mapping) for epoch in self.history):
            raise TypeError(
                f"history is a {type(self.history).__name__}, but must be a list of "
                "dicts, as history_ of an estimator is: of a DataFrame, pass "
                "frame.to_dict('records')."
            )
        if not all(self.x in epoch for epoch in self.history):
            raise ValueError(
                f"history has epochs without {self.x!r}, which x={self.x!r} shows: "
                "pass history_ of an estimator."
            )
        values = [epoch.get(self.quantity, np.nan) for epoch in self.history]
        shown = ~np.isnan(np.array(values, dtype=float))
        if not shown.any():
            advice = "only networks have epochs, and model='linear' has none"
            if self.quantity == "validation_score":
                advice = "fit with early_stopping=True"
            raise ValueError(
                f"There is no {self.quantity!r} in a history of {len(values)} epochs: "
                f"{advice}."
            )
        places = np.array([epoch[self.x] for epoch in self.history])
        if self.x == "seconds":
            places = np.cumsum(places)
        self._use_axes(ax)
        name = self.name if name is None else name
        curve = places[shown], np.array(values)[shown]
        self._plot_curve(*curve, kwargs, label=name, marker=".")
        self.ax_.set(xlabel=X_TITLES[self.x], ylabel=TITLES[self.quantity])
        self.ax_.xaxis.get_major_locator().set_params(integer=self.x == "epoch")
        self._show_legend()
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        quantity: str = "loss",
        x: str = "epoch",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the learning curve of a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with `history_`, or a pipeline or search with one.
        quantity : {"learning_rate", "loss", "seconds", "validation_score"}, \
                default="loss"
            What is shown. There are validation scores with ``early_stopping=True``.
        x : {"epoch", "seconds"}, default="epoch"
            What the horizontal axis shows: numbers of epochs, or the time that they
            took together.
        name : str, default=None
            Name of the curve. If None, that of the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        HistoryDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the estimator has no `history_`, or is not fitted.
        ValueError
            If an argument is invalid, or no epoch has the quantity.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skmhe import MHEClassifier
        >>> from skmhe.displays import HistoryDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = MHEClassifier(early_stopping=True, max_iter=3).fit(X / 16, y)
        >>> display = HistoryDisplay.from_estimator(clf, quantity="validation_score")
        >>> len(display.history)
        3
        """
        check_axes(ax)
        check_choice("quantity", quantity, TITLES)
        check_choice("x", x, X_TITLES)
        name, fitted = default_name(estimator, name), final_step(estimator)
        if not hasattr(fitted, "history_"):
            raise TypeError(
                f"{type(fitted).__name__} has no history_: pass a fitted MHEClassifier "
                "or MHEMultiLabelClassifier, or a pipeline or search that ends with it."
            )
        display = cls(fitted.history_, quantity=quantity, x=x, name=name)
        return display.plot(ax, **kwargs)
