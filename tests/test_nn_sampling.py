"""Sampled groups: the full loss if all are drawn, and on average."""

import itertools
import math

import pytest
import torch
from _oracles import gradients, loss, make_features, make_targets, randomise
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from skmhe.nn import FullHead, SamplingHead

# 11 labels in 4 groups, of which the last has 2 labels.
N_LABELS, GROUP_SIZE, N_GROUPS = 11, 3, 4

both_tasks = pytest.mark.parametrize(
    "multilabel", [False, True], ids=["single-label", "multi-label"]
)


def make_heads(n_sampled_groups, multilabel, group_size=GROUP_SIZE, **options):
    """Return a full and a sampling head with the same tables."""
    full = FullHead(3, N_LABELS, multilabel)
    sampling = SamplingHead(
        3, N_LABELS, group_size, n_sampled_groups, multilabel, **options
    )
    return randomise(full), randomise(sampling)


def draw(monkeypatch, groups):
    """Make the next steps draw these groups."""
    rest = [group for group in range(N_GROUPS) if group not in groups]
    order = torch.tensor([*groups, *rest])
    monkeypatch.setattr(torch, "randperm", lambda *args, **kwargs: order)


@both_tasks
@pytest.mark.parametrize("group_size", [1, 3, 4, 11])
@pytest.mark.parametrize("sparse_grad", [False, True])
@pytest.mark.parametrize("label_weight", [None, torch.arange(1.0, 12).double()])
def test_all_groups_are_the_full_loss(
    multilabel, group_size, sparse_grad, label_weight
):
    # More groups than there are: capped.
    full, sampling = make_heads(99, multilabel, group_size, sparse_grad=sparse_grad)
    assert sampling.n_sampled_groups == sampling.n_groups == -(-11 // group_size)
    results = []
    for head in (full, sampling):
        features = make_features(8, 3).requires_grad_()
        targets = make_targets(head, 8)
        value = head.loss(features, targets, label_weight=label_weight)
        results.append((value.detach(), gradients(head, value), features.grad))
    assert_close(results[1], results[0])


@both_tasks
@pytest.mark.parametrize("n_drawn", [1, 2, 3])
def test_loss_of_every_draw_is_the_written_out_one(multilabel, n_drawn, monkeypatch):
    _, head = make_heads(n_drawn, multilabel)
    features, targets = make_features(8, 3), make_targets(head, 8)
    for groups in itertools.combinations(range(N_GROUPS), n_drawn):
        draw(monkeypatch, groups)
        expected = loss(head, features, targets, drawn=set(groups))
        assert head.loss(features, targets).item() == pytest.approx(expected)


@pytest.mark.parametrize("n_drawn", [1, 2, 3])
def test_multi_label_loss_and_gradient_are_the_full_ones_on_average(
    n_drawn, monkeypatch
):
    full, sampling = make_heads(n_drawn, multilabel=True)
    features, targets = make_features(8, 3), make_targets(full, 8)
    losses, grads = [], []
    for groups in itertools.combinations(range(N_GROUPS), n_drawn):
        draw(monkeypatch, groups)
        value = sampling.loss(features, targets)
        losses.append(value.detach())
        grads.append(gradients(sampling, value))
    expected = full.loss(features, targets)
    assert torch.stack(losses).std() > 0.01
    assert_close(torch.stack(losses).mean(), expected.detach())
    for parts, whole in zip(
        zip(*grads, strict=True), gradients(full, expected), strict=True
    ):
        assert_close(torch.stack(parts).mean(0), whole)


@pytest.mark.parametrize("n_drawn", [1, 2, 3])
def test_softmax_normaliser_is_the_full_one_on_average(n_drawn, monkeypatch):
    # Of one sample: exp(loss) is the normaliser over the true label's exp(score).
    full, sampling = make_heads(n_drawn, multilabel=False)
    for label in range(N_LABELS):
        features, targets = make_features(1, 3, seed=label), torch.tensor([label])
        ratios = []
        for groups in itertools.combinations(range(N_GROUPS), n_drawn):
            draw(monkeypatch, groups)
            ratios.append(sampling.loss(features, targets).exp())
        expected = full.loss(features, targets).exp()
        assert_close(torch.stack(ratios).mean(), expected)


def test_a_true_group_counts_once_whether_it_is_drawn_or_not(monkeypatch):
    _, head = make_heads(1, multilabel=False)
    features, targets = make_features(1, 3), torch.tensor([4])
    draw(monkeypatch, [1])
    scores = (features @ head.weights[0].T + head.biases[0])[0, 3:6]
    expected = scores.logsumexp(0) - scores[1]
    assert_close(head.loss(features, targets), expected)


@both_tasks
def test_draws_follow_torchs_generator(multilabel):
    _, head = make_heads(2, multilabel)
    features, targets = make_features(8, 3), make_targets(head, 8)

    def losses(seed):
        torch.manual_seed(seed)
        return [head.loss(features, targets).item() for _ in range(10)]

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)
    assert len(set(losses(0))) > 3


