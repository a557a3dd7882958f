"""Which groups of the label tree are mistaken for which."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmhe.displays._plotting import Display, check_axes, check_choice
from skmhe.displays._predictions import OfEstimator, predict_and_compare
from skmhe.final_classifier import final_step
from skmhe.labels.containers import find_labels, label_list
from skmhe.metrics._predictions import check_k

NORMALIZE = ("true", "pred", "all")


class PrefixDisplay(Display):
    """Confusion of prefixes: which groups of labels are mistaken for which.

    Labels whose codes begin with the same digits, a *prefix*, are a group. A sample
    counts for the group of its best label and that of its true label. If it has several
    true labels, it is right where one of them is in the predicted group; otherwise each
    has an equal share of it.

    Use :meth:`from_estimator` to create one. All parameters are stored as attributes.

    Parameters
    ----------
    confusion : ndarray of shape (n_groups, n_groups)
        What is shown: a row for each true, a column for each predicted group.
    groups : list of ndarray
        The labels of each group.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The picture.
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    skmhe.LabelCodec : The codes.
    sklearn.metrics.ConfusionMatrixDisplay : The same of classes.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.displays import PrefixDisplay
    >>> PrefixDisplay(np.array([[0.9, 0.1], [0.3, 0.7]]), [["a", "b"], ["c"]]).plot()
    <skmhe.displays._prefixes.PrefixDisplay object at ...>
    """

    image_: Any

    def __init__(self, confusion: NDArray[np.float64], groups: list[Any]) -> None:
        self.confusion, self.groups = confusion, groups

    def plot(self, ax: Any = None, *, diagonal: bool = False, **kwargs: Any) -> Self:
        """Plot the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made.
        diagonal : bool, default=False
            Whether to show what is right, too; mostly nothing else is seen then.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        self : PrefixDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self._use_axes(ax)
        shown = np.array(self.confusion, dtype=float)
        if not diagonal:
            np.fill_diagonal(shown, np.nan)
        # Not by pixels of the image, which would drop single cells of large ones.
        self.image_ = self.ax_.imshow(shown, **{"interpolation": "none"} | kwargs)
        self.figure_.colorbar(self.image_, ax=self.ax_)
        self.ax_.set(xlabel="Predicted group", ylabel="True group")
        for axis in (self.ax_.xaxis, self.ax_.yaxis):
            axis.get_major_locator().set_params(integer=True)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_digits: int = 1,
        normalize: str | None = "true",
        sample_weight: ArrayLike | None = None,
        diagonal: bool = False,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the confusion of an estimator's groups of labels.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator of this package with two heads or more, or a pipeline or
            search with one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, in any form that the estimator accepts.
        y : array-like, sparse matrix, DataFrame or list of lists
            True labels, in every form that `fit` takes. Those that are no classes do
            not count.
        n_digits : int, default=1
            Number of digits of a prefix, less than the number of heads.
        normalize : {"true", "pred", "all"}, default="true"
            Whether a value is a share of the samples of the true group, of the
            predicted group or of all samples. None shows numbers of samples.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. If None, all samples have the same weight.
        diagonal : bool, default=False
            Whether to show what is right, too; mostly nothing else is seen then.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is made.
        **kwargs : dict
            Arguments of :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        PrefixDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the estimator has no codes, or is not fitted.
        ValueError
            If an argument is invalid.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skmhe import MHEClassifier
        >>> from skmhe.displays import PrefixDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = MHEClassifier("cascade", model="linear", random_state=0)
        >>> clf.fit(X[:900], y[:900]).head_sizes_
        (4, 3)
        >>> display = PrefixDisplay.from_estimator(clf, X[900:], y[900:])
        >>> display.confusion.shape
        (4, 4)
        """
        check_axes(ax)
        if normalize is not None:
            check_choice("normalize", normalize, NORMALIZE)
        check_k(n_digits, "n_digits")
        codec = getattr(final_step(estimator), "codec_", None)
        if codec is None:
            raise TypeError(
                f"{type(final_step(estimator)).__name__} has no codec_: pass a fitted "
                "MHEClassifier or MHEMultiLabelClassifier."
            )
        if n_digits >= len(codec.head_sizes):
            raise ValueError(
                f"n_digits={n_digits} must be less than the number of heads, which is "
                f"{len(codec.head_sizes)}; fit with more, for example n_heads=2."
            )
        predicted = predict_and_compare(estimator, X, y, 1, sample_weight)
        # Each group has as many labels, in the label order.
        group_of = codec.positions // codec.group_sizes[n_digits - 1]
        counts = _count(predicted, group_of)
        if not counts.any():
            raise ValueError(
                f"y has no classes of {type(estimator).__name__}, so that there is "
                "nothing to show: pass labels such as "
                f"{label_list(predicted.classes[:3])}."
            )
        classes = predicted.classes
        groups = [classes[group_of == group] for group in range(len(counts))]
        display = cls(_normalized(counts, normalize), groups)
        return display.plot(ax, diagonal=diagonal, **kwargs)


def _count(predicted: OfEstimator, group_of: NDArray[Any]) -> NDArray[np.float64]:
    """Count the samples of each true and predicted group."""
    found, n_groups = predicted.found, int(group_of.max()) + 1
    # The group of each number, -1 of labels that are no classes.
    places = find_labels(predicted.known, predicted.classes)
    groups = np.where(places < 0, -1, group_of[places])
    samples, true = found.truth.samples, groups[found.truth.indices]
    samples, true = samples[true >= 0], true[true >= 0]
    best = groups[found.ranked[:, 0]]
    n_samples = len(best)
    hit = np.bincount(samples, true == best[samples], n_samples) > 0
    shares = 1 / np.maximum(np.bincount(samples, minlength=n_samples), 1)
    if found.weights is not None:
        shares *= found.weights
    # All shares of a sample that is right are in one cell.
    true = np.where(hit[samples], best[samples], true)
    counts = np.zeros((n_groups, n_groups))
    np.add.at(counts, (true, best[samples]), shares[samples])
    return counts


def _normalized(
    counts: NDArray[np.float64], normalize: str | None
) -> NDArray[np.float64]:
    """Return shares; 0 of nothing."""
    if normalize is None:
        return counts
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    total = counts.sum(axis=axis, keepdims=True)
    return counts / np.where(total > 0, total, 1)
