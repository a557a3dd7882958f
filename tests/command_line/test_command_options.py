"""Each option of each command changes what the command writes or tells."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from command_line_files import TICKETS

from skmhe.command_line.commands import cli
from skmhe.datasets import load_xmc

pytestmark = pytest.mark.usefixtures("models")
# With any of these, a line or a header means something for both ways to read it.
DELIMITED = "text,b,x;text;b\nno wifi,it,x;refund,it;billing\nrefund,billing,x;jam;it\n"
IDS = "1,2 1:0.5 3:1\n2 2:1\n1 1:1 2:0.5\n"
# What differs between two calls that do the same.
TIMES = re.compile(r"[0-9.]+ s\b")

CSV = ["own.csv", "--label", "team"]
TAGS = ["tagged.csv", "--label", "tags"]
IN_TWO_WAYS = ["delimited.csv", "--label", "b"]
XMC, TEXTS, OWN = ("model.safetensors", "tickets.safetensors", "own.safetensors")
XMC_TEST = [XMC, "test.txt"]
# By command and option: arguments, and those that are added in the second call.
EFFECTS = {
    "train": {
        "format": (["own.svm"], ["--format", "xmc"]),
        "text": (CSV, ["--text", "body"]),
        "delimiter": (IN_TWO_WAYS, ["--delimiter", ";"]),
        "zero_based": (["own.svm", "--zero-based"], ["--one-based"]),
        "label": (CSV, ["--label", "group"]),
        "separator": (TAGS, ["--separator", ";"]),
        "label_file": (["train_X.txt"], ["--label-file", "train_Y.txt"]),
        "one_label": (CSV, ["--any-number"]),
        "settings": (CSV, ["--set", "linear__C=0.1"]),
        "tune_threshold": (
            [*TAGS, "--separator", ";", "--json"],
            ["--tune-threshold", "f1_macro"],
        ),
        "in_json": (CSV, ["--json"]),
        "quiet": (CSV, ["--quiet"]),
    },
    "predict": {
        "k": (XMC_TEST, ["-k", "2"]),
        "threshold": (XMC_TEST, ["--threshold", "0.3"]),
        "label_names": (XMC_TEST, ["--label-names", "names.txt"]),
        "format": ([TEXTS, "own.csv"], ["--format", "text"]),
        "text": ([TEXTS, "own.csv"], ["--text", "body"]),
        "delimiter": ([TEXTS, "delimited.csv"], ["--delimiter", ";"]),
        "zero_based": ([XMC, "own.svm", "--zero-based"], ["--one-based"]),
        "in_json": (XMC_TEST, ["--json"]),
        "target": (XMC_TEST, ["--output", "new.tsv"]),
        "trusted": ([OWN, "own.csv"], ["--trusted", "own_nets:Net"]),
        "quiet": (XMC_TEST, ["--quiet"]),
    },
    "evaluate": {
        "ks": (XMC_TEST, ["-k", "2"]),
        "train_data": (XMC_TEST, ["--train", "train.txt"]),
        "format": ([XMC, "own.svm"], ["--format", "xmc"]),
        "text": ([TEXTS, *CSV], ["--text", "body"]),
        "delimiter": ([TEXTS, *IN_TWO_WAYS], ["--delimiter", ";"]),
        "zero_based": ([XMC, "own.svm", "--zero-based"], ["--one-based"]),
        "label": ([TEXTS, *CSV], ["--label", "group"]),
        "separator": (["tagged.safetensors", *TAGS], ["--separator", ";"]),
        "label_file": ([XMC, "test_X.txt"], ["--label-file", "test_Y.txt"]),
        "trusted": ([OWN, *CSV], ["--trusted", "own_nets:Net"]),
        "in_json": (XMC_TEST, ["--json"]),
        "quiet": (XMC_TEST, ["--quiet"]),
    },
    "info": {
        "trusted": ([OWN], ["--trusted", "own_nets:Net"]),
        "in_json": ([XMC], ["--json"]),
    },
}


def matrix_text(matrix):
    lines = ["{} {}".format(*matrix.shape)]
    for row in matrix:
        pairs = zip(row.indices, row.data, strict=True)
        lines.append(" ".join(f"{column}:{value}" for column, value in pairs))
    return "".join(f"{line}\n" for line in lines)


@pytest.fixture
def call(run):
    """Return a function that tells the effects of a call, in a folder of more data."""
    following = TICKETS[1:] + TICKETS[:1]
    rows = zip(TICKETS, following, strict=True)
    lines = ["text,body,team,group"]
    lines += [f'"{a}","{b}",{one},{other}' for (a, one), (b, other) in rows]
    Path("own.csv").write_text("\n".join(lines))
    Path("delimited.csv").write_text(DELIMITED)
    Path("own.svm").write_text(IDS)
    Path("names.txt").write_text("".join(f"name {i}\n" for i in range(8)))
    for name in "train", "test":
        for matrix, end in zip(load_xmc(f"{name}.txt"), ("X", "Y"), strict=True):
            Path(f"{name}_{end}.txt").write_text(matrix_text(matrix))

    def effects(command, *args):
        if command == "train":
            seed = ["--set", "random_state=0", "--set", "model=linear"]
            args = args[0], "new.safetensors", *args[1:], *seed
        result = CliRunner().invoke(cli, [command, *args])
        told = TIMES.sub("#", result.stderr)
        files = {path: path.read_bytes() for path in Path().glob("new.*")}
        for path in files:
            path.unlink()
        return result.exit_code, result.stdout, told, files

    return effects


@pytest.mark.parametrize(
    ("command", "option"), [(name, one) for name, row in EFFECTS.items() for one in row]
)
def test_each_option_has_an_effect(call, command, option):
    args, more = EFFECTS[command][option]
    before, again, after = (
        call(command, *args),
        call(command, *args),
        call(command, *args, *more),
    )
    assert before == again
    assert after[0] == 0, after[2]
    assert after != before


def test_all_options_are_tested():
    for name, command in cli.commands.items():
        options = [one for one in command.params if isinstance(one, click.Option)]
        assert {option.name for option in options} == EFFECTS[name].keys(), name
