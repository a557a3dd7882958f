"""Networks from descriptions, weights as arrays, arrays as tensors, devices."""

import gc
import pickle
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal

from skmhe import MHEClassifier
from skmhe._network import (
    BUILD_HEAD,
    Network,
    NetworkSpec,
    kept_network,
    network_from_weights,
    resolve_device,
    rows_to_tensor,
    to_tensor,
    weights_to_numpy,
)
from skmhe.nn import CascadeHead, FullHead, ProductHead, SamplingHead, SparseRows

CPU, META = torch.device("cpu"), torch.device("meta")
SPEC = NetworkSpec(
    n_features=6,
    n_labels=11,
    multilabel=False,
    strategy="cascade",
    head_sizes=(4, 3),
    rank=2,
    beam_width=3,
    hard_negatives=False,
    n_sampled_groups=2,
    has_network=True,
    has_centroids=False,
    linear_weight=1.0,
    hidden_layer_sizes=(5, 4),
    activation="tanh",
    dropout=0.25,
    input_dropout=0.125,
)
HEADS = {
    "cascade": CascadeHead,
    "product": ProductHead,
    "sampling": SamplingHead,
    "full": FullHead,
}
strategies = pytest.mark.parametrize("strategy", HEADS)


def make_network(**changes):
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return Network(SPEC._replace(**changes))


# ------------------------------------------------------------ building


def test_every_strategy_has_a_head():
    assert BUILD_HEAD.keys() == HEADS.keys()


@strategies
def test_network_follows_the_description(strategy):
    network = make_network(strategy=strategy)
    head, backbone = network.head, network.backbone
    assert type(head) is HEADS[strategy]
    assert head.n_labels == 11
    assert head.in_features == backbone.out_features == 4
    assert backbone.n_features == 6
    assert [m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)] == [
        0.125,
        0.25,
    ]
    if strategy in ("cascade", "product"):
        assert head.head_sizes == (4, 3)
    if strategy == "cascade":
        assert (head.beam_width, head.hard_negatives) == (3, False)
    if strategy == "product":
        assert head.rank == 2
    if strategy == "sampling":
        assert (head.group_size, head.n_sampled_groups) == (3, 2)


@pytest.mark.parametrize("strategy", ["cascade", "sampling", "full"])
def test_multilabel(strategy):
    assert make_network(strategy=strategy, multilabel=True).head.multilabel
    assert not make_network(strategy=strategy).head.multilabel


def test_groups_are_no_longer_than_the_labels():
    network = make_network(strategy="sampling", head_sizes=(1, 20), n_labels=11)
    assert network.head.group_size == 11


@pytest.mark.parametrize("hidden_layer_sizes", [(), (5,), (5, 4)])
@strategies
def test_weights_go_to_numpy_and_back(strategy, hidden_layer_sizes):
    spec = SPEC._replace(strategy=strategy, hidden_layer_sizes=hidden_layer_sizes)
    network = make_network(strategy=strategy, hidden_layer_sizes=hidden_layer_sizes)
    weights = weights_to_numpy(network)
    assert all(type(array) is np.ndarray for array in weights.values())
    assert weights.keys() == network.state_dict().keys()
    again = network_from_weights(spec, weights, CPU)
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])
    X = torch.ones(2, 6)
    for net in (network, again):
        net.eval()
    assert torch.equal(
        again.head.log_prob(again.backbone(X)),
        network.head.log_prob(network.backbone(X)),
    )
    pickle.loads(pickle.dumps(weights))


def test_no_memory_is_taken_twice_for_the_weights():
    network = make_network()
    weights = weights_to_numpy(network)
    state = network.state_dict()
    for name, array in weights.items():
        assert array.__array_interface__["data"][0] == state[name].data_ptr()


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_are_not_changed_by_going_on(method):
    X = np.random.RandomState(0).randn(30, 4)
    y = np.arange(30) % 5
    clf = MHEClassifier(warm_start=True, max_iter=2, model="network", random_state=0)
    arguments = {"classes": np.arange(5)} if method == "partial_fit" else {}
    getattr(clf, method)(X, y, **arguments)
    first = clf.weights_
    before = {name: array.copy() for name, array in first.items()}
    getattr(clf, method)(X, y, **arguments)
    for name, array in first.items():
        assert_array_equal(array, before[name])
    assert not np.array_equal(clf.weights_["head.weights.0"], first["head.weights.0"])


