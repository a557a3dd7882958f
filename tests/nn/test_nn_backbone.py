"""The backbone on sparse and dense samples."""

import numpy as np
import pytest
import torch
from head_cases import make_features, to_sparse_rows
from torch import nn
from torch.testing import assert_close

from skmhe.nn import Backbone, InputLayer, SparseRows
from skmhe.nn.backbone import ACTIVATIONS, FIRST_LAYER_STD, InputDropout

FUNCTIONS = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
}


def make_inputs(n=7, n_features=9):
    """Return dense samples with zeros, one of them empty."""
    inputs = make_features(n, n_features)
    inputs[inputs.abs() < 0.8] = 0
    inputs[2] = 0
    return inputs


def make_backbone(hidden_layer_sizes, seed=0, **options):
    torch.manual_seed(seed)
    return Backbone(9, hidden_layer_sizes, **options).double()


def test_every_activation_is_covered():
    assert set(ACTIVATIONS) == set(FUNCTIONS)


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("hidden_layer_sizes", [(4,), (4, 3, 2)])
def test_output_is_the_written_out_one(activation, hidden_layer_sizes):
    backbone = make_backbone(hidden_layer_sizes, activation=activation)
    for parameter in backbone.parameters():  # biases are 0 at first
        nn.init.normal_(parameter)
    expected = make_inputs().numpy()
    for i, layer in enumerate(backbone.layers[::2]):
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        expected = FUNCTIONS[activation](
            expected @ (weight if i == 0 else weight.T) + bias
        )
    output = backbone(make_inputs())
    np.testing.assert_allclose(output.detach().numpy(), expected, atol=1e-12)
    assert backbone.out_features == output.shape[1] == hidden_layer_sizes[-1]


@pytest.mark.parametrize("hidden_layer_sizes", [(4,), (4, 3)])
@pytest.mark.parametrize("sparse_grad", [False, True])
def test_sparse_samples_equal_dense_ones(hidden_layer_sizes, sparse_grad):
    backbone = make_backbone(hidden_layer_sizes, sparse_grad=sparse_grad)
    results = []
    for inputs in (make_inputs(), to_sparse_rows(make_inputs())):
        backbone.zero_grad()
        output = backbone(inputs)
        output.square().sum().backward()
        first = backbone.layers[0].weight.grad
        assert first.is_sparse == sparse_grad
        grads = [p.grad.to_dense() for p in backbone.parameters()]
        results.append((output.detach(), grads))
    (dense, dense_grads), (sparse, sparse_grads) = results
    assert dense.abs().sum() > 0
    assert_close(sparse, dense)
    assert_close(sparse_grads, dense_grads)


def test_gradient_is_the_numerical_one():
    backbone = make_backbone((4, 3), activation="tanh")
    inputs = to_sparse_rows(make_inputs())
    assert torch.autograd.gradcheck(
        lambda *_: backbone(inputs), tuple(backbone.parameters())
    )


def test_a_feature_twice_in_a_row_counts_twice():
    layer = InputLayer(3, 2).double()
    rows = SparseRows(
        indices=torch.tensor([1, 0, 1]),
        offsets=torch.tensor([0, 3]),
        values=torch.tensor([1.0, 5.0, 2.0], dtype=torch.float64),
        n_features=3,
    )
    dense = torch.tensor([[5.0, 3.0, 0.0]], dtype=torch.float64)
    assert_close(layer(rows), layer(dense))


def test_without_hidden_layers_the_samples_pass_through():
    backbone = make_backbone(())
    assert backbone.out_features == 9
    assert list(backbone.parameters()) == []
    inputs = make_inputs()
    assert_close(backbone(inputs), inputs)
    rows = to_sparse_rows(inputs)
    passed = backbone(rows)
    assert isinstance(passed, SparseRows)
    assert_close(tuple(passed[:3]), tuple(rows[:3]))


