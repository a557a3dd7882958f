"""A full table that is trained on a pool of labels."""

import torch
import torch.nn.functional as F

from skmhe.nn._precision import linear, product, product_dtype
from skmhe.nn._rows import grouped_linear, row_gradient
from skmhe.nn.heads._base import bernoulli_losses
from skmhe.nn.heads.full import FullHead


class PoolProduct(torch.autograd.Function):
    """``features @ weight[pool].T + bias[pool]`` with sparse gradients."""

    @staticmethod
    def forward(ctx, features, weight, bias, pool):
        """Return the scores of the pool, shape (n, n_pool)."""
        rows = weight.index_select(0, pool)
        ctx.save_for_backward(features, rows, pool)
        ctx.shapes, ctx.dtype = (weight.shape, bias.shape), product_dtype(weight)
        if ctx.dtype is None:
            return torch.addmm(bias[pool], features, rows.T)
        return product(features, rows.T, ctx.dtype) + bias[pool]

    @staticmethod
    def backward(ctx, grad_output):
        """Return the gradients; those of the table and bias have the pool's rows."""
        features, rows, pool = ctx.saved_tensors
        weight_shape, bias_shape = ctx.shapes
        grad_features = None
        if ctx.needs_input_grad[0]:
            grad_features = product(grad_output, rows, ctx.dtype)
        grad_rows = product(grad_output.T, features, ctx.dtype)
        return (
            grad_features,
            row_gradient(pool, grad_rows.to(rows.dtype), weight_shape),
            row_gradient(pool, grad_output.sum(0), bias_shape),
            None,
        )


