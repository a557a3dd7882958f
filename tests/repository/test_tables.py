"""Tables of the documents: those that the committed result files give."""

import json
import re

import pytest
from benchmark_scripts import load_script

results, tables = load_script("results"), load_script("tables")

RESULT_FILES = sorted(results.FOLDER.glob("*.json"))
# A text that begins with an absolute path, or has one after a space or a sign.
PATH = re.compile(r"(^|[\s'\"=@:])(/\w|~/|[A-Za-z]:\\)")
DOCUMENT = "Before.\n\n<!-- table: rivals-other -->\n<!-- end -->\n\nAfter.\n"


def texts_of(value):
    """Yield all keys and texts of decoded JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)


@pytest.fixture
def folder(tmp_path):
    """Return a folder of results with figures of two models on one data set."""
    rows = {
        "skmhe": {"P@1": 52.334, "fit_s": 41.26, "rows_per_s": 4361.4},
        'skmhe:{"model": "linear"}': {"P@1": 49.72, "fit_s": 5.4, "peak_mib": 460.0},
    }
    path = tmp_path / "rivals_other.json"
    results.write(path, "bench_rivals.py", "tags", rows, {"repeats": 3})
    return tmp_path


@pytest.mark.parametrize("name", tables.DOCUMENTS)
def test_tables_of_documents_are_those_of_the_result_files(name):
    text = (results.REPOSITORY / name).read_text(encoding="utf-8")
    assert text == tables.with_tables(text), "run python benchmarks/tables.py"


@pytest.mark.parametrize("path", RESULT_FILES, ids=lambda path: path.name)
def test_result_files_name_their_machine_but_none_of_its_paths(path):
    content = results.read(path)
    for entry in content["data"].values():
        assert set(entry) == {"machine", "settings", "rows"}
        assert {"cpu", "cores", "torch", "skmhe", "commit", "date"} <= set(
            entry["machine"]
        )
    assert not [text for text in texts_of(content) if PATH.search(text)]


@pytest.mark.parametrize("path", RESULT_FILES, ids=lambda path: path.name)
def test_each_result_file_is_shown_by_a_table(path):
    assert path.name in {f for table in tables.TABLES.values() for f in table.files}


def test_figures_of_all_tables_have_a_title():
    for table in tables.TABLES.values():
        assert set(table.figures) | set(table.bold) <= set(results.COLUMNS)


def test_rendered_table(folder):
    lines = tables.render("rivals-other", folder).splitlines()
    assert lines[0].startswith("| data | model | P@1 | P@3 | P@5 | PSP@1 |")
    assert lines[2].startswith("| tags | skmhe | **52.33** |  |")
    assert "| 41.3 | 4,361 |" in lines[2]
    assert lines[3].startswith('|  | skmhe, `model="linear"` | 49.72 |')
    assert lines[3].endswith("| 460 |")
    assert lines[4] == ""
    assert lines[5].startswith("*`bench_rivals.py`; repeats 3; ")


def test_only_what_is_between_the_comments_changes(folder):
    text = tables.with_tables(DOCUMENT, folder)
    assert text.startswith("Before.\n\n<!-- table: rivals-other -->\n| data |")
    assert text.endswith("*\n<!-- end -->\n\nAfter.\n")
    assert tables.with_tables(text, folder) == text
    assert tables.with_tables(text.replace("52.33", "52.34"), folder) == text


def test_check_fails_for_another_figure(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tables, "with_tables", lambda text: text.replace("1", "2"))
    path = tmp_path / "doc.md"
    path.write_text("P@1\n")
    monkeypatch.setattr("sys.argv", ["tables.py", "--check", str(path)])
    with pytest.raises(SystemExit, match="tables differ"):
        tables.main()
    assert path.read_text() == "P@1\n"
    assert "+P@2" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["tables.py", str(path)])
    tables.main()
    assert path.read_text() == "P@2\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rivals-other", "rival", "no table 'rival'"),
        ("rivals-other", "dtype", r"needs dtype\.json"),
        ("<!-- end -->", "", "no line '<!-- end -->'"),
    ],
)
def test_errors_of_documents(folder, old, new, message):
    with pytest.raises(ValueError, match=message):
        tables.with_tables(DOCUMENT.replace(old, new), folder)


def test_data_sets_that_a_table_needs(folder):
    (folder / "rivals_other.json").rename(folder / "rivals.json")
    with pytest.raises(ValueError, match="has no results for"):
        tables.render("headline", folder)


def test_a_run_replaces_its_data_sets_only(folder):
    path = folder / "rivals_other.json"
    results.write(path, "bench_rivals.py", "words", {"skmhe": {"P@1": 1.0}}, {})
    results.write(path, "bench_rivals.py", "tags", {"skmhe": {"P@1": 2.0}}, {})
    data = json.loads(path.read_text())["data"]
    assert {name: entry["rows"] for name, entry in data.items()} == {
        "tags": {"skmhe": {"P@1": 2.0}},
        "words": {"skmhe": {"P@1": 1.0}},
    }


def test_results_of_another_benchmark_are_kept(folder):
    with pytest.raises(ValueError, match=r"holds results of bench_rivals\.py"):
        results.write(folder / "rivals_other.json", "bench_pools.py", "10", {}, {})


def test_nothing_is_written_without_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results.write(results.NO_FILE, "bench_pools.py", "10", {}, {})
    assert not list(tmp_path.iterdir())
