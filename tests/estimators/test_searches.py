"""Pipelines, cross-validation and searches over parameters."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from estimator_problems import both, make, make_data
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_parameter_objects import layers

from skmhe import (
    Backbone,
    Cascade,
    Full,
    LabelEncoder,
    LinearTree,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Product,
    Sampling,
)
from skmhe.metrics import get_scorer

N, N_TOPICS = 72, 6
WORDS = [f"{a}{b}" for a in "bdfgkl" for b in ("ana", "olo", "iri")]


def make_documents():
    """Return texts of words that tell their topic, topics, and lists of tags."""
    rng = np.random.RandomState(0)
    topics = rng.permutation(np.arange(N) % N_TOPICS)
    texts = [
        " ".join([*rng.choice(WORDS[3 * t : 3 * t + 3], 4), rng.choice(WORDS)])
        for t in topics
    ]
    names = np.array([f"topic {t}" for t in range(N_TOPICS)])
    tags = [[names[t], names[(t + 1) % N_TOPICS]] for t in topics]
    tags[0] = []
    return texts, names[topics], tags


# ------------------------------------------------------------ pipelines


def test_pipeline_of_texts():
    texts, topics, _ = make_documents()
    pipeline = make_pipeline(TfidfVectorizer(), make(max_iter=12))
    pipeline.fit(texts[:60], topics[:60])
    assert pipeline.score(texts[60:], topics[60:]) > 0.8
    assert_array_equal(pipeline.classes_, np.unique(topics))
    assert get_scorer("precision@1")(pipeline, texts[60:], topics[60:]) > 0.8


def test_pipeline_of_texts_with_tags():
    texts, _, tags = make_documents()
    pipeline = make_pipeline(
        TfidfVectorizer(), make(MHEMultiLabelClassifier, max_iter=12)
    )
    pipeline.fit(texts[:60], tags[:60])
    predicted = pipeline.predict(texts[60:])
    assert isinstance(predicted[0], tuple)
    assert get_scorer("precision@1")(pipeline, texts[60:], tags[60:]) > 0.8


def test_pipeline_of_a_data_frame():
    X, y = make_data()
    frame = pd.DataFrame(X, columns=[f"feature {i}" for i in range(X.shape[1])])
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, make()).fit(frame, y)
    assert pipeline[-1].feature_names_in_.tolist() == frame.columns.tolist()
    assert pipeline.predict(frame).shape == (len(X),)


# ------------------------------------------------------------ searches

# For each grid, the parameters that its rows stand for.
GRIDS = {
    "strategies": (
        {"strategy": ["full", "cascade", Sampling(n_sampled_groups=1)]},
        [{"strategy": Full()}, {"strategy": Cascade()}]
        + [{"strategy": Sampling(n_sampled_groups=1)}],
    ),
    "samples of labels": (
        {"strategy": [Sampling(n_sampled_groups=n) for n in (0, 3)]},
        [{"strategy": Sampling(n_sampled_groups=n)} for n in (0, 3)],
    ),
    "rank": (
        {"strategy": ["product"], "strategy__rank": [1, 3]},
        [{"strategy": Product(rank=rank)} for rank in (1, 3)],
    ),
    "beam width": (
        [
            {"strategy": ["cascade"], "strategy__beam_width": [1, 9], "n_heads": [3]},
            {"strategy": ["sampling"], "strategy__n_sampled_groups": [1]},
        ],
        [{"strategy": Cascade(beam_width=b), "n_heads": 3} for b in (1, 9)]
        + [{"strategy": Sampling(n_sampled_groups=1)}],
    ),
    "C": (
        {"linear__C": [0.01, 5.0], "linear__centroid_prior": [0.0]},
        [{"linear": LinearTree(C=C, centroid_prior=0.0)} for C in (0.01, 5.0)],
    ),
    "backbone": (
        {
            "backbone": [layers],
            "backbone__n_features": [10],
            "backbone__width": [2, 5],
        },
        [{"backbone": Backbone(layers, n_features=10, width=w)} for w in (2, 5)],
    ),
}
# Rows of which only predictions of the k best differ.
SAME_PROBABILITIES = ["beam width"]


def by_hand(params, X, y, cls, score, **fit_params):
    """Return the mean score of the folds, without a search."""
    scores = []
    for train, test in KFold(2).split(X):
        clf = make(cls, **({"strategy": "auto"} | params))
        clf.fit(X[train], y[train], **fit_params)
        scores.append(score(clf, X[test], y[test]))
    return np.mean(scores)


def log_score(clf, X, y):
    """Return how probable the true labels were."""
    p, is_true = clf.predict_proba(X), y
    if y.ndim == 1:
        is_true = y[:, np.newaxis] == clf.classes_
    return np.log(p[is_true > 0]).mean()


@pytest.mark.parametrize("name", GRIDS)
@both
def test_rows_of_searches_are_what_they_say(cls, name):
    grid, rows = GRIDS[name]
    X, y = make_data(MHEClassifier if name == "rank" else cls)
    clf = make(cls, "auto")
    before = repr(clf)
    search = GridSearchCV(
        clf, grid, scoring=log_score, cv=KFold(2), error_score="raise"
    )
    search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    expected = [by_hand(params, X, y, cls, log_score) for params in rows]
    assert_allclose(scores, expected, rtol=1e-12)
    if name not in SAME_PROBABILITIES:
        assert len(set(scores)) == len(rows)
    # What was searched from is left alone, and the best is fitted to all samples.
    assert repr(clf) == before
    best = rows[search.best_index_]
    direct = make(cls, **({"strategy": "auto"} | best)).fit(X, y)
    assert_array_equal(search.predict_proba(X), direct.predict_proba(X))


@both
def test_search_over_the_weight_of_the_label_encoder(cls):
    X, y = make_data(cls)
    Z = np.random.RandomState(0).randn(12, 7)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make(cls, "auto").set_fit_request(label_features=True)
        search = GridSearchCV(
            make_pipeline(StandardScaler(with_mean=False, with_std=False), clf),
            {f"{cls.__name__.lower()}__label_encoder__loss_weight": [0.0, 0.1, 0.6]},
            scoring=log_score,
            cv=KFold(2),
            error_score="raise",
        )
        search.fit(X, y, label_features=Z)
    scores = search.cv_results_["mean_test_score"]
    expected = [
        by_hand({"label_encoder": encoder}, X, y, cls, log_score, label_features=Z)
        for encoder in [LabelEncoder(loss_weight=w) for w in (0.0, 0.1, 0.6)]
    ]
    assert_allclose(scores, expected, rtol=1e-6)
    assert len(set(scores)) == 3
    # With a weight of 0, there is no encoder: features of labels say nothing.
    assert_allclose(scores[0], by_hand({}, X, y, cls, log_score), rtol=1e-6)


@pytest.mark.parametrize("scoring", [None, "precision@1"])
@both
def test_grid_search_in_processes(cls, scoring):
    X, y = make_data(cls)
    grid = [
        {"n_heads": [2, 3], "strategy": ["cascade", "sampling"]},
        {"n_heads": [1]},
    ]
    if cls is MHEClassifier:
        grid.append({"strategy": [Product(rank=2)]})
    search = GridSearchCV(
        make(cls, "auto", max_iter=2),
        grid,
        scoring=scoring and get_scorer(scoring),
        cv=KFold(2),
        n_jobs=2,
        error_score="raise",
    )
    search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == (6 if cls is MHEClassifier else 5)
    assert np.isfinite(scores).all()
    # The same in this process, by hand.
    score = get_scorer(scoring) if scoring else lambda clf, X, y: clf.score(X, y)
    here = [
        score(clone(search.best_estimator_).fit(X[train], y[train]), X[test], y[test])
        for train, test in KFold(2).split(X)
    ]
    assert_allclose(search.best_score_, np.mean(here), rtol=1e-6)
    assert search.predict(X).shape[0] == len(X)


# ------------------------------------------------------------ cross-validation


def test_cross_validation_with_several_scorers():
    X, Y = make_data(MHEMultiLabelClassifier)
    names = ["precision@1", "ndcg@3"]
    result = cross_validate(
        make(MHEMultiLabelClassifier),
        X,
        Y,  # cross_validate takes no sparse y, GridSearchCV does
        scoring={name: get_scorer(name) for name in names},
        cv=KFold(2),
        error_score="raise",
    )
    for name in names:
        assert ((result[f"test_{name}"] > 0) & (result[f"test_{name}"] <= 1)).all()


def test_searches_of_lists_of_tags():
    # Given a number of folds, scikit-learn asks for the type of y, which lists lack.
    texts, _, tags = make_documents()
    column = pd.Series(tags, index=np.arange(N)[::-1])
    clf = make(MHEMultiLabelClassifier, "full", model="linear")
    pipeline = make_pipeline(TfidfVectorizer(), clf)
    options = {"scoring": get_scorer("precision@1"), "cv": KFold(3)}
    scores = cross_val_score(pipeline, texts, column, error_score="raise", **options)
    assert scores.min() > 0.8
    grid = {"mhemultilabelclassifier__linear__C": [0.5, 1.0]}
    search = GridSearchCV(pipeline, grid, error_score="raise", **options)
    assert search.fit(texts, column).best_score_ > 0.8
    assert search.predict(texts)[1] == tuple(sorted(tags[1]))


@pytest.mark.parametrize(
    "name", ["accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr"]
)
def test_scorers_of_scikit_learn(name):
    X, y = make_data()
    scores = cross_val_score(make(), X, y, scoring=name, cv=2, error_score="raise")
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", ["f1_micro", "average_precision"])
def test_multilabel_scorers_of_scikit_learn(name):
    X, Y = make_data(MHEMultiLabelClassifier)
    clf = make(MHEMultiLabelClassifier)
    scores = cross_val_score(clf, X, Y, scoring=name, cv=KFold(2), error_score="raise")
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_cross_val_predict(method):
    X, y = make_data()
    result = cross_val_predict(make(), X, y, cv=2, method=method)
    assert result.shape == ((len(X),) if method == "predict" else (len(X), 12))


def test_classifier_chain():
    X, Y = make_data(MHEMultiLabelClassifier)
    chain = ClassifierChain(make(max_iter=1, strategy="full")).fit(X, Y)
    assert chain.predict(X).shape == Y.shape
