import numpy as np
import pytest
from display_problems import NAMES, Columns, Problem
from numpy.testing import assert_allclose, assert_array_equal

from skmhe import metrics
from skmhe.displays import RankingDisplay

METRICS = {
    "coverage": metrics.coverage_at_k,
    "ndcg": metrics.ndcg_at_k,
    "precision": metrics.precision_at_k,
    "recall": metrics.recall_at_k,
}


@pytest.mark.parametrize("measure", [*METRICS, "psp"])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_those_of_the_metrics(measure, weighted):
    problem = Problem(0)
    weights = problem.weights if weighted else None
    given = {"measure": measure, "k": 4, "sample_weight": weights}
    metric = METRICS.get(measure)
    if measure == "psp":
        given["propensities"] = problem.propensities

        def metric(*args, **kwargs):
            return metrics.propensity_scored_precision_at_k(
                *args, propensities=problem.propensities, **kwargs
            )

    expected = [
        metric(problem.dense, problem.scores, k=k, sample_weight=weights)
        for k in (1, 2, 3, 4)
    ]
    made = RankingDisplay.from_predictions(problem.dense, problem.scores, **given)
    of_estimator = RankingDisplay.from_estimator(
        Columns().fit(None), problem.scores, problem.dense, **given
    )
    for display in (made, of_estimator):
        assert_allclose(display.values, expected)
        assert_array_equal(display.line_.get_xdata(), [1, 2, 3, 4])
        assert_array_equal(display.line_.get_ydata(), display.values)


def test_precision_by_hand():
    problem = Problem(1)
    hits = np.take_along_axis(problem.dense, problem.ranked, axis=1)
    expected = [hits[:, :k].mean() for k in range(1, 6)]
    for y_true, y_pred, _, labels in problem.forms(5):
        display = RankingDisplay.from_predictions(y_true, y_pred, labels=labels)
        assert_allclose(display.values, expected)


def test_propensities_of_labels_in_another_order():
    problem, order = Problem(2), np.random.default_rng(2).permutation(8)
    named = [[NAMES[label] for label in sorted(labels)] for labels in problem.truth]
    clf = Columns(NAMES).fit(None)
    given = {"measure": "psp", "k": 3, "propensities": problem.propensities}
    plain = RankingDisplay.from_estimator(clf, problem.scores, named, **given)
    given["propensities"] = problem.propensities[order]
    shuffled = RankingDisplay.from_estimator(
        clf, problem.scores, named, labels=NAMES[order], **given
    )
    assert_array_equal(plain.values, shuffled.values)


def test_labels_of_the_test_data_alone_need_a_propensity():
    train = [["a"], ["a", "b"], ["b"], ["a"]]
    X, y = [[0.9, 0.1], [0.2, 0.8]], [["a"], ["b", "new"]]
    clf = Columns(np.array(["a", "b"])).fit(None)
    pair = [["a", "b"], ["b", "a"]]
    given = {"measure": "psp", "k": 2}
    for labels in (None, ["a", "b"]):
        p = metrics.propensities(train, labels=labels)
        short = {**given, "propensities": p, "labels": labels}
        with pytest.raises(ValueError, match=r"both in propensities\(y_train, labels="):
            RankingDisplay.from_estimator(clf, X, y, **short)
    with pytest.raises(ValueError, match=r"'new', .* and as labels here"):
        RankingDisplay.from_predictions(y, pair, **short)
    given["labels"] = ["a", "b", "new"]
    given["propensities"] = metrics.propensities(train, labels=given["labels"])
    found = RankingDisplay.from_estimator(clf, X, y, **given).values
    table = metrics.evaluate(y, np.array(pair), y_train=train, k=(1, 2))
    assert_allclose(found, [table["PSP@1"]["all"], table["PSP@2"]["all"]])
    made = RankingDisplay.from_predictions(y, pair, **given).values
    assert_array_equal(made, found)


def test_curves_of_several_measures_share_axes():
    values = np.array([0.5, 0.25])
    display = RankingDisplay(values, name="a").plot()
    ax = display.ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "k, number of predictions",
        "Precision at k",
    )
    RankingDisplay(values, name="b").plot(ax)
    assert ax.get_ylabel() == "Precision at k"
    RankingDisplay(values, measure="psp").plot(ax)
    assert ax.get_ylabel() == "Measure at k"
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["a, P@k", "b, P@k", "PSP@k"]


def test_invalid_arguments():
    problem = Problem(3)
    given = problem.dense, problem.scores
    with pytest.raises(ValueError, match=r"measure='map' must be one of 'coverage', "):
        RankingDisplay.from_predictions(*given, measure="map")
    with pytest.raises(ValueError, match="measure='psp' requires propensities"):
        RankingDisplay.from_predictions(*given, measure="psp")
    with pytest.raises(ValueError, match="only used for measure='psp'"):
        RankingDisplay.from_predictions(*given, propensities=np.ones(8))
    with pytest.raises(ValueError, match="k=9 is larger than the number of columns"):
        RankingDisplay.from_predictions(*given, k=9)
    clf = Columns().fit(None)
    with pytest.raises(ValueError, match="k=9 is larger than the number of classes"):
        RankingDisplay.from_estimator(clf, given[1], given[0], k=9)
    with pytest.raises(ValueError, match="k=0 must be an integer of at least 1"):
        RankingDisplay.from_estimator(clf, given[1], given[0], k=0)
    with pytest.raises(ValueError, match=r"propensities contains 2\.0"):
        RankingDisplay.from_predictions(
            *given, measure="psp", propensities=np.full(8, 2.0)
        )
