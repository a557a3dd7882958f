"""F1, average precision and calibration error: scikit-learn and plain Python agree."""

import tracemalloc
from itertools import product

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from metric_problems import Problem, quick, seeds
from numpy.testing import assert_allclose
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import average_precision_score as reference_average_precision
from sklearn.metrics import (
    make_scorer,
    precision_recall_fscore_support,
)

from skmhe import MHEMultiLabelClassifier
from skmhe.metrics import (
    average_precision_score,
    expected_calibration_error,
    f1_score,
    precision_recall_f1,
)

AVERAGES = ["micro", "macro", "samples"]
average = pytest.mark.parametrize("average", AVERAGES)


def predicted_of(q):
    return (q.rng.random(q.dense.shape) < 0.4).astype(np.int64)


def lists_of(indicator):
    return [np.flatnonzero(row).tolist() for row in indicator]


def names_of(indicator):
    return [[f"label {i:02}" for i in row] for row in lists_of(indicator)]


# ------------------------------------------------------------ sets
@average
@given(seeds)
@quick
def test_f1_is_that_of_scikit_learn(average, seed):
    q = Problem(seed)
    predicted = predicted_of(q)
    for weights in (None, q.weights):
        expected = precision_recall_fscore_support(
            q.dense, predicted, average=average, zero_division=0, sample_weight=weights
        )[:3]
        given = {"average": average, "sample_weight": weights}
        found = precision_recall_f1(q.dense, predicted, **given)
        assert_allclose(found, expected)
        assert f1_score(q.dense, predicted, **given) == found.f1


@average
def test_forms_of_sets_agree(average):
    q = Problem(3, n_samples=40, n_labels=9)
    predicted = predicted_of(q)
    expected = precision_recall_f1(q.dense, predicted, average=average)
    labels, columns = np.arange(9), [f"label {i:02}" for i in range(9)]
    pairs = [
        (sp.csr_matrix(q.dense), sp.csc_array(predicted.astype(bool))),
        (sp.csr_array(q.dense), predicted.astype(float)),
        (lists_of(q.dense), predicted),
        (q.dense, lists_of(predicted)),
        (pd.DataFrame(q.dense, columns=columns), names_of(predicted)),
    ]
    for truth, sets in pairs:
        found = precision_recall_f1(truth, sets, average=average)
        assert_allclose(found, expected)
    for truth, sets in [
        (lists_of(q.dense), lists_of(predicted)),
        (names_of(q.dense), names_of(predicted)),
    ]:
        known = labels if truth == lists_of(q.dense) else columns
        found = precision_recall_f1(truth, sets, average=average, labels=known)
        assert_allclose(found, expected)
    shuffled = pd.DataFrame(q.dense, columns=columns).iloc[:, ::-1]
    found = f1_score(shuffled, names_of(predicted), average=average)
    assert found == pytest.approx(expected.f1)


