"""Weights and calibrations of sums of scores, learned from samples held out."""

import dataclasses
import itertools
import pickle
import re
import signal

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_expit, log_softmax

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.metrics import get_scorer, ndcg_at_k
from skmhe.nn.calibrated_search import CutSearch
from skmhe.scorers.candidates import Candidates
from skmhe.scorers.combination import Calibration, ScorerWeights
from skmhe.training.held_out import MIN_IN_HALVES, n_held_out, n_told_by
from skmhe.training.learned_combination import (
    GRID,
    Truth,
    learn_weights,
    ranking_of,
)
from skmhe.training.loop import Trainer

N, N_LABELS = 5000, 12
both = pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])


def equal_shares(n):
    return np.full(n, 1 / n)


@pytest.mark.parametrize("multilabel", [False, True])
def test_ndcg_is_that_of_the_metric(multilabel):
    rng = np.random.RandomState(0)
    ranked = np.array([rng.permutation(N_LABELS)[:5] for _ in range(50)])
    y = rng.randint(N_LABELS, size=50)
    if multilabel:
        y = sp.csr_array((rng.rand(50, N_LABELS) < 0.3).astype(np.float32))
        y.data[:] = 1
    truth = Truth(y, equal_shares(50))
    found = truth.ndcg(truth.hits(ranked))
    for row in range(50):
        one = y[[row]] if multilabel else y[row : row + 1]
        expected = ndcg_at_k(one, ranked[row : row + 1], k=5)
        assert found[row] == pytest.approx(expected)


def test_numbers_of_samples():
    numbers = [n_held_out(n, 1) for n in (0, 1999, 2000, 9000, 10**6)]
    assert numbers == [0, 0, 200, 900, 2000]
    # Of very many labels, fewer samples are scored for each weight.
    assert n_held_out(10**6, 10**5) == 2000
    assert n_held_out(10**6, 2 * 10**5) == 1000
    assert n_held_out(10**6, 10**8) == 200


# ------------------------------------------------------------ weights


def draw(n=400, m=8, seed=0, noise=(1.0, 1.0, 1.0, 1.0), multilabel=False):
    """Return candidates whose scores say more or less about what is true."""
    rng = np.random.RandomState(seed)
    labels = np.array([rng.permutation(20)[:m] for _ in range(n)])
    hits = np.zeros((n, m), bool)
    hits[:, 0] = True
    if multilabel:
        hits |= rng.rand(n, m) < 0.3
    scores = hits[:, :, None] + np.array(noise) * rng.randn(n, m, 4)
    drawn = rng.randn(n, 3, 4) - 1
    found = Candidates(labels, scores.astype(np.float32), drawn, np.full((n, 3), 4.0))
    y = labels[:, 0]
    if multilabel:
        Y = np.zeros((n, 20), np.float32)
        np.put_along_axis(Y, labels, hits, 1)
        y = sp.csr_array(Y)
    truth = Truth(y, equal_shares(n))
    assert_array_equal(truth.hits(labels), hits)
    return found, hits, truth


ALL_NAMES = ScorerWeights._fields


def prior(weights):
    return Calibration(0.5)


EQUAL = (1, 1, 1, 1)


def gain(found, truth, weights, before):
    """Return the gain of some weights over others, less its standard error."""
    values = []
    for by in map(np.array, (weights, before)):
        order = np.argsort(-(found.scores @ by.astype(np.float32)), 1)[:, :5]
        hits = np.take_along_axis(truth.hits(found.labels), order, 1)
        values.append(truth.ndcg(hits))
    gains = values[0] - values[1]
    mean = truth.share @ gains
    return mean - np.sqrt(truth.share**2 @ (gains - mean) ** 2)


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("noise", [(1, 1), (1, 0.3), (0.3, 3), (9, 0.5)], ids=str)
def test_two_scorers_get_the_best_of_all_weights(noise, multilabel):
    found, hits, truth = draw(noise=(*noise, 1, 1), multilabel=multilabel)
    names = ("network", "linear")
    learned = learn_weights(ranking_of(found, hits, multilabel), truth, prior, names)
    tried, best = [(1, weight, 0, 0) for weight in GRID], (1, 1, 0, 0)
    for _ in GRID:
        gains = [gain(found, truth, weights, best) for weights in tried]
        if max(gains) > 1e-12:
            best = tried[np.argmax(gains)]
    if gain(found, truth, (0, 1, 0, 0), best) > 0:
        best = (0, 1, 0, 0)
    assert tuple(learned) == best


