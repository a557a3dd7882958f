"""Fixtures of the tests of texts."""

import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Return the folder of a tiny BERT, which no test changes."""
    from tiny_models import save_bert

    return save_bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
