"""What load_xmc says of files that are wrong: file, line, and what it expects."""

import bz2
import errno
import gzip
import lzma
import os
import re
import sys
import tracemalloc
from io import BytesIO, StringIO

import numpy as np
import pytest
from xmc_files import VALID, mutated, random_problem

from skmhe.datasets import _files, dump_xmc, load_xmc

ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


def with_line(number, line):
    """Return the valid file with another line."""
    lines = VALID.splitlines()
    lines[number - 1] = line
    return b"\n".join(lines) + b"\n"


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        # Headers.
        (with_line(1, b"4 5 4"), 4, "expected 4 rows by the header, got 3 at the end"),
        (with_line(1, b"2 5 4"), 4, "expected no more rows, as the header tells"),
        (with_line(1, b"3 x 4"), 1, "got 'x' without a colon. The first line is a hea"),
        (with_line(1, b"3 5"), 1, "give the features' file as path and the labels' fi"),
        (with_line(1, b"3 5 4 1"), 1, "got '5' without a colon. The first line is a"),
        (with_line(1, b"-3 5 4"), 1, "expected a label id, digits only, got '-3'"),
        (
            with_line(1, b"3 3000000000 4"),
            1,
            "n_features to be at most 2147483647, got",
        ),
        (with_line(1, b"9" * 30 + b" 5 4"), 1, "a header of numbers of at most 18 dig"),
        (VALID.replace(b"3 5 4\n", b"3 5 4\n3 5 4\n"), 2, "got '5' without a colon"),
        (
            b"\n" + VALID,
            2,
            "without a colon. Only the first line may be a header: give",
        ),
        # Ids.
        (with_line(3, b" 1:2 6:1"), 3, "feature id 6 is out of range, expected 0 to 4"),
        (
            with_line(3, b" 1:2 5:1"),
            3,
            "expected 0 to 4: there are 5 features, and ids",
        ),
        (with_line(4, b"4"), 4, "label id 4 is out of range, expected 0 to 3"),
        (with_line(4, b"9"), 4, "label id 9 is out of range, expected 0 to 3"),
        (b"9 5 4\n4 1:1\n5 1:1\n", 3, "label id 5 is out of range, expected 1 to 4"),
        (b"9 5 4\n4 1:1\n0 1:1\n", 3, "label id 0 is out of range, expected 1 to 4"),
        (
            b"9 5 4\n2 1:1\n9 1:1\n",
            3,
            "id 9 is out of range, expected 0 to 3, or 1 to 4",
        ),
        (b"9 5 1\n2 1:1\n", 2, "expected 0 to 0, or 1 to 1: there is 1 label."),
        (
            with_line(3, b" 99999999999999999999:2"),
            3,
            "feature id '99999999999999999999'",
        ),
        (
            with_line(4, b"8" * 5000),
            4,
            "8...' is out of range, expected at most 214748",
        ),
        (with_line(3, b" 3000000000:2").split(b"\n", 1)[1], 2, "feature id 3000000000"),
        (with_line(3, b" 1:2 4:3 1:2"), 3, "expected each feature id once, but 1 occ"),
        (
            with_line(4, b"1,2,2"),
            4,
            "expected each label id once, but 2 occurs 2 times",
        ),
        (with_line(3, b" +1:2"), 3, "expected a feature id, digits only, got '+1'"),
        (with_line(3, b" 1.0:2"), 3, "expected a feature id, digits only, got '1.0'"),
        (with_line(3, b" :2"), 3, "expected a feature id, digits only, got ''"),
        (with_line(3, b"1,x 1:2"), 3, "expected a label id, digits only, got 'x'"),
        (with_line(3, b"1,,2 1:2"), 3, "expected a label id, digits only, got ''"),
        (with_line(3, b"1, 2 1:2"), 3, "expected a label id, digits only, got ''"),
        (with_line(3, b"1,2:3"), 3, "expected a feature id, digits only, got '1,2'"),
        (
            b"1 3 0\n0 1:1\n",
            2,
            "label id 0 is out of range, expected none: there are 0",
        ),
        # Values.
        (
            with_line(3, b" 1:nan"),
            3,
            "expected a finite number as the value in id:value",
        ),
        (with_line(3, b" 1:-inf"), 3, "got '1:-inf'"),
        (with_line(3, b" 1:"), 3, "got '1:'"),
        (with_line(3, b" 1:1.2.3"), 3, "got '1:1.2.3'"),
        (with_line(3, b" 1:2:3"), 3, "got '1:2:3'"),
        (with_line(3, b" 1:1e-5.5"), 3, "got '1:1e-5.5'"),
        (with_line(3, b" 1:e5"), 3, "got '1:e5'"),
        (with_line(3, b" 1:1_000"), 3, "got '1:1_000'"),
        (with_line(3, b" 1:0x1A"), 3, "got '1:0x1A'"),
        (with_line(3, b" 1:1e39"), 3, "expected a value that float32 can hold, below"),
        # What is no text of this format.
        (
            b"-1 1:0.5\n",
            1,
            "got '-1'. One number per sample, or query ids, are read by",
        ),
        (
            b"3 qid:1 1:2\n",
            1,
            "got 'qid'. One number per sample, or query ids, are rea",
        ),
        (with_line(3, b" 1 2"), 3, "expected id:value, got '1' without a colon"),
        (with_line(3, b" 1"), 3, "expected id:value, got '1' without a colon"),
        (with_line(3, b"a cat"), 3, "expected a label id, digits only, got 'a'"),
        (with_line(3, b" 1:2\r 2:3"), 3, r"got '1:2\\r'"),
        (with_line(3, b" 1:2\x00"), 3, r"got '1:2\\x00'"),
        (with_line(3, b" \xc3\xa41:2"), 3, r"got '\\xc3\\xa41'"),
        (
            gzip.compress(VALID, mtime=0),
            1,
            "expected text, got what a file that ends in .gz",
        ),
        (bz2.compress(VALID), 1, "got what a file that ends in .bz2 begins with: deco"),
        (lzma.compress(VALID), 1, "got what a file that ends in .xz begins with"),
        (b"PK\x03\x04\n\x00", 1, "got what a file that ends in .zip begins with"),
        (b"", 1, "expected a header or a row, but the file is empty"),
        (b"# nothing\n\n"[:-1], 1, "or has nothing but comments"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_files_that_are_wrong(tmp_path, text, line, expected):
    path = tmp_path / "train.txt"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=f"^{path}, line {line}: ") as caught:
        load_xmc(path)
    assert expected.replace("\\\\", "\\") in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


