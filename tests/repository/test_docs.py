"""The documents: their code runs and prints what they say, and their links work."""

import re
from pathlib import Path

import pytest
from parameter_table import GUIDE, PLACE, parameter_table
from sklearn.base import BaseEstimator

import skmhe
from skmhe.estimators.table import constraints

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/*/*.md")]
)
# Documents whose code is run. (figures.md tells what its code printed once.) Code of
# other libraries is fenced by "py".
RUN = (
    ROOT / "README.md",
    GUIDE,
    ROOT / "docs" / "index.md",
    ROOT / "docs" / "get_started.md",
    *sorted(ROOT.glob("docs/how_to/*.md")),
    *sorted(ROOT.glob("docs/migration/*.md")),
)
# Sections whose code takes more than a few seconds.
SLOW = {"skmhe", "Which parameters to tune first", "Your own network"}

SECTION = re.compile(r"^#{1,2} (.+)\n((?:(?!^#{1,2} )[^\n]*\n)*)", re.MULTILINE)
CODE = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.M | re.S)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d*)?")
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"python ((?:benchmarks|examples|tests)/[\w/]+\.py)")
NESTED = re.compile(r"\b(strategy|linear|label_encoder|backbone)__([A-Za-z_]+)")


def outside_of_code(text):
    """Blank out fenced code, whose comments look like headings."""
    return FENCED.sub(lambda match: re.sub(r"(?m)^#", " ", match[0]), text)


def sections():
    """Yield test parameters (path, title, code and outputs) of sections with code."""
    for path in RUN:
        text = path.read_text(encoding="utf-8")
        for match in SECTION.finditer(outside_of_code(text)):
            blocks = CODE.findall(text[match.start() : match.end()])
            if blocks:
                marks = [pytest.mark.slow] if match[1] in SLOW else []
                yield pytest.param(blocks, marks=marks, id=f"{path.stem}: {match[1]}")


def assert_same_output(printed, expected):
    """Compare texts, but for the last decimals of numbers that are not integers."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", expected).split()
    for found, wanted in zip(
        NUMBER.findall(printed), NUMBER.findall(expected), strict=True
    ):
        if "." in wanted:
            assert float(found) == pytest.approx(float(wanted), rel=0.05, abs=0.03)
        else:
            assert found == wanted


@pytest.mark.parametrize("blocks", [*sections()])
def test_code_prints_what_the_document_says(blocks, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "document"}
    for code, expected in blocks:
        exec(compile(code, "document", "exec"), namespace)
        printed = capsys.readouterr().out
        assert_same_output(printed, expected)
    assert not list(tmp_path.iterdir())


def test_all_code_is_run():
    n_run = sum(len(parameters.values[0]) for parameters in sections())
    text = "".join(path.read_text(encoding="utf-8") for path in RUN)
    assert n_run == text.count("```python") > 10


def test_parameter_table_of_the_guide():
    found = PLACE.search(GUIDE.read_text(encoding="utf-8"))[2]
    assert found == parameter_table(), "run tests/repository/parameter_table.py"


def anchors(path):
    """Return the names by which headings of a document are linked to."""
    text = outside_of_code(path.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", t).strip().lower().replace(" ", "-") for t in titles
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_name_files_that_exist(path):
    for name in COMMAND.findall(path.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if path.name != "CHANGELOG.md"], ids=str
)
def test_nested_parameters_exist(path):
    owners = {"strategy": ("Full", "Product", "Cascade", "Sampling")}
    owners |= {"linear": ("LinearTree",), "label_encoder": ("LabelEncoder",)}
    known = {
        parent: set().union(*map(constraints, owners[parent])) for parent in owners
    }
    for parent, name in NESTED.findall(path.read_text(encoding="utf-8")):
        # Those of a backbone are those of the user's network, too.
        assert parent == "backbone" or name in known[parent], f"{parent}__{name}"


def test_the_guide_names_all_that_users_import():
    text = GUIDE.read_text(encoding="utf-8")
    objects = [getattr(skmhe, name) for name in skmhe.__all__ if name[0] != "_"]
    for parameter_object in objects:
        if isinstance(parameter_object, type) and issubclass(
            parameter_object, BaseEstimator
        ):
            assert f"`{parameter_object.__name__}" in text, parameter_object
