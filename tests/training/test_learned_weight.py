"""The weight of linear classifiers, learned from samples that are held out."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from skmhe import LinearTree, MHEClassifier, MHEMultiLabelClassifier
from skmhe.metrics import get_scorer, ndcg_at_k
from skmhe.scorers.model import Settings
from skmhe.training import learned_weight as module
from skmhe.training.data import TrainingData
from skmhe.training.learned_weight import (
    WEIGHTS,
    learn_calibration,
    learn_weight,
    n_held_out,
)

N, N_LABELS = 5000, 12


@pytest.mark.parametrize("multilabel", [False, True])
def test_ndcg_is_that_of_the_metric(multilabel):
    rng = np.random.RandomState(0)
    ranked = np.array([rng.permutation(N_LABELS)[:5] for _ in range(50)])
    y = rng.randint(N_LABELS, size=50)
    if multilabel:
        y = sp.csr_array((rng.rand(50, N_LABELS) < 0.3).astype(np.float32))
        y.data[:] = 1
    found = module._ndcg(y, ranked)
    for row in range(50):
        truth = y[[row]] if multilabel else y[row : row + 1]
        expected = ndcg_at_k(truth, ranked[row : row + 1], k=5)
        assert found[row] == pytest.approx(expected)


def test_numbers_of_samples():
    assert [n_held_out(n) for n in (0, 1999, 2000, 9000, 10**6)] == [
        0,
        0,
        200,
        900,
        2000,
    ]


class Ranker:
    """Stands for a model, of which each weight ranks some samples' labels right."""

    codec = SimpleNamespace(n_labels=3)

    def __init__(self, right):
        self.right = right

    def topk(self, X, k, settings):
        is_right = self.right.get(settings.linear_weight, np.zeros(len(X), bool))
        return np.where(is_right[:, None], [0, 1, 2], [2, 1, 0]), None


def learn(monkeypatch, right, weight=None):
    n = len(right[1.0])
    monkeypatch.setattr(module.dataclasses, "replace", lambda model, **_: model)
    data = TrainingData(np.zeros((n, 1)), np.zeros(n, int), weight)
    return learn_weight(Ranker(right), data, Settings())


def test_the_best_weight_is_chosen(monkeypatch):
    samples = np.arange(400)
    right = {1.0: samples % 4 == 0, 2.0: samples % 2 == 0, 4.0: samples % 5 > 0}
    learned = learn(monkeypatch, right)
    assert learned.weight == 4.0
    # Of a sample, the label is in the first place, or in the third.
    assert learned.gain == pytest.approx(0.5 * (0.8 - 0.25))
    gains = 0.5 * (right[4.0].astype(float) - right[1.0])
    assert learned.standard_error == pytest.approx(gains.std() / 20)


def test_a_gain_below_its_error_is_none(monkeypatch):
    samples = np.arange(400)
    # 21 samples gain, 19 lose: the difference of 2 has an error of 6.
    right = {1.0: samples < 19, 2.0: (samples >= 100) & (samples < 121)}
    assert learn(monkeypatch, right).weight == 1.0
    right[2.0] = (samples >= 100) & (samples < 190)
    assert learn(monkeypatch, right).weight == 2.0


def test_samples_count_by_their_weights(monkeypatch):
    samples = np.arange(400)
    right = {1.0: samples < 200, 2.0: samples >= 200}
    weight = np.where(samples < 200, 1.0, 9.0)
    assert learn(monkeypatch, right, weight).weight == 2.0
    assert learn(monkeypatch, right, weight[::-1].copy()).weight == 1.0


def linear_task(n=N, seed=0):
    """Return sparse samples with labels, of which every second one is drawn at random.

    A network that is trained for long knows these by heart.
    """
    rng = np.random.RandomState(seed)
    y = rng.randint(N_LABELS, size=n)
    rows = np.repeat(np.arange(n), 3)
    columns = (y[:, None] * 40 + rng.randint(40, size=(n, 3))).ravel()
    X = sp.csr_array((np.ones(3 * n, np.float32), (rows, columns)), (n, 40 * N_LABELS))
    return X, np.where(rng.rand(n) < 0.5, y, rng.randint(N_LABELS, size=n))


