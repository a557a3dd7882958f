"""Every form of labels with every metric and scorer: a value, or a stated error."""

import datetime
import uuid
from collections import deque
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from metric_problems import METRICS, Problem, all_metrics, all_oracles, quick, seeds
from numpy.testing import assert_allclose, assert_array_equal
from ranking_models import TopK

from skmhe.metrics import (
    RankingScorer,
    precision_at_k,
    propensities,
    propensity_scored_precision_at_k,
    recall_at_k,
)

N, L, K = 12, 5, 3
NAMES = ["ant", "bee", "cat", "dog", "elk"]
DAYS = [datetime.date(2024, 5, day) for day in range(1, 1 + L)]
KINDS = {
    "str": NAMES,
    "int": [3, 7, 20, 2**40, 2**41],
    "negative": [-7, -1, 0, 1, 5],
    "bytes": [name.encode() for name in NAMES],
    "date": DAYS,
    "time": [pd.Timestamp(day) for day in DAYS],
    "Decimal": [Decimal(i) / 4 for i in range(L)],
    "UUID": [uuid.UUID(int=i) for i in range(L)],
    "tuple": [("a", i) for i in range(L)],
    "float": [1.0, 2.0, 4.0, 8.0, 16.0],
}


def problem(single=False, seed=4):
    q = Problem(seed, n_samples=N, n_labels=L, single=single)
    if not single:
        q.dense[2] = 0
        q.truth[2] = set()
    q.k = K
    return q


def expected(q):
    return all_oracles(q.truth, q.ranked.tolist(), K, q.p)


def objects(labels):
    return np.fromiter(labels, dtype=object, count=len(labels))


def named_lists(q, labels):
    return [[labels[i] for i in sorted(t)] for t in q.truth]


def as_library(name):
    return lambda: pytest.importorskip(name)


polars, pyarrow = as_library("polars"), as_library("pyarrow")


def frame(q, names=NAMES, order=(3, 0, 4, 2, 1)):
    """Return a table of the indicator whose columns have another order."""
    order = list(order)
    return pd.DataFrame(q.dense[:, order], columns=[names[i] for i in order])


def of_columns(make):
    """Return a function that makes a table of another library from a dict."""
    return lambda q: make({n: c.to_numpy() for n, c in frame(q).items()})


# Forms of the true labels, of which the columns have no names.
UNNAMED = {
    "array": lambda q: q.dense,
    "array of bool": lambda q: q.dense.astype(bool),
    "array of float": lambda q: q.dense.astype(np.float32),
    "array of objects": lambda q: q.dense.astype(object),
    "csr_array": lambda q: sp.csr_array(q.dense),
    "csr_matrix": lambda q: sp.csr_matrix(q.dense),
    "csc_array": lambda q: sp.csc_array(q.dense),
    "coo_array": lambda q: sp.coo_array(q.dense),
    "lil_array": lambda q: sp.lil_array(q.dense),
    "csr of bool": lambda q: sp.csr_array(q.dense.astype(bool)),
    "DataFrame": lambda q: pd.DataFrame(q.dense),
    "nullable DataFrame": lambda q: pd.DataFrame(q.dense).astype("Int8"),
}
# Those of which the columns have names, in another order.
NAMED = {
    "DataFrame": frame,
    "of bool": lambda q: frame(q).astype(bool),
    "of float": lambda q: frame(q).astype(float),
    "nullable": lambda q: frame(q).astype("Int64"),
    "nullable boolean": lambda q: frame(q).astype("boolean"),
    "of mixed columns": lambda q: frame(q).astype({"ant": bool, "bee": "UInt8"}),
    "sparse": lambda q: frame(q).astype(pd.SparseDtype("int64", 0)),
    "polars": of_columns(lambda d: polars().DataFrame(d)),
    "polars boolean": of_columns(
        lambda d: polars().DataFrame({n: c.astype(bool) for n, c in d.items()})
    ),
    "pyarrow": of_columns(lambda d: pyarrow().table(d)),
}
LISTS = {
    "list": lambda lists: lists,
    "tuples": lambda lists: [tuple(row) for row in lists],
    "sets": lambda lists: [set(row) for row in lists],
    "frozensets": lambda lists: tuple(frozenset(row) for row in lists),
    "deque": deque,
    "arrays": lambda lists: [objects(row) for row in lists],
    "array of lists": objects,
    "Series": pd.Series,
    "DataFrame": lambda lists: pd.DataFrame({"tags": lists}),
    "twice": lambda lists: [row + row[:1] for row in lists],
}
LISTS_OF_NAMES = LISTS | {
    "polars": lambda lists: polars().Series(lists),
    "polars table": lambda lists: polars().DataFrame({"tags": lists}),
    "pyarrow": lambda lists: pyarrow().array(lists),
    "pyarrow table": lambda lists: pyarrow().table({"tags": lists}),
}
COLUMNS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "array of objects": objects,
    "Series": pd.Series,
    "categorical": lambda labels: pd.Series(labels).astype("category"),
    "DataFrame": lambda labels: pd.DataFrame({"label": labels}),
    "Index": pd.Index,
    "polars": lambda labels: polars().Series(labels),
    "pyarrow": lambda labels: pyarrow().array(labels),
}


