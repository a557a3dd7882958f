"""Beams of linear classifiers in trees in which some codes name no label."""

from math import prod

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skmhe.nn.search import FlatSearch
from skmhe.nn.tree_search import TreeSearch
from skmhe.scorers.batch import Batch, unit_rows
from skmhe.scorers.combination import Combination
from skmhe.scorers.linear import LinearScorer
from skmhe.scorers.linear.scorer import FLOOR
from skmhe.scorers.linear.tables import DenseLevel

N, N_FEATURES = 5, 3
CPU = torch.device("cpu")


@st.composite
def problems(draw):
    """Return sizes, the number of labels, a beam width, k and a seed."""
    sizes = tuple(draw(st.lists(st.integers(1, 5), min_size=2, max_size=3)))
    n_labels = draw(st.integers(1, prod(sizes)))
    k = draw(st.integers(1, n_labels))
    return sizes, n_labels, draw(st.integers(1, 6)), k, draw(st.integers(0, 99))


def make_levels(sizes, n_labels, rng):
    """Return classifiers that say no to most nodes, more clearly than -1."""
    levels = []
    for level, size in enumerate(sizes):
        n_parents = -(-n_labels // prod(sizes[level:]))
        weights = rng.randn(n_parents, N_FEATURES, size).astype(np.float32)
        intercepts = rng.uniform(-2, 0, (n_parents, size)).astype(np.float32)
        # What fitting gives codes that name no node.
        n_nodes = -(-n_labels // prod(sizes[level + 1 :]))
        missing = np.arange(n_parents * size).reshape(n_parents, size) >= n_nodes
        weights[np.broadcast_to(missing[:, None], weights.shape)] = 0
        levels.append(DenseLevel(weights, np.where(missing, -1, intercepts)))
    return levels


def beam_by_hand(levels, x, n_labels, width):
    """Return {label: log-score of its path} of the labels below a sample's beam."""
    paths = {0: 0.0}
    for level, (weights, intercepts) in enumerate(levels):
        size = intercepts.shape[1]
        below = prod(made.intercepts.shape[1] for made in levels[level + 1 :])
        n_nodes = -(-n_labels // below)
        kept = sorted(paths, key=paths.get, reverse=True)[:width]
        scores = {node: x @ weights[node] + intercepts[node] for node in kept}
        paths = {
            node * size + child: paths[node] - max(0, 1 - scores[node][child]) ** 2
            for node in kept
            for child in range(size)
            if node * size + child < n_nodes
        }
    return paths


def make_problem(problem, search):
    """Return rows, classifiers, and the scores that a search is given."""
    sizes, n_labels, width, _, seed = problem
    rng = np.random.RandomState(seed)
    levels = make_levels(sizes, n_labels, rng)
    X = unit_rows(rng.randn(N, N_FEATURES).astype(np.float32))
    scorer = LinearScorer(levels, n_labels, search, width, 1.0)
    scores = Combination((scorer,)).bind(Batch(X, CPU))
    return X, levels, scores


def check_labels(labels, n_labels):
    assert labels.min() >= 0
    assert labels.max() < n_labels
    assert all(len(set(row)) == len(row) for row in labels.tolist())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(problems(), st.booleans())
def test_codes_without_a_label_take_no_place(problem, multilabel):
    sizes, n_labels, width, k, _ = problem
    search = FlatSearch(multilabel, n_labels, sizes[-1])
    X, levels, scores = make_problem(problem, search)
    found = [beam_by_hand(levels, x, n_labels, width) for x in X]
    expected = np.full((N, n_labels), FLOOR)
    for row, paths in zip(expected, found, strict=True):
        for label, path in paths.items():
            row[label] = max(path, FLOOR)
    assert_allclose(scores.labels(), expected, atol=1e-4)
    labels, log_p = search.topk(scores, k)
    check_labels(labels, n_labels)
    best = -np.sort(-expected, axis=1)[:, :k]
    wanted = torch.tensor(best)
    wanted = (
        torch.nn.functional.logsigmoid(wanted)
        if multilabel
        else wanted - torch.tensor(expected).logsumexp(1, keepdim=True)
    )
    assert_allclose(log_p, wanted, atol=1e-4)
    own = np.take_along_axis(expected, labels.numpy(), axis=1)
    assert_allclose(own, best, atol=1e-4)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(problems(), st.booleans())
def test_a_narrow_beam_finds_k_labels(problem, multilabel):
    sizes, n_labels, width, k, _ = problem
    search = TreeSearch(multilabel, n_labels, sizes, width)
    _, _, scores = make_problem(problem, search)
    labels, log_p = search.topk(scores, k)
    check_labels(labels, n_labels)
    assert torch.isfinite(log_p).all()
    every = search.log_prob(scores)
    assert_allclose(log_p, every.gather(1, labels), atol=1e-4)
    best, _ = search.topk(scores, k, exact=True)
    assert_allclose(every.gather(1, best), every.topk(k, dim=1).values, atol=1e-4)
