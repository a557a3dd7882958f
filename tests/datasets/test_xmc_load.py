"""What load_xmc reads: all that the format allows, and each of its parameters."""

import bz2
import gzip
import lzma
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xmc_files import VALID, assert_same, read_slowly

from skmhe.datasets import _files, load_xmc
from skmhe.datasets._xmc_blocks import parse_block
from skmhe.datasets._xmc_lines import MAX_ID, Bounds, parse_line

X_VALID = [[0.5, 0, 1.5, 0, 0], [0, 2, 0, 0, -0.25], [0, 0, 0, 0, 0]]
Y_VALID = [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]


def load(text, **parameters):
    X, Y = load_xmc(BytesIO(text), **parameters)
    assert X.dtype == Y.dtype == np.float32
    return X.toarray().tolist(), Y.toarray().tolist()


@pytest.mark.parametrize(
    "text",
    [
        VALID,
        VALID.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + VALID,  # as editors of Windows mark UTF-8
        VALID.rstrip(b"\n"),
        VALID + b"\n\r\n  \n",  # empty lines after the last row
        b"# made by hand\n  # twice\n" + VALID,
        VALID.replace(b"1.5", b"1.5 # the second"),
        VALID.replace(b"\n 1:2", b"\n# a comment\n 1:2"),
        VALID.replace(b"\n 1:2", b"\n1:2"),  # no labels, and no space before
        VALID.replace(b" 1:2", b"\t 1:2  "),
        VALID.replace(b"0,3 0:0.5 2:1.5", b"3,0 2:1.5 0:0.5"),
        VALID.replace(b"0.5", b"+5.e-1").replace(b"-0.25", b"-.25E0"),
        VALID.replace(b"0,3 0:", b"00,003 0000:"),
    ],
    ids=lambda text: repr(text)[2:30],
)
def test_forms_of_the_same_data(text):
    assert load(text) == (X_VALID, Y_VALID)


def test_rows_may_be_empty():
    X, Y = load(b"\n0 0:1\n\n\n2\n\n")  # without a header, each of them is a row
    assert X == [[0], [1], [0], [0], [0], [0]]
    assert np.flatnonzero(Y).tolist() == [3, 14]


def test_a_header_gives_columns_that_are_not_used():
    X, Y = load_xmc(BytesIO(b"0 7 1000000\n"))
    assert X.shape == (0, 7) and Y.shape == (0, 1_000_000)


def test_indices_are_sorted_and_zeros_are_kept():
    X, Y = load_xmc(BytesIO(b"9,1,4 5:1 2:0 3:-0\n"))
    assert X.indices.tolist() == [2, 3, 5] and Y.indices.tolist() == [1, 4, 9]
    assert X.data.tolist() == [0, 0, 1] and np.signbit(X.data).tolist() == [0, 1, 0]
    assert X.has_canonical_format and Y.has_canonical_format
    assert X.indices.dtype == X.indptr.dtype == np.int32


@pytest.mark.parametrize(
    ("text", "zero_based", "features", "labels"),
    [
        (b"1 3 3\n2 1:1\n", "auto", 1, 2),  # nothing decides: as they are written
        (b"1 3 3\n2 1:1 0:5\n", "auto", 1, 2),
        (b"1 3 3\n2 1:1 3:0\n", "auto", 0, 2),  # 3 of 3 features: one-based
        (b"1 3 3\n3 1:1\n", "auto", 1, 2),  # labels are decided on their own
        (b"1 3 3\n2 1:1\n", False, 0, 1),
        (b"1 3 3\n2 1:1\n", True, 1, 2),
        (b"1 3 3\n2 1:1\n", (False, True), 0, 2),
        (b"1 3 3\n3 1:1\n", (True, "auto"), 1, 2),
        (b"2 1:1\n", "auto", 1, 2),  # without a header, too
        (b"2 1:1\n", False, 0, 1),
    ],
)
def test_zero_based(text, zero_based, features, labels):
    X, Y = load(text, zero_based=zero_based)
    assert X[0].index(1) == features and Y[0].index(1) == labels
    n_features = 3 if text[:1] == b"1" else features + 1
    assert len(X[0]) == n_features


@pytest.mark.parametrize(
    ("zero_based", "largest"),
    [("auto", MAX_ID - 1), (True, MAX_ID - 1), (False, MAX_ID)],
)
def test_largest_ids(zero_based, largest):
    X, Y = load_xmc(BytesIO(b"%d 1:1 %d:1" % (largest, largest)), zero_based=zero_based)
    assert X.shape == Y.shape == (1, MAX_ID)
    assert X.indices.dtype == Y.indices.dtype == np.int32
    for text in (b"1 %d:1", b"%d 1:1"):
        with pytest.raises(
            ValueError, match=rf"id {largest + 1} is out of range, .*{largest}"
        ):
            load_xmc(BytesIO(text % (largest + 1)), zero_based=zero_based)


def test_numbers_of_columns():
    X, Y = load_xmc(BytesIO(b"2 1:1\n"), n_features=5, n_labels=8)
    assert X.shape == (1, 5) and Y.shape == (1, 8)
    X, Y = load_xmc(BytesIO(b"2 5:1\n"), n_features=5, n_labels=8)
    assert X.indices.tolist() == [4]  # five of five features: one-based
    assert load(VALID, n_features=5, n_labels=4) == (X_VALID, Y_VALID)


