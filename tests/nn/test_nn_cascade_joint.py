"""The cascade with one softmax over all labels."""

import math

import torch
from cascade_heads import cascades, make_cascade
from head_cases import make_features, make_targets
from head_oracles import (
    linear,
    log_prob,
    log_softmax,
    loss,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from skmhe.nn import CascadeHead


def joint(head_sizes, n_labels=None, **options):
    return make_cascade(head_sizes, n_labels, hard_negatives=True, **options)


def joint_beam(head, row, k):
    """Return the k best (share, label) of the labels that a beam finds."""
    width = max(head.beam_width, math.ceil(k / head.head_sizes[-1]) + 1)
    nodes = range(head.search.n_nodes[0])
    for level in range(1, len(head.head_sizes)):
        scores = linear(head, level - 1, row)
        best = sorted(nodes, key=lambda node: -scores[node])[:width]
        size, n_nodes = head.head_sizes[level], head.search.n_nodes[level]
        children = [p * size + digit for p in best for digit in range(size)]
        nodes = [node for node in children if node < n_nodes]
    scores = linear(head, -1, row)
    shares = log_softmax([scores[label] for label in nodes])
    return sorted(zip(shares, nodes, strict=True), reverse=True)[:k]


@given(cascades(hard_negatives=st.just(True), beam_width=st.sampled_from([1, 2, 64])))
@settings(max_examples=80)
def test_joint_probabilities_are_one_softmax_of_the_last_head(head):
    features = make_features(3, 3)
    expected = log_prob(head, features)
    assert_close(head.log_prob(features), expected)
    assert_close(expected.exp().sum(1), torch.ones(3, dtype=torch.float64))
    for k in {1, head.n_labels}:
        labels, scores = head.topk(features, k, exact=True)
        assert_close(scores, expected.sort(dim=1, descending=True).values[:, :k])
        assert_close(expected.gather(1, labels), scores)
    pairs = torch.stack(head.above(features, -1.5), dim=1)
    assert pairs.tolist() == (expected > -1.5).nonzero().tolist()


@given(cascades(hard_negatives=st.just(True), beam_width=st.integers(1, 3)))
@settings(max_examples=80)
def test_joint_topk_is_a_beam_search(head):
    features = make_features(3, 3)
    for k in {1, min(3, head.n_labels), head.n_labels}:
        labels, scores = head.topk(features, k)
        for i, row in enumerate(features.tolist()):
            expected = joint_beam(head, row, k)
            assert len(expected) == k
            assert_close(scores[i].tolist(), [score for score, _ in expected])
            assert len(set(labels[i].tolist())) == k


@given(cascades(hard_negatives=st.just(True), beam_width=st.sampled_from([1, 2, 64])))
@settings(max_examples=60)
def test_joint_loss_is_of_the_children_of_the_true_and_the_best_prefixes(head):
    features, targets = make_features(5, 3), make_targets(head, 5)
    assert_close(head.loss(features, targets).item(), loss(head, features, targets))


def test_a_wide_beams_joint_loss_of_labels_is_the_full_one():
    head = joint((4, 3), 11, beam_width=9)
    features, targets = make_features(6, 3), make_targets(head, 6)
    nodes = linear_scores(head, 0, features).log_softmax(1)
    upper = -nodes[torch.arange(6), targets // 3].mean()
    full = -head.log_prob(features)[torch.arange(6), targets].mean()
    assert_close(head.loss(features, targets), upper + full)


def linear_scores(head, level, features):
    return features @ head.weights[level].T + head.biases[level]


def test_joint_gradients_are_numerical_ones_and_sparse_ones():
    head = joint((3, 2, 2), 11, beam_width=1)
    features = make_features(4, 3).requires_grad_()
    targets = make_targets(head, 4)
    torch.autograd.gradcheck(lambda f: head.loss(f, targets), features)
    sparse = joint((3, 2, 2), 11, beam_width=1, sparse_grad=True)
    for one in (head, sparse):
        one.zero_grad()
        one.loss(features.detach(), targets).backward()
    assert sparse.weights[-1].grad.is_sparse
    for dense, rows in zip(head.weights, sparse.weights, strict=True):
        grad = rows.grad.to_dense() if rows.grad.is_sparse else rows.grad
        assert_close(grad, dense.grad)


def test_cascades_with_hard_negatives_are_joint():
    assert not CascadeHead(3, (2, 3)).is_joint
    assert CascadeHead(3, (2, 3), multilabel=True).is_joint
    for multilabel in (False, True):
        for hard in (False, True):
            head = CascadeHead(3, (2, 3), None, multilabel, hard_negatives=hard)
            assert head.is_joint == hard
            assert head.search.one_softmax == (hard and not multilabel)
