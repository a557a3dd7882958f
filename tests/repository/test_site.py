"""The documentation site: the API is complete, and links are checked."""

import importlib
import inspect
import re
import runpy
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("datasets", "displays", "io", "metrics", "model_selection", "nn", "text")
PUBLIC = ["skmhe", *(f"skmhe.{name}" for name in PACKAGES)]
GALLERY = sorted((ROOT / "examples" / "gallery").glob("*.py"))
MODULE = re.compile(r"^\.\. currentmodule:: (\S+)$", re.MULTILINE)
ENTRY = re.compile(r"^   ([A-Za-z_]\w*)$", re.MULTILINE)

sys.path.append(str(ROOT / "docs"))
from check_links import broken_links  # noqa: E402


def public_names():
    """Return (module, name) of all that users import."""
    for module in PUBLIC:
        for name in importlib.import_module(module).__all__:
            if name != "__version__":
                yield module, name


def test_each_public_name_has_a_page():
    _, *parts = MODULE.split((ROOT / "docs" / "api.rst").read_text("utf-8"))
    found = [
        (module, name)
        for module, text in zip(parts[::2], parts[1::2], strict=True)
        for name in ENTRY.findall(text)
    ]
    assert sorted(found) == sorted(public_names())


@pytest.mark.parametrize(("module", "name"), [*public_names()])
def test_each_public_docstring_has_an_example(module, name):
    doc = inspect.getdoc(getattr(importlib.import_module(module), name))
    assert re.search(r"^Examples\n--------\n(.*\n)*?>>> ", doc, re.MULTILINE)


def test_packages_with_public_names_are_all_of_them():
    folders = {path.parent.name for path in (ROOT / "skmhe").glob("*/__init__.py")}
    private = {"command_line", "estimators", "labels", "scorers", "training"}
    assert {f"skmhe.{name}" for name in folders - private} == set(PUBLIC[1:])


@pytest.mark.slow
@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_examples_of_the_gallery_run(path, tmp_path, monkeypatch):
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    plt.close("all")
    assert not list(tmp_path.iterdir())


def test_links_of_a_site(tmp_path):
    (tmp_path / "other page.html").write_text('<h1 id="here">Title</h1>')
    links = {
        "other%20page.html#here": True,
        "other%20page.html#there": False,
        "missing.html": False,
        "#own": True,
        "#not-own": False,
        "https://example.org/": True,
        "picture.png": False,
    }
    text = "".join(f'<a href="{link}">link</a>' for link in links)
    (tmp_path / "index.html").write_text(f'<p id="own">{text}</p>')
    broken = [link for _, link in broken_links(tmp_path)]
    assert broken == [link for link, leads in links.items() if not leads]


def test_a_site_loads_nothing_from_another_host(tmp_path):
    loads = [
        '<script src="https://example.org/script.js"></script>',
        '<link rel="stylesheet" href="//example.org/style.css">',
        '<img src="http://example.org/picture.png">',
    ]
    (tmp_path / "index.html").write_text("".join(loads))
    assert len([*broken_links(tmp_path)]) == len(loads)