@pytest.mark.parametrize("zero_based", [True, False, "auto"])
def test_ids_by_zero_based(zero_based):
    text = b"1 3 3\n1 0:1 3:1\n"
    with pytest.raises(ValueError, match=r"line 2: feature id [03] is out of range"):
        load_xmc(BytesIO(text), zero_based=zero_based)


def test_the_first_line_that_is_wrong_is_named(tmp_path):
    X, Y = random_problem(n_samples=500)
    dump_xmc(X, Y, tmp_path / "data")
    lines = (tmp_path / "data").read_bytes().splitlines()
    for number in (400, 300):
        lines[number - 1] = b"1 2 3"
        with pytest.raises(ValueError, match=f"line {number}: .* got '2'"):
            load_xmc(BytesIO(b"\n".join(lines)))
    lines[99:99] = [b"# a comment"]
    with pytest.raises(ValueError, match=r"line 301: .* got '2'"):
        load_xmc(BytesIO(b"\r\n".join(lines)))


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)],
)
def test_compressed_files_that_are_damaged(tmp_path, suffix, compress):
    path = tmp_path / f"data.{suffix}"
    X, Y = random_problem(n_samples=200)
    dump_xmc(X, Y, path)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    for content in (whole[:-5], whole[: len(whole) // 2], bytes(damaged), VALID):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^{path}: expected a whole compressed"):
            load_xmc(path)


def test_zstandard_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, ZSTD, None)
    # A module that is imported is an attribute of its package, too.
    package = sys.modules.get(ZSTD.partition(".")[0])
    monkeypatch.delattr(package, "zstd", raising=False)
    path = tmp_path / "data.zst"
    with pytest.raises(ImportError, match=r"data.zst is compressed .*'skmhe\[zstd\]'"):
        dump_xmc(*random_problem(), path)
    assert not [*tmp_path.iterdir()]
    path.touch()
    with pytest.raises(ImportError, match=r"data.zst is compressed .*'skmhe\[zstd\]'"):
        load_xmc(path)


def test_zstandard(tmp_path):
    zstd = pytest.importorskip(ZSTD)
    X, Y = random_problem(n_samples=200)
    path = tmp_path / "data.zst"
    dump_xmc(X, Y, path)
    whole = path.read_bytes()
    found = load_xmc(path)
    assert abs(found[0] - X).nnz == abs(found[1] - Y).nnz == 0
    path.write_bytes(zstd.compress(VALID[:20]) + zstd.compress(VALID[20:]))
    assert load_xmc(path)[0].shape == (3, 5)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    for content in (whole[: len(whole) // 2], whole[:-4], bytes(damaged), VALID):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^{path}: expected a whole compressed"):
            load_xmc(path)
    with pytest.raises(ValueError, match=r"got what a file that ends in \.zst"):
        load_xmc(BytesIO(whole))


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"zero_based": 1}, ValueError, "zero_based must be True, False or 'auto', or"),
        ({"zero_based": (True,)}, ValueError, "a tuple of two of these, .* got .True,"),
        ({"zero_based": "no"}, ValueError, "got 'no'"),
        ({"n_features": 5.0}, TypeError, "n_features must be an int or None, got 5.0"),
        ({"n_labels": -1}, ValueError, "n_labels must be from 0 to 2147483647, got -1"),
        ({"n_labels": 2**31}, ValueError, "n_labels must be from 0 to"),
        (
            {"n_labels": 5},
            ValueError,
            "line 1: expected n_labels to be 5 as given, got",
        ),
        (
            {"n_features": 9},
            ValueError,
            "n_features to be 9 as given, got 5 in the he",
        ),
        ({"labels_path": 3}, TypeError, "labels_path must be a str, a path or a file"),
    ],
)
def test_parameters(parameters, error, message):
    with pytest.raises(error, match=message):
        load_xmc(BytesIO(VALID), **parameters)


