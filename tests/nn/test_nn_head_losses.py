"""Losses of every head."""

import math

import pytest
import torch
from head_cases import (
    GROUPED,
    HEADS,
    MULTI,
    SINGLE,
    WITH_MARGIN,
    every_head,
    gradients,
    groups_drawn,
    heads_of_any_scores,
    heads_without_pool,
    make_features,
    make_head,
    make_targets,
    make_weights,
    seeded_loss,
    to_sparse_rows,
)
from head_oracles import loss
from torch.testing import assert_close

from skmhe.nn import (
    products,
)


@every_head
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_the_written_out_one(name, weighted):
    head, features = make_head(name), make_features(12)
    targets = make_targets(head, 12)
    weights = {}
    if weighted:
        weights = {"sample_weight": make_weights(12), "label_weight": make_weights(11)}
    expected = loss(head, features, targets, drawn=groups_drawn(head), **weights)
    actual = seeded_loss(head, features, targets, **weights)
    assert actual.shape == ()
    assert actual.item() == pytest.approx(expected, rel=1e-10)


# Heads of which all samples of a step score the same labels.
TAKE_EXTRA_SCORES = [
    name
    for name in HEADS
    if name.startswith(("full", "sampling")) and name != "sampling-and-own"
]


@pytest.mark.parametrize("name", TAKE_EXTRA_SCORES)
@pytest.mark.parametrize("sparse_grad", [False, True])
def test_extra_scores_are_added_to_those_of_the_labels_in_training(name, sparse_grad):
    head, features = make_head(name, sparse_grad=sparse_grad), make_features(8)
    targets, extra = make_targets(head, 8), make_features(8, 11, seed=9)
    asked = []

    def extra_scores(labels):
        asked.append(labels)
        return table[:, labels]

    table = extra.clone().requires_grad_()
    actual = seeded_loss(head, features, targets, extra_scores=extra_scores)
    drawn = groups_drawn(head)
    expected = loss(head, features, targets, extra_scores=extra, drawn=drawn)
    assert actual.item() == pytest.approx(expected, rel=1e-10)
    assert abs(actual - seeded_loss(head, features, targets)) > 0.01
    # Asked once, for distinct labels in order; what gives the scores is trained, too.
    (labels,) = asked
    assert labels.dtype == torch.int64
    assert labels.tolist() == sorted(set(labels.tolist()))
    actual.backward()
    scored = table.grad.any(0).nonzero()[:, 0].tolist()
    assert set(scored) <= set(labels.tolist())
    # Those of a sample sum to 0 under a softmax, as scores are relative.
    if not head.multilabel:
        assert_close(table.grad.sum(1), torch.zeros(8, dtype=torch.float64))


@every_head
def test_heads_tell_whether_they_take_extra_scores(name):
    head, features = make_head(name), make_features(4)
    assert head.takes_extra_scores == (name in TAKE_EXTRA_SCORES)
    if not head.takes_extra_scores:
        message = f"extra_scores must be None: the loss of this {type(head).__name__} "
        with pytest.raises(ValueError, match=message):
            head.loss(features, make_targets(head, 4), extra_scores=lambda labels: 0)


@every_head
@pytest.mark.parametrize("path", [0, math.inf], ids=["blocks", "gather"])
def test_gradient_of_the_loss_is_the_numerical_one(name, path, monkeypatch):
    monkeypatch.setattr(products, "MIN_WORK_PER_GROUP", path)
    head, features = make_head(name, n_features=3), make_features(4, 3)
    targets = make_targets(head, 4)
    weights = (make_weights(4), make_weights(11))
    # gradcheck moves the entries of the parameters themselves.
    assert torch.autograd.gradcheck(
        lambda x, *_: seeded_loss(head, x, targets, *weights),
        (features.requires_grad_(), *head.parameters()),
    )


@every_head
@pytest.mark.parametrize("sparse_features", [False, True])
def test_sparse_gradient_equals_the_dense_one(name, sparse_features):
    features = make_features(6)
    targets = make_targets(make_head(name), 6)
    features = to_sparse_rows(features) if sparse_features else features
    dense, sparse = make_head(name), make_head(name, sparse_grad=True)
    expected = gradients(dense, seeded_loss(dense, features, targets))
    actual = gradients(sparse, seeded_loss(sparse, features, targets))
    assert_close(actual, expected)
    assert not any(weight.grad.is_sparse for weight in dense.weights)
    # Sparse features select columns of the tables, which gives dense gradients; but
    # margins need whole rows.
    is_sparse = [weight.grad.is_sparse for weight in sparse.weights]
    if name in GROUPED and (not sparse_features or name in WITH_MARGIN):
        assert is_sparse[-1]
    else:
        assert not any(is_sparse)