def network_task(n=N, seed=0):
    """Return samples whose label is the sign of a product, and much that is none.

    Linear classifiers can do nothing but know the others by heart.
    """
    rng = np.random.RandomState(seed)
    X, noise = 3 * rng.randn(n, 2), rng.randn(n, 300)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    return np.hstack([X, noise]).astype(np.float32), y


BY_HEART = {"hidden_layer_sizes": (64,), "max_iter": 15, "learning_rate_init": 0.05}


def make(cls=MHEClassifier, weight="auto", **params):
    base = {"max_iter": 4, "dropout": 0.0, "random_state": 0, "dtype": "float32"}
    linear = LinearTree(weight=weight)
    return cls().set_params(**(base | params), linear=linear)


@pytest.mark.parametrize("strategy", ["full", "cascade", "sampling"])
@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
def test_linear_classifiers_count_more_where_they_are_better(cls, strategy):
    X, y = linear_task()
    if cls is MHEMultiLabelClassifier:
        y = sp.csr_array(np.eye(N_LABELS, dtype=int)[y])
    params = {"strategy": strategy, **BY_HEART}
    clf = make(cls, **params).fit(X[:4000], y[:4000])
    equal = make(cls, 1.0, **params).fit(X[:4000], y[:4000])
    assert clf.linear_weight_ > 1 == equal.linear_weight_
    precision = get_scorer("precision@1")
    found, expected = (precision(c, X[4000:], y[4000:]) for c in (clf, equal))
    assert found > expected
    assert clf.n_iter_ == equal.n_iter_


def test_linear_classifiers_count_less_where_they_are_worse():
    X, y = network_task()
    clf = make(hidden_layer_sizes=(64,), max_iter=10).set_params(linear__C=1000.0)
    clf.fit(X[:4000], y[:4000])
    assert clf.linear_weight_ < 1
    score = clf.score(X[4000:], y[4000:])
    assert score > clf.set_params(linear__weight=1.0).score(X[4000:], y[4000:])


def test_linear_classifiers_are_fitted_to_all_samples():
    X, y = linear_task(2000)
    params = {"strategy": "full", "hidden_layer_sizes": (4,)}
    learned, given = make(**params).fit(X, y), make(weight=2.0, **params).fit(X, y)
    for ours, expected in zip(
        learned._fitted.model.linear, given._fitted.model.linear, strict=True
    ):
        for a, b in zip(ours, expected, strict=True):
            assert_array_equal(a, b)


def test_few_samples_have_a_weight_of_1():
    X, y = linear_task(1999)
    params = {"strategy": "full", "hidden_layer_sizes": (4,)}
    auto, given = make(**params).fit(X, y), make(weight=1.0, **params).fit(X, y)
    assert auto.linear_weight_ == given.linear_weight_ == 1
    assert_array_equal(auto.predict_proba(X), given.predict_proba(X))


@pytest.mark.parametrize("schedule", ["linear", "cosine", "one_cycle"])
def test_schedules_end_with_the_last_epoch(schedule):
    # 28 batches of 64 each but for the last epoch, which has 32.
    X, y = linear_task(2000)
    params = {"strategy": "full", "hidden_layer_sizes": (4,), "batch_size": 64}
    clf = make(learning_rate=schedule, **params).fit(X, y)
    assert clf.n_iter_ == 4
    assert np.isfinite(clf.loss_curve_).all()


def test_the_weight_may_be_changed_and_learned_again():
    X, y = linear_task(4000)
    clf = make(strategy="full", **BY_HEART).fit(X, y)
    learned = clf.predict_proba(X)
    clf.set_params(linear__weight=0.125)
    assert abs(clf.predict_proba(X) - learned).max() > 0.01
    clf.set_params(linear__weight=clf.linear_weight_)
    assert_allclose(clf.predict_proba(X), learned)
    again = pickle.loads(pickle.dumps(clf.set_params(linear__weight="auto")))
    assert_array_equal(again.predict_proba(X), learned)
    assert again.linear_weight_ == clf.linear_weight_ > 1


