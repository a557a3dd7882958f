"""What every head refuses, and edge cases that it takes."""

import math
from contextlib import nullcontext

import pytest
import torch
from head_cases import (
    HEADS,
    MULTI,
    SINGLE,
    every_head,
    make_features,
    make_head,
    make_targets,
    randomize,
    to_sparse_rows,
)
from torch.testing import assert_close

from skmhe.nn import (
    CascadeHead,
    FullHead,
    ProductHead,
)


@every_head
@pytest.mark.parametrize("shape", [(3, 4), (5,), (3, 5, 1)])
def test_wrong_features(name, shape):
    head = make_head(name)
    features = torch.ones(shape, dtype=torch.float64)
    for call in (
        lambda: head.log_prob(features),
        lambda: head.topk(features, 1),
        lambda: head.above(features, 0.0),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert str(error.value) == f"features must have shape (n, 5), got {shape}."


@every_head
@pytest.mark.parametrize("shape", [(3, 4), (4,), (3, 5, 1), ()])
def test_wrong_features_of_a_loss(name, shape):
    head = make_head(name)
    with pytest.raises(ValueError) as error:
        head.loss(torch.ones(shape, dtype=torch.float64), make_targets(head, 3))
    assert str(error.value) == f"features must have shape (..., 5), got {shape}."


@every_head
def test_wrong_sparse_features(name):
    rows = to_sparse_rows(torch.ones(3, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"must have shape \(n, 5\), got \(3, 4\)\."):
        make_head(name).log_prob(rows)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize(
    ("targets", "got"),
    [
        (torch.tensor([0, 1]), "torch.int64 of shape (2,)"),
        (torch.tensor([[0, 1, 2]]), "torch.int64 of shape (1, 3)"),
        (torch.tensor([0, 1, 2], dtype=torch.int32), "torch.int32 of shape (3,)"),
        (torch.tensor([0.0, 1.0, 2.0]), "torch.float32 of shape (3,)"),
    ],
)
def test_wrong_single_label_targets(name, targets, got):
    with pytest.raises(ValueError) as error:
        make_head(name).loss(make_features(3), targets)
    assert str(error.value) == (
        f"targets must be int64 label indices of shape (3,), got {got}."
    )


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize(("bad", "got"), [(11, "0 to 11"), (-1, "-1 to 2")])
def test_single_label_targets_out_of_range(name, bad, got):
    with pytest.raises(ValueError) as error:
        make_head(name).loss(make_features(3), torch.tensor([0, 2, bad]))
    assert str(error.value) == (
        f"targets must be from 0 to 10, or ignore_index=-100, got values from {got}."
    )


@pytest.mark.parametrize("name", MULTI)
@pytest.mark.parametrize("shape", [(3, 10), (2, 11), (3,)])
def test_wrong_shape_of_an_indicator(name, shape):
    with pytest.raises(ValueError) as error:
        make_head(name).loss(make_features(3), torch.zeros(shape))
    assert str(error.value) == (
        "targets of a multi-label head must be an indicator of shape (3, 11), "
        f"got {shape}."
    )


@pytest.mark.parametrize("name", MULTI)
@pytest.mark.parametrize("value", [2.0, -1.0, 0.5, math.nan])
@pytest.mark.parametrize("sparse", [False, True])
def test_wrong_values_of_an_indicator(name, value, sparse):
    targets = torch.zeros(3, 11)
    targets[1, 4] = 1
    targets[2, 7] = value
    targets = targets.to_sparse_coo() if sparse else targets
    with pytest.raises(ValueError) as error:
        make_head(name).loss(make_features(3), targets)
    assert str(error.value) == f"targets must be 0 or 1, got a value of {value}."


def sparse_indicator(samples, labels, values):
    """Return a sparse indicator with entries in the order given."""
    return torch.sparse_coo_tensor(
        torch.tensor([samples, labels]),
        torch.tensor(values),
        (3, 11),
        check_invariants=True,
    )


def test_a_pair_that_is_stored_twice_is_no_indicator():
    targets = sparse_indicator([0, 0], [4, 4], [1.0, 1.0])
    with pytest.raises(ValueError, match="0 or 1, got a value of 2"):
        make_head("full-multilabel").loss(make_features(3), targets)


def test_a_zero_that_is_stored_is_a_zero():
    head = make_head("full-multilabel")
    targets = sparse_indicator([0, 1], [4, 4], [1.0, 0.0])
    expected = head.loss(make_features(3), targets.to_dense())
    assert_close(head.loss(make_features(3), targets), expected)


# loss() promises a ValueError "if the shape ... of an argument does not fit".
@pytest.mark.parametrize("name", ["full", "full-multilabel"])
@pytest.mark.parametrize(
    "weights",
    [
        {"sample_weight": torch.ones(3, 1)},
        {"sample_weight": torch.ones(1)},
        {"label_weight": torch.ones(12)},
        {"label_weight": torch.ones(11, 1)},
    ],
    ids=["sample-2d", "sample-1", "label-12", "label-2d"],
)
def test_wrong_shape_of_weights(name, weights):
    head = make_head(name)
    argument = next(iter(weights))
    with pytest.raises(ValueError, match=argument):
        head.loss(make_features(3), make_targets(head, 3), **weights)


@every_head
@pytest.mark.parametrize("k", [0, -1, 12])
def test_k_out_of_range(name, k):
    with pytest.raises(ValueError, match=rf"k must be from 1 to 11, got {k}\."):
        make_head(name).topk(make_features(2), k)


@pytest.mark.parametrize(
    ("make", "sizes"),
    [
        (lambda: FullHead(-1, 4), "in_features=-1 and n_labels=4"),
        (lambda: FullHead(3, 0), "in_features=3 and n_labels=0"),
        (lambda: CascadeHead(-1, (2, 2)), "in_features=-1 and n_labels=4"),
        (lambda: ProductHead(3, (2, 2), -1), "in_features=3 and n_labels=-1"),
    ],
)
def test_sizes_must_be_positive(make, sizes):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == (
        "in_features must be an integer of at least 0 and n_labels one of at least 1, "
        f"got {sizes}."
    )


@pytest.mark.parametrize("name", [name for name in HEADS if "product" not in name])
def test_without_features_the_biases_are_the_scores(name):
    head = make_head(name, n_features=0)
    empty, constant = torch.zeros(3, 0).double(), torch.ones(3, 1).double()
    other = make_head(name, n_features=1)
    with torch.no_grad():
        for weight, bias, own in zip(
            other.weights, other.biases, head.biases, strict=True
        ):
            weight.zero_()
            bias.copy_(own)
    assert_close(head.log_prob(empty), other.log_prob(constant))
    assert_close(head.topk(empty, 4), other.topk(constant, 4))


@pytest.mark.parametrize("head_class", [ProductHead, CascadeHead])
def test_no_labels_are_an_error(head_class):
    with pytest.raises(ValueError, match="n_labels"):
        head_class(3, (2, 2), n_labels=0)


@pytest.mark.parametrize("head_class", [ProductHead, CascadeHead])
def test_codes_must_hold_the_labels(head_class):
    with pytest.raises(ValueError, match=r"head_sizes=\(3, 3\) can name 9 of"):
        head_class(4, (3, 3), n_labels=10)
    with pytest.raises(ValueError, match="must be a sequence of positive integers"):
        head_class(4, (3, 0))
    assert head_class(4, (3, 3)).n_labels == 9


def test_gradients_can_be_turned_off_and_on():
    # Inference mode makes tensors that autograd cannot save.
    for name in HEADS:
        for context in (nullcontext(), torch.no_grad(), torch.inference_mode()):
            with context:
                randomize(HEADS[name](3)).topk(make_features(2, 3), 2)


@every_head
def test_arrays_are_no_tensors(name):
    head = make_head(name)
    features, targets = make_features(3), make_targets(head, 3)
    weight = torch.ones(3)
    for argument, call in [
        ("features", lambda: head.loss(features.numpy(), targets)),
        ("features", lambda: head.topk(features.tolist(), 1)),
        ("targets", lambda: head.loss(features, targets.numpy())),
        ("targets", lambda: head.loss(features, targets.tolist())),
        (
            "sample_weight",
            lambda: head.loss(features, targets, sample_weight=weight.numpy()),
        ),
    ]:
        match = f"^{argument} must be a torch.Tensor, got (ndarray|list): torch.as_t"
        with pytest.raises(TypeError, match=match):
            call()
