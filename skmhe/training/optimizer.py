"""What moves the weights: optimizer, learning rates, clipping, averaging."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from skmhe.nn import RowAdamW
from skmhe.scorers.batch import to_tensor
from skmhe.scorers.network import Network
from skmhe.scorers.parameter_names import rates_by_name
from skmhe.scorers.user_backbone import UserModule
from skmhe.training.plan import TrainingPlan

# The moments of each parameter, by its place in the network and their name.
Moments = dict[int, dict[str, np.ndarray]]


def make_optimizer(
    network: Network, plan: TrainingPlan, state: Moments | None = None
) -> RowAdamW:
    """Return the optimizer, going on from a state where one is given."""
    optimizer = RowAdamW(_groups(network, plan), lr=plan.learning_rate_init)
    if state is not None:
        # The settings are the plan's, not those of the last time.
        for i, parameter in enumerate(network.parameters()):
            optimizer.state[parameter] = {
                name: to_tensor(array.copy()).to(parameter.device)
                for name, array in state.get(i, {}).items()
            }
    return optimizer


def _groups(network: Network, plan: TrainingPlan) -> list[dict[str, Any]]:
    """Return the parameters by learning rate and weight decay, the plan's own first."""
    usual = plan.learning_rate_init, 0.0
    own: dict[str, tuple[float, float]] = {}  # rates and decays by name
    for prefix in ("backbone", "label_backbone"):
        part, of_part = getattr(network, prefix), getattr(plan, prefix)
        if isinstance(part, UserModule):
            argument = part.user.argument
            rates = rates_by_name(part.module, of_part.learning_rate, argument)
            own |= {
                f"{prefix}.module.{name}": (
                    rates.get(name, plan.learning_rate_init),
                    of_part.weight_decay,
                )
                for name, _ in part.module.named_parameters()
            }
    groups: dict[tuple[float, float], list[nn.Parameter]] = {usual: []}
    for name, parameter in network.named_parameters():
        groups.setdefault(own.get(name, usual), []).append(parameter)
    return [
        {"params": members, "lr": rate, "weight_decay": decay}
        for (rate, decay), members in groups.items()
        if members
    ]


def with_room(moments: Moments, network: Network) -> Moments:
    """Return moments of a network that has more labels by now, 0 for these."""

    def grown(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        # Of rows there may be one number each.
        shape = shape[: array.ndim]
        missing = [(0, n - m) for n, m in zip(shape, array.shape, strict=True)]
        return np.pad(array, missing)

    shapes = [tuple(parameter.shape) for parameter in network.parameters()]
    return {
        i: {name: grown(a, shapes[i]) if a.ndim else a for name, a in state.items()}
        for i, state in moments.items()
    }


def moments_of(network: Network, optimizer: RowAdamW) -> Moments:
    """Return the moments of each parameter as arrays on no device.

    They may share the optimizer's memory: it must not be used any more.
    """
    return {
        i: {
            name: value.cpu().numpy()
            for name, value in optimizer.state[parameter].items()
        }
        for i, parameter in enumerate(network.parameters())
        if parameter in optimizer.state
    }


def make_schedule(optimizer: torch.optim.Optimizer, name: str, n_steps: int) -> Any:
    """Return torch's schedule of the learning rates over all steps, or None.

    It starts from the optimizer's rates ("one_cycle": these are the largest ones); all
    but "constant" end at 0, or next to it.
    """
    if name == "linear":
        return LambdaLR(optimizer, lambda step: 1 - step / n_steps)
    if name == "cosine":
        return CosineAnnealingLR(optimizer, n_steps)
    if name == "one_cycle":
        largest = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, largest, total_steps=n_steps, cycle_momentum=False)
    return None


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale all gradients so that their common norm is at most `max_norm`.

    As `torch.nn.utils.clip_grad_norm_`, which takes no sparse gradients.
    """
    parts = []
    for parameter in parameters:
        grad = parameter.grad
        if grad is None:
            continue
        if grad.is_sparse:
            # Rows that come twice are one before their norm is taken.
            parameter.grad = grad = grad.coalesce()
        parts.append(grad._values() if grad.is_sparse else grad)
    norm = torch.stack([torch.linalg.vector_norm(part) for part in parts]).norm()
    factor = (max_norm / (norm + 1e-6)).clamp(max=1)
    for part in parts:
        part.mul_(factor)


def make_average(network: Network, decay: float | None) -> AveragedModel | None:
    """Return a running mean of the network's weights (and buffers), or None.

    Each step moves it by a share of ``1 - decay`` towards the weights; it starts as
    what they are after the first step.
    """
    if decay is None:
        return None
    return AveragedModel(
        network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True
    )
