"""A pool of labels: the full loss if all are drawn, corrected if not."""

import itertools
import math

import numpy as np
import pytest
import torch
from head_cases import gradients, make_features, make_targets, randomize
from head_oracles import loss
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from skmhe.nn import FullHead, Margin, SamplingHead

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
    return randomize(full), randomize(sampling)


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


@pytest.mark.parametrize("n_drawn", [1, 3])
@pytest.mark.parametrize(
    "pool_labels", ["batch", "batch_and_own_group", "batch_groups"]
)
def test_correction_is_how_often_a_wrong_label_is_in_the_pool(n_drawn, pool_labels):
    # Batches of 5 from a population, the first of which has label 0 only.
    head = SamplingHead(3, N_LABELS, GROUP_SIZE, n_drawn, pool_labels=pool_labels)
    rng = np.random.RandomState(0)
    counts = np.array([1, 30, 20, 10, 10, 8, 8, 6, 4, 2, 1])
    head.set_prior(torch.from_numpy(counts), counts.sum())
    torch.manual_seed(0)
    n_seen, n_draws = np.zeros(N_LABELS), 4000
    for _ in range(n_draws):
        others = rng.choice(N_LABELS, 4, p=counts / counts.sum())
        pool = head._pool(torch.tensor([0, *others]), head._draw("cpu"))
        n_seen[pool.numpy()] += 1
    expected = head._log_inclusion(torch.arange(N_LABELS), 5).exp()
    wrong = slice(GROUP_SIZE if pool_labels == "batch_groups" else 1, None)
    np.testing.assert_allclose(n_seen[wrong] / n_draws, expected[wrong], atol=0.03)
    assert (n_seen[: wrong.start] == n_draws).all()


def test_own_groups_need_no_correction_for_one_label_a_sample(monkeypatch):
    # The mean gradient over all draws and labels is that of the full loss: 0 where
    # scores are the labels' log-probabilities.
    p = np.random.RandomState(0).dirichlet(np.ones(N_LABELS))
    head = SamplingHead(1, N_LABELS, GROUP_SIZE, 1, pool_labels="own_group").double()
    with torch.no_grad():
        head.weights[0][:, 0] = torch.from_numpy(np.log(p))
    features = torch.ones(1, 1, dtype=torch.float64)
    mean = torch.zeros(N_LABELS, dtype=torch.float64)
    for group in range(N_GROUPS):
        draw(monkeypatch, [group])
        for label, share in enumerate(p):
            head.zero_grad()
            head.loss(features, torch.tensor([label])).backward()
            assert head.biases[0].grad.abs().max() > 0.01
            mean += share * head.biases[0].grad
    assert_close(mean, torch.zeros_like(mean), atol=1e-12, rtol=0)


def test_frequencies_are_the_labels_shares():
    head = SamplingHead(3, N_LABELS, GROUP_SIZE)
    assert_close(head.frequencies, torch.full((N_LABELS,), 1 / N_LABELS))
    head.set_prior(torch.arange(N_LABELS), 20)
    assert_close(head.frequencies, torch.arange(N_LABELS) / 20)
    assert "frequencies" in head.state_dict()


@both_tasks
def test_a_label_that_every_sample_has_is_certain_to_be_in_the_pool(multilabel):
    # Frequencies of 1 and, by weights of the samples, more.
    head = SamplingHead(3, N_LABELS, GROUP_SIZE, 1, multilabel)
    head.set_prior(torch.full((N_LABELS,), 21), 20)
    assert_close(head._log_inclusion(torch.arange(N_LABELS), 5), torch.zeros(N_LABELS))


def test_the_rarest_labels_of_a_single_sample_are_finite():
    head = randomize(SamplingHead(3, N_LABELS, 1, 1))
    head.set_prior(torch.zeros(N_LABELS, dtype=torch.float64), 20)
    head.n_sampled_groups = 0
    value = head.loss(make_features(1, 3), torch.tensor([4]))
    assert math.isfinite(value.item())


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
def test_sparse_gradient_holds_the_pool_only(multilabel, monkeypatch):
    _, head = make_heads(1, multilabel, sparse_grad=True)
    targets = torch.tensor([9, 10])
    if multilabel:
        targets = torch.nn.functional.one_hot(targets, N_LABELS)
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


