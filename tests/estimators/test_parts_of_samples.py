"""Estimators of samples of two parts: the same as of plain ones, splits, errors."""

import itertools
import pickle
import re

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from user_modules import Dense, Tokens, make_data

from skmhe import (
    Backbone,
    LabelEncoder,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Parts,
    Sampling,
)

N_LABELS = 6
TOKENS, Y = make_data("tokens")
ROWS = make_data("rows")[0].astype(np.float32)
X = Parts(network=TOKENS, linear=sp.csr_array(np.maximum(ROWS, 0)))
FAST = {"random_state": 0, "device": "cpu", "max_iter": 3, "learning_rate_init": 0.02}
classifiers = pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])


def tokens_classifier(cls=MHEClassifier, **params):
    return cls(**(FAST | {"backbone": Tokens} | params))


def targets(cls):
    return Y if cls is MHEClassifier else np.eye(N_LABELS, dtype=int)[Y]


def results(clf, rows):
    """Return what an estimator predicts."""
    found = [clf.predict_proba(rows), *clf.predict_topk(rows, 3), clf.predict(rows)]
    return [*found, clf.transform(rows)] if hasattr(clf, "transform") else found


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert_array_equal(a, b)


# --------------------------------------------- two equal parts are as one array


def as_parts(rows):
    return Parts(network=rows, linear=rows)


def assert_as_plain(clf, method="fit", rows=ROWS, **given):
    y = targets(type(clf))
    plain, parts = clone(clf), clone(clf)
    getattr(plain, method)(rows, y, **given)
    getattr(parts, method)(as_parts(rows), y, **given)
    assert_same(results(parts, as_parts(rows)), results(plain, rows))
    assert parts.combination_ == plain.combination_
    assert parts.loss_curve_ == plain.loss_curve_
    return plain, parts


@classifiers
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    ("strategy", "model"),
    [
        *itertools.product(["full", "cascade", "sampling"], ["both", "network"]),
        *itertools.product(["full", "cascade"], ["linear"]),
    ],
)
def test_equal_parts_are_as_plain_samples(strategy, model, sparse, cls):
    rows = sp.csr_array(np.maximum(ROWS, 0)) if sparse else ROWS
    assert_as_plain(cls(strategy, model=model, **FAST), rows=rows)


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True},
        {"label_order": "cluster", "n_heads": 3},
        {"combination": {"network": 1, "linear": 3}},
        {"class_weight": "balanced"},
        {"strategy": "product"},
        {"strategy": Sampling(margin="arcface"), "model": "network"},
        {"warm_start": True},
    ],
    ids=lambda params: next(iter(params)),
)
def test_parameters_are_as_with_plain_samples(params):
    clf = MHEClassifier(**({"strategy": "sampling"} | FAST | params))
    plain, parts = assert_as_plain(clf)
    if clf.warm_start:
        for each, rows in ((plain, ROWS), (parts, as_parts(ROWS))):
            each.fit(rows, Y)
        assert_same(results(parts, as_parts(ROWS)), results(plain, ROWS))


def test_a_frozen_backbone_alone_is_as_with_plain_samples():
    clf = MHEClassifier(model="network", **FAST)
    assert_as_plain(clf.set_params(backbone=Backbone(Dense, freeze=True)))


@classifiers
def test_weights_of_samples(cls):
    weight = np.arange(len(Y)) % 3
    y, clf = targets(cls), tokens_classifier(cls)
    clf.fit(X, y, sample_weight=weight)
    kept = weight > 0
    other = clone(clf).fit(X[kept], y[kept], sample_weight=weight[kept])
    assert_same(results(clf, X), results(other, X))


@pytest.mark.parametrize("strategy", ["full", "sampling"])
@pytest.mark.parametrize("backbone", ["auto", None])
def test_features_of_labels_that_come_later_and_training_further(strategy, backbone):
    encoder = LabelEncoder(backbone=backbone)
    clf = MHEClassifier(strategy, label_encoder=encoder, **FAST)
    Z, late = np.eye(N_LABELS), np.eye(N_LABELS)[:1] + 0.1
    # What linear classifiers could read of labels has to be theirs.
    made = as_parts if backbone == "auto" else np.asarray
    plain = clone(clf).fit(ROWS, targets(MHEClassifier), label_features=Z)
    parts = clone(clf).fit(
        as_parts(ROWS), targets(MHEClassifier), label_features=made(Z)
    )
    assert_same(results(parts, as_parts(ROWS)), results(plain, ROWS))
    rows = np.r_[ROWS[:5], np.eye(N_LABELS), late]  # also labels themselves
    plain.add_labels(late)
    parts.add_labels(made(late))
    assert_same(results(parts, as_parts(rows)), results(plain, rows))
    plain.partial_fit(rows[-1:], [N_LABELS])
    parts.partial_fit(as_parts(rows[-1:]), [N_LABELS])
    assert_same(results(parts, as_parts(rows)), results(plain, rows))


