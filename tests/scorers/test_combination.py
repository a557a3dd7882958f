"""Sums of scores and their calibration, in searches, against written-out sums."""

import math

import numpy as np
import pytest
import torch
from linear_problems import containers, make_text_like
from numpy.testing import assert_allclose

from skmhe import LinearTree, MHEMultiLabelClassifier
from skmhe.nn import CascadeHead, FullHead, ProductHead, SamplingHead
from skmhe.scorers.combination import (
    Combination,
    Scorer,
    ScorerWeights,
    prior_calibration,
)

N, N_LABELS = 6, 11


class HeadScorer(Scorer):
    """A head, whose features are the batch."""

    scores_labels = can_steer = True

    def __init__(self, head):
        self.head = head

    def bind(self, batch):
        return self.head.bind(batch)


class Table(Scorer):
    """Scores of a tree of 11 labels in groups of 3, from tables."""

    scores_labels = can_steer = True

    def __init__(self, seed=0, groups=None):
        generator = torch.Generator().manual_seed(seed)
        draws = {"generator": generator, "dtype": torch.float64}
        self.first = torch.randn(N, 4, **draws)
        self.leaves = torch.randn(N, 4, 3, **draws)
        self.groups, self.proposes_groups = groups, groups is not None

    def bind(self, batch):
        return self

    def take(self, rows):
        part = Table(groups=None if self.groups is None else self.groups[rows])
        part.first, part.leaves = self.first[rows], self.leaves[rows]
        return part

    def labels(self):
        return self.leaves.flatten(1)[:, :N_LABELS].clone()

    def shortlist(self, groups):
        return self.groups if groups is None else torch.cat([groups, self.groups], 1)

    def outside(self, labels):
        return self.labels()[:, labels]

    def candidates(self, groups):
        return self.leaves[torch.arange(len(groups))[:, None], groups]

    def nodes(self, level):
        return self.labels() if level else self.first.clone()

    def children(self, level, samples, nodes):
        return self.leaves[samples, nodes] if level else self.first[samples]


class Told(Scorer):
    """What features tell of 11 labels and 2 late ones."""

    scores_by_features = True

    def __init__(self, seed):
        generator = torch.Generator().manual_seed(seed)
        self.told = torch.randn(N, N_LABELS + 2, generator=generator).double()

    def bind(self, batch):
        return self

    def take(self, rows):
        part = Told(0)
        part.told = self.told[rows]
        return part

    def by_features(self):
        return self.told.clone()


def make_head(cls, *args, **options):
    """Return a head with parameters from the normal, and features of samples."""
    head = cls(3, *args, **options).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(generator=generator)
    features = torch.randn(N, 3, generator=generator, dtype=torch.float64)
    return head.requires_grad_(False), features


def linear_scores(head, features, level=0):
    return features @ head.weights[level].T + head.biases[level]


def probabilities(scores, multilabel):
    return scores.sigmoid() if multilabel else scores.softmax(-1)


def check_search(search, scores, expected):
    """Check all answers of a search, given the probabilities."""
    assert_allclose(search.log_prob(scores).exp(), expected)
    best = expected.topk(3)
    labels, found = search.topk(scores, 3, exact=True)
    assert_allclose(found.exp(), best.values)
    assert (labels == best.indices).all()
    samples, labels = search.above(scores, math.log(0.1))
    above = torch.zeros_like(expected, dtype=torch.bool)
    above[samples, labels] = True
    assert (above == (expected > 0.1)).all()


# ------------------------------------------------------------ sums


@pytest.mark.parametrize("multilabel", [False, True])
def test_tree_search_of_sums(multilabel):
    head, features = make_head(CascadeHead, (4, 3), N_LABELS, multilabel, 1)
    tables = [Table(0), Table(1)]
    combination = Combination((HeadScorer(head), *tables, Told(2)), 0.5)
    first = linear_scores(head, features) + tables[0].first + tables[1].first
    leaves = torch.nn.functional.pad(
        linear_scores(head, features, 1), (0, 1), value=-torch.inf
    )
    leaves = leaves.view(N, 4, 3) + tables[0].leaves + tables[1].leaves
    p = probabilities(0.5 * first, multilabel)
    below = probabilities(0.5 * leaves, multilabel)
    # Hard negatives of several labels, by default: a norm of the odds against.
    norm = ((1 / p[:, :, None] - 1) ** 4 + (1 / below - 1) ** 4) ** 0.25
    joined = 1 / (1 + norm) if multilabel else None
    expected = p[:, :, None] * below if joined is None else joined
    expected = expected.flatten(1)[:, :N_LABELS]
    check_search(head.search, combination.bind(features), expected)
    rows = torch.tensor([4, 1])
    check_search(head.search, combination.bind(features).take(rows), expected[rows])


@pytest.mark.parametrize("multilabel", [False, True])
def test_flat_search_of_sums(multilabel):
    head, features = make_head(FullHead, N_LABELS, multilabel)
    tables = [Table(0), Table(1)]
    combination = Combination((HeadScorer(head), *tables, Told(2)), 0.5)
    scores = linear_scores(head, features) + tables[0].labels() + tables[1].labels()
    expected = probabilities(0.5 * scores, multilabel)
    check_search(head.search, combination.bind(features), expected)
    part = combination.bind(features).take(slice(2, 5))
    check_search(head.search, part, expected[2:5])


def test_what_features_tell_has_no_factor():
    told = Told(0), Told(1)
    sums = Combination((Table(0), *told), 2.0).bind(None)
    expected = told[0].told + told[1].told
    assert_allclose(sums.by_features(), expected)
    assert_allclose(sums.take(slice(1, 3)).by_features(), expected[1:3])
    assert_allclose(sums.labels(), 2 * Table(0).labels())