def test_labels_in_a_file_of_their_own(tmp_path):
    path, labels_path = tmp_path / "trn_X_Xf.txt", tmp_path / "trn_X_Y.txt"
    path.write_bytes(b"3 5\n0:0.5 2:1.5\n1:2 4:-0.25\n\n")
    labels_path.write_bytes(b"3 4\n3:1 0:1.00000\n2:0\n1:0.7\n")
    X, Y = load_xmc(path, labels_path)
    assert (X.toarray().tolist(), Y.toarray().tolist()) == (X_VALID, Y_VALID)
    assert Y.nnz == 3
    labels_path.write_bytes(b"4 4\n3:1 0:1.00000\n\n1:1\n\n")
    with pytest.raises(ValueError, match=r"Y.txt: expected 3 rows, as in .*, got 4"):
        load_xmc(path, labels_path)
    with pytest.raises(ValueError, match=r"line 1: .*labels' file as labels_path"):
        load_xmc(path)


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("XZ", lzma.compress)],
)
def test_compressed_files(tmp_path, suffix, compress):
    path = tmp_path / f"data.txt.{suffix}"
    path.write_bytes(compress(VALID))
    for given_path in (path, str(path)):
        X, Y = load_xmc(given_path)
        assert (X.toarray().tolist(), Y.toarray().tolist()) == (X_VALID, Y_VALID)
    # A file may have several parts.
    path.write_bytes(compress(VALID[:20]) + compress(VALID[20:]))
    assert load_xmc(path)[0].toarray().tolist() == X_VALID


def test_an_open_file_is_read_from_its_position_and_left_open(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"skip" + VALID)
    with open(path, "rb") as file:
        file.seek(4)
        assert load_xmc(file)[0].toarray().tolist() == X_VALID
        assert not file.closed
    with gzip.open(tmp_path / "data.gz", "wb") as file:
        file.write(VALID)
    with gzip.open(tmp_path / "data.gz") as file:
        assert load_xmc(file)[0].toarray().tolist() == X_VALID


@pytest.mark.parametrize("block_size", [1, 7, 64])
def test_blocks_do_not_matter(monkeypatch, block_size):
    monkeypatch.setattr(_files, "BLOCK_SIZE", block_size)
    text = b"# one\n# two\n" + VALID.replace(b" 1:2", b"# three\n 1:2")
    assert load(text) == (X_VALID, Y_VALID)
    with pytest.raises(ValueError, match=r"<file>, line 6: .*got '4:x'"):
        load(text.replace(b"-0.25", b"x"))


# What may stand in a file, in pieces that make lines which are right often enough.
PIECES = st.sampled_from(
    ["0", "1", "27", "00", "3:4", "5:", ":", ",", ".", "e", "E-", "-", "+", " ", "  "]
    + ["\t", "1:0.5", "12:3e2", "7:-1.", "9:.5", "2:1e40", "x", "\x00", "99999999999"]
    + [" 1:1", " 4:2.5E+1", "\n", "\n"]
)


@given(st.lists(PIECES, max_size=12), st.booleans())
def test_blocks_are_read_as_single_lines_are(pieces, has_labels):
    text = ("".join(pieces) + "\n").encode()
    rows = parse_block(text, has_labels)
    try:
        lines = [parse_line(line, has_labels) for line in text.split(b"\n")[:-1]]
        for line in lines:
            for ids in (line.labels, line.features):
                if len(set(ids)) < len(ids) or max(ids, default=0) > MAX_ID:
                    raise ValueError
    except ValueError:
        assert rows is None
        return
    assert rows is not None, text
    assert rows.n_features.tolist() == [len(line.features) for line in lines]
    assert rows.n_labels.tolist() == [len(line.labels) for line in lines]
    assert rows.labels.tolist() == [i for line in lines for i in sorted(line.labels)]
    pairs = [
        pair
        for line in lines
        for pair in sorted(zip(line.features, line.values, strict=True))
    ]
    assert rows.features.tolist() == [pair[0] for pair in pairs]
    expected = np.array([pair[1] for pair in pairs], dtype=np.float32)
    np.testing.assert_array_equal(rows.values, expected)


@given(st.lists(st.integers(0, 4), max_size=6), st.sampled_from(["auto", True, False]))
def test_bounds_of_a_block_are_those_of_its_ids(ids, zero_based):
    one_by_one = Bounds.of("label", 4, zero_based)
    for number in ids:
        one_by_one = one_by_one and one_by_one.narrowed(number, number)
    if ids:
        whole = Bounds.of("label", 4, zero_based).narrowed(min(ids), max(ids))
        assert whole == one_by_one
    if one_by_one:
        assert one_by_one.highest - one_by_one.lowest == 3 + one_by_one.is_open


def test_another_reader_agrees():
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(200):
        labels = rng.choice(30, rng.integers(4), replace=False)
        features = rng.choice(50, rng.integers(9), replace=False)
        values = rng.normal(size=len(features)) * 10.0 ** rng.integers(-9, 9)
        pairs = [f" {i}:{v!r}" for i, v in zip(features, values.tolist(), strict=True)]
        lines.append(",".join(map(str, labels)) + "".join(pairs) + "\n")
    text = "".join(lines).encode()
    X, Y = load_xmc(BytesIO(text), n_features=50, n_labels=30)
    expected = np.zeros((200, 50), np.float32), np.zeros((200, 30), np.float32)
    for row, (labels, pairs) in enumerate(read_slowly(text)):
        expected[1][row, labels] = 1
        for column, value in pairs:
            expected[0][row, column] = value
    assert_same((X, Y), expected)