def test_paths(tmp_path):
    with pytest.raises(
        TypeError, match="path must be a str, a path or a file that was"
    ):
        load_xmc(None)
    with pytest.raises(TypeError, match="opened in binary mode, but its read method"):
        load_xmc(Text())
    with pytest.raises(TypeError, match="a file that was opened in binary mode, got <"):
        load_xmc(StringIO(VALID.decode()))
    for suffix in ("", ".gz"):
        with pytest.raises(FileNotFoundError, match=r"nowhere.*' does not exist: name"):
            load_xmc(tmp_path / f"nowhere{suffix}")
    with pytest.raises(FileNotFoundError, match="'nowhere' does not exist in the curr"):
        load_xmc("nowhere")
    with pytest.raises(IsADirectoryError, match="' is a folder: name a file of data"):
        load_xmc(tmp_path)
    with open(tmp_path / "new", "wb") as file:
        for _ in range(2):
            with pytest.raises(ValueError, match="must be a file that is open to read"):
                load_xmc(file)
            file.close()


class Text:
    """A file of text that does not say so."""

    def read(self, size):
        return ""


def test_files_that_may_not_be_read(tmp_path, monkeypatch):
    # To the administrator, who may run this, all files may be read.
    path = tmp_path / "data"
    path.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)
    with pytest.raises(PermissionError, match="data' may not be read: change its perm"):
        load_xmc(path)


class Endless:
    """A file of one line; it counts what has been read of it."""

    n_read = 0

    def read(self, size):
        self.n_read += size
        return b"1" * size


def test_lines_that_do_not_end_are_not_read_to_their_end():
    file = Endless()
    with pytest.raises(
        ValueError, match="<file>, line 1: expected lines of at most 16,"
    ):
        load_xmc(file)
    assert file.n_read <= _files.LONGEST_LINE + 2 * _files.BLOCK_SIZE