@pytest.mark.parametrize("multilabel", [False, True])
def test_only_proposed_groups_are_scored(multilabel):
    options = {"group_size": 3, "multilabel": multilabel}
    head, features = make_head(SamplingHead, N_LABELS, **options)
    chosen = torch.tensor([[1, 3], [0, 2], [3, 0], [2, 1], [0, 1], [3, 2]])
    scorers = HeadScorer(head), Table(0, groups=chosen)
    scores = Combination(scorers, 0.5).bind(features)
    labels, found = head.search.topk(scores, 3)
    every = head.search.topk(scores, 4)  # more than a group has: all are scored
    exact = head.search.topk(scores, 3, exact=True)
    sums = 0.5 * (linear_scores(head, features) + scorers[1].labels())
    assert (exact[0] == sums.topk(3).indices).all()
    assert (every[0] == sums.topk(4).indices).all()
    in_group = (torch.arange(N_LABELS)[None, :, None] // 3 == chosen[:, None]).any(2)
    # All labels share the probability, also those that are not in the shortlist.
    expected = probabilities(sums, multilabel).masked_fill(~in_group, 0)
    best = expected.topk(3)
    assert (labels == best.indices).all()
    assert_allclose(found.exp(), best.values)


def test_what_scorers_propose():
    groups = torch.tensor([[0]] * N)
    first, second = Table(0), Table(1, groups=groups)
    assert Combination((first, second)).bind(None).shortlist() is groups
    assert Combination((first,)).bind(None).shortlist() is None
    third = Table(2, groups=groups + 1)
    both = Combination((first, second, third)).bind(None).shortlist()
    assert both.tolist() == [[0, 1]] * N
    third.needs_all_labels = True
    assert Combination((first, second, third)).bind(None).shortlist() is None


def test_independent_heads_are_passed_on():
    head, features = make_head(ProductHead, (4, 3), N_LABELS, rank=2)
    scores = Combination((HeadScorer(head),)).bind(features)
    check_search(head.search, scores, head.log_prob(features).exp())


# ------------------------------------------------------------ calibration


@pytest.mark.parametrize(
    ("weights", "multilabel", "steered", "joint", "expected"),
    [
        # network, linear classifiers, label encoder; factor and intercept
        ((1, 0, 0), False, False, False, (1, 0)),
        ((1, 0, 0), True, False, False, (1, 0)),
        ((1, 1, 0), False, False, False, (1 / 1.5, 0)),
        ((1, 4, 0), False, False, False, (1 / 3, 0)),
        ((0, 1, 0), False, False, False, (2, 0)),
        ((0, 3, 0), False, False, False, (2 / 3, 0)),
        ((0, 0, 1), False, False, False, (1, 0)),
        ((1, 1, 1), False, False, False, (1 / 2.5, 0)),
        ((1, 1, 0), True, False, False, (1 / 2, 1 / 2)),
        ((1, 3, 0), True, False, False, (1 / 4, 3 / 4)),
        ((0, 1, 0), True, False, False, (1, 1)),
        ((0, 0, 1), True, False, False, (1, -math.log(50))),
        ((1, 1, 2), True, False, False, (1 / 4, (1 - 2 * math.log(50)) / 4)),
        ((0, 1, 0), False, True, False, (2, 0)),
        ((0, 1, 0), True, True, False, (2, 0)),
        ((1, 2, 1), True, True, False, (1 / 2, 0)),
        ((1, 2, 1), False, True, False, (1 / 2, 0)),
        ((1, 2, 1), False, True, True, (1 / 2, 0)),
        ((1, 2, 1), True, True, True, (1 / 3, 2 / 3)),
        ((0, 1, 0), True, True, True, (1, 1)),
    ],
)
def test_prior_calibration(weights, multilabel, steered, joint, expected):
    task = multilabel, 50, steered, joint
    found = prior_calibration(ScorerWeights(*weights), *task)
    assert_allclose(found, (expected[0], 1, expected[1], 0, 0), rtol=1e-12)


def test_weights_of_parts():
    weights = ScorerWeights(1, 2, 0.0, 4)
    assert weights.of_part("both") == weights
    assert weights.of_part("classifier") == ScorerWeights(1, 2, 0, 0)
    assert weights.of_part("encoder") == ScorerWeights(0, 0, 1, 4)


@containers
@pytest.mark.parametrize("n", [5, 60])
def test_labels_of_the_beam_have_the_same_scores_in_predict_topk(
    container, n, monkeypatch
):
    rng = np.random.RandomState(0)
    X = make_text_like(200, 40)
    Y = (X @ rng.rand(40, 30) > 1.6).astype(int)
    clf = MHEMultiLabelClassifier(
        "sampling",
        max_iter=2,
        hidden_layer_sizes=8,
        linear=LinearTree(beam_width=2),
        random_state=0,
    )
    monkeypatch.setattr("skmhe.estimators.fitting.n_tree_levels", lambda work: 2)
    clf.fit(container(X), Y)
    assert len(clf._fitted.model.linear) == 2
    rows = container(X[:n])
    labels, scores = clf.predict_topk(rows, 4)
    p = clf.predict_proba(rows)
    assert_allclose(scores, np.take_along_axis(p, labels, 1), atol=1e-5)
    # All groups in the beam: the best labels.
    clf.set_params(linear__beam_width=6)
    labels, scores = clf.predict_topk(rows, 4)
    p = clf.predict_proba(rows)
    assert_allclose(scores, -np.sort(-p, axis=1)[:, :4], atol=1e-5)
