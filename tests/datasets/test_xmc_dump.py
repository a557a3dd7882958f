"""What dump_xmc writes is what load_xmc and scikit-learn read, and the reverse."""

import gzip
from io import BytesIO, StringIO

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import dump_svmlight_file, load_svmlight_file
from sklearn.preprocessing import MultiLabelBinarizer
from xmc_files import assert_same, random_problem

from skmhe.datasets import _xmc_dump, dump_xmc, load_xmc

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("zero_based", [True, False])
def test_round_trip(tmp_path, monkeypatch, suffix, zero_based):
    monkeypatch.setattr(_xmc_dump, "N_ENTRIES", 100)
    X, Y = random_problem()
    path = tmp_path / f"data{suffix}"
    dump_xmc(X, Y, path, zero_based=zero_based)
    assert_same(load_xmc(path, zero_based=zero_based), (X, Y))
    assert [*tmp_path.iterdir()] == [path]


SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=5)


@given(hnp.arrays(np.float32, SHAPES, elements=FLOATS))
def test_all_of_float32_comes_back(X):
    n, d = X.shape
    starts = np.arange(0, n * d + 1, d)
    X = sp.csr_matrix((X.ravel(), np.tile(np.arange(d), n), starts), (n, d))
    file = BytesIO()
    dump_xmc(X, np.ones((n, 1)), file)
    file.seek(0)
    assert_same(load_xmc(file), (X, np.ones((n, 1))))


def test_matrices_are_not_changed_and_may_be_of_any_form():
    X, Y = random_problem()
    expected = BytesIO()
    dump_xmc(X, Y, expected)
    twice = sp.csr_matrix(
        (np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), X.shape
    )
    unsorted = X[:, ::-1][:, ::-1]
    for same in (X.toarray(), X.tocsc(), X.astype(float), unsorted, twice):
        before = same.copy()
        file = BytesIO()
        dump_xmc(same, Y.toarray().astype(bool), file)
        assert file.getvalue() == expected.getvalue()
        assert abs(before - same).sum() == 0 and type(before) is type(same)
    assert twice.nnz == 2 * X.nnz


def test_header_and_first_id():
    X, Y = sp.csr_matrix([[0, 2.0], [0, 0]]), sp.csr_matrix([[1, 0], [1, 1]])
    texts = {}
    for header in (True, False):
        for zero_based in (True, False):
            file = BytesIO()
            dump_xmc(X, Y, file, header=header, zero_based=zero_based)
            texts[header, zero_based] = file.getvalue()
    assert texts == {
        (True, True): b"2 2 2\n0 1:2\n0,1\n",
        (True, False): b"2 2 2\n1 2:2\n1,2\n",
        (False, True): b"0 1:2\n0,1\n",
        (False, False): b"1 2:2\n1,2\n",
    }


def test_equal_data_make_equal_compressed_files(tmp_path):
    X, Y = random_problem()
    for name in ("a.gz", "b.gz"):
        dump_xmc(X, Y, tmp_path / name)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_no_rows(tmp_path):
    dump_xmc(np.empty((0, 3)), np.empty((0, 2)), tmp_path / "data")
    assert (tmp_path / "data").read_bytes() == b"0 3 2\n"
    assert load_xmc(tmp_path / "data")[0].shape == (0, 3)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_fails_leaves_the_old_file(tmp_path, monkeypatch, suffix):
    X, Y = random_problem()
    path = tmp_path / f"data{suffix}"
    dump_xmc(X, Y, path)
    before = path.read_bytes()
    monkeypatch.setattr(_xmc_dump, "N_ENTRIES", 100)
    text, calls = _xmc_dump._text, []

    def fails_at_last(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return text(*args, **kwargs)

    monkeypatch.setattr(_xmc_dump, "_text", fails_at_last)
    with pytest.raises(KeyboardInterrupt):
        dump_xmc(X[::-1], Y, path)
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_a_link_is_kept(tmp_path):
    X, Y = random_problem()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    dump_xmc(X, Y, tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "data").is_file()


def test_an_open_file_is_written_to_and_left_open(tmp_path):
    X, Y = random_problem()
    with gzip.open(tmp_path / "data.gz", "wb") as file:
        dump_xmc(X, Y, file)
        assert not file.closed
    assert_same(load_xmc(tmp_path / "data.gz"), (X, Y))


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        ([[np.nan]], [[1]], "Input X contains NaN"),
        ([[1e39]], [[1]], "Input X contains infinity"),
        ([[3e38, 1]], [[np.inf]], "Y must be an indicator.*Input Y contains infinity"),
        (
            [[1.0]],
            [[2]],
            r"Y must be an indi.*MultiLabelBinarizer .*the value 2\)",
        ),
        (
            [[1.0]],
            [1],
            r"Y must be an indi.*Expected 2D array, got 1D array instead\)\.$",
        ),
        ([[1.0], [2.0]], [[1], [0, 3]], "Y must be an indicator.*MultiLabelBinarizer"),
        ([[1.0]], [["cat"]], "Y must be an indicator.*MultiLabelBinarizer"),
        (
            sp.csr_array((1, 2**31)),
            [[1]],
            "X must have at most 2147483647 columns, go",
        ),
        (
            sp.csr_matrix((np.full(2, 3e38, "f"), [0, 0], [0, 2])),
            [[1]],
            "X has entries of one place that add up to more than float32 can hold",
        ),
        ([[1.0], [2.0]], [[1]], r"for each sample, got X of shape \(2, 1\) and Y of"),
        ([1.0], [[1]], r"X must be a matrix of finite .*got 1D array instead\)\.$"),
        ([[{}]], [[1]], r"X must be a matrix of finite .*not 'dict'\)\.$"),
        ([[10**400]], [[1]], "X must be a matrix of finite .*too large"),
    ],
)
def test_errors_of_data(tmp_path, X, Y, message):
    with pytest.raises(ValueError, match=message):
        dump_xmc(X, Y, tmp_path / "data")
    assert not [*tmp_path.iterdir()]


