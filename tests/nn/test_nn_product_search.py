"""The exact search among independent heads against all codes."""

import math

import numpy as np
import pytest
import torch
from head_oracles import codes_of, digits_of
from hypothesis import given, settings
from hypothesis import strategies as st

from skmhe.nn.heads.product import ProductSearch, product_topk


def last_label_prefixes(n_labels, head_sizes):
    return ProductSearch(n_labels, tuple(head_sizes), rank=1).last_prefixes


def best_of_all(log_probs, n_labels, k):
    """Return the k best (score, label) of one row by listing every label."""
    sizes = [len(head) for head in log_probs]
    scored = [
        (math.fsum(head[d] for head, d in zip(log_probs, code, strict=True)), label)
        for label, code in enumerate(codes_of(sizes)[:n_labels])
    ]
    return sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:k]


def check(log_probs, head_sizes, n_labels, k):
    tensors = [torch.tensor(head, dtype=torch.float64) for head in log_probs]
    prefixes = last_label_prefixes(n_labels, head_sizes)
    labels, scores = product_topk(tensors, prefixes, k)
    assert labels.shape == scores.shape == (len(tensors[0]), k)
    assert labels.dtype == torch.int64
    for row in range(len(labels)):
        heads = [head[row] for head in log_probs]
        expected = best_of_all(heads, n_labels, k)
        found = labels[row].tolist()
        np.testing.assert_allclose(scores[row], [score for score, _ in expected])
        # Equal scores may come in any order: compare what the labels are worth.
        worth = {label: s for s, label in best_of_all(heads, n_labels, n_labels)}
        assert len(set(found)) == k
        np.testing.assert_allclose([worth[label] for label in found], scores[row])


@st.composite
def problems(draw):
    head_sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    n_labels = draw(st.integers(1, math.prod(head_sizes)))
    k = draw(st.integers(1, n_labels))
    # Few distinct values: many ties, where an off-by-one in the boundary shows.
    values = draw(
        st.sampled_from(
            [st.integers(-3, 0), st.floats(-20, 0, allow_subnormal=False, width=32)]
        )
    )
    n = draw(st.integers(1, 3))
    log_probs = [
        draw(
            st.lists(
                st.lists(values, min_size=size, max_size=size), min_size=n, max_size=n
            )
        )
        for size in head_sizes
    ]
    return log_probs, head_sizes, n_labels, k


@given(problems())
@settings(max_examples=300)
def test_equals_brute_force(problem):
    check(*problem)


@pytest.mark.parametrize("head_sizes", [(11,), (3, 4), (4, 3), (2, 3, 2), (2, 2, 2, 2)])
@pytest.mark.parametrize("n_labels", [1, 2, 5, 7, 11])
def test_every_k(head_sizes, n_labels):
    rng = np.random.default_rng(0)
    log_probs = [rng.standard_normal((20, size)).tolist() for size in head_sizes]
    for k in range(1, n_labels + 1):
        check(log_probs, head_sizes, n_labels, k)


def test_last_labels_prefix_survives_next_to_the_best():
    # The last label, 6 = (1, 1, 0), is second although its first digits are the
    # worst but one and although the codes next to it name no label.
    log_probs = [[[0.0, -5.0]], [[-9.0, 0.0]], [[0.0, -9.0]]]
    check(log_probs, (2, 2, 2), 7, 2)
    labels, _ = product_topk(
        [torch.tensor(head) for head in log_probs], last_label_prefixes(7, (2, 2, 2)), 2
    )
    assert labels.tolist() == [[2, 6]]


def test_unused_codes_are_not_returned_however_good_they_are():
    heads = [torch.tensor([[-9.0, -9.0, 0.0]]), torch.tensor([[-9.0, -9.0, 0.0]])]
    labels, scores = product_topk(heads, last_label_prefixes(7, (3, 3)), 7)
    assert sorted(labels[0].tolist()) == list(range(7))
    assert torch.isfinite(scores).all()


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.data())
def test_last_label_prefixes_are_its_digits(head_sizes, data):
    n_labels = data.draw(st.integers(1, math.prod(head_sizes)))
    prefixes = last_label_prefixes(n_labels, head_sizes)
    digits = digits_of(n_labels - 1, head_sizes)
    expected = [
        sum(
            digit * math.prod(head_sizes[g + 1 : h + 1])
            for g, digit in enumerate(digits[: h + 1])
        )
        for h in range(len(head_sizes))
    ]
    assert prefixes == expected


def test_gradient_reaches_the_heads():
    heads = [torch.zeros(1, 2, requires_grad=True), torch.zeros(1, 3)]
    _, scores = product_topk(heads, last_label_prefixes(5, (2, 3)), 5)
    scores.sum().backward()
    # Labels 0 to 4: three have the first digit 0, two the first digit 1.
    assert heads[0].grad.tolist() == [[3.0, 2.0]]


def test_brute_force_lists_labels_in_order():
    # The oracle itself: the code of a label is its digits.
    codes = [list(code) for code in codes_of((2, 3, 2))]
    assert codes == [digits_of(label, (2, 3, 2)) for label in range(12)]
