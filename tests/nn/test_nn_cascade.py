"""The cascade: chain rule, beams, and what each step scores."""

import math

import pytest
import torch
from cascade_heads import cascades, make_cascade, targets_of
from head_cases import make_features, make_targets
from head_oracles import (
    cross_entropy,
    log_prob,
    log_softmax,
    loss,
    node_probabilities,
    nodes_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from skmhe.nn import CascadeHead, products

both_tasks = pytest.mark.parametrize(
    "multilabel", [False, True], ids=["single-label", "multi-label"]
)


def beam_search(head, row, k):
    """Return the k best (score, label) that a beam finds, best first."""
    absolute, _ = node_probabilities(head, row)
    # Wide enough for k labels, even if the last prefix has but one.
    width = max(head.beam_width, math.ceil(k / head.head_sizes[-1]) + 1)
    prefixes = range(len(absolute[0]))
    for level in range(1, len(head.head_sizes)):
        size = head.head_sizes[level]
        best = sorted(prefixes, key=lambda node: -absolute[level - 1][node])[:width]
        n_nodes = len(absolute[level])
        children = [p * size + digit for p in best for digit in range(size)]
        prefixes = [node for node in children if node < n_nodes]
    found = sorted(((absolute[-1][label], label) for label in prefixes), reverse=True)
    return found[:k]


# ------------------------------------------------------------ predictions


@given(cascades(multilabel=st.booleans(), beam_width=st.sampled_from([1, 2, 64])))
@settings(max_examples=80)
def test_everything_equals_listing_all_labels(head):
    features = make_features(3, 3)
    expected = log_prob(head, features)
    assert_close(head.log_prob(features), expected)
    if not head.multilabel:
        total = head.log_prob(features).exp().sum(1)
        assert_close(total, torch.ones(3, dtype=torch.float64))
    best, order = expected.sort(dim=1, descending=True)
    for k in {1, 2, head.n_labels // 2, head.n_labels}:
        if 1 <= k <= head.n_labels:
            # A wide beam is exact by itself; a narrow one is widened.
            labels, scores = head.topk(features, k, exact=head.beam_width < 64)
            assert_close(scores, best[:, :k])
            # A sigmoid's or an only child's score may tie with another's.
            assert_close(expected.gather(1, labels), best[:, :k])
            if (best.diff(dim=1) < -1e-9).all():
                assert_close(labels, order[:, :k])
    for threshold in (-4.0, -1.0):
        pairs = torch.stack(head.above(features, threshold), dim=1)
        assert pairs.tolist() == (expected > threshold).nonzero().tolist()


@given(cascades(multilabel=st.booleans(), beam_width=st.integers(1, 3)))
@settings(max_examples=80)
def test_topk_is_a_beam_search(head):
    features = make_features(3, 3)
    for k in {1, min(3, head.n_labels), head.n_labels}:
        labels, scores = head.topk(features, k)
        for i, row in enumerate(features.tolist()):
            expected = beam_search(head, row, k)
            # Never too few labels, hence never -inf or a code without label.
            assert len(expected) == k
            assert_close(scores[i].tolist(), [score for score, _ in expected])
            assert len(set(labels[i].tolist())) == k
            assert_close(head.log_prob(features)[i, labels[i]], scores[i])


def test_a_narrow_beam_may_miss_the_best_label_and_exact_finds_it():
    head = make_cascade((2, 3), beam_width=1)
    with torch.no_grad():
        for weight in head.weights:
            weight.zero_()
        # The first prefix is the likelier one, its labels share its probability.
        head.biases[0].copy_(torch.tensor([0.3, 0.0]))
        head.biases[1].copy_(torch.tensor([0.0, 0, 0, 9, 0, 0]))
    # For k = 1 the beam has 2 prefixes; of three levels, or 3 prefixes, it misses.
    wide = make_cascade((3, 3), beam_width=1)
    with torch.no_grad():
        for weight in wide.weights:
            weight.zero_()
        wide.biases[0].copy_(torch.tensor([0.3, 0.2, 0.0]))
        wide.biases[1].copy_(torch.tensor([0.0, 0, 0, 0, 0, 0, 9, 0, 0]))
    features = make_features(2, 3)
    assert (head.topk(features, 1)[0] == 3).all()
    assert (wide.topk(features, 1)[0] != 6).all()
    assert (wide.topk(features, 1, exact=True)[0] == 6).all()


@given(cascades(multilabel=st.just(False)))
@settings(max_examples=30)
def test_probability_of_a_prefix_is_the_sum_of_its_labels(head):
    features = make_features(2, 3)
    found = head.log_prob(features).exp()
    for row, probabilities in zip(features.tolist(), found.tolist(), strict=True):
        absolute, _ = node_probabilities(head, row)
        for level, nodes in enumerate(absolute):
            for node, log_p in enumerate(nodes):
                below = [
                    p
                    for label, p in enumerate(probabilities)
                    if nodes_of(label, head.head_sizes)[level] == node
                ]
                assert math.fsum(below) == pytest.approx(math.exp(log_p))


# With 9 labels in 2 * 2 * 4 codes, the fourth prefix of two digits names no label,
# but a beam of all four asks for its children.
@both_tasks
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(math.inf, id="gather"),
        pytest.param(
            0,
            id="blocks",
        ),
    ],
)
def test_prefixes_that_name_no_label_are_harmless(multilabel, path, monkeypatch):
    monkeypatch.setattr(products, "MIN_WORK_PER_GROUP", path)
    head = make_cascade((2, 2, 4), 9, multilabel=multilabel)
    features = make_features(3, 3)
    expected = log_prob(head, features).sort(dim=1, descending=True)
    labels, scores = head.topk(features, 9)
    assert_close(scores, expected.values)
    assert_close(labels, expected.indices)


