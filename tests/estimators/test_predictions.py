"""Predictions: methods agree with each other, and change nothing."""

import copy
import functools
import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from data_forms import to_lists
from estimator_problems import (
    both,
    dense,
    every,
    fitted,
    make,
    make_data,
    make_sums,
    model_arrays,
    multi,
    single,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logit

from skmhe import MHEClassifier, MHEMultiLabelClassifier

# ------------------------------------------------------------ methods agree

TARGETS = {
    "classes": lambda y: y,
    "names": lambda y: np.array(list("lkjihgfedcba"))[y],
    "two classes": lambda y: y % 2 == 0,
    "dense": lambda Y: Y,
    "csr_matrix": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "lists": to_lists,
}
ONE_LABEL = ["classes", "names", "two classes"]
CASES = [
    (strategy, model, kind)
    for strategy, model, kind in itertools.product(
        ["full", "product", "cascade", "sampling"],
        ["both", "linear", "network"],
        TARGETS,
    )
    if not (model == "linear" and strategy in ("product", "sampling"))
    and not (strategy == "product" and kind not in ONE_LABEL)
]
CASES += [("auto", "both", "classes"), ("auto", "both", "dense")]


@functools.cache
def agreeing(strategy, model, kind):
    """Return a hardly trained estimator of an exact search, and samples unlike it."""
    cls = MHEClassifier if kind in ONE_LABEL else MHEMultiLabelClassifier
    X, y = make_data(cls)
    # Of a random order, so that the best prefix is often not that of the best label.
    options = {"label_order": "random", "linear__beam_width": 100}
    options["max_iter"] = 2 if cls is MHEClassifier else 10
    if strategy == "cascade":
        options["strategy__beam_width"] = 100
    clf = make(cls, strategy, model=model, **options).fit(X, TARGETS[kind](y))
    return clf, np.vstack([X, np.random.RandomState(1).randn(60, X.shape[1])])


@pytest.mark.parametrize(("strategy", "model", "kind"), CASES)
def test_all_methods_agree(strategy, model, kind):
    clf, X = agreeing(strategy, model, kind)
    multilabel, n_labels = kind not in ONE_LABEL, len(clf.classes_)
    p, log_p = clf.predict_proba(X), clf.predict_log_proba(X)
    assert p.shape == log_p.shape == (len(X), n_labels)
    assert p.dtype == log_p.dtype == np.float64
    assert ((p > 0) & (p < 1)).all()
    assert (log_p < 0).all()
    assert_allclose(np.exp(log_p), p, rtol=1e-12, atol=1e-300)
    decision, predicted = clf.decision_function(X), clf.predict(X)
    if multilabel:
        assert_allclose(decision, logit(p), rtol=1e-6, atol=1e-6)
        assert_array_equal(decision > 0, p > 0.5)
        # Either value must occur for the test to mean something.
        assert 0.02 < (p > 0.5).mean() < 0.5
        if kind == "lists":
            assert predicted == [tuple(clf.classes_[row]) for row in p > 0.5]
        else:
            assert_array_equal(dense(predicted), p > 0.5)
    else:
        assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
        assert_array_equal(predicted, clf.classes_[p.argmax(axis=1)])
        if n_labels == 2:
            assert_allclose(decision, logit(p[:, 1]), rtol=1e-6, atol=1e-6)
            assert_array_equal(clf.classes_[(decision > 0).astype(int)], predicted)
        else:
            assert_array_equal(decision.argmax(axis=1), p.argmax(axis=1))
            assert_allclose(np.minimum(decision, 0), log_p, rtol=1e-9, atol=1e-15)
    for k in sorted({1, min(3, n_labels), n_labels}):
        labels, scores = clf.predict_topk(X, k=k)
        assert labels.shape == scores.shape == (len(X), k)
        assert scores.dtype == np.float64
        assert (np.diff(scores, axis=1) <= 0).all()
        assert all(len(set(row)) == k for row in labels.tolist())
        columns = np.searchsorted(clf.classes_, labels)
        assert_allclose(np.take_along_axis(p, columns, axis=1), scores, rtol=1e-4)
        assert_allclose(-np.sort(-p, axis=1)[:, :k], scores, rtol=1e-4)
        if k == 1 and not multilabel:
            assert_array_equal(labels[:, 0], predicted)


@every
def test_probabilities_stay_inside_the_open_interval(cls, strategy):
    X, _ = make_data(cls)
    clf = fitted(cls, strategy)
    # Samples so far out that every score saturates.
    p = clf.predict_proba(1e6 * X)
    assert ((p > 0) & (p < 1)).all()
    assert np.isfinite(clf.decision_function(1e6 * X)).all()
    assert np.isfinite(clf.predict_topk(1e6 * X, 2)[1]).all()


@multi
def test_probabilities_are_those_of_each_label(strategy):
    X, Y = make_sums()
    clf = make(MHEMultiLabelClassifier, strategy, max_iter=40).fit(X, Y)
    # Rows do not sum to 1, but to about the number of labels.
    assert np.corrcoef(clf.predict_proba(X).sum(1), Y.sum(1))[0, 1] > 0.9
    assert_allclose(clf.predict_proba(X).sum(), Y.sum(), rtol=0.15)
    assert (clf.predict(X) == Y).mean() > 0.92


# ------------------------------------------------------------ beams and trees


@pytest.mark.parametrize("head_sizes", [(4, 3), (2, 3, 2), (2, 2, 2, 2), (12, 1)])
@both
def test_topk_of_any_tree(cls, head_sizes):
    X, y = make_data(cls)
    clf = make(cls, head_sizes=head_sizes, max_iter=2, strategy__beam_width=100)
    clf.fit(X, y)
    labels, scores = clf.predict_topk(X, k=5)
    p = clf.predict_proba(X)
    assert_allclose(-np.sort(-p, axis=1)[:, :5], scores, rtol=1e-4)
    assert_allclose(np.take_along_axis(p, labels, axis=1), scores, rtol=1e-4)


@pytest.mark.parametrize("beam_width", [1, 2, 100])
@pytest.mark.parametrize("model", ["both", "network", "linear"])
def test_predict_is_exact_whatever_the_beam(model, beam_width):
    X, y = make_data()
    # Hardly trained, so that the best prefix is often not that of the best class.
    clf = make(model=model, max_iter=1, label_order="random").fit(X, y)
    clf.set_params(strategy__beam_width=beam_width, linear__beam_width=beam_width)
    p = clf.predict_proba(X)
    assert_array_equal(clf.predict(X), clf.classes_[p.argmax(axis=1)])
    assert_array_equal(clf.decision_function(X).argmax(axis=1), p.argmax(axis=1))
    if beam_width == 100:
        assert_array_equal(clf.predict_topk(X, k=1)[0][:, 0], clf.predict(X))


@pytest.mark.parametrize("form", ["dense", "csr_matrix", "csr_array", "lists"])
def test_multilabel_predict_is_exact_whatever_the_beam(form):
    X, Y = make_sums()
    clf = make(MHEMultiLabelClassifier, max_iter=6, strategy__beam_width=1)
    clf.fit(X, TARGETS[form](Y))
    X = np.vstack([X, make_sums(seed=1)[0]])
    p, predicted = clf.predict_proba(X), clf.predict(X)
    assert 0.02 < (p > 0.5).mean() < 0.5
    if form == "lists":
        assert predicted == [tuple(clf.classes_[row]) for row in p > 0.5]
    else:
        assert_array_equal(dense(predicted), p > 0.5)


def test_a_narrow_beam_misses_what_predict_finds():
    # Otherwise the tests above would tell nothing about exactness.
    X, y = make_data(n=240)
    clf = make(max_iter=3, label_order="random", model="network").fit(X, y)
    clf.set_params(strategy__beam_width=1)
    X = np.random.RandomState(1).randn(500, X.shape[1])
    first = clf.predict_topk(X, k=1)[0][:, 0]
    assert (first != clf.predict(X)).any()


@pytest.mark.parametrize("order", ["natural", "random", "frequency", "cluster"])
@pytest.mark.parametrize("strategy", ["cascade", "product", "sampling"])
def test_topk_of_labels_in_another_order(strategy, order):
    X, y = make_data()
    clf = make(strategy=strategy, label_order=order, max_iter=2).fit(X, y)
    labels, scores = clf.predict_topk(X, k=4)
    p = clf.predict_proba(X)
    assert_allclose(np.take_along_axis(p, labels, axis=1), scores, rtol=1e-4)


# ------------------------------------------------------------ rows, and no traces


@every
def test_predicting_changes_nothing(cls, strategy):
    X, _ = make_data(cls)
    clf = fitted(cls, strategy)
    arrays = copy.deepcopy(model_arrays(clf))
    state = vars(clf).copy()
    for method in [
        "predict",
        "predict_proba",
        "decision_function",
        "predict_log_proba",
        "transform",
    ]:
        first = getattr(clf, method)(X)
        assert_array_equal(first, getattr(clf, method)(X))
    assert_array_equal(clf.predict_topk(X)[0], clf.predict_topk(X)[0])
    assert vars(clf).keys() == state.keys()
    assert all(vars(clf)[name] is value for name, value in state.items())
    for name, array in model_arrays(clf).items():
        assert_array_equal(array, arrays[name])


@pytest.mark.parametrize("sparse", [False, True])
@every
def test_rows_are_predicted_independently(cls, strategy, sparse):
    X, _ = make_data(cls)
    clf = fitted(cls, strategy)
    if sparse:
        X = sp.csr_array(X)
    order = np.random.RandomState(1).permutation(X.shape[0])
    p, topk = clf.predict_proba(X), clf.predict_topk(X, k=3)
    assert_allclose(clf.predict_proba(X[order]), p[order], rtol=1e-12)
    assert_array_equal(clf.predict(X[order]), clf.predict(X)[order])
    assert_allclose(clf.predict_topk(X[order], k=3)[1], topk[1][order], rtol=1e-4)
    for i in [0, 1, 7, 40]:
        assert_allclose(clf.predict_proba(X[[i]]), p[[i]], rtol=1e-12)
        assert_array_equal(clf.predict(X[[i]]), clf.predict(X)[[i]])
        labels, scores = clf.predict_topk(X[[i]], k=3)
        assert_array_equal(labels, topk[0][[i]])
        assert_allclose(scores, topk[1][[i]], rtol=1e-4)


# ------------------------------------------------------------ few labels


@pytest.mark.parametrize(("n_classes", "n_heads"), [(2, 2), (2, 5), (5, 3)])
@single
def test_few_classes(strategy, n_classes, n_heads):
    X, y = make_data()
    n_heads = "auto" if strategy == "full" else n_heads
    clf = make(strategy=strategy, n_heads=n_heads, max_iter=1).fit(X, y % n_classes)
    assert_allclose(clf.predict_proba(X).sum(axis=1), 1)
    labels, _ = clf.predict_topk(X, k=n_classes)
    assert_array_equal(
        np.sort(labels, axis=1), np.tile(np.arange(n_classes), (len(X), 1))
    )


@pytest.mark.filterwarnings("ignore:The number of unique classes")
@single
def test_as_many_classes_as_samples(strategy):
    X, _ = make_data()
    y = np.arange(len(X))
    clf = make(strategy=strategy, max_iter=20).fit(X, y)
    assert clf.score(X, y) > 0.1  # chance is 1 in 96


def test_many_classes_of_few_samples_are_nothing_to_warn_about():
    X, _ = make_data()
    make(max_iter=1).partial_fit(X, np.arange(96), classes=np.arange(100))


@multi
def test_labels_without_samples_and_samples_without_labels(strategy):
    X, Y = make_sums()
    n_labels = Y.shape[1]
    Y = np.hstack([Y, np.zeros((90, 2), dtype=int)])
    Y[:40] = 0
    clf = make(MHEMultiLabelClassifier, strategy, max_iter=6).fit(X, sp.csr_array(Y))
    p = clf.predict_proba(X)
    assert p.shape == (90, n_labels + 2)
    assert p[:, -2:].max() < 0.3


@multi
def test_no_sample_has_a_label(strategy):
    X, Y = make_sums()
    clf = make(MHEMultiLabelClassifier, strategy, max_iter=2)
    clf.fit(X, np.zeros_like(Y))
    assert not clf.predict(X).any()
    assert clf.predict_topk(X, k=3)[0].shape == (90, 3)
