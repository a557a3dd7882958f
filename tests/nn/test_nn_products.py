"""Products with sparse rows and with groups of rows, and their gradients."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from head_cases import make_features, to_sparse_rows
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from skmhe.nn import SparseRows, products
from skmhe.nn.products import (
    GroupedLinear,
    PairBlocks,
    RowProduct,
    grouped_linear,
    row_gradient,
)
from skmhe.nn.sparse_rows import sparse_product

# ------------------------------------------------------------ SparseRows


@st.composite
def batches(draw):
    """CSR rows with duplicates, unsorted indices, empty rows and unused features."""
    n_features = draw(st.integers(1, 6))
    rows = draw(
        st.lists(
            st.lists(
                st.tuples(st.integers(0, n_features - 1), st.integers(-4, 4)),
                max_size=5,
            ),
            min_size=1,
            max_size=5,
        )
    )
    dtype = draw(st.sampled_from([torch.int32, torch.int64]))
    lengths = [len(row) for row in rows]
    return SparseRows(
        torch.tensor([j for row in rows for j, _ in row], dtype=dtype),
        torch.tensor(np.cumsum([0, *lengths]), dtype=dtype),
        torch.tensor([v for row in rows for _, v in row], dtype=torch.float64),
        n_features,
    )


def to_dense(rows):
    """Return the dense matrix, one stored value at a time."""
    dense = torch.zeros(rows.shape, dtype=torch.float64)
    offsets = rows.offsets.tolist()
    for i in range(rows.shape[0]):
        for p in range(offsets[i], offsets[i + 1]):
            dense[i, int(rows.indices[p])] += rows.values[p]
    return dense


@given(batches())
def test_transpose_and_compact_hold_the_same_matrix(rows):
    dense = to_dense(rows)
    stored = sorted(set(rows.indices.tolist()))

    features, columns = rows.transpose()
    assert features.tolist() == stored
    assert columns.shape == (len(stored), rows.shape[0])
    assert_close(to_dense(columns), dense.T[features])

    features, compact = rows.to_compact()
    assert features.tolist() == stored
    assert_close(compact, dense[:, features])


@given(batches())
def test_row_product_of_sparse_rows(rows):
    weight = make_features(rows.n_features, 3).requires_grad_()
    upstream = make_features(rows.shape[0], 3, seed=3)
    dense = to_dense(rows)
    assert_close(sparse_product(rows, weight.detach()), dense @ weight.detach())

    for sparse_grad in (False, True):
        weight.grad = None
        output = RowProduct.apply(weight, rows, sparse_grad)
        assert_close(output, dense @ weight)
        output.backward(upstream)
        assert weight.grad.is_sparse == sparse_grad
        if sparse_grad:
            stored = sorted(set(rows.indices.tolist()))
            assert weight.grad._indices()[0].tolist() == stored
        grad = weight.grad.to_dense() if sparse_grad else weight.grad
        assert_close(grad, dense.T @ upstream)


@given(batches())
def test_row_product_of_dense_rows(rows):
    weight = make_features(rows.n_features, 3).requires_grad_()
    upstream = make_features(rows.shape[0], 3, seed=3)
    dense = to_dense(rows)
    for sparse_grad in (False, True):
        weight.grad = None
        RowProduct.apply(weight, dense, sparse_grad).backward(upstream)
        grad = weight.grad
        if sparse_grad:
            # Only the features that the batch holds have a row.
            assert grad._indices()[0].tolist() == dense.any(0).nonzero()[:, 0].tolist()
            grad = grad.to_dense()
        assert_close(grad, dense.T @ upstream)


@pytest.mark.parametrize("sparse_input", [False, True])
def test_row_product_gradient_is_the_numerical_one(sparse_input):
    inputs = make_features(4, 6)
    inputs[inputs.abs() < 0.5] = 0
    inputs = to_sparse_rows(inputs) if sparse_input else inputs
    weight = make_features(6, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda w: RowProduct.apply(w, inputs, False), (weight,)
    )


def test_row_product_passes_a_gradient_to_dense_inputs():
    weight = make_features(6, 3)
    inputs = make_features(4, 6, seed=2).requires_grad_()
    RowProduct.apply(weight, inputs, False).sum().backward()
    assert_close(inputs.grad, weight.sum(1).expand(4, 6))


def test_sparse_rows_match_scipy():
    matrix = sp.random(20, 30, 0.1, format="csr", random_state=0)
    rows = SparseRows(
        torch.from_numpy(matrix.indices),
        torch.from_numpy(matrix.indptr),
        torch.from_numpy(matrix.data),
        30,
    )
    assert rows.shape == (20, 30)
    weight = make_features(30, 4)
    assert_close(
        sparse_product(rows, weight), torch.from_numpy(matrix @ weight.numpy())
    )


def test_to_moves_every_tensor():
    rows = to_sparse_rows(make_features(2, 3)).to("meta")
    assert {tensor.device.type for tensor in rows[:3]} == {"meta"}
    assert rows.shape == (2, 3)


def test_row_gradient_is_coalesced():
    rows, values = torch.tensor([1, 3]), torch.ones(2, 2)
    grad = row_gradient(rows, values, (5, 2))
    assert grad.is_coalesced()
    expected = torch.zeros(5, 2)
    expected[rows] = 1
    assert_close(grad.to_dense(), expected)


# ------------------------------------------------------------ grouped_linear

# The two ways to compute the same: the constant decides between them.
PATHS = {"gather": math.inf, "blocks": 0}


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    """Force one of the two ways, and make sure that it is the one that ran."""
    ran = []
    monkeypatch.setattr(products, "MIN_WORK_PER_GROUP", PATHS[request.param])
    gathered = products._gathered_linear
    monkeypatch.setattr(
        products,
        "_gathered_linear",
        lambda *args: ran.append("gather") or gathered(*args),
    )
    apply = GroupedLinear.apply
    monkeypatch.setattr(
        GroupedLinear, "apply", lambda *args: ran.append("blocks") or apply(*args)
    )
    yield request.param
    assert set(ran) == {request.param}


def written_out(features, samples, groups, weight, bias, size):
    """Return the scores of all children of each pair's group, one at a time."""
    scores = torch.full((len(groups), size), -torch.inf, dtype=torch.float64)
    for p, (i, g) in enumerate(zip(samples.tolist(), groups.tolist(), strict=True)):
        for j in range(size):
            child = g * size + j
            if child < len(weight):
                scores[p, j] = weight[child] @ features[i] + bias[child]
    return scores


