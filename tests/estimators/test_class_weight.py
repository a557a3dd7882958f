"""Weights of labels: what they do to networks and to linear classifiers."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from estimator_problems import N_CLASSES, assert_same_model, both, make, make_data
from lone_networks import fit, network_alone, weights
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_score

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.estimators.validation.targets import Target, check_label_weight
from skmhe.training.loop import Trainer

ONES = dict.fromkeys(range(N_CLASSES), 1.0)


class CountedClasses(np.ndarray):
    """Labels that count how often someone goes through all of them."""

    passes = 0

    def __iter__(self):
        type(self).passes += 1
        return super().__iter__()


def test_class_weight_of_many_labels_takes_linear_time():
    classes = np.arange(50).view(CountedClasses)
    target = Target(np.arange(50), classes, "labels")
    CountedClasses.passes = 0
    weight = check_label_weight(dict.fromkeys(range(50), 2.0), target, None)
    assert_array_equal(weight, np.full(50, 2.0))
    assert CountedClasses.passes < 10


@both
def test_class_weight_of_linear_classifiers(cls):
    X, y = make_data(cls)
    X = X[:, :3]  # of which labels cannot be told apart well

    def linear(C=0.01, sample_weight=None, **params):
        clf = make(cls, "full", model="linear", linear__C=C, **params)
        return clf.fit(X, y, sample_weight).predict_proba(X)

    plain, heavy = linear(), linear(class_weight={2: 50.0})
    assert_array_equal(plain, linear(class_weight=ONES))
    assert (heavy - plain)[:, 2].mean() > 0.01
    if cls is MHEClassifier:  # the weight of the label's samples
        weight = np.where(y == 2, 50.0, 1.0)
        same = linear(C=0.01 * weight.mean(), sample_weight=weight)
        assert_allclose(same, heavy, atol=1e-4)


def test_class_weight_leaves_centroids_alone(monkeypatch):
    # Otherwise too little or too much of a sample would be left out of its own.
    lengths, train = [], Trainer.train

    def recorded(trainer, *args):
        lengths.append(trainer.data.centroids.lengths)
        return train(trainer, *args)

    monkeypatch.setattr(Trainer, "train", recorded)
    for class_weight in (None, {2: 50.0}):
        make(MHEClassifier, "sampling", class_weight=class_weight).fit(*make_data())
    assert_array_equal(*lengths)


@both
def test_class_weight_of_networks(cls):
    X, _ = make_data(cls)
    plain, raised, lowered = (
        fit(cls, class_weight=value).predict_proba(X)[:, 3].mean()
        for value in (None, {3: 20.0}, {3: 0.0})
    )
    assert raised > plain + 0.05
    assert lowered < plain
    assert_same_model(fit(cls), fit(cls, class_weight=ONES))


def assert_same_training(a, b):
    for name, weight in weights(a).items():
        assert_allclose(weight, weights(b)[name], rtol=1e-3, atol=1e-4)


@both
def test_balanced_class_weight(cls):
    n = 96
    # Label 1 is rare and cannot be told by X.
    y = (np.arange(n) % 16 == 0).astype(int)
    X = np.random.RandomState(0).randn(n, 6)
    by_hand = {0: n / (2 * (n - 6)), 1: n / (2 * 6)}
    if cls is MHEMultiLabelClassifier:
        y = np.eye(2, dtype=int)[y]
    plain, balanced, same = (
        network_alone(cls, class_weight=value).fit(X, y)
        for value in (None, "balanced", by_hand)
    )
    assert_same_training(balanced, same)
    p, q = (clf.predict_proba(X)[:, 1].mean() for clf in (plain, balanced))
    assert q > p + 0.02


def test_balanced_counts_the_weight_of_samples():
    X, y = make_data()
    y = y % 3
    weight = np.where(y == 0, 4.0, 1.0)
    # 32 samples per class: the weights are those of counts 128, 32 and 32.
    balanced, same = (
        network_alone(MHEClassifier, class_weight=value).fit(X, y, weight)
        for value in ("balanced", {0: 0.5, 1: 2.0, 2: 2.0})
    )
    assert_same_training(balanced, same)


@pytest.mark.parametrize("model", ["linear", "both"])
def test_a_fold_without_a_rare_class(model):
    X, y = np.random.RandomState(0).rand(60, 5), np.arange(60) % 3
    y[0] = 3
    weights = {0: 1.0, 1: 2.0, 2: 1.0, 3: 5.0}
    clf = MHEClassifier(model=model, class_weight=weights, max_iter=1, random_state=0)
    scores = cross_val_score(clf, X, y, cv=KFold(3), error_score="raise")
    assert np.isfinite(scores).all()
    present = {label: weights[label] for label in (0, 1, 2)}
    rows = slice(1, None)
    expected = clone(clf).set_params(class_weight=present).fit(X[rows], y[rows])
    found = clf.fit(X[rows], y[rows])
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("unit", ["D", "s", "ns"])
def test_class_weight_of_times(unit):
    times = np.array(["2024-02-01", "2024-01-01", "2024-03-01"], f"datetime64[{unit}]")
    target = Target(np.arange(3), np.sort(times), "labels")
    for make_key in (np.datetime64, date.fromisoformat, pd.Timestamp):
        weights = {make_key("2024-01-01"): 3.0, make_key("2024-04-01"): 9.0}
        assert_array_equal(check_label_weight(weights, target, None), [3, 1, 1])


def test_no_class_of_a_fold_has_a_weight():
    X, y = np.random.RandomState(0).rand(30, 5), np.arange(30) % 3
    clf = MHEClassifier(model="linear", class_weight={"rare": 9.0, 7: 5.0})
    expected = clone(clf).set_params(class_weight=None).fit(X, y).predict_proba(X)
    assert_array_equal(clf.fit(X, y).predict_proba(X), expected)


@pytest.mark.parametrize("unit", ["D", "us", "ns"])
def test_class_weight_of_dates(unit):
    X, y = np.random.RandomState(0).rand(30, 5), np.arange(30) % 3
    days = np.datetime64("2024-01-01") + y
    clf = MHEClassifier(model="linear")
    expected = clf.set_params(class_weight={1: 50.0}).fit(X, y).predict_proba(X)
    clf.set_params(class_weight={np.datetime64("2024-01-02"): 50.0})
    found = clf.fit(X, days.astype(f"datetime64[{unit}]")).predict_proba(X)
    assert_array_equal(found, expected)
