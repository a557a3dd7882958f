"""partial_fit and warm_start: what training goes on from."""

import copy

import numpy as np
import pytest
from estimator_problems import (
    N_CLASSES,
    assert_same_model,
    both,
    differ,
    every,
    make,
    make_data,
    model_arrays,
    partial_classes,
    single,
)
from numpy.testing import assert_allclose, assert_array_equal

# ------------------------------------------------------------ partial_fit


@every
def test_partial_fit_learns_over_several_calls(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy)
    assert clf.partial_fit(X, y, **partial_classes(cls)) is clf
    first = clf.loss_
    for _ in range(9):
        clf.partial_fit(X, y)
    assert clf.loss_ < first / 2
    assert clf.n_iter_ == len(clf.loss_curve_) == 10


@single
def test_partial_fit_on_batches_without_all_classes(strategy):
    X, y = make_data(n=240)
    clf = make(strategy=strategy, label_order="natural")
    lower = y < 6
    clf.partial_fit(X[lower], y[lower], classes=np.arange(N_CLASSES))
    assert_array_equal(clf.classes_, np.arange(N_CLASSES))
    assert clf.predict_proba(X).shape == (240, N_CLASSES)
    for _ in range(12):
        for part in (lower, ~lower):
            clf.partial_fit(X[part], y[part])
    assert clf.score(X, y) > 0.8


def test_partial_fit_takes_the_classes_in_any_order_and_again():
    X, y = make_data()
    clf = make().partial_fit(X, y, classes=np.arange(N_CLASSES)[::-1])
    assert_array_equal(clf.classes_, np.arange(N_CLASSES))
    clf.partial_fit(X, y, classes=np.arange(N_CLASSES))
    assert clf.n_iter_ == 2


@every
def test_partial_fit_keeps_the_state_of_the_optimizer(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy).partial_fit(X, y, **partial_classes(cls))
    forgetful = copy.deepcopy(clf)
    state = forgetful._fitted.state._replace(moments=None)
    forgetful._fitted = forgetful._fitted._replace(state=state)
    clf.partial_fit(X, y)
    forgetful.partial_fit(X, y)
    assert differ(clf, forgetful)


@every
def test_partial_fit_is_repeatable(cls, strategy):
    X, y = make_data(cls)

    def train():
        clf = make(cls, strategy, dropout=0.2)
        for _ in range(3):
            clf.partial_fit(X, y, **partial_classes(cls))
        return clf

    assert_same_model(train(), train())


@every
def test_partial_fit_goes_on_after_fit(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, max_iter=2).fit(X, y)
    losses = clf.loss_curve_
    clf.partial_fit(X, y)
    assert clf.n_iter_ == 3
    assert clf.loss_curve_[:2] == losses
    assert clf.loss_ < losses[0]
    # A new fit starts anew.
    assert_same_model(clf.fit(X, y), make(cls, strategy, max_iter=2).fit(X, y))


def test_partial_fit_trains_one_epoch_at_a_constant_rate():
    X, y = make_data()
    clf = make(max_iter=50, learning_rate="linear")
    clf.partial_fit(X, y, classes=np.arange(N_CLASSES))
    assert clf.n_iter_ == 1
    assert clf.validation_scores_ is None
    constant = make(learning_rate="constant", max_iter=1)
    constant.partial_fit(X, y, classes=np.arange(N_CLASSES))
    assert_same_model(clf, constant)


@every
def test_partial_fit_refuses_early_stopping(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, early_stopping=True)
    match = "early_stopping=True cannot be used in partial_fit, .*early_stopping=False"
    with pytest.raises(ValueError, match=match):
        clf.partial_fit(X, y, **partial_classes(cls))
    assert not hasattr(clf, "classes_")
    clf.fit(X, y)
    arrays = copy.deepcopy(model_arrays(clf))
    with pytest.raises(ValueError, match=match):
        clf.partial_fit(X, y)
    for name, array in model_arrays(clf).items():
        assert_array_equal(array, arrays[name])


@both
def test_a_copy_trains_on_its_own(cls):
    X, y = make_data(cls)
    clf = make(cls).partial_fit(X, y, **partial_classes(cls))
    arrays = copy.deepcopy(model_arrays(clf))
    copy.deepcopy(clf).partial_fit(X, y).fit(X, y)
    for name, array in model_arrays(clf).items():
        assert_array_equal(array, arrays[name])


def test_partial_fit_follows_a_changed_learning_rate():
    X, y = make_data()
    clf = make(learning_rate_init=0.01).partial_fit(X, y, classes=range(N_CLASSES))
    before = copy.deepcopy(model_arrays(clf))
    clf.set_params(learning_rate_init=1e-30).partial_fit(X, y)
    for name, array in model_arrays(clf).items():
        assert_allclose(before[name], array, atol=1e-12)


@both
def test_beam_width_may_be_changed_before_training_on(cls):
    X, y = make_data(cls)
    clf = make(cls, max_iter=1).fit(X, y)
    clf.set_params(strategy__beam_width=3).partial_fit(X, y)
    assert clf.n_iter_ == 2


# ------------------------------------------------------------ warm start


@every
def test_warm_start_goes_on(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, warm_start=True, max_iter=3).fit(X, y)
    first = clf.loss_curve_
    order = clf.codec_.order
    clf.fit(X, y)
    assert clf.loss_curve_[:3] == first
    assert clf.loss_curve_[3] < first[0]
    assert clf.loss_ < first[-1]
    assert clf.n_iter_ == 6
    assert clf.codec_.order is order


@pytest.mark.parametrize("before", [0.0, 0.2])
def test_dropout_may_be_changed_before_training_on(before):
    X, y = make_data()
    options = {"hidden_layer_sizes": (8, 4), "max_iter": 1, "warm_start": True}
    clf = make(**options, dropout=before).fit(X, y)
    clf.set_params(dropout=0.2 - before)
    clf.fit(X, y).partial_fit(X, y)
    assert clf.n_iter_ == 3


def test_without_warm_start_fit_starts_anew():
    X, y = make_data()
    clf = make(warm_start=False).fit(X, y)
    first = clf.loss_curve_
    assert clf.fit(X, y).loss_curve_ == first


def test_fit_without_warm_start_takes_other_data():
    X, y = make_data()
    clf = make(max_iter=1).fit(X, y)
    clf.fit(X[:, :4], np.array(["a", "b", "c"])[y % 3])
    assert clf.n_features_in_ == 4
    assert clf.classes_.tolist() == ["a", "b", "c"]
    assert clf.predict(X[:, :4]).dtype.kind == "U"


@pytest.mark.parametrize("strategy", ["cascade", "sampling"])
@both
def test_linear_classifiers_of_a_next_fit_are_as_many_levels(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, model="both", warm_start=True, max_iter=1).fit(X, y)
    levels = clf._fitted.model.linear
    assert len(levels) == 1  # of all labels: that takes little time
    again = clf.fit(X, y)._fitted.model.linear
    assert [a.intercepts.shape for a in again] == [b.intercepts.shape for b in levels]
