"""scikit-learn's callbacks are told of the parts of a fit, and of its epochs."""

import importlib
import pickle
import sys

import numpy as np
import pytest
from estimator_problems import both, differ, make, make_data
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmhe import MHEClassifier
from skmhe.metrics import get_scorer
from skmhe.training import loop
from skmhe.training.loop import Trainer

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has none")
X, Y = make_data()


def lone(**params):
    """Return a network that trains for 3 epochs of 3 steps."""
    return make(strategy="full", model="network", **params)


class Recorder:
    """Records each hook with the names of the task and of those that it is part of."""

    def __init__(self, stops_at=None):
        self.events, self.stops_at = [], stops_at

    def setup(self, estimator, context):
        self.events.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", *path(context)))

    def on_fit_task_end(self, estimator, context):
        self.events.append(("end", *path(context)))
        return context.task_name == "epoch" and context.task_id == self.stops_at

    def count(self, hook, task):
        return sum(event[0] == hook and event[-1] == task for event in self.events)


class Propagated(Recorder):
    """Is given to the estimators within others."""

    max_propagation_depth = None


class Snapshots(Recorder):
    """Keeps the estimator of each epoch, and what else a hook may ask for."""

    def on_fit_task_end(
        self, estimator, context, *, X, y, metadata, fitted_estimator=None
    ):
        self.events.append((context.task_name, X, y, metadata, fitted_estimator))


def path(context):
    names = [context.task_name]
    return names if context.parent is None else path(context.parent) + names


@both
def test_tasks_are_the_parts_and_the_epochs(cls):
    recorder = Recorder()
    clf = make(cls, "sampling", head_sizes=(4, 3), max_iter=2).set_callbacks(recorder)
    assert clf.fit(*make_data(cls)) is clf
    parts = ["label order", "centroids"]
    expected = [("setup", "fit"), ("begin", "fit")]
    for part in parts:
        expected += [("begin", "fit", part), ("end", "fit", part)]
    for part, name, n in (("linear classifiers", "level", 1), ("network", "epoch", 2)):
        expected.append(("begin", "fit", part))
        expected += n * [("begin", "fit", part, name), ("end", "fit", part, name)]
        expected.append(("end", "fit", part))
    expected += [("end", "fit"), ("teardown", "fit")]
    assert recorder.events == expected


def test_epochs_are_those_of_the_history(monkeypatch):
    monkeypatch.setattr(loop, "TOLERANCE", 10.0)
    recorder = Recorder()
    clf = lone(max_iter=50).set_callbacks(recorder).fit(X, Y)
    assert clf.n_iter_ == 4  # it stopped early
    assert recorder.count("begin", "epoch") == recorder.count("end", "epoch") == 4


@pytest.mark.parametrize("stops_at", [0, 1])
def test_a_callback_ends_training(stops_at):
    recorder = Recorder(stops_at)
    clf = lone(max_iter=5).set_callbacks(recorder).fit(X, Y)
    assert clf.n_iter_ == recorder.count("begin", "epoch") == stops_at + 1
    fewer = lone(max_iter=5, learning_rate="constant").set_callbacks(Recorder(stops_at))
    same = lone(max_iter=stops_at + 1, learning_rate="constant").fit(X, Y)
    assert not differ(fewer.fit(X, Y), same)


def test_callbacks_change_no_result():
    plain, told = lone().fit(X, Y), lone().set_callbacks(Snapshots()).fit(X, Y)
    assert not differ(plain, told)
    assert plain.loss_curve_ == told.loss_curve_


@both
def test_each_epoch_has_a_fitted_estimator(cls):
    X, y = make_data(cls)
    weights, snapshots = np.ones(len(X)), Snapshots()
    clf = make(cls, "full", model="network").set_callbacks(snapshots)
    clf.fit(X, y, sample_weight=weights)
    epochs = [event for event in snapshots.events if event[0] == "epoch"]
    assert len(epochs) == 3
    probabilities = [event[-1].predict_proba(X) for event in epochs]
    for _, given_X, given_y, metadata, estimator in epochs:
        assert given_X is X and given_y is y
        assert metadata["sample_weight"] is weights
        assert type(estimator) is cls and estimator is not clf
    # They are what fits of fewer epochs leave, and stay so when training goes on.
    assert np.abs(probabilities[0] - probabilities[1]).max() > 1e-3
    np.testing.assert_allclose(probabilities[-1], clf.predict_proba(X), atol=1e-3)
    whole = snapshots.events[-2]  # the last one is the teardown
    assert whole[0] == "fit"
    assert not differ(whole[-1], clf)