@pytest.mark.parametrize("seed", range(3))
def test_no_change_of_one_of_several_weights_is_better(seed):
    noise = np.random.RandomState(seed).rand(4) * 3
    found, hits, truth = draw(seed=seed, noise=noise, multilabel=True)
    learned = learn_weights(ranking_of(found, hits, True), truth, prior, ALL_NAMES)
    if tuple(learned) != EQUAL:
        assert gain(found, truth, EQUAL, learned) < 0
    for place, weight in itertools.product((1, 2, 3), GRID):
        other = list(learned)
        other[place] = weight
        if other[0] + other[1] > 0:
            assert gain(found, truth, other, learned) <= 1e-9


def test_a_scorer_that_knows_nothing_has_no_weight():
    found, hits, truth = draw(2000, noise=(0.5, 0.5, 5.0, 5.0))
    learned = learn_weights(ranking_of(found, hits, False), truth, prior, ALL_NAMES)
    assert learned.label_encoder == learned.own_labels == 0
    found, hits, truth = draw(2000, noise=(50.0, 0.3, 5.0, 5.0))
    two = ("network", "linear")
    learned = learn_weights(ranking_of(found, hits, False), truth, prior, two)
    assert learned == ScorerWeights(0, 1, 0, 0)


def test_a_gain_below_its_error_is_none():
    # Of 60 samples, some weight is better by chance.
    found, hits, truth = draw(60, noise=(1.0, 1.2, 1.0, 1.0), seed=1)
    ranking = ranking_of(found, hits, False)
    base, chance = (
        truth.ndcg(ranking(ScorerWeights(1, 1, 0, 0), 1.0)[0][:, :5]).mean(),
        0.0,
    )
    for weight in GRID:
        value = truth.ndcg(
            ranking(ScorerWeights(1, weight, 0, 0), 1.0)[0][:, :5]
        ).mean()
        chance = max(chance, value - base)
    learned = learn_weights(ranking, truth, prior, ("network", "linear"))
    assert chance > 0
    assert learned == ScorerWeights(1, 1, 0, 0)


def test_samples_count_by_their_weights():
    found, hits, truth = draw(400, noise=(0.1, 3.0, 1, 1))
    # In the second half, the scorers change their places.
    scores = found.scores.copy()
    scores[200:, :, :2] = scores[200:, :, 1::-1]
    ranking = ranking_of(found._replace(scores=scores), hits, False)
    for heavy in (slice(0, 200), slice(200, 400)):
        weight = np.ones(400)
        weight[heavy] = 50
        counted = truth._replace(share=weight / weight.sum())
        learned = learn_weights(ranking, counted, prior, ("network", "linear"))
        assert (learned.linear < 1) == (heavy.start == 0)


# ------------------------------------------------------------ probabilities


def test_ranked_candidates_have_the_probabilities_of_the_sum():
    found, hits, _ = draw(30)
    found.labels[3, 6:], found.scores[3, 6:] = -1, 99
    weights, factor = ScorerWeights(1, 0.5, 2, 0.25), 0.7
    scores = factor * (found.scores @ np.array(weights))
    scores[3, 6:] = -1e3
    others = factor * (found.drawn @ np.array(weights))
    order = np.argsort(-scores, 1)
    single = log_softmax(np.hstack([scores, *[others] * 4]), axis=1)
    multi = log_expit(scores)
    for multilabel, expected, k in ((False, single, 8), (True, multi, 5)):
        right, log_p = ranking_of(found, hits, multilabel)(weights, factor)
        assert right.shape == log_p.shape == (30, k)
        assert_array_equal(right[:, :5], np.take_along_axis(hits, order, 1)[:, :5])
        expected = np.take_along_axis(expected, order, 1)[:, :5]
        assert_allclose(log_p[:, :5], expected, rtol=1e-4)


# ------------------------------------------------------------ estimators


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


def targets(cls, y):
    return y if cls is MHEClassifier else sp.csr_array(np.eye(N_LABELS, dtype=int)[y])


