"""Columns of label lists: the same as the lists themselves, wherever y is taken."""

import functools
import json
from collections import deque

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from data_forms import to_lists
from error_checks import check_error
from estimator_problems import assert_same_model, make, make_sums
from numpy.testing import assert_array_equal

from skmhe import MHEClassifier, MHEMultiLabelClassifier

X, Y = make_sums()
NAMES = list("abcdefghi")
LISTS = to_lists(Y, NAMES)
NUMBERS = to_lists(Y)


def polars(name, *args, **kwargs):
    return getattr(pytest.importorskip("polars"), name)(*args, **kwargs)


def arrow(name, *args, **kwargs):
    return getattr(pytest.importorskip("pyarrow"), name)(*args, **kwargs)


def arrow_backed(lists):
    return arrow("array", lists).to_pandas(types_mapper=pd.ArrowDtype)


def objects(lists):
    rows = np.empty(len(lists), dtype=object)
    rows[:] = lists
    return rows


COLUMNS = {
    "Series of lists": pd.Series,
    "Series of tuples": lambda lists: pd.Series([tuple(row) for row in lists]),
    "Series of sets": lambda lists: pd.Series([set(row) for row in lists]),
    "Series of arrays": lambda lists: pd.Series([np.array(row) for row in lists]),
    "other index": lambda lists: pd.Series(lists, index=range(7, 7 + len(lists))),
    "DataFrame": lambda lists: pd.DataFrame({"tags": lists}),
    "ArrowDtype": arrow_backed,
    "ArrowDtype DataFrame": lambda lists: arrow_backed(lists).to_frame("tags"),
    "polars Series": lambda lists: polars("Series", lists),
    "polars DataFrame": lambda lists: polars("DataFrame", {"tags": lists}),
    "pyarrow array": lambda lists: arrow("array", lists),
    "pyarrow chunks": lambda lists: arrow("chunked_array", [lists[:9], lists[9:]]),
    "pyarrow table": lambda lists: arrow("table", {"tags": lists}),
    "object array": objects,
    "deque": deque,
}
each_column = pytest.mark.parametrize("form", COLUMNS)
of_numbers = pytest.mark.parametrize("of_numbers", [False, True], ids=["str", "int"])


def estimator(**params):
    params = {"hidden_layer_sizes": (6,), "batch_size": 45, "max_iter": 4} | params
    return make(MHEMultiLabelClassifier, **params)


def fit(y):
    return estimator().fit(X, y)


def partial_fit(y):
    return estimator().partial_fit(X, y).partial_fit(X, y)


@functools.cache
def trained_on_lists(method, of_numbers):
    return method(NUMBERS if of_numbers else LISTS)


@functools.cache
def trained_well(of_numbers=False):
    """Return an estimator that was fitted to lists, and to which scores differ."""
    return estimator(max_iter=20).fit(X, NUMBERS if of_numbers else LISTS)


# ------------------------------------------------------------ the same as lists


@each_column
@of_numbers
@pytest.mark.parametrize("method", [fit, partial_fit], ids=lambda m: m.__name__)
def test_trained_on_a_column(form, of_numbers, method):
    clf = method(COLUMNS[form](NUMBERS if of_numbers else LISTS))
    expected = trained_on_lists(method, of_numbers)
    assert_same_model(clf, expected)
    assert clf.classes_.dtype == expected.classes_.dtype
    assert_array_equal(clf.classes_, expected.classes_)
    predicted = clf.predict(X)
    assert isinstance(predicted, list)
    assert predicted == expected.predict(X)


@each_column
@of_numbers
def test_scored_on_a_column(form, of_numbers):
    clf, lists = trained_well(of_numbers), NUMBERS if of_numbers else LISTS
    column, weight = COLUMNS[form](lists), np.arange(len(X))
    pairs = zip(clf.predict(X), lists, strict=True)
    expected = np.array([set(found) == set(true) for found, true in pairs])
    assert clf.score(X, lists) == clf.score(X, column) == expected.mean()
    weighted = np.average(expected, weights=weight)
    assert clf.score(X, column, sample_weight=weight) == weighted
    assert 0.3 < expected.mean() < 1


def test_column_of_zeros_and_ones_is_an_indicator_as_lists_are():
    column = pd.Series(Y.tolist())
    clf = fit(column)
    assert_same_model(clf, fit(Y.tolist()))
    assert_array_equal(clf.predict(X), fit(Y).predict(X))
    assert clf.score(X, column) == clf.score(X, Y)


def test_partial_fit_keeps_to_lists_of_labels():
    # As an indicator, [0, 0] would mean no label.
    first, then = [[0], [1], []] * 30, [[0, 0], [1, 1]] * 45
    clf = estimator().partial_fit(X, pd.Series(first)).partial_fit(X, pd.Series(then))
    assert_same_model(clf, estimator().partial_fit(X, first).partial_fit(X, then))


