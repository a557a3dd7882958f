"""Heads in place of a linear layer and cross-entropy, in programs that are not ours."""

import socket
import sys

import pytest
import torch
from head_cases import HEADS, make_features, make_head, make_targets
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close

from skmhe.nn import CascadeHead, FullHead, Margin, ProductHead, SamplingHead

every_head = pytest.mark.parametrize("name", HEADS)
# One of each kind: the compiler takes seconds.
COMPILED = "full", "product", "cascade", "cascade-multilabel", "sampling-own-arcface"


class Model(nn.Module):
    """A backbone and a head, that return the loss as other modules do."""

    def __init__(self, head):
        super().__init__()
        self.backbone = nn.Linear(4, head.in_features)
        self.head = head

    def forward(self, inputs, targets):
        return self.head(torch.tanh(self.backbone(inputs)), targets)


def make_model(name, **options):
    torch.manual_seed(0)
    return Model(make_head(name, **options)).double()


@every_head
def test_forward_is_the_loss(name):
    head = make_head(name)
    features, targets = make_features(6), make_targets(head, 6)
    weight = torch.rand(6, dtype=torch.float64)
    torch.manual_seed(0)
    expected = head.loss(features, targets, sample_weight=weight)
    torch.manual_seed(0)
    assert_close(head(features, targets, sample_weight=weight), expected)


@every_head
def test_state_dict_makes_the_same_head(name):
    head, features = make_head(name), make_features(6)
    other = HEADS[name](5).double()
    missing = other.load_state_dict(head.state_dict())
    assert not missing.missing_keys
    assert not missing.unexpected_keys
    assert_close(other.log_prob(features), head.log_prob(features))


def test_full_head_takes_the_state_of_a_linear_layer():
    linear = nn.Linear(5, 11)
    head = FullHead(5, 11)
    state = {"weights.0": linear.weight, "biases.0": linear.bias}
    head.load_state_dict(state)
    features, targets = torch.randn(6, 5), torch.arange(6)
    expected = nn.functional.cross_entropy(linear(features), targets)
    assert_close(head.loss(features, targets), expected)
    assert_close(head.log_prob(features), linear(features).log_softmax(1))


@every_head
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_a_plain_loop_lowers_the_loss(name, optimizer):
    model = make_model(name)
    inputs = torch.randn(12, 4, dtype=torch.float64)
    targets = make_targets(model.head, 12)
    steps, losses = optimizer(model.parameters(), lr=0.05), []
    for _ in range(60):
        steps.zero_grad()
        loss = model(inputs, targets)
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < sum(losses[:10])


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.filterwarnings("ignore")  # of the compiler about itself
def test_compiled_models_compute_the_same(name):
    model = make_model(name)
    inputs = torch.randn(6, 4, dtype=torch.float64)
    targets = make_targets(model.head, 6)
    results = []
    torch._dynamo.reset()
    # Without code generation, which needs a compiler: what it is given is the same.
    for forward in (model, torch.compile(model, backend="aot_eager")):
        torch.manual_seed(1)
        model.zero_grad()
        loss = forward(inputs, targets)
        loss.backward()
        grads = [p.grad for p in model.parameters() if p.requires_grad]
        results.append((loss.detach(), [grad.clone() for grad in grads]))
    assert_close(results[1], results[0])
    topk = torch.compile(model.head.topk, backend="aot_eager")
    features = make_features(6)
    assert_close(topk(features, 3), model.head.topk(features, 3))


@every_head
def test_autocast_models_learn(name):
    model = make_model(name).float()
    inputs = torch.randn(12, 4)
    targets = make_targets(model.head, 12)
    steps, losses = torch.optim.AdamW(model.parameters(), lr=0.05), []
    for _ in range(40):
        steps.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(inputs, targets)
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert sum(losses[-10:]) < sum(losses[:10])


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def train_in_parallel(rank, n_processes, port, models, inputs, targets, queue):
    """Compute the gradients of a share of the samples, averaged over the processes."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"tcp://127.0.0.1:{port}",
        rank=rank,
        world_size=n_processes,
    )
    try:
        found = {}
        for name, model in models.items():
            parallel = DistributedDataParallel(model)
            # The same draws in all processes.
            torch.manual_seed(1)
            parallel(inputs[rank::n_processes], targets[rank::n_processes]).backward()
            trained = (p for p in model.parameters() if p.requires_grad)
            found[name] = [p.grad.numpy() for p in trained]
        if rank == 0:
            queue.put(found)
            queue.get()  # until they were read
        torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()


PARALLEL = {
    "full": lambda: FullHead(5, 11),
    "product": lambda: ProductHead(5, (3, 4), 11),
    "cascade": lambda: CascadeHead(5, (3, 4), 11),
    "joint": lambda: CascadeHead(5, (3, 4), 11, beam_width=1, hard_negatives=True),
    # All groups: the pool is not that of a batch.
    "sampling": lambda: SamplingHead(5, 11, 3, 99),
    "margin": lambda: FullHead(5, 11, margin=Margin("arcface", 0.3, 8.0)),
}


def parallel_task(name):
    """Return a model, and samples for it."""
    torch.manual_seed(0)
    inputs = torch.randn(8, 4, dtype=torch.float64)
    model = Model(PARALLEL[name]()).double()
    return model, inputs, torch.tensor([0, 10, 3, 4, 7, 10, 2, 9])


@pytest.fixture(scope="module")
def parallel_gradients():
    """Return the gradients of two processes, by name of the head."""
    # Not forked: a copy of a process with threads may wait for one that it has not.
    context = torch.multiprocessing.get_context("spawn")
    queue, port = context.Queue(), free_port()
    models = {name: parallel_task(name)[0] for name in PARALLEL}
    _, *samples = parallel_task("full")
    processes = [
        context.Process(
            target=train_in_parallel,
            args=(rank, 2, port, models, *samples, queue),
            # Ends with the tests, whatever happens.
            daemon=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    found = queue.get(timeout=600)
    queue.put(None)
    for process in processes:
        process.join(600)
        assert process.exitcode == 0
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="gloo by TCP is tested on Linux")
@pytest.mark.parametrize("name", PARALLEL)
def test_parallel_processes_have_the_gradients_of_all_samples(name, parallel_gradients):
    model, inputs, targets = parallel_task(name)
    model(inputs, targets).backward()
    expected = [p.grad for p in model.parameters() if p.requires_grad]
    actual = [torch.from_numpy(grad) for grad in parallel_gradients[name]]
    assert_close(actual, expected)
