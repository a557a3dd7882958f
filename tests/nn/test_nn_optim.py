"""RowAdamW against torch's AdamW, and row by row."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skmhe.nn import RowAdamW, optim

SETTINGS = [
    {},
    {"lr": 0.1},
    {"betas": (0.5, 0.7)},
    {"eps": 0.1},
    {"weight_decay": 0.3},
    {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1},
]


def draws(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def row_gradient(rows, values, n_rows):
    return torch.sparse_coo_tensor(
        torch.tensor([rows]), values, (n_rows, values.shape[1]), check_invariants=True
    )


def run(optimizer_class, gradients, **settings):
    """Return a table of 6 rows after a step with each of the gradients."""
    table = torch.nn.Parameter(draws(6, 3).to(gradients[0].dtype))
    optimizer = optimizer_class([table], **settings)
    for gradient in gradients:
        table.grad = gradient.clone()
        optimizer.step()
    return table.detach()


def adamw(gradients, **settings):
    # torch's default weight decay is 0.01.
    return run(torch.optim.AdamW, gradients, **{"weight_decay": 0.0, **settings})


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dense_gradients_give_torchs_steps(settings, dtype):
    gradients = [draws(6, 3, seed=seed, dtype=dtype) for seed in range(1, 6)]
    assert_close(run(RowAdamW, gradients, **settings), adamw(gradients, **settings))


def row_steps(gradients, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """Return a table after sparse steps, by a loop over single rows."""
    table, squares = draws(6, 3), [0.0] * 6
    for step, gradient in enumerate(gradients, start=1):
        gradient = gradient.coalesce()
        pairs = zip(gradient.indices()[0].tolist(), gradient.values(), strict=True)
        for row, values in pairs:
            mean_square = float((values**2).mean())
            squares[row] = betas[1] * squares[row] + (1 - betas[1]) * mean_square
            length = (squares[row] / (1 - betas[1] ** step)) ** 0.5 + eps
            table[row] *= 1 - lr * weight_decay
            table[row] -= lr * values / length
    return table


ROWS = [[4, 1], [1], [], [5, 0, 4], [4, 1], [0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("settings", SETTINGS)
def test_rows_of_sparse_gradients_take_steps_of_their_own(settings):
    values = [draws(len(rows), 3, seed=i) for i, rows in enumerate(ROWS)]
    sparse = [row_gradient(*pair, 6) for pair in zip(ROWS, values, strict=True)]
    expected = row_steps(sparse, **settings)
    assert_close(run(RowAdamW, sparse, **settings), expected)
    some = run(RowAdamW, sparse[:-1], **settings)
    assert torch.equal(some[[2, 3]], draws(6, 3)[[2, 3]])


@pytest.mark.parametrize("n_elements", [1, 3, 7])
def test_rows_may_be_updated_some_at_a_time(n_elements, monkeypatch):
    gradients = [row_gradient(rows, draws(len(rows), 3), 6) for rows in ROWS]
    settings = {"weight_decay": 0.3}
    expected = run(RowAdamW, gradients, **settings)
    monkeypatch.setattr(optim, "CHUNK_ELEMENTS", n_elements)
    assert torch.equal(run(RowAdamW, gradients, **settings), expected)


@pytest.mark.parametrize("settings", SETTINGS)
def test_rows_of_one_weight_take_the_steps_of_adamw_without_momentum(settings):
    gradients = [draws(6, 1, seed=seed) for seed in range(1, 6)]
    optimizers, tables = [], [torch.nn.Parameter(draws(6, 1)) for _ in range(2)]
    beta = settings.get("betas", (0.9, 0.999))[1]
    own = {"weight_decay": 0.0, **settings, "betas": (0.0, beta)}
    optimizers = [RowAdamW(tables[:1], **own), torch.optim.AdamW(tables[1:], **own)]
    for gradient in gradients:
        tables[0].grad = row_gradient(list(range(6)), gradient, 6)
        tables[1].grad = gradient
        for optimizer in optimizers:
            optimizer.step()
    assert_close(tables[0], tables[1])


def test_vectors_may_have_sparse_gradients():
    bias = torch.nn.Parameter(draws(6))
    optimizer, before = RowAdamW([bias]), bias.detach().clone()
    bias.grad = row_gradient([2], draws(1, 1), 6).sum(1)
    optimizer.step()
    assert (bias != before).tolist() == [False, False, True, False, False, False]


def test_dense_and_sparse_gradients_are_not_mixed():
    for first, second in ((True, False), (False, True)):
        table = torch.nn.Parameter(draws(6, 3))
        optimizer = RowAdamW([table])
        for is_sparse in (first, second):
            grad = draws(6, 3, seed=1)
            table.grad = row_gradient(list(range(6)), grad, 6) if is_sparse else grad
            if is_sparse == first:
                optimizer.step()
        with pytest.raises(RuntimeError, match="must be all dense or all sparse"):
            optimizer.step()


@pytest.mark.parametrize("settings", SETTINGS[1:])
def test_every_setting_has_an_effect(settings):
    dense = [draws(6, 3, seed=s) for s in range(1, 6)]
    sparse = [row_gradient([1, 4], gradient[[1, 4]], 6) for gradient in dense]
    for gradients in (dense, sparse):
        changed = run(RowAdamW, gradients, **settings)[[1, 4]]
        default = run(RowAdamW, gradients)[[1, 4]]
        assert (changed - default).abs().min() > 1e-6


def test_a_row_has_one_number_of_state_that_stays_where_it_is_left_out():
    table = torch.nn.Parameter(draws(4, 2))
    optimizer = RowAdamW([table], lr=0.1, weight_decay=0.5)
    first, second = draws(1, 2, seed=1), draws(1, 2, seed=2)
    for row, value in [(1, first), (3, second), (1, second)]:
        table.grad = row_gradient([row], value, 4)
        optimizer.step()
    state = optimizer.state[table]
    # Row 1 saw two gradients, row 3 one; the steps are the parameter's, not a row's.
    assert state.keys() == {"step", "exp_avg_sq"}
    assert float(state["step"]) == 3
    squares = [(value**2).mean() for value in (first, second)]
    expected = [0.0, 0.999 * 0.001 * squares[0] + 0.001 * squares[1], 0.0]
    expected.append(0.001 * squares[1])
    assert_close(state["exp_avg_sq"], torch.tensor(expected).double())
    assert torch.equal(table[[0, 2]], draws(4, 2)[[0, 2]])


def test_a_row_whose_gradient_is_0_stays():
    zeros = row_gradient([1], torch.zeros(1, 3).double(), 6)
    assert torch.equal(run(RowAdamW, [zeros], eps=0.0), draws(6, 3))


def test_uncoalesced_gradients_are_summed_first():
    values = draws(3, 3, seed=1)
    repeated = row_gradient([4, 1, 4], values, 6)
    assert not repeated.is_coalesced()
    summed = row_gradient([1, 4], torch.stack([values[1], values[0] + values[2]]), 6)
    assert_close(run(RowAdamW, [repeated]), run(RowAdamW, [summed]))
    # Two backward passes add their gradients up the same way.
    table = torch.nn.Parameter(draws(6, 3))
    optimizer = RowAdamW([table])
    embedding = torch.nn.functional.embedding
    for rows in ([4, 1], [4]):
        embedding(torch.tensor(rows), table, sparse=True).sum().backward()
    counts = torch.tensor([[1.0], [2.0]]).double().expand(2, 3)
    optimizer.step()
    assert_close(table.detach(), run(RowAdamW, [row_gradient([1, 4], counts, 6)]))


def test_gradients_are_not_changed_and_no_gradient_is_no_step():
    table, unused = (torch.nn.Parameter(draws(6, 3)) for _ in range(2))
    optimizer = RowAdamW([table, unused], lr=0.1)
    table.grad = row_gradient([1], draws(1, 3, seed=1), 6).coalesce()
    before = table.grad.to_dense()
    optimizer.step()
    assert torch.equal(table.grad.to_dense(), before)
    assert torch.equal(unused.detach(), draws(6, 3))
    assert unused not in optimizer.state


def test_a_gradient_without_rows_changes_nothing():
    empty = row_gradient([], draws(0, 3), 6)
    assert torch.equal(run(RowAdamW, [empty], weight_decay=0.5), draws(6, 3))


def test_groups_have_their_own_settings():
    tables = [torch.nn.Parameter(draws(6, 3)) for _ in range(2)]
    optimizer = RowAdamW([{"params": tables[:1]}, {"params": tables[1:], "lr": 0.5}])
    gradient = draws(6, 3, seed=1)
    for table in tables:
        table.grad = gradient.clone()
    optimizer.step()
    assert_close(tables[0].detach(), adamw([gradient]))
    assert_close(tables[1].detach(), adamw([gradient], lr=0.5))


def test_a_schedule_changes_the_steps():
    table = torch.nn.Parameter(draws(6, 3))
    optimizer = RowAdamW([table], lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.0)
    table.grad = draws(6, 3, seed=1)
    optimizer.step()
    schedule.step()
    before = table.detach().clone()
    optimizer.step()
    assert torch.equal(table.detach(), before)


def test_state_can_be_saved_and_restored():
    gradients = [row_gradient([1, 4], draws(2, 3, seed=s), 6) for s in range(1, 4)]
    table = torch.nn.Parameter(draws(6, 3))
    optimizer = RowAdamW([table], lr=0.1)
    for i, gradient in enumerate(gradients):
        if i == 2:
            restored = RowAdamW([table], lr=0.9)
            restored.load_state_dict(optimizer.state_dict())
            optimizer = restored
        table.grad = gradient
        optimizer.step()
    assert_close(table.detach(), run(RowAdamW, gradients, lr=0.1))


def test_sorted_distinct_rows_are_not_summed_again(monkeypatch):
    """autograd drops the flag that a gradient is coalesced."""
    grad = torch.sparse_coo_tensor(
        torch.tensor([[1, 4]]), draws(2, 3), (6, 3), check_invariants=True
    )
    assert not grad.is_coalesced()
    expected = run(RowAdamW, [grad.coalesce()])
    monkeypatch.setattr(torch.Tensor, "coalesce", None)
    assert_close(run(RowAdamW, [grad]), expected)


def test_fitting_does_not_import_torchs_compiler():
    """It takes seconds, and nothing here compiles."""
    code = """