def test_long_lines(monkeypatch):
    monkeypatch.setattr(_files, "BLOCK_SIZE", 16)
    monkeypatch.setattr(_files, "LONGEST_LINE", 1000)
    line = b" ".join(b"%d:1" % i for i in range(400))
    with pytest.raises(
        ValueError, match="line 2: expected lines of at most 1,000 bytes"
    ):
        load_xmc(BytesIO(b"1,2 3:1\n" + line))
    X, _ = load_xmc(BytesIO(b"1,2 3:1\n" + line[:900].rpartition(b" ")[0]))
    assert X.shape == (2, X[1].nnz)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"1" + b" " * 500_000 + b"x # a comment", "got 'x' without a colon"),
        (b" " * 500_000 + b"x # a comment", "got 'x' without a colon"),
        (b" 1:" + b"1" * 500_000 + b"x", "expected a finite number"),
        (b"#" * 500_000 + b"\nx", "digits only, got 'x'"),
        (b"1:1 " * 100_000 + b"x", "got 'x' without a colon"),
        (b"1," * 200_000 + b"x", "digits only, got 'x'"),
    ],
    ids=["spaces", "spaces first", "digits", "comment", "pairs", "labels"],
)
def test_long_lines_take_no_squared_time(line, expected):
    # It would be hours.
    with pytest.raises(ValueError, match=expected):
        load_xmc(BytesIO(b"1 1:1\n" + line))


def test_errors_of_the_system_are_its_own():
    class Broken:
        def read(self, size):
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        load_xmc(Broken())


def peak(function, *args):
    """Return the most memory that Python and NumPy took at once, in bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="line"):
            function(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("end", [b"0\n", b"x\n"])
def test_memory_is_at_most_twice_the_file(monkeypatch, end):
    monkeypatch.setattr(_files, "BLOCK_SIZE", 1 << 16)
    X, Y = random_problem(n_samples=500, n_features=3000, n_labels=3000)
    file = BytesIO()
    dump_xmc(X, Y, file, header=False)
    text = file.getvalue() * 2
    assert len(text) > 4_000_000
    tracemalloc.start()
    try:
        assert load_xmc(BytesIO(text + end))[0].shape == (1001, 3000)
    except ValueError as error:
        assert "line 1001: expected a label id" in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # Besides what is returned, arrays of a block.
    assert peak < 2 * len(text) + 32 * _files.BLOCK_SIZE


def test_memory_of_empty_rows(monkeypatch):
    monkeypatch.setattr(_files, "BLOCK_SIZE", 1 << 12)
    n = 2**20
    tracemalloc.start()
    try:
        X, Y = load_xmc(BytesIO(b"\n" * n))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    returned = X.indptr.nbytes + Y.indptr.nbytes
    assert X.shape == Y.shape == (n, 0)
    assert peak < 1.25 * returned + 100 * _files.BLOCK_SIZE


@pytest.mark.parametrize("numbers", [b"%d 5 4", b"3 %d 4", b"3 5 %d", b"%d %d"])
def test_claims_of_a_header_take_no_memory(numbers):
    for claimed in (2**31 - 1, 10**17, 10**40):
        n = numbers.count(b"%d")
        text = with_line(1, numbers % ((claimed,) * n)) + b"x\n"
        assert peak(load_xmc, BytesIO(text)) < 1_000_000


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zst"])
def test_mutated_files(tmp_path, suffix, n_files=250, seed=0):
    """None crashes, and none takes more than twice its size and a few blocks."""
    if suffix == ".zst":
        pytest.importorskip(ZSTD)
    X, Y = random_problem(n_samples=12, n_features=8, n_labels=6)
    path = tmp_path / f"data{suffix}"
    dump_xmc(X, Y, path)
    whole = path.read_bytes()
    # The decompressor of xz has a window of 8 MiB, however short a file is.
    room = 4 * _files.BLOCK_SIZE + 2**23 * (suffix == ".xz")
    rng = np.random.default_rng(seed)
    errors = []
    for _ in range(n_files):
        path.write_bytes(mutated(whole, rng))
        tracemalloc.start()
        try:
            found, labels = load_xmc(path)
        except (ValueError, OSError) as error:
            assert str(path) in str(error)
            message = re.sub(r".*?line \d+", "", str(error), count=1)
            errors.append(re.sub(r"[\d'].*", "", message))
            continue
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 2 * path.stat().st_size + room
        assert np.isfinite(found.data).all() and (labels.data == 1).all()
        found.check_format()
        labels.check_format()
    assert len(errors) > n_files / 2
    assert suffix or len(set(errors)) > 4