def test_a_step_multiplies_the_pool_only(monkeypatch):
    head = randomize(SamplingHead(5, 12, 3, n_sampled_groups=2))
    draw(monkeypatch, [1, 2])
    with FlopCounterMode(display=False) as counter:
        head.loss(make_features(7, 5), torch.tensor([0, 1, 2, 9, 9, 4, 0]))
    # The labels 3 to 8 of the groups, and 0, 1, 2 and 9.
    assert counter.get_total_flops() == 2 * 7 * (6 + 4) * 5


def test_a_single_group_has_nothing_to_draw():
    head = randomize(SamplingHead(3, 4, group_size=4))
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
        f"group_size must be from 1 to 11 (n_labels), got {group_size}."
    )


@pytest.mark.parametrize(
    ("n_sampled_groups", "pool_labels", "least"),
    [(-1, "batch", 0), (-3, "batch_groups", 0), (0, "own_group", 1)],
)
def test_number_of_sampled_groups_out_of_range(n_sampled_groups, pool_labels, least):
    with pytest.raises(ValueError) as error:
        SamplingHead(3, 11, 3, n_sampled_groups, pool_labels=pool_labels)
    assert str(error.value) == (
        f"n_sampled_groups must be at least {least} with pool_labels='{pool_labels}', "
        f"got {n_sampled_groups}."
    )


def test_unknown_pool_labels():
    with pytest.raises(ValueError, match=r"pool_labels must be one of 'batch', .* 'x'"):
        SamplingHead(3, 11, 3, pool_labels="x")


@both_tasks
def test_no_drawn_group_leaves_the_batchs_labels(multilabel, monkeypatch):
    _, head = make_heads(0, multilabel, sparse_grad=True)
    targets = torch.tensor([9, 2])
    if multilabel:
        targets = torch.nn.functional.one_hot(targets, N_LABELS)
    head.loss(make_features(2, 3), targets).backward()
    assert head.weights[0].grad._indices()[0].tolist() == [2, 9]


def test_repr_names_the_sizes():
    text = repr(SamplingHead(3, 11, 3, 2))
    assert (
        "multilabel=False, group_size=3, n_sampled_groups=2, pool_labels='batch'"
        in text
    )


@pytest.mark.parametrize("n_drawn", [0, 2])
def test_own_groups_are_scored_in_full_and_others_corrected(n_drawn, monkeypatch):
    head = make_stratified(n_drawn)
    features, targets = make_features(8, 3), make_targets(head, 8)
    for groups in itertools.combinations(range(N_GROUPS), n_drawn):
        draw(monkeypatch, groups)
        expected = loss(head, features, targets, drawn=set(groups))
        assert head.loss(features, targets).item() == pytest.approx(expected)


def make_stratified(n_drawn, **options):
    head = SamplingHead(
        3,
        N_LABELS,
        GROUP_SIZE,
        n_drawn,
        pool_labels="batch_and_own_group",
        **options,
    )
    return randomize(head)


def test_own_groups_with_all_groups_are_the_full_loss():
    head, full = make_stratified(N_GROUPS), FullHead(3, N_LABELS).double()
    full.load_state_dict({k: v for k, v in head.state_dict().items() if "." in k})
    features, targets = make_features(8, 3), make_targets(head, 8)
    assert_close(head.loss(features, targets), full.loss(features, targets))


def test_own_groups_have_sparse_gradients_of_the_same_values(monkeypatch):
    draw(monkeypatch, [1])
    features, targets = make_features(3, 3), torch.tensor([0, 10, 10])
    grads = []
    for sparse in (False, True):
        head = make_stratified(1, sparse_grad=sparse)
        head.loss(features, targets).backward()
        grads.append(head.weights[0].grad)
    assert grads[1].is_sparse
    assert_close(grads[1].to_dense(), grads[0])


@pytest.mark.parametrize(
    "options", [{"multilabel": True}, {"margin": Margin("arcface", 0.3, 8.0)}]
)
def test_own_groups_with_batch_are_for_one_label_and_no_margin(options):
    with pytest.raises(ValueError, match="is for single-label heads without a margin"):
        make_stratified(1, **options)
