"""Scorers in cross-validation and searches, with sample weights and routing."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from ranking_models import NAMES, TopK
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MultiLabelBinarizer

from skmhe import metrics
from skmhe.metrics import get_scorer


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
    # One label per sample and equal propensities: both are the share of hits.
    assert_allclose(found["test_psp"], found["test_recall"])


def test_label_lists_by_binarizer(multilabel):
    X, y = multilabel
    lists = [[f"n{j}" for j in np.flatnonzero(row)] for row in y]
    Y = MultiLabelBinarizer(sparse_output=True).fit_transform(lists)
    search = GridSearchCV(TopK(), {}, scoring=get_scorer("recall@3"), cv=3).fit(X, Y)
    expected = cross_val_score(TopK(), X, y, scoring=get_scorer("recall@3"), cv=3)
    assert_allclose(search.best_score_, expected.mean())


class WeightedTopK(TopK):
    """Accepts sample_weight in fit, as a search passes it."""

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
