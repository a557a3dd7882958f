"""The table of forms of targets and what takes them: every cell has its outcome."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import target_forms as tf
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import MultiLabelBinarizer

from skmhe import MHEClassifier, MHEMultiLabelClassifier

PAGE = Path(__file__).parents[2] / "docs" / "target_forms.md"
forms = pytest.mark.parametrize("form", tf.FORMS)

ONE_ONLY = "1d array with one label per sample.*use MHEMultiLabelClassifier"
NO_NAMES = "cannot be compared|are not the labels"
SEVERAL = "lists", "of labels", "DataFrame", "csr_array"
MISSING = rf"contains NaN.*row {tf.ROW} "


def expected_error(form, function):
    """Return what an error must say, None where there is a result."""
    meaning = tf.FORMS[form][0]
    several = meaning in ("lists", "numbers", "names", "columns")
    several_missing = any(word in form for word in SEVERAL)
    if function.startswith("MHEClassifier") and (several or several_missing):
        return ONE_ONLY
    if meaning == "missing":
        return MISSING
    if "fit" in function.split(".")[-1] and "fitted" not in function:
        return None
    fitted_to = function.split(" ")[-1]
    if fitted_to in ("MHEClassifier.score", "label"):
        if several:
            return f"{ONE_ONLY}|fitted to one label per sample"
        return None if has_words(form) else "cannot be compared"
    if meaning == "one":
        return "has one label per sample, but.*fitted to"
    has_names = {"lists": True, "names": True, "numbers": False}.get(meaning)
    if has_names is None:  # columns without names are taken in the order of classes_
        return None
    return None if has_names == (fitted_to != "columns") else NO_NAMES


def has_words(form):
    """Tell whether one label per sample is a word."""
    return isinstance(np.asarray(tf.FORMS[form][1]()).ravel()[0], str)


SCORERS = [function for function in tf.FUNCTIONS if "scorer" in function]


@forms
@pytest.mark.parametrize("function", SCORERS)
def test_cell_of_a_scorer(form, function):
    meaning, make_form = tf.FORMS[form]
    found, to = tf.result(form, function), function.split(" ")[-1]
    clf = tf.fitted("class" if to == "MHEClassifier" else to)
    if meaning == "missing":
        assert re.search(MISSING, str(found)), found
        return
    truth = {
        "lists": tf.LISTS,
        "numbers": tf.NUMBERS,
        "names": tf.LISTS,
        "columns": [clf.classes_[np.flatnonzero(row)].tolist() for row in tf.Y],
    }
    if meaning == "names" and to == "columns":  # by position: its columns had no names
        turned = form == "other column order"
        truth["names"] = [
            np.flatnonzero(row) for row in tf.Y[:, :: -1 if turned else 1]
        ]
    true = truth.get(meaning) or [[label] for label in np.asarray(make_form()).tolist()]
    known = {label for labels in true for label in labels} & set(clf.classes_.tolist())
    if not known:
        assert re.search("cannot be compared", str(found)), found
        return
    best = clf.predict_topk(tf.samples(meaning), 1)[0][:, 0].tolist()
    hits = [label in labels for label, labels in zip(best, true, strict=True)]
    assert found == pytest.approx(np.mean(hits), abs=1e-12)


@pytest.mark.skipif(
    int(pd.__version__.split(".")[0]) < 3 or "polars Series" not in tf.FORMS,
    reason="the page is made with pandas 3, polars and pyarrow",
)
def test_page_of_the_table():
    # python tests/estimators/target_forms.py docs/target_forms.md
    assert PAGE.read_text("utf-8") == tf.page()


@forms
@pytest.mark.parametrize("function", [f for f in tf.FUNCTIONS if f not in SCORERS])
def test_cell(form, function):
    found, error = tf.result(form, function), expected_error(form, function)
    if error is not None:
        assert isinstance(found, Exception), found
        assert re.search(error, str(found)), found
        return
    if isinstance(found, Exception):
        raise found
    check_result(form, function, found)


def check_result(form, function, found):
    if not isinstance(found, float):
        check_fitted(form, function, found)
        return
    clf, truth = fitted_and_truth(form, function)
    predicted = clf.predict(tf.samples(tf.FORMS[form][0]))
    if clf._fitted.form.is_indicator:
        predicted = [clf.classes_[np.flatnonzero(row)] for row in predicted]
    elif not clf._fitted.form.multilabel:
        predicted = [[label] for label in predicted]
    pairs = zip(truth, predicted, strict=True)
    correct = np.mean([set(true) == set(labels) for true, labels in pairs])
    assert found == pytest.approx(correct, abs=1e-12)
    assert correct > 0.8 or tf.FORMS[form][0] == "columns"


def fitted_and_truth(form, function):
    """Return the estimator that is scored, and the true labels of each sample."""
    meaning = tf.FORMS[form][0]
    words = {"MHEClassifier.score": "class", "scorer of MHEClassifier": "class"}
    clf = tf.fitted(
        words.get(function, function.split(" ")[-1].replace("label", "one"))
    )
    if meaning == "one":
        return clf, [[word] for word in tf.WORDS]
    if meaning in ("lists", "names"):
        return clf, tf.LISTS
    return clf, [clf.classes_[np.flatnonzero(row)].tolist() for row in tf.Y]


def check_fitted(form, function, found):
    """Check that a form gives the same model as arrays of numbers."""
    meaning, make_form = tf.FORMS[form]
    train = tf.fit if function.endswith(".fit") else tf.partial_fit
    columns = np.arange(len(tf.NAMES))
    if meaning == "one":
        labels = np.asarray(make_form()).tolist()
        classes = sorted(set(labels))
        y = np.array([classes.index(label) for label in labels])
    elif meaning == "lists":
        classes = sorted(tf.NAMES)
        y = [[classes.index(name) for name in row] for row in tf.LISTS]
    elif meaning == "names":
        is_turned = form == "other column order" and function.endswith(".fit")
        columns = columns[::-1] if is_turned else columns
        classes, y = [tf.NAMES[j] for j in columns], tf.Y[:, columns]
    else:
        classes, y = columns.tolist(), tf.NUMBERS if meaning == "numbers" else tf.Y
    reference = train(type(found))(meaning if meaning == "one" else "columns", y)
    X = tf.samples(meaning)
    assert found.classes_.tolist() == classes
    assert_array_equal(found.predict_proba(X), reference.predict_proba(X))
    labels, _ = found.predict_topk(X, 2)
    places, _ = reference.predict_topk(X, 2)
    assert_array_equal(labels, found.classes_[places])


# ------------------------------------------------------------ names of columns


def make_tags(order):
    rng = np.random.RandomState(0)
    places = rng.randint(3, size=300)
    X = np.eye(3)[places] + 0.05 * rng.randn(300, 3)
    return X, [[order[k]] for k in places]


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, pd.DataFrame])
def test_columns_keep_the_names_that_partial_fit_is_given(form):
    order = ["zebra", "cow", "ant"]
    X, tags = make_tags(order)
    Y = MultiLabelBinarizer(classes=order).fit_transform(tags)
    clf = tf.make(MHEMultiLabelClassifier)
    for _ in range(20):
        clf.partial_fit(X, form(Y), classes=order)
    assert clf.classes_.tolist() == order
    predicted = clf.predict(X)
    predicted = predicted.toarray() if sp.issparse(predicted) else predicted
    assert (predicted == Y).all(axis=1).mean() > 0.9
    assert (clf.predict_topk(X, 1)[0] == np.array(tags)).mean() > 0.9
    # Lists know their labels, in whatever order the classes are.
    assert clf.score(X, tags) == clf.score(X, form(Y)) > 0.9


def test_columns_are_those_of_each_call_of_partial_fit():
    order = ["zebra", "cow", "ant"]
    X, tags = make_tags(order)
    turned = order[::-1]
    first = MultiLabelBinarizer(classes=order).fit_transform(tags)
    then = MultiLabelBinarizer(classes=turned).fit_transform(tags)
    expected, clf = tf.make(MHEMultiLabelClassifier), tf.make(MHEMultiLabelClassifier)
    expected.partial_fit(X, first, classes=order).partial_fit(X, first)
    clf.partial_fit(X, first, classes=order).partial_fit(X, then, classes=turned)
    assert clf.classes_.tolist() == order
    assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))


def test_columns_after_lists_are_named_by_the_call():
    order = ["zebra", "cow", "ant"]
    X, tags = make_tags(order)
    Y = MultiLabelBinarizer(classes=order).fit_transform(tags)
    expected, clf = tf.make(MHEMultiLabelClassifier), tf.make(MHEMultiLabelClassifier)
    expected.partial_fit(X, tags, classes=order).partial_fit(X, tags)
    clf.partial_fit(X, tags, classes=order).partial_fit(X, Y, classes=order)
    assert clf.classes_.tolist() == expected.classes_.tolist() == sorted(order)
    assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))


def test_repeated_names_of_columns():
    Y = pd.DataFrame(tf.Y, columns=["a", "b", "a", "c"])
    with pytest.raises(ValueError, match="y has 2 columns named 'a': give each label"):
        tf.make(MHEMultiLabelClassifier).fit(tf.X, Y)


def test_other_names_of_columns():
    Y = pd.DataFrame(tf.Y, columns=["a", "b", "c", "d"])
    for method in ("score", "partial_fit"):
        clf = tf.make(MHEMultiLabelClassifier).fit(tf.X, tf.frame())
        match = r"columns \['a', 'b', 'c', 'd'\], which are not the labels \['zebra'"
        with pytest.raises(ValueError, match=match):
            getattr(clf, method)(tf.X, Y)


# ------------------------------------------------------------ features of named labels

Z = np.eye(len(tf.NAMES), 5) + 0.1


def test_features_are_aligned_with_the_columns():
    clf = tf.make(MHEMultiLabelClassifier)
    expected = tf.make(MHEMultiLabelClassifier)
    expected.fit(tf.X, tf.Y, label_features=Z)
    turned = pd.DataFrame(Z, index=tf.NAMES).iloc[[2, 0, 3, 1]]
    clf.fit(tf.X, tf.frame(), label_features=turned)
    assert clf.classes_.tolist() == tf.NAMES
    assert_array_equal(clf.predict_proba(tf.X), expected.predict_proba(tf.X))


@pytest.mark.parametrize("given", ["labels", "index"])
def test_named_labels_are_added_after_the_columns(given):
    clf = tf.make(MHEMultiLabelClassifier).fit(tf.X, tf.frame(), label_features=Z)
    before = clf.predict_proba(tf.X)
    new, names = np.eye(2, 5, 3), ["dog", "aardvark"]
    if given == "labels":
        clf.add_labels(new, names)
    else:
        clf.add_labels(pd.DataFrame(new, index=names))
    assert clf.classes_.tolist() == [*tf.NAMES, *names]
    found = clf.predict_proba(tf.X)[:, : len(tf.NAMES)]
    assert_allclose(found, before, rtol=1e-5)
    assert clf.predict(tf.X).shape == (tf.N, len(tf.NAMES) + 2)


def test_named_labels_need_names():
    clf = tf.make(MHEMultiLabelClassifier).fit(tf.X, tf.frame(), label_features=Z)
    with pytest.raises(ValueError, match="labels=None, but the known labels"):
        clf.add_labels(np.eye(2, 5, 3))


def test_columns_without_samples_keep_their_places():
    Y = tf.frame()
    Y["cow"] = 0
    clf = tf.make(MHEMultiLabelClassifier).fit(tf.X, Y, label_features=Z)
    assert clf.classes_.tolist() == tf.NAMES
    predicted = clf.predict(tf.X)
    assert (predicted[:, [0, 2, 3]] == Y.to_numpy()[:, [0, 2, 3]]).mean() > 0.6


def named(Z, names):
    return pd.DataFrame(Z, index=tf.NAMES[: len(Z)], columns=list(names))


def test_features_of_labels_keep_their_names():
    clf = tf.make(MHEMultiLabelClassifier)
    clf.fit(tf.X, tf.frame(), label_features=named(Z, "abcde"))
    added = pd.DataFrame(np.eye(1, 5), index=["dog"], columns=list("bacde"))
    match = r"label_features has columns \['b', 'a', .* of fit are \['a', 'b', 'c'"
    with pytest.raises(ValueError, match=match):
        clf.add_labels(added)
    with pytest.raises(ValueError, match="those of the earlier call are"):
        clf.partial_fit(tf.X, tf.frame(), label_features=named(Z, "bacde"))
    assert clf.classes_.tolist() == tf.NAMES
    clf.add_labels(added[list("abcde")])
    assert clf.classes_.tolist() == [*tf.NAMES, "dog"]


@pytest.mark.parametrize(("names", "shares"), [("abcde", True), ("bacde", False)])
def test_a_layer_is_shared_by_features_of_the_same_names(names, shares):
    X = pd.DataFrame(tf.X, columns=list("abcde"))
    clf = tf.make(MHEMultiLabelClassifier)
    clf.fit(X, tf.frame(), label_features=named(Z, names))
    assert clf._fitted.model.spec.encoder.is_shared == shares
    clf.set_params(label_encoder__backbone="shared")
    if shares:
        clf.fit(X, tf.frame(), label_features=named(Z, names))
        return
    with pytest.raises(ValueError, match="their columns have other names"):
        clf.fit(X, tf.frame(), label_features=named(Z, names))


# ------------------------------------------------------------ tuples


def test_tuples_in_a_column_are_labels_of_a_classifier():
    tuples = {word: (word, len(word)) for word in tf.NAMES}
    y = tf.objects([tuples[word] for word in tf.WORDS])
    clf = tf.make(MHEClassifier).set_params(max_iter=20).fit(tf.X_ONE, y)
    assert clf.classes_.tolist() == sorted(tuples.values())
    assert clf.predict(tf.X_ONE).tolist() == y.tolist()
    assert clf.score(tf.X_ONE, pd.Series(y)) == 1.0
    clf.partial_fit(tf.X_ONE, y, classes=list(tuples.values()))


@pytest.mark.parametrize(
    ("y", "error", "match"),
    [
        (tf.objects([["a"], ["b"]] * 30), ValueError, "got lists of labels"),
        (tf.objects([{"a": 1}, {"b": 2}] * 30), TypeError, "cannot be hashed"),
        (["a", 1] * 30, TypeError, "cannot be sorted together: ..int., .str"),
    ],
)
def test_what_cannot_be_a_label(y, error, match):
    with pytest.raises(error, match=match):
        tf.make(MHEClassifier).fit(tf.X_ONE, y)
