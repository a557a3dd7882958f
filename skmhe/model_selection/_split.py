"""Splits that give each part its share of the samples of every label."""

import warnings
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.utils import check_random_state, indexable

from skmhe.estimators._sklearn import safe_indexing
from skmhe.labels.containers import plain
from skmhe.labels.forms import LabelColumn, read_labels
from skmhe.model_selection._stratification import (
    assign_folds,
    meet_sizes,
    move_to_first,
)
from skmhe.model_selection._targets import as_indicator, indicator_of

Split: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]


def _read_arguments(splitter: Any, X: Any, y: Any, groups: Any) -> sp.csr_array:
    """Return the indicator of targets; warn of groups, as scikit-learn does."""
    if groups is not None:
        name = type(splitter).__name__
        warnings.warn(f"The groups parameter is ignored by {name}", stacklevel=3)
    return indicator_of(X, y)


class MultiLabelStratifiedKFold(KFold):
    """K-fold cross-validator for multi-label targets, with the labels spread evenly.

    Each fold gets about the same number of samples of every label, by iterative
    stratification [1]_: the label with the fewest samples left comes first, and each of
    its samples goes to the fold that lacks most samples of it (of equal ones, to the
    fold that lacks most samples). The time that this takes is about proportional to the
    number of true labels.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether samples that can take each other's place do so at random. If False,
        the same targets always have the same folds.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling. Only used when `shuffle` is True. Pass an int for the
        same folds in each call.

    See Also
    --------
    MultiLabelStratifiedShuffleSplit : Keeps each label in the training samples.
    sklearn.model_selection.StratifiedKFold : For one label per sample.

    Notes
    -----
    Each sample is in exactly one test fold, so that a label with a single sample is
    unknown to the model of that fold. A label with two samples or more is in the
    training samples of each fold but for rare cases, where the folds of its samples
    were decided by labels that are rarer still. Sizes of folds may differ by one or two
    percent.

    References
    ----------
    .. [1] K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the stratification of multi-label
       data", ECML PKDD 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.model_selection import MultiLabelStratifiedKFold
    >>> Y = [["cat"], ["dog"], ["cat", "old"], ["dog", "old"]]
    >>> for train, test in MultiLabelStratifiedKFold(n_splits=2).split(np.eye(4), Y):
    ...     print(train, test)
    [1 2] [0 3]
    [0 3] [1 2]
    """

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = False, random_state: Any = None
    ) -> None:
        super().__init__(n_splits, shuffle=shuffle, random_state=random_state)

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[Split]:
        """Generate indices to split data into training and test samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, of which only the number is used.
        y : array-like, sparse matrix, DataFrame or list of lists
            Targets, in every form that `fit` of MHEMultiLabelClassifier takes.
        groups : object, default=None
            Ignored with a warning, exists for compatibility.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Indices of the training samples of this split, ascending.
        test : ndarray of shape (n_test,)
            Indices of its test samples, ascending.

        Raises
        ------
        ValueError
            If `y` is no target, has another number of samples than `X`, or there are
            fewer samples than folds.
        """
        indicator = _read_arguments(self, X, y, groups)
        n_samples, n_splits = indicator.shape[0], self.n_splits
        if n_splits > n_samples:
            raise ValueError(
                f"n_splits={n_splits} is larger than the number of samples, "
                f"n_samples={n_samples}: pass more samples, or fewer folds."
            )
        rng = check_random_state(self.random_state) if self.shuffle else None
        folds = assign_folds(indicator, np.full(n_splits, 1 / n_splits), rng)
        for fold in range(n_splits):
            yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


