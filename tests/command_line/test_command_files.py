"""Marks of UTF-8, pipes, full disks, protected folders, and networks of users."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line_files import TICKETS, table

import skmhe.io
from skmhe.command_line import files
from skmhe.command_line.predictions import Predictions

pytestmark = pytest.mark.usefixtures("models")
BOM = b"\xef\xbb\xbf"
LINEAR = ["--set", "model=linear", "--set", "random_state=0"]
CONTENTS = {
    "own.csv": table(TICKETS, ["text", "label"]),
    "own.tsv": "text\tlabel\na text\tone\nmore words\ttwo\n",
    "own.jsonl": '{"text": "a text", "label": 1}\n{"text": "words", "label": 2}\n',
    "own": '{"text": "a text", "label": 1}\n{"text": "words", "label": 2}\n',
    "own.svm": "0 0:1\n1 1:1 2:0.5\n",
    "header.txt": "2 3 2\n0 0:1\n1 1:1 2:0.5\n",
    "rows.txt": "0 0:1\n1 1:1 2:0.5\n",
}


def one_error(result):
    """Return the error, which is all that was told."""
    assert result.stdout == ""
    return result.stderr.strip().split("\nError: ")[-1].removeprefix("Error: ")


@pytest.mark.parametrize("name", CONTENTS)
def test_marks_of_utf8_and_ends_of_lines_of_windows(run, name):
    content = CONTENTS[name].encode()
    Path(name).write_bytes(content)
    run("train", name, "new.safetensors", *LINEAR)
    expected = run("predict", "new.safetensors", name).stdout
    assert expected
    Path(name).write_bytes(BOM + content.replace(b"\n", b"\r\n"))
    run("train", name, "new.safetensors", *LINEAR)
    assert run("predict", "new.safetensors", name).stdout == expected


def test_suffixes_in_capitals(run):
    content = CONTENTS["own.tsv"].encode()
    Path("OWN.TSV").write_bytes(content)
    told = run("train", "OWN.TSV", "new.safetensors", *LINEAR).stderr
    assert told.startswith("OWN.TSV (csv): 2 samples, texts, 2 labels such as 'one'")


@pytest.mark.parametrize(
    ("args", "is_read"),
    [
        (["train", "{0}", "{0}"], "train.txt"),
        (["train", "test.txt", "{0}", "--label-file", "{0}"], "train.txt"),
        (["predict", "model.safetensors", "{0}", "-o", "{0}"], "test.txt"),
        (["predict", "{0}", "test.txt", "-o", "{0}"], "model.safetensors"),
        (
            ["predict", "model.safetensors", "test.txt", "--label-names={0}", "-o{0}"],
            "train.txt",
        ),
    ],
)
def test_what_is_read_is_not_overwritten(run, args, is_read):
    before = Path(is_read).read_bytes()
    told = one_error(run(*(text.format(is_read) for text in args), code=2))
    assert told == f"'{is_read}' would be read and overwritten: write to another file."
    assert Path(is_read).read_bytes() == before


@pytest.mark.parametrize(("name", "data"), [("stdin", "-"), ("stdout", "test.txt")])
def test_standard_streams_that_are_closed(run, monkeypatch, name, data):
    monkeypatch.setattr(files, "sys", SimpleNamespace(**{name: None}))
    told = one_error(run("predict", "model.safetensors", data, "-q", code=2))
    assert told == f"{name} is closed: open it, or name a file."


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "args",
    [
        ["train", "train.txt", "new.safetensors", "--json", *LINEAR],
        ["predict", "model.safetensors", "test.txt"],
        ["evaluate", "model.safetensors", "test.txt"],
        ["info", "model.safetensors"],
    ],
)
def test_a_full_disk(run, monkeypatch, args):
    with open("/dev/full", "wb", buffering=0) as raw:
        full = SimpleNamespace(buffer=raw)
        monkeypatch.setattr(files, "sys", SimpleNamespace(stdout=full))
        told = one_error(run(*args, code=1)).splitlines()[-1]
    assert told.removeprefix("Error: ") == "standard output: No space left on device."


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_that_is_named(run):
    args = ["predict", "model.safetensors", "test.txt", "-q", "-o", "/dev/full"]
    assert one_error(run(*args, code=1)) == "/dev/full: No space left on device."


def test_a_model_is_a_file(run):
    os.mkfifo("pipe")
    told = one_error(run("train", "train.txt", "pipe", code=2))
    assert told.endswith("'pipe' is a pipe or device: name a file.")


def test_a_folder_that_is_protected(run, monkeypatch):
    # Not by its permissions, as root may write everywhere.
    Path("own").mkdir()
    protected = os.path.realpath("own")
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != Path(protected) and access(path, mode)
    )
    Path("link").symlink_to("own/new")
    for path in "own/new", "link":
        told = one_error(run("train", "train.txt", path, code=2))
        assert f"the folder '{protected}' is write-protected: change its perm" in told
    assert [*Path("own").iterdir()] == []


def test_trusted_networks(run):
    args = ["predict", "own.safetensors", "-", "-k", "1", "--quiet"]
    told = one_error(run(*args, stdin="no wifi\n", code=1))
    assert "it needs own_nets:Net, which is not among what you trust (nothing)" in told
    assert told.endswith("Here, that is --trusted MODULE:NAME.")
    found = run(*args, "--trusted", "own_nets:Net", stdin="no wifi\n").stdout
    from own_nets import Net

    loaded = skmhe.io.load("own.safetensors", trusted=[Net])
    assert found.split("\t")[0] == loaded.predict(["no wifi"])[0]
    Path("fails.py").write_text("1 / 0")
    Path("ends.py").write_text("raise SystemExit(0)")
    for name, expected in {
        "own_nets": "expected MODULE:NAME, got 'own_nets'.",
        "no_nets:Net": "cannot be imported (ModuleNotFoundError: No module named 'no_n",
        ".:Net": "'.:Net' cannot be imported (TypeError: ",
        "fails:Net": "'fails:Net' cannot be imported (ZeroDivisionError: ",
        "ends:Net": "'ends:Net' cannot be imported (SystemExit: 0)",
        "own_nets:Other": "cannot be imported (AttributeError: module 'own_nets' has",
        "own_nets:value": "is 1, but must be a class, function or torch module.",
    }.items():
        told = one_error(run(*args, "--trusted", name, stdin="", code=2))
        assert expected in told


def test_an_interrupted_command_leaves_nothing(run, monkeypatch):
    def lines(self, X, n_samples):
        yield b"one line"
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictions, "lines", lines)
    args = ["predict", "model.safetensors", "test.txt", "--output", "new.tsv"]
    assert run(*args, code=1).stderr.strip() == "Aborted!"
    assert [*Path().glob("*new*")] == []
