"""Labels that are added after fitting: further training, and states of estimators."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from error_checks import check_error
from label_feature_problems import (
    N_OLD,
    C,
    assert_same_predictions,
    both,
    fit_old,
    make,
    make_data,
    models,
    old_data,
    score_with,
    strategies,
    weights,
)
from numpy.testing import assert_allclose, assert_array_equal

from skmhe import LabelEncoder, MHEClassifier, MHEMultiLabelClassifier

# ------------------------------------------------------------ labels without a sample


def all_columns(y):
    """Return an indicator with columns of the labels that have no sample yet."""
    return y if y.ndim == 1 else np.c_[y, np.zeros((len(y), C - y.shape[1]), int)]


@both
@strategies
@models
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}], ids=str)
def test_labels_without_a_sample_are_added_after_fitting(cls, strategy, model, params):
    X, y, Z = old_data(cls)
    params = {"model": model, **params}
    clf = make(cls, strategy, **params).fit(X, all_columns(y), label_features=Z)
    expected = fit_old(cls, strategy, **params).add_labels(Z[N_OLD:])
    assert_same_predictions(clf, expected, X)
    assert_array_equal(clf.codec_.order, expected.codec_.order)
    assert clf.validation_scores_ == expected.validation_scores_
    # They go on in the same way.
    for each in (clf, expected):
        each.set_params(early_stopping=False).partial_fit(X, all_columns(y))
    assert_same_predictions(clf, expected, X)


def test_labels_in_between_may_lack_samples():
    X, y, Z = make_data()
    rows = ~np.isin(y, [3, 7])
    weight = {3: 2.0, 4: 1.0}
    clf = make(class_weight=weight).fit(X[rows], y[rows], label_features=Z)
    seen = np.delete(np.arange(C), [3, 7])
    other = make().fit(X[rows], y[rows], label_features=pd.DataFrame(Z[seen], seen))
    other.add_labels(Z[[3, 7]], [3, 7])
    assert_same_predictions(clf, other, X)


# ------------------------------------------------------------ labels in turns


@both
@strategies
@models
def test_they_can_be_added_in_turns(cls, strategy, model):
    X, _, Z = make_data(cls)
    clf = fit_old(cls, strategy, model=model)
    clf.predict_topk(X)  # what is kept of the labels must not outlive them
    once = copy.deepcopy(clf).add_labels(Z[N_OLD:])
    clf.add_labels(Z[N_OLD : N_OLD + 1])
    assert len(clf.classes_) == clf.predict_proba(X).shape[1] == N_OLD + 1
    clf.predict_topk(X)
    clf.add_labels(Z[N_OLD + 1 :])
    assert_same_predictions(clf, once, X)
    # Also in training: rows of their own are given to all of them.
    X, y, _ = make_data(cls)
    for each in (clf, once):
        each.partial_fit(X, y)
    assert_same_predictions(clf, once, X)


@both
@strategies
@models
def test_more_labels_than_were_fitted(cls, strategy, model):
    # Heads become longer, and a tree gets new nodes of its first level.
    X, y, Z = old_data(cls)
    clf = fit_old(cls, strategy, model=model)
    before = clf.head_sizes_
    many = np.random.RandomState(0).rand(2 * N_OLD, Z.shape[1])
    clf.add_labels(many)
    y = y if y.ndim == 1 else np.c_[y, np.zeros((len(y), 2 * N_OLD), int)]
    clf.partial_fit(X, y)
    assert clf.predict_proba(X).shape == (len(X), 3 * N_OLD)
    assert clf._fitted.model.n_late == 0
    codes = clf.codec_.encode(np.arange(3 * N_OLD))
    assert len(np.unique(codes, axis=0)) == 3 * N_OLD
    assert clf.head_sizes_[1:] == before[1:]
    labels, _ = clf.predict_topk(X, k=3 * N_OLD)
    assert_array_equal(np.sort(labels, 1), np.tile(np.arange(3 * N_OLD), (len(X), 1)))


# ------------------------------------------------------------ further training


@both
@strategies
@models
def test_partial_fit_trains_them(cls, strategy, model):
    X, y, Z = make_data(cls)
    settings = {"hidden_layer_sizes": (16,), "learning_rate_init": 0.04}
    clf = fit_old(cls, strategy, model=model, max_iter=12, **settings)
    clf.add_labels(Z[N_OLD:])
    for _ in range(25):
        clf.partial_fit(X, y)
    last = len(clf.head_sizes_) - 1 if strategy == "cascade" else 0
    assert weights(clf)[f"head.biases.{last}"].shape == (C,)
    p = clf.predict_proba(X)
    new = np.eye(C)[y][:, N_OLD:] if cls is MHEClassifier else y[:, N_OLD:]
    assert p[:, N_OLD:][new == 1].mean() > 3 * p[:, N_OLD:][new == 0].mean()
    labels, scores = clf.predict_topk(X, k=3)
    assert (labels[new.any(1)] >= N_OLD).any(1).mean() > 0.8
    assert_allclose(scores, np.take_along_axis(p, labels, 1), rtol=1e-2)
    # Its state goes on, too.
    assert clf._fitted.model.spec.head.options["n_labels"] == C
    one_more = y if y.ndim == 1 else np.c_[y, np.zeros((len(y), 1), int)]
    clf.add_labels(Z[:1]).partial_fit(X[:40], one_more[:40])
    assert len(clf.classes_) == C + 1


def test_partial_fit_knows_all_classes():
    X, y, Z = make_data()
    clf = fit_old().add_labels(Z[N_OLD:])
    match = "classes has 20 labels, .* that are not the 24"
    check_error(clf, match, lambda c: c.partial_fit(X, y, classes=np.arange(N_OLD)))
    # Some samples of some labels will do.
    other = copy.deepcopy(clf).partial_fit(X[:3], y[:3], classes=np.arange(C))
    assert_same_predictions(clf.partial_fit(X[:3], y[:3]), other, X)


def median_label(clf, before):
    """Check that labels without samples have the weights of a median label."""
    last = clf.n_heads_ - 1 if clf.strategy_ == "cascade" else 0
    for kind in ("weights", "biases"):
        grown = weights(clf)[f"head.{kind}.{last}"]
        assert_array_equal(grown[:N_OLD], before[f"head.{kind}.{last}"])
        expected = 0 if kind == "weights" else np.sort(grown[:N_OLD])[N_OLD // 2 - 1]
        assert_allclose(grown[N_OLD:], expected)


@strategies
def test_growing_changes_trained_labels_by_rounding_only(strategy):
    X, _, Z = make_data()
    clf = fit_old(strategy=strategy, model="both")
    before, trained = clf.predict_log_proba(X), weights(clf)
    clf.add_labels(Z[N_OLD:])
    clf._fitted = clf._fitted._replace(model=clf._fitted.model.grow())
    assert clf._fitted.model.n_late == 0
    median_label(clf, trained)
    after = clf.predict_log_proba(X)
    # Relative to each other, trained labels are as likely as they were.
    old = np.log(np.exp(after[:, :N_OLD]).sum(1, keepdims=True))
    assert_allclose(after[:, :N_OLD] - old, before, atol=1e-3)
    assert_allclose(np.exp(after).sum(1), 1)


@both
@strategies
@models
def test_warm_start_goes_on_with_them(cls, strategy, model):
    X, y, Z = make_data(cls)
    settings = {"max_iter": 8, "learning_rate_init": 0.04, "warm_start": True}
    clf = fit_old(cls, strategy, model=model, **settings).add_labels(Z[N_OLD:])
    # The network starts from what it was.
    still = copy.deepcopy(clf).set_params(learning_rate_init=1e-12, max_iter=1)
    before = weights(clf)
    still.fit(X, y, label_features=Z)
    if strategy != "cascade":  # whose new labels have new prefixes, too
        median_label_close(still, before)
    for name in ("backbone.layers.0.weight", "encoder.sample_map.weight"):
        assert_allclose(weights(still)[name], before[name], atol=1e-6)
    clf.fit(X, y, label_features=Z)
    last = len(clf.head_sizes_) - 1 if strategy == "cascade" else 0
    assert weights(clf)[f"head.weights.{last}"].shape[0] == C
    truth = np.eye(C)[y] if y.ndim == 1 else y
    new = truth[:, N_OLD:].any(1)
    labels, _ = clf.predict_topk(X[new], k=1)
    assert np.take_along_axis(truth[new], labels, 1).mean() > 0.3  # by chance 1/12


def median_label_close(clf, before):
    grown, known = (w["head.biases.0"] for w in (weights(clf), before))
    assert_allclose(grown[:N_OLD], known, atol=1e-6)
    assert_allclose(grown[N_OLD:], np.sort(known)[N_OLD // 2 - 1], atol=1e-6)
    assert_allclose(weights(clf)["head.weights.0"][N_OLD:], 0, atol=1e-6)


@both
@strategies
@models
def test_warm_start_with_labels_that_never_had_a_sample(cls, strategy, model):
    X, y, Z = old_data(cls)
    settings = {"max_iter": 8, "learning_rate_init": 0.04, "warm_start": True}
    clf = make(cls, strategy, model=model, **settings)
    clf.fit(X, all_columns(y), label_features=Z)
    assert clf._fitted.model.n_late == C - N_OLD
    first = clf.loss_curve_
    before = score_with(clf, "classifier").predict_proba(X)[:, N_OLD:]
    clf.fit(X, all_columns(y), label_features=Z)
    assert clf._fitted.model.n_late == 0
    assert clf.loss_curve_[-1] < first[0]
    after = clf.predict_proba(X)[:, N_OLD:]
    assert after.shape == before.shape
    # By now, the classifier has learned that they do not occur.
    assert after.mean() < before.mean()


@both
@strategies
def test_without_an_encoder_the_words_are_compared(cls, strategy):
    X, y, Z = make_data(cls)
    none = LabelEncoder(loss_weight=0.0)
    clf = fit_old(cls, strategy, label_encoder=none, max_iter=20)
    clf.add_labels(Z[N_OLD:])
    truth = np.eye(C)[y] if y.ndim == 1 else y
    p = clf.predict_proba(X)[:, N_OLD:]
    # For each new label, most samples that have it are above the others.
    for column, true in zip(p.T, truth[:, N_OLD:].T, strict=True):
        assert np.median(column[true == 1]) > np.quantile(column[true == 0], 0.75)
    check_error(
        score_with(clf, "encoder"), "without a label encoder", lambda c: c.predict(X)
    )
    score_with(clf, "both").partial_fit(X, y)
    assert "encoder.sample_map.weight" not in weights(clf)
    assert clf.predict_proba(X).shape == (len(X), C)


# ------------------------------------------------------------ states

STATES = {
    "fitted": lambda clf, X, y, Z: clf,
    "added": lambda clf, X, y, Z: clf.add_labels(Z[N_OLD:]),
    "added twice": lambda clf, X, y, Z: clf.add_labels(Z[N_OLD:22]).add_labels(Z[22:]),
    "trained": lambda clf, X, y, Z: clf.add_labels(Z[N_OLD:]).partial_fit(X, y),
    "trained, added": lambda clf, X, y, Z: (
        clf.add_labels(Z[N_OLD:]).partial_fit(X, y).add_labels(Z[:2])
    ),
    "fitted again": lambda clf, X, y, Z: (
        clf.add_labels(Z[N_OLD:])
        .set_params(warm_start=True)
        .fit(X, y, label_features=Z)
    ),
}


@both
@strategies
@pytest.mark.parametrize("state", STATES)
def test_pickling_in_every_state(cls, strategy, state):
    X, y, Z = make_data(cls)
    clf = STATES[state](fit_old(cls, strategy, model="both"), X, y, Z)
    before = pickle.dumps(clf)
    again = pickle.loads(before)
    assert_same_predictions(again, clf, X)
    # Predictions leave nothing behind that would be written.
    assert pickle.dumps(clf) == before
    n_labels = len(clf.classes_)
    if cls is MHEMultiLabelClassifier:
        y = np.c_[y, np.zeros((len(y), 2), int)][:, :n_labels]
    rows = y < n_labels if cls is MHEClassifier else slice(None)
    for each in (clf, again):
        each.partial_fit(X[rows], y[rows])
    assert_same_predictions(again, clf, X)


@pytest.mark.parametrize("kind", ["labels", "lists", "indicator"])
def test_warm_start_with_the_old_targets_says_how_to_go_on(kind):
    cls = MHEClassifier if kind == "labels" else MHEMultiLabelClassifier
    X, y, Z = old_data(MHEClassifier)
    y = {"labels": y, "lists": y[:, None].tolist(), "indicator": np.eye(N_OLD)[y]}[kind]
    clf = make(cls, warm_start=True, max_iter=1).fit(X, y, label_features=Z[:N_OLD])
    clf.add_labels(Z[N_OLD:])
    n, match = C - N_OLD, r"give y a column .*; or fit anew with warm_start=False\.$"
    if kind != "indicator":
        match = rf"pass label_features of all {C} labels, or train by partial_fit"
    match = rf"^y lacks {n} of the {C} labels .*, \[{N_OLD}, .*=True, {match}"
    check_error(clf, match, lambda clf: clf.fit(X, y))
    # What it says can be done.
    if kind == "indicator":
        clf.fit(X, np.pad(y, ((0, 0), (0, n))))
    else:
        clf.fit(X, y, label_features=Z).partial_fit(X, y)
    assert len(clf.classes_) == C
    assert make(cls, warm_start=False).fit(X, y).classes_.tolist() == [*range(N_OLD)]


def test_errors_leave_added_labels_alone():
    X, y, Z = make_data()
    clf = fit_old().add_labels(Z[N_OLD:])
    check_error(clf, "contains NaN", lambda c: c.partial_fit(X * np.nan, y))
    match = "not among the 24 known ones"
    check_error(clf, match, lambda c: c.partial_fit(X, y + 1))
