"""Scorers in scikit-learn's model selection, with every form of y and estimator."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.metrics import accuracy_score, check_scoring, top_k_accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MultiLabelBinarizer,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skmhe import metrics
from skmhe.metrics import RankingScorer, get_scorer, get_scorer_names
from skmhe.metrics._classes import label_positions

NAMES = ["precision@2", "recall@2", "ndcg@2", "coverage@2"]


class TopK(ClassifierMixin, BaseEstimator):
    """Rank the labels by the first columns of X (or the last ones, by `flip`)."""

    def __init__(self, flip=False, classes=None):
        self.flip = flip
        self.classes = classes

    def fit(self, X, y=None):
        if self.classes is not None:
            self.classes_ = np.asarray(self.classes)
        elif sp.issparse(y) or np.ndim(y) == 2:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.predict_topk(X, 1)[0][:, 0]

    def predict_topk(self, X, k):
        X = X.toarray() if sp.issparse(X) else np.asarray(X)
        scores = X[:, : len(self.classes_)]
        scores = -scores if self.flip else scores
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return self.classes_[order], np.take_along_axis(scores, order, axis=1)


@pytest.fixture
def multilabel():
    rng = np.random.default_rng(0)
    X = rng.random((60, 8))
    y = (X + 0.4 * rng.random(X.shape) > 0.9).astype(np.int64)
    y[3] = 0
    return X, y


def expected_score(name, y, scores, **kwargs):
    measure, k = name.split("@")
    functions = {
        "precision": metrics.precision_at_k,
        "recall": metrics.recall_at_k,
        "ndcg": metrics.ndcg_at_k,
        "coverage": metrics.coverage_at_k,
        "psp": metrics.propensity_scored_precision_at_k,
    }
    return functions[measure](y, scores, k=int(k), **kwargs)


# --------------------------------------------------------------- names


def test_names():
    names = get_scorer_names()
    assert len(names) == len(set(names)) == 15
    for name in names:
        p = [0.5] if name.startswith("psp") else None
        scorer = get_scorer(name, propensities=p)
        assert f"{scorer.measure}@{scorer.k}" == name
    assert get_scorer("ndcg@17").k == 17


@pytest.mark.parametrize(
    "name",
    ["precision", "precision@0", "precision@-1", "map@5", "ndcg@5 ", "", 5, None],
)
def test_unknown_name(name):
    with pytest.raises(
        ValueError, match=r"scoring=.* is not a known scorer; pass a mea"
    ):
        get_scorer(name)


def test_constructor_errors():
    with pytest.raises(ValueError, match="measure='map' must be one of coverage, ndcg"):
        RankingScorer("map")
    with pytest.raises(ValueError, match="k=0 must be an integer of at least 1"):
        RankingScorer("ndcg", k=0)
    with pytest.raises(ValueError, match="'psp' needs propensities of the training"):
        get_scorer("psp@5")
    with pytest.raises(ValueError, match="for the measure 'psp' only, not for 'ndcg'"):
        get_scorer("ndcg@5", propensities=[1.0])
    with pytest.raises(ValueError, match="for the measure 'psp' only"):
        get_scorer("ndcg@5", labels=["a"])
    with pytest.raises(ValueError, match=r"propensities holds 3 for label index 1"):
        get_scorer("psp@5", propensities=[1, 3])
    with pytest.raises(ValueError, match="labels has 1 entries but propensities has 2"):
        get_scorer("psp@5", propensities=[1, 0.5], labels=["a"])
    with pytest.raises(ValueError, match="labels holds a label twice"):
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


# --------------------------------------------------------------- forms of y


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
        names[:2] = [7, None]
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
    model = TopK(classes=[1, 3]).fit(X)  # columns 0 and 2 had no example
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
    with pytest.raises(ValueError, match="labels lacks 'other', which the estimator"):
        scorer(model, X, ["a", "b", "other"])
    aligned = get_scorer("psp@1", propensities=[0.5, 1])
    with pytest.raises(
        ValueError, match="2 values, the estimator 2 classes, and y 1 l"
    ):
        aligned(model, X, ["a", "b", "new"])
    with pytest.raises(ValueError, match="3 values, the estimator 2 classes"):
        get_scorer("psp@1", propensities=[1, 1, 1])(model, X, ["a", "b", "a"])
    with pytest.raises(ValueError, match=r"labels differ \(y_true: 2, propensities: 3"):
        get_scorer("psp@1", propensities=[1, 1, 1])(model, X, np.eye(3)[:, :2])


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.eye(5)[:2], "y has 5 columns but the estimator 2 classes"),
        (np.zeros((2, 2, 2)), r"y has shape \(2, 2, 2\); pass an indicator"),
        (None, r"y has shape \(\); pass an indicator"),
        ([1, 2], "Labels of dtype int64 cannot be compared with labels of dtype <U1"),
        ([["a"], "b"], "y mixes label lists with single labels"),
        ([["a"], ["b", "b"]], "y holds the same label twice in row 1"),
        ([[0, 1], [1, 1]], "y is a nested list of 2 zeros and ones a row"),
        (["a", "b", "a"], "y_true has 3 rows but y_pred has 2"),
        (np.array([[2, 0], [0, 1]]), "read as an indicator but holds 2"),
    ],
)
def test_bad_y(y, text):
    X = np.array([[0.9, 0.1], [0.2, 0.8]])
    model = TopK(classes=["a", "b"]).fit(X)
    with pytest.raises(ValueError, match=text):
        get_scorer("precision@1")(model, X, y)


def test_label_positions_of_unsorted_classes():
    classes = np.array([30, 10, 20])
    values = np.array([10, 20, 30, 5, 99, 15])
    assert_array_equal(label_positions(values, classes), [1, 2, 0, -1, -1, -1])
    assert_array_equal(label_positions(values / 1.0, classes), [1, 2, 0, -1, -1, -1])
    names = np.array(["b", "a"])
    objects = np.array(["a", 3, "b", "long"], dtype=object)
    assert_array_equal(label_positions(objects, names), [1, -1, 0, -1])


# --------------------------------------------------------------- estimators


def test_scikit_learn_multiclass():
    X, y = make_classification(
        200, n_informative=6, n_classes=4, random_state=0, n_clusters_per_class=1
    )
    names = np.array(["d", "b", "a", "c"])[y]
    scorer = get_scorer("recall@2")
    for model in (
        LogisticRegression(max_iter=500),
        RidgeClassifier(),
        RandomForestClassifier(10, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
        OneVsRestClassifier(LogisticRegression()),
    ):
        model.fit(X, names)
        use = getattr(model, "decision_function", None) or model.predict_proba
        expected = top_k_accuracy_score(names, use(X), k=2, labels=model.classes_)
        if not isinstance(model, RandomForestClassifier):  # which has ties
            assert_allclose(scorer(model, X, names), expected)
        accuracy = accuracy_score(names, model.predict(X))
        assert_allclose(get_scorer("precision@1")(model, X, names), accuracy)


@pytest.mark.parametrize(
    "model", [LogisticRegression(), DecisionTreeClassifier(max_depth=1)]
)
def test_binary(model):
    X, y = make_classification(80, random_state=0)
    model = clone(model).fit(X, y)
    accuracy = model.score(X, y)
    assert_allclose(get_scorer("precision@1")(model, X, y), accuracy)
    assert get_scorer("recall@2")(model, X, y) == 1
    labels = np.array(["no", "yes"])[y]
    model.fit(X, labels)
    assert_allclose(get_scorer("precision@1")(model, X, labels), accuracy)


def test_one_vs_rest_multilabel():
    X, y = make_multilabel_classification(80, n_classes=6, random_state=0)
    for fitted_on in (y, sp.csr_array(y)):
        model = OneVsRestClassifier(LogisticRegression(max_iter=500))
        scores = model.fit(X, fitted_on).decision_function(X)
        for name in NAMES:
            expected = expected_score(name, y, scores)
            assert get_scorer(name)(model, X, fitted_on) == expected


def test_single_class():
    X = np.zeros((3, 1))
    model = DummyClassifier().fit(X, ["a", "a", "a"])
    assert get_scorer("recall@1")(model, X, ["a", "b", "a"]) == 2 / 3


def test_predict_topk_is_preferred():
    class Both(TopK):
        def decision_function(self, X):
            raise AssertionError

    X = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert (
        get_scorer("precision@1")(Both(classes=["a", "b"]).fit(X), X, ["a", "b"]) == 1
    )


def test_pipeline_and_search(multilabel):
    X, y = multilabel
    y = sp.csr_array(y)
    scorer = get_scorer("ndcg@3")
    expected = scorer(TopK().fit(X, y), X, y)
    pipeline = make_pipeline(FunctionTransformer(), FunctionTransformer(), TopK())
    search = GridSearchCV(pipeline, {"topk__flip": [True, False]}, scoring=scorer, cv=3)
    models = [
        make_pipeline(TopK()),
        make_pipeline(FunctionTransformer(np.square), TopK()),
        make_pipeline(FunctionTransformer(), make_pipeline(TopK())),
        search,
        make_pipeline(FunctionTransformer(), search),
    ]
    for model in models:
        assert scorer(model.fit(X, y), X, y) == expected
    assert search.score(X, y) == expected
    negated = make_pipeline(FunctionTransformer(np.negative), TopK()).fit(X, y)
    assert scorer(negated, X, y) < expected


@pytest.mark.parametrize(
    ("model", "error", "text"),
    [
        (LinearRegression(), TypeError, r"LinearRegression has no array of classes_"),
        (GridSearchCV(TopK(), {}, refit=False), TypeError, "GridSearchCV has no array"),
    ],
)
def test_estimators_without_classes(model, error, text):
    with pytest.raises(error, match=text):
        get_scorer("precision@1")(model, np.zeros((2, 2)), [0, 1])


def test_multi_output_forest_is_refused(multilabel):
    X, y = multilabel
    model = RandomForestClassifier(2, random_state=0).fit(X, y)
    with pytest.raises(TypeError, match=r"no array of classes_ .*OneVsRestClassifier"):
        get_scorer("precision@1")(model, X, y)


def test_estimator_without_scores():
    class Silent(BaseEstimator):
        classes_ = np.array([0, 1])

    with pytest.raises(
        TypeError, match="Silent has none of predict_topk, decision_fun"
    ):
        get_scorer("precision@1")(Silent(), np.zeros((2, 2)), [0, 1])


def test_one_vs_one_scores_are_refused():
    X, y = make_classification(60, n_informative=6, n_classes=4, random_state=0)
    model = SVC(decision_function_shape="ovo").fit(X, y)
    with pytest.raises(ValueError, match=r"shape \(60, 6\); .* each of its 4 classes"):
        get_scorer("precision@1")(model, X, y)


def test_k_above_the_number_of_classes(multilabel):
    X, y = multilabel
    for model in (
        TopK(),
        make_pipeline(TopK()),
        OneVsRestClassifier(RidgeClassifier()),
    ):
        with pytest.raises(ValueError, match=r"k=9 is larger .*, 8; pass k <= 8"):
            get_scorer("precision@9")(model.fit(X, y), X, y)


def test_predict_topk_with_a_strange_label():
    class Strange(TopK):
        def predict_topk(self, X, k):
            return np.full((len(X), k), "z"), np.zeros((len(X), k))

    X = np.zeros((2, 2))
    with pytest.raises(
        ValueError, match=r"Strange.predict_topk returned the label 'z'"
    ):
        get_scorer("precision@1")(Strange(classes=["a", "b"]).fit(X), X, ["a", "b"])


# --------------------------------------------------------------- model selection


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("cv", [3, KFold(3, shuffle=True, random_state=0)])
def test_grid_search(multilabel, container, cv):
    X, y = multilabel
    search = GridSearchCV(
        TopK(), {"flip": [True, False]}, scoring=get_scorer("precision@2"), cv=cv
    )
    search.fit(X, container(y))
    assert search.best_params_ == {"flip": False}
    folds = KFold(3) if cv == 3 else cv
    expected = [
        metrics.precision_at_k(y[test], X[test], k=2) for _, test in folds.split(X)
    ]
    assert_allclose(search.best_score_, np.mean(expected))


def test_multi_metric_search(multilabel):
    X, y = multilabel
    scoring = {name: get_scorer(name) for name in NAMES}
    scoring["psp"] = get_scorer("psp@2", propensities=metrics.propensities(y))
    search = GridSearchCV(
        make_pipeline(FunctionTransformer(), TopK()),
        {"topk__flip": [False, True]},
        scoring=scoring,
        refit="ndcg@2",
        cv=3,
    )
    search.fit(X, sp.csr_matrix(y))
    for name, scorer in scoring.items():
        scores = cross_val_score(TopK(), X, y, scoring=scorer, cv=3)
        assert_allclose(search.cv_results_[f"mean_test_{name}"][0], scores.mean())


@pytest.mark.slow
def test_parallel_search_in_processes(multilabel):
    X, y = multilabel
    model = OneVsRestClassifier(LogisticRegression())
    grid = {"estimator__C": [0.01, 1.0]}
    results = [
        GridSearchCV(model, grid, scoring=get_scorer("ndcg@2"), cv=2, n_jobs=n_jobs)
        .fit(X, sp.csr_array(y))
        .cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]
    assert_array_equal(*results)


def test_folds_that_lose_labels():
    rng = np.random.default_rng(0)
    X, y = rng.random((30, 6)), np.array(list("abcdef"))[rng.integers(5, size=30)]
    y[0] = "f"  # seen only outside the first training fold
    scorers = {
        "recall": get_scorer("recall@2"),
        "psp": get_scorer("psp@2", propensities=np.ones(6), labels=list("abcdef")),
    }
    found = cross_validate(TopK(), X, y, scoring=scorers, cv=KFold(3))
    assert np.isfinite(found["test_recall"]).all()
    # One label a sample and equal propensities: both are the share of hits.
    assert_allclose(found["test_psp"], found["test_recall"])


def test_label_lists_by_binarizer(multilabel):
    X, y = multilabel
    lists = [[f"n{j}" for j in np.flatnonzero(row)] for row in y]
    Y = MultiLabelBinarizer(sparse_output=True).fit_transform(lists)
    search = GridSearchCV(TopK(), {}, scoring=get_scorer("recall@3"), cv=3).fit(X, Y)
    expected = cross_val_score(TopK(), X, y, scoring=get_scorer("recall@3"), cv=3)
    assert_allclose(search.best_score_, expected.mean())


class WeightedTopK(TopK):
    """Takes sample_weight in fit, as a search hands it on."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y)


