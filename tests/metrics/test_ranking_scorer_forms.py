"""The true labels of scorers, and the pair of `predict_topk`, in fitted estimators."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from metric_problems import METRICS
from ranking_models import NAMES, TopK
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from skmhe import MHEClassifier, MHEMultiLabelClassifier, predict_topk
from skmhe.metrics import RankingScorer, get_scorer, precision_at_k, propensities

COLUMNS = ["ant", "bee", "cat", "dog"]


def multilabel_table():
    rng = np.random.default_rng(2)
    X = rng.random((60, 4))
    y = (X + 0.3 * rng.random(X.shape) > 0.75).astype(int)
    return X, pd.DataFrame(y, columns=COLUMNS)


def single_labels(names):
    X, _ = multilabel_table()
    return X, names[X.argmax(axis=1)]


def targets(form):
    """Return X, y of a form, and an estimator for it."""
    X, table = multilabel_table()
    several = MHEMultiLabelClassifier(model="linear", random_state=0)
    one = MHEClassifier(model="linear", random_state=0)
    names = table.columns.to_numpy(dtype=object)
    if form == "names":
        return *single_labels(names), one
    if form == "numbers":
        return *single_labels(np.array([7, 3, 20, 5])), one
    if form == "binary":
        return *single_labels(np.array([-1, 1, 1, 1])), one
    if form == "dates":
        return *single_labels(np.arange(4).astype("datetime64[D]")), one
    if form == "lists":
        return X, [list(names[row == 1]) for row in table.to_numpy()], several
    if form == "sparse":
        return X, sp.csr_array(table.to_numpy()), several
    if form == "array":
        return X, table.to_numpy(), several
    return X, table, several


FORMS = ["names", "numbers", "binary", "dates", "lists", "sparse", "array", "table"]


@pytest.mark.parametrize("form", FORMS)
def test_the_pair_of_predict_topk(form):
    X, y, model = targets(form)
    model.fit(X, y)
    k = min(2, len(model.classes_))
    pair = model.predict_topk(X, k=k)
    names = ["precision", "recall", "ndcg", "coverage"]
    scores = [RankingScorer(name, k=k)(model, X, y) for name in names]
    values = [m(y, pair, k, labels=model.classes_) for m in METRICS]
    np.testing.assert_allclose(values, scores)
    assert scores[0] > 0.4
    if form not in ("binary",):  # where -1 is a label
        values = [metric(y, pair, k) for metric in METRICS]
        np.testing.assert_allclose(values, scores)
    p = propensities(y, labels=model.classes_)
    psp = get_scorer(f"psp@{k}", propensities=p, labels=model.classes_)
    assert 0 < psp(model, X, y) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_multilabel_classifier_of_scikit_learn_numbers_columns(name):
    X, table = multilabel_table()
    model = OneVsRestClassifier(LogisticRegression()).fit(X, table)
    expected = get_scorer(name)(model, X, table.to_numpy())
    assert get_scorer(name)(model, X, table) == expected
    assert get_scorer(name)(model, X, table.to_numpy().tolist()) == expected
    p = np.array([0.2, 0.4, 0.6, 0.8])
    plain = get_scorer("psp@2", propensities=p)(model, X, table)
    order = [3, 1, 0, 2]
    for labels in (np.arange(4), np.array(COLUMNS)):
        scorer = get_scorer("psp@2", propensities=p[order], labels=labels[order])
        assert scorer(model, X, table) == plain
        if labels.dtype.kind == "i":
            assert scorer(model, X, table.to_numpy()) == plain
    with pytest.raises(ValueError, match="labels does not contain 0, which is a class"):
        get_scorer("psp@2", propensities=p, labels=list("wxyz"))(model, X, table)
    pair = predict_topk(model, X, 2)
    assert precision_at_k(table.to_numpy(), pair, 2) > 0.4


def named(names, y=None):
    y = np.eye(len(names), dtype=int) if y is None else y
    return pd.DataFrame(y, columns=names)


X3 = np.eye(3) + [[0, 0.1, 0.2]]


@pytest.mark.parametrize(
    ("classes", "y", "recall"),
    [
        (["a", "b", "c"], named(["a", "b", "c"]), 1),
        (["a", "b", "c"], named(["b", "c", "a"], np.eye(3)[:, [1, 2, 0]]), 1),
        (["a", "b", "c"], named(["b", "c", "a"]), 0),
        ([2, 0, 1], named([2, 0, 1]), 1),
        ([2, 0, 1], pd.DataFrame(np.eye(3)[:, [1, 2, 0]]), 1),  # columns are 0, 1, 2
        ([0, 1, 2], named([0, 1, 2]), 1),
        ([0, 1, 2], named([10, 20, 30]), 1),  # names that are not the classes
        ([0, 2], named(["a", "b", "c"]), 2 / 3),
        ([10, 20, 30], named([20, 10, 30], np.eye(3)[:, [1, 0, 2]]), 1),
        ([10, 20, 30], np.eye(3), 1),
        (["a", "b", "c"], np.eye(3).tolist(), 1),
        ([0, 1, 2], np.eye(3).tolist(), 1),
        ([0, 5], [[0], [5], [0]], 2 / 3),
        ([("a", 1), ("a", 2), ("b", 0)], [("a", 1), ("a", 2), ("c", 0)], 2 / 3),
        ([("a", 1), ("a", 2), ("b", 0)], [[("a", 1)], [], [("b", 0)]], 2 / 3),
        ([0.0, 1.0, 2.0], [0, 1, 2], 1),
        ([False, True], [0, 1, 5], 2 / 3),
    ],
)
def test_columns_and_classes(classes, y, recall):
    model = TopK()
    model.classes_ = np.empty(len(classes), dtype=object)
    model.classes_[:] = classes
    if not isinstance(classes[0], str | tuple):
        model.classes_ = np.array(classes)
    assert get_scorer("recall@1")(model, X3, y) == pytest.approx(recall)


@pytest.mark.parametrize(
    ("classes", "y", "text"),
    [
        ([2, 0, 1], np.eye(3), "y is ambiguous: its 3 columns have no names, and the"),
        (
            [0, 1, 2],
            named([2, 0, 1]),
            r"columns have the names \[2, 0, 1\], and the cl",
        ),
        ([0, 1, 2], named([1, 2, 3]), r"the names \[1, 2, 3\]"),
        (
            [0, 2],
            named([2, 1, 0]),
            "may be the indices of columns, or have their order",
        ),
        (["a", "b", "c"], named(["a", "b", "d"]), "3 columns but .* neither the names"),
        (["a", "b"], named(["a", "b", "c"]), "y has 3 columns but .* has 2 classes"),
        ([0, 1], [[0, 1], [1, 0], [1, 0]], "y is ambiguous: its lists of 2 zeros and"),
        ([1, 5], [[0, 1], [1, 0], [1, 0]], "y is ambiguous: its lists of 2 zeros and"),
        (["a", "b"], [[0, 1, 1], [1, 0, 0], [1, 0, 0]], "y has 3 columns but"),
        (["a", "b"], [3, 4, 5], "y has labels of type number, such as 3"),
        ([("a", 1), ("b", 2)], ["a", "b", "a"], "y has labels of type str"),
        (["a", "b"], [], "y is empty; pass at least one sample"),
    ],
)
def test_columns_that_are_not_classes(classes, y, text):
    model = TopK()
    model.classes_ = np.empty(len(classes), dtype=object)
    model.classes_[:] = classes
    if isinstance(classes[0], int):
        model.classes_ = np.array(classes)
    with pytest.raises(ValueError, match=text):
        get_scorer("precision@1")(model, X3, y)