def test_memory_is_shared_unless_copied():
    weights = weights_to_numpy(make_network())
    name = "head.weights.0"
    shared = network_from_weights(SPEC, weights, CPU)
    assert shared.head.weights[0].data_ptr() == weights[name].ctypes.data
    copied = network_from_weights(SPEC, weights, CPU, copy=True)
    assert copied.head.weights[0].data_ptr() != weights[name].ctypes.data
    before = weights[name].copy()
    with torch.no_grad():
        copied.head.weights[0].zero_()
    assert_array_equal(weights[name], before)


@strategies
def test_everything_moves_to_the_device(strategy):
    spec = SPEC._replace(strategy=strategy)
    weights = weights_to_numpy(make_network(strategy=strategy))
    network = network_from_weights(spec, weights, META)
    tensors = [*network.parameters(), *network.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert len(tensors) == len(weights)
    assert all(p.requires_grad for p in network.parameters())


def test_building_draws_no_random_numbers():
    weights = weights_to_numpy(make_network())
    state = torch.get_rng_state()
    network_from_weights(SPEC, weights, CPU)
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_that_do_not_fit_are_refused():
    weights = weights_to_numpy(make_network())
    del weights["head.weights.0"]
    with pytest.raises(RuntimeError, match=r"head\.weights\.0"):
        network_from_weights(SPEC, weights, CPU)


# ------------------------------------------------------------ arrays and tensors


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


ARRAYS = {
    "float32": np.arange(12, dtype=np.float32).reshape(3, 4),
    "float64": np.arange(12.0).reshape(3, 4),
    "int64": np.arange(12),
    "int32": np.arange(12, dtype=np.int32),
    "scalar": np.array(2.5, dtype=np.float32),
    "empty": np.empty((0, 3), dtype=np.float32),
    "read-only": read_only(np.arange(12, dtype=np.float32)),
    "read-only empty": read_only(np.empty(0, dtype=np.float32)),
    "read-only, 0-d": read_only(np.array(2.5, dtype=np.float32)),
    "F-order": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "read-only F-order": read_only(np.arange(12.0).reshape(3, 4)).T,
    "strided": np.arange(12.0)[::3],
    "negative stride": np.arange(12.0)[::-1],
    "negative strides": np.arange(12.0).reshape(3, 4)[::-1, ::-1],
    "byte-swapped": np.arange(12.0).astype(">f8"),
    "byte-swapped ints": np.arange(12).astype(">i4"),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
        )
        if name == "read-only empty"
        else name
        for name in ARRAYS
    ],
)
def test_to_tensor(name):
    array = ARRAYS[name]
    before = array.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of read-only memory
        tensor = to_tensor(array)
    assert_array_equal(tensor.numpy(), array)
    assert tuple(tensor.shape) == array.shape
    assert tensor.numpy().dtype == array.dtype.newbyteorder("=")
    assert_array_equal(array, before)


@pytest.mark.parametrize(
    "name", ["float32", "read-only", "F-order", "read-only F-order", "strided"]
)
def test_to_tensor_copies_nothing(name):
    array = ARRAYS[name]
    assert to_tensor(array).data_ptr() == array.__array_interface__["data"][0]
    assert array.flags.writeable == (not name.startswith("read-only"))


