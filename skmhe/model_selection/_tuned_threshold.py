"""A classifier whose threshold maximizes F1 of held-out samples."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skmhe.estimators._sklearn import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    fit_context,
    safe_indexing,
)
from skmhe.metrics._evaluation import compare
from skmhe.metrics._true_labels import TrueLabels
from skmhe.model_selection._split import (
    MultiLabelStratifiedKFold,
    MultiLabelStratifiedShuffleSplit,
)
from skmhe.model_selection._targets import TargetForm, form_of, read_multilabel
from skmhe.model_selection._threshold import BaseThresholdClassifier, rank_best
from skmhe.model_selection._tuning import (
    Scored,
    f1_above,
    global_threshold,
    label_thresholds,
)


class MultiLabelTunedThresholdClassifierCV(BaseThresholdClassifier):
    """Classifier that predicts the labels above a threshold that maximizes F1.

    This is :class:`sklearn.model_selection.TunedThresholdClassifierCV` for multi-label
    targets. The threshold is that of the largest F1 of all predictions of held-out
    samples together. All thresholds are tried, in the time of sorting the scores. Only
    the best labels of a sample are looked at, never the scores of all.

    Parameters
    ----------
    estimator : estimator instance
        The multi-label classifier, pipeline or search to fit. Its scores are those of
        :func:`skmhe.predict_topk`.
    scoring : {"f1_micro", "f1_macro", "f1_samples"}, default="f1_micro"
        What to maximize, see :func:`skmhe.metrics.f1_score`.
    per_label : bool, default=False
        Whether each label has a threshold of its own, which needs "f1_macro". Others
        are the better ones with one threshold: those of labels fit too few samples.
    shrinkage : float, default=10.0
        With `per_label`, the threshold of a label with n true samples is the mean of
        its best one, of weight n, and of the best one of all labels, of this weight.
        Only used when `per_label` is True.
    max_labels : int, default=50
        Largest number of labels that are predicted for a sample.
    cv : int, float, cross-validation generator, iterable or "prefit", default=None
        How samples are held out. An int is the number of folds, None is 5, of
        :class:`MultiLabelStratifiedKFold`; a float between 0 and 1 is the share of a
        single split by :class:`MultiLabelStratifiedShuffleSplit`. With "prefit", the
        estimator is fitted already, and all samples must be others than its own.
    refit : bool, default=True
        Whether the estimator is fitted to all samples at last. If False, which needs a
        single split, it is the one without the held-out samples; False is required
        with ``cv="prefit"``.
    random_state : int, RandomState instance or None, default=None
        Seed of the split. Only used when `cv` is a float.

    Attributes
    ----------
    estimator_ : estimator instance
        The fitted estimator.
    best_threshold_ : float or ndarray of shape (n_labels,)
        The threshold; with `per_label`, one for each of `classes_`.
    best_score_ : float
        F1 of the held-out samples with it. It was chosen for them, so that it is too
        good for others, by little with one threshold and more with `per_label`.
    classes_ : ndarray of shape (n_labels,)
        The labels of the fitted estimator.

    See Also
    --------
    MultiLabelFixedThresholdClassifier : Uses a given threshold, or the k best labels.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skmhe import MHEMultiLabelClassifier
    >>> from skmhe.model_selection import MultiLabelTunedThresholdClassifierCV
    >>> X, Y = make_multilabel_classification(
    ...     n_samples=300, n_classes=20, sparse=True, return_indicator="sparse",
    ...     random_state=0,
    ... )
    >>> clf = MHEMultiLabelClassifier(model="linear", random_state=0)
    >>> tuned = MultiLabelTunedThresholdClassifierCV(clf, cv=3).fit(X, Y)
    >>> 0 < tuned.best_threshold_ < 0.5
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods("fit")],
        "scoring": [StrOptions({"f1_micro", "f1_macro", "f1_samples"})],
        "per_label": ["boolean"],
        "shrinkage": [Interval(Real, 0, None, closed="left")],
        "max_labels": [Interval(Integral, 1, None, closed="left")],
        "cv": [
            "cv_object",
            StrOptions({"prefit"}),
            Interval(RealNotInt, 0, 1, closed="neither"),
        ],
        "refit": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        scoring: str = "f1_micro",
        per_label: bool = False,
        shrinkage: float = 10.0,
        max_labels: int = 50,
        cv: Any = None,
        refit: bool = True,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.scoring = scoring
        self.per_label = per_label
        self.shrinkage = shrinkage
        self.max_labels = max_labels
        self.cv = cv
        self.refit = refit
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Find the threshold, and fit the estimator.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like, sparse matrix, DataFrame or list of lists
            Targets, an indicator or lists of labels.
        **params : dict
            Other arguments of the estimator's `fit`, of which `sample_weight` has a
            value for each sample. It does not weight F1.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter is invalid, parameters do not go together, or `y` has one
            label per sample.
        """
        average = self.scoring.removeprefix("f1_")
        if self.per_label and average != "macro":
            raise ValueError(
                f"per_label=True maximizes F1 of each label, but scoring="
                f"{self.scoring!r}: pass scoring='f1_macro', or per_label=False."
            )
        read = read_multilabel(y)
        check_consistent_length(X, np.empty(read.n_samples))
        splits = self._splits(X, y)
        estimator, fitted = self._fitted(X, y, splits, params)
        form = form_of(read, np.asarray(estimator.classes_))
        scored = self._held_out(X, form, splits, fitted)
        if self.per_label:
            thresholds: Any = label_thresholds(scored, self.shrinkage)
            columns = form.columns_of(np.asarray(estimator.classes_))
            self.best_threshold_ = thresholds[columns]
        else:
            self.best_threshold_ = global_threshold(scored, average)
            thresholds = np.asarray(self.best_threshold_)
        self.best_score_ = f1_above(scored, thresholds, average)
        self.estimator_, self._form = estimator, form.without_targets()
        return self

    def _splits(self, X: Any, y: Any) -> list[tuple[Any, Any]]:
        """Return training and held-out samples of each split."""
        cv: Any = 5 if self.cv is None else self.cv
        splits: list[tuple[Any, Any]]
        if isinstance(cv, str):  # "prefit"
            n_samples = read_multilabel(y).n_samples
            splits = [(None, np.arange(n_samples))]
        elif isinstance(cv, Integral):
            splits = list(MultiLabelStratifiedKFold(int(cv)).split(X, y))
        elif isinstance(cv, Real):
            splitter = MultiLabelStratifiedShuffleSplit(
                1, test_size=float(cv), random_state=self.random_state
            )
            splits = list(splitter.split(X, y))
        else:
            splits = list(cv.split(X, y) if hasattr(cv, "split") else cv)
        if isinstance(cv, str) and self.refit:
            raise ValueError(
                "cv='prefit' uses the estimator as it is, but refit=True: pass "
                "refit=False."
            )
        if not self.refit and len(splits) > 1:
            raise ValueError(
                f"refit=False needs the estimator of a single split, but cv has "
                f"{len(splits)}: pass cv=0.2, for example, or refit=True."
            )
        return splits

    def _fitted(
        self, X: Any, y: Any, splits: list[tuple[Any, Any]], params: dict[str, Any]
    ) -> tuple[Any, list[Any]]:
        """Return the estimator of predictions, and that of each split."""
        if isinstance(self.cv, str):
            check_is_fitted(self.estimator)
            return self.estimator, [self.estimator]
        fitted = []
        for train, _ in splits:
            of_split = dict(params)
            if params.get("sample_weight") is not None:
                weights = safe_indexing(params["sample_weight"], train)
                of_split["sample_weight"] = weights
            part = safe_indexing(X, train), safe_indexing(y, train)
            fitted.append(clone(self.estimator).fit(*part, **of_split))
        if not self.refit:
            return fitted[0], fitted
        return clone(self.estimator).fit(X, y, **params), fitted

    def _held_out(
        self, X: Any, form: TargetForm, splits: list[tuple[Any, Any]], fitted: list[Any]
    ) -> Scored:
        """Return the predictions of held-out samples."""
        targets, parts = form.indicator(), []
        for (_, test), estimator in zip(splits, fitted, strict=True):
            places, scores = rank_best(
                estimator, safe_indexing(X, test), self.max_labels
            )
            numbers = form.columns_of(np.asarray(estimator.classes_))[places]
            rows = targets[test]
            truth = TrueLabels(rows.indptr, rows.indices)
            hits = compare(truth, numbers, None).hits
            parts.append((numbers, scores, hits, truth.counts))
        n_samples = [len(part[0]) for part in parts]
        starts = np.cumsum([0, *n_samples[:-1]])
        samples = [
            np.repeat(start + np.arange(len(numbers)), numbers.shape[1])
            for start, (numbers, *_) in zip(starts, parts, strict=True)
        ]
        labels, scores, hits = (
            np.concatenate([part[i].ravel() for part in parts]) for i in range(3)
        )
        tested = np.concatenate([test for _, test in splits])
        n_true = np.bincount(targets[tested].indices, minlength=targets.shape[1])
        counts = np.concatenate([part[3] for part in parts])
        return Scored(scores, hits, labels, np.concatenate(samples), n_true, counts)

    def _thresholds(self) -> Any:
        return self.best_threshold_
