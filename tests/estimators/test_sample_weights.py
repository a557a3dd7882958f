"""Weights of samples: what they mean in fit, partial_fit and score."""

import numpy as np
import pytest
import sklearn
from estimator_problems import (
    N_CLASSES,
    assert_close_models,
    assert_same_model,
    both,
    differ,
    every,
    fitted,
    make,
    make_data,
    single,
)
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmhe import MHEMultiLabelClassifier


@every
def test_a_sample_of_weight_zero_is_as_good_as_absent(cls, strategy):
    X, y = make_data(cls)
    # Every third sample, all labels still occurring among the others.
    weight = np.ones(len(X))
    weight[::3] = 0
    options = {"dropout": (0.0, 0.1), "early_stopping": True, "max_iter": 3}
    weighted = make(cls, strategy, **options).fit(X, y, sample_weight=weight)
    kept = weight > 0
    left_out = make(cls, strategy, **options).fit(X[kept], y[kept])
    assert_close_models(weighted, left_out, rtol=1e-6, atol=1e-7)
    assert weighted.validation_scores_ == left_out.validation_scores_


def test_a_sample_of_weight_zero_does_not_count_for_auto_batches():
    rng = np.random.RandomState(0)
    X, y = rng.randn(1200, 3), np.arange(1200) % 3
    weight = (np.arange(1200) < 600).astype(float)
    options = {"batch_size": "auto", "max_iter": 1, "hidden_layer_sizes": (4,)}
    weighted = make(**options).fit(X, y, sample_weight=weight)
    left_out = make(**options).fit(X[:600], y[:600])
    assert_close_models(weighted, left_out, rtol=1e-6, atol=1e-7)


@every
def test_sample_weight_has_an_effect(cls, strategy):
    X, y = make_data(cls)
    weight = np.random.RandomState(0).uniform(0.5, 2, len(X))
    weighted = make(cls, strategy).fit(X, y, sample_weight=weight)
    assert differ(weighted, fitted(cls, strategy))


@every
def test_weights_of_one_are_no_weights(cls, strategy):
    X, y = make_data(cls)
    ones = make(cls, strategy).fit(X, y, sample_weight=np.ones(len(X)))
    assert_same_model(ones, fitted(cls, strategy))


@every
def test_scale_of_the_weights_means_nothing(cls, strategy):
    X, y = make_data(cls)
    X, y = X[30:], y[30:]  # so that the labels are not equally frequent
    # A power of 2, so that not even rounding differs; their sum is less than 1.
    weight = np.full(len(X), 2.0**-10)
    scaled = make(cls, strategy).fit(X, y, sample_weight=weight)
    assert_same_model(scaled, make(cls, strategy).fit(X, y))


@pytest.mark.parametrize("model", ["both", "network"])
@single
def test_weights_decide_between_contradicting_samples(strategy, model):
    X = np.tile(np.eye(4), (20, 1))
    # Each sample occurs with the right class and, just as often, with class 0.
    y = np.where(np.arange(80) // 4 % 2, np.tile(np.arange(4), 20), 0)
    right = y == np.tile(np.arange(4), 20)
    clf = make(strategy=strategy, model=model, max_iter=20)
    clf.fit(X, y, sample_weight=np.where(right, 20, 1))
    assert_array_equal(clf.predict(np.eye(4)), [0, 1, 2, 3])
    clf.fit(X, y, sample_weight=np.where(y == 0, 20, 1))
    assert_array_equal(clf.predict(np.eye(4)), [0, 0, 0, 0])


@pytest.mark.parametrize("strategy", ["full", "cascade"])
def test_linear_classifiers_use_weights(strategy):
    X = np.tile(np.eye(4), (20, 1))
    y = np.where(np.arange(80) // 4 % 2, np.tile(np.arange(4), 20), 0)
    right = y == np.tile(np.arange(4), 20)
    clf = make(strategy=strategy, model="linear")
    clf.fit(X, y, sample_weight=np.where(right, 20, 1))
    assert_array_equal(clf.predict(np.eye(4)), [0, 1, 2, 3])
    clf.fit(X, y, sample_weight=np.where(y == 0, 20, 1))
    assert_array_equal(clf.predict(np.eye(4)), [0, 0, 0, 0])


def test_multilabel_sample_weight():
    X = np.tile(np.eye(4), (20, 1))
    Y = np.zeros((80, 4), dtype=int)
    half = np.arange(80) // 4 % 2 == 1
    Y[half] = X[half].astype(int)
    clf = make(MHEMultiLabelClassifier, max_iter=30)
    clf.fit(X, Y, sample_weight=np.where(half, 20, 1))
    assert_array_equal(clf.predict(np.eye(4)), np.eye(4))
    clf.fit(X, Y, sample_weight=np.where(half, 1, 20))
    assert_array_equal(clf.predict(np.eye(4)), np.zeros((4, 4)))


def test_score_takes_sample_weight():
    X, y = make_data()
    clf = make().fit(X, y)
    wrong = np.where(np.arange(len(y)) < 48, y, (y + 1) % N_CLASSES)
    weight = (np.arange(len(y)) < 48).astype(float)
    assert clf.score(X, wrong, sample_weight=weight) == clf.score(X[:48], y[:48])
    assert clf.score(X, wrong, sample_weight=weight) > clf.score(X, wrong)


# ------------------------------------------------------------ metadata routing


@both
def test_sample_weight_is_routed(cls):
    X, y = make_data(cls)
    weight = np.where(np.arange(len(X)) % 2, 1.0, 0.01)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make(cls).set_fit_request(sample_weight=True)
        clf.set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler(with_mean=False), clf)
        pipeline[0].set_fit_request(sample_weight=False)
        routed = pipeline.fit(X, y, sample_weight=weight)
        X_scaled = routed[0].transform(X)
        by_hand = make(cls).fit(X_scaled, y, sample_weight=weight)
        assert_same_model(routed[-1], by_hand)
        search = GridSearchCV(clf, {"max_iter": [1, 2]}, cv=KFold(2))
        search.fit(X, y, sample_weight=weight)
        pipeline.fit(X, y)
    assert_same_model(pipeline[-1], make(cls).fit(X_scaled, y))
    assert differ(pipeline[-1], by_hand)
    direct = make(cls, **search.best_params_).fit(X, y, sample_weight=weight)
    assert_same_model(search.best_estimator_, direct)


@both
def test_what_can_be_routed(cls):
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make(cls)
        clf.set_partial_fit_request(classes=True, sample_weight=True)
        request = clf.get_metadata_routing()
    assert set(request.fit.requests) == {"label_features", "sample_weight"}
    assert set(request.partial_fit.requests) == {
        "classes",
        "label_features",
        "sample_weight",
    }
    assert set(request.score.requests) == {"sample_weight"}
    assert request.predict.requests == {}
