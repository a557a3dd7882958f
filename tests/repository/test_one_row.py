"""A call for one row touches what the row and its beam need, and nothing else.

Counted in numbers, never in seconds: those of the largest tensor or array.
"""

import tracemalloc

import pytest
import torch
from benchmark_scripts import load_script

from skmhe.nn import search

bench_row = load_script("bench_row")

N_FEATURES, FEW, MANY = 20_000, 2_500, 40_000


class LargestTensor(torch.utils._python_dispatch.TorchDispatchMode):
    """Remembers the size of the largest tensor that is no view of another."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor) and not func.is_view:
                self.numel = max(self.numel, value.numel())
        return result


def largest_of_one_row(name, method, n_labels, multilabel=True):
    """Return elements of the largest tensor, and bytes of the arrays, of a call."""
    clf = bench_row.make_estimator(name, n_labels, N_FEATURES, multilabel)
    rows = bench_row.make_rows(3, n_labels, N_FEATURES, seed=1)
    call = getattr(clf, method)
    with LargestTensor():  # imports modules at its first use
        call(rows[:1])  # makes what does not depend on the row
    tracemalloc.start()
    try:
        with LargestTensor() as largest:
            call(rows[1:2])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return largest.numel, peak


@pytest.mark.parametrize("multilabel", [True, False])
@pytest.mark.parametrize("name", ["linear", "sampling", "cascade"])
def test_the_best_labels_of_one_row_need_no_number_for_each_label(
    name, multilabel, monkeypatch
):
    # Labels whose weights are read for any number of labels: fewer than these are.
    monkeypatch.setattr(search, "N_SPREAD", 16)
    few, many = (
        largest_of_one_row(name, "predict_topk", n, multilabel) for n in (FEW, MANY)
    )
    assert many[0] < MANY / 4
    # Groups and nodes grow as the square root of the number of labels: by 4, not 16.
    assert many[0] < 6 * few[0]
    assert many[1] < 6 * few[1]


def test_what_scores_all_labels_is_noticed():
    numel, _ = largest_of_one_row("sampling", "predict", MANY)
    assert numel >= MANY