@pytest.mark.parametrize("hidden_layer_sizes", [(), (4,)])
def test_input_scale_scales_the_samples(hidden_layer_sizes):
    scaled = make_backbone(hidden_layer_sizes, input_scale=0.25)
    plain = make_backbone(hidden_layer_sizes)
    expected = plain(make_inputs() * 0.25)
    assert_close(scaled(make_inputs()), expected)
    output = scaled(to_sparse_rows(make_inputs()))
    if isinstance(output, SparseRows):
        output = output.to_compact()[1]
        expected = expected[:, (make_inputs() != 0).any(0)]
    assert_close(output, expected)
    # It belongs to the state, so that a restored backbone scales alike.
    plain.load_state_dict(scaled.state_dict())
    assert float(plain.input_scale) == 0.25


def test_batch_equals_one_by_one():
    backbone = make_backbone((4, 3))
    inputs = make_inputs()
    singles = torch.cat([backbone(to_sparse_rows(row[None])) for row in inputs])
    assert_close(singles, backbone(inputs))


def test_first_layer_starts_small():
    torch.manual_seed(0)
    layer = InputLayer(2000, 50)
    inputs = make_features(20, 2000).float()
    outputs = layer(inputs / inputs.norm(dim=1, keepdim=True)).detach()
    assert float(outputs.std()) == pytest.approx(FIRST_LAYER_STD, rel=0.1)
    assert (layer.bias == 0).all()
    before = layer.weight.detach().clone()
    layer.reset_parameters()
    assert (layer.weight != before).any()


@pytest.mark.parametrize("sparse", [False, True])
def test_input_dropout_drops_values_and_scales_up_the_others(sparse):
    torch.manual_seed(0)
    dense = torch.ones(50, 40)
    inputs = to_sparse_rows(dense) if sparse else dense
    dropout = InputDropout(0.25)
    dropped = dropout(inputs)
    values = dropped.values if sparse else dropped
    kept = values != 0
    assert_close(values[kept], torch.full_like(values[kept], 1 / 0.75))
    assert float(kept.float().mean()) == pytest.approx(0.75, abs=0.04)
    if sparse:  # the batch itself is not changed
        assert (inputs.values == 1).all()
    in_evaluation = dropout.eval()(inputs)
    assert_close(in_evaluation.values if sparse else in_evaluation, values**0)


def test_dropout_follows_each_hidden_layer_in_training_only():
    backbone = make_backbone((400, 300), activation="identity", dropout=0.5)
    kinds = [type(layer) for layer in backbone.layers]
    assert kinds == [InputLayer, nn.Identity, nn.Linear, nn.Identity]
    inputs = make_inputs()
    zero_share = (backbone(inputs)[3] == 0).double().mean()
    assert float(zero_share) == pytest.approx(0.5, abs=0.1)
    backbone.eval()
    assert_close(backbone(inputs), backbone(inputs))
    assert (backbone(inputs)[3] != 0).all()


def test_input_dropout_comes_first():
    backbone = make_backbone((4,), input_dropout=0.5)
    assert type(backbone.input_dropout) is InputDropout
    assert backbone.input_dropout.p == 0.5
    torch.manual_seed(0)
    first = backbone(to_sparse_rows(make_inputs()))
    second = backbone(to_sparse_rows(make_inputs()))
    assert (first != second).any()


@pytest.mark.parametrize("hidden_layer_sizes", [(), (4,)])
@pytest.mark.parametrize("shape", [(3, 8), (9,), (2, 3, 9)])
def test_wrong_width(hidden_layer_sizes, shape):
    with pytest.raises(ValueError) as error:
        make_backbone(hidden_layer_sizes)(torch.ones(shape, dtype=torch.float64))
    assert str(error.value) == f"inputs must have shape (n, 9), got {shape}."


def test_wrong_width_of_sparse_samples():
    rows = to_sparse_rows(torch.ones(2, 8, dtype=torch.float64))
    for module in (make_backbone((4,)), InputLayer(9, 4).double()):
        with pytest.raises(ValueError, match=r"shape \(n, 9\), got \(2, 8\)\."):
            module(rows)


def test_repr_names_the_sizes():
    assert repr(InputLayer(5, 2, True)) == "InputLayer(5, 2, sparse_grad=True)"


def test_unknown_activation():
    with pytest.raises(ValueError, match=r"activation must be one of .*got 'gelu'"):
        Backbone(3, activation="gelu")
