"""Labels that came after training, in searches, against listing all labels."""

import math

import pytest
import torch
from head_oracles import log_sigmoid
from hypothesis import given, settings
from hypothesis import strategies as st
from score_tables import FlatTables, flats, label_log_probs, trees
from torch.testing import assert_close

from skmhe.nn.calibrated_search import CalibratedSearch, CutSearch
from skmhe.nn.late_search import LATE_FACTOR, LATE_ODDS, LateSearch
from skmhe.nn.search import FlatSearch

# Mean number of labels of a sample.
PER_SAMPLE = 2.5


@st.composite
def problems(draw):
    """Return a search, scores, and what features tell of its labels and late ones."""
    search, scores = draw(st.one_of(trees(values="floats"), flats()))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    n_all = search.n_labels + draw(st.integers(1, 4))
    told = 3 * torch.randn(3, n_all, generator=generator, dtype=torch.float64)
    scores.by_features = lambda: told.clone()
    return search, scores


def known_log_probs(search, scores):
    """Return log-probabilities of known labels if there are no others."""
    if not isinstance(search, FlatSearch):
        return label_log_probs(search, scores)
    found = scores.scores
    return (found.sigmoid() if search.multilabel else found.softmax(1)).log()


def expected_log_probs(search, scores):
    """Return log-probabilities of all labels, late ones last, written out."""
    rows, told = [], scores.by_features().tolist()
    for known, values in zip(
        known_log_probs(search, scores).tolist(), told, strict=True
    ):
        n_known = search.n_labels
        factor = PER_SAMPLE if search.multilabel else LATE_ODDS
        values = [math.exp(LATE_FACTOR * value) for value in values]
        odds = [factor * v / sum(values[:n_known]) for v in values[n_known:]]
        if search.multilabel:
            rows.append([*known, *(log_sigmoid(math.log(o)) for o in odds)])
            continue
        left = max(1 - math.exp(max(known)), torch.finfo(torch.float32).eps)
        odds = [o * left for o in odds]
        every = [*(math.exp(value) for value in known), *odds]
        rows.append([math.log(max(v, 1e-300) / (1 + sum(odds))) for v in every])
    return torch.tensor(rows, dtype=torch.float64)


@given(problems())
@settings(max_examples=150)
def test_late_labels_have_their_share_of_what_the_best_label_leaves(problem):
    search, scores = problem
    expected = expected_log_probs(search, scores)
    n_all = expected.shape[1]
    late = LateSearch(search, n_all - search.n_labels, PER_SAMPLE)
    assert late.n_scores(1) == search.n_scores(1) + 4 * n_all
    assert_close(late.log_prob(scores), expected)
    assert_close(late.prob(scores), expected.exp())
    if search.multilabel:
        odds = expected - torch.log(-torch.expm1(expected))
        assert_close(late.log_odds(scores), odds)
    else:
        assert_close(late.prob(scores).sum(1), torch.ones(3).double())
    pairs = torch.stack(late.above(scores, -1.203), dim=1)
    assert pairs.tolist() == (expected > -1.203).nonzero().tolist()
    for k in {1, min(3, n_all), n_all}:
        labels, found = late.topk(scores, k, exact=True)
        assert_close(found, expected.sort(dim=1, descending=True).values[:, :k])
        assert_close(expected.gather(1, labels), found)
        assert all(len(set(row)) == k for row in labels.tolist())


def make_scores(n_labels=40, n_late=2, seed=0):
    """Return scores of 5 samples, of labels and of what features tell of them."""
    generator = torch.Generator().manual_seed(seed)
    draws = {"generator": generator, "dtype": torch.float64}
    scores = FlatTables(2 * torch.randn(5, n_labels, **draws), None, 1)
    told = torch.randn(5, n_labels + n_late, **draws)
    scores.by_features = lambda: told.clone()
    return scores


@pytest.mark.parametrize(
    "calibrated",
    [
        CutSearch(FlatSearch(False, 40), 0.5),
        CalibratedSearch(FlatSearch(True, 40), 0.7, -0.2),
    ],
    ids=["cut", "calibrated"],
)
def test_corrected_probabilities_of_known_labels_are_merged(calibrated):
    scores, late = make_scores(), LateSearch(calibrated, 2, PER_SAMPLE)
    found, known = late.log_prob(scores), calibrated.log_prob(scores)
    change = found[:, :40] - known
    assert_close(change, change[:, :1].expand(-1, 40))
    assert calibrated.multilabel == (change == 0).all()
    labels, best = late.topk(scores, 25)
    assert_close(found.gather(1, labels), best)
    assert_close(best, found.sort(dim=1, descending=True).values[:, :25])


@pytest.mark.parametrize("multilabel", [False, True])
def test_a_constant_of_a_sample_changes_nothing(multilabel):
    scores, search = (
        make_scores(),
        LateSearch(FlatSearch(multilabel, 40), 2, PER_SAMPLE),
    )
    before, told = search.prob(scores), scores.by_features()
    scores.by_features = lambda: told + torch.tensor([[3.0], [-4], [0], [9], [1]])
    assert_close(search.prob(scores), before)


def test_extreme_scores_have_finite_log_probabilities():
    scores, search = make_scores(), LateSearch(FlatSearch(False, 40), 2, 1.0)
    scores.scores[0, 3] = 900.0  # nothing is left
    told = scores.by_features()
    told[1, 41], told[2, 40:] = 900.0, -900.0
    scores.by_features = lambda: told.clone()
    found = search.log_prob(scores)
    assert torch.isfinite(found).all()
    assert_close(found.exp().sum(1), torch.ones(5).double())
    assert found.argmax(1)[:2].tolist() == [3, 41]


def test_the_rest_is_that_of_the_search():
    search = LateSearch(FlatSearch(True, 6, 2), 3, PER_SAMPLE)
    assert search.multilabel and search.group_size == 2
    assert search.n_labels == 6  # those that the other search finds
    assert search.has_late and not FlatSearch(True, 6, 2).has_late
    assert isinstance(search.with_beam_width(3), LateSearch)
    assert search.with_beam_width(3)._odds == PER_SAMPLE


@pytest.mark.parametrize("n_known", [10, 1_000])
def test_labels_of_which_nothing_is_told_are_as_probable_as_others(n_known):
    scores = FlatTables(torch.zeros(2, n_known).double(), None, 1)
    scores.by_features = lambda: torch.zeros(2, n_known + 1).double()
    p = LateSearch(FlatSearch(True, n_known), 1, PER_SAMPLE).prob(scores)
    odds = PER_SAMPLE / n_known
    assert_close(p[:, -1], torch.full((2,), odds / (1 + odds)).double())


def test_the_ranking_is_the_same_in_both_precisions():
    # Of a label that is found without doubt, float32 knows no more than that.
    scores = make_scores(n_labels=6, n_late=2)
    scores.scores[:] = torch.tensor([20.0, 2.0, 1.0, 0.0, -1.0, -2.0])
    told = 3 * scores.by_features()
    ranked = []
    for dtype in (torch.float32, torch.float64):
        part = FlatTables(scores.scores.to(dtype), None, 1)
        part.by_features = lambda: told.to(dtype)  # noqa: B023
        ranked.append(LateSearch(FlatSearch(False, 6), 2, 1.0).topk(part, 8)[0])
    assert_close(*ranked)
