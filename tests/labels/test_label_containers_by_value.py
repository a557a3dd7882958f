"""Labels are compared by their values, and forms are told by what they can mean."""

from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal

from skmhe.labels.containers import (
    check_comparable,
    find_columns,
    find_labels,
    label_array,
    names_of_labels,
)
from skmhe.labels.forms import LabelLists, read_labels


@pytest.mark.parametrize("unit", ["D", "us", "ns"])
def test_times_of_different_units_are_equal(unit):
    classes = np.array(["2021-05-01", "2020-01-31"], dtype="datetime64[us]")
    labels = np.array(["2020-01-31", "2022-01-01", "2021-05-01"], f"datetime64[{unit}]")
    check_comparable(labels, classes, "y")
    assert_array_equal(find_labels(labels, classes), [1, -1, 0])
    same = np.fromiter(list(labels.astype("datetime64[us]")), dtype=object, count=3)
    assert_array_equal(find_labels(same, classes), [1, -1, 0])


def test_labels_among_classes_in_any_order():
    classes = np.array([30, 10, 20])
    values = np.array([10, 20, 30, 5, 99, 15])
    assert_array_equal(find_labels(values, classes), [1, 2, 0, -1, -1, -1])
    assert_array_equal(find_labels(values / 1.0, classes), [1, 2, 0, -1, -1, -1])
    assert_array_equal(find_labels(values, classes[:0]), -1)
    names = np.array(["b", "a"])
    objects = np.array(["a", 3, "b", "long"], dtype=object)
    assert_array_equal(find_labels(objects, names), [1, -1, 0, -1])


def test_times_are_no_numbers():
    times = np.array(["2020-01-31"], dtype="datetime64[ns]")
    with pytest.raises(ValueError, match="y has labels of type datetime64, such as"):
        check_comparable(times, np.array([3]), "y")


@pytest.mark.parametrize("rows", [[[0], [1], [1]], [[0]], [(1,), (0,)]])
def test_lists_of_one_label_each_are_no_indicator(rows):
    for zeros_and_ones in ("refuse", "indicator", "lists"):
        read = read_labels(rows, zeros_and_ones=zeros_and_ones)
        assert isinstance(read, LabelLists)
        assert_array_equal(read.labels, np.ravel(rows))


def test_sets_of_zeros_and_ones_are_no_indicator():
    read = read_labels([{0, 1}, frozenset({1, 0})])
    assert isinstance(read, LabelLists)
    assert_array_equal(read.lengths, [2, 2])


@pytest.mark.parametrize("y", [np.zeros((2, 2, 2)), 5, "ab"])
def test_other_dimensions_name_the_argument(y):
    with pytest.raises(ValueError, match=r"y_true is of shape .*; pass one label"):
        read_labels(y, "y_true")


def test_columns_of_classes():
    classes = np.array(["a", "b"], dtype=object)
    assert_array_equal(find_columns(classes, classes[::-1], 2), [1, 0])
    assert_array_equal(find_columns(classes, None, 2), [0, 1])
    assert_array_equal(find_columns(classes, np.arange(2), 2), [0, 1])
    assert_array_equal(find_columns(np.array([1, 0]), np.arange(2), 2), [1, 0])
    assert find_columns(classes, None, 3) is None
    assert find_columns(classes, np.array(["a", "c"], dtype=object), 2) is None
    assert find_columns(np.array([1, 2]), np.arange(2), 2) is None


@pytest.mark.parametrize(
    ("labels", "error", "found"),
    [
        (["a", None], ValueError, "None at place 1"),
        (np.array(["2024", "NaT"], "datetime64[ns]"), ValueError, ".*NaT.* at place 1"),
        ([["a"], ["b"]], TypeError, r"\['a'\] at place 0, which cannot be hashed"),
    ],
)
def test_names_of_labels_are_bad(labels, error, found):
    with pytest.raises(error, match=f"classes has {found}"):
        names_of_labels(labels, "classes")


def test_missing_names_of_columns():
    y = pd.DataFrame([[1, 0], [0, 1]], columns=["a", None])
    with pytest.raises(ValueError, match=r"y\.columns has .* at place 1"):
        read_labels(y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ma.array([3, 1, 2], mask=[0, 1, 0]), "row 1 is None"),
        (np.ma.array(["a", "b"], mask=[1, 0]), "row 0 is None"),
        (np.ma.array([[0, 1, 1], [1, 0, 0]], mask=[[0, 0, 1], [0] * 3]), "row 0 has"),
        ([np.ma.array([3, 1], mask=[0, 1]), np.arange(2)], "row 0 has None among"),
        ([["a"], ["b", np.ma.masked]], "row 1 has masked among"),
    ],
)
def test_masked_values_are_missing(y, message):
    with pytest.raises(ValueError, match=message):
        read_labels(y)


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="needs NumPy 2")
@pytest.mark.parametrize("missing", [None, np.nan])
def test_strings_of_variable_width(missing):
    names = np.array(["b", "a"], dtype=np.dtypes.StringDType(na_object=missing))
    assert_array_equal(read_labels(names).labels, np.array(["b", "a"], dtype=object))
    assert_array_equal(read_labels([names, names[:0]]).labels, ["b", "a"])
    names[1] = missing
    for y in (names, [names]):
        with pytest.raises(ValueError, match="contains NaN"):
            read_labels(y)


@pytest.mark.parametrize("y", [{("a",), ("b",)}, {("a",): 1}, {("a",): 1}.keys()])
def test_rows_without_an_order(y):
    with pytest.raises(ValueError, match=r"y is of shape \(\) and type (set|dict)"):
        read_labels(y)


def test_named_labels_without_an_order():
    for names in ({"a", "b"}, frozenset({1, "a"}), {"a": 1}):
        with pytest.raises(ValueError, match="pass a list, for example sorted"):
            names_of_labels(names, "classes")


def test_large_integers_stay_apart():
    large = 2**53
    for y in ([large, large + 1, 2.0], [-1, 2**63, 2**63 + 1]):
        for labels in (read_labels(y).labels, label_array(y), read_labels([y]).labels):
            assert len(set(labels.tolist())) == 3
    assert label_array([1, 2.0]).dtype == np.float64


def test_frozensets_are_lists_of_labels():
    with pytest.raises(ValueError, match="got lists of labels"):
        read_labels([frozenset("a"), frozenset("b")], single=True)


def test_named_tuples_are_labels():
    pair = namedtuple("pair", "x y")
    y = pd.Series([pair(1, "a"), pair(2, "b")])
    assert read_labels(y, single=True).labels.tolist() == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("kind", [torch.tensor, pd.Series, pd.Index, np.array])
def test_rows_of_any_one_dimension(kind):
    rows = [kind([3, 5]), kind([7])]
    for y in (rows, pd.Series(rows), tuple(rows)):
        read = read_labels(y)
        assert isinstance(read, LabelLists)
        assert read.labels.dtype == np.int64
        assert_array_equal(read.labels, [3, 5, 7])
        assert_array_equal(read.lengths, [2, 1])


def test_indicators_of_the_user_are_left_alone():
    y = sp.csr_array(([1.0, 0.0], [1, 0], [0, 2]), shape=(1, 2))
    before = y.copy()
    assert_array_equal(read_labels(y).rows.indices, [1])
    assert_array_equal(y.indices, before.indices)
    assert_array_equal(y.data, before.data)
