"""Files that are damaged, hostile, or of another version; and files half written."""

import ast
import errno
import functools
import json
import os
import pickle
import re
import stat
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from model_mutations import MUTATIONS, count, joined, parts_of
from safetensors import safe_open
from safetensors.numpy import save_file
from saved_models import assert_same, make, make_data, saved_and_loaded

import skmhe.io
from skmhe import MHEClassifier

SOURCES = sorted(Path(skmhe.io.__file__).parent.glob("*.py"))


@pytest.fixture
def saved(tmp_path):
    """Return a fitted estimator and its file."""
    X, y = make_data()
    clf, path = make(strategy="cascade").fit(X, y), tmp_path / "model.safetensors"
    skmhe.io.save(clf, path)
    return clf, path


def test_mutations_are_refused_or_predict():
    # 1,000 of them take half a minute: run model_mutations.py.
    n = 160
    found = count(n)
    assert found.total() == n
    refused = sum(n for (_, result), n in found.items() if result == "refused")
    assert n / 2 < refused < n
    for mutation in ("cut", "add", "flip_in_head"):
        assert found[mutation, "refused"] == n / len(MUTATIONS)


def test_all_flips_are_found_where_arrays_are_read(saved):
    _, path = saved
    data, rng = path.read_bytes(), np.random.RandomState(0)
    for place in rng.randint(len(data), size=100):
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randint(8)
        path.write_bytes(changed)
        for options in ({}, {"mmap": True, "verify": True}):
            try:
                skmhe.io.load(path, **options)
            except ValueError as error:
                assert str(path) in str(error)
            else:  # spaces after the header may be others
                assert bytes(changed).split(b"}", 1)[0] == data.split(b"}", 1)[0]


def test_hashes_of_mapped_arrays_are_compared_if_asked(saved):
    clf, path = saved
    data = bytearray(path.read_bytes())
    header, _, start = parts_of(bytes(data))
    name = "estimator.fitted._fitted.model.weights.head.biases.0"
    data[start + header[name]["data_offsets"][0]] ^= 1
    path.write_bytes(data)
    skmhe.io.load(path, mmap=True)
    for options in ({"mmap": True, "verify": True}, {}):
        with pytest.raises(ValueError, match=rf"{re.escape(name)}.*the hash differs"):
            skmhe.io.load(path, **options)
    X, _ = make_data()
    loaded = skmhe.io.load(path, verify=False)
    assert loaded.predict(X).shape == clf.predict(X).shape


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "it has 0 bytes"),
        (b"1234567", "it has 7 bytes"),
        (pickle.dumps(list(range(100))), "it looks like a pickle. If you trust it"),
        ((2**63).to_bytes(8, "little") + b"{}", "its header would have"),
        ((2).to_bytes(8, "little") + b"{}", "none of skmhe.io.save"),
        ((2).to_bytes(8, "little") + b"[]", "no JSON object"),
        ((9).to_bytes(8, "little") + b"\xff" * 9, "its header is no JSON"),
        ((9999).to_bytes(8, "little") + b"[" * 9999, "its header is no JSON"),
        ((13).to_bytes(8, "little") + b'{"a":1,"a":1}', "it has the entry 'a' twice"),
        ((9).to_bytes(8, "little") + b'{"a":NaN}', "it has NaN, which JSON has not"),
    ],
)
def test_other_files_are_refused(data, match, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{re.escape(repr(str(path)))}.*{match}"):
        skmhe.io.load(path)


def test_files_of_others_are_refused(tmp_path):
    save_file({"a": np.ones(3)}, tmp_path / "model")
    with pytest.raises(ValueError, match=r"none of skmhe\.io\.save"):
        skmhe.io.load(tmp_path / "model")
    with pytest.raises(FileNotFoundError, match="none' does not exist: name a file th"):
        skmhe.io.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError, match="is a folder: name a file that skmhe"):
        skmhe.io.load(tmp_path)


@pytest.mark.parametrize(
    ("version", "match"),
    [
        ("2", r"version 2 .* reads version 1: install a newer skmhe\.$"),
        ("0", "there is no such version"),
        ("", "its version is no number"),
        ("\u0661", "its version is no number"),
        ("999999999999", "its version is no number"),
    ],
)
def test_other_versions_are_refused(version, match, saved):
    _, path = saved
    data = path.read_bytes()
    header, document, start = parts_of(data)
    header["__metadata__"]["version"] = version
    # Whatever else is in the file.
    path.write_bytes(joined(header, document | {"arrays": 3}, data[start:]))
    with pytest.raises(ValueError, match=match):
        skmhe.io.load(path)


def test_entries_of_a_description_that_come_twice_are_refused(saved):
    _, path = saved
    data = path.read_bytes()
    header, document, start = parts_of(data)
    joined_twice = functools.partial(joined, header, document, data[start:])
    path.write_bytes(joined_twice())
    skmhe.io.load(path)
    path.write_bytes(joined_twice(lambda text: b'{"estimator": 1, ' + text[1:]))
    with pytest.raises(ValueError, match=r"its document .* 'estimator' twice"):
        skmhe.io.load(path)


def test_shapes_of_very_many_sizes_are_refused_at_once(saved):
    # Their product would take hours.
    _, path = saved
    data = path.read_bytes()
    header, document, start = parts_of(data)
    name = next(iter(document["arrays"]))
    header[name]["shape"] = [2**61] * 10**6
    path.write_bytes(joined(header, document, data[start:]))
    with pytest.raises(ValueError, match="has no valid shape"):
        skmhe.io.load(path)


