"""The k best labels of classifiers in pipelines and searches."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmhe import MHEClassifier, predict_topk

X, y = load_iris(return_X_y=True)
NAMES = np.array(["c", "a", "b"])[y]
COEF = {"max_iter": 1000}


class Ranker(DummyClassifier):
    """Has its own ranking."""

    def predict_topk(self, X, k=5):
        self.seen = X
        return np.full((len(X), k), "x"), np.ones((len(X), k))


@pytest.fixture(scope="module")
def logistic():
    return LogisticRegression(**COEF).fit(StandardScaler().fit_transform(X), NAMES)


def check(model, labels, probabilities):
    for k in (1, 3):
        found, scores = predict_topk(model, X, k=k)
        assert_array_equal(found, labels[:, :k])
        np.testing.assert_allclose(scores, probabilities[:, :k])


@pytest.fixture(scope="module")
def best(logistic):
    p = logistic.predict_proba(StandardScaler().fit_transform(X))
    order = np.argsort(-p, axis=1)
    return logistic.classes_[order], np.take_along_axis(p, order, axis=1)


def test_classifiers(logistic, best):
    labels, scores = predict_topk(logistic, StandardScaler().fit_transform(X), k=2)
    assert_array_equal(labels, best[0][:, :2])
    np.testing.assert_allclose(scores, best[1][:, :2])
    assert scores.dtype == np.float64


def test_frozen_pipelines_rank_as_the_pipeline_does():
    pipeline = make_pipeline(StandardScaler(), Ranker()).fit(X, NAMES)
    for model in (FrozenEstimator(pipeline), make_pipeline(FrozenEstimator(pipeline))):
        assert_array_equal(predict_topk(model, X, k=2)[0], np.full((len(X), 2), "x"))


def test_pipelines_and_searches(best):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(**COEF))
    check(pipeline.fit(X, NAMES), *best)
    grid = {"logisticregression__C": [1.0]}
    check(GridSearchCV(pipeline, grid, cv=2).fit(X, NAMES), *best)
    search = RandomizedSearchCV(pipeline, grid, n_iter=1, cv=2).fit(X, NAMES)
    check(search, *best)
    inner = GridSearchCV(LogisticRegression(**COEF), {"C": [1.0]}, cv=2)
    check(make_pipeline(StandardScaler(), make_pipeline(inner)).fit(X, NAMES), *best)


def test_the_method_is_preferred_and_gets_transformed_samples():
    model = make_pipeline(StandardScaler(), Ranker()).fit(X, y)
    search = GridSearchCV(model, {}, cv=2).fit(X, y)
    for fitted in (model, search):
        labels, scores = predict_topk(fitted, X, k=2)
        assert (labels.shape, scores.shape) == ((150, 2), (150, 2))
        assert labels[0, 0] == "x"
    assert_array_equal(model[-1].seen, StandardScaler().fit_transform(X))
    assert predict_topk(Pipeline([("only", Ranker())]).fit(X, y), X)[0].shape == (
        150,
        5,
    )


def test_decision_functions():
    model = Perceptron().fit(X, NAMES)
    labels, scores = predict_topk(model, X, k=3)
    assert_array_equal(labels[:, 0], model.predict(X))
    assert (np.diff(scores, axis=1) <= 0).all()
    binary = Perceptron().fit(X, y == 1)
    labels, scores = predict_topk(binary, X, k=2)
    assert_array_equal(labels[:, 0], binary.predict(X))
    np.testing.assert_allclose(np.abs(binary.decision_function(X)), scores[:, 0])


def test_the_first_of_equal_labels_is_better():
    model = DummyClassifier(strategy="uniform", random_state=0).fit(X, NAMES)
    assert predict_topk(model, X[:1], k=3)[0].tolist() == [["a", "b", "c"]]


def test_multilabel():
    Y = np.eye(3, dtype=int)[y]
    model = OneVsRestClassifier(LogisticRegression(**COEF)).fit(X, Y)
    labels, _ = predict_topk(model, X, k=1)
    assert_array_equal(labels[:, 0], model.predict_proba(X).argmax(axis=1))


@pytest.mark.parametrize(
    ("model", "error", "match"),
    [
        (LogisticRegression(), NotFittedError, "not fitted"),
        (make_pipeline(StandardScaler(), Ranker()), NotFittedError, "not fitted"),
        (GridSearchCV(Perceptron(), {}), NotFittedError, "not fitted"),
        (LinearRegression().fit(X, y), TypeError, "LinearRegression has no .*classes_"),
        (
            MultiOutputClassifier(Perceptron()).fit(X, np.c_[y, y]),
            TypeError,
            "MultiOutputClassifier has no array classes_",
        ),
        (
            GridSearchCV(Perceptron(), {}, refit=False, cv=2).fit(X, y),
            TypeError,
            "GridSearchCV has no best_estimator_, as refit=False: use refit=True",
        ),
        (make_pipeline(StandardScaler()).fit(X), TypeError, "no array classes_"),
    ],
    ids=str,
)
def test_models_that_cannot_be_ranked(model, error, match):
    with pytest.raises(error, match=match):
        predict_topk(model, X)


def test_classifiers_without_scores():
    class Silent(LogisticRegression):
        predict_proba = decision_function = property()

    with pytest.raises(TypeError, match="Silent has none of the methods predict_"):
        predict_topk(Silent(**COEF).fit(X, y), X)


def test_scores_of_another_shape():
    class Odd(LogisticRegression):
        def predict_proba(self, X):
            return np.ones((len(X), 2))

    match = r"Odd.predict_proba returned scores of shape \(150, 2\)"
    with pytest.raises(ValueError, match=match):
        predict_topk(Odd(**COEF).fit(X, y), X)


@pytest.mark.parametrize("k", [0, 4, 1.0, True])
def test_k_is_out_of_range(logistic, k):
    with pytest.raises(ValueError, match=rf"k={k!r} must be an integer from 1 to 3"):
        predict_topk(logistic, X, k=k)


@pytest.mark.parametrize(("n_labels", "k"), [(3, 3), (9, 5)])
def test_k_is_5_or_all_by_default(n_labels, k):
    X, y = np.random.RandomState(0).rand(36, 4), np.arange(36) % n_labels
    clf = MHEClassifier(max_iter=1, random_state=0).fit(X, y)
    assert clf.predict_topk(X)[0].shape == predict_topk(clf, X)[1].shape == (36, k)
    forest = RandomForestClassifier(3, random_state=0).fit(X, y)
    assert predict_topk(forest, X)[0].shape == (36, k)


@pytest.mark.parametrize(
    ("model", "got"),
    [
        (np.eye(3), "ndarray"),
        (MHEClassifier, "the class MHEClassifier"),
        ("model.pkl", "str"),
    ],
    ids=["array", "class", "str"],
)
def test_what_is_no_model(model, got):
    match = rf"model must be a fitted .*predict_topk\(model, X, k\), but is {got}\."
    with pytest.raises(TypeError, match=match):
        predict_topk(model, np.eye(3), 1)
