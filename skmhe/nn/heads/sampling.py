"""A full table that is trained on a pool of labels."""

import torch
import torch.nn.functional as F

from skmhe.nn._precision import linear, product, product_dtype
from skmhe.nn._rows import grouped_linear, row_gradient
from skmhe.nn.heads._base import bernoulli_losses
from skmhe.nn.heads.full import FullHead

POOL_LABELS = "batch", "batch_and_own_group", "batch_groups", "own_group"


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
    share all digits but the last). The pool of a training step holds all labels of m
    drawn groups and, by `pool_labels`, labels that are near the batch's; it is scored
    by one dense product. The logarithm of the probability that a label is in the pool,
    as a sample's wrong label, is subtracted from its score, so that the scores estimate
    those of the full loss (the sampled softmax's correction [2]_; for several labels a
    sample, the odds of a case-control study). With m = G the loss is that of
    `FullHead`.

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
        and the dearer a step. Capped at the number of groups. May be 0, but for
        ``pool_labels="own_group"``.
    multilabel : bool, default=False
        Whether a sample may have any number of labels.
    sparse_grad : bool, default=False
        Give the table a sparse gradient, of the rows that were scored.
    margin : Margin, default=None
        See `FullHead`.
    pool_labels : {"batch", "batch_and_own_group", "batch_groups", "own_group"}, \
            default="batch"
        Which labels a step scores beside those of the drawn groups.

        - "batch": the true labels of the batch, for all samples.
        - "batch_and_own_group": these, and for each sample all labels of its own
          label's group, which are never left out and so are not corrected. Where
          similar labels share a group, these are the ones that are hard to tell apart.
          For one label a sample, without a margin.
        - "batch_groups": all labels of the groups of these, for all samples.
        - "own_group": for each sample, those of the groups of its own labels, as [1]_
          has it.

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
        margin=None,
        pool_labels="batch",
    ):
        super().__init__(in_features, n_labels, multilabel, sparse_grad, margin)
        if not 1 <= group_size <= n_labels:
            raise ValueError(
                f"group_size must be in 1..{n_labels} (n_labels), got {group_size}."
            )
        if pool_labels not in POOL_LABELS:
            raise ValueError(
                f"pool_labels must be one of {', '.join(map(repr, POOL_LABELS))}, got "
                f"{pool_labels!r}."
            )
        if pool_labels == "batch_and_own_group" and (multilabel or margin is not None):
            raise ValueError(
                f"pool_labels={pool_labels!r} is for one label a sample and no margin, "
                f"got multilabel={multilabel} and margin={margin}: use pool_labels="
                "'batch', 'batch_groups' or 'own_group'."
            )
        least = int(pool_labels == "own_group")
        if n_sampled_groups < least:
            raise ValueError(
                f"n_sampled_groups must be at least {least} with pool_labels="
                f"{pool_labels!r}, got {n_sampled_groups}."
            )
        self.pool_labels = pool_labels
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
        drawn = self._draw(true.device)
        pool = self._pool(true, drawn)
        places = torch.searchsorted(pool, true.contiguous())
        scores = self._pool_scores(features, weights[0], pool, places)
        if self.offsets is not None:
            scores = scores + self.offsets.pool(pool)
        # shape: (n, n_pool)
        scores = scores - self._log_inclusion(pool, len(features))
        if self.pool_labels == "batch_and_own_group":
            return self._stratified_losses(features, weights[0], pool, scores, targets)
        if self.pool_labels == "own_group":
            scores = scores.masked_fill(
                ~self._own(pool, drawn, targets, len(features)), -torch.inf
            )
        if self.multilabel:
            return bernoulli_losses(scores, targets._replace(labels=places))
        return F.cross_entropy(scores, places, reduction="none")

    def _stratified_losses(self, features, weight, pool, scores, targets):
        """Return the losses where each sample's own group is scored in full."""
        groups = targets // self.group_size
        samples = torch.arange(len(features), device=pool.device)
        # shape: (n, group_size)
        own = grouped_linear(
            features,
            samples,
            groups,
            weight,
            self.biases[0],
            self.group_size,
            sparse_grad=self.sparse_grad and weight.is_leaf,
        )
        if self.offsets is not None:
            own = own + self.offsets.members(groups[:, None])[:, 0]
        is_own = pool // self.group_size == groups[:, None]
        scores = torch.cat([own, scores.masked_fill(is_own, -torch.inf)], dim=1)
        return F.cross_entropy(scores, targets % self.group_size, reduction="none")

    def _pool_scores(self, features, weight, pool, places):
        """Return the scores of the pool to train with, shape (n, n_pool)."""
        sparse = self.sparse_grad and weight.is_leaf
        if self.margin is not None:
            rows = F.embedding(pool, weight, sparse=sparse)
            return self._cosine_scores(features, rows, places)
        if sparse:
            return PoolProduct.apply(features, weight, self.biases[0], pool)
        return linear(features, weight.index_select(0, pool), self.biases[0][pool])

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

    def _draw(self, device):
        """Return which groups a step draws, shape (n_groups,)."""
        drawn = torch.zeros(self.n_groups, dtype=torch.bool, device=device)
        # By torch's generator, like dropout.
        order = torch.randperm(self.n_groups, device=device)
        drawn[order[: self.n_sampled_groups]] = True
        return drawn

    def _pool(self, true, drawn):
        """Return the sorted labels of a step."""
        wanted = drawn[:, None].repeat(1, self.group_size)
        if self.pool_labels in ("batch", "batch_and_own_group"):
            wanted.view(-1)[true] = True
        else:
            wanted[true // self.group_size] = True
        return wanted.view(-1)[: self.n_labels].nonzero().squeeze(1)

    def _own(self, pool, drawn, targets, n_samples):
        """Return which labels of the pool are each sample's, shape (n, n_pool)."""
        if self.multilabel:
            samples, true = targets.samples, targets.labels
        else:
            samples, true = torch.arange(n_samples, device=pool.device), targets
        own = drawn.repeat(n_samples, 1)  # shape: (n, n_groups)
        own[samples, true // self.group_size] = True
        return own[:, pool // self.group_size]

    def _log_inclusion(self, pool, n_samples):
        """Return log P(label in the pool) for labels that a sample does not have.

        Not in a drawn group, and no label of any of the other samples (nor, by
        `pool_labels`, any label of its group).
        """
        missed = 1 - self.n_sampled_groups / self.n_groups
        if self.pool_labels in ("batch", "batch_and_own_group"):
            others = (1 - self.frequencies[pool]).clamp(min=0) ** (n_samples - 1)
        elif self.pool_labels == "batch_groups":
            others = self._absent(pool) ** (n_samples - 1)
        elif self.multilabel:
            others = self._absent(pool)  # as no other label of the sample
        else:
            # The same for all labels but those of the sample's own group, which would
            # have it, too, if they were its true ones.
            return self.frequencies.new_zeros(len(pool))
        # A label that is in the pool by its own sample only cannot have less.
        least = 1 / (self.n_labels + n_samples)
        return (1 - missed * others).clamp(min=least).log()

    def _absent(self, pool):
        """Return the share of samples that have no label of each pooled one's group."""
        rest = self.n_groups * self.group_size - self.n_labels
        by_group = F.pad(self.frequencies, (0, rest)).view(self.n_groups, -1)
        if self.multilabel:
            absent = (1 - by_group).clamp(min=0).prod(1)
        else:
            absent = (1 - by_group.sum(1)).clamp(min=0)
        return absent[pool // self.group_size]

    def extra_repr(self):
        """Return the sizes, for the module's repr."""
        return (
            f"{super().extra_repr()}, group_size={self.group_size}, "
            f"n_sampled_groups={self.n_sampled_groups}, "
            f"pool_labels={self.pool_labels!r}"
        )
