"""An optimizer that only updates the rows that a step has used."""

import inspect
import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from torch.optim.optimizer import ParamsT

# Types of devices for which torch has a fused step.
FUSED_DEVICES = ("cpu", "cuda", "xpu", "mps")
# Rows of a sparse gradient that are updated at a time.
CHUNK_ROWS = 1024
# If runs of consecutive rows have this length on average, they are updated in place.
MIN_RUN = 16

# Parts of tensors, to be updated in place, and the gradient of their rows.
Piece = tuple[list[Tensor], Tensor]


class RowAdamW(torch.optim.Optimizer):
    """AdamW that updates only the rows of a sparse gradient.

    A parameter with a dense gradient gets the usual step [1]_. Of one with a sparse
    (row-wise) gradient, only the rows that the gradient holds and their moments are
    read and written. All other rows stay as they are, without momentum or weight decay.
    The bias correction counts the parameter's steps. `torch.optim.SparseAdam` is
    similar, but takes no dense gradients and has no weight decay.

    Parameters
    ----------
    params : iterable of Parameter or dict
        What to optimize.
    lr : float, default=1e-3
        Learning rate.
    betas : tuple of (float, float), default=(0.9, 0.999)
        Decay rates of the running means of the gradient and of its square.
    eps : float, default=1e-8
        Added to the denominator.
    weight_decay : float, default=0.0
        Decoupled weight decay.
    lazy : bool, default=False
        Whether rows that a sparse gradient does not hold count as rows with a gradient
        of 0: their mean squares and weights decay as in AdamW, which is made up for
        when a row is used next. Rarely used rows, such as those of rare words, then
        take larger steps. There is no momentum: parameters with sparse gradients get
        the steps of AdamW with betas of (0, ``betas[1]``).

    References
    ----------
    .. [1] Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
       ICLR 2019, algorithm 2.

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
        lazy: bool = False,
    ) -> None:
        numbers = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**numbers, "lazy": lazy})

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
        if group["lazy"] and grad.is_sparse:
            _lazy_step(param, grad, state, group)
            return
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(param)
            state["exp_avg_sq"] = torch.zeros_like(param)
        tensors = [param, state["exp_avg"], state["exp_avg_sq"]]
        if not grad.is_sparse:
            _adamw(tensors, grad, state["step"], group)
            return
        # Each of torch's steps counts itself.
        before = state["step"].clone()
        state["step"] += 1
        for parts, part_grad in _pieces(tensors, grad):
            state["step"].copy_(before)
            _adamw(parts, part_grad, state["step"], group)


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


def _lazy_step(
    param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    """Update the rows of a sparse gradient for all steps since they were last used."""
    if not state:
        state["step"] = torch.zeros(())
        state["exp_avg_sq"] = torch.zeros_like(param)
        # The step of a row's last update.
        state["row_step"] = torch.zeros(
            len(param), dtype=torch.int64, device=param.device
        )
    state["step"] += 1
    step, lr, beta = int(state["step"]), group["lr"], group["betas"][1]
    tensors = [param, state["exp_avg_sq"], state["row_step"]]
    for (part, exp_avg_sq, row_step), part_grad in _pieces(tensors, grad):
        n_steps = (step - row_step).to(part.dtype)
        n_steps = n_steps.view(-1, *[1] * (part.ndim - 1))
        exp_avg_sq.mul_(beta**n_steps).addcmul_(part_grad, part_grad, value=1 - beta)
        length = (exp_avg_sq / (1 - beta**step)).sqrt_().add_(group["eps"])
        if group["weight_decay"]:
            part.mul_((1 - lr * group["weight_decay"]) ** n_steps)
        part.addcdiv_(part_grad, length, value=-lr)
        row_step.fill_(step)


def _pieces(tensors: list[Tensor], grad: Tensor) -> Iterator[Piece]:
    """Yield the distinct rows of a sparse gradient, and of tensors, piece by piece."""
    rows = grad._indices()[0]
    # autograd forgets that a gradient is coalesced, and coalescing is slow.
    if not (grad.is_coalesced() or bool((rows[1:] > rows[:-1]).all())):
        grad = grad.coalesce()
    rows, values = grad._indices()[0], grad._values()
    if not len(rows):
        return
    # Where a run of consecutive rows ends and the next one starts.
    breaks = (rows.diff() != 1).nonzero().squeeze(1) + 1
    if len(rows) >= MIN_RUN * (len(breaks) + 1):
        yield from _runs_in_place(tensors, values, rows, breaks)
    else:
        yield from _copied_chunks(tensors, values, rows)


def _runs_in_place(
    tensors: list[Tensor], grad: Tensor, rows: Tensor, breaks: Tensor
) -> Iterator[Piece]:
    """Yield views of each run of consecutive rows."""
    edges = [0, *breaks.tolist(), len(rows)]
    first = rows[edges[:-1]].tolist()
    for (start, stop), row in zip(itertools.pairwise(edges), first, strict=True):
        parts = [tensor[row : row + stop - start] for tensor in tensors]
        yield parts, grad[start:stop]


def _copied_chunks(
    tensors: list[Tensor], grad: Tensor, rows: Tensor
) -> Iterator[Piece]:
    """Yield copies of chunks of rows, and write them back once they are updated.

    The copies are made in the same memory each time and stay in the cache; copying all
    rows at once would take half of the step's time.
    """
    buffers = [tensor.new_empty(CHUNK_ROWS, *tensor.shape[1:]) for tensor in tensors]
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = rows[start : start + CHUNK_ROWS]
        parts = [
            torch.index_select(tensor, 0, chunk, out=buffer[: len(chunk)])
            for tensor, buffer in zip(tensors, buffers, strict=True)
        ]
        yield parts, grad[start : start + CHUNK_ROWS]
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.index_copy_(0, chunk, part)


def _adamw(
    tensors: list[Tensor], grad: Tensor, step: Tensor, group: dict[str, Any]
) -> None:
    """Run torch's step in place on [param, exp_avg, exp_avg_sq]."""
    param, exp_avg, exp_avg_sq = tensors
    beta1, beta2 = group["betas"]
    fused = param.device.type in FUSED_DEVICES
    if fused and step.device != param.device:
        step.data = step.to(param.device)
    adamw(
        [param],
        [grad],
        [exp_avg],
        [exp_avg_sq],
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