@pytest.mark.parametrize("strategy", ["full", "sampling", "cascade"])
def test_features_of_labels_beside_a_linear_part_of_another_width(strategy):
    words = Parts(network=ROWS, linear=np.c_[ROWS, ROWS])
    Z = np.eye(N_LABELS)
    clf = MHEClassifier(strategy, **FAST).fit(words, Y, label_features=Z)
    assert "own_labels" in clf.combination_  # they are like the network's part
    clf.add_labels(Z[:1] + 0.1)
    assert clf.predict_proba(words[:3]).shape == (3, N_LABELS + 1)
    clf.partial_fit(words[:8], np.r_[Y[:7], N_LABELS])
    assert clf.predict_proba(words[:3]).shape == (3, N_LABELS + 1)


# --------------------------------------------- a backbone and linear classifiers


@classifiers
@pytest.mark.parametrize("strategy", ["full", "cascade", "sampling"])
def test_a_backbone_has_linear_classifiers(strategy, cls):
    y = targets(cls)
    clf = tokens_classifier(cls, strategy=strategy).fit(X, y)
    assert list(clf.combination_) == ["network", "linear"]
    assert (clf._fitted.model.centroids is not None) == (strategy == "sampling")
    assert clf.score(X, y) > 0.6
    assert clf.transform(X).shape == (len(Y), 8)
    assert clf.n_features_in_ == TOKENS.shape[1] + ROWS.shape[1]
    assert_same(results(pickle.loads(pickle.dumps(clf)), X), results(clf, X))


@pytest.mark.parametrize("part", ["network", "linear"])
def test_a_model_of_one_scorer_leaves_the_other_part_out(part):
    params = {"network": {}, "linear": {"backbone": None}}[part]
    clf = tokens_classifier(model=part, label_order="natural", **params).fit(X, Y)
    other = {"network": X.network, "linear": X.linear, part: getattr(X, part)}
    unread = "linear" if part == "network" else "network"
    other[unread] = other[unread][::-1]
    other = Parts(**other)
    assert_same(results(clf, other), results(clf, X))
    assert_same(results(clone(clf).fit(other, Y), X), results(clf, X))
    assert list(clf.combination_) == [part]


def test_labels_are_ordered_by_the_linear_part():
    params = {"strategy": "cascade", "label_order": "cluster", "model": "network"}
    order = tokens_classifier(**params).fit(X, Y).codec_.order
    plain = MHEClassifier(**(FAST | params)).fit(X.linear, Y)
    assert_array_equal(order, plain.codec_.order)


@pytest.mark.parametrize("freeze", [False, True])
def test_a_frozen_backbone_completes_similarities_to_centroids(freeze):
    backbone = Backbone(Tokens, freeze=freeze)
    clf = tokens_classifier(strategy="sampling", backbone=backbone, early_stopping=0.3)
    clf.fit(X, Y)
    assert clf._fitted.model.spec.centroid_scale is not None
    assert len(clf.validation_scores_) == 3
    assert clf.score(X, Y) > 0.6


def test_a_combination_is_learned_of_both_parts():
    """Of two parts, one of which says nothing."""
    rng = np.random.RandomState(0)
    y = np.arange(400) % 4
    signal, noise = np.eye(4)[y] + 0.5 * rng.randn(400, 4), rng.randn(400, 40)
    clf = MHEClassifier(**FAST)
    clf.fit(Parts(network=signal, linear=noise), y)
    assert clf.combination_["linear"] < clf.combination_["network"]
    clf.fit(Parts(network=noise, linear=signal), y)
    assert clf.combination_["network"] < clf.combination_.get("linear", 0)


def test_training_in_parts():
    clf = tokens_classifier().fit(X, Y)
    linear = clf._fitted.model.linear
    clf.partial_fit(X[:40], Y[:40])
    assert clf._fitted.model.linear is linear
    first = tokens_classifier().partial_fit(X[:40], Y[:40], classes=np.arange(N_LABELS))
    assert list(first.combination_) == ["network"]
    assert first.partial_fit(X[40:], Y[40:]).predict(X).shape == (len(Y),)


# --------------------------------------------- scikit-learn's tools


