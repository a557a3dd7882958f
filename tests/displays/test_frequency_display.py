import numpy as np
import pandas as pd
import pytest
from display_problems import NAMES, Columns, Problem, hits_of
from numpy.testing import assert_allclose, assert_array_equal

from skmhe.displays import FrequencyDisplay


def oracle(problem, k, lowest, measure, weights):
    """Return (lowest, highest, number of labels, value) of bins with true labels."""
    ends = [*(low - 1 for low in lowest[1:]), problem.frequencies.max()]
    for low, high in reversed(list(zip(lowest, ends, strict=True))):
        inside = {
            label for label, n in enumerate(problem.frequencies) if low <= n <= high
        }
        true = sum(
            w * len(labels & inside)
            for w, labels in zip(weights, problem.truth, strict=True)
        )
        made = [row for row in hits_of(problem, k) if row[1] in inside]
        predicted = sum(weights[i] for i, *_ in made)
        right = sum(weights[i] for i, _, _, is_right in made if is_right)
        present = {
            label
            for w, labels in zip(weights, problem.truth, strict=True)
            for label in labels
            if w and label in inside
        }
        values = {
            "recall": right / true if true else None,
            "precision": right / predicted if predicted else np.nan,
            "f1": 2 * right / (true + predicted) if true else None,
        }
        if true:
            yield low, high, len(present), values[measure]


@pytest.mark.parametrize("measure", ["recall", "precision", "f1"])
@pytest.mark.parametrize(("k", "weighted"), [(1, True), (3, False)])
def test_values_by_brute_force(measure, k, weighted):
    problem = Problem(4)
    weights = problem.weights if weighted else None
    given = {"measure": measure, "k": k, "bins": (2, 8), "sample_weight": weights}
    weights = problem.weights if weighted else np.ones(40)
    expected = [*oracle(problem, k, [0, 1, 2, 8], measure, weights)]
    clf, X = Columns().fit(None), problem.scores
    displays = [
        FrequencyDisplay.from_predictions(
            y_true, y_pred, y_train=y_train, labels=labels, **given
        )
        for y_true, y_pred, y_train, labels in problem.forms(3)
    ]
    y_train = problem.train
    displays.append(
        FrequencyDisplay.from_estimator(clf, X, problem.dense, y_train=y_train, **given)
    )
    for display in displays:
        found = np.column_stack([display.bins, display.n_labels, display.values])
        assert_allclose(found, expected)
        assert_array_equal(display.line_.get_ydata(), display.values)
        assert display.ax_.get_ylabel().lower() == f"{measure} at {k}"


def test_labels_of_an_estimator_have_names():
    problem = Problem(5)
    names = np.flip(NAMES)  # of which the order is not that of the columns of y
    table = pd.DataFrame(problem.dense, columns=NAMES)
    train = [[NAMES[i] for i in np.flatnonzero(row)] for row in problem.train]
    clf, X = Columns(names).fit(None), problem.scores[:, ::-1]
    display = FrequencyDisplay.from_estimator(
        clf, X, table, y_train=train, k=2, bins=(4,)
    )
    expected = [*oracle(problem, 2, [0, 1, 4], "recall", np.ones(40))]
    found = np.column_stack([display.bins, display.n_labels, display.values])
    assert_allclose(found, expected)


def test_labels_without_training_samples_have_a_bin():
    display = FrequencyDisplay.from_predictions(
        [["a"], ["new"]], [["a"], ["b"]], y_train=[["a"], ["a"], ["b"]], k=1
    )
    assert display.bins.tolist() == [[2, 2], [0, 0]]
    assert display.values.tolist() == [1, 0]
    clf = Columns(np.array(["a", "b"])).fit(None)
    of_estimator = FrequencyDisplay.from_estimator(
        clf, [[1, 0], [0, 1]], ["a", "new"], y_train=["a", "a", "b"], k=1
    )
    assert of_estimator.bins.tolist() == [[2, 2], [0, 0]]


@pytest.mark.parametrize(
    ("bins", "lowest"),
    [
        (1, [1]),
        (2, [31, 1]),
        (3, [100, 10, 1]),
        (12, [562, 31, 5, 1]),
        ((5, 100), [100, 5, 1]),
    ],
)
def test_bins(bins, lowest):
    # One label has 999 training samples, one 50, one 7, and one a single one.
    labels = [0] * 999 + [1] * 50 + [2] * 7 + [3]
    y = [0, 1, 2, 3]
    display = FrequencyDisplay.from_predictions(
        y, np.eye(4), y_train=labels, k=1, bins=bins
    )
    assert display.bins[:, 0].tolist() == lowest
    assert display.bins[0, 1] == 999
    assert display.n_labels.sum() == 4
    assert display.values.tolist() == [1] * len(display.values)


def test_curves_share_bins():
    first = FrequencyDisplay([0.9, 0.4], [[10, 12345], [1, 9]], [12345, 7], name="a")
    ax = first.plot().ax_
    second = FrequencyDisplay([0.8, 0.5], [[10, 12345], [1, 9]], [12345, 7], k=1)
    second.plot(ax, name="b", marker="s")
    assert second.ax_ is ax and second.line_.get_marker() == "s"
    assert_array_equal(second.line_.get_xdata(orig=False), [0, 1])
    ax.figure.canvas.draw()
    texts = [tick.get_text() for tick in ax.get_xticklabels()]
    assert texts == ["10\n12.3k", "1\n7"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b"]
    assert second.plot().ax_.get_legend() is None


@pytest.mark.parametrize("bins", [0, True, (), (0, 5), (5, 2), (2, 2), (1.5,), "log"])
def test_invalid_bins(bins):
    with pytest.raises(ValueError, match=r"bins=.* must be an integer of at least 1"):
        FrequencyDisplay.from_predictions([0], np.eye(1), y_train=[0], k=1, bins=bins)


def test_curves_of_other_bins_do_not_share_axes():
    # Not in order, as places of texts are in the order of their first use.
    ax = FrequencyDisplay([0.9, 0.4], [[10, 20], [1, 9]], [5, 7]).plot().ax_
    ax.axhline(0.5)
    ax.plot(["10\n5"], [0.3])
    other = FrequencyDisplay([0.9], [[12, 20]], [5])
    with pytest.raises(ValueError, match=r"bins \['10', '1'\].*\['12'\]: pass ax=None"):
        other.plot(ax)


def test_invalid_arguments():
    problem, clf = Problem(6), Columns().fit(None)
    given = problem.scores, problem.dense
    with pytest.raises(ValueError, match="measure='psp' must be one of 'f1'"):
        FrequencyDisplay.from_estimator(
            clf, *given, y_train=problem.train, measure="psp"
        )
    with pytest.raises(ValueError, match="y_train has 7 columns but the estimator"):
        FrequencyDisplay.from_estimator(clf, *given, y_train=problem.train[:, 1:])
    with pytest.raises(ValueError, match="There are no true labels of samples with"):
        FrequencyDisplay.from_predictions(0 * given[1], given[0], y_train=problem.train)
    with pytest.raises(ValueError, match="k=9 is larger than the number of columns of"):
        FrequencyDisplay.from_predictions(*given[::-1], y_train=given[1], k=9)
    with pytest.raises(ValueError, match="y_train has the label 'a' instead of"):
        FrequencyDisplay.from_predictions(*given[::-1], y_train=[["a"], ["b"]])
