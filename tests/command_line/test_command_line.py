"""The program: help, its examples, pipes, and where the extra is not installed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

import skmhe
from skmhe.command_line import main
from skmhe.command_line.commands import cli
from skmhe.command_line.reading import USED, Reading

EXAMPLE = re.compile(r"^ +\$ (.+)$", re.MULTILINE)
COMMANDS = {"skmhe": cli, **cli.commands}
ROOT = Path(skmhe.__file__).parents[1]
PROGRAM = shlex.join([sys.executable, "-W", "error", "-m", "skmhe"])


def help_of(name, run):
    return run(*[name] * (name != "skmhe"), "--help").stdout


def run_line(line, run):
    """Run a line of a shell, of which only skmhe is called in this process."""
    output = None
    for command in line.split(" | "):
        if command.startswith("skmhe "):
            output = run(*shlex.split(command)[1:], stdin=output).stdout
        else:
            done = subprocess.run(
                shlex.split(command), input=output, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            output = done.stdout
    return output


def run_shell(line, folder):
    """Run a line of bash, where skmhe is a process of its own."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_examples_of_the_help_run(run):
    n_examples = 0
    for name in COMMANDS:
        examples = EXAMPLE.findall(help_of(name, run))
        assert examples, name
        n_examples += len(examples)
        for line in examples:
            assert " ".join(line.split()) == line, "it is broken into two lines"
            output = run_line(line, run)
            is_silent = line.startswith("skmhe train") or "--output" in line
            assert bool(output) != (is_silent and "--json" not in line), line
    assert n_examples > 10


def test_examples_of_the_page(run):
    text = (ROOT / "docs" / "how_to" / "command_line.md").read_text("utf-8")
    data, others = text.split("```text\n")[1].split("```", 1)
    Path("tickets.csv").write_text(data)
    n_examples = 0
    for block in re.findall(r"^```console\n(.+?)^```", others, re.M | re.S):
        for example in re.split(r"^\$ ", block, flags=re.M)[1:]:
            line, expected = example.split("\n", 1)
            n_examples += 1
            found, number = run_line(line, run), r"0\.\d+"
            assert re.sub(number, "#", found) == re.sub(number, "#", expected)
            np.testing.assert_allclose(
                [*map(float, re.findall(number, found))],
                [*map(float, re.findall(number, expected))],
                rtol=0.1,
                atol=0.03,
            )
    assert n_examples == text.count("\n$ ") > 4


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name, run):
    text = help_of(name, run)
    assert f"Usage: skmhe{f' {name}' * (name != 'skmhe')} " in text
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert all(option in text for option in parameter.opts)
    if name != "skmhe":
        assert run(name, code=2).stderr.startswith("Usage: skmhe")


def test_each_option_of_data_is_of_some_format():
    fields = Reading.__dataclass_fields__.keys() - {"format", "has_labels"}
    assert set().union(*USED.values()) == fields


def test_version(run):
    assert run("--version").stdout == f"skmhe, version {skmhe.__version__}\n"


def test_a_pipe_that_is_closed(filled, tmp_path, models):
    # Enough that the pipe is full, and head has ended, before the program has written.
    (tmp_path / "texts.txt").write_text("no wifi\n" * 50_000)
    command = f"{PROGRAM} predict {filled}/tickets.safetensors texts.txt -q"
    done = run_shell(f"{command} | head -2", tmp_path)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2


def test_named_pipes(filled, tmp_path, models):
    # They can be opened once, and what is written to them is not replaced.
    command = f"{PROGRAM} predict {filled}/model.safetensors <(cat {filled}/test.txt)"
    done = run_shell(f"{command} -q -o >(cat > best.tsv); wait", tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["best.tsv"]
    assert len((tmp_path / "best.tsv").read_text().splitlines()) == 20


def test_without_click(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "click", None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("Error: the command line needs click (")
    assert told.err.endswith("pip install 'skmhe[cli]'.\n")


def test_the_program_is_installed_by_its_name():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert '\n[project.scripts]\nskmhe = "skmhe.command_line:main"\n' in text