@both_tasks
def test_sparse_gradient_holds_the_scored_groups_only(multilabel, monkeypatch):
    _, head = make_heads(1, multilabel, sparse_grad=True)
    if multilabel:
        targets = torch.zeros(2, N_LABELS)
        targets[0, 9] = 1
    else:
        targets = torch.tensor([9, 10])
    draw(monkeypatch, [1])
    head.loss(make_features(2, 3), targets).backward()
    grad = head.weights[0].grad
    assert grad.is_sparse
    assert grad._indices()[0].tolist() == [3, 4, 5, 9, 10]


@both_tasks
def test_predictions_are_the_full_heads(multilabel):
    full, sampling = make_heads(2, multilabel)
    features = make_features(8, 3)
    assert_close(sampling.log_prob(features), full.log_prob(features))
    assert_close(sampling.topk(features, 4), full.topk(features, 4))
    assert_close(sampling.above(features, -2.0), full.above(features, -2.0))


def test_a_step_multiplies_the_true_and_the_drawn_groups_only(monkeypatch):
    # Groups of equal lengths, and no sample's own group is drawn.
    head = randomise(SamplingHead(5, 12, 3, n_sampled_groups=2))
    draw(monkeypatch, [1, 2])
    with FlopCounterMode(display=False) as counter:
        head.loss(make_features(7, 5), torch.tensor([0, 1, 2, 9, 10, 11, 0]))
    assert counter.get_total_flops() == 2 * 7 * (1 + 2) * 3 * 5


def test_a_single_group_has_nothing_to_draw():
    head = randomise(SamplingHead(3, 4, group_size=4))
    assert (head.n_groups, head.n_sampled_groups) == (1, 1)
    value = head.loss(make_features(2, 3), torch.tensor([0, 3]))
    value.backward()
    assert math.isfinite(value.item())
    assert torch.isfinite(head.weights[0].grad).all()


@pytest.mark.parametrize("group_size", [0, -1, 12])
def test_group_size_out_of_range(group_size):
    with pytest.raises(ValueError) as error:
        SamplingHead(3, 11, group_size)
    assert str(error.value) == (
        f"group_size must be in 1..11 (n_labels), got {group_size}."
    )


@pytest.mark.parametrize("n_sampled_groups", [0, -3])
def test_number_of_sampled_groups_must_be_positive(n_sampled_groups):
    with pytest.raises(ValueError) as error:
        SamplingHead(3, 11, 3, n_sampled_groups)
    assert str(error.value) == (
        f"n_sampled_groups must be at least 1, got {n_sampled_groups}."
    )


def test_repr_names_the_sizes():
    text = repr(SamplingHead(3, 11, 3, 2))
    assert "multilabel=False, group_size=3, n_sampled_groups=2" in text
