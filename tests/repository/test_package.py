"""What make package checks, and the files that a project has beside its code."""

import io
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from benchmark_scripts import load_script

import skmhe

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))
PEOPLE = ["SECURITY.md", "CODE_OF_CONDUCT.md", "CITATION.cff", "CONTRIBUTING.md"]
TRACKED = {"LICENSE", "tests/test_one.py", "skmhe/__init__.py", "skmhe/py.typed"}


def read(name):
    return (ROOT / name).read_text("utf-8")


@pytest.fixture(scope="module")
def check_package():
    return load_script("check_package", "../.ci")


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        (set(), []),
        ({"skmhe/py.typed"}, ["the sdist lacks skmhe/py.typed"]),
        ({"PKG-INFO"}, ["the sdist lacks PKG-INFO"]),
        ({"notes.txt"}, ["the sdist holds notes.txt, which git does not track: add"]),
    ],
)
def test_files_of_an_sdist(changed, faults, check_package, tmp_path):
    with tarfile.open(tmp_path / "sdist.tar.gz", "w:gz") as archive:
        for name in (TRACKED | {"PKG-INFO"}) ^ changed:
            archive.addfile(tarfile.TarInfo(f"skmhe-1.0/{name}"), io.BytesIO())
    found = check_package.check_sdist(tmp_path / "sdist.tar.gz", TRACKED)
    assert len(found) == len(faults)
    assert all(map(str.startswith, found, faults))


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        (set(), []),
        ({"skmhe/py.typed"}, ["the wheel lacks skmhe/py.typed"]),
        ({"tests/test_one.py"}, ["the wheel holds tests/test_one.py, which git does"]),
        (
            {"skmhe-1.0.dist-info/licenses/LICENSE"},
            ["the wheel's list of licenses lacks LICENSE"],
        ),
    ],
)
def test_files_of_a_wheel(changed, faults, check_package, tmp_path):
    infos = {f"skmhe-1.0.dist-info/{name}" for name in ("METADATA", "licenses/LICENSE")}
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        for name in ({"skmhe/__init__.py", "skmhe/py.typed"} | infos) ^ changed:
            archive.writestr(name, "")
    found = check_package.check_wheel(tmp_path / "x.whl", TRACKED)
    # tests/ is tracked, but not of the package.
    assert len(found) == len(faults)
    assert all(map(str.startswith, found, faults))


def test_an_environment_holds_what_is_required_and_nothing_else(
    check_package, tmp_path
):
    requirements = [
        "scikit-learn>=1",
        "hypothesis; extra == 'test'",
        "no-such; python_version < '3'",
    ]
    dists = check_package.closure(requirements)
    names = {dist.name for dist in dists}
    assert {"scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl"} <= names
    assert not names & {"hypothesis", "pytest", "pandas", "torch"}
    for dist in dists:
        check_package.link(dist, tmp_path)
    linked = {path.name for path in tmp_path.iterdir()}
    assert {"sklearn", "numpy", "threadpoolctl.py"} <= linked
    assert not linked & {"bin", "..", "__pycache__", "torch", "pytest"}
    assert all(path.exists() for path in tmp_path.iterdir())


def test_a_folder_without_files_of_a_release(check_package, tmp_path, capsys):
    assert check_package.main(tmp_path) == 2
    assert "must hold one sdist and one wheel, but there is: neither" in (
        capsys.readouterr().out
    )


def test_the_version_is_written_once():
    assert PROJECT["project"]["dynamic"] == ["version"]
    place = PROJECT["tool"]["hatch"]["version"]["path"]
    assert place == "skmhe/__init__.py"
    assert f'__version__ = "{skmhe.__version__}"\n' in read(place)
    assigning = [
        path
        for path in (ROOT / "skmhe").rglob("*.py")
        if re.search(r"^__version__ =", path.read_text("utf-8"), re.M)
    ]
    assert assigning == [ROOT / place]


def test_the_changelog_begins_with_the_version():
    number, _, is_dev = skmhe.__version__.partition(".dev")
    heading = re.search(r"^## (\S+) \((.*)\)$", read("CHANGELOG.md"), re.M)
    assert heading[1] == number
    assert bool(is_dev) == (heading[2] == "unreleased")
    assert is_dev or re.fullmatch(r"\d{4}-\d\d-\d\d", heading[2])


def test_the_citation_agrees_with_the_package():
    citation = dict(re.findall(r"^([\w-]+): (.+)$", read("CITATION.cff"), re.M))
    project = PROJECT["project"]
    assert citation["title"] == project["name"] == skmhe.__name__
    assert citation["version"] == skmhe.__version__
    assert citation["license"] == project["license"]
    assert citation["abstract"] == project["description"]
    assert citation["cff-version"] == "1.2.0"
    (author,) = project["authors"]
    assert f"authors:\n  - name: {author['name']}\n" in read("CITATION.cff")
    listed = "".join(f"  - {word}\n" for word in project["keywords"])
    assert f"keywords:\n{listed}" in read("CITATION.cff")


def test_the_license_is_the_one_that_is_named():
    project = PROJECT["project"]
    title, holder = read("LICENSE").split("\n\n")[:2]
    assert title == f"{project['license'].replace('-', ' ', 1)} License"
    assert holder.endswith(project["authors"][0]["name"])
    tracked = {"LICENSE", "skmhe/datasets/data/WORDNET_LICENSE"}
    assert set(project["license-files"]) == tracked
    assert all((ROOT / name).is_file() for name in tracked)
    assert "BSD 3-Clause" in read("README.md")


def test_security_names_what_runs_code():
    text = " ".join(read("SECURITY.md").split())
    for word in ("Unpickling runs code", "`joblib`", "`trust_remote_code`", "backbone"):
        assert word in text
    assert "SECURITY.md" in read("README.md")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_issue_templates_can_be_read(path):
    _, head, body = path.read_text("utf-8").split("---\n", 2)
    keys = dict(line.split(": ", 1) for line in head.splitlines())
    assert keys.keys() == {"name", "about", "labels"}
    assert body.count("<!--") == body.count("-->")
    assert "**" in body


def test_there_are_issue_templates():
    names = {path.stem for path in TEMPLATES}
    assert names == {"bug_report", "documentation", "feature_request"}


@pytest.mark.parametrize("name", PEOPLE)
def test_contacts_are_the_issue_tracker(name):
    assert not re.search(r"[\w.]+@[\w.]+|mailto:", read(name))


def test_what_a_deprecation_takes_is_written_down():
    section = read("CONTRIBUTING.md").split("\n## Deprecation\n")[1].split("\n## ")[0]
    for word in ("`FutureWarning`", "minor release", "`CHANGELOG.md`", "pickle"):
        assert word in section