@pytest.mark.parametrize(
    "params",
    [{"early_stopping": True}, {"max_iter": 1}, {"model": "network"}],
    ids=str,
)
def test_nothing_is_learned(params):
    X, y = linear_task(2000)
    clf = make(strategy="full", hidden_layer_sizes=(1,)).set_params(**params).fit(X, y)
    expected = None if params == {"model": "network"} else 1.0
    assert clf.linear_weight_ == expected


def test_an_epoch_that_stalls_is_followed_by_the_last_one():
    X, y = linear_task(4000)
    clf = make(strategy="full", **BY_HEART | {"max_iter": 50, "tol": 10.0})
    clf.set_params(n_iter_no_change=2).fit(X, y)
    # The first epoch improves on nothing, two do not improve, and one has all samples.
    assert clf.n_iter_ == 4
    assert clf._fitted.model.mix.requested_weight is None


def test_all_weights_are_tried():
    assert WEIGHTS == (0.125, 0.25, 0.5, 1, 2, 4, 8, 16)


# ------------------------------------------------------------ calibration


class Sure:
    """Stands for a model that is surer, or less sure, than it should be."""

    codec = SimpleNamespace(n_labels=4)

    def __init__(self, log_odds):
        self.log_p = -np.log1p(np.exp(-log_odds))

    def topk(self, X, k, settings):
        return np.tile(np.arange(k), (len(X), 1)), self.log_p


def calibration(factor, right=None, weight=None):
    rng = np.random.RandomState(0)
    log_odds = rng.randn(3000, 4) - 1
    truth = rng.rand(3000, 4) < 1 / (1 + np.exp(-log_odds)) if right is None else right
    y = sp.csr_array(truth.astype(np.float32))
    data = TrainingData(np.zeros((3000, 1)), y, weight)
    return learn_calibration(Sure(factor * log_odds + 1), data, Settings())


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_log_odds_are_made_those_of_being_right(factor):
    slope, intercept = calibration(factor)
    assert slope == pytest.approx(1 / factor, rel=0.1)
    assert intercept == pytest.approx(-1 / factor, rel=0.1, abs=0.1)


def test_calibration_counts_samples_by_their_weights():
    right = np.arange(3000)[:, None] % 2 == np.zeros(4)
    few, many = (
        calibration(1.0, right, np.where(np.arange(3000) % 2, other, 1.0))
        for other in (9.0, 1.0)
    )
    assert few is None or many is None or few.intercept < many.intercept - 1


@pytest.mark.parametrize("value", [False, True])
def test_what_tells_nothing_has_no_calibration(value):
    assert calibration(1.0, np.full((3000, 4), value)) is None


def test_log_odds_that_tell_nothing_have_no_calibration():
    # Right where they are low.
    rng = np.random.RandomState(0)
    log_odds = rng.randn(3000, 4) - 1
    assert calibration(1.0, log_odds < -1) is None


@pytest.mark.parametrize("strategy", ["full", "cascade", "sampling"])
def test_probabilities_are_nearer_to_the_truth(strategy):
    X, y = linear_task(9000)
    Y = np.eye(N_LABELS, dtype=int)[y]
    clf = make(MHEMultiLabelClassifier, strategy=strategy, **BY_HEART)
    clf.fit(X[:4000], Y[:4000])
    learned = clf.predict_proba(X[4000:])
    labels, p = clf.predict_topk(X[4000:], 3)
    assert_allclose(p, np.take_along_axis(learned, labels, 1), rtol=1e-4)
    predicted = clf.predict(X[4000:])
    sure = abs(learned - 0.5) > 1e-5
    assert_array_equal(predicted[sure], (learned > 0.5)[sure])
    given = clf.set_params(linear__weight=clf.linear_weight_).predict_proba(X[4000:])
    truth = Y[4000:]
    brier = [((found - truth) ** 2).mean() for found in (learned, given)]
    assert brier[0] < brier[1]