def test_splits_and_searches():
    clf = tokens_classifier()
    train, test, y_train, y_test = train_test_split(X, Y, random_state=0)
    assert type(train) is type(test) is Parts
    assert clone(clf).fit(train, y_train).score(test, y_test) > 0.5
    assert min(cross_val_score(clf, X, Y, cv=3)) > 0.5
    assert cross_val_predict(clf, X, Y, cv=3, method="predict_proba").shape == (
        len(Y),
        N_LABELS,
    )
    grid = {"backbone__width": [2, 4], "linear__C": [0.1, 1.0]}
    search = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(X, Y)
    assert search.predict(X).shape == (len(Y),)


def test_other_estimators_say_what_parts_are():
    with pytest.raises(TypeError, match="Parts are two arrays, not one"):
        LogisticRegression().fit(X, Y)


# --------------------------------------------- errors

NAN = np.where(np.arange(ROWS.size).reshape(ROWS.shape) == 7, np.nan, ROWS)

TEXTS = [["a text"]] * len(Y)


@pytest.mark.parametrize(
    ("network", "linear", "kind", "message"),
    [
        (TOKENS, NAN, ValueError, "X.linear: Input contains NaN"),
        (NAN, ROWS, ValueError, "X.network: Input contains NaN"),
        (TOKENS, TEXTS, ValueError, "X.linear holds texts, such as 'a text', but"),
        (TEXTS, ROWS, ValueError, "X.network holds texts, such as 'a text', but"),
        (X.linear, ROWS, TypeError, "X.network is sparse, but a backbone takes"),
        (TOKENS + 20, ROWS, ValueError, "X.network has integers from 20 to"),
        (TOKENS[:0], ROWS[:0], ValueError, "X.network: Found array with 0 sample"),
    ],
)
def test_invalid_parts(network, linear, kind, message):
    clf = tokens_classifier()
    with pytest.raises(kind, match=re.escape(message)):
        clf.fit(Parts(network=network, linear=linear), Y[: len(linear)])
    assert vars(clf).keys() == vars(tokens_classifier()).keys()


def test_other_parts_than_were_fitted():
    clf, name = tokens_classifier().fit(X, Y), "MHEClassifier"
    before = results(clf, X)
    narrow = Parts(network=TOKENS, linear=ROWS[:, :4])
    message = f"X.linear has 4 features, but {name} was fitted with 6: make the parts"
    with pytest.raises(ValueError, match=message):
        clf.predict(narrow)
    with pytest.raises(ValueError, match=message):
        clf.partial_fit(narrow, Y)
    with pytest.raises(ValueError, match=r"X\.network has rows of shape \(3,\)"):
        clf.predict(Parts(network=TOKENS[:, :3], linear=ROWS))
    with pytest.raises(ValueError, match=r"X\.network has rows .* type float32"):
        clf.transform(Parts(network=TOKENS * 1.0, linear=ROWS))
    own = MHEClassifier(**FAST).fit(as_parts(ROWS), Y)
    with pytest.raises(ValueError, match=r"X\.network has 5 features, .* with 6"):
        own.predict(Parts(network=ROWS[:, :5], linear=ROWS))
    assert_same(results(clf, X), before)


@pytest.mark.parametrize(
    "method", ["predict", "predict_topk", "predict_proba", "transform", "partial_fit"]
)
def test_parts_and_plain_samples_do_not_take_each_others_place(method):
    of_parts = tokens_classifier().fit(X, Y)
    of_rows = MHEClassifier(**FAST).fit(X.linear, Y)
    given = (Y,) if method == "partial_fit" else ()
    for plain in (TOKENS, X.linear):
        shown = type(plain).__name__
        message = f"X is of type {shown}, but MHEClassifier was fitted with Parts: pass"
        with pytest.raises(ValueError, match=message):
            getattr(of_parts, method)(plain, *given)
    with pytest.raises(ValueError, match=r"X=Parts\(.*\) has two parts, but .*: pass"):
        getattr(of_rows, method)(X, *given)


def test_fitting_anew_with_samples_of_another_form():
    import pandas as pd

    frame = pd.DataFrame(ROWS, columns=list("abcdef"))
    clf = MHEClassifier(**FAST).fit(frame, Y)
    clf.fit(as_parts(ROWS), Y)
    assert not hasattr(clf, "feature_names_in_")
    assert clf.n_features_in_ == 12
    parts = clf.predict_proba(as_parts(ROWS))
    assert_allclose(clf.fit(ROWS, Y).predict_proba(ROWS), parts)
    assert clf.n_features_in_ == 6
