"""What fitting does: it learns, tells what it did, and takes labels of any type."""

import numpy as np
import pytest
from estimator_problems import (
    N_CLASSES,
    N_FEATURES,
    assert_same_model,
    both,
    every,
    fitted,
    make,
    make_data,
    model_arrays,
    multi,
    single,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

import skmhe
from skmhe import LabelCodec, MHEClassifier, MHEMultiLabelClassifier
from skmhe.training import loop


@single
def test_learns_more_than_the_most_frequent_class(strategy):
    X, y = make_data(n=240)
    clf = make(strategy=strategy, max_iter=12).fit(X[:160], y[:160])
    # Chance is 1 in 12.
    assert clf.score(X[160:], y[160:]) > 0.85
    assert clf.loss_curve_[-1] < clf.loss_curve_[0] / 2


@multi
def test_multilabel_learns(strategy):
    X, Y = make_data(MHEMultiLabelClassifier, n=240)
    clf = make(MHEMultiLabelClassifier, strategy, max_iter=20).fit(X[:160], Y[:160])
    assert (clf.predict(X[160:]) == Y[160:]).mean() > 0.93
    labels, _ = clf.predict_topk(X[165:], k=2)
    hits = np.take_along_axis(Y[165:], labels, axis=1)
    assert hits.mean() > 0.85


@every
def test_fit_returns_self_and_sets_attributes(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, max_iter=3)
    assert clf.fit(X, y) is clf
    assert_array_equal(clf.classes_, np.arange(N_CLASSES))
    assert isinstance(clf.codec_, LabelCodec)
    head_sizes = (N_CLASSES,) if strategy == "full" else (4, 3)
    assert clf.head_sizes_ == clf.codec_.head_sizes == head_sizes
    assert clf.n_heads_ == len(head_sizes)
    assert clf.strategy_ == strategy
    assert clf.n_features_in_ == N_FEATURES
    assert clf.n_iter_ == len(clf.loss_curve_) == 3
    assert clf.loss_ == clf.loss_curve_[-1]
    assert clf.validation_scores_ is None
    assert all(isinstance(array, np.ndarray) for array in model_arrays(clf).values())
    public = {name for name in vars(clf) if name.endswith("_")}
    assert public == {
        "classes_",
        "codec_",
        "strategy_",
        "n_heads_",
        "head_sizes_",
        "n_features_in_",
        "n_iter_",
        "history_",
    }
    # All that is not public is one attribute.
    assert vars(clf).keys() - public - clf.get_params(deep=False).keys() == {"_fitted"}


@every
def test_parameters_are_not_changed_by_fit(cls, strategy):
    X, y = make_data(cls)
    class_weight, sizes = {0: 2.0}, [4]
    clf = make(cls, strategy, max_iter=1, device="auto")
    clf.set_params(class_weight=class_weight, hidden_layer_sizes=sizes)
    before, text = clf.get_params(), repr(clf)
    clf.fit(X, y).predict(X)
    # Of objects, the same ones, with the same parameters.
    assert clf.get_params() == before
    assert repr(clf) == text
    assert (class_weight, sizes) == ({0: 2.0}, [4])


@pytest.mark.parametrize(
    "labels",
    [
        np.array([f"class {i:02}" for i in range(N_CLASSES)]),
        np.array([f"class {i:02}" for i in range(N_CLASSES)], dtype=object),
        np.arange(N_CLASSES) * 7 - 20,
        np.arange(N_CLASSES, dtype=np.uint8),
        np.arange(N_CLASSES, dtype=float),
    ],
    ids=["str", "object", "int", "uint8", "float"],
)
def test_label_types(labels):
    X, y = make_data()
    clf = make().fit(X, labels[y])
    reference = fitted()
    assert_array_equal(clf.classes_, labels)
    assert clf.classes_.dtype == labels.dtype
    # Only the names differ.
    assert_array_equal(clf.predict(X), labels[reference.predict(X)])
    assert clf.predict(X).dtype == labels.dtype
    top, scores = clf.predict_topk(X, k=3)
    expected, expected_scores = reference.predict_topk(X, k=3)
    assert_array_equal(top, labels[expected])
    assert_array_equal(scores, expected_scores)


@single
def test_bool_labels(strategy):
    X, y = make_data()
    clf = make(strategy=strategy, max_iter=15).fit(X, y < 6)
    assert clf.classes_.dtype == bool
    assert clf.predict(X).dtype == bool
    assert clf.score(X, y < 6) > 0.9
    # Two classes: one number per sample, positive for the second.
    decision = clf.decision_function(X)
    assert decision.shape == (len(X),)
    assert_array_equal(decision > 0, clf.predict(X))


def test_order_of_classes_is_sorted_whatever_the_order_of_samples():
    X, y = make_data()
    clf = make(max_iter=1).fit(X, np.array(["b", "c", "a"])[y % 3])
    assert clf.classes_.tolist() == ["a", "b", "c"]


@single
def test_1d_y_makes_both_estimators_the_same(strategy):
    X, y = make_data()
    a = fitted(MHEClassifier, strategy)
    b = make(MHEMultiLabelClassifier, strategy).fit(X, y)
    assert_same_model(a, b)
    for method in ["predict", "predict_proba", "predict_log_proba"]:
        assert_array_equal(getattr(a, method)(X), getattr(b, method)(X))
    assert_array_equal(a.decision_function(X), b.decision_function(X))
    assert a.score(X, y) == b.score(X, y)
    two = [make(cls, strategy).fit(X, y % 2) for cls in (type(a), type(b))]
    assert_array_equal(two[0].decision_function(X), two[1].decision_function(X))


@every
def test_unfitted_predictions_are_refused(cls, strategy):
    X, _ = make_data()
    for method in ["predict", "predict_topk", "predict_proba", "decision_function"]:
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(make(cls, strategy), method)(X)


@both
@pytest.mark.parametrize("strategy", ["auto", "cascade", "sampling"])
def test_training_stops_where_the_loss_does_not_fall(cls, strategy, monkeypatch):
    X, y = make_data(cls)
    monkeypatch.setattr(loop, "TOLERANCE", 1e9)
    # No loss falls by so much: after the first epoch, none makes progress.
    clf = cls(strategy, random_state=0, max_iter=10).fit(X, y)
    n_iter = 1 + clf.n_iter_no_change
    assert clf.n_iter_ == len(clf.loss_curve_) == n_iter < clf.max_iter
    clf.set_params(n_iter_no_change=clf.max_iter).fit(X, y)
    assert clf.n_iter_ == clf.max_iter


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e3, 1e12])
def test_scale_of_x_means_nothing(scale):
    X, y = make_data()
    scaled = make().fit(scale * X, y)
    assert_allclose(
        scaled.predict_proba(scale * X), fitted().predict_proba(X), atol=0.02
    )


def test_version_and_public_names():
    assert set(skmhe.__all__) == {
        "Backbone",
        "Cascade",
        "FeatureParts",
        "Full",
        "LabelCodec",
        "LabelEncoder",
        "LinearTree",
        "MHEClassifier",
        "MHEMultiLabelClassifier",
        "Parts",
        "Product",
        "Sampling",
        "__version__",
        "predict_topk",
    }
    assert isinstance(skmhe.__version__, str)


def test_a_cascade_tells_dense_blobs_apart():
    # Groups of blobs are not linearly separable, and hard to predict.
    rng, n_classes = np.random.RandomState(0), 300
    y = np.arange(15 * n_classes) % n_classes
    X = rng.uniform(-10, 10, (n_classes, 32))[y] + 4 * rng.randn(len(y), 32)
    train, test = slice(10 * n_classes), slice(10 * n_classes, None)
    options = {"hidden_layer_sizes": 64, "random_state": 0}
    clf = MHEClassifier("cascade", **options).fit(X[train], y[train])
    assert clf.score(X[test], y[test]) > 0.95
