"""Independent heads: exact search, mixtures, and unused codes."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from head_cases import make_features, randomize
from head_oracles import codes_of, digits_of, log_prob, loss, product_mixture
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from skmhe.nn import FullHead, ProductHead
from skmhe.nn.heads import product


@st.composite
def heads(draw):
    head_sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    n_labels = draw(st.integers(1, math.prod(head_sizes)))
    head = ProductHead(3, head_sizes, n_labels, rank=draw(st.integers(1, 3)))
    return randomize(head, seed=draw(st.integers(0, 99)), scale=2.0)


@given(heads())
@settings(max_examples=60)
def test_everything_equals_listing_all_codes(head):
    features = make_features(3, 3)
    expected = log_prob(head, features)
    assert_close(head.log_prob(features), expected)
    assert_close(
        head.log_prob(features).exp().sum(1), torch.ones(3, dtype=torch.float64)
    )
    best, order = expected.sort(dim=1, descending=True)
    for k in {1, 2, head.n_labels // 2, head.n_labels}:
        if 1 <= k <= head.n_labels:
            labels, scores = head.topk(features, k)
            assert_close(labels, order[:, :k])
            assert_close(scores, best[:, :k])
    targets = torch.arange(3) % head.n_labels
    assert head.loss(features, targets).item() == pytest.approx(
        loss(head, features, targets)
    )


@pytest.mark.parametrize("n_labels", [1, 7, 13, 16, 23, 24])
@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("head_sizes", [(24,), (6, 4), (2, 3, 4), (3, 2, 2, 2)])
def test_unused_codes_take_no_probability_and_no_rank(head_sizes, n_labels, rank):
    head = randomize(ProductHead(3, head_sizes, n_labels, rank=rank), scale=2.0)
    features = make_features(4, 3)
    labels, scores = head.topk(features, n_labels)
    for row in labels.tolist():
        assert sorted(row) == list(range(n_labels))
    assert torch.isfinite(scores).all()
    assert_close(scores.exp().sum(1), torch.ones(4, dtype=torch.float64))
    # Divided by the probability of the used codes, which was summed digit-wise.
    for row, found in zip(features.tolist(), head.log_prob(features), strict=True):
        mixture = product_mixture(head, row)
        used = math.fsum(mixture[:n_labels])
        assert math.fsum(mixture) == pytest.approx(1)
        expected = [math.log(p / used) for p in mixture[:n_labels]]
        assert_close(found.tolist(), expected)


def test_loss_is_the_sum_of_the_heads_cross_entropies():
    head = randomize(ProductHead(3, (2, 3, 4), 23))
    features, targets = make_features(8, 3), torch.arange(8) * 3
    scores = F.linear(features, head.weights[0], head.biases[0])
    digits = torch.tensor([digits_of(label, (2, 3, 4)) for label in targets.tolist()])
    expected = sum(
        F.cross_entropy(part, digits[:, h])
        for h, part in enumerate(scores.split([2, 3, 4], dim=1))
    )
    assert_close(head.loss(features, targets), expected)


def test_one_head_is_the_full_head():
    head, full = ProductHead(3, (7,)), FullHead(3, 7)
    for module in (head, full):
        randomize(module)
    features, targets = make_features(5, 3), torch.tensor([0, 6, 3, 3, 1])
    assert_close(head.loss(features, targets), full.loss(features, targets))
    assert_close(head.log_prob(features), full.log_prob(features))
    assert_close(head.topk(features, 7), full.topk(features, 7))


def test_best_label_combines_the_best_digits_if_all_codes_are_used():
    head = randomize(ProductHead(3, (3, 4, 2)))
    features = make_features(50, 3)
    scores = F.linear(features, head.weights[0], head.biases[0])
    best = [part.argmax(1).tolist() for part in scores.split([3, 4, 2], dim=1)]
    codes = codes_of((3, 4, 2))
    expected = [codes.index(code) for code in zip(*best, strict=True)]
    assert head.topk(features, 1)[0][:, 0].tolist() == expected
    assert len(set(expected)) > 5


@pytest.mark.parametrize("scan_scores", [1, 20, 50])
@pytest.mark.parametrize("head_sizes", [(11,), (4, 3), (3, 2, 2)])
def test_a_mixture_scans_the_labels_in_blocks(head_sizes, scan_scores, monkeypatch):
    head = randomize(ProductHead(3, head_sizes, 11, rank=2))
    features = make_features(6, 3)
    expected = log_prob(head, features).sort(dim=1, descending=True)
    monkeypatch.setattr(product, "SCAN_SCORES", scan_scores)
    for k in (1, 4, 11):
        labels, scores = head.topk(features, k)
        assert_close(scores, expected.values[:, :k])
        assert_close(labels, expected.indices[:, :k])


def test_a_mixture_of_equal_products_is_the_product():
    single = randomize(ProductHead(3, (3, 4), 11))
    mixture = randomize(ProductHead(3, (3, 4), 11, rank=3), seed=1)
    with torch.no_grad():
        mixture.weights[0].copy_(single.weights[0].repeat(3, 1))
        mixture.biases[0].copy_(single.biases[0].repeat(3))
    features, targets = make_features(5, 3), torch.tensor([0, 10, 3, 3, 1])
    assert_close(mixture.log_prob(features), single.log_prob(features))
    assert_close(mixture.loss(features, targets), single.loss(features, targets))


@pytest.mark.parametrize(
    ("rank", "expected"), [(1, math.log(4)), (2, math.log(2))], ids=["rank-1", "rank-2"]
)
def test_only_a_mixture_can_tell_two_diagonal_labels_from_the_others(rank, expected):
    # Labels (0, 0) and (1, 1), each half of the time: no product has these odds.
    torch.manual_seed(0)
    head = ProductHead(1, (2, 2), rank=rank)
    features, targets = torch.ones(2, 1), torch.tensor([0, 3])
    optimizer = torch.optim.Adam(head.parameters(), lr=0.2)
    for _ in range(150):
        optimizer.zero_grad()
        value = head.loss(features, targets)
        value.backward()
        optimizer.step()
    assert value.item() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("rank", [1, 3])
def test_prior_is_the_product_of_the_digits_smoothed_frequencies(rank):
    sizes, n_labels = (2, 3, 2), 11
    counts = torch.tensor([30, 5, 1, 8, 0, 40, 3, 3, 12, 6, 9])
    head = ProductHead(3, sizes, n_labels, rank=rank).double()
    head.set_prior(counts, n_samples=int(counts.sum()))
    actual = head.log_prob(torch.zeros(1, 3, dtype=torch.float64)).exp()[0]
    codes = codes_of(sizes)[:n_labels]
    totals = [[0.5] * size for size in sizes]
    for code, count in zip(codes, counts.tolist(), strict=True):
        for h, digit in enumerate(code):
            totals[h][digit] += count
    products = [
        math.prod(totals[h][d] / sum(totals[h]) for h, d in enumerate(code))
        for code in codes
    ]
    assert_close(actual.tolist(), [p / sum(products) for p in products])


def test_a_million_labels_are_searched_without_listing_them():
    head = randomize(ProductHead(3, (100, 100, 100), 999_983))
    features = make_features(2, 3)
    scores = F.linear(features, head.weights[0], head.biases[0])
    heads = [part.log_softmax(1) for part in scores.split([100] * 3, dim=1)]
    # The unused codes are the last 17: (99, 99, 83) to (99, 99, 99).
    unused = (heads[0][:, 99] + heads[1][:, 99]).exp() * heads[2][:, 83:].exp().sum(1)
    labels, found = head.topk(features, 5)
    for i, row in enumerate(labels.tolist()):
        for label, score in zip(row, found[i].tolist(), strict=True):
            digits = digits_of(label, head.head_sizes)
            logs = [part[i, d].item() for part, d in zip(heads, digits, strict=True)]
            expected = math.fsum(logs) - math.log1p(-unused[i].item())
            assert score == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rank", [0, -2])
def test_rank_must_be_positive(rank):
    with pytest.raises(ValueError, match=rf"rank must be at least 1, got {rank}\."):
        ProductHead(3, (2, 2), rank=rank)


def test_repr_names_the_sizes():
    text = repr(ProductHead(3, (2, 3), 5, rank=2))
    assert "n_labels=5, multilabel=False, head_sizes=(2, 3), rank=2" in text


def test_oracle_lists_every_code_once():
    assert len(set(codes_of((2, 3)))) == 6
    assert codes_of((2, 3)) == sorted(itertools.product(range(2), range(3)))
