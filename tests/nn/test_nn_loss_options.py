"""What losses of heads take as torch's losses do, and how this acts on weights."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from head_cases import (
    HEADS,
    MULTI,
    N_LABELS,
    SINGLE,
    every_head,
    gradients,
    heads_without_pool,
    make_features,
    make_head,
    make_targets,
    make_weights,
    seeded_loss,
    select,
    to_sparse_rows,
)
from torch.testing import assert_close

REDUCTIONS = ["none", "mean", "sum"]
single_label = pytest.mark.parametrize("name", SINGLE)
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def with_ignored(targets, places, value=-100):
    targets = targets.clone()
    targets[places] = value
    return targets


def all_gradients(head, features, loss):
    """Return the gradients of the features and of all parameters."""
    features.grad = None
    grads = gradients(head, loss)
    return [features.grad.clone(), *grads]


# Against torch.


@each_reduction
@pytest.mark.parametrize("shape", [(), (12,), (3, 4), (2, 1, 6), (0,), (2, 0)])
@pytest.mark.parametrize("ignored", ["none", "some", "all"])
@pytest.mark.parametrize("ignore_index", [-100, 3, 99])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2, 1.0])
def test_full_head_is_a_linear_layer_and_cross_entropy(
    reduction, shape, ignored, ignore_index, label_smoothing
):
    head, n = make_head("full"), math.prod(shape)
    features = make_features(n).reshape(*shape, 5).requires_grad_()
    flat = make_targets(head, n)
    share = {"none": 0, "some": 3, "all": 1}[ignored]
    targets = with_ignored(flat, slice(0, None, share) if share else [], ignore_index)
    targets = targets.reshape(shape)
    options = {
        "ignore_index": ignore_index,
        "reduction": reduction,
        "label_smoothing": label_smoothing,
    }
    scores = F.linear(features, head.weights[0], head.biases[0])
    # torch wants the classes second.
    moved = scores.movedim(-1, min(1, len(shape)))
    expected = F.cross_entropy(moved, targets, **options)
    actual = head.loss(features, targets, **options)
    assert actual.shape == expected.shape
    assert_close(actual, expected, equal_nan=True)
    assert_close(head(features, targets, **options), actual, equal_nan=True)
    assert_close(
        all_gradients(head, features, actual.sum()),
        all_gradients(head, features, expected.sum()),
        equal_nan=True,
    )


@each_reduction
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(), (12,), (3, 4)])
def test_multi_label_full_head_is_a_linear_layer_and_logistic_losses(
    reduction, weighted, shape
):
    head, n = make_head("full-multilabel"), math.prod(shape)
    features = make_features(n).reshape(*shape, 5)
    targets = make_targets(head, n + 1)[1:].reshape(*shape, N_LABELS)
    label_weight = make_weights(N_LABELS) if weighted else None
    scores = F.linear(features, head.weights[0], head.biases[0])
    by_label = F.binary_cross_entropy_with_logits(
        scores, targets, pos_weight=label_weight, reduction="none"
    )
    # A sample's loss is the sum of its labels' losses.
    by_sample = by_label.sum(-1)
    expected = {"none": by_sample, "mean": by_sample.mean(), "sum": by_sample.sum()}
    actual = head.loss(
        features, targets, label_weight=label_weight, reduction=reduction
    )
    assert actual.shape == expected[reduction].shape
    assert_close(actual, expected[reduction])


@each_reduction
def test_label_weight_is_the_weight_of_cross_entropy_but_for_the_mean(reduction):
    head, features, weight = make_head("full"), make_features(12), make_weights(11)
    targets = with_ignored(make_targets(head, 12), [1, 5])
    scores = F.linear(features, head.weights[0], head.biases[0])
    expected = F.cross_entropy(scores, targets, weight, reduction=reduction)
    actual = head.loss(features, targets, label_weight=weight, reduction=reduction)
    if reduction == "mean":
        # torch divides by the weights of the targets, not by their number.
        kept = targets[targets != -100]
        expected = expected * weight[kept].mean()
    assert_close(actual, expected)


# Reductions, leading dimensions and ignored samples of every head.


@every_head
@pytest.mark.parametrize("weighted", [False, True])
def test_reductions_of_the_same_losses(name, weighted):
    head, features = make_head(name), make_features(8)
    targets, weights = make_targets(head, 8), {}
    if weighted:
        weights = {"sample_weight": make_weights(8), "label_weight": make_weights(11)}

    def loss(**options):
        return seeded_loss(head, features, targets, **weights, **options)

    each = loss(reduction="none")
    assert each.shape == (8,)
    assert each.unique().numel() > 1
    assert_close(loss(reduction="sum"), each.sum())
    assert_close(loss(reduction="mean"), each.sum() / 8)
    assert_close(loss(), loss(reduction="mean"))


@heads_without_pool
def test_the_loss_of_a_sample_is_that_of_the_sample_alone(name):
    head, features = make_head(name), make_features(6)
    targets = make_targets(head, 6)
    each = head.loss(features, targets, reduction="none")
    alone = [head.loss(features[i], targets[i]) for i in range(6)]
    assert_close(each, torch.stack(alone))


@every_head
@each_reduction
@pytest.mark.parametrize("leading", [(2, 4), (2, 1, 4), (8, 1)])
def test_leading_dimensions(name, reduction, leading):
    head, features = make_head(name), make_features(8).requires_grad_()
    targets, weight = make_targets(head, 8), make_weights(8)
    label_weight = make_weights(11)

    def loss(shape):
        return seeded_loss(
            head,
            features.reshape(*shape, 5),
            targets.reshape(*shape, *targets.shape[1:]),
            weight.reshape(shape),
            label_weight,
            reduction=reduction,
        )

    expected, actual = loss((8,)), loss(leading)
    assert actual.shape == (leading if reduction == "none" else ())
    assert_close(actual.flatten(), expected.flatten())
    assert_close(
        all_gradients(head, features, actual.square().sum()),
        all_gradients(head, features, expected.square().sum()),
    )


def test_leading_dimensions_need_not_be_contiguous():
    head, features = make_head("cascade"), make_features(8).reshape(2, 4, 5)
    targets, weight = make_targets(head, 8).reshape(2, 4), make_weights(8).view(2, 4)
    expected = head.loss(features, targets, weight, reduction="none")
    moved = [tensor.transpose(0, 1) for tensor in (features, targets, weight)]
    assert_close(head.loss(*moved, reduction="none"), expected.T)


@single_label
@each_reduction
@pytest.mark.parametrize("sparse_grad", [False, True])
def test_ignored_samples_are_as_if_they_were_not_there(name, reduction, sparse_grad):
    head = make_head(name, sparse_grad=sparse_grad)
    # What is padded may be anything.
    features = make_features(9)
    features[[0, 4, 5]] = math.nan
    features.requires_grad_()
    targets = with_ignored(make_targets(head, 9), [0, 4, 5])
    weight, label_weight = make_weights(9), make_weights(11)
    kept = [1, 2, 3, 6, 7, 8]
    options = {"label_weight": label_weight, "reduction": reduction}
    expected = seeded_loss(head, features[kept], targets[kept], weight[kept], **options)
    actual = seeded_loss(head, features, targets, weight, **options)
    if reduction == "none":
        assert actual.shape == (9,)
        assert actual[[0, 4, 5]].tolist() == [0, 0, 0]
        assert_close(actual[kept], expected)
    else:
        assert_close(actual, expected)
    grads = all_gradients(head, features, actual.square().sum())
    assert grads[0][[0, 4, 5]].eq(0).all()
    assert_close(grads, all_gradients(head, features, expected.square().sum()))


@single_label
@pytest.mark.parametrize("sparse_grad", [False, True])
@pytest.mark.parametrize("shape", [(3,), (2, 2)])
def test_if_all_samples_are_ignored(name, sparse_grad, shape):
    head, n = make_head(name, sparse_grad=sparse_grad), math.prod(shape)
    features = make_features(n).reshape(*shape, 5).requires_grad_()
    targets = torch.full(shape, -100)
    results = {
        reduction: seeded_loss(head, features, targets, reduction=reduction)
        for reduction in REDUCTIONS
    }
    assert results["none"].tolist() == torch.zeros(shape).tolist()
    assert results["sum"].item() == 0
    assert math.isnan(results["mean"].item())
    # All parameters have gradients, for which other processes may wait.
    for loss in (results["none"].sum(), results["sum"], results["mean"]):
        for grad in all_gradients(head, features, loss):
            assert grad.eq(0).all()


@single_label
def test_ignored_samples_of_sparse_features(name):
    head, dense = make_head(name), make_features(6)
    targets = with_ignored(make_targets(head, 6), [0, 3])
    expected = gradients(head, seeded_loss(head, dense, targets))
    actual = gradients(head, seeded_loss(head, to_sparse_rows(dense), targets))
    assert_close(actual, expected)
    kept = select(to_sparse_rows(dense), [1, 2, 4, 5])
    assert_close(
        seeded_loss(head, to_sparse_rows(dense), targets),
        seeded_loss(head, kept, targets[[1, 2, 4, 5]]),
    )


@pytest.mark.parametrize("name", ["full", "sampling", "sampling-own-arcface"])
def test_extra_scores_of_ignored_samples_and_leading_dimensions(name):
    head, features = make_head(name), make_features(8).reshape(2, 4, 5)
    targets = with_ignored(make_targets(head, 8), [2, 7]).reshape(2, 4)
    table = make_features(8, 11, seed=9).reshape(2, 4, 11)
    kept = targets != -100
    expected = seeded_loss(
        head,
        features[kept],
        targets[kept],
        extra_scores=lambda labels: table[kept][:, labels],
    )
    actual = seeded_loss(
        head, features, targets, extra_scores=lambda labels: table[:, :, labels]
    )
    assert_close(actual, expected)
    assert abs(actual - seeded_loss(head, features, targets)) > 0.01


def test_a_label_can_be_ignored():
    head, features = make_head("product"), make_features(6)
    targets = torch.tensor([4, 0, 4, 10, 2, 0])
    expected = head.loss(features[[1, 3, 4, 5]], targets[[1, 3, 4, 5]])
    assert_close(head.loss(features, targets, ignore_index=4), expected)
    assert abs(head.loss(features, targets) - expected) > 0.01


# Errors.


@every_head
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"reduction": "avg"},
            "reduction must be one of 'none', 'mean', 'sum', got 'avg'.",
        ),
        (
            {"reduction": None},
            "reduction must be one of 'none', 'mean', 'sum', got None.",
        ),
        (
            {"ignore_index": None},
            "ignore_index must be an integer, got None. Use the default, -100, to "
            "ignore none of the labels.",
        ),
        (
            {"ignore_index": 1.5},
            "ignore_index must be an integer, got 1.5. Use the default, -100, to "
            "ignore none of the labels.",
        ),
        ({"label_smoothing": -0.1}, "label_smoothing must be from 0 to 1, got -0.1."),
        ({"label_smoothing": 2}, "label_smoothing must be from 0 to 1, got 2."),
        (
            {"label_smoothing": math.nan},
            "label_smoothing must be from 0 to 1, got nan.",
        ),
    ],
)
def test_wrong_options(name, options, message):
    head = make_head(name)
    with pytest.raises(ValueError) as error:
        head.loss(make_features(4), make_targets(head, 4), **options)
    assert str(error.value) == message


@pytest.mark.parametrize("name", MULTI)
def test_multi_label_heads_ignore_no_label(name):
    head = make_head(name)
    with pytest.raises(ValueError) as error:
        head.loss(make_features(4), make_targets(head, 4), ignore_index=0)
    assert str(error.value) == (
        "ignore_index must be the default, -100, for a multi-label head, got 0: its "
        "targets are an indicator, without label indices. Leave out samples, or give "
        "them a sample_weight of 0."
    )


def test_shapes_that_do_not_fit_leading_dimensions():
    head, features = make_head("full"), make_features(6).reshape(2, 3, 5)
    with pytest.raises(ValueError, match=r"of shape \(2, 3\), got torch.int64 of sh"):
        head.loss(features, torch.zeros(6, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(2, 3\), "):
        head.loss(features, torch.zeros(2, 3, dtype=torch.int64), torch.ones(6))


def test_targets_out_of_range_next_to_ignored_ones():
    targets = torch.tensor([0, 4, 11, 4])
    with pytest.raises(ValueError, match=r"ignore_index=4, got values from 0 to 11\."):
        make_head("full").loss(make_features(4), targets, ignore_index=4)
    with pytest.raises(ValueError, match="ignore_index=7, got values from -100 to 4"):
        make_head("full").loss(
            make_features(3), torch.tensor([0, -100, 4]), ignore_index=7
        )


def test_sparse_indicators_have_two_dimensions():
    head, features = make_head("full-multilabel"), make_features(6).reshape(2, 3, 5)
    targets = torch.zeros(2, 3, 11).to_sparse_coo()
    with pytest.raises(ValueError, match="targets must be dense if features have"):
        head.loss(features, targets)


def test_forward_has_the_options_of_the_loss():
    for make in HEADS.values():
        head = make(5)
        of_loss = dict(inspect.signature(head.loss).parameters)
        del of_loss["extra_scores"]
        assert dict(inspect.signature(head.forward).parameters) == of_loss


@pytest.mark.parametrize("name", ["full", "product", "cascade", "sampling-own-arcface"])
@pytest.mark.filterwarnings("ignore")  # of the compiler about itself
def test_compiled_losses_are_the_same(name):
    head, features = make_head(name), make_features(8).reshape(2, 4, 5)
    targets = with_ignored(make_targets(head, 8), [1, 6]).reshape(2, 4)
    torch._dynamo.reset()
    results = []
    for forward in (head, torch.compile(head, backend="aot_eager")):
        torch.manual_seed(0)
        loss = forward(features, targets, reduction="none")
        results.append((loss.detach(), gradients(head, loss.square().sum())))
    assert_close(results[1], results[0])
