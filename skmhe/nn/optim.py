"""An optimizer that only updates the rows that a step has used."""

import inspect
import math
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from torch.optim.optimizer import ParamsT

# Types of devices for which torch has a fused step.
FUSED_DEVICES = ("cpu", "cuda", "xpu", "mps")
# Elements of rows that are updated at a time. What is computed of them then takes the
# memory of the last ones; of more, the system would have to provide it anew.
CHUNK_ELEMENTS = 2**21


class RowAdamW(torch.optim.Optimizer):
    """AdamW that updates only the rows of a sparse gradient, one rate for each row.

    A parameter with a dense gradient gets the usual step [1]_. Of one with a sparse
    (row-wise) gradient, such as the weights of features or labels of which a step uses
    a few, only the rows that the gradient holds are read and written. Such a row has
    one number of state, the running mean v of the mean square of its gradient g, as in
    row-wise AdaGrad [2]_, and takes a step of ``-lr * g / (sqrt(v) + eps)``. All other
    rows stay as they are, without momentum or weight decay. The bias correction of v
    counts the parameter's steps. Compared to two moments of each weight, a step
    reads and writes one array of rows instead of three, and nearly nothing is kept.

    Parameters
    ----------
    params : iterable of Parameter or dict
        What to optimize.
    lr : float, default=1e-3
        Learning rate.
    betas : tuple of (float, float), default=(0.9, 0.999)
        Decay rates of the running means of the gradient, for dense gradients only, and
        of its square.
    eps : float, default=1e-8
        Added to the denominator.
    weight_decay : float, default=0.0
        Decoupled weight decay.

    References
    ----------
    .. [1] Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
       ICLR 2019, algorithm 2.
    .. [2] Mudigere et al., "Software-Hardware Co-design for Fast and Scalable Training
       of Deep Learning Recommendation Models", ISCA 2022.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import RowAdamW
    >>> table = torch.nn.Embedding(4, 2, sparse=True)
    >>> before = table.weight.detach().clone()
    >>> optimizer = RowAdamW(table.parameters(), lr=0.1)
    >>> table(torch.tensor([1, 3])).sum().backward()
    >>> optimizer.step()
    >>> (table.weight != before).any(dim=1)
    tensor([False,  True, False,  True])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        numbers = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, numbers)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own; see `torch.optim.Optimizer`."""
        _check_settings(self.defaults | param_group)
        # torch's wrapper disables its compiler here, and imports it to do so, which
        # takes seconds.
        inspect.unwrap(torch.optim.Optimizer.add_param_group)(self, param_group)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Perform one step."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._update(param, param.grad, group)

    def _update(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[param]
        if not state:
            state["step"] = torch.zeros(())
            if grad.is_sparse:
                state["exp_avg_sq"] = param.new_zeros(len(param))
            else:
                state["exp_avg"] = torch.zeros_like(param)
                state["exp_avg_sq"] = torch.zeros_like(param)
        if grad.is_sparse == ("exp_avg" in state):
            raise RuntimeError(
                "The gradients of a parameter must be all dense or all sparse: it has "
                "moments of each weight, or one of each row."
            )
        if grad.is_sparse:
            _row_step(param, grad, state, group)
        else:
            _adamw(param, grad, state, group)


def _check_settings(group: dict[str, Any]) -> None:
    """Raise ValueError for numbers with which no step can be made."""
    for name in ("lr", "eps", "weight_decay"):
        if not 0 <= group[name] < math.inf:  # nor NaN
            raise ValueError(
                f"{name} must be a finite number of at least 0, got {group[name]!r}."
            )
    betas = tuple(group["betas"])
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas must be two numbers in [0, 1), got {betas!r}.")


def _row_step(
    param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    """Update the rows of a sparse gradient in place."""
    rows = grad._indices()[0]
    # autograd forgets that a gradient is coalesced, and coalescing is slow.
    if not (grad.is_coalesced() or bool((rows[1:] > rows[:-1]).all())):
        grad = grad.coalesce()
    state["step"] += 1
    # shape of values: (n_rows, ...)
    rows, values = grad._indices()[0], grad._values()
    if not len(rows):
        return
    n = max(1, CHUNK_ELEMENTS // values[0].numel())
    for chunk in zip(rows.split(n), values.split(n), strict=True):
        _move_rows(param, *chunk, state, group)


def _move_rows(
    param: Tensor,
    rows: Tensor,
    values: Tensor,
    state: dict[str, Any],
    group: dict[str, Any],
) -> None:
    """Update some rows, given their gradients of shape (n_rows, ...)."""
    beta, lr = group["betas"][1], group["lr"]
    lengths = torch.linalg.vector_norm(values.view(len(rows), -1), dim=1)
    squares = lengths.square_().div_(values[0].numel())
    mean = state["exp_avg_sq"][rows].lerp_(squares, 1 - beta)
    state["exp_avg_sq"][rows] = mean
    scale = (mean / (1 - beta ** int(state["step"]))).sqrt_().add_(group["eps"])
    if group["weight_decay"]:
        param.index_add_(0, rows, param[rows], alpha=-lr * group["weight_decay"])
    # A row whose gradient has always been 0 does not move, even with eps=0.
    factor = torch.where(scale > 0, -lr / scale, 0.0)
    param.index_add_(0, rows, values * factor.view(-1, *[1] * (values.ndim - 1)))


def _adamw(
    param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    """Run torch's step in place."""
    beta1, beta2 = group["betas"]
    fused = param.device.type in FUSED_DEVICES
    step = state["step"]
    if fused and step.device != param.device:
        step.data = step.to(param.device)
    adamw(
        [param],
        [grad],
        [state["exp_avg"]],
        [state["exp_avg_sq"]],
        [],
        [step],
        foreach=False,
        fused=fused,
        amsgrad=False,
        beta1=beta1,
        beta2=beta2,
        lr=group["lr"],
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        maximize=False,
    )