class MultiLabelStratifiedShuffleSplit(ShuffleSplit):
    """Random splits of multi-label data that keep each label in the training samples.

    The training and the test samples get their shares of the samples of every label, by
    iterative stratification [1]_ (see :class:`MultiLabelStratifiedKFold`). Then, for
    each label without a training sample, one of its samples is moved there.

    Parameters
    ----------
    n_splits : int, default=10
        Number of splits, each of them independent of the others.
    test_size : float or int, default=None
        Share (between 0 and 1) or number of the test samples. If None, what
        `train_size` leaves, or 0.1 if that is None, too.
    train_size : float or int, default=None
        Share or number of the training samples. If None, what `test_size` leaves.
    random_state : int, RandomState instance or None, default=None
        Seed of the splits. Pass an int for the same splits in each call.

    See Also
    --------
    train_test_split : One split, of any number of arrays.
    sklearn.model_selection.StratifiedShuffleSplit : For one label per sample.

    Notes
    -----
    Sizes are those of :class:`sklearn.model_selection.ShuffleSplit`, but where too many
    samples are the only ones with one of their labels: these are all training samples,
    and there are fewer test samples.

    References
    ----------
    .. [1] K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the stratification of multi-label
       data", ECML PKDD 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from skmhe.model_selection import MultiLabelStratifiedShuffleSplit
    >>> Y = [["cat"], ["dog"], ["cat", "old"], ["dog"], ["fox"], ["cat"], ["dog"]]
    >>> splits = MultiLabelStratifiedShuffleSplit(2, test_size=2, random_state=0)
    >>> for train, test in splits.split(np.eye(7), Y):
    ...     print([Y[i] for i in test])
    [['dog'], ['cat']]
    [['dog'], ['cat']]
    """

    def __init__(
        self,
        n_splits: int = 10,
        *,
        test_size: float | None = None,
        train_size: float | None = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            n_splits,
            test_size=test_size,
            train_size=train_size,
            random_state=random_state,
        )

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[Split]:
        """Generate indices to split data into training and test samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, of which only the number is used.
        y : array-like, sparse matrix, DataFrame or list of lists
            Targets, in every form that `fit` of MHEMultiLabelClassifier takes.
        groups : object, default=None
            Ignored with a warning, exists for compatibility.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Indices of the training samples of this split, in random order.
        test : ndarray of shape (n_test,)
            Indices of its test samples, in random order.

        Raises
        ------
        ValueError
            If `y` is no target, has another number of samples than `X`, the sizes are
            not possible, or each sample is the only one with one of its labels.
        """
        indicator = _read_arguments(self, X, y, groups)
        n_samples = indicator.shape[0]
        # scikit-learn's own reading, and errors, of the sizes.
        train, test = next(super().split(np.empty(n_samples)))
        sizes = np.array([len(train), len(test), n_samples - len(train) - len(test)])
        shares = sizes[sizes > 0] / n_samples
        rng = check_random_state(self.random_state)
        for _ in range(self.n_splits):
            folds = assign_folds(indicator, shares, rng)
            folds = move_to_first(indicator, folds)
            folds = meet_sizes(indicator, folds, sizes[sizes > 0], rng)
            if not (folds == 1).any():
                raise ValueError(
                    "There is no test sample: each sample is the only one with one of "
                    "its labels, which must be among the training samples. Leave out "
                    "such labels; or, if the labels are no targets, pass those as y or "
                    "stratify."
                )
            order = rng.permutation(n_samples)
            yield order[folds[order] == 0], order[folds[order] == 1]


def train_test_split(
    *arrays: Any,
    test_size: float | None = None,
    train_size: float | None = None,
    random_state: Any = None,
    stratify: Any = None,
) -> list[Any]:
    """Split arrays into training and test samples, with each label in the former.

    This is scikit-learn's function of the same name for multi-label targets, see
    :class:`MultiLabelStratifiedShuffleSplit`.

    Parameters
    ----------
    *arrays : sequence of array-like, sparse matrix, DataFrame or list
        Data of the same number of samples, such as X and Y: the targets last, unless
        they are passed as `stratify`.
    test_size : float or int, default=None
        Share (between 0 and 1) or number of the test samples. If None, what
        `train_size` leaves, or 0.25 if that is None, too.
    train_size : float or int, default=None
        Share or number of the training samples. If None, what `test_size` leaves.
    random_state : int, RandomState instance or None, default=None
        Seed of the split. Pass an int for the same split in each call.
    stratify : array-like, sparse matrix, DataFrame or list of lists, default=None
        The targets whose labels are spread, in every form that `fit` takes. If None,
        the last one of `arrays`, which must be an indicator or lists of labels then:
        one label per sample could as well be texts, weights or groups.

    Returns
    -------
    list, of length 2 * len(arrays)
        Training and test samples of each array, of its type.

    Raises
    ------
    ValueError
        If there is no array, numbers of samples differ, the targets are none, the last
        array has one label per sample and `stratify` is None, or the sizes are not
        possible.

    See Also
    --------
    sklearn.model_selection.train_test_split : For one label per sample.

    Examples
    --------
    >>> from skmhe.model_selection import train_test_split
    >>> texts = ["a cat", "a dog", "an old cat", "dogs", "a fox", "cats", "my dog"]
    >>> Y = [["cat"], ["dog"], ["cat", "old"], ["dog"], ["fox"], ["cat"], ["dog"]]
    >>> train, test, Y_train, Y_test = train_test_split(
    ...     texts, Y, test_size=0.3, random_state=0
    ... )
    >>> test, Y_test
    (['dogs', 'a cat', 'a dog'], [['dog'], ['cat'], ['dog']])
    """
    if not arrays:
        raise ValueError(
            "train_test_split got no arrays: pass at least one, such as X and Y."
        )
    arrays = indexable(*arrays)
    if stratify is None:
        indicator = _indicator_of_last(arrays[-1])
    else:
        indicator = indicator_of(arrays[0], stratify, "stratify")
    if test_size is None and train_size is None:
        test_size = 0.25
    splitter = MultiLabelStratifiedShuffleSplit(
        1, test_size=test_size, train_size=train_size, random_state=random_state
    )
    parts = next(splitter.split(indicator, indicator))
    return [safe_indexing(array, part) for array in arrays for part in parts]


def _indicator_of_last(y: Any) -> sp.csr_array:
    """Return the CSR indicator of the last array; ValueError for other data than it."""
    name = "arrays[-1]"
    advice = (
        "The last array must be the targets, an indicator or lists of labels, as in "
        "train_test_split(X, Y). Otherwise pass them as stratify, too, as in "
        "train_test_split(X, y, stratify=y)."
    )
    try:
        labels = read_labels(y, name)
    except ValueError as error:
        raise ValueError(f"{error} {advice}") from error
    if isinstance(labels, LabelColumn):
        value = plain(labels.labels[:1])[0]
        raise ValueError(f"{name} has one value per sample, as {value!r} is. {advice}")
    return as_indicator(labels, name)