# ------------------------------------------------------------ losses


@given(cascades(multilabel=st.booleans(), hard_negatives=st.just(False)))
@settings(max_examples=40)
def test_chain_rule_and_conditional_losses(head):
    features = make_features(6, 3)
    targets = targets_of(head, 6)
    label_weight = torch.linspace(0.5, 2, head.n_labels).double()
    expected = loss(head, features, targets, label_weight=label_weight)
    actual = head.loss(features, targets, label_weight=label_weight)
    assert actual.item() == pytest.approx(expected)


@given(cascades(multilabel=st.just(True), beam_width=st.just(64)))
@settings(max_examples=40)
def test_a_wide_beams_loss_is_the_cross_entropy_of_every_node(head):
    features, targets = make_features(4, 3), targets_of(head, 4)
    total = 0.0
    for row, target in zip(features.tolist(), targets, strict=True):
        _, own = node_probabilities(head, row)
        labels = target.nonzero().flatten().tolist()
        paths = [nodes_of(label, head.head_sizes) for label in labels]
        for level, nodes in enumerate(own):
            true = {path[level] for path in paths}
            for node, log_p in enumerate(nodes):
                total += cross_entropy(math.exp(log_p), node in true)
    assert head.loss(features, targets).item() == pytest.approx(total / 4)


# Lengths for which the numbers of prefixes of two levels never coincide.
@pytest.mark.parametrize("head_sizes", [(4, 3), (2, 3, 2), (3, 4, 5), (2, 3, 3, 3)])
@pytest.mark.parametrize("beam_width", [1, 2, 3, 5])
@pytest.mark.parametrize("n_missing", [0, 1, 3])
def test_a_narrow_beams_loss_adds_its_hard_negatives(head_sizes, beam_width, n_missing):
    n_labels = math.prod(head_sizes) - n_missing
    for seed in range(3):
        head = make_cascade(
            head_sizes, n_labels, seed, multilabel=True, beam_width=beam_width
        )
        features, targets = make_features(8, 3), make_targets(head, 8)
        label_weight = torch.linspace(0.5, 2, n_labels).double()
        expected = loss(head, features, targets, label_weight=label_weight)
        actual = head.loss(features, targets, label_weight=label_weight)
        assert actual.item() == pytest.approx(expected)


def test_hard_negatives_of_samples_with_unequal_numbers_of_prefixes():
    # The first sample expands 3 prefixes, the second one: 4 of two children each,
    # as many nodes as 2 samples have on the first level.
    head = make_cascade((4, 2, 2), multilabel=True, beam_width=1)
    features = make_features(2, 3)
    targets = torch.zeros(2, 16)
    first = int((features @ head.weights[0].T + head.biases[0])[0].argmax())
    others = [node for node in range(4) if node != first]
    targets[0, [4 * first, 4 * others[0], 4 * others[1]]] = 1
    expected = loss(head, features, targets)
    assert head.loss(features, targets).item() == pytest.approx(expected)


