"""Batches, chunks of rows, and arrays as tensors."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skmhe.nn import SparseRows
from skmhe.scorers import batch as batches
from skmhe.scorers.batch import (
    Batch,
    add_entries,
    in_form,
    row_chunks,
    rows_to_tensor,
    take_rows,
    to_tensor,
    unit_rows,
)

CPU, META = torch.device("cpu"), torch.device("meta")


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_a_batch_computes_each_thing_once(container, monkeypatch):
    calls = []

    def counted(name, function):
        def wrapped(*args):
            calls.append(name)
            return function(*args)

        monkeypatch.setattr(batches, name, wrapped)

    counted("unit_rows", unit_rows)
    counted("rows_to_tensor", rows_to_tensor)
    X = container(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]], np.float32))
    batch = Batch(X, CPU)
    assert len(batch) == 3
    own = container is sp.csr_array
    for _ in range(2):
        assert batch.unit_rows() is batch.unit_rows(sparse=own)
        assert batch.unit_rows(sparse=not own) is batch.unit_rows(not own)
        assert batch.tensor is batch.tensor
    assert sorted(calls) == ["rows_to_tensor", "unit_rows", "unit_rows"]
    for sparse in (False, True):
        rows = batch.unit_rows(sparse)
        assert sp.issparse(rows) == sparse
        assert_allclose(in_form(rows, False), [[0.6, 0.8], [0, 0], [0, -1]], rtol=1e-6)


def test_batches_are_float32_on_their_device():
    batch = Batch(np.ones((2, 3)), CPU)
    assert batch.unit_rows().dtype == np.float32
    assert batch.tensor.dtype == torch.float32
    assert Batch(np.ones((2, 3)), META).tensor.device == META


def test_rows_by_slice_or_tensor():
    X = sp.csr_array(np.arange(12.0).reshape(4, 3))
    for rows in (slice(1, 3), torch.tensor([3, 0])):
        assert_array_equal(take_rows(X, rows).toarray(), X.toarray()[rows])


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_unit_rows(container):
    X = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])
    unit = unit_rows(container(X))
    unit = unit.toarray() if sp.issparse(unit) else unit
    assert unit.dtype == np.float32
    assert_allclose(unit, [[0.6, 0.8], [0, 0], [0, -1]])
    assert_array_equal(X, [[3, 4], [0, 0], [0, -2]])
    tiny = unit_rows(container(X * 1e-100))
    tiny = tiny.toarray() if sp.issparse(tiny) else tiny
    assert_allclose(tiny, unit, rtol=1e-6)


def test_entries_are_added_in_place():
    scores = torch.zeros(2, 3)
    entries = sp.csr_array(np.array([[0, 2.0, 0], [1, 0, 0]]))
    assert add_entries(scores, entries) is scores
    assert_array_equal(scores, entries.toarray())
    assert add_entries(scores, None) is scores


# ------------------------------------------------------------ chunks


@pytest.mark.parametrize("n_rows", [1, 7, 1024, 1025, 5000])
@pytest.mark.parametrize("scores_per_row", [1, 1000, 10**6])
def test_chunks_cover_all_rows_in_order(n_rows, scores_per_row):
    chunks = list(row_chunks(n_rows, scores_per_row))
    rows = np.concatenate([np.arange(n_rows)[chunk] for chunk in chunks])
    assert_array_equal(rows, np.arange(n_rows))
    assert all(chunk.stop > chunk.start for chunk in chunks)


@pytest.mark.parametrize(
    ("memory", "scores_per_row", "expected"),
    [
        (1, 2**18, 1),  # a row of 2^18 scores of 4 bytes fills 1 MiB
        (1, 2**16, 4),
        (1, 2**16 + 1, 3),
        (1, 2**30, 1),  # at least a row, even if it does not fit
        (1024, 1, 2048),  # no more than the cache can hold
    ],
)
def test_size_of_chunks(memory, scores_per_row, expected):
    with sklearn.config_context(working_memory=memory):
        first = next(row_chunks(5000, scores_per_row))
    assert first.stop - first.start == expected


# ------------------------------------------------------------ tensors


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


ARRAYS = {
    "float32": np.arange(12, dtype=np.float32).reshape(3, 4),
    "float64": np.arange(12.0).reshape(3, 4),
    "int64": np.arange(12),
    "int32": np.arange(12, dtype=np.int32),
    "scalar": np.array(2.5, dtype=np.float32),
    "empty": np.empty((0, 3), dtype=np.float32),
    "read-only": read_only(np.arange(12, dtype=np.float32)),
    "read-only empty": read_only(np.empty(0, dtype=np.float32)),
    "read-only, 0-d": read_only(np.array(2.5, dtype=np.float32)),
    "F-order": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "read-only F-order": read_only(np.arange(12.0).reshape(3, 4)).T,
    "strided": np.arange(12.0)[::3],
    "negative stride": np.arange(12.0)[::-1],
    "negative strides": np.arange(12.0).reshape(3, 4)[::-1, ::-1],
    "byte-swapped": np.arange(12.0).astype(">f8"),
    "byte-swapped ints": np.arange(12).astype(">i4"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_to_tensor(name):
    array = ARRAYS[name]
    before = array.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of read-only memory
        tensor = to_tensor(array)
    assert_array_equal(tensor.numpy(), array)
    assert tuple(tensor.shape) == array.shape
    assert tensor.numpy().dtype == array.dtype.newbyteorder("=")
    assert_array_equal(array, before)


@pytest.mark.parametrize(
    "name", ["float32", "read-only", "F-order", "read-only F-order", "strided"]
)
def test_to_tensor_copies_nothing(name):
    array = ARRAYS[name]
    assert to_tensor(array).data_ptr() == array.__array_interface__["data"][0]
    assert array.flags.writeable == (not name.startswith("read-only"))


def test_to_tensor_keeps_a_memory_map_alive(tmp_path):
    np.save(tmp_path / "weights.npy", np.arange(1000, dtype=np.float32))

    def load():
        return to_tensor(np.load(tmp_path / "weights.npy", mmap_mode="r"))

    tensor = load()
    # The map's only reference is the tensor's.
    assert tensor.sum() == 499_500


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
def test_rows_to_tensor(dtype, index_dtype):
    X = np.array([[0, 1, 0], [2, 0, 3], [0, 0, 0]], dtype=np.float32)
    dense = rows_to_tensor(X, CPU, dtype)
    assert dense.dtype == dtype
    assert_array_equal(dense.numpy(), X)
    rows = sp.csr_array(X)
    rows.indices = rows.indices.astype(index_dtype)
    rows.indptr = rows.indptr.astype(index_dtype)
    sparse = rows_to_tensor(rows, CPU, dtype)
    assert isinstance(sparse, SparseRows)
    assert sparse.values.dtype == dtype
    assert sparse.shape == (3, 3)
    features, compact = sparse.to_compact()
    assert_array_equal(features.numpy(), [0, 1, 2])
    assert_array_equal(compact.numpy(), X)


def test_rows_go_to_the_device():
    rows = rows_to_tensor(sp.csr_array(np.eye(3, dtype=np.float32)), META)
    assert {tensor.device.type for tensor in rows[:3]} == {"meta"}
    assert rows_to_tensor(np.eye(3, dtype=np.float32), META).device.type == "meta"
