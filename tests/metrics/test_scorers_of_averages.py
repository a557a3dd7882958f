"""Scorers of F1 and of average precision, which are means over labels or samples."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from ranking_models import TopK
from sklearn import metrics as oracle
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.metrics import average_precision_score, get_scorer

RNG = np.random.default_rng(0)
Y = (RNG.random((60, 6)) < 0.3).astype(int)
Y[:, 0] |= ~Y.any(axis=1)  # each sample has a label, as the oracle leaves out others
X = Y + RNG.normal(size=Y.shape)
WEIGHTS = RNG.integers(3, size=60)
AVERAGES = ("macro", "micro", "samples")
LISTS = [[f"label {i}" for i in np.flatnonzero(row)] for row in Y]


MODELS = {
    "ours": MHEMultiLabelClassifier(model="linear", random_state=0),
    "scikit-learn": OneVsRestClassifier(LogisticRegression()),
    "pipeline": make_pipeline(
        StandardScaler(), OneVsRestClassifier(LogisticRegression())
    ),
}


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_values_are_those_of_scikit_learn(model, average):
    model = model.fit(X, Y)
    for weights in (None, WEIGHTS):
        given = {"average": average, "sample_weight": weights}
        f1 = oracle.f1_score(Y, model.predict(X), zero_division=0, **given)
        ap = oracle.average_precision_score(Y, model.predict_proba(X), **given)
        for y in (Y, sp.coo_array(Y), sp.csc_matrix(Y)):
            scorer = get_scorer(f"f1_{average}")
            assert scorer(model, X, y, sample_weight=weights) == pytest.approx(f1)
            scorer = get_scorer(f"average_precision_{average}")
            assert scorer(model, X, y, sample_weight=weights) == pytest.approx(ap)


@pytest.mark.parametrize("average", AVERAGES)
def test_lists_of_labels_have_the_values_of_an_indicator(average):
    of_lists, of_indicator = (
        MHEMultiLabelClassifier(model="linear", random_state=0).fit(X, y)
        for y in (LISTS, Y)
    )
    for measure in ("f1", "average_precision"):
        scorer = get_scorer(f"{measure}_{average}")
        expected = scorer(of_indicator, X, Y)
        assert scorer(of_lists, X, LISTS) == pytest.approx(expected)


def test_the_best_labels_only():
    model = TopK().fit(X, Y)
    whole = get_scorer("average_precision_micro")(model, X, Y)
    values = [
        get_scorer(f"average_precision_micro@{k}")(model, X, Y) for k in (1, 3, 6, 50)
    ]
    assert values[0] < values[1] < whole == values[2] == values[3]
    expected = average_precision_score(Y, model.predict_topk(X, 3), average="micro")
    assert values[1] == pytest.approx(expected)


def test_one_label_per_sample():
    y = np.array(["a", "b", "c"])[X[:, :3].argmax(axis=1)]
    model = MHEClassifier(model="linear", random_state=0).fit(X, y)
    predicted = model.predict(X)
    for average in ("macro", "micro"):
        found = get_scorer(f"f1_{average}")(model, X, y)
        assert found == pytest.approx(oracle.f1_score(y, predicted, average=average))


def test_labels_that_the_model_does_not_know_are_missed():
    model = MHEMultiLabelClassifier(model="linear", random_state=0).fit(X, LISTS)
    new = [[*labels, "new"] for labels in LISTS]
    for name in ("f1_micro", "average_precision_macro", "average_precision_samples"):
        assert get_scorer(name)(model, X, new) < get_scorer(name)(model, X, LISTS)


@pytest.mark.parametrize("name", ["f1_macro", "average_precision_micro@4"])
def test_in_a_search_over_lists(name):
    scorer = pickle.loads(pickle.dumps(clone(get_scorer(name), safe=False)))
    model = MHEMultiLabelClassifier(model="linear", random_state=0)
    given = {"param_grid": {"linear__C": [0.01, 1.0]}, "scoring": scorer}
    found, expected = (
        GridSearchCV(model, cv=KFold(2), error_score="raise", **given).fit(X, y)
        for y in (LISTS, sp.csr_array(Y))
    )
    key = "mean_test_score"
    np.testing.assert_allclose(found.cv_results_[key], expected.cv_results_[key])


@pytest.mark.parametrize("name", ["f1_micro", "average_precision_micro"])
def test_weights_are_passed_on_request(name):
    model, cv = OneVsRestClassifier(LogisticRegression()), KFold(2)
    with sklearn.config_context(enable_metadata_routing=True):
        weighted = get_scorer(name).set_score_request(sample_weight="w")
        found = cross_validate(
            model, X, Y, cv=cv, scoring=weighted, params={"w": WEIGHTS}
        )
        plain = cross_validate(model, X, Y, cv=cv, scoring=get_scorer(name))
    for (train, test), value in zip(cv.split(X), found["test_score"], strict=True):
        fitted = clone(model).fit(X[train], Y[train])
        weights = WEIGHTS[test]
        expected = get_scorer(name)(fitted, X[test], Y[test], sample_weight=weights)
        assert value == pytest.approx(expected)
    assert (found["test_score"] != plain["test_score"]).all()


def test_scores_that_are_nan():
    class Odd(TopK):
        def predict_topk(self, X, k):
            labels, scores = super().predict_topk(X, k)
            return labels, scores * np.nan

    with pytest.raises(ValueError, match="What Odd predicts contains NaN"):
        get_scorer("average_precision_micro")(Odd().fit(X, Y), X, Y)
