"""Products of a batch with some rows of a large table, and their gradients."""

from typing import NamedTuple

import torch
import torch.nn.functional as F

# Below so many multiplications for each distinct group, calling a matrix product
# a group costs more than gathering the groups' rows for one batched product.
MIN_WORK_PER_GROUP = 20_000


class SparseRows(NamedTuple):
    """A batch of sparse rows in CSR form, as tensors on one device.

    Attributes
    ----------
    indices : Tensor of int, of shape (n_nonzeros,)
        Feature of each stored value.
    offsets : Tensor of int, of shape (n_rows + 1,)
        Where each row starts; the last is n_nonzeros.
    values : Tensor of float, of shape (n_nonzeros,)
        The stored values.
    n_features : int
        Number of columns.
    """

    indices: torch.Tensor
    offsets: torch.Tensor
    values: torch.Tensor
    n_features: int

    @property
    def shape(self):
        """Numbers of rows and columns."""
        return (len(self.offsets) - 1, self.n_features)

    def to(self, device):
        """Return the same rows on another device."""
        tensors = (t.to(device) for t in self[:3])
        return SparseRows(*tensors, self.n_features)

    def transpose(self):
        """Return the distinct features and the CSR form of their columns."""
        order = torch.argsort(self.indices, stable=True)
        features, counts = torch.unique_consecutive(
            self.indices[order], return_counts=True
        )
        offsets = F.pad(counts.cumsum(0), (1, 0)).to(self.offsets.dtype)
        n_rows = self.shape[0]
        rows = torch.arange(n_rows, device=order.device, dtype=self.indices.dtype)
        rows = torch.repeat_interleave(rows, self.offsets.diff())
        columns = SparseRows(rows[order], offsets, self.values[order], n_rows)
        return features.long(), columns

    def to_compact(self):
        """Return the distinct features and the dense matrix of their columns."""
        features, columns = self.transpose()
        n_rows = self.shape[0]
        position = torch.repeat_interleave(
            torch.arange(len(features), device=features.device), columns.offsets.diff()
        )
        # shape: (n_rows, n_distinct)
        dense = self.values.new_zeros(n_rows, len(features))
        dense.index_put_(
            (columns.indices.long(), position), columns.values, accumulate=True
        )
        return features, dense


def sparse_product(rows, matrix):
    """Multiply sparse rows with a dense matrix of shape (n_features, n_out)."""
    return F.embedding_bag(
        rows.indices,
        matrix,
        rows.offsets,
        mode="sum",
        per_sample_weights=rows.values,
        include_last_offset=True,
    )


def row_gradient(rows, values, shape):
    """Return a sparse gradient that is zero but for some distinct, sorted rows."""
    return torch.sparse_coo_tensor(
        rows[None], values, shape, is_coalesced=True, check_invariants=False
    )


class RowProduct(torch.autograd.Function):
    """``inputs @ weight`` for sparse or dense inputs.

    The gradient of the weight is the product of the transposed batch with the
    gradient of the output. Its only nonzero rows are those of the features which
    the batch holds, so with ``sparse_grad`` just these are computed and returned.
    torch's own backward pass of ``embedding_bag`` computes a row for every stored
    value instead, and sums the equal ones later. Dense inputs get a gradient, the
    values of sparse ones do not.
    """

    @staticmethod
    def forward(ctx, weight, inputs, sparse_grad):
        ctx.inputs, ctx.sparse_grad = inputs, sparse_grad
        ctx.save_for_backward(weight)
        if isinstance(inputs, SparseRows):
            return sparse_product(inputs, weight)
        return inputs @ weight

    @staticmethod
    def backward(ctx, grad_output):
        inputs, grad_output = ctx.inputs, grad_output.contiguous()
        (weight,) = ctx.saved_tensors
        grad_inputs = grad_output @ weight.T if ctx.needs_input_grad[1] else None
        if isinstance(inputs, SparseRows):
            features, columns = inputs.transpose()
            values = sparse_product(columns, grad_output)
        else:
            features = (inputs != 0).any(0).nonzero().squeeze(1)
            if len(features) < inputs.shape[1]:
                inputs = inputs.index_select(1, features)
            values = inputs.T @ grad_output
        # shape of values: (n_distinct, n_out)
        grad = row_gradient(features, values, weight.shape)
        return grad if ctx.sparse_grad else grad.to_dense(), grad_inputs, None


