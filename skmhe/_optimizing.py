"""What moves the weights: optimiser, learning rates, clipping, averaging."""

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from skmhe._backbones import rates_by_name
from skmhe._network import to_tensor
from skmhe.nn import RowAdamW


def make_optimizer(network, plan, state=None):
    """Return the optimiser, going on from a state where one is given."""
    optimizer = RowAdamW(
        _groups(network, plan), lr=plan.learning_rate_init, weight_decay=plan.alpha
    )
    if state is not None:
        # The settings are the plan's, not those of the last time.
        for i, parameter in enumerate(network.parameters()):
            optimizer.state[parameter] = {
                name: to_tensor(array.copy()).to(parameter.device)
                for name, array in state.get(i, {}).items()
            }
    return optimizer


def _groups(network, plan):
    """Return the parameters by learning rate, the plan's own first."""
    rates = {}
    if network.spec.user_backbone is not None:
        own = rates_by_name(network.backbone, plan.backbone_learning_rate)
        rates = {f"backbone.{name}": rate for name, rate in own.items()}
    groups = {plan.learning_rate_init: []}
    for name, parameter in network.named_parameters():
        rate = rates.get(name, plan.learning_rate_init)
        groups.setdefault(rate, []).append(parameter)
    return [
        {"params": members, "lr": rate} for rate, members in groups.items() if members
    ]


def optimizer_state_to_numpy(network, optimizer):
    """Return the moments of each parameter as arrays on no device.

    They may share the optimiser's memory: it must not be used any more.
    """
    return {
        i: {
            name: value.cpu().numpy()
            for name, value in optimizer.state[parameter].items()
        }
        for i, parameter in enumerate(network.parameters())
        if parameter in optimizer.state
    }


def make_schedule(optimizer, name, n_steps):
    """Return torch's schedule of the learning rates over all steps, or None.

    Parameters
    ----------
    optimizer : Optimizer
        With the rates to start from ("one_cycle": the largest ones).
    name : {"constant", "linear", "cosine", "one_cycle"}
        Which; all but the first end at 0, or next to it.
    n_steps : int
        Number of steps.
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
def clip_gradients(parameters, max_norm):
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


def make_average(network, decay):
    """Return a running mean of the network's weights (and buffers), or None.

    Each step moves it by a share of ``1 - decay`` towards the weights; it starts as
    what they are after the first step.
    """
    if decay is None:
        return None
    return AveragedModel(
        network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True
    )
