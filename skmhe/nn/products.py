"""Products of a batch with a large table, or with some of its rows.

Under `torch.autocast`, only the factors of matrix products are rounded to 16 bits, and
not of those with large groups of rows, one after the other. All that follows, such as
biases, softmax and losses, keeps the dtype of the parameters: scores with 8 bits of
precision could not tell labels of similar probability apart.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from skmhe.nn.sparse_rows import SparseRows, sparse_product

# With fewer multiplications per distinct group than this, sorting the pairs into
# blocks costs more than gathering each pair's rows.
MIN_WORK_PER_GROUP = 5_000
# Elements of a group's weight from which it is read where it is, not copied.
MIN_SLICE_ELEMENTS = 2**13
# Pairs of a block: the power of two above the groups' mean, between these.
MIN_BLOCK, MAX_BLOCK = 8, 64
# Elements of the weight that are gathered at a time: 2 MiB in float32.
CHUNK_ELEMENTS = 2**19

# For each group, its first pair and their number, and the same of its children.
Slices: TypeAlias = list[tuple[tuple[int, int], tuple[int, int]]]


def product_dtype(tensor: Tensor) -> torch.dtype | None:
    """Return the dtype that `torch.autocast` asks for; None outside of it."""
    kind = tensor.device.type
    # Other devices ("meta") may not know what autocast is.
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)


def product(a: Tensor, b: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Return ``a @ b`` in the dtype of `b`, of factors rounded to a dtype, if any."""
    if dtype is None:
        return a @ b
    if a.ndim != 2:
        return (a.to(dtype) @ b.to(dtype)).to(b.dtype)
    found = _rounded(a, dtype) @ _rounded(b, dtype)
    return found[: a.shape[0], : b.shape[1]].to(b.dtype)


