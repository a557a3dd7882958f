"""Searches whose log-odds are corrected."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal

from skmhe.nn import CascadeHead
from skmhe.nn.calibrated_search import CalibratedSearch, odds_of
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
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -1.0), (3.0, 2.0)])
@torch.no_grad()
def test_all_give_the_same_probabilities(make, slope, intercept):
    search, scores = make()
    calibrated = CalibratedSearch(search, slope, intercept)
    log_odds = slope * search.log_odds(scores) + intercept
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
    calibrated = CalibratedSearch(search, 2.0, 0.0)
    assert calibrated.multilabel and calibrated.n_labels == N_LABELS
    assert calibrated.steered == search.steered
    assert calibrated.with_beam_width(3).beam_width == 3
    assert isinstance(calibrated.with_beam_width(3), CalibratedSearch)


def test_odds_are_finite():
    log_p = torch.tensor([0.0, -1e-30, math.log(0.5), -100.0])
    odds = odds_of(log_p)
    assert torch.isfinite(odds).all()
    assert odds[2] == pytest.approx(0.0, abs=1e-6)
    assert odds[3] == pytest.approx(-100.0)