def test_a_wider_beam_has_a_larger_loss_and_the_widest_all_nodes():
    losses = []
    for beam_width in (1, 2, 4, 8, 20):
        head = make_cascade((5, 4), multilabel=True, beam_width=beam_width)
        losses.append(head.loss(make_features(8, 3), make_targets(head, 8)).item())
    # Each prefix that is added brings the cross-entropies of its children.
    assert losses[0] < losses[1] < losses[2] < losses[3]
    assert losses[3] == losses[4]


def test_weight_of_a_node_is_the_largest_of_its_true_labels():
    head = make_cascade((2, 3), multilabel=True, hard_negatives=False)
    features = make_features(1, 3)
    targets = torch.zeros(1, 6)
    targets[0, [0, 2]] = 1
    weight = torch.tensor([5.0, 9, 2, 9, 9, 9]).double()
    _, local = node_probabilities(head, features[0].tolist())
    expected = -(
        5 * local[0][0]  # not 5 + 2, nor 9, which no true label has
        + 5 * local[1][0]
        + 2 * local[1][2]
        + math.log(1 - math.exp(local[0][1]))
        + math.log(1 - math.exp(local[1][1]))
    )
    actual = head.loss(features, targets, label_weight=weight)
    assert actual.item() == pytest.approx(expected)


# ------------------------------------------------------------ what a step scores


def scored_rows(head, features, targets):
    """Return the rows of each table behind the first that have a gradient."""
    head.loss(features, targets).backward()
    assert not head.weights[0].grad.is_sparse
    return [weight.grad._indices()[0].tolist() for weight in head.weights[1:]]


def test_single_labels_score_the_children_of_the_true_prefixes_only():
    head = make_cascade((2, 3, 2), 11, sparse_grad=True)
    rows = scored_rows(head, make_features(2, 3), torch.tensor([7, 10]))
    # 7 = (1, 0, 1) and 10 = (1, 2, 0), whose sibling 11 names no label.
    assert rows == [[3, 4, 5], [6, 7, 10]]


def test_conditional_losses_score_the_children_of_true_nodes_only():
    head = make_cascade(
        (2, 3, 2), multilabel=True, hard_negatives=False, sparse_grad=True
    )
    targets = torch.zeros(2, 12)
    targets[0, [0, 3]] = 1
    assert scored_rows(head, make_features(2, 3), targets) == [[0, 1, 2], [0, 1, 2, 3]]


def test_hard_negatives_score_the_children_of_the_beam_and_the_true_ones():
    head = make_cascade((4, 3), multilabel=True, beam_width=1, sparse_grad=True)
    features = make_features(1, 3)
    first = (features @ head.weights[0].T + head.biases[0])[0]
    best, worst = int(first.argmax()), int(first.argmin())
    targets = torch.zeros(1, 12)
    targets[0, 3 * worst] = 1
    (rows,) = scored_rows(head, features, targets)
    assert rows == sorted(3 * node + j for node in (best, worst) for j in range(3))


# ------------------------------------------------------------ costs


# The last group of every level is full: a missing child is computed like any other.
# Blocks of one pair are not padded.
@both_tasks
@pytest.mark.parametrize("path", [0, math.inf], ids=["blocks", "gather"])
@pytest.mark.parametrize(
    ("head_sizes", "beam_width", "k", "expected"),
    [
        ((5, 4), 2, 1, 5 + 2 * 4),
        ((5, 4), 9, 1, 5 + 5 * 4),
        ((5, 4), 2, 15, 5 + 5 * 4),
        ((5, 4, 3), 2, 1, 5 + 2 * 4 + 2 * 3),
        ((2, 4, 3), 7, 1, 2 + 2 * 4 + 7 * 3),
        ((2, 4, 3), 2, 9, 2 + 2 * 4 + 4 * 3),
    ],
)
def test_multiply_adds_are_those_of_topk(
    multilabel, path, head_sizes, beam_width, k, expected, monkeypatch
):
    monkeypatch.setattr(products, "MIN_WORK_PER_GROUP", path)
    monkeypatch.setattr(products, "MIN_BLOCK", 1)
    monkeypatch.setattr(products, "MAX_BLOCK", 1)
    head = make_cascade(head_sizes, multilabel=multilabel, beam_width=beam_width)
    with FlopCounterMode(display=False) as counter:
        head.topk(make_features(6, 3), k)
    assert head.multiply_adds(k) == 3 * expected
    assert counter.get_total_flops() == 2 * 6 * head.multiply_adds(k)


