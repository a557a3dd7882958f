"""Searches against listing all labels, on scores from tables."""

import dataclasses
import math

import pytest
import torch
from head_oracles import log_sigmoid, log_softmax
from hypothesis import given, settings
from hypothesis import strategies as st
from score_tables import (
    FlatTables,
    TreeTables,
    beam_of,
    flats,
    label_log_probs,
    path_log_probs,
    samples_of,
    trees,
)
from torch.testing import assert_close

from skmhe.nn.heads.product import ProductSearch
from skmhe.nn.search import N_SPREAD, FlatSearch
from skmhe.nn.tree_search import TreeSearch, _merged, child_nodes, expand


def every_k(n_labels):
    return sorted({1, min(2, n_labels), -(-n_labels // 2), n_labels})


def check_best(labels, log_p, expected):
    """Check the best labels; equal ones may come in any order."""
    k = labels.shape[1]
    assert labels.dtype == torch.int64
    assert_close(log_p, expected.sort(dim=1, descending=True).values[:, :k])
    assert_close(expected.gather(1, labels), log_p)
    assert all(len(set(row)) == k for row in labels.tolist())


# ------------------------------------------------------------ trees


def with_joint(search, joint):
    return dataclasses.replace(search, joint=joint)


@given(trees(), st.booleans())
@settings(max_examples=150)
def test_exact_search_of_a_tree_finds_the_best_of_all_labels(problem, joint):
    search, scores = problem
    search = with_joint(search, joint)
    expected = label_log_probs(search, scores)
    assert_close(search.log_prob(scores), expected)
    assert_close(search.prob(scores), expected.exp())
    if search.multilabel:
        odds = expected - torch.log(-torch.expm1(expected))
        assert_close(search.log_odds(scores), odds)
    for k in every_k(expected.shape[1]):
        check_best(*search.topk(scores, k, exact=True), expected)


def test_log_odds_of_scores_that_are_out_of_range():
    extreme = torch.tensor([[-1e4, 1e4, 800.0, -800.0, 0.0]], dtype=torch.float64)
    tables = TreeTables([torch.zeros(1, 1).double(), extreme], (1, 5))
    search = TreeSearch(True, 5, (1, 5), 1)
    found = search.log_odds(tables)[0]
    assert torch.isfinite(found).all()
    assert found[1] == found[2] == pytest.approx(0)  # those of the parent
    assert found[[0, 3]].max() < -340
    assert found[4] == pytest.approx(-math.log(3))  # P = 1/4


@given(trees(values="floats"), st.booleans())
@settings(max_examples=150)
def test_search_of_a_tree_is_a_beam_search(problem, joint):
    search, scores = problem
    search = with_joint(search, joint)
    everything = label_log_probs(search, scores)
    for k in every_k(everything.shape[1]):
        labels, log_p = search.topk(scores, k)
        for i, levels in enumerate(samples_of(scores)):
            by = levels if search.one_softmax else path_log_probs(search, levels)
            found = beam_of(search, levels, by, k)
            values = everything[i, found]
            if search.one_softmax:  # their share of what was found
                values = values - values.logsumexp(0)
            assert_close(log_p[i], values.sort(descending=True).values[:k])
            # Below an improbable prefix, labels may be equal but for rounding.
            places = [found.index(label) for label in labels[i].tolist()]
            assert len(set(places)) == k
            assert_close(values[places], log_p[i])


@given(trees(), st.booleans(), st.sampled_from([-0.7003, -2.1007, -9.003, -math.inf]))
def test_pairs_above_a_threshold_are_listed(problem, joint, threshold):
    search, scores = problem
    search = with_joint(search, joint)
    pairs = torch.stack(search.above(scores, threshold), dim=1)
    expected = (label_log_probs(search, scores) > threshold).nonzero()
    assert pairs.tolist() == expected.tolist()


@given(
    trees(values="floats"), st.booleans(), st.sampled_from([-0.7003, -2.1007, -5.003])
)
def test_only_nodes_above_the_threshold_are_expanded(problem, joint, threshold):
    search, scores = problem
    search = with_joint(search, joint and search.multilabel)
    search.above(scores, threshold)
    expected = {
        (level + 1, i, node)
        for i, levels in enumerate(samples_of(scores))
        for level, row in enumerate(path_log_probs(search, levels)[:-1])
        for node, log_p in enumerate(row)
        if log_p > threshold
    }
    assert len(scores.expanded) == len(expected)
    assert set(scores.expanded) == expected


def two_samples():
    """Return a search of three levels that misses the best label of sample 1."""
    search = TreeSearch(False, 8, (2, 2, 2), beam_width=1)
    first = torch.tensor([[9.0, 0.0], [0.3, 0.0]])
    second = torch.tensor([[9.0, 0, 0, 0], [0, 0.1, 0.2, 0]])
    third = torch.tensor([[5.0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 9]])
    scores = TreeTables([t.double() for t in (first, second, third)], (2, 2, 2))
    # The beam has two nodes, of which level 1 has four.
    return search, scores


def test_only_samples_whose_beam_may_have_missed_a_label_are_searched_on():
    search, scores = two_samples()
    expected = label_log_probs(search, scores)
    assert expected.argmax(1).tolist() == [0, 7]
    assert (search.topk(scores, 1)[0][:, 0] == expected.argmax(1)).tolist() == [1, 0]
    assert scores.taken == []
    labels, log_p = search.topk(scores, 1, exact=True)
    assert scores.taken == [[1]]
    check_best(labels, log_p, expected)


def test_a_label_below_a_node_that_was_left_out_long_before_is_found():
    # The first level leaves out 0.30, the second no more than 0.34 / 3: less than the
    # best label of the beam, 0.36 / 2. The best of all is below the former.
    first = torch.tensor([[0.36, 0.34, 0.30]]).log()
    second = torch.tensor([[9.0, -9, -9, 0, 0, 0, 9, -9, -9]])
    third = torch.zeros(1, 18)
    third[0, 12] = 9
    search = TreeSearch(False, 18, (3, 3, 2), beam_width=1)
    scores = TreeTables([t.double() for t in (first, second, third)], (3, 3, 2))
    expected = label_log_probs(search, scores)
    assert expected.argmax().item() == 12
    check_best(*search.topk(scores, 1, exact=True), expected)


@pytest.mark.parametrize("multilabel", [False, True])
def test_equal_scores_everywhere_give_distinct_labels(multilabel):
    search = TreeSearch(multilabel, 23, (3, 4, 2), beam_width=1)
    levels = [torch.zeros(2, n, dtype=torch.float64) for n in search.n_nodes]
    scores = TreeTables(levels, search.head_sizes)
    expected = label_log_probs(search, scores)
    for k in range(1, 24):
        check_best(*search.topk(scores, k, exact=True), expected)


@st.composite
def lists_to_merge(draw):
    """Return the best k of each sample, and pairs, some of them the same."""
    n, k = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    values = torch.randint(-5, 0, (n, 9), generator=generator).double()
    order = torch.stack([torch.randperm(9, generator=generator) for _ in range(n)])
    others = torch.rand(n, 9, generator=generator) < draw(st.floats(0, 1))
    return values, order[:, :k], others


@given(lists_to_merge())
@settings(max_examples=150)
def test_merging_keeps_the_best_of_both_once(problem):
    values, labels, others = problem
    samples, more = others.nonzero(as_tuple=True)
    found, log_p = _merged(
        labels, values.gather(1, labels), samples, more, values[samples, more]
    )
    for i, own in enumerate(labels.tolist()):
        union = set(own) | set(others[i].nonzero()[:, 0].tolist())
        best = sorted((values[i, label].item() for label in union), reverse=True)
        assert log_p[i].tolist() == best[: len(own)]
        assert len(set(found[i].tolist())) == len(own)
        assert set(found[i].tolist()) <= union
        assert_close(values[i, found[i]], log_p[i])


def test_children_are_expanded_pair_by_pair():
    levels = [torch.rand(2, 3), torch.rand(2, 11)]
    scores = TreeTables(levels, (3, 4))
    nodes = torch.tensor([[0, 2, 1], [2, 1, 2]])
    found = expand(scores, 1, nodes)
    assert found.shape == (2, 3, 4)
    children = child_nodes(nodes, 4).view(2, 3, 4)
    for i in range(2):
        for j in range(3):
            for digit in range(4):
                child = 4 * int(nodes[i, j]) + digit
                assert children[i, j, digit] == child
                expected = levels[1][i, child].item() if child < 11 else -math.inf
                assert found[i, j, digit].item() == expected
    assert expand(scores, 1, nodes[:0]).shape == (0, 3, 4)
    assert expand(scores, 1, nodes[:, :0]).shape == (2, 0, 4)


# ------------------------------------------------------------ no tree


@given(flats())
@settings(max_examples=200)
def test_a_shortlist_is_searched(problem):
    search, scores = problem
    for k in every_k(search.n_labels):
        labels, log_p = search.topk(scores, k)
        for i, row in enumerate(scores.scores.tolist()):
            groups = scores.groups[i].tolist()
            # Groups that may hold fewer than k labels are not enough.
            if len(groups) <= math.ceil(k / search.group_size):
                chosen = list(range(search.n_labels))
            else:
                chosen = [
                    label
                    for label in range(search.n_labels)
                    if label // search.group_size in groups
                ]
            # Of few labels, the probability outside of the shortlist is known, too.
            values = map(log_sigmoid, row) if search.multilabel else log_softmax(row)
            values = [value for i, value in enumerate(values) if i in chosen]
            best = sorted(zip(values, sorted(chosen), strict=True), reverse=True)[:k]
            assert labels[i].tolist() == [label for _, label in best]
            assert_close(log_p[i].tolist(), [value for value, _ in best])


def test_the_probability_outside_of_a_shortlist_is_estimated_from_some_labels():
    n_labels, size = 50_000, 100
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, n_labels, generator=generator, dtype=torch.float64)
    search = FlatSearch(False, n_labels, size)
    groups = scores.argmax(1, keepdim=True) // size
    groups = torch.cat([groups, (groups + 7) % 500], dim=1)
    tables = FlatTables(scores, groups, size)
    asked = []
    outside = tables.outside
    tables.outside = lambda labels: asked.append(labels) or outside(labels)
    _, found = search.topk(tables, 1)
    exact = scores.log_softmax(1).amax(1, keepdim=True)
    assert_close(found, exact, atol=0.2, rtol=0)
    # Without it, they would be taken for several times as probable.
    _, every = FlatSearch(True, n_labels, size).topk(tables, 1)
    assert (every - exact > 2).all()
    assert len(asked) == 1 and len(asked[0]) == N_SPREAD
    assert_close(asked[0], search.spread(torch.device("cpu")))
    assert (asked[0].diff() > 100).all()


@given(flats())
def test_all_labels_are_scored_on_demand(problem):
    search, scores = problem
    rows = [
        [log_sigmoid(s) for s in row] if search.multilabel else log_softmax(row)
        for row in scores.scores.tolist()
    ]
    expected = torch.tensor(rows, dtype=torch.float64)
    assert_close(search.log_prob(scores), expected)
    assert_close(search.prob(scores), expected.exp())
    assert_close(search.log_odds(scores), scores.scores)
    for k in every_k(expected.shape[1]):
        check_best(*search.topk(scores, k, exact=True), expected)
    pairs = torch.stack(search.above(scores, -1.203), dim=1)
    assert pairs.tolist() == (expected > -1.203).nonzero().tolist()


def test_no_shortlist_is_all_labels():
    search, scores = FlatSearch(False, 6, 2), torch.rand(3, 6)
    tables = FlatTables(scores, None, 2)
    labels, log_p = search.topk(tables, 4)
    check_best(labels, log_p, scores.log_softmax(1))


@pytest.mark.parametrize(
    ("search", "head_sizes", "n_levels", "group_size", "steered", "scores_all"),
    [
        (FlatSearch(True, 6, 2), (6,), 1, 2, False, True),
        (TreeSearch(True, 6, (2, 3), 4), (2, 3), 2, 3, True, False),
        (ProductSearch(6, (2, 3), 1), (2, 3), 1, 1, False, False),
    ],
)
def test_what_searches_tell(
    search, head_sizes, n_levels, group_size, steered, scores_all
):
    assert search.multilabel is not isinstance(search, ProductSearch)
    assert search.n_labels == 6
    assert (search.head_sizes, search.n_levels) == (head_sizes, n_levels)
    assert search.group_size == group_size
    assert (search.steered, search.scores_all) == (steered, scores_all)
    other = search.with_beam_width(9)
    assert other == (dataclasses.replace(search, beam_width=9) if steered else search)