import sys
import numpy as np
from skmhe import MHEClassifier

X, y = np.eye(4), [0, 1, 2, 3]
MHEClassifier(max_iter=1).fit(X, y).predict(X)
MHEClassifier().partial_fit(X, y, classes=y).partial_fit(X, y)
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"lr": -0.1}, "lr must be a finite number of at least 0, got -0.1"),
        ({"lr": math.nan}, "lr must be a finite number of at least 0, got nan"),
        ({"eps": -1e-8}, "eps must be a finite number of at least 0, got -1e-08"),
        ({"weight_decay": -1}, "weight_decay must be a finite number of at least 0"),
        ({"betas": (1.0, 0.999)}, r"betas must be two .* in \[0, 1\), got \(1.0, 0.9"),
        ({"betas": (0.9, -0.1)}, r"betas must be two numbers in \[0, 1\)"),
        ({"betas": (0.9,)}, r"betas must be two numbers in \[0, 1\), got \(0.9,\)"),
    ],
)
def test_bad_settings(settings, match):
    table = nn.Parameter(torch.zeros(2, 2))
    for params, own in (([table], settings), ([{"params": table} | settings], {})):
        with pytest.raises(ValueError, match=match):
            RowAdamW(params, **own)
    optimizer = RowAdamW([nn.Parameter(torch.zeros(2))])
    with pytest.raises(ValueError, match=match):
        optimizer.add_param_group({"params": table} | settings)
    assert len(optimizer.param_groups) == 1
    RowAdamW([table], lr=0.0, betas=(0.0, 0.0), eps=0.0)
