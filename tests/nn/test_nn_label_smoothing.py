"""Label smoothing: what it is for several heads, and which heads take it."""

import itertools
import math

import pytest
import torch
from head_cases import (
    every_head,
    make_features,
    make_head,
    make_targets,
    make_weights,
)
from head_oracles import digits_of, linear, log_softmax, nodes_of
from torch.testing import assert_close

from skmhe.nn import CascadeHead, FullHead, ProductHead

SMOOTHED = ["full", "product", "product-3", "cascade", "cascade-3"]


def smoothed(log_p, true, smoothing):
    """Return the cross-entropy of a smoothed target, which it writes out."""
    share = [smoothing / len(log_p)] * len(log_p)
    share[true] += 1 - smoothing
    return -math.fsum(q * p for q, p in zip(share, log_p, strict=True))


def smoothed_product_loss(head, row, target, smoothing):
    """Return the cross-entropy of all codes, of a product of smoothed digits."""
    scores, starts = linear(head, 0, row), [0, *itertools.accumulate(head.head_sizes)]
    heads = [log_softmax(scores[a:b]) for a, b in itertools.pairwise(starts)]
    digits, total = digits_of(target, head.head_sizes), 0.0
    for code in itertools.product(*map(range, head.head_sizes)):
        q = math.prod(
            smoothing / size + (1 - smoothing) * (digit == true)
            for size, digit, true in zip(head.head_sizes, code, digits, strict=True)
        )
        log_p = math.fsum(log[d] for log, d in zip(heads, code, strict=True))
        total -= q * log_p
    return total


def smoothed_cascade_loss(head, row, target, smoothing):
    """Return the sum over the true prefixes of their children's cross-entropies."""
    total, parent = 0.0, 0
    for level, true in enumerate(nodes_of(target, head.head_sizes)):
        size, scores = head.head_sizes[level], linear(head, level, row)
        log_p = log_softmax(scores[parent * size : (parent + 1) * size])
        total += smoothed(log_p, true - parent * size, smoothing)
        parent = true
    return total


def smoothed_full_loss(head, row, target, smoothing):
    return smoothed(log_softmax(linear(head, 0, row)), target, smoothing)


SMOOTHED_LOSSES = {
    FullHead: smoothed_full_loss,
    ProductHead: smoothed_product_loss,
    CascadeHead: smoothed_cascade_loss,
}


@pytest.mark.parametrize("name", SMOOTHED)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7, 1.0])
def test_smoothed_loss_is_the_written_out_one(name, smoothing):
    head, features, targets = make_head(name), make_features(11), torch.arange(11)
    oracle = SMOOTHED_LOSSES[type(head)]
    expected = [
        oracle(head, row, target, smoothing)
        for row, target in zip(features.tolist(), targets.tolist(), strict=True)
    ]
    actual = head.loss(features, targets, reduction="none", label_smoothing=smoothing)
    assert actual.tolist() == pytest.approx(expected, rel=1e-10)
    # A weight is a factor of the whole loss of a sample.
    weight = make_weights(11)
    weighted = head.loss(
        features, targets, label_weight=weight, label_smoothing=smoothing
    )
    assert_close(weighted, (weight * actual).mean())


@pytest.mark.parametrize("name", SMOOTHED)
def test_gradient_of_a_smoothed_loss_is_the_numerical_one(name):
    head, features = make_head(name, n_features=3), make_features(4, 3)
    targets = torch.tensor([10, -100, 0, 7])  # 10 has no siblings in some trees
    assert torch.autograd.gradcheck(
        lambda x, *_: head.loss(x, targets, label_smoothing=0.3),
        (features.requires_grad_(), *head.parameters()),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [("full", 0.7 + 0.3 / 11), ("cascade", (0.7 + 0.3 / 3) * (0.7 + 0.3 / 4))],
)
def test_smoothed_training_ends_at_the_smoothed_target(name, expected):
    # Without features, only the biases matter. Label 4 is (1, 0) of (3, 4) digits.
    head, features = make_head(name, n_features=0), torch.zeros(1, 0).double()
    targets = torch.tensor([4])
    steps = torch.optim.LBFGS(head.parameters(), line_search_fn="strong_wolfe")

    def closure():
        steps.zero_grad()
        loss = head.loss(features, targets, label_smoothing=0.3)
        loss.backward()
        return loss

    for _ in range(5):
        steps.step(closure)
    assert head.log_prob(features)[0, 4].exp().item() == pytest.approx(expected, 1e-3)


@every_head
def test_heads_tell_whether_they_take_label_smoothing(name):
    head, features = make_head(name), make_features(4)
    assert head.takes_label_smoothing == (name in SMOOTHED)
    if not head.takes_label_smoothing:
        with pytest.raises(ValueError) as error:
            head.loss(features, make_targets(head, 4), label_smoothing=0.1)
        assert str(error.value) == (
            f"label_smoothing must be 0 for this {type(head).__name__}, got 0.1. Only "
            "softmax cross-entropies over all alternatives can be smoothed. Use a "
            "single-label FullHead without a margin, ProductHead(rank=1) or "
            "CascadeHead(hard_negatives=False), without extra_scores."
        )


def test_extra_scores_are_not_smoothed():
    head, features = make_head("full"), make_features(4)
    with pytest.raises(ValueError, match=r"FullHead with extra_scores, got 0\.1"):
        head.loss(
            features,
            make_targets(head, 4),
            extra_scores=lambda labels: torch.zeros(4, len(labels)),
            label_smoothing=0.1,
        )
