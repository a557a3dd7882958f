"""Children of processes that have computed with several threads."""

from contextlib import nullcontext
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch
from process_scenarios import PARENTS, SCENARIOS, run_alone, table_row

from skmhe import MHEClassifier
from skmhe.scorers import model
from skmhe.scorers.linear import fit as linear_fit
from skmhe.training import loop, step_threads
from skmhe.training.step_threads import MIN_STEP_OPERATIONS

GUIDE = Path(__file__).parents[2] / "docs" / "user_guide.md"


@pytest.mark.parametrize("parent", PARENTS)
def test_children_compute_what_their_parent_does(parent):
    outcomes, output = run_alone(parent)
    assert set(outcomes.values()) == {"same"}, output


def test_the_guide_shows_all_scenarios():
    rows = "\n".join(table_row(scenario, "same") for scenario in SCENARIOS)
    assert f"\n{rows}\n\n" in GUIDE.read_text("utf-8")


@pytest.fixture
def asked(monkeypatch):
    """Return a list of the work that threads are asked for."""
    found = []

    def threads_for(operations, *least):
        found.append((operations, *least))
        return nullcontext()

    for module in (model, linear_fit, loop, step_threads):
        monkeypatch.setattr(module, "threads_for", threads_for)
    return found


def test_threads_follow_the_multiply_adds(asked):
    n, d, hidden, n_labels, batch_size = 60, 6, 8, 3, 20
    X, y = np.random.RandomState(0).rand(n, d), np.arange(n) % n_labels
    settings = {"hidden_layer_sizes": (hidden,), "batch_size": batch_size}
    clf = MHEClassifier("full", max_iter=2, early_stopping=True, **settings).fit(X, y)
    of_row = d * hidden + hidden * n_labels
    step, validation = (batch_size * of_row, MIN_STEP_OPERATIONS), (6 * of_row,)
    # Products with X, which has a constant column more, and with its transpose.
    linear = 2 * linear_fit.TYPICAL_PRODUCTS * n * (d + 1) * n_labels
    n_steps = 3  # of the 54 samples that are not held out
    epoch = [*[step] * n_steps, validation]
    assert asked == [(linear,), *epoch, *epoch]
    asked.clear()
    clf.predict(X[:10])
    clf.predict_proba(X[:10])
    clf.transform(X[:10])
    of_all = of_row + d * n_labels
    assert asked == [(10 * of_all,), (10 * (of_all + 100 * n_labels),), (10 * of_row,)]


def test_nothing_is_known_of_the_work_of_a_backbone(asked):
    X, y = np.random.RandomState(0).rand(60, 6), np.arange(60) % 3
    backbone = torch.nn.Linear(6, 4)
    clf = MHEClassifier(backbone=backbone, model="network", max_iter=1).fit(X, y)
    clf.predict(X)
    assert {work[0] for work in asked} == {inf}
