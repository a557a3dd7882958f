"""Parameter objects: scikit-learn's protocol, and a backbone's own parameters."""

import pickle
from functools import partial

import pytest
from sklearn.base import BaseEstimator, clone
from torch import nn

from skmhe import Backbone, LabelEncoder, LinearTree
from skmhe.scorers.user_backbone import name_of


def layers(width=8, n_features=6):
    return nn.Sequential(nn.Linear(n_features, width), nn.ReLU())


class Layers(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.linear = nn.Linear(6, width)


class Factory(BaseEstimator):
    def __init__(self, width=4):
        self.width = width

    def __call__(self):
        return layers(self.width)


@pytest.mark.parametrize("cls", [LinearTree, LabelEncoder])
def test_protocol(cls):
    default = cls()
    assert clone(default).get_params() == default.get_params()
    assert repr(default) == f"{cls.__name__}()"
    default._validate_params()
    assert default.get_params().keys() == cls._parameter_constraints.keys()


@pytest.mark.parametrize(
    ("instance", "match"),
    [
        (LinearTree(C=0.0), "'C' parameter of LinearTree"),
        (LinearTree(beam_width=0), "'beam_width' parameter of LinearTree"),
        (LabelEncoder(loss_weight=1.0), "'loss_weight' parameter of LabelEncoder"),
        (LabelEncoder(pool_size=1), "'pool_size' parameter of LabelEncoder"),
        (LabelEncoder(score_with="all"), "'score_with' parameter of LabelEncoder"),
        (Backbone("resnet"), "'module' parameter of Backbone must be a callable"),
        (Backbone(layers, averaging_decay=1.0), "'averaging_decay' parameter of"),
        (Backbone(layers, learning_rate=0.0), "'learning_rate' parameter of Backbone"),
        (Backbone(layers, weight_decay=-1.0), "'weight_decay' parameter of Backbone"),
    ],
)
def test_invalid_values(instance, match):
    with pytest.raises(ValueError, match=match):
        instance._validate_params()


def test_parameters_of_a_module_are_those_of_the_backbone():
    backbone = Backbone(layers, freeze=True, width=3, n_features=5)
    assert backbone.params == {"width": 3, "n_features": 5}
    params = backbone.get_params()
    assert (params["width"], params["freeze"], params["module"]) == (3, True, layers)
    assert list(params) == list(backbone.get_params(deep=False))
    twin = clone(backbone)
    assert twin.get_params() == params
    assert pickle.loads(pickle.dumps(backbone)).get_params() == params
    twin.set_params(width=4, freeze="0.*", dilation=2)
    assert twin.params == {"width": 4, "n_features": 5, "dilation": 2}
    assert twin.freeze == "0.*"
    assert backbone.params["width"] == 3
    assert "width=3" in repr(backbone)
    backbone._validate_params()


def test_a_shallow_copy_has_its_own_parameters():
    backbone = Backbone(layers, width=3)
    twin = Backbone(layers)
    twin.params = backbone.params
    twin.set_params(width=4)
    assert backbone.params == {"width": 3}


def test_modules_are_copied():
    module = Layers()
    twin = clone(Backbone(module))
    assert type(twin.module) is Layers
    assert twin.module is not module
    twin._validate_params()
    assert clone(Backbone(Layers)).module is Layers


def test_an_estimator_that_makes_modules():
    backbone = Backbone(Factory(width=5))
    assert backbone.get_params()["module__width"] == 5
    backbone.set_params(module__width=6)
    assert backbone.module.width == 6
    assert backbone.params == {}
    backbone._validate_params()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (Layers, "Layers"),
        (Layers(), "Layers"),
        (layers, "layers"),
        (partial(layers, 4), "partial"),
        (Factory(), "Factory"),
    ],
)
def test_module_name(module, name):
    assert name_of(module) == name


@pytest.mark.parametrize("name", ["freeze", "learning_rate", "module"])
def test_parameters_of_the_same_name_are_refused(name):
    # What "freeze" means could not be told.
    scope = {"layers": layers}
    exec(f"def clash({name}=1): return layers()", scope)
    match = rf"^module=clash has a parameter '{name}', but .* Pass a function"
    with pytest.raises(ValueError, match=match):
        Backbone(scope["clash"])._validate_params()