def scored(q, y, classes, labels=None):
    """Return the values of all scorers."""
    model = TopK()
    model.classes_ = objects(classes) if classes is not None else np.arange(L)
    measures = ["precision", "recall", "ndcg", "coverage"]
    scorers = [RankingScorer(measure, k=K) for measure in measures]
    scorers.append(RankingScorer("psp", k=K, propensities=q.p, labels=labels))
    return [scorer(model, q.scores, y) for scorer in scorers]


@pytest.mark.parametrize("form", UNNAMED)
def test_indicator_without_names(form):
    q = problem()
    y = UNNAMED[form](q)
    assert_allclose(all_metrics(y, q.ranked, K, q.p), expected(q))
    assert_allclose(all_metrics(y, q.scores, K, q.p), expected(q))
    # Columns of names, in the order of `labels` or of the other table.
    named = objects(NAMES)[q.ranked]
    assert_allclose(all_metrics(y, named, K, q.p, labels=NAMES), expected(q))
    table = pd.DataFrame(q.scores, columns=NAMES)
    assert_allclose(all_metrics(y, table, K, q.p), expected(q))
    assert_allclose(scored(q, y, NAMES), expected(q))
    assert_allclose(scored(q, y, None), expected(q))
    assert_allclose(propensities(y, labels=NAMES), propensities(q.dense))
    with pytest.raises(
        ValueError, match=r"y_pred has the label 'a.*' instead of a lab"
    ):
        precision_at_k(y, np.full((N, 1), "ant"), k=1)


@pytest.mark.parametrize("form", NAMED)
def test_indicator_with_names(form):
    q = problem()
    y = NAMED[form](q)
    labels, order = objects(NAMES)[q.ranked], [3, 0, 4, 2, 1]
    for y_pred in (labels, labels.astype(str), labels.tolist(), pd.DataFrame(labels)):
        assert_allclose(all_metrics(y, y_pred, K, q.p, labels=NAMES), expected(q))
        assert_allclose(all_metrics(y, y_pred, K, q.p[order]), expected(q))
    assert_allclose(all_metrics(y, q.scores, K, q.p, labels=NAMES), expected(q))
    # Scores without names are in the order of the names that there are.
    assert_allclose(all_metrics(y, q.scores[:, order], K, q.p[order]), expected(q))
    table = pd.DataFrame(q.scores, columns=NAMES)
    assert_allclose([metric(y, table, K) for metric in METRICS], expected(q)[:4])
    assert_allclose(all_metrics(y, table, K, q.p, labels=NAMES), expected(q))
    with pytest.raises(ValueError, match=r"same columns in the same order.*in labels"):
        propensity_scored_precision_at_k(y, table, q.p, K)
    assert_allclose(scored(q, y, NAMES, NAMES), expected(q))
    with pytest.raises(ValueError, match="columns in the order of the estimator's cla"):
        scored(q, y, NAMES)
    assert_allclose(propensities(y), propensities(q.dense)[order])
    assert_allclose(propensities(y, labels=NAMES), propensities(q.dense))
    with pytest.raises(ValueError, match="y_pred has labels of type number, such as"):
        precision_at_k(y, q.ranked, K)


@pytest.mark.parametrize("form", LISTS)
@pytest.mark.parametrize("kind", KINDS)
def test_lists_of_labels(form, kind):
    q, labels = problem(), KINDS[kind]
    y = LISTS[form](named_lists(q, labels))
    check_named(q, y, labels, objects(labels))


@pytest.mark.parametrize("form", LISTS_OF_NAMES)
def test_lists_of_names(form):
    q = problem()
    y = LISTS_OF_NAMES[form](named_lists(q, NAMES))
    check_named(q, y, NAMES, objects(NAMES))


