import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmhe import MHEClassifier
from skmhe.displays import HistoryDisplay

X, Y = np.eye(6).repeat(6, axis=0), np.arange(6).repeat(6)
HISTORY = [
    {"epoch": 1, "loss": 3.0, "seconds": 2.0, "learning_rate": 0.1},
    {"epoch": 2, "loss": 2.0, "seconds": 1.0, "learning_rate": 0.2},
    {
        "epoch": 3,
        "loss": 1.5,
        "validation_score": 0.5,
        "seconds": 4.0,
        "learning_rate": 0.1,
    },
]


def network(**params):
    return MHEClassifier(model="network", max_iter=2, random_state=0, **params)


@pytest.mark.parametrize(
    ("quantity", "title", "values"),
    [
        ("loss", "Mean training loss", [3.0, 2.0, 1.5]),
        ("learning_rate", "Learning rate", [0.1, 0.2, 0.1]),
        ("seconds", "Seconds per epoch", [2.0, 1.0, 4.0]),
        ("validation_score", "Validation score", [0.5]),
    ],
)
def test_the_curve_is_the_history(quantity, title, values):
    display = HistoryDisplay(HISTORY, quantity=quantity).plot()
    assert_array_equal(display.line_.get_ydata(), values)
    assert_array_equal(display.line_.get_xdata(), [1, 2, 3][-len(values) :])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Epoch", title)
    by_time = HistoryDisplay(HISTORY, quantity=quantity, x="seconds").plot()
    assert_allclose(by_time.line_.get_xdata(), [2, 3, 7][-len(values) :])
    assert by_time.ax_.get_xlabel() == "Seconds of training"


def test_estimators_within_others():
    clf = network(early_stopping=True).fit(X, Y)
    pipe = make_pipeline(StandardScaler(), network()).fit(X, Y)
    search = GridSearchCV(pipe, {"mheclassifier__dropout": [0.1]}, cv=2).fit(X, Y)
    inner = (clf, pipe[-1], search.best_estimator_[-1])
    for model, fitted in zip((clf, pipe, search), inner, strict=True):
        display = HistoryDisplay.from_estimator(model)
        assert_array_equal(display.line_.get_ydata(), fitted.loss_curve_)
        assert display.line_.get_label() == type(model).__name__
    display = HistoryDisplay.from_estimator(
        clf, quantity="validation_score", x="seconds"
    )
    assert_array_equal(display.line_.get_ydata(), clf.validation_scores_)
    seconds = [epoch["seconds"] for epoch in clf.history_]
    assert_allclose(display.line_.get_xdata(), np.cumsum(seconds))


def test_fits_share_axes():
    ax = HistoryDisplay(HISTORY, name="a").plot().ax_
    HistoryDisplay(HISTORY[:2], name="b").plot(ax, ls="--")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert HistoryDisplay(HISTORY).plot().ax_.get_legend() is None


def test_invalid_arguments():
    clf = network().fit(X, Y)
    with pytest.raises(ValueError, match="quantity='accuracy' must be one of 'loss', "):
        HistoryDisplay.from_estimator(clf, quantity="accuracy")
    with pytest.raises(ValueError, match="x='steps' must be one of 'epoch', 'seconds'"):
        HistoryDisplay.from_estimator(clf, x="steps")
    with pytest.raises(ValueError, match=r"no 'validation_score'.*early_stopping=True"):
        HistoryDisplay.from_estimator(clf, quantity="validation_score")
    linear = MHEClassifier(model="linear").fit(X, Y)
    with pytest.raises(ValueError, match=r"no 'loss' in a history of 0 epochs: only"):
        HistoryDisplay.from_estimator(linear)
    for other in (network(), LogisticRegression().fit(X, Y)):
        with pytest.raises(TypeError, match="has no history_: pass a fitted MHEClass"):
            HistoryDisplay.from_estimator(other)
    for wrong in ({"quantity": "accuracy"}, {"x": "steps"}):
        with pytest.raises(ValueError, match="must be one of"):
            HistoryDisplay(HISTORY, **wrong).plot()
    with pytest.raises(
        TypeError, match="history is a DataFrame, but must be a list of"
    ):
        HistoryDisplay(pd.DataFrame(HISTORY)).plot()
    with pytest.raises(
        ValueError, match="history has epochs without 'epoch', which x="
    ):
        HistoryDisplay([{"loss": 1.0}]).plot()
    search = GridSearchCV(network(), {"dropout": [0.1]}, cv=2, refit=False).fit(X, Y)
    with pytest.raises(TypeError, match="refit=False"):
        HistoryDisplay.from_estimator(search)
