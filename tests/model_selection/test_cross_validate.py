"""cross_validate takes every form of multi-label targets."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import model_selection
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from split_problems import long_tailed

from skmhe import MHEMultiLabelClassifier
from skmhe.metrics import get_scorer
from skmhe.model_selection import (
    MultiLabelStratifiedKFold,
    MultiLabelStratifiedShuffleSplit,
    cross_validate,
)

Y = long_tailed(200, 12)
X = Y.toarray() + np.random.default_rng(0).normal(size=Y.shape)
SCORING = get_scorer("precision@1")


def clf():
    return MHEMultiLabelClassifier(model="linear", random_state=0)


def test_scikit_learn_still_refuses_sparse_targets():
    # If it does not any more, this function can go.
    with pytest.raises(ValueError, match="'y' parameter of cross_validate must be"):
        model_selection.cross_validate(clf(), X, Y, scoring=SCORING)


@pytest.mark.parametrize("form", [sp.csc_matrix, sp.csr_array, "lists"])
def test_scores_are_those_of_scikit_learn_with_dense_targets(form):
    cv = MultiLabelStratifiedKFold(3)
    parameters = {"scoring": SCORING, "error_score": "raise"}
    expected = model_selection.cross_validate(
        clf(), X, Y.toarray(), cv=cv, **parameters
    )
    if form == "lists":
        targets = [row.indices.tolist() for row in sp.csr_matrix(Y)]
    else:
        targets = form(Y)
    for given in (cv, 3):
        found = cross_validate(clf(), X, targets, cv=given, **parameters)
        assert found.keys() == expected.keys()
        np.testing.assert_array_equal(found["test_score"], expected["test_score"])


def test_other_parameters_reach_scikit_learn():
    found = cross_validate(
        OneVsRestClassifier(LogisticRegression()),
        X,
        sp.csr_matrix(Y),
        scoring={"p": SCORING, "n": get_scorer("ndcg@3")},
        return_train_score=True,
        return_estimator=True,
        return_indices=True,
    )
    assert {"test_p", "test_n", "train_p", "train_n"} < found.keys()
    assert len(found["estimator"]) == len(found["indices"]["test"]) == 5


def test_one_label_per_sample_has_the_folds_of_scikit_learn():
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=1000)
    expected = model_selection.cross_validate(model, X, y)["test_score"]
    found = cross_validate(model, X, y)["test_score"]
    np.testing.assert_array_equal(found, expected)


def test_fits_are_validated():
    with pytest.raises(ValueError, match="n_heads"):
        cross_validate(clf().set_params(n_heads=-1), X, Y, error_score="raise")


def test_metadata_groups_and_errors_are_those_of_scikit_learn():
    groups = np.arange(len(X)) % 4
    given = {"cv": model_selection.GroupKFold(2), "groups": groups, "scoring": SCORING}
    given["params"] = {"sample_weight": np.where(groups < 2, 1.0, 1e-6)}
    expected = model_selection.cross_validate(clf(), X, Y.toarray(), **given)
    found = cross_validate(clf(), X, Y, **given)
    np.testing.assert_array_equal(found["test_score"], expected["test_score"])
    plain = cross_validate(clf(), X, Y, **{**given, "params": None})
    assert (plain["test_score"] != found["test_score"]).any()
    with pytest.raises(TypeError, match="unexpected keyword argument 'score'"):
        cross_validate(clf(), X, Y, score=SCORING)
    with pytest.raises(ValueError, match="error_score must be the string 'raise'"):
        cross_validate(clf().set_params(n_heads=-1), X, Y, error_score="no")


@pytest.mark.parametrize("scoring", ["f1_macro", ["f1_micro", "accuracy"], None])
def test_scorers_of_scikit_learn(scoring):
    given = {"cv": MultiLabelStratifiedKFold(2), "scoring": scoring}
    expected = model_selection.cross_validate(clf(), X, Y.toarray(), **given)
    found = cross_validate(clf(), X, Y, **given)
    assert found.keys() == expected.keys()
    for name in found.keys() - {"fit_time", "score_time"}:
        np.testing.assert_array_equal(found[name], expected[name])


SPLITTERS = [
    3,
    MultiLabelStratifiedKFold(2),
    MultiLabelStratifiedShuffleSplit(2, random_state=0),
    model_selection.KFold(2),
    model_selection.ShuffleSplit(2, random_state=0),
]


@pytest.mark.parametrize("cv", SPLITTERS, ids=str)
def test_every_splitter_in_pipelines_and_searches(cv):
    # The way that the guide shows, of each form; of searches, with a splitter in them.
    inner = MultiLabelStratifiedKFold(2)
    model = model_selection.GridSearchCV(
        make_pipeline(MaxAbsScaler(), clf()), {}, cv=inner, scoring=SCORING
    )
    given = {"cv": cv, "scoring": SCORING, "error_score": "raise"}
    lists = [row.indices.tolist() for row in sp.csr_matrix(Y)]
    scores = [
        cross_validate(model, X, y, **given)["test_score"]
        for y in (lists, sp.csr_matrix(Y), sp.coo_array(Y))
    ]
    assert scores[0].shape == (cv if cv == 3 else 2,)
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["lists", sp.csr_array])
def test_in_processes(form):
    lists = [row.indices.tolist() for row in sp.csr_matrix(Y)]
    targets = lists if form == "lists" else form(Y)
    found, expected = (
        cross_validate(clf(), X, targets, cv=2, scoring=SCORING, n_jobs=n_jobs)
        for n_jobs in (2, 1)
    )
    np.testing.assert_array_equal(found["test_score"], expected["test_score"])