ARROW_KINDS = {"str", "int", "negative", "bytes", "date", "float"}
COLUMNS_OF_KINDS = [
    (form, kind)
    for form in COLUMNS
    for kind in KINDS
    # NumPy makes columns of tuples, and pandas levels.
    if not (kind == "tuple" and form in ("array", "Index"))
    and (kind in ARROW_KINDS or form not in ("polars", "pyarrow"))
]


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")  # of the DataFrame
@pytest.mark.parametrize(("form", "kind"), COLUMNS_OF_KINDS)
def test_one_label_per_sample(form, kind):
    q, labels = problem(single=True), KINDS[kind]
    y = COLUMNS[form]([labels[min(t)] for t in q.truth])
    names = objects(labels)
    if np.asarray(y).dtype.kind == "M":  # NumPy's times
        names = np.array(labels, dtype="datetime64[us]")
    check_named(q, y, labels, names)


def check_named(q, y, labels, names):
    """Compare labels of any type with those of every form of predictions."""
    ranked = names[q.ranked]
    rows = [list(row) for row in ranked]
    is_float = isinstance(labels[0], float)
    pair = (ranked.astype(float) if is_float else ranked), np.sort(q.scores)[:, ::-1]
    forms = [pair] if is_float else [ranked, rows, tuple(rows), pd.Series(rows), pair]
    if isinstance(labels[0], int):
        forms += [ranked.astype(np.int64), ranked.astype(np.int64).tolist()]
    forms += [q.scores, sp.csr_array(q.scores)]
    for y_pred in forms:
        found = all_metrics(y, y_pred, K, q.p, labels=names)
        assert_allclose(found, expected(q))
    if labels[0] != -7:  # where -1 is a label
        for y_pred in [f for f in forms if not sp.issparse(f) and f is not q.scores]:
            found = [metric(y, y_pred, K) for metric in METRICS]
            assert_allclose(found, expected(q)[:4])
    assert_allclose(scored(q, y, names, names), expected(q))
    assert_allclose(propensities(y, labels=names), propensities(q.dense))
    with pytest.raises(ValueError, match="labels"):  # no place for each propensity
        propensity_scored_precision_at_k(y, pair, q.p[:2], K)
    if not isinstance(labels[0], int | float | tuple):
        sorted_names = propensities(y, n_labels=len(set().union(*q.truth)))
        known = propensities(q.dense)[sorted(set().union(*q.truth))]
        assert_allclose(sorted_names, known)


@pytest.mark.parametrize("y", [np.arange(3.0), np.arange(3), [0, 1, 2], [0.0, 1.0, 2]])
def test_whole_numbers_are_indices(y):
    assert precision_at_k(y, np.eye(3), k=1) == 1
    assert precision_at_k(y, [[0], [1], [2]], k=1) == 1
    assert precision_at_k(np.array([True, False]), [[1], [1]], k=1) == 0.5


MISSING = {
    "None among names": (["a", None, "b"], "row 1 is None"),
    "NaN": ([1.0, 2.0, np.nan], "row 2 is nan"),
    "NA": (pd.Series([1, None, 3], dtype="Int64"), "row 1 is"),
    "NaT": (pd.Series(pd.to_datetime(["2024", None, "2024"])), "row 1 is"),
    "no category": (pd.Series(["a", None, "b"], dtype="category"), "row 1 is nan"),
    "Decimal": ([Decimal(1), Decimal("nan"), Decimal(2)], "row 1 is Decimal"),
    "no list": ([["a"], None, []], "row 1 is None in place of a list"),
    "in a list": ([["a"], ["b", None], []], "row 1 has None among its labels"),
    "NaN in a list": ([[1], [2, np.nan], []], "row 1 has nan among its labels"),
    "cell": (pd.DataFrame({"a": [1, None, 0], "b": [1, 1, 1]}), "row 1 has nan in col"),
    "nullable cell": (
        pd.DataFrame({"a": pd.array([1, 0, None], "Int8"), "b": [1, 1, 1]}),
        "row 2 has <NA> in column 0",
    ),
}


@pytest.mark.parametrize("form", MISSING)
def test_missing_labels_name_the_row(form):
    y, text = MISSING[form]
    y_pred = [["a", "b"]] * 3
    for metric in METRICS:
        with pytest.raises(ValueError, match=f"y_true contains NaN.*{text}"):
            metric(y, y_pred, k=1)
    with pytest.raises(ValueError, match=f"y_train contains NaN.*{text}"):
        propensities(y)
    model = TopK(classes=["a", "b"]).fit(None)
    with pytest.raises(ValueError, match=f"Input y contains NaN.*{text}"):
        RankingScorer("recall", k=1)(model, np.eye(3), y)


