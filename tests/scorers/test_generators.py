"""Random numbers of torch, whose generators all threads share."""

import threading

import pytest
import torch

from skmhe.scorers.generators import Generators, borrowed_generators

CPU = torch.device("cpu")


def draw(generators):
    with generators.drawing():
        return torch.rand(3)


def test_others_draw_in_between():
    with Generators(0, CPU).drawing():
        expected = torch.rand(2, 3)
    own, other = Generators(0, CPU), Generators(1, CPU)
    before = torch.get_rng_state()
    first, _ = draw(own), draw(other)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert torch.equal(torch.stack([first, draw(own)]), expected)


def test_an_error_puts_generators_back():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="on purpose"), Generators(0, CPU).drawing():
        torch.rand(2)
        raise RuntimeError("on purpose")
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_wait_for_their_turn():
    inside, results = threading.Event(), []

    def wait():
        inside.wait(10)
        results.append(draw(Generators(0, CPU)))

    thread = threading.Thread(target=wait)
    thread.start()
    with borrowed_generators(), borrowed_generators():  # a thread may enter again
        inside.set()
        thread.join(0.05)
        assert not results
    thread.join(10)
    assert torch.equal(results[0], draw(Generators(0, CPU)))