@pytest.mark.parametrize("as_dict", [False, True])
def test_sample_weight_in_a_search(multilabel, as_dict):
    X, y = multilabel
    weights = np.arange(60.0)
    expected = [
        metrics.recall_at_k(y[test], X[test], k=2, sample_weight=weights[test])
        for _, test in KFold(3).split(X)
    ]
    for routing in (True, False):
        with sklearn.config_context(enable_metadata_routing=routing):
            scorer, model = get_scorer("recall@2"), WeightedTopK()
            if routing:
                scorer.set_score_request(sample_weight=True)
                model.set_fit_request(sample_weight=True)
            scoring = {"recall": scorer} if as_dict else scorer
            search = GridSearchCV(
                model, {"flip": [False]}, scoring=scoring, cv=3, refit=False
            )
            if not routing and not passes_weights_to_scorers():
                continue
            search.fit(X, sp.csr_array(y), sample_weight=weights)
            key = "mean_test_recall" if as_dict else "mean_test_score"
            assert_allclose(search.cv_results_[key][0], np.mean(expected))


def passes_weights_to_scorers():
    """Tell whether a search without routing weights its scores (scikit-learn 1.8)."""
    return hasattr(GridSearchCV, "_check_scorers_accept_sample_weight")


def test_metadata_requests(multilabel):
    X, y = multilabel
    scorer = get_scorer("recall@2")
    assert scorer.get_metadata_routing().score.requests == {"sample_weight": None}
    assert scorer.set_score_request(sample_weight="w") is scorer
    assert scorer.get_metadata_routing().score.requests == {"sample_weight": "w"}
    assert clone(scorer, safe=False).get_metadata_routing().score.requests == {
        "sample_weight": "w"
    }
    with sklearn.config_context(enable_metadata_routing=True):
        weights = np.arange(60.0)
        renamed = cross_validate(TopK(), X, y, scoring=scorer, params={"w": weights})
        plain = cross_validate(TopK(), X, y, scoring=scorer)
        assert (renamed["test_score"] != plain["test_score"]).any()
    with pytest.raises(ValueError, match="alias"):
        scorer.set_score_request(sample_weight=3)