def pairs(n_samples, n_groups, n_pairs, seed=0):
    """Return pairs in no order, with repeated groups and groups left out."""
    rng = np.random.default_rng(seed)
    samples = torch.from_numpy(rng.integers(0, n_samples, n_pairs))
    return samples, torch.from_numpy(rng.integers(0, n_groups, n_pairs))


# 12 children fill 3 groups of 4; of 10, the last group has 2; of 9, one; of 5, none.
@pytest.mark.parametrize("n_children", [5, 9, 10, 12])
@pytest.mark.parametrize("n_pairs", [1, 8, 30])
def test_predictions_read_large_groups_where_they_are(n_children, n_pairs, monkeypatch):
    monkeypatch.setattr(products, "MIN_WORK_PER_GROUP", 0)
    # What copies rows of the weight must not run.
    monkeypatch.setattr(GroupedLinear, "apply", None)
    features = make_features(6)
    weight, bias = make_features(n_children, seed=2), make_features(n_children, 1)[:, 0]
    monkeypatch.setattr(products, "MIN_SLICE_ELEMENTS", 4 * features.shape[1])
    samples, groups = pairs(6, 3, n_pairs)
    with torch.no_grad():
        scores = grouped_linear(features, samples, groups, weight, bias, 4)
    assert_close(scores, written_out(features, samples, groups, weight, bias, 4))


# Of 5 children, the last group has none.
@pytest.mark.parametrize("n_children", [5, 9, 12])
@pytest.mark.parametrize("n_samples", [1, 4])
def test_training_reads_large_groups_where_they_are(n_children, n_samples, monkeypatch):
    monkeypatch.setattr(GroupedLinear, "apply", None)
    monkeypatch.setattr(products, "MIN_SLICE_ELEMENTS", 0)
    samples, groups = pairs(n_samples, 3, 7)
    inputs = [
        tensor.requires_grad_()
        for tensor in (
            make_features(n_samples),
            make_features(n_children, seed=2),
            make_features(n_children, 1)[:, 0],
        )
    ]

    def gradients(function, *options):
        features, weight, bias = inputs
        scores = function(features, samples, groups, weight, bias, 4, *options)
        losses = scores.masked_fill(scores == -torch.inf, 0.0).square().sum()
        return torch.autograd.grad(losses, inputs)

    found = gradients(grouped_linear, True)
    scored = torch.unique(groups[:, None] * 4 + torch.arange(4))
    assert found[1]._indices()[0].tolist() == scored[scored < n_children].tolist()
    for value, expected in zip(found, gradients(written_out), strict=True):
        assert_close(value.to_dense(), expected)