def network_task(n=N, seed=0):
    """Return samples whose label is the sign of a product, and much that is none.

    Linear classifiers can do nothing but know the others by heart.
    """
    rng = np.random.RandomState(seed)
    X, noise = 3 * rng.randn(n, 2), rng.randn(n, 300)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    return np.hstack([X, noise]).astype(np.float32), y


BY_HEART = {"hidden_layer_sizes": (64,), "max_iter": 15, "learning_rate_init": 0.05}
SMALL = {"strategy": "full", "hidden_layer_sizes": (4,)}


def make(cls=MHEClassifier, **params):
    base = {"max_iter": 4, "dropout": 0.0, "random_state": 0, "dtype": "float32"}
    base |= {"batch_size": 50}
    return cls().set_params(**(base | params))


@pytest.mark.parametrize("strategy", ["full", "cascade", "sampling"])
@both
def test_linear_classifiers_count_more_where_they_are_better(cls, strategy):
    X, y = linear_task()
    y = targets(cls, y)
    params = {"strategy": strategy, **BY_HEART}
    clf = make(cls, **params).fit(X[:4000], y[:4000])
    equal = make(cls, combination="equal", **params).fit(X[:4000], y[:4000])
    assert equal.combination_ == {"network": 1.0, "linear": 1.0}
    assert clf.combination_.keys() == equal.combination_.keys()
    assert clf.combination_["linear"] > clf.combination_["network"]
    precision = get_scorer("precision@1")
    found, expected = (precision(c, X[4000:], y[4000:]) for c in (clf, equal))
    assert found > expected
    assert clf.n_iter_ == equal.n_iter_


def test_linear_classifiers_count_less_where_they_are_worse():
    X, y = network_task()
    clf = make(hidden_layer_sizes=(64,), max_iter=10).set_params(linear__C=1000.0)
    clf.fit(X[:4000], y[:4000])
    assert clf.combination_["linear"] < 1
    score = clf.score(X[4000:], y[4000:])
    assert score > clf.set_params(combination="equal").score(X[4000:], y[4000:])


def test_all_that_is_not_learned_is_fitted_to_all_samples():
    X, y = linear_task(2000)
    given = {"network": 1, "linear": 2}
    learned, given = make(**SMALL), make(combination=given, **SMALL)
    models = [clf.fit(X, y)._fitted.model for clf in (learned, given)]
    for ours, expected in zip(models[0].linear, models[1].linear, strict=True):
        for a, b in zip(ours, expected, strict=True):
            assert_array_equal(a, b)
    assert given.combination_ == {"network": 1.0, "linear": 2.0}
    assert models[1].mix is None


@both
def test_of_few_samples_each_half_tells_about_a_model_of_the_other(cls):
    X, y = linear_task(1200)
    y = targets(cls, y)
    learned = make(cls, strategy="full", **BY_HEART).fit(X[:600], y[:600])
    equal = make(cls, combination="equal", strategy="full", **BY_HEART)
    equal.fit(X[:600], y[:600])
    assert learned.combination_["linear"] > learned.combination_["network"]
    precision = get_scorer("precision@1")
    found, expected = (precision(c, X[600:], y[600:]) for c in (learned, equal))
    assert found > expected
    # Nothing of the halves is left but what they tell of weights and calibration.
    assert learned.loss_curve_ == equal.loss_curve_
    learned.set_params(combination="equal")
    assert_array_equal(learned.predict_proba(X), equal.predict_proba(X))


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_a_fit_that_is_interrupted_learns_nothing_of_halves(moment, monkeypatch):
    X, y = linear_task(200)
    trainers, run_epoch = [], Trainer.run_epoch

    def interrupted(trainer, interruption):
        if trainer not in trainers:
            trainers.append(trainer)
            if len(trainers) == moment + 1:
                signal.raise_signal(signal.SIGINT)
        return run_epoch(trainer, interruption)

    monkeypatch.setattr(Trainer, "run_epoch", interrupted)
    clf = make(**SMALL)
    with pytest.warns(UserWarning, match="interrupted|half of the samples") as found:
        clf.fit(X, y)
    assert len(found) == (1 if moment == 0 else 2)
    assert len(trainers) == moment + 1  # what comes after is not trained
    assert clf.combination_ == {"network": 1, "linear": 1}