def usual_size(n: int) -> int:
    """Return the next size that has five significant bits: at most 1/16 larger."""
    step = 1 << max(0, n.bit_length() - 5)
    return -(-n // step) * step


def _rounded(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a matrix in another dtype, padded by 0 to usual sizes.

    oneDNN compiles a product of 16 bits for each combination of sizes, which takes time
    as well, and keeps the last thousand, about a MiB each: pools of labels have another
    size in each step.
    """
    n, m = map(usual_size, matrix.shape)
    if (n, m) == matrix.shape:
        return matrix.to(dtype)
    if matrix.stride(0) < matrix.stride(1):
        return _rounded(matrix.T, dtype).T
    padded = matrix.new_zeros(n, m, dtype=dtype)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded


def product_into(out: Tensor, a: Tensor, b: Tensor, dtype: torch.dtype | None) -> None:
    """Write the `product` of two batches of matrices into a tensor."""
    if dtype is None:
        torch.bmm(a, b, out=out)
    else:
        out.copy_(torch.bmm(a.to(dtype), b.to(dtype)))


def linear(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``features @ weight.T + bias`` in the dtype of the bias."""
    if product_dtype(weight) is None:
        return F.linear(features, weight, bias)
    return F.linear(features, weight).to(bias.dtype) + bias


def row_gradient(rows: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    """Return a sparse gradient whose nonzero rows are given, distinct and sorted."""
    return torch.sparse_coo_tensor(
        rows[None], values, shape, is_coalesced=True, check_invariants=False
    )


class RowProduct(torch.autograd.Function):
    """``inputs @ weight`` for sparse or dense inputs.

    The gradient of the weight is the product of the transposed batch and the gradient
    of the output. Only the rows of features that occur in the batch are nonzero, and
    with ``sparse_grad`` only these are computed and returned. (The backward pass of
    torch's ``embedding_bag`` computes a row for every stored value and adds up equal
    ones later.) Dense inputs get a gradient, the values of sparse ones do not.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, inputs: Tensor | SparseRows, sparse_grad: bool
    ) -> Tensor:
        """Return the product, shape (n, n_out)."""
        ctx.inputs, ctx.sparse_grad = inputs, sparse_grad
        ctx.dtype = product_dtype(weight)
        ctx.save_for_backward(weight)
        if isinstance(inputs, SparseRows):
            return sparse_product(inputs, weight)
        return product(inputs, weight, ctx.dtype)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        """Return the gradients of the weight and of dense inputs."""
        inputs, grad_output = ctx.inputs, grad_output.contiguous()
        (weight,) = ctx.saved_tensors
        grad_inputs = None
        if ctx.needs_input_grad[1]:
            grad_inputs = product(grad_output, weight.T, ctx.dtype)
        if isinstance(inputs, SparseRows):
            features, columns = inputs.transpose()
            values = sparse_product(columns, grad_output)
        else:
            features = (inputs != 0).any(0).nonzero().squeeze(1)
            if len(features) < inputs.shape[1]:
                inputs = inputs.index_select(1, features)
            values = product(inputs.T, grad_output, ctx.dtype)
        # shape of values: (n_distinct, n_out)
        grad = row_gradient(features, values, weight.shape)
        return grad if ctx.sparse_grad else grad.to_dense(), grad_inputs, None


class PairBlocks(NamedTuple):
    """(sample, group) pairs, sorted by group, in blocks of equal length.

    A block holds pairs of one group, so that all blocks are one batched product. A
    group with many pairs has several blocks: padding every group to the largest one
    would cost more than the product.
    """

    groups: Tensor  # shape: (n_groups,), distinct and sorted
    pair_group: Tensor  # shape: (n_pairs,), position in `groups`
    block_group: Tensor  # shape: (n_blocks,), position in `groups`, sorted
    slots: Tensor  # shape: (n_pairs,), place among n_blocks * length
    length: int

    @classmethod
    def from_sorted(cls, pair_groups: Tensor) -> "PairBlocks":
        """Lay out the pairs of a sorted tensor of groups."""
        device = pair_groups.device
        groups, pair_group, counts = torch.unique_consecutive(
            pair_groups, return_inverse=True, return_counts=True
        )
        mean = len(pair_groups) / max(len(groups), 1)
        length = MIN_BLOCK
        while length < min(mean, MAX_BLOCK):
            length *= 2
        n_blocks = torch.div(counts + length - 1, length, rounding_mode="floor")
        first_slot = (n_blocks.cumsum(0) - n_blocks) * length
        first_pair = counts.cumsum(0) - counts
        slots = torch.arange(len(pair_groups), device=device)
        slots = slots + (first_slot - first_pair)[pair_group]
        positions = torch.arange(len(groups), device=device)
        block_group = torch.repeat_interleave(positions, n_blocks)
        return cls(groups, pair_group, block_group, slots, length)

    def spread(self, values: Tensor) -> Tensor:
        """Lay (n_pairs, m) values out as (n_blocks, length, m), padded by 0."""
        n_blocks, width = len(self.block_group), values.shape[1]
        padded = values.new_zeros(n_blocks * self.length, width)
        padded.index_copy_(0, self.slots, values)
        return padded.view(n_blocks, self.length, width)

    def collect(self, blocks: Tensor) -> Tensor:
        """Undo `spread`."""
        return blocks.flatten(0, 1).index_select(0, self.slots)

    def sum_by_group(self, values: Tensor) -> Tensor:
        """Sum the values of blocks (first axis) by group."""
        sums = values.new_zeros(len(self.groups), *values.shape[1:])
        return sums.index_add_(0, self.block_group, values)

    def chunks(
        self, weight: Tensor, children: Tensor
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield slices of blocks and their rows of the weight, shape (n, size, d).

        As many blocks at a time as fit the cache.
        """
        size, d = children.shape[1], weight.shape[1]
        n_blocks = len(self.block_group)
        step = max(1, CHUNK_ELEMENTS // max(size * d, 1))
        for start in range(0, n_blocks, step):
            chunk = slice(start, start + step)
            rows = children.index_select(0, self.block_group[chunk])
            flat = weight.index_select(0, rows.flatten())
            yield chunk, flat.view(len(rows), size, d)


class GroupedLinear(torch.autograd.Function):
    """Scores of all children of a group, for (sample, group) pairs sorted by group.

    The rows of a group are read once for a block of its pairs.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,  # shape: (n_pairs, d)
        weight: Tensor,  # shape: (n_children, d)
        bias: Tensor,  # shape: (n_children,)
        groups: Tensor,  # shape: (n_pairs,)
        size: int,
        sparse_grad: bool,
    ) -> Tensor:
        """Return the scores, shape (n_pairs, size)."""
        blocks = PairBlocks.from_sorted(groups)
        children, exists = group_children(blocks.groups, size, len(weight))
        block_features = blocks.spread(features)
        dtype = ctx.dtype = product_dtype(weight)
        block_scores = weight.new_empty(*block_features.shape[:2], size)
        for chunk, rows in blocks.chunks(weight, children):
            product_into(block_scores[chunk], block_features[chunk], rows.mT, dtype)
        scores = blocks.collect(block_scores)
        group_bias = bias[children].masked_fill(~exists, -torch.inf)
        scores += group_bias.index_select(0, blocks.pair_group)
        ctx.save_for_backward(block_features, weight, children, exists)
        ctx.blocks, ctx.sparse_grad = blocks, sparse_grad
        return scores

    @staticmethod
    def backward(ctx: Any, grad_scores: Tensor) -> Any:
        """Return the gradients of features, weight and bias."""
        block_features, weight, children, exists = ctx.saved_tensors
        blocks = ctx.blocks
        missing = (~exists).index_select(0, blocks.pair_group)
        grad = blocks.spread(grad_scores.masked_fill(missing, 0.0))
        grad_features = torch.empty_like(block_features)
        grad_rows = weight.new_zeros(*children.shape, weight.shape[1])
        unsplit = len(blocks.block_group) == len(blocks.groups)
        for chunk, rows in blocks.chunks(weight, children):
            product_into(grad_features[chunk], grad[chunk], rows, ctx.dtype)
            factors = grad[chunk].mT, block_features[chunk]
            if unsplit:
                product_into(grad_rows[chunk], *factors, ctx.dtype)
            else:
                sums = product(*factors, ctx.dtype).to(grad_rows.dtype)
                grad_rows.index_add_(0, blocks.block_group[chunk], sums)
        # Only the last group can lack children: those that exist come first.
        n_rows = int(exists.sum())
        rows = children.flatten()[:n_rows]
        grad_rows = grad_rows.flatten(0, 1)[:n_rows]
        grad_bias = grad.new_zeros(len(weight))
        grad_bias[rows] = blocks.sum_by_group(grad.sum(1)).flatten()[:n_rows]
        grad_weight = row_gradient(rows, grad_rows, weight.shape)
        if not ctx.sparse_grad:
            grad_weight = grad_weight.to_dense()
        return blocks.collect(grad_features), grad_weight, grad_bias, None, None, None


def group_children(groups: Tensor, size: int, n_children: int) -> tuple[Tensor, Tensor]:
    """Return the rows of each group's children, and whether these exist.

    Both of shape (n_groups, size); a child that does not exist gets the last row.
    """
    children = groups[:, None] * size + torch.arange(size, device=groups.device)
    return children.clamp(max=n_children - 1), children < n_children


def _gathered_linear(
    features: Tensor, weight: Tensor, bias: Tensor, groups: Tensor, size: int
) -> Tensor:
    """Score the children of groups by gathering each pair's rows of the weight."""
    children, exists = group_children(groups, size, len(weight))
    # shape: (n_pairs, size, d) @ (n_pairs, d, 1)
    scores = torch.bmm(weight[children], features[:, :, None]).squeeze(2)
    return (scores.to(bias.dtype) + bias[children]).masked_fill(~exists, -torch.inf)


class SlicedLinear(torch.autograd.Function):
    """Scores of all children of a group, for (sample, group) pairs sorted by group.

    One group after the other: its rows are read where they are, and their gradient is
    written where it stays. Factors are not rounded to 16 bits: products of a few pairs
    take longer with it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,  # shape: (n_pairs, d)
        weight: Tensor,  # shape: (n_children, d)
        bias: Tensor,  # shape: (n_children,)
        groups: Tensor,  # shape: (n_pairs,)
        size: int,
    ) -> Tensor:
        """Return the scores, shape (n_pairs, size)."""
        ctx.slices = _slices(groups, size, len(weight))
        ctx.save_for_backward(features, weight)
        return _sliced_linear(features, weight, bias, ctx.slices, size)

    @staticmethod
    def backward(ctx: Any, grad_scores: Tensor) -> Any:
        """Return the gradients of features, weight (sparse) and bias."""
        features, weight = ctx.saved_tensors
        grad_features = torch.zeros_like(features)
        grad_bias = weight.new_zeros(len(weight))
        arange = partial(torch.arange, device=weight.device)
        spans = [arange(a, a + n) for _, (a, n) in ctx.slices]
        scored_rows = torch.cat([arange(0), *spans])  # also without groups
        grad_rows = weight.new_empty(len(scored_rows), weight.shape[1])
        first = 0
        for pairs, rows in ctx.slices:
            grad = grad_scores.narrow(0, *pairs).narrow(1, 0, rows[1])
            own = weight.narrow(0, *rows)
            torch.mm(grad, own, out=grad_features.narrow(0, *pairs))
            found = grad_rows.narrow(0, first, rows[1])
            torch.mm(grad.T, features.narrow(0, *pairs), out=found)
            torch.sum(grad, 0, out=grad_bias.narrow(0, *rows))
            first += rows[1]
        grad_weight = row_gradient(scored_rows, grad_rows, weight.shape)
        return grad_features, grad_weight, grad_bias, None, None


def _sliced_linear(
    features: Tensor, weight: Tensor, bias: Tensor, slices: Slices, size: int
) -> Tensor:
    """Score the children of groups, whose rows of the weight are not copied."""
    scores = bias.new_full((len(features), size), -torch.inf)
    # `narrow` takes half the time of an index, which counts where pairs are few.
    with torch.autocast(weight.device.type, enabled=False):
        for pairs, rows in slices:
            tables = weight.narrow(0, *rows), bias.narrow(0, *rows)
            found = F.linear(features.narrow(0, *pairs), *tables)
            scores.narrow(0, *pairs).narrow(1, 0, rows[1]).copy_(found)
    return scores


def _slices(groups: Tensor, size: int, n_children: int) -> Slices:
    """Return the pairs of each group and its children, both by start and number."""
    distinct, counts = torch.unique_consecutive(groups, return_counts=True)
    slices, first = [], 0
    for group, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        start = group * size
        if start < n_children:  # a beam may hold nodes that do not exist
            slices.append(((first, count), (start, min(size, n_children - start))))
        first += count
    return slices


def grouped_linear(
    features: Tensor,
    samples: Tensor,
    groups: Tensor,
    weight: Tensor,
    bias: Tensor,
    size: int,
    sparse_grad: bool = False,
) -> Tensor:
    """Return the scores of the children of (sample, group) pairs, (n_pairs, size).

    The pairs, of any order, are of samples with features (n_samples, d). The children
    of group g are the rows of the weight (n_children, d) from ``g * size`` on; -inf
    stands where the last group has no such child. With `sparse_grad`, the weight gets a
    sparse gradient, of the rows that were scored.
    """
    features = features.to(weight.dtype)  # a backbone's may be rounded
    n_pairs = len(groups)
    work = n_pairs * size * features.shape[1]
    # In training with sparse gradients, a group's rows must occur once.
    if not (sparse_grad and torch.is_grad_enabled()):
        n_groups = min(n_pairs, -(-len(weight) // size))
        if work < MIN_WORK_PER_GROUP * n_groups:
            pair_features = features.index_select(0, samples)
            return _gathered_linear(pair_features, weight, bias, groups, size)
    slices = size * features.shape[1] >= MIN_SLICE_ELEMENTS
    if torch.is_grad_enabled():
        # On other devices, so many small products would wait for each other.
        slices &= sparse_grad and weight.device.type == "cpu"
    elif slices and len(features) == 1:  # groups occur once: there is nothing to sort
        found = _slices(groups, size, len(weight))
        return _sliced_linear(features.expand(n_pairs, -1), weight, bias, found, size)
    order = torch.argsort(groups, stable=True)
    sorted_features = features.index_select(0, samples[order])
    arguments = sorted_features, weight, bias, groups[order], size
    if slices:
        scores = SlicedLinear.apply(*arguments)
    else:
        scores = GroupedLinear.apply(*arguments, sparse_grad)
    # A gather is cheaper than the scatter that would undo the sort.
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(n_pairs, device=order.device)
    return scores.index_select(0, inverse)
