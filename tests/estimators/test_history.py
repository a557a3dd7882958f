"""The record of training, `history_`, and its views."""

import copy
import pickle

import pytest
from estimator_problems import both, make, make_data, partial_classes
from sklearn.base import clone

from skmhe.training import loop

X, Y = make_data()
KEYS = ["epoch", "loss", "seconds", "learning_rate"]


def lone(**params):
    return make(strategy="full", model="network", **params)


@both
def test_an_entry_for_each_epoch(cls):
    X, y = make_data(cls)
    clf = make(cls, max_iter=4, learning_rate="constant", learning_rate_init=0.02)
    clf.fit(X, y)
    assert [list(epoch) for epoch in clf.history_] == [KEYS] * 4
    assert [epoch["epoch"] for epoch in clf.history_] == [1, 2, 3, 4]
    assert all(epoch["seconds"] > 0 for epoch in clf.history_)
    assert {epoch["learning_rate"] for epoch in clf.history_} == {0.02}
    assert all(
        type(value) in (int, float) for e in clf.history_ for value in e.values()
    )
    assert clf.loss_curve_ == [epoch["loss"] for epoch in clf.history_]
    assert clf.loss_ == clf.loss_curve_[-1]
    assert clf.validation_scores_ is None
    assert clf.n_iter_ == 4


def test_scores_of_held_out_samples():
    clf = lone(early_stopping=True, max_iter=3).fit(X, Y)
    scores = [epoch["validation_score"] for epoch in clf.history_]
    assert clf.validation_scores_ == scores and len(scores) == clf.n_iter_


def test_the_learning_rate_is_that_of_the_first_step():
    clf = lone(learning_rate="linear", learning_rate_init=0.08, max_iter=4).fit(X, Y)
    rates = [epoch["learning_rate"] for epoch in clf.history_]
    assert rates == pytest.approx([0.08, 0.06, 0.04, 0.02])


def test_seconds_are_those_of_each_epoch(monkeypatch):
    clock = iter([10.0, 11.0, 30.0, 34.0])
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(clock))
    clf = lone(max_iter=2).fit(X, Y)
    assert [epoch["seconds"] for epoch in clf.history_] == [1.0, 4.0]


def test_partial_fit_and_warm_start_go_on():
    clf = lone(max_iter=2, warm_start=True)
    clf.fit(X, Y)
    first = clf.history_
    kept = copy.deepcopy(first)
    clf.partial_fit(X, Y).fit(X, Y)
    assert clf.history_[:2] == first == kept  # the list of before is not changed
    assert [epoch["epoch"] for epoch in clf.history_] == [1, 2, 3, 4, 5]
    assert clf.n_iter_ == len(clf.loss_curve_) == 5
    clf.set_params(warm_start=False).fit(X, Y)
    assert clf.loss_curve_ == lone(max_iter=2).fit(X, Y).loss_curve_
    assert [epoch["epoch"] for epoch in clf.history_] == [1, 2]


def test_scores_before_and_after_a_warm_start():
    clf = lone(max_iter=2, warm_start=True, early_stopping=True).fit(X, Y)
    scores = clf.validation_scores_
    clf.set_params(early_stopping=False).fit(X, Y)
    assert clf.validation_scores_ == scores
    assert ["validation_score" in epoch for epoch in clf.history_] == [1, 1, 0, 0]


def test_copies_have_the_history_and_clones_have_none():
    clf = lone().fit(X, Y)
    for twin in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf), copy.copy(clf)):
        assert twin.history_ == clf.history_
        twin.partial_fit(X, Y)
        assert len(twin.history_) == len(clf.history_) + 1
    for name in ("history_", "loss_curve_", "loss_", "validation_scores_"):
        assert not hasattr(clone(clf), name)


def test_a_fit_that_fails_leaves_it():
    clf = lone().fit(X, Y)
    history = copy.deepcopy(clf.history_)
    with pytest.raises(ValueError, match="learning_rate_init"):
        clf.set_params(learning_rate_init=-1.0).fit(X, Y)
    assert clf.history_ == history


def test_linear_classifiers_have_no_epochs():
    clf = make(model="linear").fit(X, Y)
    assert clf.history_ == clf.loss_curve_ == []
    assert clf.loss_ is None and clf.n_iter_ > 0


def test_the_first_call_may_be_partial_fit():
    clf = lone().partial_fit(X, Y, **partial_classes(type(lone())))
    assert [epoch["epoch"] for epoch in clf.history_] == [1]
