"""Scorers with estimators of scikit-learn, pipelines and searches."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from ranking_models import NAMES, TopK, expected_score
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.metrics import accuracy_score, top_k_accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skmhe.metrics import get_scorer


def test_scikit_learn_multiclass():
    X, y = make_classification(
        200, n_informative=6, n_classes=4, random_state=0, n_clusters_per_class=1
    )
    names = np.array(["d", "b", "a", "c"])[y]
    scorer = get_scorer("recall@2")
    for model in (
        LogisticRegression(max_iter=500),
        RidgeClassifier(),
        RandomForestClassifier(10, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
        OneVsRestClassifier(LogisticRegression()),
    ):
        model.fit(X, names)
        use = getattr(model, "decision_function", None) or model.predict_proba
        expected = top_k_accuracy_score(names, use(X), k=2, labels=model.classes_)
        if not isinstance(model, RandomForestClassifier):  # which has ties
            assert_allclose(scorer(model, X, names), expected)
        accuracy = accuracy_score(names, model.predict(X))
        assert_allclose(get_scorer("precision@1")(model, X, names), accuracy)


@pytest.mark.parametrize(
    "model", [LogisticRegression(), DecisionTreeClassifier(max_depth=1)]
)
def test_binary(model):
    X, y = make_classification(80, random_state=0)
    model = clone(model).fit(X, y)
    accuracy = model.score(X, y)
    assert_allclose(get_scorer("precision@1")(model, X, y), accuracy)
    assert get_scorer("recall@2")(model, X, y) == 1
    labels = np.array(["no", "yes"])[y]
    model.fit(X, labels)
    assert_allclose(get_scorer("precision@1")(model, X, labels), accuracy)


def test_one_vs_rest_multilabel():
    X, y = make_multilabel_classification(80, n_classes=6, random_state=0)
    for fitted_on in (y, sp.csr_array(y)):
        model = OneVsRestClassifier(LogisticRegression(max_iter=500))
        scores = model.fit(X, fitted_on).decision_function(X)
        for name in NAMES:
            expected = expected_score(name, y, scores)
            assert get_scorer(name)(model, X, fitted_on) == expected


def test_single_class():
    X = np.zeros((3, 1))
    model = DummyClassifier().fit(X, ["a", "a", "a"])
    assert get_scorer("recall@1")(model, X, ["a", "b", "a"]) == 2 / 3


def test_predict_topk_is_preferred():
    class Both(TopK):
        def decision_function(self, X):
            raise AssertionError

    X = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert (
        get_scorer("precision@1")(Both(classes=["a", "b"]).fit(X), X, ["a", "b"]) == 1
    )


def test_pipeline_and_search(multilabel):
    X, y = multilabel
    y = sp.csr_array(y)
    scorer = get_scorer("ndcg@3")
    expected = scorer(TopK().fit(X, y), X, y)
    pipeline = make_pipeline(FunctionTransformer(), FunctionTransformer(), TopK())
    search = GridSearchCV(pipeline, {"topk__flip": [True, False]}, scoring=scorer, cv=3)
    models = [
        make_pipeline(TopK()),
        make_pipeline(FunctionTransformer(np.square), TopK()),
        make_pipeline(FunctionTransformer(), make_pipeline(TopK())),
        search,
        make_pipeline(FunctionTransformer(), search),
    ]
    for model in models:
        assert scorer(model.fit(X, y), X, y) == expected
    assert search.score(X, y) == expected
    negated = make_pipeline(FunctionTransformer(np.negative), TopK()).fit(X, y)
    assert scorer(negated, X, y) < expected


@pytest.mark.parametrize(
    ("model", "error", "text"),
    [
        (LinearRegression(), TypeError, r"LinearRegression has no array classes_"),
        (GridSearchCV(TopK(), {}, refit=False), TypeError, "GridSearchCV has no array"),
    ],
)
def test_estimators_without_classes(model, error, text):
    with pytest.raises(error, match=text):
        get_scorer("precision@1")(model, np.zeros((2, 2)), [0, 1])


def test_multi_output_forest_is_rejected(multilabel):
    X, y = multilabel
    model = RandomForestClassifier(2, random_state=0).fit(X, y)
    with pytest.raises(TypeError, match=r"no array classes_ .*OneVsRestClassifier"):
        get_scorer("precision@1")(model, X, y)


def test_estimator_without_scores():
    class Silent(BaseEstimator):
        classes_ = np.array([0, 1])

    with pytest.raises(TypeError, match="Silent has none of the methods predict_topk"):
        get_scorer("precision@1")(Silent(), np.zeros((2, 2)), [0, 1])


def test_one_vs_one_scores_are_rejected():
    X, y = make_classification(60, n_informative=6, n_classes=4, random_state=0)
    model = SVC(decision_function_shape="ovo").fit(X, y)
    with pytest.raises(ValueError, match=r"shape \(60, 6\); .* each of the 4 classes"):
        get_scorer("precision@1")(model, X, y)


def test_k_above_the_number_of_classes(multilabel):
    X, y = multilabel
    for model in (
        TopK(),
        make_pipeline(TopK()),
        OneVsRestClassifier(RidgeClassifier()),
    ):
        with pytest.raises(ValueError, match=r"k=9 is larger .*, 8; pass k <= 8"):
            get_scorer("precision@9")(model.fit(X, y), X, y)


def test_scores_with_nan():
    class Broken(ClassifierMixin, BaseEstimator):
        classes_ = np.array([0, 1])

        def decision_function(self, X):
            return np.array([0.5, np.nan])

    with pytest.raises(ValueError, match=r"Broken.decision_function contains NaN"):
        get_scorer("precision@1")(Broken(), np.zeros((2, 2)), [0, 1])


def test_predict_topk_with_a_strange_label():
    class Strange(TopK):
        def predict_topk(self, X, k):
            return np.full((len(X), k), "z"), np.zeros((len(X), k))

    X = np.zeros((2, 2))
    with pytest.raises(
        ValueError, match=r"Strange.predict_topk returned the label 'z'"
    ):
        get_scorer("precision@1")(Strange(classes=["a", "b"]).fit(X), X, ["a", "b"])
