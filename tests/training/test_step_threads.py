"""The number of threads of a step, on machines that are made up."""

import numpy as np
import pytest
import torch

from skmhe.scorers import threads
from skmhe.training.step_threads import MIN_STEP_OPERATIONS, StepThreads, choices


class Machine:
    """Takes the time of steps as a function says, of the threads and the time."""

    def __init__(self, seconds):
        self.seconds, self.now, self.used = seconds, 0.0, []
        self.threads = StepThreads(clock=lambda: self.now)

    def step(self, n_samples=10, operations=MIN_STEP_OPERATIONS):
        with self.threads.step(operations, n_samples):
            n = torch.get_num_threads()
            self.used.append(n)
            self.now += n_samples * self.seconds(n, self.now)

    def steps(self, n):
        start, self.used = self.now, []
        for _ in range(n):
            self.step()
        return self.now - start


@pytest.fixture(autouse=True)
def four_threads(monkeypatch):
    monkeypatch.setattr(threads, "n_cores", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    assert torch.get_num_threads() == 4
    torch.set_num_threads(before)


def idle(n, _now):
    return 1 / n


def busy(n, _now):
    return 20.0 if n == 4 else 1 / n


@pytest.mark.parametrize(
    ("n", "numbers"),
    [(1, [1]), (2, [2, 1]), (3, [3, 1]), (4, [4, 2, 1]), (6, [6, 3, 1])],
)
def test_choices(n, numbers):
    assert choices(n) == numbers


def test_the_first_steps_try_each_number_after_one_that_does_not_count():
    machine = Machine(idle)
    machine.steps(5)
    assert machine.used == [1, 4, 2, 1, 4]


@pytest.mark.parametrize(("seconds", "best"), [(idle, 4), (busy, 2), (lambda *_: 1, 4)])
def test_the_fastest_number_is_kept(seconds, best):
    machine = Machine(seconds)
    machine.steps(4)
    machine.steps(400)
    assert machine.used.count(best) >= 0.85 * 400


def test_trials_take_a_small_share_of_the_time():
    machine = Machine(busy)
    n = 10_000
    assert machine.steps(n) < 1.2 * n * 10 * busy(2, 0)


def test_a_machine_that_becomes_busy_and_idle_again():
    # Steps of 2.5 s become steps of 200 s; of two threads they take 5 s.
    machine = Machine(lambda n, now: (busy if 1000 < now < 30_000 else idle)(n, now))
    while machine.now < 1000:
        machine.step()
    assert machine.used[-1] == 4
    machine.used = []
    for _ in range(20):
        machine.step()
    # Two slow steps are no chance.
    assert machine.used.count(4) <= 3
    assert machine.used[-1] == 2
    while machine.now < 40_000:
        machine.step()
    assert machine.used[-1] == 4


def test_a_single_slow_step_changes_nothing():
    machine = Machine(idle)
    machine.steps(60)
    machine.seconds = lambda *_: 50.0
    machine.steps(1)
    machine.seconds = idle
    machine.steps(10)
    assert machine.used.count(4) >= 8


def test_time_counts_by_the_sample():
    machine = Machine(idle)
    machine.steps(3)
    machine.step(n_samples=1)  # a small last batch, on one thread
    machine.steps(10)
    assert machine.used.count(4) >= 9


def test_small_steps_have_one_thread_and_are_not_timed():
    machine = Machine(idle)
    for _ in range(5):
        machine.step(operations=MIN_STEP_OPERATIONS - 1)
    assert machine.used == [1] * 5
    machine.steps(2)
    assert machine.used == [1, 4]


def test_deterministic_algorithms_have_all_threads():
    machine = Machine(busy)
    torch.use_deterministic_algorithms(True)
    try:
        machine.steps(5)
    finally:
        torch.use_deterministic_algorithms(False)
    assert machine.used == [4] * 5


def test_an_error_in_a_step_leaves_the_number_of_threads():
    machine = Machine(idle)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt), machine.threads.step(np.inf, 1):
            raise KeyboardInterrupt
        assert torch.get_num_threads() == 4


def test_what_follows_has_the_number_that_is_kept():
    machine = Machine(busy)
    with machine.threads.fastest():
        assert torch.get_num_threads() == 4
    machine.steps(10)
    with machine.threads.fastest():
        assert torch.get_num_threads() == 2