REFUSED = {
    "other names": (frame, lambda q: pd.DataFrame(q.scores, columns=list("abcde"))),
    "fewer names": (frame, lambda q: pd.DataFrame(q.scores[:, 1:], columns=NAMES[1:])),
    "numbers for names": (lambda q: named_lists(q, NAMES), lambda q: q.ranked),
    "names for numbers": (
        lambda q: named_lists(q, range(L)),
        lambda q: objects(NAMES)[q.ranked],
    ),
    "scores for names": (lambda q: named_lists(q, NAMES), lambda q: q.scores),
    "an unknown column": (frame, lambda q: np.full((N, K), "fox")),
    "columns named twice": (
        lambda q: frame(q).rename(columns={"ant": "bee"}),
        lambda q: q.scores,
    ),
    "scores in a pair": (lambda q: q.dense, lambda q: (q.scores / 7, q.scores)),
    "a pair turned round": (lambda q: q.dense, lambda q: (q.scores, q.ranked)),
    "a pair of two sizes": (lambda q: q.dense, lambda q: (q.ranked, q.scores[:, 1:])),
    "integer scores": (lambda q: q.dense, lambda q: (9 * q.scores).astype(int)),
    "a predicted indicator": (lambda q: q.dense, lambda q: q.dense.astype(bool)),
    "one prediction": (lambda q: named_lists(q, NAMES), lambda q: NAMES[:1] * N),
    "NaN in a table": (frame, lambda q: pd.DataFrame([[1.0, None, 2, 3, 4]] * N)),
    "NaN in a nullable table": (
        frame,
        lambda q: pd.DataFrame([[1.0, None, 2, 3, 4]] * N, dtype="Float64"),
    ),
    "a name ranked twice": (
        lambda q: named_lists(q, NAMES),
        lambda q: [["ant", "bee", "ant"]] * N,
    ),
    "rows of two lengths": (
        lambda q: named_lists(q, NAMES),
        lambda q: [["ant", "bee", "cat"]] * (N - 1) + [["ant"]],
    ),
    "sets": (lambda q: named_lists(q, NAMES), lambda q: [set(NAMES)] * N),
    "lists in lists": (lambda q: q.dense, lambda q: [[["ant"], ["bee"], ["cat"]]] * N),
    "negative labels": (lambda q: [-1] * N, lambda q: q.ranked),
}
MESSAGES = {
    "other names": r"y_true has columns with the names \['dog', 'ant', 'elk'\].*y_pred",
    "fewer names": r"numbers of labels differ \(y_true: 5, y_pred: 4\)",
    "numbers for names": "y_true has labels of type str, such as .* of type number",
    "names for numbers": "y_true has labels of type number.* of type str",
    "scores for names": "instead of a label index, and .* of y_pred .*labels=cla",
    "an unknown column": "y_pred has the label 'fox', which is not among the 5 labels",
    "columns named twice": "y_true has 2 columns named 'bee'",
    "scores in a pair": r"y_pred is a pair of arrays .*\(labels, probabilities\)",
    "a pair turned round": r"y_pred is a pair of arrays .* float64 and int64",
    "a pair of two sizes": r"shapes \(12, 5\) and \(12, 4\)",
    "integer scores": r"y_pred contains the label index .*, but",
    "a predicted indicator": r"y_pred has shape \(12, 5\) and dtype bool",
    "one prediction": r"y_pred has shape \(12,\) and dtype <U3",
    "NaN in a table": "y_pred contains NaN, which cannot be ranked",
    "NaN in a nullable table": "y_pred contains NaN, which cannot be ranked",
    "a name ranked twice": "y_pred ranks the label 'ant' twice in sample 0",
    "rows of two lengths": "y_pred has rows of different lengths.*None",
    "sets": "y_pred has sets, whose labels are in no order",
    "lists in lists": "y_pred has shape",
    "negative labels": "y_true contains the label index -1.* pass the labels in labels",
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    q = problem()
    y_true, y_pred = (make(q) for make in REFUSED[case])
    for metric in METRICS:
        with pytest.raises(ValueError, match=MESSAGES[case]):
            metric(y_true, y_pred, k=K)


def test_every_refusal_has_a_message():
    assert REFUSED.keys() == MESSAGES.keys()


@given(seeds)
@quick
def test_metrics_of_names_are_those_of_indices(seed):
    q = Problem(seed)
    labels = q.rng.permutation([f"label {i}" for i in range(q.n_labels)])
    y_true = [labels[list(t)].tolist() for t in q.truth]
    ranked = np.where(q.rng.random(q.ranked.shape) < 0.3, -1, q.ranked)
    named = np.where(ranked < 0, None, labels[ranked].astype(object))
    weights = q.weights
    found = all_metrics(y_true, named, q.k, q.p, labels=labels, sample_weight=weights)
    plain = all_metrics(q.dense, ranked, q.k, q.p, sample_weight=weights)
    assert_array_equal(found, plain)
    values = [metric(y_true, named, q.k, sample_weight=weights) for metric in METRICS]
    assert_array_equal(values, plain[:4])


@given(seeds)
@quick
def test_the_order_of_named_columns_does_not_matter(seed):
    q = Problem(seed)
    names = [f"label {i}" for i in range(q.n_labels)]
    true = pd.DataFrame(q.dense, columns=names)
    scores = pd.DataFrame(q.scores, columns=names)
    wanted = all_metrics(q.dense, q.scores, q.k, q.p)
    for one in (names, q.rng.permutation(names)):
        for other in (names, q.rng.permutation(names)):
            found = all_metrics(true[one], scores[other], q.k, q.p, labels=names)
            assert_array_equal(found, wanted)
            found = [metric(true[one], scores[other], q.k) for metric in METRICS]
            assert_array_equal(found, wanted[:4])


def test_unknown_true_labels_are_not_predicted():
    y_true = [["ant", "fox"], ["bee"], ["fox", "gnu"]]
    scores = np.array([[3.0, 2], [1, 2], [2, 1]])
    assert recall_at_k(y_true, scores, k=1, labels=["ant", "bee"]) == 1.5 / 3
    table = pd.DataFrame(scores, columns=["ant", "bee"])
    assert recall_at_k(y_true, table, k=1) == 1.5 / 3
    with pytest.raises(
        ValueError, match="y_true has the label 'fox', which has no pro"
    ):
        propensity_scored_precision_at_k(y_true, table, [0.5, 1], k=1)
    assert recall_at_k([2**40, 5], [[2**40, -1], [3, 4]], k=2) == 0.5


def test_lists_of_fractions():
    # A pair of floating-point numbers has labels only if these are known.
    labels, y_true = np.array([0.5, 1.5]), [[0.5], [0.5, 1.5]]
    pair = labels[[[0], [1]]], np.ones((2, 1))
    assert precision_at_k(y_true, pair, k=1, labels=labels) == 1
    assert precision_at_k(y_true, np.eye(2), k=1, labels=labels.tolist()) == 1
    with pytest.raises(
        ValueError, match=r"y_pred is a pair .*labels=classifier.classes"
    ):
        precision_at_k(y_true, pair, k=1)


def test_large_labels_are_no_indices_but_negative_ones_are_neither():
    assert precision_at_k([2**40, 3], [[2**40], [-1]], k=1) == 1 / 2
    with pytest.raises(ValueError, match="y_pred contains the label index -5"):
        precision_at_k([2**40, 3], [[2**40], [-5]], k=1)


def test_masked_predictions_are_none():
    y_pred = np.ma.array([[1, 0], [1, 2]], mask=[[False, True], [True, False]])
    assert precision_at_k([1, 1], y_pred, k=1) == 1 / 2
    assert precision_at_k([1, 2], y_pred, k=2) == 1 / 2
    with pytest.raises(ValueError, match="y_pred contains NaN"):
        precision_at_k([1, 0], y_pred.astype(float), k=1)


def test_minus_one_is_a_label_where_labels_say_so():
    y_true, y_pred = [-1, 1, 1], np.array([[-1, 1], [1, -1], [-1, 1]])
    assert precision_at_k(y_true, y_pred, k=1, labels=[-1, 1]) == 2 / 3
    assert precision_at_k([0, 1, 1], y_pred, k=1, labels=[0, 1]) == 1 / 3


@pytest.mark.parametrize(
    ("labels", "error", "text"),
    [
        (["a", "a", "b"], ValueError, "labels contains a label twice"),
        ([], ValueError, r"labels has shape \(0,\): pass a sequence"),
        (["a", "b"], ValueError, r"labels differ \(labels: 2, y_true: 3, y_pred: 3\)"),
        (["a", None, "b"], ValueError, "labels has None at place 1"),
        ("abc", ValueError, r"labels has shape \(\): pass a sequence"),
        (np.eye(3), ValueError, r"labels has shape \(3, 3\)"),
        ([{"a": 1}, "b", "c"], TypeError, "place 0, which cannot be hashed"),
        (np.array([1.5, np.nan, 2]), ValueError, "labels has nan at place 1"),
    ],
)
def test_bad_labels(labels, error, text):
    with pytest.raises(error, match=text):
        precision_at_k(np.eye(3), np.eye(3), k=1, labels=labels)
    if "differ" not in text:
        with pytest.raises(error, match=text):
            propensities(np.eye(3), labels=labels)
        with pytest.raises(error, match=text):
            RankingScorer("psp", propensities=[1, 1, 1], labels=labels)
