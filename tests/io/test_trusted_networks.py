"""Networks of users: used if they are trusted, and refused otherwise."""

import functools
import pickle

import pytest
import torch
from saved_models import (
    N_FEATURES,
    N_LABELS,
    Net,
    assert_same,
    frozen_names,
    make,
    make_data,
    make_net,
    saved_and_loaded,
)
from torch import nn

import skmhe.io
from skmhe import Backbone, LabelEncoder

WAYS = {
    "class": (lambda: Net, lambda: Net),
    "function": (lambda: make_net, lambda: make_net),
    "module": (make_net, make_net),
    "params": (lambda: Backbone(Net, width=5, weight_decay=0.1), lambda: Net),
    "partial": (lambda: functools.partial(make_net, width=5), lambda: make_net),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_networks_that_are_trusted(way, mmap, path):
    backbone, trusted = (make_one() for make_one in WAYS[way])
    X, y = make_data()
    X = X.toarray()
    clf = make(backbone=backbone).fit(X, y)
    loaded = saved_and_loaded(clf, path, mmap=mmap, trusted=[nn.Linear, trusted])
    assert_same(clf, loaded, X)
    copies = [pickle.loads(pickle.dumps(clf)), loaded]
    for copy in copies:
        copy.partial_fit(X, y)
    assert_same(*copies, X)
    for copy in copies:  # from the weights that the module was given with
        copy.fit(X, y)
    assert_same(*copies, X)
    assert_same(clf, loaded, X)


def test_the_trusted_module_is_copied(path):
    X, y = make_data()
    X = X.toarray()
    clf, mine = make(backbone=make_net()).fit(X, y), make_net()
    before = mine.layer.weight.detach().clone()
    loaded = saved_and_loaded(clf, path, trusted=[mine])
    assert torch.equal(mine.layer.weight, before)
    assert loaded.backbone is not mine
    # The parameter and what was fitted are one module, as before.
    assert loaded.backbone is loaded._fitted.model.user_backbone.backbone


def test_functions_that_freeze(path):
    X, y = make_data()
    X = X.toarray()
    clf = make(backbone=Backbone(Net, freeze=frozen_names)).fit(X, y)
    skmhe.io.save(clf, path)
    with pytest.raises(ValueError, match="it needs saved_models:frozen_names, which"):
        skmhe.io.load(path, trusted=[Net])
    assert_same(clf, skmhe.io.load(path, trusted=[Net, frozen_names]), X)


def test_networks_of_labels(path):
    X, y = make_data()
    Z = torch.eye(N_LABELS, 7).numpy()
    labels = LabelEncoder(backbone=Backbone(Net, n_features=7))
    clf = make(label_encoder=labels).fit(X.toarray(), y, label_features=Z)
    loaded = saved_and_loaded(clf, path, trusted=[Net])
    assert_same(clf, loaded, X.toarray())


@pytest.mark.parametrize(
    ("trusted", "match"),
    [
        ([], r"needs saved_models:Net, .* trust \(nothing\).*a module of this class"),
        ([Net], "a module of this class, made as the one that was saved"),
        ([Net(width=9)], "has other weights than those that were saved"),
        ([nn.Linear(2, 2)], r"trust \(torch.nn.modules.linear:Linear\)"),
        ([Net(), Net()], "not among what you trust"),
    ],
)
def test_other_networks_are_refused(trusted, match, path):
    X, y = make_data()
    skmhe.io.save(make(backbone=make_net()).fit(X.toarray(), y), path)
    with pytest.raises(ValueError, match=f"(?s){match}"):
        skmhe.io.load(path, trusted=trusted)


def test_another_network_of_the_same_name_is_refused(path):
    X, y = make_data()
    skmhe.io.save(make(backbone=Net).fit(X.toarray(), y), path)

    def other():
        return nn.Linear(N_FEATURES, 8)

    other.__qualname__ = "Net"  # found by its last name, as what has moved is
    with pytest.raises(
        ValueError, match=r"(?s)not those of its network .*Pass in trusted"
    ):
        skmhe.io.load(path, trusted=[other])


@pytest.mark.parametrize("trusted", [["saved_models:Net"], [3], "Net", Net()])
def test_names_are_not_trusted(trusted, path):
    skmhe.io.save(make(), path)
    with pytest.raises(TypeError, match="trusted"):
        skmhe.io.load(path, trusted=trusted)


def test_what_has_no_name_is_refused(path):
    for backbone, match in (
        (lambda: Net(), r"params\.backbone is a lambda, which has no name"),
        (Net().double, "is .*bound method.* which model files do not hold"),
    ):
        with pytest.raises(TypeError, match=f"(?s){match}"):
            skmhe.io.save(make(backbone=backbone), path)
    assert not path.exists()