def test_large_groups_are_not_rounded(monkeypatch):
    monkeypatch.setattr(products, "MIN_WORK_PER_GROUP", 0)
    monkeypatch.setattr(products, "MIN_SLICE_ELEMENTS", 0)
    features, weight = make_features(6).float(), make_features(9, seed=2).float()
    bias, (samples, groups) = make_features(9, 1)[:, 0].float(), pairs(6, 3, 7)
    weight.requires_grad_()
    arguments = features, samples, groups, weight, bias, 4, True
    with torch.autocast("cpu", torch.bfloat16):
        rounded = grouped_linear(*arguments)
        # As a backbone may return them.
        of_half = grouped_linear(features.bfloat16(), *arguments[1:])
        one_row = features[:1], torch.tensor([0, 0]), torch.tensor([0, 2])
        with torch.no_grad():
            rounded_row = grouped_linear(*one_row, *arguments[3:])
    expected = grouped_linear(features.bfloat16().float(), *arguments[1:])
    assert torch.equal(of_half, expected)
    assert torch.equal(rounded, grouped_linear(*arguments))
    assert torch.equal(rounded_row, grouped_linear(*one_row, *arguments[3:]))


@pytest.mark.parametrize("n_children", [9, 10, 12])
@pytest.mark.parametrize("n_pairs", [1, 8, 30])
def test_scores_of_a_groups_children(path, n_children, n_pairs):
    features = make_features(6)
    weight, bias = make_features(n_children, seed=2), make_features(n_children, 1)[:, 0]
    samples, groups = pairs(6, 3, n_pairs)
    scores = grouped_linear(features, samples, groups, weight, bias, 4)
    assert_close(scores, written_out(features, samples, groups, weight, bias, 4))


@pytest.mark.parametrize("n_children", [9, 12])
def test_gradients_of_grouped_scores_are_the_numerical_ones(path, n_children):
    samples, groups = pairs(4, 3, 7)
    # Group 2 may lack children: -inf minus -inf has no numerical derivative.
    exists = groups[:, None] * 4 + torch.arange(4) < n_children

    def scores(features, weight, bias):
        all_scores = grouped_linear(features, samples, groups, weight, bias, 4)
        return all_scores.masked_fill(~exists, 0.0)

    tables = (make_features(4), make_features(n_children, seed=2))
    bias = make_features(n_children, 1)[:, 0]
    inputs = [tensor.clone().requires_grad_() for tensor in (*tables, bias)]
    assert torch.autograd.gradcheck(scores, inputs)


def test_sparse_gradient_holds_each_scored_row_once():
    weight = make_features(10, seed=2).requires_grad_()
    bias = torch.zeros(10, dtype=torch.float64, requires_grad=True)
    samples, groups = torch.tensor([0, 1, 2, 1]), torch.tensor([2, 0, 2, 2])
    grads = []
    for sparse_grad in (True, False):
        weight.grad = bias.grad = None
        scores = grouped_linear(
            make_features(3), samples, groups, weight, bias, 4, sparse_grad
        )
        scores.masked_fill(scores == -torch.inf, 0.0).square().sum().backward()
        grads.append((weight.grad, bias.grad))
    assert grads[0][0]._indices()[0].tolist() == [0, 1, 2, 3, 8, 9]
    assert_close(grads[0][0].to_dense(), grads[1][0])
    assert_close(grads[0][1], grads[1][1])


def test_sparse_gradient_needs_the_blocks_in_training_only(monkeypatch):
    monkeypatch.setattr(products, "MIN_WORK_PER_GROUP", PATHS["gather"])
    gathered = []
    monkeypatch.setattr(
        products,
        "_gathered_linear",
        lambda *args: gathered.append(1) or torch.zeros(1, 4),
    )
    arguments = (make_features(1), torch.tensor([0]), torch.tensor([1]))
    tables = (make_features(8, seed=2), torch.zeros(8, dtype=torch.float64))
    grouped_linear(*arguments, *tables, 4, sparse_grad=True)
    assert not gathered
    with torch.no_grad():
        grouped_linear(*arguments, *tables, 4, sparse_grad=True)
    assert gathered