def group_slices(groups):
    """Return [(group, start, stop)] of the runs of a sorted tensor of groups."""
    distinct, counts = torch.unique_consecutive(groups, return_counts=True)
    stops = counts.cumsum(0)
    return list(
        zip(distinct.tolist(), (stops - counts).tolist(), stops.tolist(), strict=True)
    )


class GroupedLinear(torch.autograd.Function):
    """Scores of all children of a group, for pairs of a sample and a group.

    Pairs come sorted by group, so that each group is one matrix product over its
    pairs: the group's rows are read once and nothing is padded, however unequal
    the groups' numbers of pairs are.
    """

    @staticmethod
    def forward(ctx, features, weight, bias, groups, size, sparse_grad):
        # shape of features: (n_pairs, d); weight: (n_children, d); groups: (n_pairs,)
        n_children = len(weight)
        scores = features.new_full((len(features), size), -torch.inf)
        slices = group_slices(groups)
        for group, start, stop in slices:
            first = group * size
            # Beyond the last group there are no children.
            last = max(first, min(first + size, n_children))
            scores[start:stop, : last - first] = torch.addmm(
                bias[first:last], features[start:stop], weight[first:last].T
            )
        ctx.save_for_backward(features, weight, bias)
        ctx.slices, ctx.size, ctx.sparse_grad = slices, size, sparse_grad
        return scores

    @staticmethod
    def backward(ctx, grad_scores):
        features, weight, bias = ctx.saved_tensors
        n_children = len(weight)
        grad_features = torch.empty_like(features)
        rows, grad_rows = [], []
        grad_bias = torch.zeros_like(bias)
        for group, start, stop in ctx.slices:
            first = group * ctx.size
            last = max(first, min(first + ctx.size, n_children))
            grad = grad_scores[start:stop, : last - first]
            grad_features[start:stop] = grad @ weight[first:last]
            grad_rows.append(grad.T @ features[start:stop])
            grad_bias[first:last] = grad.sum(0)
            rows.append(torch.arange(first, last, device=weight.device))
        if not rows:
            return grad_features, torch.zeros_like(weight), grad_bias, *[None] * 3
        grad_weight = row_gradient(torch.cat(rows), torch.cat(grad_rows), weight.shape)
        if not ctx.sparse_grad:
            grad_weight = grad_weight.to_dense()
        return grad_features, grad_weight, grad_bias, None, None, None


def _gathered_linear(features, weight, bias, groups, size):
    """Do the same by gathering each pair's rows: for many groups of little work."""
    # shape: (n_pairs, size)
    children = groups[:, None] * size + torch.arange(size, device=groups.device)
    exists = children < len(weight)
    children = children.clamp(max=len(weight) - 1)
    # shape: (n_pairs, size, d) @ (n_pairs, d, 1)
    scores = torch.bmm(weight[children], features[:, :, None]).squeeze(2)
    return (scores + bias[children]).masked_fill(~exists, -torch.inf)


def grouped_linear(features, samples, groups, weight, bias, size, sparse_grad=False):
    """Score the children of a group for each pair of a sample and a group.

    Parameters
    ----------
    features : Tensor of shape (n_samples, d)
        Features of the samples.
    samples, groups : Tensor of int64, of shape (n_pairs,)
        The pairs, in any order.
    weight : Tensor of shape (n_children, d)
        A row for each child; the children of group g are the rows from
        ``g * size`` on, fewer for the last group.
    bias : Tensor of shape (n_children,)
        A bias for each child.
    size : int
        Number of children of a group.
    sparse_grad : bool, default=False
        Give the weight a sparse gradient, of the rows that were scored.

    Returns
    -------
    Tensor of shape (n_pairs, size)
        Scores; -inf where the last group has no such child.
    """
    n_pairs = len(groups)
    work = n_pairs * size * features.shape[1]
    # Only a table's lookup of a few rows is worth gathering for; in training with
    # sparse gradients the rows of a group must come out once.
    if not (sparse_grad and torch.is_grad_enabled()):
        n_groups = min(n_pairs, -(-len(weight) // size))
        if work < MIN_WORK_PER_GROUP * n_groups:
            pair_features = features.index_select(0, samples)
            return _gathered_linear(pair_features, weight, bias, groups, size)
    order = torch.argsort(groups, stable=True)
    scores = GroupedLinear.apply(
        features.index_select(0, samples[order]),
        weight,
        bias,
        groups[order],
        size,
        sparse_grad,
    )
    # A gather is cheaper than the scatter which would undo the sort.
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(n_pairs, device=order.device)
    return scores.index_select(0, inverse)
