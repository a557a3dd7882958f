"""torch's generators of random numbers, of which all threads share one per device."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class _ForkSafeLock:
    """A lock that a thread can enter again, and that a forked child finds open."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = threading.RLock()


_turn = _ForkSafeLock()


@contextmanager
def borrowed_generators(devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Use the CPU's generator, and those of CUDA devices; put them back as they were.

    Other threads wait for their turn: what they put back would be amid our numbers.
    """
    with _turn.lock, torch.random.fork_rng(devices=devices):
        yield


class Generators:
    """The random numbers of one fit, whatever other threads draw meanwhile.

    They are torch's own generators, as dropout and users' modules know no others, with
    states that are kept between the times of drawing.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._devices = [device] if device.type == "cuda" else []
        self._states: list[torch.Tensor] = []

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Let torch draw these numbers for a while."""
        with borrowed_generators(self._devices):
            self._begin()
            try:
                yield
            finally:
                self._keep()

    def _keep(self) -> None:
        cuda = [torch.cuda.get_rng_state(device) for device in self._devices]
        self._states = [torch.get_rng_state(), *cuda]

    def _begin(self) -> None:
        if self._states:
            cpu, *cuda = self._states
            torch.set_rng_state(cpu)
            for device, state in zip(self._devices, cuda, strict=True):
                torch.cuda.set_rng_state(state, device)
            return
        torch.default_generator.manual_seed(self._seed)
        for device in self._devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(self._seed)
