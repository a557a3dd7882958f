"""Searches whose probabilities are corrected."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal

from skmhe.nn import CascadeHead
from skmhe.nn.calibrated_search import (
    N_CUT,
    UNCUT,
    CalibratedSearch,
    CutSearch,
    cut_off,
    odds_of,
)
from skmhe.nn.search import FlatSearch

N, N_LABELS = 20, 12


class Scores:
    """Scores of labels that are given."""

    def __init__(self, scores):
        self.scores = scores

    def labels(self):
        return self.scores.clone()

    def shortlist(self):
        return None


def flat():
    scores = 3 * torch.randn(N, N_LABELS, generator=torch.manual_seed(0)).double()
    return FlatSearch(True, N_LABELS), Scores(scores)


def tree():
    torch.manual_seed(0)
    head = CascadeHead(5, (4, 3), N_LABELS, multilabel=True, beam_width=12).double()
    with torch.no_grad():
        for weight in head.parameters():
            weight.normal_()
        return head.search, head.bind(torch.randn(N, 5).double())


@pytest.mark.parametrize("make", [flat, tree])
@pytest.mark.parametrize(
    ("slope", "intercept", "bend"),
    [(1, 0, 0), (0.5, -1, 0), (3, 2, 0), (1.5, 0.3, -1.2), (0.4, -1, 0.9)],
)
@torch.no_grad()
def test_all_give_the_same_probabilities(make, slope, intercept, bend):
    search, scores = make()
    calibrated = CalibratedSearch(search, slope, intercept, bend)
    before = search.log_odds(scores)
    log_odds = slope * before + intercept + bend * F.logsigmoid(before)
    p = log_odds.sigmoid().numpy()
    assert_allclose(calibrated.log_odds(scores), log_odds)
    assert_allclose(calibrated.prob(scores), p, rtol=1e-9)
    assert_allclose(calibrated.log_prob(scores), F.logsigmoid(log_odds), rtol=1e-9)
    labels, log_p = calibrated.topk(scores, 4)
    assert_array_equal(labels, search.topk(scores, 4)[0])
    assert_allclose(log_p.exp(), np.take_along_axis(p, labels.numpy(), 1), rtol=1e-5)
    for threshold in (0.1, 0.5, 0.9):
        found = torch.stack(calibrated.above(scores, math.log(threshold))).numpy()
        assert_array_equal(found, np.nonzero(p > threshold))


def test_the_rest_is_that_of_the_search():
    search, _ = tree()
    calibrated = CalibratedSearch(search, 2.0, 0.0, 1.0)
    assert calibrated.multilabel and calibrated.n_labels == N_LABELS
    assert calibrated.steered == search.steered
    assert calibrated.with_beam_width(3).beam_width == 3
    assert isinstance(calibrated.with_beam_width(3), CalibratedSearch)
    assert calibrated.with_beam_width(3)._numbers == (2.0, 0.0, 1.0)


@pytest.mark.parametrize("log_odds", [-600.0, -30.0, 0.0, 30.0, 600.0])
@pytest.mark.parametrize("bend", [-1.9, 0.0, 5.0])
def test_log_odds_before_are_those_that_become_others(log_odds, bend):
    calibrated = CalibratedSearch(flat()[0], 2.0, -1.0, bend)
    before = torch.tensor(calibrated._before(log_odds), dtype=torch.float64)
    assert calibrated._corrected(before).item() == pytest.approx(log_odds)


@pytest.mark.parametrize("bend", [0.0, 1.0])
def test_all_labels_are_above_nothing(bend):
    search, scores = flat()
    samples, _ = CalibratedSearch(search, 2.0, -1.0, bend).above(scores, -math.inf)
    assert len(samples) == search.log_prob(scores).numel()


# ------------------------------------------------------------ one label


def flat_of_many():
    scores = 3 * torch.randn(N, 60, generator=torch.manual_seed(0)).double()
    return FlatSearch(False, 60), Scores(scores)


def tree_of_many():
    torch.manual_seed(0)
    head = CascadeHead(5, (8, 8), 60, beam_width=8, hard_negatives=True).double()
    with torch.no_grad():
        for weight in head.parameters():
            weight.normal_()
        return head.search, head.bind(torch.randn(N, 5).double())


def cut_by_hand(p, share):
    """Return the mixture of probabilities (n, C) with those that are cut off."""
    result = []
    for row in p:
        best = sorted(row, reverse=True)[:N_CUT]
        above = np.maximum(row - best[-1], 0)
        cut = above / (above.sum() + UNCUT * sum(best))
        result.append((1 - share * cut.sum()) * row + share * cut)
    return np.array(result)


@pytest.mark.parametrize("make", [flat_of_many, tree_of_many])
@pytest.mark.parametrize("share", [0.2, 0.95])
@torch.no_grad()
def test_best_labels_get_a_share_of_all_others(make, share):
    search, scores = make()
    before = search.prob(scores).numpy()
    mixed, p = CutSearch(search, share), cut_by_hand(before, share)
    assert_allclose(p.sum(1), 1)
    assert_allclose(mixed.prob(scores), p, rtol=1e-7)
    assert_allclose(mixed.log_prob(scores), np.log(p), rtol=1e-7)
    for k in (1, 5, N_CUT, 40):
        labels, log_p = mixed.topk(scores, k)
        assert_array_equal(labels, search.topk(scores, k)[0])
        found = np.take_along_axis(p, labels.numpy(), 1)
        assert_allclose(log_p.exp(), found, rtol=1e-7)
    # No label passes another one.
    order = np.argsort(before, axis=1)
    assert (np.diff(np.take_along_axis(p, order, 1), axis=1) > 0).all()
    for threshold in (0.01, 0.3):
        found = torch.stack(mixed.above(scores, math.log(threshold))).numpy()
        assert_array_equal(found, np.nonzero(p > threshold))


def test_the_rest_of_a_cut_search_is_that_of_the_search():
    search, _ = tree_of_many()
    mixed = CutSearch(search, 0.3).with_beam_width(3)
    assert isinstance(mixed, CutSearch) and mixed._numbers == (0.3,)
    assert mixed.beam_width == 3 and mixed.joint and mixed.n_labels == 60


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_and_extreme_scores_have_finite_probabilities(dtype):
    scores = torch.zeros(4, 50, dtype=dtype)
    scores[1, :3] = torch.tensor([500.0, 499.0, 0.0], dtype=dtype)
    scores[2] = -torch.arange(50, dtype=dtype)
    scores[3, :30] = 1e-7 * torch.arange(30, dtype=dtype)  # equal but for rounding
    mixed = CutSearch(FlatSearch(False, 50), 0.9)
    p, log_p = mixed.prob(Scores(scores)), mixed.log_prob(Scores(scores))
    assert torch.isfinite(log_p).all()
    assert_allclose(p.sum(1), 1, rtol=1e-6)
    assert_allclose(log_p.exp(), p, atol=1e-6)
    assert_allclose(p[[0, 3]], 1 / 50, rtol=5e-3)
    assert_allclose(mixed.topk(Scores(scores), 5)[1], log_p.topk(5)[0], atol=1e-4)


def test_a_cut_is_of_what_is_above_the_last_one():
    p = torch.linspace(20.0, 1.0, N_CUT)[None] / 400
    cut, total = cut_off(p.log())
    expected = (p - p[:, -1:]) / (p - p[:, -1:]).sum()
    assert_allclose(cut, expected, rtol=3e-3)
    assert 0.99 < total.item() < 1


def test_odds_are_finite():
    log_p = torch.tensor([0.0, -1e-30, math.log(0.5), -100.0])
    odds = odds_of(log_p)
    assert torch.isfinite(odds).all()
    assert odds[2] == pytest.approx(0.0, abs=1e-6)
    assert odds[3] == pytest.approx(-100.0)
