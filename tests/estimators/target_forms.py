"""Every form of targets, what it means, and what takes it: the table of both.

``python tests/estimators/target_forms.py`` prints the table; with the name of a file,
such as docs/target_forms.md, it writes it there.
"""

import datetime
import decimal
import sys
import uuid
import warnings
from collections import deque
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.metrics import get_scorer

N, NAMES = 60, ["zebra", "cow", "ant", "bee"]  # not sorted
RNG = np.random.RandomState(0)
PLACES = RNG.permutation(np.arange(N) % len(NAMES))
Y = np.eye(len(NAMES), dtype=int)[PLACES]
Y[:, 0] |= RNG.rand(N) < 0.4
Y[3] = 0  # a sample without labels
X = Y @ RNG.randn(len(NAMES), 5) * 3 + 0.1 * RNG.randn(N, 5)
X_ONE = np.eye(len(NAMES))[PLACES] @ RNG.randn(len(NAMES), 5) * 3
LISTS = [[NAMES[j] for j in np.flatnonzero(row)] for row in Y]
NUMBERS = [np.flatnonzero(row).tolist() for row in Y]
WORDS = [NAMES[j] for j in PLACES]
ROW = 7  # where values are missing


def objects(rows):
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


def frame(dtype=int):
    return pd.DataFrame(Y, columns=NAMES).astype(dtype)


def polars(name, *args, **kwargs):
    import polars

    return getattr(polars, name)(*args, **kwargs)


def arrow(name, *args, **kwargs):
    import pyarrow

    return getattr(pyarrow, name)(*args, **kwargs)


def arrow_backed(values):
    return arrow("array", values).to_pandas(types_mapper=pd.ArrowDtype)


def with_missing(rows, value=None):
    rows = list(rows)
    rows[ROW] = value
    return rows


def frame_with(value, dtype):
    table = frame(dtype)
    table.iloc[ROW, 1] = value
    return table


def each(make):
    """Return a label of another type for each sample."""
    return [make(int(j)) for j in PLACES]