def test_scores_of_epochs_by_scikit_learn():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    clf = lone().set_callbacks(monitor).fit(X, Y)
    rows = monitor.get_logs().data
    found = [row["accuracy"] for row in rows if row["task_name"] == "epoch"]
    assert len(found) == 3
    assert found == sorted(found) and found[-1] == clf.score(X, Y)


def test_scores_of_epochs_by_ranking():
    names = ("precision@1", "f1_micro", "average_precision_macro")
    scorers = {name: get_scorer(name) for name in names}
    monitor = callback.ScoringMonitor(scoring=scorers)
    clf = lone().set_callbacks(monitor).fit(X, Y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == 3
    for name, scorer in scorers.items():
        assert rows[0][name] <= rows[-1][name] == pytest.approx(scorer(clf, X, Y))


def test_labels_without_a_sample_are_in_each_estimator():
    Z = np.eye(8)
    X, y = np.eye(8)[:6].repeat(4, axis=0), np.arange(6).repeat(4)
    snapshots = Snapshots()
    clf = MHEClassifier("full", model="network", max_iter=2, random_state=0)
    clf.set_callbacks(snapshots).fit(X, y, label_features=Z)
    epochs = [event for event in snapshots.events if event[0] == "epoch"]
    assert [len(event[-1].classes_) for event in epochs] == [8, 8]
    assert epochs[0][-1].predict_proba(X).shape == (24, 8)


def test_a_progress_bar(capsys):
    pytest.importorskip("rich")
    lone().set_callbacks(callback.ProgressBar()).fit(X, Y)
    out = capsys.readouterr().out
    assert "MHEClassifier - fit" in out
    assert "MHEClassifier - network" in out and "100%" in out


def test_pipelines_and_searches():
    recorder = Propagated()
    search = GridSearchCV(lone(), {"dropout": [0.0, 0.1]}, cv=2).set_callbacks(recorder)
    search.fit(X, Y)
    assert recorder.count("end", "epoch") == 5 * 3  # the fifth fit is of the best
    assert recorder.count("setup", "fit") == 1
    recorder = Propagated()
    pipe = make_pipeline(StandardScaler(), lone()).set_callbacks(recorder).fit(X, Y)
    assert recorder.count("begin", "epoch") == recorder.count("end", "epoch") == 3
    assert recorder.events[-1][0] == "teardown"
    assert not hasattr(pipe[-1], "_parent_callback_ctx")


def test_partial_fit_tells_nothing():
    recorder = Recorder()
    lone().set_callbacks(recorder).partial_fit(X, Y, np.unique(Y))
    assert recorder.events == []


def test_an_error_ends_callbacks_and_leaves_the_estimator_as_it_was():
    recorder = Recorder()
    clf = lone(learning_rate_init=1e30).set_callbacks(recorder)
    before = vars(clf).copy()
    with pytest.raises(ValueError, match="diverged"):
        clf.fit(X, Y)
    assert vars(clf) == before
    assert recorder.events[-1] == ("teardown", "fit")
    # Arguments are checked before callbacks are told of anything.
    recorder.events.clear()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(X, Y[:-1])
    assert recorder.events == []


def test_an_interrupted_epoch_is_over(monkeypatch):
    recorder = Recorder()

    def interrupted(trainer, interruption):
        interruption.requested = True

    monkeypatch.setattr(Trainer, "run_epoch", interrupted)
    clf = lone().set_callbacks(recorder)
    with pytest.warns(UserWarning, match="interrupted"):
        clf.fit(X, Y)
    assert clf.n_iter_ == 0
    assert recorder.count("begin", "epoch") == recorder.count("end", "epoch") == 1
    assert recorder.events[-2:] == [("end", "fit"), ("teardown", "fit")]


def test_copies_keep_callbacks_and_nothing_else():
    recorder = Recorder()
    clf = lone().set_callbacks(recorder).fit(X, Y)
    plain = lone().fit(X, Y)
    assert vars(clf).keys() - vars(plain).keys() == {"_skl_callbacks"}
    n_events = len(recorder.events)
    clone(clf).fit(X, Y)
    assert len(recorder.events) == 2 * n_events
    restored = pickle.loads(pickle.dumps(clf))
    assert not differ(restored, plain)
    assert vars(clf.set_callbacks()).keys() == vars(plain).keys()


def test_callbacks_must_be_callbacks():
    with pytest.raises(TypeError, match="FitCallback"):
        lone().set_callbacks(print)


def test_older_versions_of_scikit_learn_have_no_callbacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)  # cannot be imported
    spec = importlib.util.find_spec("skmhe.estimators.callbacks")
    older = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(older)
    assert older.with_callbacks(print) is print
    found = older.SupportsCallbacks()
    assert found._start_fit_task(None, None, None) is None
    assert not hasattr(found, "set_callbacks")