def test_sets_of_0_and_1_are_labels():
    clf = fit([{0}, {1}] * 45)
    assert clf.classes_.tolist() == [0, 1]
    assert isinstance(clf.predict(X), list)


SINGLE = [
    pd.Series(np.arange(90) % 3),
    pd.Index(np.arange(90) % 3),
    pd.Series(["a", "b", "c"] * 30),
    pd.Series(["a", "b", "c"] * 30, dtype=object),
    pd.Series(["a", "b", "c"] * 30, dtype="category"),
]


@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
@pytest.mark.parametrize("y", SINGLE, ids=lambda y: f"{type(y).__name__} {y.dtype}")
def test_column_of_single_labels_stays_one_label_per_sample(cls, y):
    clf, expected = make(cls, max_iter=1), make(cls, max_iter=1)
    predicted = clf.fit(X, y).predict(X)
    assert predicted.shape == (90,)
    assert_array_equal(predicted, expected.fit(X, y.tolist()).predict(X))
    assert clf.score(X, y) == (predicted == np.asarray(y)).mean()


# ------------------------------------------------------------ NumPy's integers


@pytest.mark.parametrize(
    "rows",
    [
        [np.flatnonzero(row) for row in Y],
        [sp.csr_array(Y)[[i]].indices for i in range(len(Y))],
        [[np.uint8(j) for j in np.flatnonzero(row)] for row in Y],
        [[np.int64(j) if j % 2 else int(j) for j in np.flatnonzero(row)] for row in Y],
    ],
    ids=["flatnonzero", "csr rows", "uint8", "mixed"],
)
def test_numpy_integers_are_integer_labels(rows):
    clf, expected = fit(rows), trained_on_lists(fit, True)
    assert_same_model(clf, expected)
    assert clf.classes_.dtype == expected.classes_.dtype == np.int64
    labels, _ = clf.predict_topk(X, k=2)
    assert np.array(NAMES)[labels].shape == (90, 2)
    assert clf.predict(X) == expected.predict(X)


def test_integers_beyond_64_bits_stay_objects():
    clf = estimator().fit(X, [[np.int64(-1)], [np.uint64(2**64 - 1)], []] * 30)
    assert clf.classes_.tolist() == [-1, 2**64 - 1]


# ------------------------------------------------------------ missing values


@pytest.mark.parametrize("container", [list, pd.Series, objects])
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=str)
def test_missing_row(container, missing):
    y = container([*LISTS[:7], missing, *LISTS[8:]])
    match = r"y contains NaN or None: row 7 is .* in place of a list.*\[\].*leave"
    clf = trained_on_lists(fit, False)
    check_error(estimator(), match, lambda clf: clf.fit(X, y))
    check_error(clf, match, lambda clf: clf.partial_fit(X, y))
    check_error(clf, match, lambda clf: clf.score(X, y))


@pytest.mark.parametrize("container", [list, pd.Series, objects])
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, -np.inf], ids=str)
def test_missing_label_in_a_row(container, missing):
    y = container([*LISTS[:7], ["a", missing], *LISTS[8:]])
    match = (
        r"y contains NaN, None or infinity: row 7 has .* among its labels.*Remove it"
    )
    clf = trained_on_lists(fit, False)
    check_error(estimator(), match, lambda clf: clf.fit(X, y))
    check_error(clf, match, lambda clf: clf.partial_fit(X, y))
    check_error(clf, match, lambda clf: clf.score(X, y))


@pytest.mark.parametrize("form", ["ArrowDtype", "polars Series", "pyarrow array"])
def test_nulls_of_other_libraries(form):
    y = COLUMNS[form]([*LISTS[:7], None, *LISTS[8:]])
    check_error(estimator(), "row 7 is .* in place", lambda clf: clf.fit(X, y))
    y = COLUMNS[form]([*LISTS[:7], ["a", None], *LISTS[8:]])
    check_error(estimator(), "row 7 has None among", lambda clf: clf.fit(X, y))


# ------------------------------------------------------------ one label per sample


@pytest.mark.parametrize("form", [form for form in COLUMNS if "tuples" not in form])
def test_classifier_points_to_the_multi_label_one(form):
    y = COLUMNS[form](LISTS)
    match = "got lists of labels.*use MHEMultiLabelClassifier"
    check_error(make(), match, lambda clf: clf.fit(X, y))
    check_error(make(), match, lambda clf: clf.partial_fit(X, y, classes=NAMES))


# ------------------------------------------------------------ scores of another form