@pytest.mark.parametrize("sparse_grad", [False, True])
def test_no_pairs(sparse_grad):
    none = torch.zeros(0, dtype=torch.int64)
    weight = make_features(8, seed=2).requires_grad_()
    bias = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    features = make_features(3).requires_grad_()
    scores = grouped_linear(features, none, none, weight, bias, 4, sparse_grad)
    assert scores.shape == (0, 4)
    scores.sum().backward()
    assert weight.grad.is_sparse == sparse_grad
    for tensor in (features, weight, bias):
        assert_close(tensor.grad.to_dense(), torch.zeros_like(tensor))


# Two inner levels of a tree may have nodes that exist in the code only; a beam
# that is wide enough then asks for the children of one.
@pytest.mark.parametrize("path_name", PATHS)
def test_children_of_a_group_beyond_the_last_are_all_missing(path_name, monkeypatch):
    monkeypatch.setattr(products, "MIN_WORK_PER_GROUP", PATHS[path_name])
    scores = grouped_linear(
        make_features(2),
        torch.tensor([0, 1, 1]),
        torch.tensor([3, 0, 3]),
        make_features(9, seed=2),
        torch.zeros(9, dtype=torch.float64),
        4,
    )
    assert (scores == -torch.inf).all(1).tolist() == [True, False, True]


# Of one pair, of a few, and as they are; all blocks at once, and one at a time.
@pytest.mark.parametrize("lengths", [(1, 1), (2, 2), None])
@pytest.mark.parametrize("chunk_elements", [1, 60, None])
def test_blocks_and_chunks_of_any_size_give_the_same(
    lengths, chunk_elements, monkeypatch
):
    monkeypatch.setattr(products, "MIN_WORK_PER_GROUP", 0)
    if lengths is not None:
        monkeypatch.setattr(products, "MIN_BLOCK", lengths[0])
        monkeypatch.setattr(products, "MAX_BLOCK", lengths[1])
    if chunk_elements is not None:
        monkeypatch.setattr(products, "CHUNK_ELEMENTS", chunk_elements)
    weight = make_features(10, seed=2).requires_grad_()
    bias = make_features(10, 1, seed=4)[:, 0].requires_grad_()
    features = make_features(6).requires_grad_()
    samples, groups = pairs(6, 3, 30)
    upstream = make_features(30, 4, seed=3)
    inputs = (features, weight, bias)

    def gradients(function):
        scores = function(features, samples, groups, weight, bias, 4)
        scores = scores.masked_fill(scores == -torch.inf, 0.0)
        return scores, torch.autograd.grad((scores * upstream).sum(), inputs)

    assert_close(gradients(grouped_linear), gradients(written_out))


def test_blocks_hold_pairs_of_one_group_each(monkeypatch):
    monkeypatch.setattr(products, "MIN_BLOCK", 2)
    monkeypatch.setattr(products, "MAX_BLOCK", 2)
    blocks = PairBlocks.from_sorted(torch.tensor([0, 0, 0, 2, 5, 5]))
    assert blocks.groups.tolist() == [0, 2, 5]
    assert blocks.block_group.tolist() == [0, 0, 1, 2]
    values = torch.arange(1.0, 7)[:, None]
    spread = blocks.spread(values)
    assert spread[:, :, 0].tolist() == [[1, 2], [3, 0], [4, 0], [5, 6]]
    assert_close(blocks.collect(spread), values)
    assert blocks.sum_by_group(spread.sum(1))[:, 0].tolist() == [6, 4, 11]


@pytest.mark.parametrize(
    ("n_pairs", "n_groups", "length"),
    [(3, 3, 8), (9, 1, 16), (40, 2, 32), (500, 1, 64)],
)
def test_length_of_blocks_follows_the_mean(n_pairs, n_groups, length):
    pair_groups = torch.arange(n_pairs) * n_groups // n_pairs
    assert PairBlocks.from_sorted(pair_groups).length == length


def test_grouped_function_expects_sorted_pairs_and_returns_them_so():
    features, weight = make_features(3), make_features(8, seed=2)
    groups = torch.tensor([0, 0, 1])
    scores = GroupedLinear.apply(
        features, weight, torch.zeros(8).double(), groups, 4, False
    )
    expected = written_out(features, torch.arange(3), groups, weight, torch.zeros(8), 4)
    assert_close(scores, expected)
