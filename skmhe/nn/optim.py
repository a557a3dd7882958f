"""An optimiser that only touches the rows a step used."""

import torch
from torch.optim.adamw import adamw

# The kinds of device for which torch brings a fused step.
FUSED_DEVICES = ("cpu", "cuda", "xpu", "mps")
# Rows of a sparse gradient that are updated at a time.
CHUNK_ROWS = 1024


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

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self):
        """Perform one step."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._update(param, group)

    def _update(self, param, group):
        state = self.state[param]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(param)
            state["exp_avg_sq"] = torch.zeros_like(param)
        tensors = [param, state["exp_avg"], state["exp_avg_sq"]]
        grad = param.grad
        if not grad.is_sparse:
            _adamw(tensors, grad, state["step"], group)
            return
        grad = grad.coalesce()
        rows, grad = grad.indices()[0], grad.values()
        if len(rows) == len(param):
            _adamw(tensors, grad, state["step"], group)
            return
        self._update_rows(tensors, grad, rows, state["step"], group)

    @staticmethod
    def _update_rows(tensors, grad, rows, step, group):
        """Gather rows for the fused step and write them back, a chunk at a time.

        A chunk's copies stay in the cache, and are made in the same memory again and
        again; at once, they would take half of the step's time.
        """
        buffers = [
            tensor.new_empty(CHUNK_ROWS, *tensor.shape[1:]) for tensor in tensors
        ]
        before = step.clone()
        for start in range(0, len(rows), CHUNK_ROWS):
            chunk = rows[start : start + CHUNK_ROWS]
            parts = [
                torch.index_select(tensor, 0, chunk, out=buffer[: len(chunk)])
                for tensor, buffer in zip(tensors, buffers, strict=True)
            ]
            # torch's step counts itself.
            step.copy_(before)
            _adamw(parts, grad[start : start + CHUNK_ROWS], step, group)
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
