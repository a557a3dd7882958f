"""Fixtures of the tests of scorers."""

from contextlib import nullcontext

import pytest
import torch

from skmhe.scorers.linear import fit as fitting


@pytest.fixture
def use_threads(monkeypatch):
    """Return a function that lets fits have some threads."""
    before = torch.get_num_threads()

    def use(n_threads):
        torch.set_num_threads(n_threads)
        # Of problems as small as these, too.
        monkeypatch.setattr(fitting, "threads_for", lambda _: nullcontext())

    yield use
    torch.set_num_threads(before)
