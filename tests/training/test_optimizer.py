"""What moves the weights: optimizer, learning rates, clipping, averaging."""

import copy
import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn
from training_problems import CPU, N, head_spec, make_data, make_network, make_plan, run

from skmhe.scorers.network import Network, NetworkSpec
from skmhe.scorers.user_backbone import UserBackbone
from skmhe.training.optimizer import (
    clip_gradients,
    make_average,
    make_optimizer,
    make_schedule,
    moments_of,
    with_room,
)
from skmhe.training.plan import BackbonePlan


def test_optimizer_goes_on_from_a_state():
    plan = make_plan(batch_size=N, max_iter=1)
    data = make_data()

    together = make_network()
    optimizer = make_optimizer(together, plan)
    run(together, data, plan, optimizer)
    apart = copy.deepcopy(together)
    # It shares memory with the optimizer, which goes on below.
    state = copy.deepcopy(moments_of(together, optimizer))
    fresh = copy.deepcopy(together)
    run(together, data, plan, optimizer)
    run(apart, data, plan, make_optimizer(apart, plan, state))
    run(fresh, data, plan)
    for a, b in zip(together.parameters(), apart.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(together.head.weights[0], fresh.head.weights[0])


def test_optimizer_leaves_the_given_state_alone():
    plan = make_plan(batch_size=N, max_iter=1)
    network = make_network()
    optimizer = make_optimizer(network, plan)
    run(network, make_data(), plan, optimizer)
    state = moments_of(network, optimizer)
    before = copy.deepcopy(state)
    other = make_optimizer(network, plan, state)
    run(network, make_data(), plan, other)
    assert len(before) == len(list(network.parameters()))
    for index, moments in before.items():
        for name, value in moments.items():
            assert_array_equal(value, state[index][name], err_msg=name)


def test_optimizer_has_the_settings_of_the_plan_not_of_the_state():
    network = make_network()
    optimizer = make_optimizer(network, make_plan())
    run(network, make_data(), make_plan(max_iter=1), optimizer)
    plan = make_plan(learning_rate_init=1e-4)
    other = make_optimizer(network, plan, moments_of(network, optimizer))
    assert other.param_groups[0]["lr"] == 1e-4


def test_a_users_backbone_has_rates_and_decay_of_its_own():
    X = make_data().X
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    user = UserBackbone(module, {})
    user = user.probed(user.make(), X, CPU)
    network = Network(NetworkSpec(4, head_spec(), user_backbone=user), user.make())
    rates = {"0.*": 0.25, "2.bias": 0.125}
    plan = make_plan(learning_rate_init=0.5, backbone=BackbonePlan(rates, 0.1))
    names = {parameter: name for name, parameter in network.named_parameters()}
    found = {
        names[parameter]: (group["lr"], group["weight_decay"])
        for group in make_optimizer(network, plan).param_groups
        for parameter in group["params"]
    }
    assert found == {
        "backbone.module.0.weight": (0.25, 0.1),
        "backbone.module.0.bias": (0.25, 0.1),
        "backbone.module.2.weight": (0.5, 0.1),
        "backbone.module.2.bias": (0.125, 0.1),
        "head.weights.0": (0.5, 0.0),
        "head.biases.0": (0.5, 0.0),
    }


@pytest.mark.parametrize("kind", ["full", "cascade"])
def test_moments_of_more_labels_start_at_zero(kind):
    network, plan = make_network(kind), make_plan(max_iter=1)
    optimizer = make_optimizer(network, plan)
    run(network, make_data(), plan, optimizer)
    moments = moments_of(network, optimizer)
    larger = make_network(head=head_spec(kind, n_labels=9, head_sizes=(5, 2)))
    more = with_room(moments, larger)
    assert more.keys() == moments.keys()
    for i, parameter in enumerate(larger.parameters()):
        assert more[i].keys() == moments[i].keys()
        for name, known in moments[i].items():
            found = more[i][name]
            if known.ndim:
                # One number for each row, or for each weight.
                assert found.shape == tuple(parameter.shape)[: known.ndim]
                assert_array_equal(found[len(known) :], 0)
                found = found[: len(known)]
            assert_array_equal(found, known)
    run(larger, make_data(), plan, make_optimizer(larger, plan, more))


# ------------------------------------------------------------ rates and gradients


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25]),
        ("cosine", [(1 + math.cos(math.pi * t / 4)) / 2 for t in range(4)]),
    ],
)
def test_schedules(name, expected):
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.5)
    schedule, rates = make_schedule(optimizer, name, 4), []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule is not None:
            schedule.step()
    assert_allclose(rates, 0.5 * np.array(expected))


def test_one_cycle_rises_to_the_rates_and_falls():
    parameters = [nn.Parameter(torch.ones(1)) for _ in range(2)]
    groups = [
        {"params": [p], "lr": r} for p, r in zip(parameters, (0.5, 0.1), strict=True)
    ]
    optimizer = torch.optim.SGD(groups)
    schedule, rates = make_schedule(optimizer, "one_cycle", 20), []
    for _ in range(20):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    rates = np.array(rates)
    assert_allclose(rates.max(0), [0.5, 0.1])
    assert (rates[[0, -1]] < 0.1 * rates.max(0)).all()


@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_gradients_are_clipped_as_torch_does(max_norm):
    table, dense, unused = (nn.Parameter(torch.randn(5, 2)) for _ in range(3))
    rows, values = torch.tensor([[1, 3, 1]]), torch.randn(3, 2)
    gradient = torch.sparse_coo_tensor(rows, values, (5, 2), check_invariants=True)
    table.grad, dense.grad = gradient.clone(), torch.randn(5, 2)
    twins = [nn.Parameter(torch.zeros(5, 2)) for _ in range(2)]
    twins[0].grad, twins[1].grad = gradient.to_dense(), dense.grad.clone()
    nn.utils.clip_grad_norm_(twins, max_norm)
    clip_gradients([table, dense, unused], max_norm)
    assert_allclose(table.grad.to_dense(), twins[0].grad, rtol=1e-5)
    assert_allclose(dense.grad, twins[1].grad, rtol=1e-5)
    assert unused.grad is None


def test_running_mean_of_the_weights():
    network = make_network()
    assert make_average(network, None) is None
    average, values = make_average(network, 0.75), []
    bias = network.head.biases[0]
    for value in (1.0, 5.0, -3.0):
        with torch.no_grad():
            bias.fill_(value)
        average.update_parameters(network)
        values.append(average.module.head.biases[0][0].item())
    assert_allclose(values, [1, 0.75 + 1.25, 0.75 * 2 - 0.75])
