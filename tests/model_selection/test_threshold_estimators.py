"""Classifiers with thresholds as scikit-learn's estimators: metadata, jobs, checks."""

import gc
import pickle
import weakref

import numpy as np
import pytest
import sklearn
from joblib import parallel_config
from sklearn.base import ClassifierMixin, clone
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import column_or_1d
from threshold_problems import X, Y, clf, fixed, lists_of, tuned

from skmhe import MHEMultiLabelClassifier
from skmhe.labels.forms import read_labels
from skmhe.model_selection import (
    MultiLabelFixedThresholdClassifier,
    MultiLabelStratifiedKFold,
    MultiLabelTunedThresholdClassifierCV,
)


def test_models_are_cloned_pickled_and_searched():
    model = tuned(scoring="f1_macro", per_label=True).fit(X, lists_of(Y))
    copy = pickle.loads(pickle.dumps(model))
    assert copy.predict(X) == model.predict(X)
    assert len(model._form.read.lengths) == 0  # targets are not kept
    search = GridSearchCV(
        tuned(),
        {"scoring": ["f1_micro", "f1_macro"], "estimator__linear__C": [0.5]},
        scoring="f1_micro",
        cv=MultiLabelStratifiedKFold(2),
        error_score="raise",
    ).fit(X, Y)
    assert search.best_score_ > 0.3
    assert clone(search.best_estimator_).get_params()["scoring"] in (
        "f1_micro",
        "f1_macro",
    )


@pytest.mark.parametrize(
    "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
)
def test_splits_at_once_have_the_same_threshold(backend):
    with parallel_config(backend):
        found = tuned(n_jobs=2).fit(X, Y)
    expected = tuned().fit(X, Y)
    assert found.best_threshold_ == expected.best_threshold_
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_models_of_splits_are_not_kept():
    references, n_alive = [], []

    class Counted(MHEMultiLabelClassifier):
        def fit(self, X, y):
            gc.collect()
            n_alive.append(sum(reference() is not None for reference in references))
            references.append(weakref.ref(self))
            return super().fit(X, y)

    inner = Counted(model="linear", random_state=0)
    MultiLabelTunedThresholdClassifierCV(inner, cv=4).fit(X, Y)
    assert len(n_alive) == 5
    assert max(n_alive) <= 1


def test_sample_weights_of_a_pipeline_are_split_too():
    weights = np.where(np.arange(len(X)) < 24, 1.0, 1e-6)
    given = {"cv": 0.5, "random_state": 0}
    expected = tuned(**given).fit(X, Y, sample_weight=weights)
    pipeline = Pipeline([("same", FunctionTransformer()), ("clf", clf())])
    model = MultiLabelTunedThresholdClassifierCV(pipeline, **given)
    model.fit(X, Y, clf__sample_weight=weights)
    assert model.best_threshold_ == expected.best_threshold_


# ------------------------------------------------------------ metadata routing
@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize("make", [fixed, tuned])
def test_metadata_that_the_estimator_requests_reach_it(make, routing):
    weights = np.where(np.arange(len(X)) < 24, 1.0, 1e-6)
    plain = make().fit(X, Y)
    requested = clf().set_fit_request(sample_weight="w")
    model = make().set_params(estimator=requested).fit(X, Y, w=weights)
    expected = clf().fit(X, Y, sample_weight=weights).predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert (plain.predict_proba(X) != expected).any()
    search = GridSearchCV(
        make().set_params(estimator=requested), {"max_labels": [3]}, cv=2
    )
    search.fit(X, Y, w=weights)
    np.testing.assert_array_equal(search.predict_proba(X), expected)
    with pytest.raises(TypeError, match="unexpected argument"):
        make().fit(X, Y, v=weights)
    with pytest.raises(ValueError, match="not explicitly set as requested"):
        make().fit(X, Y, sample_weight=weights)


def test_groups_reach_the_splitter(routing):
    groups = np.arange(len(X)) % 4
    model = tuned(cv=GroupKFold(2)).fit(X, Y, groups=groups)
    folds = list(GroupKFold(2).split(X, Y, groups))
    assert model.best_threshold_ == tuned(cv=folds).fit(X, Y).best_threshold_


# ------------------------------------------------------------ scikit-learn's checks
class TakesSingleLabels:
    """One label per sample as a list of one, as most checks have no other targets."""

    def fit(self, X, y):
        if np.asarray(y).shape[1:] not in ((), (1,)):
            return super().fit(X, y)
        column = column_or_1d(y, warn=True)
        read_labels(column)
        return super().fit(X, [[label] for label in column])

    def predict(self, X):
        predicted = super().predict(X)
        is_single = isinstance(predicted, list)
        return self.predict_topk(X, 1)[0][:, 0] if is_single else predicted

    def score(self, X, y):
        return ClassifierMixin.score(self, X, y)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = True
        return tags


class Fixed(TakesSingleLabels, MultiLabelFixedThresholdClassifier):
    pass


class Tuned(TakesSingleLabels, MultiLabelTunedThresholdClassifierCV):
    pass


REASON = "scores of two labels have two columns, and neither is that of the other one"


def expected_failures(estimator):
    return dict.fromkeys(
        (
            "check_classifiers_classes",
            "check_classifiers_train",
            "check_decision_proba_consistency",
        ),
        REASON,
    )


@parametrize_with_checks(
    [Fixed(clf()), Tuned(clf(), cv=2)], expected_failed_checks=expected_failures
)
def test_sklearn_checks(estimator, check):
    check(estimator)
