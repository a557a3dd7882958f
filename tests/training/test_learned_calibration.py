"""What makes probabilities of scores, learned from samples held out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import expit, log_expit, log_softmax, softmax

from skmhe.nn.calibrated_search import N_CUT, UNCUT
from skmhe.scorers.combination import Calibration
from skmhe.training.learned_calibration import (
    MAX_BEST_SHARE,
    clear_gain,
    learn_log_odds,
    learn_softmax,
)


def equal_shares(n):
    return np.full(n, 1 / n)


def test_a_gain_is_clear_if_it_is_more_than_its_error():
    gains = np.array([3.0, 1.0, 3.0, 1.0])
    assert clear_gain(equal_shares(4), gains) == 2
    assert clear_gain(equal_shares(4), gains - 1.6) == 0  # 0.4, and an error of 0.5
    assert clear_gain(equal_shares(4), -gains) == 0
    assert clear_gain(np.array([0.5, 0.0, 0.5, 0.0]), gains) == 3


# ------------------------------------------------------------ multi-label targets


def log_odds_that_are_right(n=3000, seed=0):
    rng = np.random.RandomState(seed)
    log_odds = rng.randn(n, 4) - 1
    return log_odds, rng.rand(n, 4) < expit(log_odds)


def slope(log_odds, right, share=None):
    share = equal_shares(len(right)) if share is None else share

    def ranking(factor):
        return right, log_expit(factor * log_odds)

    return learn_log_odds(ranking, share, Calibration(0.5))


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_log_odds_are_made_those_of_being_right(scale):
    log_odds, right = log_odds_that_are_right()
    found = slope(2 * (scale * log_odds + 1), right)
    assert found.factor == 0.5
    assert found.bend == found.best_share == 0  # a line is all that there is
    assert found.slope == pytest.approx(1 / scale, rel=0.1)
    assert found.intercept == pytest.approx(-1 / scale, rel=0.1, abs=0.1)


@pytest.mark.parametrize(("slope_", "bend"), [(1.5, -0.9), (0.5, 1.0)])
def test_log_odds_of_two_slopes_are_found(slope_, bend):
    rng = np.random.RandomState(0)
    log_odds = 2 * rng.randn(20000, 4)
    truth = slope_ * log_odds + bend * log_expit(log_odds) + 0.3
    found = slope(2 * log_odds, rng.rand(20000, 4) < expit(truth))
    assert found.slope == pytest.approx(slope_, abs=0.15)
    assert found.bend == pytest.approx(bend, abs=0.2)
    assert found.intercept == pytest.approx(0.3, abs=0.1)


def test_a_bend_that_would_turn_a_ranking_is_left_out():
    rng = np.random.RandomState(0)
    log_odds = 2 * rng.randn(20000, 4)
    right = rng.rand(20000, 4) < expit(2 * np.abs(log_odds) + 0.5 * log_odds)
    found = slope(2 * log_odds, right)
    assert found.bend == 0 and found.slope > 0


def test_few_samples_have_no_bend():
    n_bent = 0
    for seed in range(50):
        log_odds, right = log_odds_that_are_right(200, seed)
        n_bent += slope(2 * log_odds, right).bend != 0
    assert n_bent <= 5  # chance alone: one of 20, see `clear_gain`


def test_calibration_counts_samples_by_their_weights():
    log_odds, _ = log_odds_that_are_right()
    right = (np.arange(3000)[:, None] + np.arange(4) // 3) % 2 == 0
    noise = np.random.RandomState(1).rand(3000, 4) - 0.3
    log_odds = np.where(right, noise, -noise)
    weight = np.where(right[:, 0], 1.0, 9.0)
    few, same = slope(log_odds, right, weight / weight.sum()), slope(log_odds, right)
    at_zero = [found.intercept + found.bend * np.log(0.5) for found in (few, same)]
    assert at_zero[0] < at_zero[1] - 0.3


@pytest.mark.parametrize("value", [False, True])
def test_what_tells_nothing_has_the_calibration_of_the_prior(value):
    log_odds, right = log_odds_that_are_right()
    assert slope(log_odds, np.full_like(right, value)) == Calibration(0.5)
    # Right where they are low.
    assert slope(log_odds, log_odds < -1) == Calibration(0.5)


def test_labels_that_are_all_right_have_the_calibration_of_the_prior():
    rng = np.random.RandomState(0)
    for n in range(200, 240):
        # Sums of the same weights are rounded otherwise.
        weight = rng.rand(n)
        found = slope(rng.randn(n, 5), np.ones((n, 5), bool), weight / weight.sum())
        assert found == Calibration(0.5)


def test_places_without_a_label_are_left_out():
    log_odds, right = log_odds_that_are_right()
    expected = slope(log_odds, right)
    log_odds = np.hstack([log_odds, np.full((3000, 1), -np.inf)])
    right = np.hstack([right, np.zeros((3000, 1), bool)])
    assert_allclose(slope(log_odds, right), expected)


# ------------------------------------------------------------ one label per sample


def single_label_task(n, n_labels, best_share=0.0, seed=0, scale=1.0):
    """Return a ranking of labels that are drawn by a mixture, and the same in full."""
    rng = np.random.RandomState(seed)
    scores = 2 * rng.randn(n, n_labels)
    order = np.argsort(-scores, 1)
    scores = np.take_along_axis(scores, order, 1)
    p = mixture(scores, 1.0, best_share)
    y = (p.cumsum(1) < rng.rand(n, 1)).sum(1)
    hits = np.arange(n_labels) == y[:, None]

    def ranking(factor):
        log_p = log_softmax(factor * scale * scores, axis=1)
        return hits[:, :N_CUT], log_p[:, :N_CUT]

    return ranking, hits, scale * scores


def mixture(scores, factor, best_share):
    """Return the mixture of a softmax and what is above its 20th value."""
    p = softmax(factor * scores, axis=1)
    if p.shape[1] < N_CUT:
        return p
    best = p[:, :N_CUT]
    above = best - best[:, -1:]
    total = above.sum(1, keepdims=True) + UNCUT * best.sum(1, keepdims=True)
    cut = np.zeros_like(p)
    cut[:, :N_CUT] = above / total
    return (1 - best_share * cut.sum(1, keepdims=True)) * p + best_share * cut


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_the_factor_of_scores_is_that_of_most_likelihood(scale):
    ranking, _, _ = single_label_task(4000, 9, scale=scale)
    found = learn_softmax(ranking, equal_shares(4000), Calibration(0.8))
    assert found.factor == pytest.approx(1 / scale, rel=0.06)
    assert found[1:] == (1, 0, 0, 0)


@pytest.mark.parametrize("best_share", [0.5, 0.9])
@pytest.mark.parametrize("weighted", [False, True])
def test_factor_and_share_are_those_of_most_likelihood(best_share, weighted):
    ranking, hits, scores = single_label_task(4000, 300, best_share)
    share = np.random.RandomState(1).rand(4000) if weighted else np.ones(4000)
    share /= share.sum()
    found = learn_softmax(ranking, share, Calibration(0.8))

    def loss(numbers):
        p, among = mixture(scores, *numbers)[:, :N_CUT], hits[:, :N_CUT]
        likelihood = np.where(among.any(1), (among * p).sum(1), 1 - p.sum(1))
        return -share @ np.log(likelihood)

    bounds = [(0.1, 10), (0, MAX_BEST_SHARE)]
    best = minimize(loss, (0.8, 0.3), method="Nelder-Mead", bounds=bounds)
    assert loss((found.factor, found.best_share)) == pytest.approx(best.fun, abs=2e-4)
    assert found.factor == pytest.approx(1.0, rel=0.1)
    assert found.best_share == pytest.approx(best_share, abs=0.15)


def test_few_samples_have_the_single_factor():
    factors, shares = [], []
    for seed in range(10):
        ranking, _, _ = single_label_task(200, 300, seed=seed)
        found = learn_softmax(ranking, equal_shares(200), Calibration(0.8))
        factors.append(found.factor)
        shares.append(found.best_share)
    assert np.mean(np.array(shares) == 0) >= 0.9
    assert np.mean(shares) < 0.1
    assert np.mean(factors) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("n", [50, 500])
def test_the_fewer_samples_are_right_the_less_sure_is_that(n):
    # A factor of 1 gives the first label a probability of 1 / (1 + exp(-1)).
    scores, hits = np.tile([1.0, 0.0], (n, 1)), np.tile([True, False], (n, 1))

    def ranking(factor):
        return hits, log_softmax(factor * scores, axis=1)

    found = learn_softmax(ranking, equal_shares(n), Calibration(1.0))
    assert expit(found.factor) == pytest.approx((n + 1) / (n + 2), abs=0.1 / n)


def test_separated_log_odds_have_a_finite_slope():
    # All above 0 are right, and no others.
    log_odds, _ = log_odds_that_are_right(n=200)
    found = slope(log_odds, log_odds > 0)
    assert 1 < found.slope < 100


def test_something_is_left_to_other_labels():
    ranking, _, _ = single_label_task(2000, 300, 1.0)
    found = learn_softmax(ranking, equal_shares(2000), Calibration(1.0))
    assert 0.9 < found.best_share <= MAX_BEST_SHARE
