"""Users' backbones: how they are made, probed, frozen and called in networks."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from model_problems import CPU, head_spec
from numpy.testing import assert_array_equal
from torch import nn

from skmhe.scorers import user_backbone
from skmhe.scorers.network import (
    Network,
    NetworkSpec,
    network_from_weights,
    weights_to_numpy,
)
from skmhe.scorers.parameter_names import frozen_names, rates_by_name
from skmhe.scorers.user_backbone import (
    SampleForm,
    UserBackbone,
    UserModule,
    same_values,
)


class Small(nn.Module):
    """A layer, a batch normalization, and a layer."""

    def __init__(self, width=4):
        super().__init__()
        self.first, self.norm = nn.Linear(3, width), nn.BatchNorm1d(width)
        self.last = nn.Sequential(nn.Dropout(0.5), nn.Linear(width, 2))

    def forward(self, X):
        return self.last(self.norm(self.first(X)))


X = np.random.RandomState(0).randn(20, 3).astype(np.float32)
NAMES = {name for name, _ in Small().named_parameters()}


def probed(backbone=Small, **params):
    user = UserBackbone(backbone, params)
    return user.probed(user.make(), X, CPU)


def test_probing_tells_what_goes_in_and_comes_out():
    assert probed(width=7).form == SampleForm((3,), False, None, 2)
    tokens = np.arange(12).reshape(4, 3)
    embed = nn.Sequential(nn.Embedding(12, 2), nn.Flatten(), nn.Linear(6, 5))
    user = UserBackbone(embed, {})
    assert user.form is None
    user = user.probed(user.make(), tokens, CPU)
    assert user.form == SampleForm((3,), True, 12, 5)
    user.check_inputs(tokens)
    for wrong in (tokens + 1, tokens - 1, tokens[:, :2], tokens.astype(np.float32)):
        with pytest.raises(ValueError, match="X has "):
            user.check_inputs(wrong)


def test_the_same_backbone_has_the_same_parameters():
    assert UserBackbone(Small, {"width": 2}) == UserBackbone(Small, {"width": 2})
    assert UserBackbone(Small, {"width": 2}) != UserBackbone(Small, {})
    assert UserBackbone(Small, {}) != UserBackbone(nn.Linear, {})
    assert UserBackbone(Small, {}) != Small
    form = SampleForm((3,), False, None, 2)
    assert UserBackbone(Small, {}, form) == UserBackbone(Small, {})


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.arange(3.0),
        lambda: torch.arange(6).view(2, 3),
        lambda: [np.arange(3), (torch.ones(2), "a")],
        lambda: {"table": np.eye(2), "scale": 1.0},
        lambda: np.array(["a", "b"], dtype=object),
    ],
    ids=["array", "tensor", "list", "dict", "objects"],
)
def test_arrays_among_the_parameters_are_compared(make):
    user, same = (UserBackbone(Small, {"value": make()}) for _ in range(2))
    assert user == same
    for other in (1.0, [1.0], None, np.arange(4.0), torch.ones(3), {"table": 1}):
        assert user != UserBackbone(Small, {"value": other})
        assert UserBackbone(Small, {"value": other}) != user


def test_values_that_say_nothing_of_equality_differ():
    frame = pd.DataFrame({"a": [1, 2]})
    user = UserBackbone(Small, {"value": frame})
    assert user == UserBackbone(Small, {"value": frame})
    assert user != UserBackbone(Small, {"value": frame.copy()})


def test_a_module_is_copied():
    module = Small().double()
    made = UserBackbone(module, {}).make()
    assert made is not module
    assert made.first.weight.dtype == torch.float32
    assert module.first.weight.dtype == torch.float64
    with pytest.raises(ValueError, match="backbone__width"):
        UserBackbone(module, {"width": 2}).make()


@pytest.mark.parametrize(
    ("freeze", "expected", "resting"),
    [
        (False, set(), []),
        (True, NAMES, ["", "first", "norm", "last", "last.1"]),
        ("first.*", {"first.weight", "first.bias"}, ["first"]),
        (
            ("*.bias", "norm.weight"),
            {n for n in NAMES if "bias" in n} | {"norm.weight"},
            ["norm"],
        ),
    ],
)
def test_frozen_parts_stay_in_evaluation_mode(freeze, expected, resting):
    module = Small()
    assert frozen_names(module, freeze) == expected
    frozen = UserModule(probed(), module, freeze).train()
    parameters = dict(module.named_parameters())
    assert {n for n, p in parameters.items() if not p.requires_grad} == expected
    # What has no parameters follows the part that it is in.
    modes = {name: part.training for name, part in module.named_modules()}
    parents = [name for name in resting if name]
    for name, mode in modes.items():
        inside = any(name == p or name.startswith(p + ".") for p in parents)
        assert mode == (not inside and "" not in resting)
    assert frozen.is_frozen == (freeze is True)
    assert not frozen.eval().module.training


@pytest.mark.parametrize(
    "function", [frozen_names, lambda m, p: rates_by_name(m, {p: 1})]
)
def test_patterns_that_match_nothing(function):
    with pytest.raises(ValueError, match=r"'second\.\*' of .* matches none of"):
        function(Small(), "second.*")


def test_rates_of_parameters():
    module = Small()
    assert rates_by_name(module, None) == {}
    assert rates_by_name(module, 0.5) == dict.fromkeys(NAMES, 0.5)
    found = rates_by_name(module, {"*": 0.5, "last.*": 0.25, "last.1.bias": 0.125})
    expected = dict.fromkeys(NAMES, 0.5)
    expected |= {"last.1.weight": 0.25, "last.1.bias": 0.125}
    assert found == expected
    for wrong in (0, -1, np.nan, np.inf, "fast", None):
        match = f"has {wrong!r}: name what is not to be trained in backbone__freeze"
        with pytest.raises(ValueError, match=f"must have finite rates.*{match}"):
            rates_by_name(module, {"first.*": wrong})
    with pytest.raises(ValueError, match=r"learning_rate=-1 must have finite rates"):
        rates_by_name(module, lambda m: -1)


def test_what_functions_return_is_checked():
    module, rates = Small(), {"first.weight": 0.5}
    assert frozen_names(module, lambda m: ["first.weight"]) == {"first.weight"}
    assert rates_by_name(module, lambda m: rates) == rates
    with pytest.raises(
        ValueError, match="function backbone__freeze returned 'third', which is"
    ):
        frozen_names(module, lambda m: ["first.weight", "third"])
    with pytest.raises(ValueError, match="backbone__learning_rate returned 'first"):
        rates_by_name(module, lambda m: {"first.*": 0.5})
    with pytest.raises(ValueError, match="must have finite rates above 0"):
        rates_by_name(module, lambda m: {"first.weight": -1})


def test_predictions_are_made_in_chunks(monkeypatch):
    monkeypatch.setattr(user_backbone, "SAMPLES_PER_CHUNK", 8)
    sizes, module = [], Small()
    module.register_forward_hook(lambda m, i, o: sizes.append(len(o)))
    frozen = UserModule(probed(), module, False).eval()
    found = frozen(torch.from_numpy(X))
    assert sizes == [8, 8, 4]
    torch.testing.assert_close(found, module(torch.from_numpy(X)))
    frozen.train()(torch.from_numpy(X))
    assert sizes[-1] == 20


def test_networks_keep_its_state_and_have_features_in_float32():
    user = probed()
    spec = NetworkSpec(3, head_spec("full"), user_backbone=user)
    network = Network(spec, user.make())
    network.features(torch.from_numpy(X))  # moves the running means
    weights = weights_to_numpy(network)
    state = torch.get_rng_state()
    again = network_from_weights(spec, weights, CPU).eval()
    assert torch.equal(torch.get_rng_state(), state)
    for name, array in weights_to_numpy(again).items():
        assert_array_equal(array, weights[name])
    again.backbone.double()
    assert again.features(torch.from_numpy(X).double()).dtype == torch.float32


def test_a_module_that_writes_to_its_inputs_does_not_change_the_samples():
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2))
    X = np.random.RandomState(0).randn(8, 3).astype(np.float32)
    before = X.copy()
    user = UserBackbone(module, {}).probed(module, X, CPU)
    UserModule(user, user.make(), False).eval()(torch.from_numpy(X))
    assert_array_equal(X, before)


@pytest.mark.parametrize(
    ("one", "other"),
    [([1], [1, 2]), ([1], (1,)), (np.array([1]), np.array([1.0])), ({"a": 1}, {})],
)
def test_other_values(one, other):
    assert same_values(one, one)
    assert not same_values(one, other)
    assert not same_values(other, one)


def test_functions_of_the_module_name_what_is_frozen_and_how_fast_it_learns():
    module = Small()
    assert frozen_names(module, lambda m: [f"first.{n}" for n in ("weight",)]) == {
        "first.weight"
    }
    assert rates_by_name(module, lambda m: {"first.bias": m.norm.eps}) == {
        "first.bias": 1e-5
    }


class FromFile(Small):
    """Is made from something that is gone when it is made again."""

    def __init__(self, files):
        super().__init__(width=files.pop())

    def blueprint(self):
        return functools.partial(Small, self.first.out_features)


def test_a_blueprint_makes_what_weights_are_given_to():
    files = [5]
    user = UserBackbone(FromFile, {"files": files})
    assert user.blueprint is None
    module = user.make()
    user = user.probed(module, X, CPU)
    assert user == UserBackbone(FromFile, {"files": []})  # what it is made of
    spec = NetworkSpec(3, head_spec("full"), user_backbone=user)
    weights = weights_to_numpy(Network(spec, module))
    again = network_from_weights(spec, weights, CPU)
    assert type(again.backbone.module) is Small
    for name, array in weights_to_numpy(again).items():
        assert_array_equal(array, weights[name])
