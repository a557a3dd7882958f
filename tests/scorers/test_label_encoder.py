"""Scores of the label encoder, in all forms that searches ask for."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from model_problems import CPU, N_FEATURES, make_network, make_rows, make_spec, unit
from numpy.testing import assert_allclose

from skmhe.nn.search import FlatSearch
from skmhe.nn.tree_search import TreeSearch
from skmhe.scorers import label_encoder
from skmhe.scorers.batch import Batch
from skmhe.scorers.combination import ScorerWeights
from skmhe.scorers.label_encoder import LabelEncoderScorer
from skmhe.scorers.network import EncoderSpec

N_LABELS, N_LATE = 11, 2
SEARCHES = {
    "flat": FlatSearch(False, N_LABELS, 3),
    "tree": TreeSearch(False, N_LABELS, (4, 3), 10),
    "deep": TreeSearch(False, N_LABELS, (2, 2, 3), 10),
}
containers = pytest.mark.parametrize("container", [np.asarray, sp.csr_array])


class Case:
    """A scorer of 11 labels and 2 late ones, some of which are samples themselves."""

    def __init__(self, search, container=np.asarray, shares=True, own_score=-4.0):
        Z = unit(make_rows(N_LABELS + N_LATE, seed=1))
        X = make_rows(6)
        X[1], X[4], X[5] = 3 * Z[10], Z[4], Z[12]
        spec = make_spec(
            "full", encoder=EncoderSpec(0.1, None if shares else N_FEATURES)
        )
        self.network = make_network(spec)
        with torch.no_grad():
            samples = self.network.embed_samples(Batch(X, CPU))
            labels = self.network.embed_labels(Z)
            self.expected = self.network.encoder(samples, labels).numpy()
            scorer = LabelEncoderScorer(
                self.network, container(Z), SEARCHES[search], own_score
            )
            self.scores = scorer.bind(Batch(container(X), CPU))
        if shares:
            self.expected[[1, 4, 5], [10, 4, 12]] += own_score
        self.scorer, self.X, self.Z = scorer, X, Z


@containers
@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize("search", SEARCHES)
def test_all_labels_have_scaled_cosines(search, shares, container):
    case = Case(search, container, shares)
    assert case.scorer.scores_by_features
    assert not case.scorer.proposes_groups
    for rows in (slice(None), slice(1, 5), torch.tensor([5, 1])):
        part = case.scores.take(rows)
        assert_allclose(part.labels(), case.expected[rows, :N_LABELS], atol=1e-4)
        assert_allclose(part.by_features(), case.expected[rows], atol=1e-4)


def check_groups(found, expected, rows, groups):
    for scores, row, group in zip(found, rows, groups, strict=True):
        own = expected[row, 3 * group : min(3 * group + 3, N_LABELS)]
        assert_allclose(scores[: len(own)], own, atol=1e-4)
    # Labels that do not exist add nothing to a head's score of -inf.
    assert torch.isfinite(found).all()


@containers
@pytest.mark.parametrize("own_score", [0.0, -4.0])
def test_groups_and_children_score_as_all_labels_do(container, own_score):
    groups = torch.tensor([[0, 3], [3, 1], [0, 1], [1, 2], [2, 1], [3, 2]])
    case = Case("flat", container, own_score=own_score)
    found = case.scores.candidates(groups)
    rows = np.arange(6).repeat(2)
    check_groups(found.flatten(0, 1), case.expected, rows, groups.flatten().tolist())
    samples, nodes = torch.tensor([1, 4, 1, 2, 0]), torch.tensor([3, 1, 0, 2, 1])
    for search, last in (("tree", 1), ("deep", 2)):
        case = Case(search, container, own_score=own_score)
        found = case.scores.children(last, samples, nodes)
        check_groups(found, case.expected, samples, nodes)
        # No sample of these pairs is a label.
        found = case.scores.children(last, samples[3:], nodes[3:])
        check_groups(found, case.expected, samples[3:], nodes[3:])


@pytest.mark.parametrize(("search", "last"), [("tree", 1), ("deep", 2)])
def test_nodes_above_the_labels_have_no_score(search, last):
    case, pairs = Case(search), (torch.tensor([0, 4]), torch.tensor([0, 0]))
    for level in range(last):
        assert case.scores.nodes(level) == 0
        assert case.scores.children(level, *pairs) == 0
    expected = case.expected[:, :N_LABELS]
    assert_allclose(case.scores.nodes(last), expected, atol=1e-4)


def test_weights_are_those_of_labels_that_are_searched():
    case = Case("flat")
    own = np.zeros_like(case.expected)
    own[[1, 4, 5], [10, 4, 12]] = -4.0
    for cosine, of_own in ((0.5, 3.0), (0.0, 1.0), (0.0, 0.0)):
        weights = ScorerWeights(label_encoder=cosine, own_labels=of_own)
        scorer = LabelEncoderScorer(
            case.network, case.Z, SEARCHES["flat"], -4.0, weights
        )
        assert scorer.scores_labels == scorer.can_steer == (of_own > 0)
        assert scorer.needs_all_labels == (of_own > 0)
        found = scorer.bind(Batch(case.X, CPU))
        expected = cosine * (case.expected - own) + of_own * own
        with torch.no_grad():
            assert_allclose(found.labels(), expected[:, :N_LABELS], atol=1e-4)
            assert_allclose(found.by_features(), case.expected, atol=1e-4)


def test_labels_are_embedded_in_chunks(monkeypatch):
    whole = Case("flat").scorer.table
    monkeypatch.setattr(label_encoder, "LABELS_PER_CHUNK", 4)
    assert_allclose(Case("flat").scorer.table, whole, rtol=1e-5)


def test_without_late_labels():
    case = Case("flat")
    scorer = LabelEncoderScorer(case.network, case.Z[:N_LABELS], SEARCHES["flat"])
    assert not scorer.scores_by_features
    assert scorer.bind(Batch(make_rows(2), CPU)).own is None
    assert case.scorer.network.device == CPU