# What a form means: "one" label per sample, "lists" of names, "numbers" in lists, an
# indicator with "names", one with "columns" only, or a "missing" value in a row.
FORMS = {
    # One label per sample
    "list of str": ("one", lambda: WORDS),
    "array of str": ("one", lambda: np.array(WORDS)),
    "array of object": ("one", lambda: objects(WORDS)),
    "Series of str": ("one", lambda: pd.Series(WORDS)),
    "Series of string": ("one", lambda: pd.Series(WORDS, dtype="string")),
    "Series of category": ("one", lambda: pd.Series(WORDS, dtype="category")),
    "Series of ArrowDtype": ("one", lambda: arrow_backed(WORDS)),
    "Index": ("one", lambda: pd.Index(WORDS)),
    "polars Series": ("one", lambda: polars("Series", WORDS)),
    "pyarrow array": ("one", lambda: arrow("array", WORDS)),
    "deque": ("one", lambda: deque(WORDS)),
    "list of int": ("one", lambda: PLACES.tolist()),
    "array of int": ("one", lambda: PLACES),
    "array of float": ("one", lambda: PLACES.astype(float)),
    "array of bool": ("one", lambda: PLACES > 1),
    "array of object (integers)": ("one", lambda: PLACES.astype(object)),
    "Series of object (integers)": ("one", lambda: pd.Series(PLACES, dtype=object)),
    "Series of Int64": ("one", lambda: pd.Series(PLACES, dtype="Int64")),
    "Series of boolean": ("one", lambda: pd.Series(PLACES > 1, dtype="boolean")),
    "dates": ("one", lambda: each(lambda j: datetime.date(2024, 1, 1 + j))),
    "Series of datetime64": (
        "one",
        lambda: pd.Series(pd.to_datetime(each(lambda j: f"2024-01-{1 + j:02}"))),
    ),
    "Decimal": ("one", lambda: each(decimal.Decimal)),
    "UUID": ("one", lambda: each(lambda j: uuid.UUID(int=j))),
    # Several labels per sample
    "lists of str": ("lists", lambda: LISTS),
    "tuples of str": ("lists", lambda: [tuple(row) for row in LISTS]),
    "sets of str": ("lists", lambda: [set(row) for row in LISTS]),
    "arrays of str": ("lists", lambda: [np.array(row, dtype=str) for row in LISTS]),
    "a label twice": ("lists", lambda: [row + row[:1] for row in LISTS]),
    "array of lists": ("lists", lambda: objects(LISTS)),
    "Series of lists": ("lists", lambda: pd.Series(LISTS)),
    "Series of sets": ("lists", lambda: pd.Series([set(row) for row in LISTS])),
    "Series of arrays": ("lists", lambda: pd.Series([np.array(r) for r in LISTS])),
    "DataFrame of lists": ("lists", lambda: pd.DataFrame({"tags": LISTS})),
    "ArrowDtype of lists": ("lists", lambda: arrow_backed(LISTS)),
    "polars Series of lists": ("lists", lambda: polars("Series", LISTS)),
    "pyarrow array of lists": ("lists", lambda: arrow("array", LISTS)),
    "lists of int": ("numbers", lambda: NUMBERS),
    "lists of NumPy integers": ("numbers", lambda: [np.flatnonzero(r) for r in Y]),
    # Indicators
    "DataFrame": ("names", frame),
    "DataFrame of bool": ("names", lambda: frame(bool)),
    "DataFrame of float": ("names", lambda: frame(float)),
    "DataFrame of Int64": ("names", lambda: frame("Int64")),
    "DataFrame of boolean": ("names", lambda: frame(bool).astype("boolean")),
    "DataFrame of Sparse": ("names", lambda: frame(pd.SparseDtype(int, 0))),
    "DataFrame of ArrowDtype": ("names", lambda: frame("int64[pyarrow]")),
    "other column order": ("names", lambda: frame()[NAMES[::-1]]),
    "polars DataFrame": ("names", lambda: polars("DataFrame", Y, schema=NAMES)),
    "pyarrow table": (
        "names",
        lambda: arrow("table", dict(zip(NAMES, Y.T, strict=True))),
    ),
    "2-D array": ("columns", lambda: Y),
    "2-D array of bool": ("columns", lambda: Y.astype(bool)),
    "2-D array of float16": ("columns", lambda: Y.astype(np.float16)),
    "2-D array of object": ("columns", lambda: Y.astype(object)),
    "nested lists of 0 and 1": ("columns", lambda: Y.tolist()),
    "csr_array": ("columns", lambda: sp.csr_array(Y)),
    "csc_matrix of bool": ("columns", lambda: sp.csc_matrix(Y.astype(bool))),
    "DataFrame without names": ("columns", lambda: pd.DataFrame(Y)),
    # Missing values
    "None in a list": ("missing", lambda: with_missing(WORDS)),
    "NaN in an array": ("missing", lambda: np.array(with_missing(PLACES, np.nan))),
    "NA in a Series": ("missing", lambda: pd.Series(with_missing(WORDS, pd.NA))),
    "NA in Int64": (
        "missing",
        lambda: pd.Series(with_missing(PLACES.tolist(), None), dtype="Int64"),
    ),
    "NaT in datetime64": (
        "missing",
        lambda: pd.Series(pd.to_datetime(with_missing(["2024-01-01"] * N, None))),
    ),
    "null in pyarrow": ("missing", lambda: arrow("array", with_missing(WORDS))),
    "None among lists": ("missing", lambda: with_missing(LISTS)),
    "NaN in a list of labels": (
        "missing",
        lambda: with_missing(LISTS, ["zebra", np.nan]),
    ),
    "NA in a DataFrame": ("missing", lambda: frame_with(pd.NA, "Int64")),
    "NaN in a DataFrame": ("missing", lambda: frame_with(np.nan, float)),
    "NaN in a csr_array": (
        "missing",
        lambda: sp.csr_array(frame_with(np.nan, float).to_numpy()),
    ),
    "masked array": (
        "missing",
        lambda: np.ma.array(PLACES, mask=np.arange(N) == ROW),
    ),
}
if find_spec("polars") is None or find_spec("pyarrow") is None:
    FORMS = {
        name: form
        for name, form in FORMS.items()
        if not any(word in name for word in ("polars", "pyarrow", "Arrow"))
    }


def classes_of(meaning, y):
    """Return all labels of targets, for the first call of partial_fit."""
    if meaning == "one":
        return sorted(set(np.asarray(y).tolist()))
    return NAMES if meaning in ("lists", "names") else list(range(len(NAMES)))