@pytest.mark.parametrize("n", [MIN_IN_HALVES - 1, MIN_IN_HALVES])
def test_very_few_samples_have_equal_weights(n):
    X, y = linear_task(n)
    clf = make(**SMALL).fit(X, y)
    is_learned = n == MIN_IN_HALVES
    assert (clf._fitted.model.mix is not None) == is_learned
    if not is_learned:
        assert clf.combination_ == {"network": 1, "linear": 1}


def test_halves_of_labels_of_two_samples():
    X, _ = linear_task(200)
    clf = make(**SMALL).set_params(max_iter=2).fit(X, np.arange(200) // 2)
    assert clf._fitted.model.mix is not None


def test_halves_tell_nothing_by_a_few_samples():
    # One label per sample: the only sample of a label cannot be held out.
    X, _ = linear_task(300)
    for n_pairs in (49, 50):
        y = np.r_[np.arange(300 - n_pairs), np.arange(n_pairs)]
        clf = make(**SMALL).set_params(max_iter=2).fit(X, y)
        assert (clf._fitted.model.mix is not None) == (n_pairs == 50)
    y = np.arange(300) % 10
    for n_heavy in (5, 250):
        weight = np.r_[np.full(n_heavy, 1e6), np.full(300 - n_heavy, 1e-6)]
        clf = make(**SMALL).set_params(max_iter=2).fit(X, y, sample_weight=weight)
        assert (clf._fitted.model.mix is not None) == (n_heavy == 250)


@pytest.mark.parametrize("n_equal", [1, 7])
def test_samples_of_equal_weights_tell_as_much_as_they_are(n_equal):
    weight = np.r_[np.full(n_equal, 3.0), np.zeros(4), 1e300]
    rows = np.arange(n_equal + 4)
    assert n_told_by(weight[:-1], rows) == pytest.approx(n_equal)
    assert n_told_by(weight, np.arange(len(weight))) == pytest.approx(1)
    assert n_told_by(np.zeros(3), np.arange(3)) == 0


def test_what_is_alone_is_not_fitted_in_halves():
    X, y = linear_task(200)
    for model in ("network", "linear"):
        assert make(model=model, **SMALL).fit(X, y)._fitted.model.mix is None


def test_labels_of_one_sample_leave_none_to_learn_from():
    for n, per_label in ((2000, 1.05), (200, 1.0)):
        X, _ = linear_task(n)
        clf = make(**SMALL).set_params(max_iter=2)
        clf.fit(X, np.arange(n) // per_label)
        assert clf._fitted.model.mix is None


@pytest.mark.parametrize("schedule", ["linear", "cosine", "one_cycle"])
def test_schedules_end_with_the_last_epoch(schedule):
    # 28 batches of 64 each but for the last epoch, which has 32.
    X, y = linear_task(2000)
    clf = make(learning_rate=schedule, batch_size=64, **SMALL).fit(X, y)
    assert clf.n_iter_ == 4
    assert np.isfinite(clf.loss_curve_).all()


def test_weights_may_be_changed_and_learned_again():
    X, y = linear_task(4000)
    clf = make(strategy="full", **BY_HEART).fit(X, y)
    learned, weights = clf.predict_proba(X), clf.combination_
    clf.set_params(combination={"network": 8, "linear": 1})
    assert abs(clf.predict_proba(X) - learned).max() > 0.01
    clf.set_params(combination=weights)
    assert_allclose(clf.predict_proba(X), learned)
    again = pickle.loads(pickle.dumps(clf.set_params(combination="learned")))
    assert_array_equal(again.predict_proba(X), learned)
    assert again.combination_ == weights


@pytest.mark.parametrize(
    "params",
    [{"early_stopping": True}, {"max_iter": 1}, {"warm_start": True}],
    ids=str,
)
def test_nothing_is_learned(params):
    for n in (2000, 200):
        X, y = linear_task(n)
        clf = make(strategy="full", hidden_layer_sizes=(1,)).set_params(**params)
        assert clf.fit(X, y)._fitted.model.mix is None
        assert clf.combination_ == {"network": 1, "linear": 1}


def test_an_epoch_that_stalls_is_followed_by_the_last_one():
    X, y = linear_task(4000)
    clf = make(strategy="full", **BY_HEART | {"learning_rate_init": 1e-9})
    clf.set_params(n_iter_no_change=2).fit(X, y)
    # The first epoch improves on nothing, two do not improve, and one has all samples.
    assert clf.n_iter_ == 4
    assert clf._fitted.model.mix is not None


@pytest.mark.parametrize("strategy", ["full", "cascade", "sampling"])
@pytest.mark.parametrize("model", ["both", "network"])
@both
def test_probabilities_are_nearer_to_the_truth(cls, model, strategy):
    X, y = linear_task(8000)
    Y, truth = targets(cls, y), np.eye(N_LABELS)[y[4000:]]
    clf = make(cls, strategy=strategy, model=model, hidden_layer_sizes=(32,))
    clf.fit(X[:4000], Y[:4000])
    learned = clf.predict_proba(X[4000:])
    labels, p = clf.predict_topk(X[4000:], 3)
    assert_allclose(p, np.take_along_axis(learned, labels, 1), rtol=1e-3)
    model = clf._fitted.model
    assert model.mix.calibrations.keys() == {"both"}
    # The same weights, with the calibration that there is before.
    prior = dataclasses.replace(model, mix=model.mix._replace(calibrations={}))
    clf._fitted = clf._fitted._replace(model=prior)
    given = clf.predict_proba(X[4000:])
    brier = [((found - truth) ** 2).sum(1).mean() for found in (learned, given)]
    assert brier[0] < brier[1] + 0.005
    errors = [calibration_error(found, truth, labels) for found in (learned, given)]
    assert errors[0] < min(errors[1] + 0.007, 0.07)


@pytest.mark.parametrize("strategy", ["full", "cascade", "sampling"])
def test_best_labels_of_many_get_a_share(strategy, monkeypatch):
    rng = np.random.RandomState(0)
    y = rng.randint(80, size=6000)
    words = y[:, None] * 3 + rng.randint(3, size=(6000, 2))
    rows = np.repeat(np.arange(6000), 2)
    X = sp.csr_array((np.ones(12000, np.float32), (rows, words.ravel())), (6000, 240))
    y = np.where(rng.rand(6000) < 0.5, y, (y + rng.randint(4, size=6000)) % 80)
    clf = make(strategy=strategy, max_iter=6).fit(X[:4000], y[:4000])
    model = clf._fitted.model
    best_share = model.mix.calibrations["both"].best_share
    assert best_share > 0
    p = clf.predict_proba(X[4000:])
    assert_allclose(p.sum(1), 1)
    assert_allclose(np.exp(clf.predict_log_proba(X[4000:])), p, rtol=1e-6)
    labels, found = clf.predict_topk(X[4000:], 25)
    assert_allclose(found, np.take_along_axis(p, labels, 1), rtol=1e-3, atol=1e-6)
    with monkeypatch.context() as patch:  # the class alone takes no probabilities
        patch.setattr(CutSearch, "topk", None)
        assert_array_equal(clf.predict(X[4000:]), p.argmax(1))
    truth = np.eye(80)[y[4000:]]
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(X[4000:]), p)
    # The same ranking as of the sum before; other weights have its calibration.
    prior = dataclasses.replace(model, mix=model.mix._replace(calibrations={}))
    clf._fitted = clf._fitted._replace(model=prior)
    assert_array_equal(clf.predict_topk(X[4000:], 25)[0][:, :5], labels[:, :5])
    given = clf.predict_proba(X[4000:])
    errors = [calibration_error(q, truth, labels[:, :5]) for q in (p, given)]
    assert errors[0] < errors[1] + 0.005
    log_loss = [-np.log(q[truth == 1]).mean() for q in (p, given)]
    assert log_loss[0] < log_loss[1]
    again.set_params(combination={"network": 3, "linear": 1})
    clf.set_params(combination={"network": 3, "linear": 1})
    assert_array_equal(again.predict_proba(X[4000:]), clf.predict_proba(X[4000:]))


@pytest.mark.parametrize("strategy", ["full", "cascade"])
@both
def test_linear_classifiers_alone_are_calibrated(cls, strategy):
    X, y = linear_task(8000)
    Y, truth = targets(cls, y), np.eye(N_LABELS)[y[4000:]]
    clf = make(cls, strategy=strategy, model="linear").fit(X[:4000], Y[:4000])
    equal = make(cls, strategy=strategy, model="linear", combination="equal")
    equal.fit(X[:4000], Y[:4000])
    assert clf.combination_ == equal.combination_ == {"linear": 1}
    for ours, expected in zip(
        clf._fitted.model.linear, equal._fitted.model.linear, strict=True
    ):
        for a, b in zip(ours, expected, strict=True):
            assert_array_equal(a, b)
    labels, p = clf.predict_topk(X[4000:], 3)
    learned, given = (c.predict_proba(X[4000:]) for c in (clf, equal))
    if strategy == "cascade" and cls is MHEClassifier:
        # Each node has a softmax of its own: a factor would change the ranking.
        assert_array_equal(learned, given)
        return
    assert_allclose(p, np.take_along_axis(learned, labels, 1), rtol=1e-3)
    brier = [((found - truth) ** 2).sum(1).mean() for found in (learned, given)]
    assert brier[0] < brier[1]
    assert calibration_error(learned, truth, labels) < 0.08
    # Nothing is left to chance.
    other = make(cls, strategy=strategy, model="linear", random_state=1)
    other.set_params(label_order="natural").fit(X[:4000], Y[:4000])
    if strategy == "full":
        assert_array_equal(other.predict_proba(X[4000:]), learned)


def calibration_error(p, truth, labels):
    p, right = (np.take_along_axis(a, labels, 1).ravel() for a in (p, truth))
    bins = np.minimum((10 * p).astype(int), 9)
    return abs(np.bincount(bins, p - right)).sum() / len(bins)


# ------------------------------------------------------------ features of labels


def label_task(n=3000, n_labels=60, helps=True, seed=0):
    """Return samples that are words of their label, and the words of the labels.

    If these do not help, they are those of other labels.
    """
    rng = np.random.RandomState(seed)
    Z = (rng.rand(n_labels, 80) < 0.1) * 1.0
    y = rng.randint(n_labels, size=n)
    y[:n_labels] = np.arange(n_labels)
    X = Z[y] * (rng.rand(n, 80) < 0.6) + (rng.rand(n, 80) < 0.05)
    return sp.csr_array(X), y, sp.csr_array(Z if helps else rng.permutation(Z))


@pytest.mark.parametrize("helps", [False, True])
@pytest.mark.parametrize("strategy", ["full", "cascade", "sampling"])
@both
def test_sums_are_no_worse_than_their_parts(cls, strategy, helps):
    X, y, Z = label_task(5000, 300, helps)
    if cls is MHEMultiLabelClassifier:
        y = sp.csr_array(np.eye(300, dtype=int)[y])
    params = {"strategy": strategy, "hidden_layer_sizes": (16,), "max_iter": 5}
    clf = make(cls, learning_rate_init=0.02, **params)
    clf.fit(X[:3000], y[:3000], label_features=Z)
    names = ["network", "linear", "label_encoder", "own_labels"]
    assert list(clf.combination_) == names
    found, precision = {}, get_scorer("precision@1")
    for part in ("classifier", "encoder", "both"):
        clf.set_params(label_encoder__score_with=part)
        found[part] = precision(clf, X[3000:], y[3000:])
        p = clf.predict_proba(X[3000:3100])
        assert ((p > 0) & (p < 1)).all()
    for name in ("network", "linear"):
        weights = {"network": 0, "linear": 0, "label_encoder": 0, name: 1}
        found[name] = precision(clf.set_params(combination=weights), X[3000:], y[3000:])
    if strategy != "cascade":  # where factors of the scores change their ranking
        assert found["both"] > max(found.values()) - 0.05


def test_samples_that_are_labels_are_told_by_all_samples():
    X, y, Z = label_task(2000)
    X, rows = X.tolil(), np.arange(0, 2000, 4)
    for row in rows:
        X[[row]] = Z[[(y[row] + 1) % 60]]  # never their own
    X = sp.csr_array(X)
    clf = make(hidden_layer_sizes=(16,), strategy="full").fit(X, y, label_features=Z)
    counts = clf._fitted.model.own_label_counts
    assert counts[1] > 0.9 * len(rows)
    assert_array_equal(
        counts,
        make(hidden_layer_sizes=(16,), strategy="full", combination="equal")
        .fit(X, y, label_features=Z)
        ._fitted.model.own_label_counts,
    )
    assert clf._fitted.state.label_counts[1] == 2000
    assert clf._fitted.state.label_counts[0].sum() == 2000


def test_shortlists_are_those_of_the_samples_at_hand():
    X, y, Z = label_task(2000)
    clf = make(max_iter=4, **SMALL).set_params(
        label_encoder__n_shortlisted=1,
        label_encoder__shortlist_refresh=10,
        label_encoder__neighbor_batches=True,
    )
    clf.fit(X, y, label_features=Z)
    assert clf.n_iter_ == 4
    assert np.isfinite(clf.loss_curve_).all()


def test_labels_that_come_later_keep_what_the_encoder_says():
    X, y, Z = label_task(3000)
    old = y < 50
    clf = make(strategy="full", hidden_layer_sizes=(32,), max_iter=6)
    clf.fit(X[old], y[old], label_features=Z[:50])
    clf.set_params(combination=clf.combination_ | {"label_encoder": 0})
    clf.add_labels(Z[50:])
    with torch.random.fork_rng():
        labels, _ = clf.predict_topk(X[~old], 5)
    found = (labels == y[~old][:, None]).any(1).mean()
    assert found > 0.5


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"network": 1}, "has no weight for 'linear': use 0 to leave a scorer out."),
        ({"network": 1, "linear": -1}, "has -1 for 'linear', but a weight is a finite"),
        ({"network": np.inf, "linear": 1}, "has inf for 'network', but a weight is a"),
        ({"network": 1, "linear": np.nan}, "has nan for 'linear', but a weight is a "),
        ({"network": 1, "linear": "2"}, "has '2' for 'linear', but a weight is a fin"),
        ({"network": 1, "linear": True}, "has True for 'linear', but a weight is a f"),
        (
            {"network": 0, "linear": 0},
            "needs a weight above 0 for 'network' or 'linear': use 1, for example.",
        ),
        (
            {"network": 1, "linear": 1, "label_encoder": 1},
            "has a weight for 'label_encoder', but this model has 'network', 'linear': "
            "use these.",
        ),
        ({"network": 1, "tree": 1}, "has a weight for 'tree', but this model has 'net"),
    ],
    ids=str,
)
def test_weights_that_do_not_fit(value, wrong):
    X, y = np.eye(6, dtype=np.float32).repeat(4, axis=0), np.arange(6).repeat(4)
    match = re.escape(f"combination={value!r} {wrong}")
    with pytest.raises(ValueError, match=match) as at_fit:
        make(combination=value).fit(X, y)
    clf = make().fit(X, y).set_params(combination=value)
    with pytest.raises(ValueError, match=match) as later:
        clf.predict(X)
    assert str(at_fit.value) == str(later.value)