INDICATORS = {
    "array": Y,
    "csr": sp.csr_array(Y),
    "lists of 0 and 1": Y.tolist(),
    "DataFrame": pd.DataFrame(Y),
    "DataFrame of names": pd.DataFrame(Y, columns=NAMES),
}


@pytest.mark.parametrize("form", INDICATORS)
def test_indicator_is_scored_after_lists(form):
    clf = trained_well()
    assert clf.score(X, INDICATORS[form]) == clf.score(X, LISTS) > 0.3


@pytest.mark.parametrize("fitted", [Y, sp.csr_array(Y)], ids=["dense", "sparse"])
def test_lists_are_scored_after_an_indicator(fitted):
    clf = estimator(max_iter=20).fit(X, fitted)
    assert clf.score(X, NUMBERS) == clf.score(X, Y) > 0.3
    assert clf.score(X, pd.Series(NUMBERS)) == clf.score(X, Y)
    empty = (clf.predict(X).sum(axis=1) == 0).mean()
    assert clf.score(X, [[]] * len(X)) == empty > 0


@pytest.mark.parametrize("fitted", [Y, sp.csr_array(Y), NUMBERS])
def test_labels_that_were_not_fitted_are_never_predicted(fitted):
    clf, rare = estimator(max_iter=20).fit(X, fitted), np.arange(len(X)) % 3 == 0
    lists = [row + [99] * int(more) for row, more in zip(NUMBERS, rare, strict=True)]
    expected = clf.score(X[~rare], Y[~rare]) * np.mean(~rare)
    assert clf.score(X, lists) == pytest.approx(expected)


def test_labels_are_those_of_python():
    predicted = trained_on_lists(fit, True).predict(X)
    assert json.loads(json.dumps(predicted)) == [list(row) for row in predicted]


def test_lists_of_zeros_and_ones_may_be_labels():
    lists = [[0, 1], [1, 2], []] * 30
    clf = estimator(max_iter=20).fit(X, lists)
    predicted = clf.predict(X)
    expected = np.mean([set(row) == {0, 1} for row in predicted])
    # As 0 and 1 are labels, these are no rows of an indicator.
    assert clf.score(X, [[0, 1]] * 90) == expected


FORMS = {
    "single": np.arange(90) % 3,
    "lists": LISTS,
    "numbers": to_lists(Y, range(1, 10)),
    "indicator": Y,
    "sparse": sp.csr_array(Y),
}
PASS_INDICATOR = "fitted to an indicator: pass these, of the labels"
PASS_LISTS = "fitted to lists of labels: pass these, of the labels"
PASS_SINGLE = "fitted to one label per sample: pass these, of the labels"
COLUMNS_DIFFER = "4 columns, but there are 9 labels.*[Oo]r pass a list"


@pytest.mark.parametrize(
    ("fitted", "given", "match"),
    [
        ("lists", Y[:, :4], COLUMNS_DIFFER),
        ("lists", Y[:, :4].tolist(), COLUMNS_DIFFER),
        ("lists", sp.csr_array(Y[:, :4]), COLUMNS_DIFFER),
        ("lists", NAMES * 10, f"one label per sample.*{PASS_LISTS}"),
        ("lists", pd.DataFrame({"y": NAMES * 10}), f"one label.*{PASS_LISTS}"),
        ("lists", 2 * Y, "zeros and ones"),
        ("lists", pd.DataFrame(Y, columns=list("ABCDEFGHI")), "not the labels.*name"),
        ("numbers", pd.DataFrame(Y), "not the labels.*name the columns"),
        ("lists", LISTS[1:], "inconsistent numbers of samples"),
        ("indicator", LISTS, "type str, such as 'a'.*those of type number"),
        ("sparse", LISTS, "type str, such as 'a'.*those of type number"),
        ("indicator", Y[:, :4], COLUMNS_DIFFER),
        ("sparse", Y[:, :4], COLUMNS_DIFFER),
        ("indicator", np.arange(90) % 3, f"one label per sample.*{PASS_INDICATOR}"),
        ("single", LISTS, f"lists of labels.*{PASS_SINGLE}"),
        ("single", pd.Series(LISTS), f"lists of labels.*{PASS_SINGLE}"),
        ("single", Y, f"is an indicator.*{PASS_SINGLE}"),
        ("single", sp.csr_array(Y), f"is an indicator.*{PASS_SINGLE}"),
    ],
)
def test_score_of_another_form_is_refused(fitted, given, match):
    clf = estimator(max_iter=1).fit(X, FORMS[fitted])
    check_error(clf, match, lambda clf: clf.score(X, given))


def test_strings_in_place_of_lists_are_not_spelled():
    clf = estimator(max_iter=1).fit(X, LISTS)
    check_error(clf, "labels", lambda clf: clf.partial_fit(X, ["ab", "c"] * 45))