def make(cls):
    return cls(
        "cascade",
        hidden_layer_sizes=(6,),
        max_iter=2,
        batch_size=30,
        learning_rate_init=0.05,
        random_state=0,
        device="cpu",
        dtype="float32",
    )


def samples(meaning):
    return X_ONE if meaning == "one" else X


@cache
def fitted(to):
    """Return an estimator that was fitted to targets of a meaning."""
    given = {
        "class": (MHEClassifier, X_ONE, WORDS),
        "one": (MHEMultiLabelClassifier, X_ONE, WORDS),
        "lists": (MHEMultiLabelClassifier, X, LISTS),
        "names": (MHEMultiLabelClassifier, X, frame()),
        "columns": (MHEMultiLabelClassifier, X, Y),
    }
    cls, X_fitted, y = given[to]
    return make(cls).set_params(max_iter=20).fit(X_fitted, y)


def fit(cls):
    return lambda meaning, y: make(cls).fit(samples(meaning), y)


def partial_fit(cls):
    def call(meaning, y):
        clf = make(cls)
        return clf.partial_fit(samples(meaning), y, classes=classes_of(meaning, y))

    return call


def score(to):
    return lambda meaning, y: fitted(to).score(samples(meaning), y)


def scorer(to):
    return lambda meaning, y: get_scorer("precision@1")(fitted(to), samples(meaning), y)


FUNCTIONS = {
    "MHEClassifier.fit": fit(MHEClassifier),
    "MHEClassifier.partial_fit": partial_fit(MHEClassifier),
    "MHEClassifier.score": score("class"),
    "scorer of MHEClassifier": scorer("class"),
    "MHEMultiLabelClassifier.fit": fit(MHEMultiLabelClassifier),
    "MHEMultiLabelClassifier.partial_fit": partial_fit(MHEMultiLabelClassifier),
    "score, fitted to one label": score("one"),
    "score, fitted to lists": score("lists"),
    "score, fitted to names": score("names"),
    "score, fitted to columns": score("columns"),
    "scorer, fitted to lists": scorer("lists"),
    "scorer, fitted to names": scorer("names"),
    "scorer, fitted to columns": scorer("columns"),
}


@cache
def result(form, function):
    """Return what a function gives of a form, or the error that it raises."""
    meaning, make_form = FORMS[form]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return FUNCTIONS[function](meaning, make_form())
        except (TypeError, ValueError) as error:
            return error


TITLE = """# Forms of targets

What each form of `y` gives, as `tests/estimators/test_target_table.py` holds it.
The page is made by `python tests/estimators/target_forms.py docs/target_forms.md`.

Of `fit` and `partial_fit`, the table says how the targets are taken: one label per
sample, lists of labels, or an indicator, dense or sparse; of `score` and of the scorer
"precision@1", that there is a result. A number in brackets is that of an error below.
The names of labels are strings, which no other type can be compared with; columns that
have no names are taken in the order of `classes_`. "Fitted to names" is fitted to a
DataFrame, an indicator whose columns have names; "fitted to columns", to an indicator
without names, whose classes are the numbers of the columns.
"""
KINDS = {
    "labels": "one label",
    "lists": "lists",
    "dense": "indicator",
    "sparse": "sparse indicator",
}


def outcome(form, function):
    """Return the outcome of a cell in a few words."""
    found = result(form, function)
    if isinstance(found, float):
        return "score"
    if not isinstance(found, Exception):
        return KINDS[found._fitted.form.kind]
    return f"{type(found).__name__}: {found}"


def page():
    """Return the table as Markdown: short outcomes, and what the errors say."""
    notes, lines = {}, [TITLE]
    for part in (list(FUNCTIONS)[:4], list(FUNCTIONS)[4:8], list(FUNCTIONS)[8:]):
        lines.append("| Form | " + " | ".join(part) + " |")
        lines.append("|---" * (len(part) + 1) + "|")
        for form in FORMS:
            cells = [outcome(form, function) for function in part]
            cells = [
                f"[{notes.setdefault(text, len(notes) + 1)}]"
                if "Error: " in text
                else text
                for text in cells
            ]
            lines.append(f"| {form} | " + " | ".join(cells) + " |")
        lines.append("")
    # Markdown would take "<NA>" for HTML.
    notes = {text.replace("<", r"\<"): number for text, number in notes.items()}
    lines += [f"{number}. {text}" for text, number in notes.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page(), "utf-8")
    else:
        print(page())