def test_n_scores_counts_the_gathered_rows(monkeypatch):
    head = CascadeHead(100, (50, 20), beam_width=10)
    gathered = []
    gather = products._gathered_linear

    def spy(features, weight, bias, groups, size):
        gathered.append(len(groups) * size * weight.shape[1])
        return gather(features, weight, bias, groups, size)

    monkeypatch.setattr(products, "_gathered_linear", spy)
    head.topk(torch.ones(4, 100), 1)
    assert gathered[0] <= 4 * head.n_scores(1)


def test_tables_have_a_row_for_each_node():
    head = CascadeHead(4, (3, 5, 2), 23)
    assert head.search.n_nodes == [3, 12, 23]
    assert [tuple(weight.shape) for weight in head.weights] == [
        (3, 4),
        (12, 4),
        (23, 4),
    ]
    assert [tuple(bias.shape) for bias in head.biases] == [(3,), (12,), (23,)]
    # A first digit that no label has gets no row.
    assert CascadeHead(4, (9, 5), 12).search.n_nodes == [3, 12]


# ------------------------------------------------------------ priors


def test_single_label_prior_is_the_smoothed_frequency_among_siblings():
    sizes, counts = (2, 3, 2), [30, 5, 1, 8, 0, 40, 3, 3, 12, 6, 9]
    head = CascadeHead(3, sizes, 11).double()
    head.set_prior(torch.tensor(counts), n_samples=sum(counts))
    actual = head.log_prob(torch.zeros(1, 3, dtype=torch.float64))[0]
    paths = [nodes_of(label, sizes) for label in range(11)]
    for label, path in enumerate(paths):
        expected = 0.0
        for level, node in enumerate(path):
            siblings = {
                other[level]
                for other in paths
                if level == 0 or other[level - 1] == path[level - 1]
            }
            smoothed = {
                sibling: 0.5
                + sum(
                    count
                    for count, other in zip(counts, paths, strict=True)
                    if other[level] == sibling
                )
                for sibling in siblings
            }
            expected += math.log(smoothed[node] / sum(smoothed.values()))
        assert actual[label].item() == pytest.approx(expected)


def test_multi_label_prior_of_a_prefix_is_that_of_any_of_its_labels():
    # Independent labels: none of them with probability prod(1 - frequency).
    counts = torch.tensor([30.0, 5, 10, 8, 20, 40])
    none = (1 - counts / 100).double().view(2, 3).prod(1)
    for hard_negatives in (False, True):
        head = CascadeHead(
            3, (2, 3), multilabel=True, hard_negatives=hard_negatives
        ).double()
        head.set_prior(counts, n_samples=100)
        assert_close(head.biases[0].detach().sigmoid(), 1 - none)
        # Of a label: given its prefix, or whatever its prefix is.
        own = head.biases[1].detach().sigmoid()
        own = own if hard_negatives else own * (1 - none).repeat_interleave(3)
        assert_close(own, counts.double() / 100)


# ------------------------------------------------------------ errors


def test_one_head_is_no_cascade():
    with pytest.raises(ValueError) as error:
        CascadeHead(3, (7,))
    assert str(error.value) == (
        "head_sizes=(7,) has one head, but a cascade needs at least 2: the first "
        "chooses what the next ones score. For one head use FullHead "
        "(strategy='full')."
    )


@pytest.mark.parametrize("beam_width", [0, -1])
def test_beam_width_must_be_positive(beam_width):
    with pytest.raises(ValueError) as error:
        CascadeHead(3, (2, 2), beam_width=beam_width)
    assert str(error.value) == f"beam_width must be at least 1, got {beam_width}."


def test_repr_names_the_sizes():
    text = repr(CascadeHead(3, (2, 3), 5, beam_width=4, hard_negatives=False))
    assert "head_sizes=(2, 3), beam_width=4, hard_negatives=False" in text


def test_oracle_of_siblings_sums_to_one():
    assert math.fsum(math.exp(s) for s in log_softmax([0.3, -2.0, 1.1])) == (
        pytest.approx(1)
    )
