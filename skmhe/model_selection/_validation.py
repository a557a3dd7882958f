"""Cross-validation with the targets that scikit-learn's own function refuses."""

from inspect import unwrap
from numbers import Integral
from typing import Any

from sklearn import model_selection

from skmhe.labels.forms import LabelColumn, read_labels
from skmhe.model_selection._split import MultiLabelStratifiedKFold


def cross_validate(
    estimator: Any, X: Any, y: Any, *, cv: Any = None, **parameters: Any
) -> dict[str, Any]:
    """Evaluate metrics by cross-validation, with multi-label targets in any form.

    :func:`sklearn.model_selection.cross_validate` refuses a sparse `y`, before it looks
    at anything else (as of scikit-learn 1.9); with a number as `cv`, it also refuses
    lists of labels. This function is the same one without that check, and with folds
    that are stratified by labels.

    Parameters
    ----------
    estimator : estimator instance
        The classifier, pipeline or search to fit.
    X : array-like, sparse matrix or list of shape (n_samples, n_features)
        Samples.
    y : array-like, sparse matrix, DataFrame or list of lists
        Targets, in every form that `fit` of the estimator takes.
    cv : int, cross-validation generator or iterable, default=None
        An int is the number of folds, None is 5: of
        :class:`MultiLabelStratifiedKFold`, without shuffling; or, of one label per
        sample, those of scikit-learn. Anything else is as in scikit-learn.
    **parameters : dict
        All other parameters of :func:`sklearn.model_selection.cross_validate`, such as
        `scoring`, `n_jobs` or `return_estimator`.

    Returns
    -------
    dict of ndarray of shape (n_splits,)
        `test_score` (or one key for each metric), `fit_time` and `score_time` in
        seconds, and what `parameters` ask for.

    Raises
    ------
    ValueError
        If `y` is no target, or a fit or a parameter fails in scikit-learn.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Takes a sparse `y`.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skmhe import MHEMultiLabelClassifier
    >>> from skmhe.metrics import get_scorer
    >>> from skmhe.model_selection import cross_validate
    >>> X, Y = make_multilabel_classification(
    ...     n_samples=300, sparse=True, return_indicator="sparse", random_state=0
    ... )
    >>> clf = MHEMultiLabelClassifier(model="linear", random_state=0)
    >>> results = cross_validate(clf, X, Y, cv=3, scoring=get_scorer("precision@1"))
    >>> results["test_score"].shape
    (3,)
    """
    if cv is None or isinstance(cv, Integral):
        is_column = isinstance(read_labels(y), LabelColumn)
        if not is_column:
            cv = MultiLabelStratifiedKFold(5 if cv is None else int(cv))
    # Below its validation of parameters; of fits, it validates all as ever.
    without_check = unwrap(model_selection.cross_validate)
    return without_check(estimator, X, y, cv=cv, **parameters)
