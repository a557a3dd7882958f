"""How many threads compute a step of training: as many as are fast at the time."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from skmhe.scorers.threads import ThreadLimit, threads_for

# Multiply-adds of a step's forward pass from which several threads are tried. Below,
# they save less than a tenth of the time on an idle machine.
MIN_STEP_OPERATIONS = 2**26
# A number of threads that was slower is tried again after so many times the time of
# its last step: trials take at most this share of all time.
PATIENCE = 20


def choices(n_threads: int) -> list[int]:
    """Return the numbers of threads to try: all, half as many, and so on to one."""
    return [n_threads >> i for i in range(n_threads.bit_length())]


class StepThreads:
    """Chooses the number of threads of each step by what earlier steps took.

    An operation that is divided among threads ends when the last of them has done its
    share. Where other processes need the cores, or the host of a virtual machine or a
    container's quota withholds them, a step can take 20 times as long on all threads as
    on one, and this can begin and end at any time.

    So each number is tried in turn, and the fastest one is kept, by its time per
    sample; slower ones are tried again from time to time. A single slow step says
    little: what counts is the better one of the last two of the same number.

    Where users ask torch for deterministic algorithms, all steps have all threads, as
    other numbers may round sums differently.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._is_warm = False
        self._seconds: dict[int, list[float]] = {}  # per sample, of the last two steps
        self._due: dict[int, float] = {}  # when slower ones are tried again

    @contextmanager
    def step(self, operations: float, n_samples: int) -> Iterator[None]:
        """Compute a step with the chosen number of threads, and take its time.

        `operations` are the multiply-adds of its forward pass.
        """
        with threads_for(operations, MIN_STEP_OPERATIONS):
            n_most = torch.get_num_threads()
            if n_most == 1 or torch.are_deterministic_algorithms_enabled():
                yield
                return
            n_threads = self._next(choices(n_most))
            start = self._clock()
            with ThreadLimit(n_threads):
                yield
            self._note(n_threads, self._clock() - start, n_samples)

    @contextmanager
    def fastest(self) -> Iterator[None]:
        """Compute with the number of threads that steps have, once they were timed."""
        with ExitStack() as stack:
            if self._seconds:
                best = min(self._seconds, key=self._fastest)
                stack.enter_context(ThreadLimit(min(best, torch.get_num_threads())))
            yield

    def _next(self, numbers: list[int]) -> int:
        if not self._is_warm:  # the first step allocates memory
            return numbers[-1]
        now = self._clock()
        for n in numbers:
            is_due = n not in self._seconds or now >= self._due.get(n, math.inf)
            if is_due:
                return n
        return min(numbers, key=self._fastest)

    def _note(self, n_threads: int, seconds: float, n_samples: int) -> None:
        if not self._is_warm:
            self._is_warm = True
            return
        known = self._seconds.get(n_threads, [])
        self._seconds[n_threads] = [*known, seconds / n_samples][-2:]
        best = min(self._seconds, key=self._fastest)
        for n in (n_threads, best):
            self._due.pop(n, None)
        for n in self._seconds.keys() - {best}:
            self._due.setdefault(n, self._clock() + PATIENCE * seconds)

    def _fastest(self, n_threads: int) -> float:
        return min(self._seconds.get(n_threads, [math.inf]))
