"""Scores of a tree of linear classifiers, against brute force."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from linear_problems import (
    N_LABELS,
    N,
    all_node_scores,
    containers,
    fit,
    make_data,
    path_scores,
)
from numpy.testing import assert_allclose, assert_array_equal

from skmhe.nn.search import FlatSearch
from skmhe.nn.tree_search import TreeSearch
from skmhe.scorers.batch import Batch
from skmhe.scorers.linear import LinearScorer
from skmhe.scorers.linear.scorer import FLOOR
from skmhe.scorers.linear.tables import child_scores

CPU = torch.device("cpu")
SIZES = pytest.mark.parametrize("sizes", [(N_LABELS,), (3, 3), (2, 2, 2)])
TREES = pytest.mark.parametrize("sizes", [(3, 3), (2, 2, 2), (4, 2)])


def bind_flat(X, levels, beam_width=9, n_labels=N_LABELS, multilabel=False, weight=2.0):
    search = FlatSearch(multilabel, n_labels, levels[-1].intercepts.shape[1])
    scorer = LinearScorer(levels, N_LABELS, search, beam_width, weight)
    return scorer.bind(Batch(X, CPU))


def bind_tree(X, levels, sizes, n_labels=N_LABELS):
    search = TreeSearch(False, n_labels, sizes, 10)
    scorer = LinearScorer(levels, N_LABELS, search, 10, 0.5)
    return scorer.bind(Batch(X, CPU))


@containers
@SIZES
@pytest.mark.parametrize("n_labels", [N_LABELS, N_LABELS + 3])
def test_labels_have_the_log_scores_of_their_paths(container, sizes, n_labels):
    X, Y = make_data()
    X = container(X)
    levels = fit(X, Y, sizes)
    expected = 2 * np.maximum(path_scores(levels, X), FLOOR)
    # Labels that the classifiers do not know have a margin of 0, a loss of 1.
    expected = np.pad(expected, ((0, 0), (0, n_labels - N_LABELS)), constant_values=-2)
    scores = bind_flat(X, levels, n_labels=n_labels)
    assert_allclose(scores.labels(), expected, atol=1e-4)
    for rows in (slice(5, 9), torch.tensor([8, 3])):
        assert_allclose(scores.take(rows).labels(), expected[rows], atol=1e-4)


@pytest.mark.parametrize("multilabel", [False, True])
def test_labels_outside_of_the_beam_have_the_floor(multilabel):
    X, Y = make_data()
    X = sp.csr_array(X)
    levels = fit(X, Y, (3, 3))
    expected = np.maximum(path_scores(levels, X), FLOOR)
    first = child_scores(levels[0], X, np.arange(N), np.zeros(N, int))
    kept = np.argsort(-first, axis=1)[:, :2]
    in_beam = (np.arange(N_LABELS)[None, :, None] // 3 == kept[:, None, :]).any(2)
    expected = 2 * np.where(in_beam, expected, FLOOR)
    scores = bind_flat(X, levels, 2, multilabel=multilabel)
    assert_allclose(scores.labels(), expected, atol=1e-4)
    assert (expected == 2 * FLOOR).any()
    groups = scores.shortlist()
    assert_array_equal(scores.outside(torch.tensor([1, 3])), np.full((N, 2), 2 * FLOOR))
    assert_array_equal(np.sort(groups, axis=1), np.sort(kept, axis=1))
    for rows in (slice(5, 9), torch.tensor([8, 3])):
        part, own = scores.take(rows), groups[rows]
        assert_array_equal(part.shortlist(), own)
        # Groups that others have added to the shortlist.
        own = torch.cat([own, 3 - own.sum(1, keepdim=True)], dim=1)
        labels = (own[:, :, None] * 3 + torch.arange(3)).numpy()
        known = labels < N_LABELS
        found = part.candidates(own).numpy()
        wanted = np.take_along_axis(
            expected[rows], np.minimum(labels, N_LABELS - 1).reshape(len(own), -1), 1
        )
        assert_allclose(found[known], wanted.reshape(labels.shape)[known], atol=1e-4)


def test_no_shortlist_where_labels_are_not_known_or_there_is_no_tree():
    X, Y = make_data()
    X = sp.csr_array(X)
    tree, flat = fit(X, Y, (3, 3)), fit(X, Y, (N_LABELS,))
    assert bind_flat(X, tree, 2, N_LABELS + 1, multilabel=True).shortlist() is None
    assert bind_flat(X, flat, 2, multilabel=True).shortlist() is None


@containers
@TREES
@pytest.mark.parametrize("n_labels", [6, 7, 8, 11])
@pytest.mark.parametrize("joint", [False, True])
def test_nodes_and_children_of_all_labels(container, sizes, n_labels, joint):
    # Classifiers know 6 labels, or all but some of the search's.
    n_known = min(n_labels, N_LABELS)
    X, Y = make_data()
    X = container(X)
    levels = fit(X, Y[:, :n_known], sizes)
    first = -(-n_labels // int(np.prod(sizes[1:])))
    sizes = (max(sizes[0], first), *sizes[1:])
    search = TreeSearch(False, n_labels, sizes, 10, joint)
    scorer = LinearScorer(levels, n_known, search, 10, 0.5)
    scores = scorer.bind(Batch(X, CPU))
    X, path = scores.X, np.zeros((N, 1))
    for level in range(len(sizes)):
        below = int(np.prod(sizes[level + 1 :]))
        n_nodes, n_known_nodes = -(-n_labels // below), -(-n_known // below)
        # shape: (n, n_nodes); 2 * 0.5 times the score, and 0 of unknown nodes
        expected, unknown = all_node_scores(levels[level], X)[:, :n_known_nodes], 0
        if joint:
            # The log-score of the path, and that of a margin of 0.
            path = np.repeat(path, levels[level].intercepts.shape[1], axis=1)
            path = path[:, :n_known_nodes] - np.maximum(0, 1 - expected) ** 2
            expected, unknown = 0.5 * np.maximum(path, FLOOR), -0.5
        missing = ((0, 0), (0, n_nodes - n_known_nodes))
        expected = np.pad(expected, missing, constant_values=unknown)
        assert_allclose(scores.nodes(level), expected, atol=1e-5)
        for rows in (slice(2, 7), torch.tensor([8, 1])):
            found = scores.take(rows).nodes(level)
            assert_allclose(found, expected[rows], atol=1e-5)
        # All parents that a beam may ask for, some of which name no label.
        n_parents = int(np.prod(sizes[:level]))
        size, samples = sizes[level], torch.arange(N).repeat_interleave(n_parents)
        parents = torch.arange(n_parents).repeat(N)
        missing = n_parents * size - n_nodes
        expected = np.pad(expected, ((0, 0), (0, missing)), constant_values=-np.inf)
        found = scores.children(level, samples, parents)
        assert_allclose(found, expected.reshape(-1, size), atol=1e-5)


@containers
@TREES
@pytest.mark.parametrize("n_labels", [6, 8, 11])
def test_nodes_have_the_score_of_their_best_label_without_a_tree(
    container, sizes, n_labels
):
    n_known = min(n_labels, N_LABELS)
    X, Y = make_data()
    X = container(X)
    levels = fit(X, Y[:, :n_known], (n_known,))
    first = -(-n_labels // int(np.prod(sizes[1:])))
    sizes = (max(sizes[0], first), *sizes[1:])
    search = TreeSearch(True, n_labels, sizes, 10, joint=True)
    scorer = LinearScorer(levels, n_known, search, 10, 0.5)
    assert scorer.n_scores() == n_known
    scores = scorer.bind(Batch(X, CPU))
    margins = all_node_scores(levels[0], scores.X)[:, :n_known]
    labels = 0.5 * np.maximum(-(np.maximum(0, 1 - margins) ** 2), FLOOR)
    missing = ((0, 0), (0, n_labels - n_known))
    labels = np.pad(labels, missing, constant_values=-0.5)  # a margin of 0
    for level, size in enumerate(sizes):
        below = int(np.prod(sizes[level + 1 :]))
        starts = range(0, n_labels, below)
        expected = np.stack([labels[:, i : i + below].max(1) for i in starts], 1)
        assert_allclose(scores.nodes(level), expected, atol=1e-5)
        for rows in (slice(2, 7), torch.tensor([8, 1])):
            found = scores.take(rows).nodes(level)
            found.zero_()  # as searches may: scores are not shared
            assert_allclose(scores.nodes(level), expected, atol=1e-5)
            assert_allclose(scores.take(rows).nodes(level), expected[rows], atol=1e-5)
        # All parents that a beam may ask for, some of which name no label.
        n_parents = int(np.prod(sizes[:level]))
        samples = torch.arange(N).repeat_interleave(n_parents)
        missing = ((0, 0), (0, n_parents * size - expected.shape[1]))
        expected = np.pad(expected, missing, constant_values=-np.inf)
        found = scores.children(level, samples, torch.arange(n_parents).repeat(N))
        assert_allclose(found, expected.reshape(-1, size), atol=1e-5)


def test_children_of_few_pairs():
    X, Y = make_data()
    X = sp.csr_array(X)
    levels = fit(X, Y, (3, 3))
    samples, nodes = np.array([3, 3, 8]), np.array([0, 1, 1])
    scores = bind_tree(X, levels, (3, 3))
    found = scores.children(1, torch.from_numpy(samples), torch.from_numpy(nodes))
    assert_allclose(found, child_scores(levels[1], X, samples, nodes))
    found = scores.take(torch.tensor([8, 3])).children(
        1, torch.tensor([0, 1]), torch.tensor([1, 0])
    )
    assert_allclose(found, child_scores(levels[1], X, samples, nodes)[[2, 0]])
