import numpy as np
import pytest
import scipy.sparse as sp
from display_problems import Columns, Problem, hits_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from skmhe import MHEMultiLabelClassifier
from skmhe.displays import ReliabilityDisplay


@pytest.mark.parametrize(("k", "n_bins"), [(1, 10), (4, 3)])
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_points_are_those_of_scikit_learn(k, n_bins, strategy):
    problem = Problem(7)
    _, _, p, right = zip(*hits_of(problem, k), strict=True)
    expected = calibration_curve(right, p, n_bins=n_bins, strategy=strategy)
    given = {"k": k, "n_bins": n_bins, "strategy": strategy}
    displays = [
        ReliabilityDisplay.from_predictions(y_true, y_pred, labels=labels, **given)
        for y_true, y_pred, _, labels in problem.forms(k)
    ]
    clf = Columns().fit(None)
    displays.append(
        ReliabilityDisplay.from_estimator(clf, problem.scores, problem.dense, **given)
    )
    for display in displays:
        assert_allclose((display.prob_true, display.prob_pred), expected)
        assert display.counts.sum() == 40 * k
        shown = display.line_.get_xdata(), display.line_.get_ydata()
        assert_array_equal(shown, expected[::-1])
        assert_array_equal(display.points_.get_offsets(), np.transpose(shown))


def test_weights_are_repetitions():
    problem = Problem(8)
    times = problem.weights.astype(int)
    weighted = ReliabilityDisplay.from_predictions(
        problem.dense, problem.scores, k=2, sample_weight=problem.weights
    )
    repeated = ReliabilityDisplay.from_predictions(
        problem.dense.repeat(times, axis=0), problem.scores.repeat(times, axis=0), k=2
    )
    for name in ("prob_true", "prob_pred", "counts"):
        assert_allclose(getattr(weighted, name), getattr(repeated, name))


def test_only_stored_probabilities_are_predictions():
    y_true = np.array([[0, 1], [1, 0]])
    y_pred = sp.csr_array([[0.0, 0.9], [0.0, 0.0]])
    display = ReliabilityDisplay.from_predictions(y_true, y_pred, k=2)
    found = display.prob_true, display.prob_pred, display.counts
    assert_array_equal(found, [[1], [0.9], [1]])


def test_probabilities_of_an_estimator_that_ranks():
    problem = Problem(9)
    clf = MHEMultiLabelClassifier(model="linear", random_state=0)
    clf.fit(problem.scores, problem.dense)
    display = ReliabilityDisplay.from_estimator(clf, problem.scores, problem.dense, k=2)
    pair = clf.predict_topk(problem.scores, k=2)
    expected = ReliabilityDisplay.from_predictions(problem.dense, pair, k=2)
    assert_array_equal(display.prob_pred, expected.prob_pred)
    assert_array_equal(display.prob_true, expected.prob_true)


def test_areas_grow_with_the_counts():
    points = ReliabilityDisplay([0.2, 0.5], [0.3, 0.4], [1, 50]).plot().points_
    small, large = points.get_sizes()
    assert large == 100 and 10 < small < 15


def test_curves_share_the_diagonal():
    first = ReliabilityDisplay([0.2, 0.5], [0.3, 0.4], [1, 5], name="a").plot()
    second = ReliabilityDisplay([0.2], [0.3], [1]).plot(first.ax_, name="b")
    texts = [text.get_text() for text in first.ax_.get_legend().get_texts()]
    assert texts == ["Perfectly calibrated", "a", "b"]
    assert second.points_.get_facecolor().tolist() != (
        first.points_.get_facecolor().tolist()
    )
    assert len(second.plot().ax_.lines) == 2
    alone = second.plot(ref_line=False).ax_
    assert len(alone.lines) == 1 and alone.get_legend() is None


def test_invalid_arguments():
    problem = Problem(10)
    given = problem.dense, problem.scores
    with pytest.raises(ValueError, match="strategy='width' must be one of 'uniform'"):
        ReliabilityDisplay.from_predictions(*given, strategy="width")
    with pytest.raises(ValueError, match="n_bins=0 must be an integer of at least 1"):
        ReliabilityDisplay.from_predictions(*given, n_bins=0)
    with pytest.raises(ValueError, match=r"y_pred contains -.* from 0 to 1; pass prob"):
        ReliabilityDisplay.from_predictions(given[0], np.log(given[1]), k=8)
    with pytest.raises(ValueError, match="ranked labels without scores"):
        ReliabilityDisplay.from_predictions(given[0], problem.ranked)
    with pytest.raises(ValueError, match="ranked labels without scores"):
        ReliabilityDisplay.from_predictions(["a", "b"], (["a", "b"], ["b", "a"]))
    nothing = sp.csr_array(given[1].shape)
    with pytest.raises(ValueError, match="There are no predictions in any bin: pass"):
        ReliabilityDisplay.from_predictions(given[0], nothing)
    labels = problem.ranked[:, :1]
    with pytest.raises(ValueError, match="y_pred contains NaN, which cannot be"):
        ReliabilityDisplay.from_predictions(given[0], (labels, np.nan * labels))
    with pytest.raises(ValueError, match=r"The result of Columns contains 1\."):
        ReliabilityDisplay.from_estimator(Columns().fit(None), 2 * given[1], given[0])


def test_an_estimator_needs_probabilities():
    X, y = np.eye(3).repeat(3, axis=0), np.arange(3).repeat(3)
    ReliabilityDisplay.from_estimator(LogisticRegression().fit(X, y), X, y)
    with pytest.raises(TypeError, match="none of the methods predict_topk, predict_pr"):
        ReliabilityDisplay.from_estimator(RidgeClassifier().fit(X, y), X, y)