@pytest.mark.parametrize("form", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
def test_every_sparse_format_of_sets_and_scores(form):
    q = Problem(3, n_samples=12, n_labels=8)
    predicted = predicted_of(q)
    expected = f1_score(q.dense, predicted)
    for container, dtype in product((sp.csr_array, sp.csr_matrix), (bool, int, float)):
        truth, sets = (
            container(values.astype(dtype)).asformat(form)
            for values in (q.dense, predicted)
        )
        assert f1_score(truth, sets) == pytest.approx(expected)
        with pytest.raises(ValueError, match="y_pred has scores of labels"):
            f1_score(truth, container(q.scores).asformat(form))
    scores = sp.csr_array(q.scores).asformat(form)
    found = average_precision_score(q.dense, scores)
    assert found == pytest.approx(average_precision_score(q.dense, q.scores))


def test_stored_zeros_are_not_predicted():
    q = Problem(3, n_samples=12, n_labels=8)
    predicted = sp.csr_array(np.ones(q.dense.shape))
    predicted.data[::3] = 0
    expected = f1_score(q.dense, predicted.toarray())
    assert f1_score(q.dense, predicted) == pytest.approx(expected)


def test_scikit_learn_makes_scorers_of_them():
    X, y = make_multilabel_classification(n_labels=3, random_state=0)
    clf = MHEMultiLabelClassifier(model="linear", random_state=0).fit(X, y)
    proba, sets = clf.predict_proba(X), clf.predict(X)
    for metric, keywords, predicted in (
        (f1_score, {"average": "macro"}, sets),
        (average_precision_score, {"average": "samples"}, proba),
        (expected_calibration_error, {"k": 2}, proba),
    ):
        method = "predict" if predicted is sets else "predict_proba"
        scorer = make_scorer(metric, response_method=method, **keywords)
        for targets in (y, sp.csr_array(y)):
            assert scorer(clf, X, targets) == metric(y, predicted, **keywords)


def test_ranked_labels_are_sets():
    truth = [[0, 2], [1], [3]]
    ranked = np.array([[2, 1], [1, -1], [0, 3]])
    sets = [[2, 1], [1], [0, 3]]
    expected = precision_recall_f1(truth, sets)
    assert expected == (3 / 5, 3 / 4, 6 / 9)
    assert precision_recall_f1(truth, ranked) == expected
    assert precision_recall_f1(truth, (ranked, np.ones((3, 2)))) == expected
    names = np.array(["a", "b", "c", "d"])
    named = [names[row].tolist() for row in truth]
    ranked_names = np.array([["c", "b"], ["b", None], ["a", "d"]], dtype=object)
    assert precision_recall_f1(named, ranked_names) == expected
    assert f1_score(["a", "b"], ["a", "c"]) == 0.5  # one label per sample


def test_lists_of_floating_point_labels_are_sets():
    truth, predicted = [[1.5], [2.0, 3.0]], [(1.5,), (2.0, 4.0)]
    assert f1_score(truth, predicted) == pytest.approx(2 / 3)
    assert f1_score(truth, [(1.5,), ()]) == pytest.approx(1 / 2)


def test_macro_is_the_mean_over_the_labels_that_there_are():
    truth, predicted = [["a"], ["b"]], [["a"], ["a"]]
    assert f1_score(truth, predicted, average="macro") == pytest.approx(1 / 3)
    labels = ["a", "b", "c", "d"]
    found = f1_score(truth, predicted, average="macro", labels=labels)
    assert found == pytest.approx(1 / 6)
    # A true label that cannot be predicted is missed.
    found = precision_recall_f1(truth, predicted, labels=["a", "c"])
    assert found == (0.5, 0.5, 0.5)
    assert f1_score([[], []], [[], []]) == 0


@pytest.mark.parametrize(
    ("truth", "predicted", "given", "message"),
    [
        ([["a"]], [["a"]], {"average": "weighted"}, "average='weighted' must be one"),
        ([["a"]], [["a"], ["b"]], {}, "y_true has 1 samples but y_pred has 2"),
        ([["a"]], [["b"]], {"labels": ["a"]}, "y_pred has the label 'b', which is not"),
        ([["a"]], [[1]], {}, "y_pred has labels of type number"),
        ([[0], [1]], np.array([[0.2, 0.8]] * 2), {}, "y_pred has scores of labels"),
        (np.eye(2), np.eye(3)[:2], {}, "numbers of labels differ"),
        ([["a"]], [["a"]], {"sample_weight": [1, 2]}, "sample_weight has shape"),
    ],
)
def test_errors_of_sets(truth, predicted, given, message):
    for metric in (f1_score, precision_recall_f1):
        with pytest.raises(ValueError, match=message):
            metric(truth, predicted, **given)


# ------------------------------------------------------------ scores
@average
@given(seeds)
@quick
def test_average_precision_is_that_of_scikit_learn(average, seed):
    q = Problem(seed, full=True)
    q.dense[0] = 1  # every label occurs, as scikit-learn counts others as 0
    scores = np.round(q.rng.random(q.dense.shape) * 4)  # with ties
    for weights in (None, q.weights):
        expected = reference_average_precision(
            q.dense, scores, average=average, sample_weight=weights
        )
        for form in (scores, scores.astype(np.float32), scores.tolist()):
            found = average_precision_score(
                q.dense, form, average=average, sample_weight=weights
            )
            assert found == pytest.approx(expected)


@average
def test_average_precision_of_some_scores(average):
    q = Problem(5, n_samples=30, n_labels=8)
    scores = np.where(q.rng.random(q.dense.shape) < 0.5, q.scores + 0.5, 0)
    found = average_precision_score(sp.csr_array(q.dense), sp.csr_array(scores))
    expected = []
    for j in np.flatnonzero(q.dense.any(axis=0)):
        total = 0.0
        for i in np.flatnonzero(q.dense[:, j] & (scores[:, j] > 0)):
            above = scores[:, j] >= scores[i, j]
            total += q.dense[above, j].mean()
        expected.append(total / q.dense[:, j].sum())
    assert found == pytest.approx(np.mean(expected))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    best = np.take_along_axis(q.scores, order, axis=1)  # which are above 0
    kept, pair = np.zeros_like(scores), (order, best)
    np.put_along_axis(kept, order, best, axis=1)
    assert average_precision_score(q.dense, pair, average=average) == pytest.approx(
        average_precision_score(q.dense, sp.csr_array(kept), average=average)
    )


def test_average_precision_of_labels_by_name():
    q = Problem(5, n_samples=30, n_labels=8)
    names = np.array([f"label {i:02}" for i in range(8)])
    expected = average_precision_score(q.dense, q.scores)
    found = average_precision_score(names_of(q.dense), q.scores, labels=names)
    assert found == pytest.approx(expected)
    other = average_precision_score(names_of(q.dense), q.scores, labels=names[::-1])
    assert other != pytest.approx(expected)


def test_average_precision_of_nothing():
    scores = np.array([[0.2, 0.3]])
    assert average_precision_score([[]], scores) == 0
    assert average_precision_score([[]], scores, average="samples") == 0
    # A true label that has no score is missed.
    assert average_precision_score(np.ones((1, 2)), sp.csr_array([[0.2, 0.0]])) == 0.5


def test_large_numbers_of_labels_take_no_memory():
    truth, labels = [[2_000_000_000], [5]], np.array([[2_000_000_000], [7]])
    tracemalloc.start()
    try:
        found = average_precision_score(truth, (labels, np.array([[0.5], [0.4]])))
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
    assert found == 0.5


def test_scores_of_a_pair_that_are_nan():
    labels, scores = np.array([[0, 1], [1, -1]]), np.array([[0.5, 0.2], [0.4, np.nan]])
    truth = [[0], [1]]
    assert average_precision_score(truth, (labels, scores)) == 1  # of no prediction
    scores[0, 1] = np.nan
    for metric in (average_precision_score, expected_calibration_error):
        with pytest.raises(ValueError, match="y_pred contains NaN"):
            metric(truth, (labels[:, ::-1], scores[:, ::-1]))


@given(seeds)
@quick
def test_calibration_error_is_that_of_the_definition(seed):
    q = Problem(seed)
    proba = q.rng.random(q.dense.shape)
    k, n_bins = q.k, int(q.rng.integers(1, 6))
    total = weight = 0.0
    for m in range(n_bins):
        gap = 0.0
        for i, row in enumerate(proba):
            for j in np.argsort(-row, kind="stable")[:k]:
                if m / n_bins < row[j] <= (m + 1) / n_bins:
                    gap += q.weights[i] * (q.dense[i, j] - row[j])
                    weight += q.weights[i]
        total += abs(gap)
    found = expected_calibration_error(
        q.dense, proba, k, n_bins=n_bins, sample_weight=q.weights
    )
    assert found == pytest.approx(total / weight)


def test_calibration_error_of_a_pair():
    labels = np.array([["a", "b"], ["b", "a"]])
    pair = labels, np.array([[0.9, 0.05], [0.6, 0.4]])
    truth = [["a"], ["a"]]
    assert expected_calibration_error(truth, pair) == pytest.approx(0.35)
    assert expected_calibration_error(truth, pair, 2) == pytest.approx(1.35 / 4)
    assert expected_calibration_error(truth, pair, n_bins=1) == pytest.approx(0.25)
    known = ["a", "b"]
    found = expected_calibration_error(truth, [[0.9, 0.1], [0.4, 0.6]], labels=known)
    assert found == pytest.approx(0.35)


def test_calibration_error_of_weighted_predictions_only():
    proba = sp.csr_array([[0.0, 0.0], [0.5, 0.0]])
    given = {"sample_weight": [1, 0]}  # the sample that counts has no prediction
    assert expected_calibration_error([[0], [0]], proba, **given) == 0


@pytest.mark.parametrize(
    ("metric", "predicted", "given", "message"),
    [
        (
            average_precision_score,
            [[0.1, 0.2]],
            {"average": "x"},
            "average='x' must be one",
        ),
        (average_precision_score, [[0, 1]], {}, "ranked labels without scores"),
        (expected_calibration_error, [[0, 1]], {}, "ranked labels without scores"),
        (expected_calibration_error, [[2.5, 0.1]], {}, "score 2.5, which is no"),
        (expected_calibration_error, [[-2.5, -4]], {}, "score -2.5, which is no"),
        (expected_calibration_error, [[0.5, 0.1]], {"n_bins": 0}, "n_bins=0 must be"),
        (expected_calibration_error, [[0.5, 0.1]], {"k": 3}, "k=3 is larger than"),
    ],
)
def test_errors_of_scores(metric, predicted, given, message):
    with pytest.raises(ValueError, match=message):
        metric([[0]], predicted, **given)