def test_to_tensor_keeps_a_memory_map_alive(tmp_path):
    np.save(tmp_path / "weights.npy", np.arange(1000, dtype=np.float32))

    def load():
        return to_tensor(np.load(tmp_path / "weights.npy", mmap_mode="r"))

    tensor = load()
    # The map's only reference is the tensor's.
    assert tensor.sum() == 499_500


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
def test_rows_to_tensor(dtype, index_dtype):
    X = np.array([[0, 1, 0], [2, 0, 3], [0, 0, 0]], dtype=np.float32)
    dense = rows_to_tensor(X, CPU, dtype)
    assert dense.dtype == dtype
    assert_array_equal(dense.numpy(), X)
    rows = sp.csr_array(X)
    rows.indices = rows.indices.astype(index_dtype)
    rows.indptr = rows.indptr.astype(index_dtype)
    sparse = rows_to_tensor(rows, CPU, dtype)
    assert isinstance(sparse, SparseRows)
    assert sparse.values.dtype == dtype
    assert sparse.shape == (3, 3)
    features, compact = sparse.to_compact()
    assert_array_equal(features.numpy(), [0, 1, 2])
    assert_array_equal(compact.numpy(), X)


def test_rows_go_to_the_device():
    rows = rows_to_tensor(sp.csr_array(np.eye(3, dtype=np.float32)), META)
    assert {tensor.device.type for tensor in rows[:3]} == {"meta"}
    assert rows_to_tensor(np.eye(3, dtype=np.float32), META).device.type == "meta"


# ------------------------------------------------------------ devices


@pytest.fixture
def cuda(monkeypatch):
    """Pretend that there are so many CUDA devices."""

    def pretend(n_devices):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n_devices > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_devices)

    return pretend


def test_auto_takes_a_gpu_if_there_is_one(cuda):
    cuda(0)
    assert resolve_device("auto") == CPU
    cuda(1)
    assert resolve_device("auto") == torch.device("cuda")


def test_named_devices(cuda):
    cuda(2)
    assert resolve_device("cpu") == CPU
    assert resolve_device("cuda") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    cuda(0)
    assert resolve_device("cpu") == CPU


@pytest.mark.parametrize(("device", "n_devices"), [("cuda", 0), ("cuda:2", 2)])
def test_absent_gpu(cuda, device, n_devices):
    cuda(n_devices)
    match = f"device='{device}' was asked for, but torch finds {n_devices} CUDA devices"
    with pytest.raises(ValueError, match=match) as error:
        resolve_device(device)
    assert "device='auto'" in str(error.value)
    assert "device='cpu'" in str(error.value)


@pytest.mark.parametrize("device", ["nonsense", "", "cpu:x", "cuda:-1", "gpu"])
def test_unknown_device(device):
    match = f"device='{device}' is not a device that torch knows: use device='auto'"
    with pytest.raises(ValueError, match=match):
        resolve_device(device)


@pytest.mark.skipif(torch.xpu.is_available(), reason="it is not absent here")
def test_absent_device_that_is_no_gpu_of_cuda():
    with pytest.raises(ValueError, match="device='xpu'"):
        resolve_device("xpu")


# ------------------------------------------------------------ kept networks


class Owner:
    """Has a network."""


def test_a_network_is_kept_until_something_changes():
    owner, weights = Owner(), weights_to_numpy(make_network())
    first = kept_network(owner, SPEC, weights, CPU)
    assert kept_network(owner, SPEC, weights, CPU) is first
    assert kept_network(Owner(), SPEC, weights, CPU) is not first
    other = kept_network(owner, SPEC._replace(beam_width=5), weights, CPU)
    assert other is not first
    assert other.head.beam_width == 5
    name = next(iter(weights))
    weights[name] = weights[name] + 1
    changed = kept_network(owner, SPEC._replace(beam_width=5), weights, CPU)
    assert changed is not other
    assert_array_equal(changed.state_dict()[name], weights[name])


def test_threads_have_networks_of_their_own():
    owner, weights = Owner(), weights_to_numpy(make_network())
    mine = kept_network(owner, SPEC, weights, CPU)
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(kept_network, owner, SPEC, weights, CPU).result()
    assert other is not mine


def test_no_network_outlives_its_owner():
    owner = Owner()
    network = weakref.ref(
        kept_network(owner, SPEC, weights_to_numpy(make_network()), CPU)
    )
    assert network() is not None
    del owner
    gc.collect()
    assert network() is None
