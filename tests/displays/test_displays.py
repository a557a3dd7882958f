"""What all displays have in common."""

import ast
import inspect
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from display_problems import Problem
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmhe import MHEClassifier, displays

CLASSES = [getattr(displays, name) for name in displays.__all__]
OF_PREDICTIONS = [cls for cls in CLASSES if hasattr(cls, "from_predictions")]
X = np.eye(6).repeat(4, axis=0)
Y = np.arange(6).repeat(4)


@pytest.fixture(scope="module")
def model():
    clf = MHEClassifier("cascade", n_heads=2, max_iter=2, random_state=0)
    return make_pipeline(StandardScaler(), clf).fit(X, Y)


def needed(cls, constructor):
    """Return the arguments without a default that only some displays have."""
    parameters = inspect.signature(getattr(cls, constructor)).parameters
    return {"y_train": Y} if "y_train" in parameters else {}


def make(cls, model, **kwargs):
    given = {displays.HistoryDisplay: (), displays.CostDisplay: (X,)}.get(cls, (X, Y))
    return cls.from_estimator(model, *given, **needed(cls, "from_estimator"), **kwargs)


CURVES = [cls for cls in CLASSES if cls is not displays.PrefixDisplay]
each = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


@each
def test_axes_and_figure(cls, model):
    display = make(cls, model)
    assert display.ax_.figure is display.figure_
    figure, (left, right) = plt.subplots(1, 2)
    display = make(cls, model, ax=left)
    assert display.ax_ is left and display.figure_ is figure
    assert display.plot(right) is display and display.ax_ is right
    assert left.get_xlabel() == right.get_xlabel() != ""


@pytest.mark.parametrize("cls", CURVES, ids=lambda cls: cls.__name__)
def test_the_name_and_the_style_of_the_curve(cls, model):
    display = make(cls, model)
    assert display.name == "Pipeline"
    assert display.line_.get_label().startswith("Pipeline")
    display = make(cls, model, name="mine", lw=3, c="red")
    assert display.line_.get_label().startswith("mine")
    assert (display.line_.get_linewidth(), display.line_.get_color()) == (3, "red")
    assert display.plot(name="other").line_.get_label().startswith("other")
    assert display.plot(label="this").line_.get_label() == "this"
    with pytest.raises(TypeError, match="alias"):
        display.plot(lw=3, linewidth=2)


@pytest.mark.parametrize("cls", OF_PREDICTIONS, ids=lambda cls: cls.__name__)
def test_predictions_may_have_no_name(cls):
    problem = Problem(0)
    given = {"y_train": problem.train} if needed(cls, "from_predictions") else {}
    display = cls.from_predictions(problem.dense, problem.scores, **given)
    assert display.name is None
    named = cls.from_predictions(problem.dense, problem.scores, **given, name="mine")
    assert named.line_.get_label().startswith("mine")


# Costs are counted before anything is fitted.
@pytest.mark.parametrize(
    "cls", [cls for cls in CLASSES if cls is not displays.CostDisplay]
)
def test_the_estimator_must_be_fitted(cls):
    clf = MHEClassifier()
    with pytest.raises((TypeError, ValueError), match="fitted"):
        make(cls, clf)


@each
@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_all_lines_are_seen_on_the_background(cls, model, style):
    with plt.style.context(style):
        ax = make(cls, model).ax_
    background = np.mean(plt.matplotlib.colors.to_rgb(ax.get_facecolor()))
    for line in ax.lines:
        assert (
            abs(np.mean(plt.matplotlib.colors.to_rgb(line.get_color())) - background)
            > 0.2
        )


@pytest.mark.parametrize("size", [(6.4, 4.8), (3.5, 2.6)], ids=str)
@pytest.mark.parametrize("cls", CURVES, ids=lambda cls: cls.__name__)
def test_legends_cover_no_curve(cls, model, size):
    with plt.rc_context({"figure.figsize": size}):
        display = make(cls, model, name="the first of two curves with long names")
    display.plot(display.ax_, name="the second of two curves with long names")
    display.figure_.draw_without_rendering()
    box = display.ax_.get_legend().get_window_extent()
    assert len(display.ax_.lines) >= 2
    for line in display.ax_.lines:
        path = line.get_path().transformed(line.get_transform())
        assert not path.intersects_bbox(box, filled=False)
        # And all of it is seen.
        inside = display.ax_.get_window_extent().padded(1)
        assert all(inside.contains(*point) for point in path.vertices)


@each
@pytest.mark.parametrize("ax", [plt.Figure, np.array([1, 2]), "left", 3], ids=str)
def test_axes_must_be_axes(cls, ax):
    # Before anything is computed, which may take long.
    with pytest.raises(TypeError, match=r"ax=.* must be matplotlib Axes, or None for"):
        make(cls, None, ax=ax)


@each
def test_the_constructor_keeps_its_parameters(cls):
    names = list(inspect.signature(cls).parameters)
    marks = {name: object() for name in names}
    display = cls(**marks)
    assert {name: getattr(display, name) for name in names} == marks


@each
def test_matplotlib_is_optional(cls, model, monkeypatch):
    display = make(cls, model)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    calls = [display.plot, lambda: make(cls, None)]
    if cls in OF_PREDICTIONS:
        given = needed(cls, "from_predictions")
        calls.append(lambda: cls.from_predictions(None, None, **given))
    for call in calls:
        # Before anything is computed, which may take long.
        with pytest.raises(ImportError, match=r"pip install 'skmhe\[plot\]'"):
            call()


def test_matplotlib_is_imported_when_something_is_plotted():
    for path in Path(displays.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            is_import = isinstance(node, ast.Import | ast.ImportFrom)
            assert not (is_import and "matplotlib" in ast.unparse(node)), path


@each
def test_docstrings_have_all_parameters(cls):
    methods = [cls, *(getattr(cls, name) for name in dir(cls) if name[0] != "_")]
    for method in filter(callable, methods):
        section = method.__doc__.split("Parameters\n")[1].split("\n\n")[0]
        names = re.findall(r"^ *(\**\w+) : ", section, re.MULTILINE)
        names = [name.lstrip("*") for name in names]
        expected = inspect.signature(method).parameters
        assert names == [name for name in expected if name != "self"]


@pytest.mark.parametrize(
    "cls",
    [displays.FrequencyDisplay, displays.RankingDisplay],
    ids=lambda c: c.__name__,
)
def test_errors_name_the_arguments(cls, model):
    with pytest.raises(
        ValueError, match="y has 23 samples but X has 24; pass the same"
    ):
        cls.from_estimator(model, X, Y[:-1], **needed(cls, "from_estimator"))
    problem = Problem(11)
    train = {"y_train": problem.train} if needed(cls, "from_predictions") else {}
    with pytest.raises(ValueError, match="y_true has 40 samples but y_pred has 39"):
        cls.from_predictions(problem.dense, problem.scores[:-1], **train)
    names = {"y_true": list("abcdefgh"), "y_pred": list("stuvwxyz")}
    y_true = pd.DataFrame(problem.dense, columns=names["y_true"])
    y_pred = pd.DataFrame(problem.scores, columns=names["y_pred"])
    with pytest.raises(
        ValueError, match=r"has columns with .*labels of y_(true|pred):"
    ):
        cls.from_predictions(y_true, y_pred, **({"y_train": y_true} if train else {}))
    with pytest.raises(ValueError, match="measure='map' must be one of '"):
        bins = ([[1, 1]], [1]) if train else ()
        cls([1.0], *bins, measure="map").plot()
