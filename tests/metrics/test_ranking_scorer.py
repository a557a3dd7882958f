"""Names and construction of the scorers, and every form of y."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from ranking_models import NAMES, TopK, expected_score
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV

from skmhe import metrics
from skmhe.metrics import RankingScorer, get_scorer, get_scorer_names


def test_names():
    names = get_scorer_names()
    assert len(names) == len(set(names)) == 21
    for name in names:
        p = [0.5] if name.startswith("psp") else None
        scorer = get_scorer(name, propensities=p)
        if "@" in name:
            assert f"{scorer.measure}@{scorer.k}" == name
        elif name.startswith("average"):
            assert (scorer.measure, scorer.k) == (name, None)
    assert get_scorer("ndcg@17").k == 17


@pytest.mark.parametrize(
    "name",
    [
        *("precision", "precision@0", "precision@-1", "map@5", "ndcg@5 ", "", 5, None),
        *("f1", "f1_micro@5", "f1_weighted", "average_precision", ["f1_micro"]),
    ],
)
def test_unknown_name(name):
    with pytest.raises(ValueError, match=r"scoring=.* is not a valid scorer name"):
        get_scorer(name)


def test_constructor_errors():
    with pytest.raises(ValueError, match="measure='map' must be one of coverage, ndcg"):
        RankingScorer("map")
    with pytest.raises(ValueError, match="k=0 must be an integer of at least 1"):
        RankingScorer("ndcg", k=0)
    with pytest.raises(ValueError, match="k=None must be an integer of at least 1"):
        RankingScorer("ndcg", k=None)
    with pytest.raises(ValueError, match="k=0 must be an integer of at least 1"):
        RankingScorer("average_precision_micro", k=0)
    with pytest.raises(ValueError, match="measure='psp' requires propensities"):
        get_scorer("psp@5")
    with pytest.raises(ValueError, match="measure='psp', not for 'f1_micro'"):
        get_scorer("f1_micro", propensities=[1.0])
    with pytest.raises(ValueError, match="only used for measure='psp', not for 'ndcg'"):
        get_scorer("ndcg@5", propensities=[1.0])
    with pytest.raises(ValueError, match="only used for measure='psp'"):
        get_scorer("ndcg@5", labels=["a"])
    with pytest.raises(ValueError, match=r"propensities contains 3 for label index 1"):
        get_scorer("psp@5", propensities=[1, 3])
    with pytest.raises(ValueError, match="labels has 1 values but propensities has 2"):
        get_scorer("psp@5", propensities=[1, 0.5], labels=["a"])
    with pytest.raises(ValueError, match="labels contains a label twice"):
        get_scorer("psp@5", propensities=[1, 0.5], labels=["a", "a"])


def test_repr():
    assert repr(get_scorer("ndcg@3")) == "RankingScorer('ndcg', k=3)"
    scorer = get_scorer("psp@1", propensities=[1.0, 0.5], labels=["a", "b"])
    expected = "RankingScorer('psp', k=1, propensities=<2 values>, labels=<2 values>)"
    assert repr(scorer) == expected


def test_pickle_and_clone(multilabel):
    X, y = multilabel
    model = TopK().fit(X, y)
    scorer = get_scorer("psp@2", propensities=metrics.propensities(y))
    expected = scorer(model, X, y)
    copies = [pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer)]
    copies.append(clone(scorer, safe=False))
    search = GridSearchCV(model, {"flip": [True]}, scoring=scorer)
    copies.append(clone(search).scoring)
    for other in copies:
        assert other is not scorer
        assert repr(other) == repr(scorer)
        assert other(model, X, y) == expected
    assert check_scoring(model, scoring=scorer) is scorer


@pytest.mark.parametrize("name", [*NAMES, "psp@2"])
def test_indicator(multilabel, name):
    X, y = multilabel
    p = metrics.propensities(y) if name == "psp@2" else None
    scorer = get_scorer(name, propensities=p)
    model = TopK().fit(X, y)
    extra = {} if p is None else {"propensities": p}
    expected = expected_score(name, y, X, **extra)
    for form in (y, sp.csr_array(y), sp.csr_matrix(y), y.astype(bool), pd.DataFrame(y)):
        assert scorer(model, X, form) == expected
    weights = np.arange(60)
    assert_allclose(
        scorer(model, X, y, sample_weight=weights),
        expected_score(name, y, X, sample_weight=weights, **extra),
    )
    assert scorer(model, X, y, weights) == scorer(model, X, y, sample_weight=weights)


def test_the_measure_and_k_change_the_score(multilabel):
    X, y = multilabel
    model = TopK().fit(X, y)
    names = [f"{m}@{k}" for m in ("precision", "recall", "ndcg") for k in (2, 3)]
    assert len({get_scorer(name)(model, X, y) for name in names}) == len(names)
    coverage = [get_scorer(f"coverage@{k}")(model, X[:9], y[:9]) for k in (1, 2)]
    assert coverage[0] < coverage[1]


@pytest.mark.parametrize("name", [*NAMES, "psp@2"])
@pytest.mark.parametrize("kind", ["str", "object", "int", "mixed"])
def test_single_labels(name, kind):
    rng = np.random.default_rng(1)
    X, y = rng.random((40, 5)), rng.integers(5, size=40)
    classes = user_labels(kind, 5)
    model = TopK()
    model.classes_ = classes
    p = np.linspace(0.2, 1, 5) if name == "psp@2" else None
    scorer = get_scorer(name, propensities=p)
    extra = {} if p is None else {"propensities": p}
    expected = expected_score(name, y, X, **extra)
    assert_allclose(scorer(model, X, classes[y]), expected)
    assert_allclose(scorer(model, X, pd.Series(classes[y])), expected)
    if kind in ("str", "int"):
        assert_allclose(scorer(model, X, classes[y].tolist()), expected)


@pytest.mark.parametrize("name", [*NAMES, "psp@2"])
@pytest.mark.parametrize("kind", ["str", "object", "int", "mixed", "tuple"])
def test_label_lists(multilabel, name, kind):
    X, y = multilabel
    classes = user_labels(kind, 8)
    model = TopK()
    model.classes_ = classes
    lists = [[classes[j] for j in np.flatnonzero(row)] for row in y]
    p = np.linspace(0.2, 1, 8) if name == "psp@2" else None
    scorer = get_scorer(name, propensities=p)
    extra = {} if p is None else {"propensities": p}
    expected = expected_score(name, y, X, **extra)
    assert_allclose(scorer(model, X, lists), expected)
    assert_allclose(scorer(model, X, pd.Series(lists)), expected)
    # An indicator's columns are the classes in order.
    assert_allclose(scorer(model, X, sp.csr_array(y)), expected)


def user_labels(kind, n):
    if kind == "int":
        return 100 * np.arange(n, 0, -1)
    names = [f"label{'x' * i}" for i in range(n)]
    if kind == "str":
        return np.array(names)
    if kind == "mixed":
        names[:2] = [7, 2.5]
    if kind == "tuple":
        names = [("a", i) for i in range(n)]
    return np.fromiter(names, dtype=object, count=n)


def test_unseen_labels_are_misses():
    X = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.7, 0.3]])
    model = TopK(classes=["a", "b"]).fit(X)
    y = ["a", "b", "new", "other"]
    assert get_scorer("recall@1")(model, X, y) == 0.5
    assert get_scorer("coverage@1")(model, X, y) == 0.5
    lists = [["a", "new"], ["b"], ["new", "other"], []]
    assert get_scorer("recall@1")(model, X, lists) == (0.5 + 1) / 4
    assert get_scorer("coverage@2")(model, X, lists) == 0.5
    assert get_scorer("precision@1")(model, X, ["new"] * 4) == 0
    numbers = TopK(classes=[3, 9]).fit(X)
    assert get_scorer("recall@1")(numbers, X, [3, 9, 4, 100]) == 0.5


def test_a_fold_without_some_columns():
    X = np.array([[0.9, 0.1], [0.2, 0.8]])
    model = TopK(classes=[1, 3]).fit(X)  # columns 0 and 2 had no sample
    y = np.array([[0, 1, 0, 0], [1, 0, 0, 1]])
    assert get_scorer("precision@1")(model, X, y) == 1
    assert get_scorer("recall@1")(model, X, y) == 0.75


def test_psp_labels_match_the_propensities():
    X = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    model = TopK(classes=["a", "b"]).fit(X)
    scorer = get_scorer("psp@1", propensities=[0.5, 1, 0.1], labels=["b", "a", "new"])
    assert_allclose(scorer(model, X, ["a", "b", "new"]), (1 + 2) / (1 + 2 + 10))
    mixed = get_scorer("psp@1", propensities=[0.5, 1, 0.1], labels=["b", "a", 3])
    assert_allclose(mixed(model, X, [["a"], ["b"], [3]]), (1 + 2) / (1 + 2 + 10))
    with pytest.raises(ValueError, match=r"not contain 'other', .*of the test data"):
        scorer(model, X, ["a", "b", "other"])
    aligned = get_scorer("psp@1", propensities=[0.5, 1])
    expected = "2 values, but the estimator has 2 classes and y has 1 other labels"
    with pytest.raises(ValueError, match=expected):
        aligned(model, X, ["a", "b", "new"])
    with pytest.raises(ValueError, match="3 values, but the estimator has 2 classes"):
        get_scorer("psp@1", propensities=[1, 1, 1])(model, X, ["a", "b", "a"])
    with pytest.raises(ValueError, match=r"labels differ \(y_true: 2, propensities: 3"):
        get_scorer("psp@1", propensities=[1, 1, 1])(model, X, np.eye(3)[:, :2])


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.eye(5)[:2], "y has 5 columns but the estimator has 2 classes"),
        (
            np.zeros((2, 2, 2)),
            r"y is of shape \(2, 2, 2\) and type ndarray; pass one label per sample",
        ),
        (None, "the target y is None: pass one label per sample"),
        ([1, 2], r"labels of type number.* type str.*, or, if .* by names\[numbers\]"),
        ([["a"], "b"], "y mixes lists of labels with single labels: row 1 is 'b'"),
        (["a", "b", "a"], "y has 3 samples but X has 2"),
        (np.array([[2, 0], [0, 1]]), r"an indicator of zeros and ones.*such as \[2\]"),
    ],
)
def test_bad_y(y, text):
    X = np.array([[0.9, 0.1], [0.2, 0.8]])
    model = TopK(classes=["a", "b"]).fit(X)
    with pytest.raises(ValueError, match=text):
        get_scorer("precision@1")(model, X, y)