def test_weights_of_a_scorer_alone_are_errors():
    X, y = np.eye(6, dtype=np.float32).repeat(4, axis=0), np.arange(6).repeat(4)
    clf = make(model="network", combination={"network": 1})
    with pytest.raises(ValueError, match="has 'network' alone: use 'learned' or"):
        clf.fit(X, y)


def test_weights_of_own_labels_may_be_left_out():
    X, y, Z = label_task(300)
    X = sp.vstack([X[:240], Z], format="csr")
    y = np.append(y[:240], np.arange(60) // 2)
    given = {"network": 1, "linear": 2, "label_encoder": 0.5}
    clf = make(combination=given, **SMALL).fit(X, y, label_features=Z)
    assert clf.combination_ == {**given, "own_labels": 1}
    left_out = clf.predict_proba(X)
    clf.set_params(combination={**given, "own_labels": 1})
    assert_array_equal(clf.predict_proba(X), left_out)
    clf.set_params(combination={**given, "own_labels": 0})
    assert abs(clf.predict_proba(X) - left_out)[240:].max() > 1e-3


def test_partial_fit_keeps_the_weights():
    X, y = linear_task(2000)
    given = {"network": 1, "linear": 3}
    clf = make(combination=given, **SMALL).fit(X, y).partial_fit(X[:100], y[:100])
    assert clf.combination_ == given
