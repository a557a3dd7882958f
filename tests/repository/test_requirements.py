"""What pyproject.toml promises: each dependency is needed, and has a tested bound."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Packages that are imported by another name.
DISTRIBUTIONS = {
    **{"sklearn": "scikit-learn", "faiss": "faiss-cpu"},
    "backports": "backports-zstd",
}


def distribution(requirement):
    return re.match(r"[\w-]+", requirement).group()


def imported(path):
    """Return the top-level packages that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_the_package_imports_what_it_requires_and_nothing_else():
    used = set().union(*map(imported, (ROOT / "skmhe").rglob("*.py")))
    # compression is of the standard library from Python 3.14 on.
    used -= {*sys.stdlib_module_names, "skmhe", "compression"}
    shipped = ("search", "text", "zstd", "cli", "plot")
    extras = [requirement for extra in shipped for requirement in EXTRAS[extra]]
    required = [*PROJECT["dependencies"], *extras]
    used.add("safetensors")  # by which transformers reads weights
    assert {DISTRIBUTIONS.get(name, name) for name in used} == {
        distribution(requirement) for requirement in required
    }


def test_the_user_guide_gives_a_reason_for_each_dependency():
    guide = (ROOT / "docs" / "user_guide.md").read_text("utf-8")
    section = guide.split("## Dependencies", 1)[1].split("\n## ", 1)[0]
    names = re.findall(r"^\| ([a-z][\w, -]+?)(?: \(extra `\w+`\))? \|", section, re.M)
    explained = ("search", "text", "zstd", "cli", "plot", "tasks", "package", "docs")
    extras = [
        requirement
        for extra in explained
        for requirement in EXTRAS[extra]
        if "skmhe[" not in requirement
    ]
    assert {name for row in names for name in row.split(", ")} == {
        distribution(requirement) for requirement in PROJECT["dependencies"] + extras
    }


def test_the_lowest_versions_are_the_bounds():
    extras = [requirement for extra in EXTRAS.values() for requirement in extra]
    required = [
        requirement.partition(";")[0]  # without the versions of Python that need it
        for requirement in PROJECT["dependencies"] + extras
        if "skmhe[" not in requirement
    ]
    assert all(re.fullmatch(r"[\w-]+>=[\d.]+", requirement) for requirement in required)
    lowest = {requirement.replace(">=", "==") for requirement in required}
    lines = (ROOT / "requirements-min.txt").read_text("utf-8").splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert pinned == sorted(lowest)


def test_the_oldest_python_is_the_one_tested():
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert f"PYTHON_MIN ?= python{oldest}\n" in (ROOT / "Makefile").read_text("utf-8")
