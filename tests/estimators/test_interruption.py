"""Ctrl-C during training: what is kept, and when nothing changes."""

import copy
import pickle
import signal
import threading

import numpy as np
import pytest
import torch
from estimator_problems import (
    CLASSES,
    assert_same_model,
    assert_same_predictions,
    make,
    make_data,
    partial_classes,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV
from user_modules import Dense

from skmhe import Backbone, MHEClassifier
from skmhe.nn import RowAdamW
from skmhe.scorers.network import Network
from skmhe.training import fit as fitting
from skmhe.training import loop
from skmhe.training.interruption import Interruption
from skmhe.training.loop import Trainer

X, Y = make_data()
STEPS, EPOCHS = 3, 4  # steps of an epoch
MESSAGE = "Training interrupted by user after"


def interrupt():
    signal.raise_signal(signal.SIGINT)


def current_handler():
    return signal.getsignal(signal.SIGINT)


def make_long(cls=MHEClassifier, **params):
    """Return an estimator that trains for 4 epochs of 3 steps.

    At one learning rate: schedules depend on `max_iter`.
    """
    base = {"strategy": "full", "max_iter": EPOCHS, "n_iter_no_change": 100}
    return make(cls, **base, learning_rate="constant").set_params(**params)


class Clock:
    """Counts the moments of training, and calls an action at some of them.

    A moment is before or after a part of a step. Also records the weights after each
    step.
    """

    PARTS = ((Network, "zero_grad"), (Trainer, "_loss"), (RowAdamW, "_update"))

    def __init__(self, monkeypatch, at=(), action=interrupt):
        self.at, self.action = set(at), action
        self.n_moments, self.weights, self.n_steps_at = 0, [], []
        for owner, name in self.PARTS:
            monkeypatch.setattr(owner, name, self.timed(getattr(owner, name)))
        step = Trainer.step

        def recorded(trainer, rows):
            loss = step(trainer, rows)
            self.weights.append(copy.deepcopy(trainer.network.state_dict()))
            return loss

        monkeypatch.setattr(Trainer, "step", recorded)

    def timed(self, function):
        def run(*args, **kwargs):
            self.tick()
            result = function(*args, **kwargs)
            self.tick()
            return result

        return run

    def tick(self):
        if self.n_moments in self.at:
            self.n_steps_at.append(len(self.weights))
            self.action()
        self.n_moments += 1


def interrupt_in_step(monkeypatch, *numbers):
    """Interrupt before the optimizer's step in some steps; 0 is the first."""
    step, steps = RowAdamW.step, iter(range(10**6))

    def interrupted(optimizer):
        if next(steps) in numbers:
            interrupt()
        step(optimizer)

    monkeypatch.setattr(RowAdamW, "step", interrupted)


@pytest.fixture(autouse=True)
def handler():
    """Python's own handler; each test must leave it in place."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    left = signal.signal(signal.SIGINT, before)
    assert left is signal.default_int_handler


def count_moments():
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock = Clock(monkeypatch)
        make_long().fit(X, Y)
        return clock.n_moments


@pytest.mark.parametrize("seed", range(20))
def test_an_interruption_at_any_moment_keeps_whole_steps(monkeypatch, seed):
    moment = np.random.RandomState(seed).randint(count_moments())
    with monkeypatch.context() as patched, pytest.warns(UserWarning, match=MESSAGE):
        clock = Clock(patched, at=[moment])
        clf = make_long().fit(X, Y)
    # The step that was in progress is finished, and no other one is begun.
    assert clock.n_steps_at == [len(clock.weights) - 1]
    for name, weight in clf._fitted.model.weights.items():
        assert_array_equal(weight, clock.weights[-1][name], err_msg=name)
    n_epochs, n_steps_more = divmod(len(clock.weights), STEPS)
    assert clf.n_iter_ == len(clf.loss_curve_) == n_epochs
    assert clf.loss_ == (clf.loss_curve_[-1] if n_epochs else None)
    assert clf.loss_curve_ == make_long().fit(X, Y).loss_curve_[:n_epochs]
    assert np.isfinite(clf.predict_log_proba(X)).all()
    assert_same_predictions(pickle.loads(pickle.dumps(clf)), clf, X)
    if n_epochs and not n_steps_more:
        assert_same_model(clf, make_long(max_iter=n_epochs).fit(X, Y))


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("model", ["network", "both"])
@pytest.mark.parametrize("n_epochs", [1, 3])
def test_at_the_end_of_an_epoch_it_is_a_shorter_fit(monkeypatch, cls, model, n_epochs):
    data = make_data(cls)
    shorter = make_long(cls, model=model, max_iter=n_epochs).fit(*data)
    interrupt_in_step(monkeypatch, STEPS * n_epochs - 1)
    after = "1 epoch" if n_epochs == 1 else "3 epochs"
    with pytest.warns(UserWarning, match=f"{MESSAGE} {after}. The weights so far"):
        clf = make_long(cls, model=model).fit(*data)
    assert_same_model(clf, shorter)
    assert_same_predictions(clf, shorter, data[0])
    assert clf.n_iter_ == n_epochs
    assert clf.loss_curve_ == shorter.loss_curve_
    # Nor is there a difference to what comes later: no other epoch was begun.
    assert_same_model(clf.partial_fit(*data), shorter.partial_fit(*data))


def test_after_the_last_step_nothing_is_lost_but_it_is_told(monkeypatch):
    whole = make_long().fit(X, Y)
    interrupt_in_step(monkeypatch, STEPS * EPOCHS - 1)
    with pytest.warns(UserWarning, match=f"{MESSAGE} {EPOCHS} epochs"):
        clf = make_long().fit(X, Y)
    assert_same_model(clf, whole)


def test_before_the_first_step_the_network_is_untrained(monkeypatch):
    run_epoch = Trainer.run_epoch

    def interrupted(*args):
        interrupt()
        return run_epoch(*args)

    monkeypatch.setattr(Trainer, "run_epoch", interrupted)
    text = f"{MESSAGE} 0 epochs.* so far are kept, but not one epoch was complete"
    with pytest.warns(UserWarning, match=text):
        clf = make_long().fit(X, Y)
    assert (clf.n_iter_, clf.loss_curve_, clf.loss_) == (0, [], None)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_early_stopping_keeps_the_best_epoch(monkeypatch):
    scores = [0.2, 0.9, 0.5, 0.6]
    n_steps = []
    params = {"early_stopping": 0.25, "batch_size": 24}

    def score(*_):
        n_steps.append(len(clock.weights))
        return scores[len(n_steps) - 1]

    monkeypatch.setattr(loop, "validation_score", score)
    clock = Clock(monkeypatch)
    # In the second step of the fourth epoch.
    interrupt_in_step(monkeypatch, 3 * 3 + 1)
    with pytest.warns(UserWarning, match="3 epochs. The weights of the best epoch"):
        clf = make_long(**params).fit(X, Y)
    assert n_steps == [3, 6, 9]
    assert len(clock.weights) == 11
    for name, weight in clf._fitted.model.weights.items():
        assert_array_equal(weight, clock.weights[5][name], err_msg=name)
    assert clf.validation_scores_ == scores[:3]
    assert clf.n_iter_ == 3


def test_averaging_keeps_the_mean(monkeypatch):
    backbone = Backbone(Dense, averaging_decay=0.5, n_features=X.shape[1])
    clf = make_long(backbone=backbone, hidden_layer_sizes=())
    clock = Clock(monkeypatch)
    interrupt_in_step(monkeypatch, 4)
    with pytest.warns(UserWarning, match=f"{MESSAGE} 1 epoch"):
        clf.fit(X, Y)
    assert len(clock.weights) == 5
    for name, weight in clf._fitted.model.weights.items():
        mean = clock.weights[0][name]
        for later in clock.weights[1:]:
            mean = 0.5 * mean + 0.5 * later[name]
        if not name.endswith("num_batches_tracked"):
            assert_allclose(weight, mean, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("cls", CLASSES)
def test_partial_fit_goes_on_from_what_was_kept(monkeypatch, cls):
    data, classes = make_data(cls), partial_classes(cls)
    clf = make_long(cls, model="network").partial_fit(*data, **classes)
    first = clf.loss_curve_
    with monkeypatch.context() as patched:
        interrupt_in_step(patched, 1)
        with pytest.warns(UserWarning, match="but not one epoch was complete"):
            clf.partial_fit(*data)
    assert clf.n_iter_ == 1
    assert clf.loss_curve_ == first
    clf.partial_fit(*data)
    assert clf.n_iter_ == 2
    assert clf.loss_curve_[0] == first[0] > clf.loss_curve_[1]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("moments", [(0, 1), (2, 9), (5, 6), (12, 15)])
def test_a_second_interruption_leaves_the_estimator_as_it_was(
    monkeypatch, method, moments
):
    clf = make_long(model="network").fit(X, Y)
    before = pickle.dumps(clf)
    clock = Clock(monkeypatch, at=moments)
    with pytest.raises(KeyboardInterrupt):
        getattr(clf, method)(X, Y)
    # Both fell into the same step, after which one alone would have ended training.
    assert clock.n_steps_at == [len(clock.weights)] * 2
    assert pickle.dumps(clf) == before


@pytest.mark.parametrize("name", ["fit_levels", "weights_to_numpy", "make_optimizer"])
def test_outside_of_the_loop_nothing_is_kept(monkeypatch, name):
    clf = make_long().fit(X, Y)
    before = pickle.dumps(clf)
    monkeypatch.setattr(fitting, name, lambda *_: interrupt())
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    assert pickle.dumps(clf) == before
    unfitted = make_long()
    with pytest.raises(KeyboardInterrupt):
        unfitted.fit(X, Y)
    assert vars(unfitted) == vars(make_long())


def test_weights_that_a_cut_epoch_made_infinite_are_an_error(monkeypatch):
    def step(trainer, rows):
        interrupt()
        with torch.no_grad():
            next(trainer.network.parameters()).fill_(np.nan)
        return 1.0

    monkeypatch.setattr(Trainer, "step", step)
    clf = make_long()
    with pytest.raises(ValueError, match="diverged"):
        clf.fit(X, Y)
    assert vars(clf) == vars(make_long())


def test_a_search_goes_on(monkeypatch):
    interrupt_in_step(monkeypatch, 1)
    search = GridSearchCV(
        make_long(batch_size=16), {"max_iter": [2, 3]}, cv=2, refit=False
    )
    with pytest.warns(UserWarning, match="not one epoch was complete") as warned:
        search.fit(X, Y)
    assert len(warned) == 1
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_two_in_a_row_end_a_search(monkeypatch):
    # Before two parts of the same step.
    Clock(monkeypatch, at=[40, 41])
    search = GridSearchCV(make_long(), {"max_iter": [2, 3]}, cv=2, refit=False)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)


# The handler


def test_the_handler_is_only_replaced_in_the_loop(monkeypatch, handler):
    seen = []
    Clock(monkeypatch, at=[3], action=lambda: seen.append(current_handler()))
    make_long().fit(X, Y)
    assert len(seen) == 1
    assert seen[0] is not handler
    assert current_handler() is handler


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_the_handler_is_put_back_after_errors(monkeypatch, handler, error):
    def fail():
        raise error

    Clock(monkeypatch, at=[7], action=fail)
    clf = make_long()
    with pytest.raises(error):
        clf.fit(X, Y)
    assert current_handler() is handler
    assert vars(clf) == vars(make_long())


def test_the_handler_is_put_back_before_a_second_interruption_is_raised(handler):
    # It may be raised anywhere, even before the context is left.
    interruption = Interruption()
    interruption.__enter__()
    interrupt()
    assert interruption.requested
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert current_handler() is handler
    interruption.__exit__(None, None, None)
    assert current_handler() is handler


@pytest.mark.parametrize("other", [signal.SIG_IGN, lambda *_: None])
def test_a_handler_of_the_program_stays(monkeypatch, handler, other):
    seen = []

    def look_and_interrupt():
        seen.append(current_handler())
        interrupt()

    Clock(monkeypatch, at=[3], action=look_and_interrupt)
    signal.signal(signal.SIGINT, other)
    try:
        clf = make_long().fit(X, Y)  # without a warning, which would be an error
        seen.append(current_handler())
    finally:
        signal.signal(signal.SIGINT, handler)
    assert seen == [other, other]
    assert clf.n_iter_ == EPOCHS


def test_in_another_thread_no_handler_is_touched(monkeypatch, handler):
    seen, fitted = [], []
    clock = Clock(
        monkeypatch, at=[3, 30], action=lambda: seen.append(current_handler())
    )
    thread = threading.Thread(target=lambda: fitted.append(make_long().fit(X, Y)))
    thread.start()
    thread.join()
    assert seen == [handler, handler]
    assert len(clock.weights) == STEPS * EPOCHS
    assert_same_model(fitted[0], make_long().fit(X, Y))


def test_of_two_contexts_the_outer_one_is_told(handler):
    with Interruption() as outer, Interruption() as inner:
        interrupt()
        assert (outer.requested, inner.requested) == (True, False)
    assert current_handler() is handler
