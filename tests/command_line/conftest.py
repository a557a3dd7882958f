"""A folder with data and models, and how to call the command line in it."""

import gzip
import shutil
import sys

import pytest
from click.testing import CliRunner
from command_line_files import TAGGED, TICKETS, json_lines, table
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

import skmhe.io
from skmhe import MHEClassifier
from skmhe.command_line.commands import cli
from skmhe.datasets import dump_xmc, make_extreme_classification

OWN_NETS = """
from torch import nn

class Net(nn.Linear):
    def __init__(self):
        super().__init__(3, 4)

value = 1
"""


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A folder with data of each format, and models."""
    folder = tmp_path_factory.mktemp("command_line")
    problem = make_extreme_classification(60, n_labels=8, random_state=0)
    X, Y = problem.data, problem.target
    dump_xmc(X[:40], Y[:40], folder / "train.txt")
    dump_xmc(X[40:], Y[40:], folder / "test.txt")
    (folder / "tickets.csv").write_text(table(TICKETS, ["text", "team"]))
    (folder / "tagged.csv").write_text(table(TAGGED, ["text", "tags"]))
    posts = [
        {"title": text, "body": f"about {text}", "label": tags.split(";")}
        for text, tags in TAGGED
    ]
    with gzip.open(folder / "posts.jsonl.gz", "wt") as file:
        file.write(json_lines(posts))
    (folder / "own_nets.py").write_text(OWN_NETS)
    return folder


@pytest.fixture
def run(filled, tmp_path, monkeypatch):
    """Call the command line in a copy of the folder; return its result."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # which --trusted adds to

    def call(*args, code=0, stdin=None):
        result = CliRunner().invoke(cli, [*map(str, args)], stdin, prog_name="skmhe")
        shown = f"{result.output}\n{result.exception!r}"
        assert result.exit_code == code, shown
        if code:
            assert isinstance(result.exception, SystemExit), shown
        return result

    return call


@pytest.fixture(scope="session")
def models(filled):
    """Train a model of each kind, once."""
    seed = ["--quiet", "--set", "random_state=0", "--set", "model=linear"]
    calls = {
        "model": ["train.txt"],
        "tickets": ["tickets.csv", "--label", "team"],
        "tagged": ["tagged.csv", "--label", "tags", "--separator", ";"],
        "posts": ["posts.jsonl.gz", "--text", "title", "--text", "body"],
    }
    for name, (data, *options) in calls.items():
        args = ["train", str(filled / data), str(filled / f"{name}.safetensors")]
        result = CliRunner().invoke(cli, [*args, *options, *seed])
        assert result.exit_code == 0, result.output
    _save_own(filled)
    return filled


def _save_own(folder):
    """Save a model with a network of the user's."""
    names = {}
    exec(OWN_NETS, names)
    net = names["Net"]
    net.__module__ = "own_nets"
    model = make_pipeline(
        TfidfVectorizer(),
        TruncatedSVD(3, random_state=0),
        MHEClassifier(backbone=net, max_iter=1, random_state=0),
    )
    texts, labels = zip(*TICKETS, strict=True)
    skmhe.io.save(model.fit(list(texts), labels), folder / "own.safetensors")
