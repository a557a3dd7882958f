"""A classifier whose threshold maximizes F1 of held-out samples."""

from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skmhe.estimators._sklearn import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    fit_context,
    safe_indexing,
)
from skmhe.final_classifier import classes_of
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

Split: TypeAlias = tuple[NDArray[np.int64] | None, NDArray[np.int64]]


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
        Whether each label has a threshold of its own, which needs "f1_macro". The
        other scores are mostly higher with one threshold for all labels.
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
    n_jobs : int, default=None
        Number of splits that are fitted at once. None is 1 unless in a
        :func:`joblib.parallel_config` context, -1 is all processors.
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
    n_features_in_ : int
        Its number of features, if it has that.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if it has them.

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
        "n_jobs": [Integral, None],
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
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.scoring = scoring
        self.per_label = per_label
        self.shrinkage = shrinkage
        self.max_labels = max_labels
        self.cv = cv
        self.refit = refit
        self.n_jobs = n_jobs
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
            Other arguments of the estimator's `fit`, of which `sample_weight` (also
            that of a step of a pipeline) has a value for each sample. It does not
            weight F1. With ``sklearn.set_config(enable_metadata_routing=True)``, those
            that the estimator and the splitter `cv` request.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter is invalid, parameters do not go together, or `y` has one
            label per sample.
        TypeError
            If the estimator has no array `classes_`.
        """
        average = self._check_parameters()
        read = read_multilabel(y)
        X, y = indexable(X, y)
        routed = self._route(params)
        splits = self._splits(X, y, read.n_samples, routed.splitter.split)
        fit_params = routed.estimator.fit
        given = fit_params, self.max_labels, not self.refit
        held_out = Parallel(n_jobs=self.n_jobs)(
            delayed(_rank_held_out)(self.estimator, X, y, *split, *given)
            for split in splits
        )
        estimator = held_out[0].estimator
        if self.refit:
            estimator = clone(self.estimator).fit(X, y, **fit_params)
        classes = classes_of(estimator)
        form = form_of(read, classes)
        scored = _scored(form, [test for _, test in splits], held_out)
        if self.per_label:
            thresholds = label_thresholds(scored, self.shrinkage)
            self.best_threshold_: Any = thresholds[form.columns_of(classes)]
        else:
            self.best_threshold_ = global_threshold(scored, average)
            thresholds = np.asarray(self.best_threshold_)
        self.best_score_ = f1_above(scored, thresholds, average)
        self.estimator_, self._form = estimator, form.without_targets()
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Get what is passed on of the metadata that `fit` is given.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            The requests of the estimator, for its `fit`, and of the splitter `cv`.
        """
        return (
            super()
            .get_metadata_routing()
            .add(
                splitter=self.cv,
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        )

    def _check_parameters(self) -> str:
        """Raise ValueError unless they go together; return what F1 is the mean of."""
        average = self.scoring.removeprefix("f1_")
        if self.per_label and average != "macro":
            raise ValueError(
                f"per_label=True maximizes F1 of each label, but scoring="
                f"{self.scoring!r}: pass scoring='f1_macro', or per_label=False."
            )
        if isinstance(self.cv, str):  # "prefit"
            if self.refit:
                raise ValueError(
                    "cv='prefit' uses the estimator as it is, but refit=True fits it "
                    "again: pass refit=False, too, or a FrozenEstimator and another cv."
                )
            check_is_fitted(self.estimator)
        return average

    def _splits(
        self, X: Any, y: Any, n_samples: int, params: dict[str, Any]
    ) -> list[Split]:
        """Return training and held-out samples of each split."""
        cv: Any = 5 if self.cv is None else self.cv
        every = np.arange(n_samples)
        if isinstance(cv, str):  # "prefit"
            return [(None, every)]
        if isinstance(cv, Integral):
            cv = MultiLabelStratifiedKFold(int(cv))
        elif isinstance(cv, Real):
            cv = MultiLabelStratifiedShuffleSplit(
                1, test_size=float(cv), random_state=self.random_state
            )
        found = cv.split(X, y, **params) if hasattr(cv, "split") else cv
        # Splits may be masks, too.
        splits: list[Split] = [(every[train], every[test]) for train, test in found]
        if not splits:
            raise ValueError(f"cv={cv!r} has no splits: pass at least one.")
        if not self.refit and len(splits) > 1:
            raise ValueError(
                f"refit=False needs the estimator of a single split, but cv has "
                f"{len(splits)}: pass cv=0.2, for example, or refit=True."
            )
        return splits

    def _thresholds(self) -> NDArray[np.float64]:
        return np.asarray(self.best_threshold_)


class _HeldOut(NamedTuple):
    """The best labels of the held-out samples of a split."""

    places: NDArray[np.int64]  # in the classes, shape: (n_samples, k)
    scores: NDArray[np.float64]
    classes: NDArray[Any]
    estimator: Any  # None if it is not needed any more


def _rank_held_out(
    estimator: Any,
    X: Any,
    y: Any,
    train: NDArray[np.int64] | None,
    test: NDArray[np.int64],
    params: dict[str, Any],
    max_labels: int,
    keeps_estimator: bool,
) -> _HeldOut:
    """Fit the estimator to the training samples of a split, and rank the others.

    Without training samples, it is fitted already.
    """
    if train is not None:
        part = safe_indexing(X, train), safe_indexing(y, train)
        weights = {
            name: safe_indexing(value, train)
            for name, value in params.items()
            if name.endswith("sample_weight") and value is not None
        }
        estimator = clone(estimator).fit(*part, **{**params, **weights})
    ranked = rank_best(estimator, safe_indexing(X, test), max_labels)
    kept = estimator if keeps_estimator else None
    return _HeldOut(*ranked, classes_of(estimator), kept)


def _scored(
    form: TargetForm, tests: list[NDArray[np.int64]], held_out: list[_HeldOut]
) -> Scored:
    """Put the predictions of all splits one after the other, and mark the hits."""
    targets, parts, start = form.indicator(), [], 0
    for test, found in zip(tests, held_out, strict=True):
        numbers = form.columns_of(found.classes)[found.places]
        rows = targets[test]
        truth = TrueLabels(rows.indptr, rows.indices)
        hits = compare(truth, numbers, None).hits
        samples = np.repeat(np.arange(start, start + len(test)), numbers.shape[1])
        parts.append((found.scores.ravel(), hits.ravel(), numbers.ravel(), samples))
        start += len(test)
    rows = targets[np.concatenate(tests)]
    n_true = np.bincount(rows.indices, minlength=targets.shape[1])
    scores, hits, labels, in_samples = map(np.concatenate, zip(*parts, strict=True))
    return Scored(scores, hits, labels, in_samples, n_true, np.diff(rows.indptr))