def test_errors_of_other_arguments(tmp_path):
    X, Y = random_problem()
    with pytest.raises(TypeError, match=r"path must be .* got 3"):
        dump_xmc(X, Y, 3)
    with pytest.raises(TypeError, match="header must be True or False, got 'no'"):
        dump_xmc(X, Y, tmp_path / "data", header="no")
    with pytest.raises(TypeError, match="zero_based must be True or False, got 'auto'"):
        dump_xmc(X, Y, tmp_path / "data", zero_based="auto")
    with pytest.raises(IsADirectoryError, match="is a folder: name a file"):
        dump_xmc(X, Y, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere/data': there is no folder"):
        dump_xmc(X, Y, tmp_path / "nowhere" / "data")
    with pytest.raises(TypeError, match=r"path must be .* got b'data'"):
        dump_xmc(X, Y, b"data")
    with pytest.raises(TypeError, match=r"path must be .*in binary mode, got <"):
        dump_xmc(X, Y, StringIO())
    (tmp_path / "old").touch()
    closed = pytest.raises(ValueError, match="must be a file that is open to write")
    with open(tmp_path / "old", "rb") as file, closed:
        dump_xmc(X, Y, file)


# ------------------------------------------------------------------------ scikit-learn
@pytest.mark.parametrize("zero_based", [True, False])
@pytest.mark.parametrize("comment", [None, "of two\nlines"])
def test_what_scikit_learn_writes(tmp_path, zero_based, comment):
    X, Y = random_problem()
    path = str(tmp_path / "data.svmlight")
    dump_svmlight_file(
        X, Y, path, zero_based=zero_based, comment=comment, multilabel=True
    )
    # It writes labels from 0 on, whatever zero_based is.
    bases = (zero_based, True)
    found = load_xmc(path, zero_based=bases, n_features=40, n_labels=15)
    assert_same(found, (X, Y))
    assert_same(load_xmc(path, n_features=40, n_labels=15), (X, Y))  # by auto


@pytest.mark.parametrize("zero_based", [True, False])
def test_what_scikit_learn_reads(tmp_path, zero_based):
    X, Y = random_problem()
    filled = (np.diff(X.indptr) > 0) | (np.diff(Y.indptr) > 0)
    assert not filled.all()
    path = str(tmp_path / "data.svmlight.gz")
    dump_xmc(X, Y, path, header=False, zero_based=zero_based)
    found, labels = load_svmlight_file(
        path, n_features=40, zero_based=zero_based, multilabel=True, dtype=np.float32
    )
    # It skips empty lines.
    first = 0 if zero_based else 1
    binarizer = MultiLabelBinarizer(classes=range(first, 15 + first))
    assert_same(
        (found, binarizer.fit_transform(labels).astype(np.float32)),
        (X[filled], Y[filled]),
    )