@heads_without_pool
def test_weight_two_is_a_sample_twice_and_weight_zero_is_none(name):
    head, features = make_head(name), make_features(4)
    targets = make_targets(head, 4)

    def total(rows, weight=None):
        weight = None if weight is None else torch.tensor(weight, dtype=torch.float64)
        mean = seeded_loss(head, features[rows], targets[rows], sample_weight=weight)
        value = mean * len(rows)
        return value.detach(), gradients(head, value)

    everything = [0, 1, 2, 3]
    assert_close(total(everything, [1, 2, 1, 1]), total([0, 1, 1, 2, 3]))
    assert_close(total(everything, [1, 0, 0, 1]), total([0, 3]))
    assert_close(total(everything, [1, 1, 1, 1]), total(everything))


@pytest.mark.parametrize("name", SINGLE)
def test_label_weight_of_single_labels_is_the_weight_of_their_samples(name):
    head, features = make_head(name), make_features(8)
    targets, label_weight = make_targets(head, 8), make_weights(11)
    by_label = seeded_loss(head, features, targets, label_weight=label_weight)
    by_sample = seeded_loss(
        head, features, targets, sample_weight=label_weight[targets]
    )
    assert_close(by_label, by_sample)


@pytest.mark.parametrize("name", MULTI)
def test_label_weight_of_multi_labels_is_a_factor_of_true_pairs_only(name):
    head, features = make_head(name), make_features(8)
    targets = make_targets(head, 8)
    ones = torch.ones(11, dtype=torch.float64)
    plain = seeded_loss(head, features, targets)
    assert_close(seeded_loss(head, features, targets, label_weight=ones), plain)
    # Linear in the weights: each unit adds the true pairs' own losses once.
    double = seeded_loss(head, features, targets, label_weight=2 * ones)
    triple = seeded_loss(head, features, targets, label_weight=3 * ones)
    assert double > plain
    assert_close(triple - double, double - plain)
    # Labels that no sample has may have any weight.
    absent = targets.sum(0) == 0
    assert absent.any()
    other = torch.where(absent, 7.0, 1.0).double()
    assert_close(seeded_loss(head, features, targets, label_weight=other), plain)


@pytest.mark.parametrize("name", MULTI)
@pytest.mark.filterwarnings("ignore:Sparse (CSR|CSC) tensor support:UserWarning")
def test_indicators_of_any_layout_and_dtype(name):
    head, features = make_head(name), make_features(8)
    targets = make_targets(head, 8)
    expected = seeded_loss(head, features, targets)
    with torch.sparse.check_sparse_tensor_invariants():
        for same in (
            targets.bool(),
            targets.long(),
            targets.float(),
            targets.to_sparse_coo(),
            targets.bool().to_sparse_coo(),
            targets.to_sparse_csr(),
            targets.to_sparse_csc(),
        ):
            assert_close(seeded_loss(head, features, same), expected)


@pytest.mark.parametrize("name", MULTI)
@pytest.mark.parametrize("value", [0, 1])
def test_samples_without_labels_and_with_all_labels(name, value):
    head, features = make_head(name), make_features(3)
    targets = torch.full((3, 11), float(value))
    expected = loss(head, features, targets, drawn=groups_drawn(head))
    assert seeded_loss(head, features, targets).item() == pytest.approx(expected)


@every_head
def test_no_samples_have_the_mean_of_nothing(name):
    head = make_head(name)
    assert seeded_loss(head, make_features(0), make_targets(head, 0)).isnan()


@heads_of_any_scores
def test_loss_is_accurate_for_large_scores(name):
    # With 1 - P or exp(score) taken as they are, float32 gives inf, NaN or 0 here.
    head, features = make_head(name), 12 * make_features(10)
    targets = make_targets(head, 10)
    expected = seeded_loss(head, features, targets)
    expected_gradients = gradients(head, expected)
    head = make_head(name).float()
    actual = seeded_loss(head, features.float(), targets)
    assert expected > 20
    assert_close(actual.double(), expected.detach(), rtol=1e-5, atol=0)
    for grad, expected_grad in zip(
        gradients(head, actual), expected_gradients, strict=True
    ):
        assert_close(grad.double(), expected_grad, rtol=1e-3, atol=1e-4)
