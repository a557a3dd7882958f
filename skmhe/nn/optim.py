"""An optimiser that only touches the rows a step used."""

import inspect
import itertools

import torch
from torch.optim.adamw import adamw

# The kinds of device for which torch brings a fused step.
FUSED_DEVICES = ("cpu", "cuda", "xpu", "mps")
# Rows of a sparse gradient that are updated at a time.
CHUNK_ROWS = 1024
# Rows that follow each other are updated where they are, if so many do on average.
MIN_RUN = 16


class RowAdamW(torch.optim.Optimizer):
    """AdamW that updates only the rows of a sparse gradient.

    A parameter with a dense gradient gets the usual step [1]_. Of a parameter
    with a sparse (row-wise) gradient, only the rows that the gradient holds are
    read and written, with their moments; all other rows stay as they are: no
    momentum, no weight decay. The bias correction counts the parameter's steps.
    `torch.optim.SparseAdam` does this too, but takes no dense gradients and has no
    weight decay.

    Parameters
    ----------
    params : iterable of Parameter or dict
        What to optimise.
    lr : float, default=1e-3
        Learning rate.
    betas : tuple of (float, float), default=(0.9, 0.999)
        Decay rates of the running means of the gradient and of its square.
    eps : float, default=1e-8
        Added to the denominator.
    weight_decay : float, default=0.0
        Decoupled weight decay.
    lazy : bool, default=False
        Take a row that a sparse gradient leaves out for one whose gradient is 0: its
        mean square and its weights decay as in AdamW, which is made up for when the
        row is used next. So rows that are seldom used, as those of rare words, take
        larger steps. There is no momentum then, and no memory for it: parameters with
        sparse gradients get the steps of AdamW with betas of (0, ``betas[1]``).

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
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        lazy=False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "lazy": lazy,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group):
        """Add parameters with settings of their own; see `torch.optim.Optimizer`."""
        # torch wraps this to keep its compiler out, for which it first imports the
        # compiler: seconds that most programs never need.
        inspect.unwrap(torch.optim.Optimizer.add_param_group)(self, param_group)

    @torch.no_grad()
    def step(self):
        """Perform one step."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._update(param, group)

    def _update(self, param, group):
        state = self.state[param]
        if group["lazy"] and param.grad.is_sparse:
            _lazy_step(param, state, group)
            return
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(param)
            state["exp_avg_sq"] = torch.zeros_like(param)
        tensors = [param, state["exp_avg"], state["exp_avg_sq"]]
        grad = param.grad
        if not grad.is_sparse:
            _adamw(tensors, grad, state["step"], group)
            return
        rows, grad = _distinct_rows(grad)
        if not len(rows):
            state["step"] += 1
            return
        before = state["step"].clone()
        for parts, part_grad in _pieces(tensors, grad, rows):
            # torch's step counts itself.
            state["step"].copy_(before)
            _adamw(parts, part_grad, state["step"], group)


def _lazy_step(param, state, group):
    """Update the rows of a sparse gradient, for all steps since they were last used."""
    if not state:
        state["step"] = torch.zeros(())
        state["exp_avg_sq"] = torch.zeros_like(param)
        # The step of a row's last update.
        state["row_step"] = torch.zeros(len(param), dtype=int, device=param.device)
    state["step"] += 1
    step, lr, beta = int(state["step"]), group["lr"], group["betas"][1]
    rows, grad = _distinct_rows(param.grad)
    tensors = [param, state["exp_avg_sq"], state["row_step"]]
    for (part, exp_avg_sq, row_step), part_grad in _pieces(tensors, grad, rows):
        n_steps = (step - row_step).to(part.dtype)
        n_steps = n_steps.view(-1, *[1] * (part.ndim - 1))
        exp_avg_sq.mul_(beta**n_steps).addcmul_(part_grad, part_grad, value=1 - beta)
        length = (exp_avg_sq / (1 - beta**step)).sqrt_().add_(group["eps"])
        if group["weight_decay"]:
            part.mul_((1 - lr * group["weight_decay"]) ** n_steps)
        part.addcdiv_(part_grad, length, value=-lr)
        row_step.fill_(step)


def _pieces(tensors, grad, rows):
    """Yield parts of the tensors, to be updated in place, and of the gradient."""
    if not len(rows):
        return
    # Where a run of consecutive rows ends and the next one starts.
    breaks = (rows.diff() != 1).nonzero().squeeze(1) + 1
    if len(rows) >= MIN_RUN * (len(breaks) + 1):
        yield from _runs_in_place(tensors, grad, rows, breaks)
    else:
        yield from _copied_chunks(tensors, grad, rows)


def _distinct_rows(grad):
    """Return the sorted distinct rows of a sparse gradient, and their values."""
    rows = grad._indices()[0]
    # autograd forgets that a gradient is coalesced, and summing again takes long.
    if not (grad.is_coalesced() or bool((rows[1:] > rows[:-1]).all())):
        grad = grad.coalesce()
    return grad._indices()[0], grad._values()


def _runs_in_place(tensors, grad, rows, breaks):
    """Yield views of each run of rows, to be updated in place."""
    edges = [0, *breaks.tolist(), len(rows)]
    first = rows[edges[:-1]].tolist()
    for (start, stop), row in zip(itertools.pairwise(edges), first, strict=True):
        parts = [tensor[row : row + stop - start] for tensor in tensors]
        yield parts, grad[start:stop]


def _copied_chunks(tensors, grad, rows):
    """Yield copies of a chunk of rows, and write them back once they are updated.

    A chunk's copies stay in the cache, and are made in the same memory again and
    again; at once, they would take half of the step's time.
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


def _adamw(tensors, grad, step, group):
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
