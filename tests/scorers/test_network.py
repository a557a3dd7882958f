"""Networks from descriptions, and weights as arrays."""

import pickle

import numpy as np
import pytest
import torch
from model_problems import (
    CPU,
    HEAD_SIZES,
    META,
    N_FEATURES,
    N_LABELS,
    head_spec,
    kinds,
    make_network,
    make_rows,
    make_spec,
)
from numpy.testing import assert_allclose, assert_array_equal

from skmhe import MHEClassifier
from skmhe.scorers.network import (
    EncoderSpec,
    Network,
    network_features,
    network_from_weights,
    weights_to_numpy,
    with_more_labels,
)

every_spec = pytest.mark.parametrize(
    "changes",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (5, 4)},
        {"centroid_scale": 3.0},
        {"encoder": EncoderSpec(0.1)},
        {"encoder": EncoderSpec(0.1, 7)},
    ],
    ids=["linear", "two-layers", "centroids", "shared-encoder", "encoder"],
)


@kinds
def test_network_follows_the_description(kind, multilabel):
    spec = make_spec(kind, multilabel, hidden_layer_sizes=(5, 4), dropout=(0.125, 0.25))
    network = make_network(spec)
    head, backbone = network.head, network.backbone
    assert type(head) is spec.head.kind
    assert head.n_labels == N_LABELS
    assert head.multilabel == multilabel
    assert head.in_features == backbone.out_features == 4
    assert backbone.n_features == N_FEATURES
    dropouts = [m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)]
    assert dropouts == [0.125, 0.25]
    if kind in ("cascade", "product"):
        assert head.head_sizes == HEAD_SIZES
    assert head.search == spec.head.search


def test_options_that_a_head_does_not_have_are_left_out():
    spec = head_spec("cascade").with_options(beam_width=3, rank=7)
    assert spec.make(2).beam_width == 3
    assert head_spec("full").with_options(beam_width=3) == head_spec("full")


def test_frozen_and_scale():
    network = make_network(make_spec("full", centroid_scale=3.0))
    with torch.no_grad():
        network.log_centroid_scale.fill_(np.log(2))
    assert network.centroid_scale.item() == pytest.approx(2)
    assert not network.is_frozen
    start = Network(make_spec("full", centroid_scale=3.0))
    assert start.centroid_scale.item() == pytest.approx(3)


@every_spec
@kinds
def test_weights_go_to_numpy_and_back(kind, multilabel, changes):
    spec = make_spec(kind, multilabel, **changes)
    network = make_network(spec)
    weights = weights_to_numpy(network)
    assert all(type(array) is np.ndarray for array in weights.values())
    assert weights.keys() == network.state_dict().keys()
    again = network_from_weights(spec, weights, CPU).eval()
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])
    X = torch.ones(2, N_FEATURES)
    assert torch.equal(
        again.head.log_prob(again.features(X)),
        network.head.log_prob(network.features(X)),
    )
    pickle.loads(pickle.dumps(weights))


def test_no_memory_is_taken_twice_for_the_weights():
    network = make_network(make_spec())
    weights = weights_to_numpy(network)
    state = network.state_dict()
    for name, array in weights.items():
        assert array.__array_interface__["data"][0] == state[name].data_ptr()


def test_memory_is_shared_unless_copied():
    weights = weights_to_numpy(make_network(make_spec()))
    name = "head.weights.0"
    shared = network_from_weights(make_spec(), weights, CPU)
    assert shared.head.weights[0].data_ptr() == weights[name].ctypes.data
    copied = network_from_weights(make_spec(), weights, CPU, copy=True)
    assert copied.head.weights[0].data_ptr() != weights[name].ctypes.data
    before = weights[name].copy()
    with torch.no_grad():
        copied.head.weights[0].zero_()
    assert_array_equal(weights[name], before)


@every_spec
@kinds
def test_everything_moves_to_the_device(kind, multilabel, changes):
    spec = make_spec(kind, multilabel, **changes)
    weights = weights_to_numpy(make_network(spec))
    network = network_from_weights(spec, weights, META)
    tensors = [*network.parameters(), *network.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert len(tensors) == len(weights)
    trained = [name for name, p in network.named_parameters() if p.requires_grad]
    assert trained == [
        name for name, p in Network(spec).named_parameters() if p.requires_grad
    ]


def test_building_draws_no_random_numbers():
    weights = weights_to_numpy(make_network(make_spec()))
    state = torch.get_rng_state()
    network_from_weights(make_spec(), weights, CPU)
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_that_do_not_fit_are_refused():
    weights = weights_to_numpy(make_network(make_spec()))
    del weights["head.weights.0"]
    with pytest.raises(RuntimeError, match=r"head\.weights\.0"):
        network_from_weights(make_spec(), weights, CPU)


@pytest.mark.parametrize("kind", ["full", "sampling", "cascade"])
def test_more_labels_start_as_the_median_one(kind):
    spec = make_spec(kind, centroid_scale=2.0)
    weights = weights_to_numpy(make_network(spec))
    before = {name: array.copy() for name, array in weights.items()}
    head = spec.head.with_options(n_labels=14, head_sizes=(5, 3))
    more = with_more_labels(spec, weights, head)
    for name, known in before.items():
        assert_array_equal(weights[name], known)
        found = more[name]
        if not name.startswith("head"):
            assert_array_equal(found, known)
            continue
        assert_array_equal(found[: len(known)], known)
        if "frequencies" not in name:
            start = np.median(np.sort(known)[: len(known) - (len(known) + 1) % 2])
            expected = 0 if "weights" in name else start
            assert_allclose(found[len(known) :], expected)
    last = "head.weights.1" if kind == "cascade" else "head.weights.0"
    assert len(more[last]) == 14
    network_from_weights(spec._replace(head=head), more, CPU)


def test_features_of_samples():
    network = make_network(make_spec("full", hidden_layer_sizes=(5, 4)))
    X = make_rows()
    with torch.no_grad():
        expected = network.backbone(torch.from_numpy(X))
    assert_allclose(network_features(network.train(), X), expected, rtol=1e-5)
    assert not network.training


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_are_not_changed_by_going_on(method):
    X = np.random.RandomState(0).randn(30, 4)
    y = np.arange(30) % 5
    clf = MHEClassifier(warm_start=True, max_iter=2, model="network", random_state=0)
    arguments = {"classes": np.arange(5)} if method == "partial_fit" else {}
    getattr(clf, method)(X, y, **arguments)
    first = clf._fitted.model.weights
    before = {name: array.copy() for name, array in first.items()}
    getattr(clf, method)(X, y, **arguments)
    for name, array in first.items():
        assert_array_equal(array, before[name])
    after = clf._fitted.model.weights["head.weights.0"]
    assert not np.array_equal(after, first["head.weights.0"])