class SamplingHead(FullHead):
    """`FullHead`'s scores, trained on a pool of labels (MHS in [1]_).

    Labels are divided into G groups of `group_size` consecutive ones (those that
    share all digits but the last). The pool of a training step, shared by its
    samples, holds the batch's true labels and all labels of m drawn groups, and is
    scored by one dense product. The logarithm of the probability that a label is in
    the pool, as a sample's wrong label, is subtracted from its score, so that the
    scores estimate those of the full loss (the sampled softmax's correction [2]_;
    for several labels a sample, the odds of a case-control study). With m = G the
    loss is that of `FullHead`.

    Predictions score all labels, as `FullHead` does; `topk` only those of some groups,
    where offsets (see `Offsets.groups`) know that the best ones are there.

    Parameters
    ----------
    in_features : int
        Number d of features.
    n_labels : int
        Number C of labels.
    group_size : int
        Number of labels of a group.
    n_sampled_groups : int, default=8
        Number m of groups that a step draws. The larger, the nearer the full loss
        and the dearer a step. Capped at the number of groups.
    multilabel : bool, default=False
        Whether a sample may have any number of labels.
    sparse_grad : bool, default=False
        Give the table a sparse gradient, of the rows that were scored.

    Attributes
    ----------
    frequencies : Tensor of shape (n_labels,)
        Share of the samples that have each label, by `set_prior`; before it, that
        of labels which are all as frequent.

    References
    ----------
    .. [1] Liang et al., "Multi-Head Encoding for Extreme Label Classification",
       TPAMI 2025, arXiv:2412.10182, section 3.4.
    .. [2] Bengio & Senecal, "Adaptive Importance Sampling to Accelerate Training of a
       Neural Probabilistic Language Model", IEEE Transactions on Neural Networks
       2008.

    Examples
    --------
    >>> import torch
    >>> from skmhe.nn import SamplingHead
    >>> head = SamplingHead(4, n_labels=11, group_size=3, n_sampled_groups=2)
    >>> head.n_groups
    4
    >>> head.loss(torch.ones(2, 4), torch.tensor([0, 10])).shape
    torch.Size([])
    """

    def __init__(
        self,
        in_features,
        n_labels,
        group_size,
        n_sampled_groups=8,
        multilabel=False,
        sparse_grad=False,
    ):
        super().__init__(in_features, n_labels, multilabel, sparse_grad)
        if not 1 <= group_size <= n_labels:
            raise ValueError(
                f"group_size must be in 1..{n_labels} (n_labels), got {group_size}."
            )
        if n_sampled_groups < 1:
            raise ValueError(
                f"n_sampled_groups must be at least 1, got {n_sampled_groups}."
            )
        self.group_size = group_size
        self.n_groups = -(-n_labels // group_size)
        self.n_sampled_groups = min(n_sampled_groups, self.n_groups)
        self.register_buffer("frequencies", torch.full((n_labels,), 1 / n_labels))

    @torch.no_grad()
    def set_prior(self, label_counts, n_samples):
        """Start the biases from how frequent the labels are, and keep these.

        Parameters
        ----------
        label_counts : Tensor of shape (n_labels,)
            (Weighted) number of samples of each label.
        n_samples : float
            (Weighted) number of samples.
        """
        super().set_prior(label_counts, n_samples)
        self.frequencies.copy_(label_counts / n_samples)

    def _sample_losses(self, features, weights, targets):
        true = targets.labels if self.multilabel else targets
        pool = self._pool(true)
        if self.sparse_grad and weights[0].is_leaf:
            scores = PoolProduct.apply(features, weights[0], self.biases[0], pool)
        else:
            rows = weights[0].index_select(0, pool)
            scores = linear(features, rows, self.biases[0][pool])
        if self.offsets is not None:
            scores = scores + self.offsets.pool(pool)
        # shape: (n, n_pool)
        scores = scores - self._log_inclusion(pool, len(features))
        places = torch.searchsorted(pool, true)
        if self.multilabel:
            return bernoulli_losses(scores, targets._replace(labels=places))
        return F.cross_entropy(scores, places, reduction="none")

    def _topk(self, features, weights, k, exact):
        groups = None if exact or self.offsets is None else self.offsets.groups()
        if groups is None or groups.shape[1] <= -(-k // self.group_size):
            return super()._topk(features, weights, k, exact)
        n, n_groups = groups.shape
        samples = torch.arange(n, device=groups.device).repeat_interleave(n_groups)
        # shape: (n, n_groups, group_size)
        scores = grouped_linear(
            features,
            samples,
            groups.flatten(),
            weights[0],
            self.biases[0],
            self.group_size,
        ).view(n, n_groups, -1)
        scores = self._with_added(self.offsets.join(scores, groups).flatten(1))
        scores = F.logsigmoid(scores) if self.multilabel else scores.log_softmax(1)
        best, places = scores.topk(k, dim=1)
        n_places = n_groups * self.group_size
        inside = places.clamp(max=n_places - 1)
        chosen = groups.gather(1, inside // self.group_size)
        labels = chosen * self.group_size + inside % self.group_size
        added = places - n_places
        return torch.where(added < 0, labels, self.n_labels + added), best

    def _pool(self, true):
        """Return the sorted labels of a step."""
        wanted = torch.zeros(
            self.n_groups * self.group_size, dtype=torch.bool, device=true.device
        )
        # By torch's generator, like dropout.
        drawn = torch.randperm(self.n_groups, device=true.device)
        wanted.view(self.n_groups, -1)[drawn[: self.n_sampled_groups]] = True
        wanted[true] = True
        return wanted[: self.n_labels].nonzero().squeeze(1)

    def _log_inclusion(self, pool, n_samples):
        """Return log P(label in the pool) for labels that a sample does not have.

        Not in a drawn group, and no label of any of the other samples.
        """
        missed = 1 - self.n_sampled_groups / self.n_groups
        others = (1 - self.frequencies[pool]).clamp(min=0) ** (n_samples - 1)
        # A label that is in the pool by its own sample only cannot have less.
        least = 1 / (self.n_labels + n_samples)
        return (1 - missed * others).clamp(min=least).log()

    def extra_repr(self):
        """Return the sizes, for the module's repr."""
        return (
            f"{super().extra_repr()}, group_size={self.group_size}, "
            f"n_sampled_groups={self.n_sampled_groups}"
        )
