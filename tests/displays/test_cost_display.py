import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skmhe import (
    Backbone,
    Cascade,
    LabelCodec,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Product,
)
from skmhe.displays import CostDisplay
from skmhe.displays import _costs as costs
from skmhe.nn.heads.cascade import training_beam

X = np.ones((50, 6))


@pytest.mark.parametrize("strategy", ["full", "sampling", "product", "cascade"])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_counts_are_those_of_formulas(strategy, form):
    clf = MHEClassifier(strategy, model="network", hidden_layer_sizes=16)
    half = form(np.tile([1.0, 0.0], (50, 3)))
    n_stored = 3 if sp.issparse(half) else 6
    found = CostDisplay.from_estimator(clf, half, n_labels=(400, 90))
    assert_array_equal(found.n_labels, [90, 400])
    for i, n_labels in enumerate(found.n_labels):
        first, second = LabelCodec(n_labels, n_heads=2).head_sizes
        n_prefixes = -(-n_labels // second)
        rows, outputs = n_labels, n_labels
        if strategy == "product":
            rows = outputs = first + second
        if strategy == "cascade":
            width = training_beam((first, second))
            rows, outputs = n_prefixes + n_labels, n_prefixes + width * second
        expected = (6 + 1) * 16 + (16 + 1) * rows, 16 * (n_stored + outputs)
        costs = found.costs["parameters"][i], found.costs["multiply_adds"][i]
        assert costs == expected


def test_counts_are_those_of_the_fitted_network():
    rows, y = np.eye(12).repeat(3, axis=0), np.arange(12).repeat(3)
    for strategy in ("sampling", Cascade(beam_width=2), Product(rank=2)):
        clf = MHEClassifier(strategy, head_sizes=(3, 4), hidden_layer_sizes=(7, 5))
        found = CostDisplay.from_estimator(clf, rows, n_labels=(12,)).costs
        weights = clf.set_params(max_iter=1).fit(rows, y)._fitted.model.weights
        trained = weights.keys() - {"backbone.input_scale", "head.frequencies"}
        n_parameters = sum(weights[name].size for name in trained)
        assert found["parameters"].tolist() == [n_parameters]


def test_each_number_of_labels_has_the_strategy_of_fit():
    clf = MHEClassifier(hidden_layer_sizes=8)
    many = CostDisplay.from_estimator(clf, X).costs["multiply_adds"]
    full = CostDisplay.from_estimator(clf.set_params(strategy="full"), X)
    all_labels = full.costs["multiply_adds"]
    assert many[0] == all_labels[0] and many[-1] < all_labels[-1] / 100
    assert_array_equal(full.n_labels, [10**3, 10**4, 10**5, 10**6])


def test_pipelines_and_both_costs():
    pipe = make_pipeline(MaxAbsScaler(), MHEMultiLabelClassifier("cascade"))
    display = CostDisplay.from_estimator(pipe, X, n_labels=(50, 500), name="mine")
    assert display.ax_.get_ylabel() == "Parameters of the network"
    assert_array_equal(display.line_.get_ydata(), display.costs["parameters"])
    assert_array_equal(display.line_.get_xdata(), [50, 500])
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("log", "log")
    display.plot(cost="multiply_adds")
    assert display.ax_.get_ylabel() == "Multiply-adds of a prediction"
    assert_array_equal(display.line_.get_ydata(), display.costs["multiply_adds"])
    assert display.line_.get_label() == "mine"
    other = CostDisplay.from_estimator(pipe, X, n_labels=(9,), cost="multiply_adds")
    assert other.ax_.get_ylabel() == "Multiply-adds of a prediction"


class Slow(MultinomialNB):
    """Fits and predicts by a clock that the test sets."""

    clock = 0.0

    def fit(self, X, y):
        Slow.clock += 2.0 * len(np.unique(y))
        return super().fit(X, y)

    def predict_proba(self, X):
        Slow.clock += 5.0
        return super().predict_proba(X)


def problems(*sizes):
    for n in sizes:
        yield np.eye(n).repeat(2, axis=0), np.arange(n).repeat(2)


def test_measured_costs(monkeypatch):
    monkeypatch.setattr(costs, "time", type("clock", (), {}))
    costs.time.perf_counter = lambda: Slow.clock
    clf = Slow()
    display = CostDisplay.from_fits(clf, problems(5, 3), cost="predict_seconds")
    assert_array_equal(display.n_labels, [3, 5])
    assert_array_equal(display.costs["fit_seconds"], [6.0, 10.0])
    assert_array_equal(display.costs["predict_seconds"], [5 / 6, 5 / 10])
    few, many = display.costs["bytes"]
    assert 0 < few < many
    assert display.ax_.get_ylabel() == "Seconds to predict a sample"
    assert display.name == "Slow" and not hasattr(clf, "classes_")


def test_measured_costs_of_a_network():
    clf = MHEClassifier(model="network", max_iter=1, hidden_layer_sizes=4)
    display = CostDisplay.from_fits(clf, problems(4, 8))
    assert display.costs.keys() == {"fit_seconds", "predict_seconds", "bytes"}
    assert all((values > 0).all() for values in display.costs.values())


def test_models_share_axes():
    ax = CostDisplay([10, 100], {"bytes": [1, 2]}, name="a").plot().ax_
    CostDisplay([10, 100], {"bytes": [3, 4]}).plot(ax, name="b", ls="--")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    own = CostDisplay([10, 100], {"seconds on my machine": [1, 2]}).plot()
    assert own.ax_.get_ylabel() == "seconds on my machine"
    assert own.ax_.get_legend() is None


@pytest.mark.parametrize("n_labels", [1, (), (1,), (5, 2.5), (True,), "ab", None])
def test_invalid_numbers_of_labels(n_labels):
    with pytest.raises(ValueError, match=r"n_labels=.* must be integers of at least 2"):
        CostDisplay.from_estimator(MHEClassifier(), X, n_labels=n_labels)


def test_invalid_arguments():
    clf = MHEClassifier()
    with pytest.raises(ValueError, match="cost='bytes' must be one of 'parameters', "):
        CostDisplay.from_estimator(clf, X, cost="bytes")
    with pytest.raises(ValueError, match="cost='parameters' must be one of 'fit_sec"):
        CostDisplay.from_fits(clf, problems(3), cost="parameters")
    with pytest.raises(ValueError, match="cost='bytes' must be one of 'a'"):
        CostDisplay([1], {"a": [1]}).plot(cost="bytes")
    with pytest.raises(ValueError, match="costs is empty: pass one cost or more"):
        CostDisplay([1], {}).plot()
    with pytest.raises(ValueError, match="data is empty: pass a sequence or a new gen"):
        CostDisplay.from_fits(clf, [])
    with pytest.raises(ValueError, match=r"data\[1\] is a dict, but must be a pair"):
        CostDisplay.from_fits(MultinomialNB(), [next(problems(3)), {}])
    with pytest.raises(TypeError, match="LogisticRegression has no network whose size"):
        CostDisplay.from_estimator(LogisticRegression(), X)
    with pytest.raises(ValueError, match="model='linear' depends on more than numbers"):
        CostDisplay.from_estimator(MHEClassifier(model="linear"), X)
    own = MHEClassifier(backbone=Backbone(object))
    with pytest.raises(ValueError, match="a backbone depends on more than numbers"):
        CostDisplay.from_estimator(own, X)
    with pytest.raises(ValueError, match="strategy"):
        CostDisplay.from_estimator(MHEMultiLabelClassifier("product"), X)
    with pytest.raises(ValueError, match="max_iter"):
        CostDisplay.from_estimator(MHEClassifier(max_iter=-1), X)
    assert not plt.get_fignums()