def test_what_a_header_claims_is_not_allocated(saved):
    _, path = saved
    data = path.read_bytes()
    header, document, start = parts_of(data)
    name = next(iter(document["arrays"]))
    for shape in ([2**40], [2**61, 2**61], [0, 2**61]):
        header[name]["shape"] = document["arrays"][name]["shape"] = shape
        path.write_bytes(joined(header, document, data[start:]))
        tracemalloc.start()
        with pytest.raises(ValueError, match="another size than its shape says"):
            skmhe.io.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
        tracemalloc.stop()


@pytest.mark.parametrize("compact", [True, False])
def test_memory_is_at_most_twice_the_file(compact, tmp_path):
    X, y = make_data()
    # 12 MiB in 32 bits.
    clf = make(hidden_layer_sizes=(70_000,), model="network", max_iter=1).fit(X, y)
    weights = clf._fitted.model.weights
    assert sum(array.nbytes for array in weights.values()) > 2**23
    path = tmp_path / "model"
    skmhe.io.save(clf, path, compact=compact)
    for mmap in (False, True):
        tracemalloc.start()
        loaded = skmhe.io.load(path, mmap=mmap)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        limit = 0 if mmap and not compact else 2 * path.stat().st_size
        assert peak < limit + 2**20
        assert_same(clf, loaded, X)


def test_nothing_is_imported_or_run_by_name():
    forbidden = {"eval", "exec", "compile", "__import__", "import_module", "pickle"}
    forbidden |= {"marshal", "importlib", "loads_pickle", "locate"}
    for source in SOURCES:
        tree = ast.parse(source.read_text("utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        names |= {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not names & forbidden, source.name


@pytest.mark.parametrize("name", ["os:system", "builtins:eval", "skmhe:MHEClassifier"])
def test_files_cannot_name_functions(name, saved):
    _, path = saved
    data = path.read_bytes()
    header, document, start = parts_of(data)
    call = {"is": "trusted", "name": name}
    items = ["touch " + str(path.parent / "run")]
    for value in (
        call,
        {"is": "partial", "function": call, "items": items, "named": {"is": "named"}},
        {"is": "partial", "function": {"is": "constant", "name": "FullHead"}}
        | {"items": items, "named": {"is": "named", "entries": {}}},
    ):
        document["estimator"]["params"]["entries"]["strategy"] = value
        path.write_bytes(joined(header, document, data[start:]))
        with pytest.raises(ValueError, match=r"trust|calls what it may not"):
            skmhe.io.load(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_library_reads_what_is_written(saved):
    clf, path = saved
    with safe_open(path, framework="np") as file:
        assert file.metadata()["format"] == "skmhe"
        names = set(file.keys())
        start = "estimator.fitted._fitted.model.weights."
        for name, expected in clf._fitted.model.weights.items():
            found = file.get_tensor(start + name)
            np.testing.assert_array_equal(found, expected)
    assert json.loads(file_document(path))["arrays"].keys() == names - {"document"}


def file_document(path):
    with safe_open(path, framework="np") as file:
        return file.get_tensor("document").tobytes()


# Writing


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_nothing_half_written_is_left(step, saved, monkeypatch):
    clf, path = saved
    before = path.read_bytes()

    def fails(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, fails)
    with pytest.raises(OSError, match="No space left"):
        skmhe.io.save(clf.set_params(verbose=True), path)
    monkeypatch.undo()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_an_interruption_leaves_nothing(saved, monkeypatch):
    clf, path = saved
    target = path.with_name("other")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        skmhe.io.save(clf, target)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_is_replaced_while_it_is_mapped(saved):
    clf, path = saved
    X, y = make_data()
    mapped = skmhe.io.load(path, mmap=True)
    skmhe.io.save(make().fit(X, y), path)
    assert_same(clf, mapped, X)


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links(saved):
    clf, path = saved
    path.with_name("plain").write_bytes(b"")
    modes = {stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    assert len(modes) == 1  # as any new file
    link = path.with_name("link")
    link.symlink_to("plain")
    skmhe.io.save(clf, link)
    assert link.is_symlink()
    assert path.with_name("plain").read_bytes() == path.read_bytes()


def test_errors_of_saving(saved, tmp_path):
    clf, _ = saved
    with pytest.raises(IsADirectoryError, match="is a folder: name a file"):
        skmhe.io.save(clf, tmp_path)
    with pytest.raises(FileNotFoundError):
        skmhe.io.save(clf, tmp_path / "none" / "model")
    with pytest.raises(TypeError, match="is of type dict, but model files hold MHECl"):
        skmhe.io.save({}, tmp_path / "a")
    with pytest.raises(ValueError, match="compact must be True or False, got 1"):
        skmhe.io.save(clf, tmp_path / "a", compact=1)
    weights = MHEClassifier(class_weight=np.ma.masked)
    with pytest.raises(TypeError, match=r"estimator\.params\.class_weight is .*Masked"):
        skmhe.io.save(weights, tmp_path / "a")
    with pytest.raises(TypeError, match="an array of complex128"):
        skmhe.io.save(MHEClassifier(class_weight=np.ones(1, complex)), tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"mmap": 1}, "mmap must be True or False, got 1"),
        ({"verify": "yes"}, "verify must be True or False, got 'yes'"),
        ({"device": "abacus"}, "device='abacus' is not a device that torch knows"),
    ],
)
def test_errors_of_loading(options, match, saved):
    with pytest.raises(ValueError, match=match):
        skmhe.io.load(saved[1], **options)


def test_a_saved_file_is_the_same_each_time(saved):
    clf, path = saved
    X, _ = make_data()
    before = path.read_bytes()
    loaded = saved_and_loaded(clf, path)
    loaded.predict(X)
    skmhe.io.save(loaded, path)
    assert path.read_bytes() == before
