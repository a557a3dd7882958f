"""Features that speak for a label, against the scores of samples with one feature."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from error_checks import check_error
from estimator_problems import N_FEATURES, both, make, make_data, make_sums
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.scorers.linear.tables import child_scores

containers = pytest.mark.parametrize("container", [sp.csr_array, np.asarray])


def margins(clf, X):
    """Return the sum of the margins on each label's path, (n, n_labels)."""
    total = np.zeros((X.shape[0], 1))
    for level in clf._fitted.model.linear:
        n_nodes, size = level.intercepts.shape
        rows = np.arange(X.shape[0])
        parts = [
            child_scores(level, X, rows, np.full(len(rows), n)) for n in range(n_nodes)
        ]
        found = np.concatenate(parts, axis=1)
        total = np.repeat(total, size, axis=1)[:, : found.shape[1]] + found
    return total[:, clf.codec_.positions]


def weights_by_scores(clf, n_features=N_FEATURES):
    """Return the weights of all features and labels: what a value of 1 adds."""
    X = np.eye(n_features + 1, n_features, dtype=np.float32)
    sums = margins(clf, sp.csr_array(X))
    return sums[:-1] - sums[-1]


def check_all(clf, expected, atol=1e-5):
    """Compare the features of all labels with a matrix of weights."""
    assert (expected > 0.1).any(0).all()
    for label, weights in zip(clf.classes_, expected.T, strict=True):
        columns, found = clf.top_features(label, k=10**6)
        assert_allclose(found, weights[columns], atol=atol)
        assert (np.diff(found) <= 0).all()
        assert (found > 0).all()
        others = np.delete(weights, columns)
        assert (others <= atol).all()
        for k in (1, 3):
            some, of_some = clf.top_features(label, k)
            assert_array_equal(some, columns[:k])
            assert_array_equal(of_some, found[:k])


@both
@pytest.mark.parametrize("model", ["linear", "both"])
@pytest.mark.parametrize("sizes", [None, (4, 4), (2, 3, 2)], ids=str)
def test_weights_are_what_a_value_adds_to_the_margins(cls, model, sizes):
    X, y = make_data(cls)
    strategy = "full" if sizes is None else "cascade"
    params = {"model": model, "head_sizes": sizes}
    if model == "both" and sizes:  # next to hard negatives, there is no small tree
        params["strategy__hard_negatives"] = False
    clf = make(cls, strategy, **params).fit(sp.csr_array(X), y)
    assert len(clf._fitted.model.linear) == (1 if sizes is None else len(sizes))
    check_all(clf, weights_by_scores(clf))


@containers
def test_weights_tell_the_decision_function(container):
    # Of linear classifiers without a tree, log-odds are 1 - (1 - margin)^2.
    X, Y = make_sums()
    params = {"model": "linear", "combination": "equal"}
    clf = make(MHEMultiLabelClassifier, "full", **params).fit(container(X), Y)
    rng = np.random.RandomState(1)
    X = rng.randn(200, X.shape[1])
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    decision = clf.decision_function(X)
    margin = 1 - np.sqrt(np.maximum(1 - decision, 0))
    for label in range(Y.shape[1]):
        unsure = (decision[:, label] > -4.9) & (decision[:, label] < 0.99)
        assert unsure.sum() > 2 * N_FEATURES
        # Rows are of unit length, so that margins are linear functions of them.
        table = np.c_[X, np.ones(len(X))][unsure]
        weights, *_ = np.linalg.lstsq(table, margin[unsure, label], rcond=None)
        columns, found = clf.top_features(label)
        assert_allclose(found, weights[columns], atol=2e-3)
        assert set(np.flatnonzero(weights[:-1] > 0.1)) <= set(columns)


def test_words_of_a_pipeline_and_names_of_a_frame():
    texts = ["tabby cat", "old cat", "barking dog", "old dog", "green bird"]
    labels = np.array(["cat", "cat", "dog", "dog", "bird"])
    pipe = make_pipeline(TfidfVectorizer(), MHEClassifier(model="linear"))
    clf = pipe.fit(texts, labels)[-1]
    names = pipe[0].get_feature_names_out()
    for label, other in [("cat", "tabby"), (np.str_("dog"), "barking")]:
        columns, weights = clf.top_features(label, k=2)
        assert columns.dtype.kind == "i"
        assert weights.dtype == np.float64
        assert_array_equal(names[columns], [label, other])
    frame = pd.DataFrame(pipe[0].transform(texts).toarray(), columns=names)
    clf = MHEClassifier(model="linear").fit(frame, labels)
    features, _ = clf.top_features("bird", 2)
    assert set(features) == {"bird", "green"}
    assert features.dtype == clf.feature_names_in_.dtype


def test_labels_of_any_type():
    X, y = make_data()
    names = np.empty(len(y), dtype=object)
    names[:] = [(str(label), label) for label in y]
    clf = make(strategy="full", model="linear").fit(X, names)
    plain = make(strategy="full", model="linear").fit(X, y)
    for label in (0, 11):
        expected = plain.top_features(np.int64(label))
        for found, own in zip(
            clf.top_features((str(label), label)), expected, strict=True
        ):
            assert_array_equal(found, own)


@both
def test_only_where_there_are_linear_classifiers(cls):
    X, y = make_data()
    without = [
        {"model": "network"},
        {"strategy": "product"},
        {"backbone": torch.nn.LazyLinear(4)},
    ]
    for params in without[: 3 if cls is MHEClassifier else 1]:
        clf = make(cls, **params)
        for _ in ("before", "after"):
            assert not hasattr(clf, "top_features")
            with pytest.raises(AttributeError, match="weights of linear classifiers"):
                clf.top_features(0)
            clf.fit(X, y)
    clf = make(cls)
    assert hasattr(clf, "top_features")
    with pytest.raises(NotFittedError):
        clf.top_features(0)
    clf.partial_fit(X, y, classes=np.arange(12))
    assert not hasattr(clf, "top_features")
    # What counts is what was fitted.
    clf = make(cls).fit(X, y).set_params(model="network")
    assert len(clf.top_features(0, 2)[0]) == 2


def test_errors():
    X, y = make_data()
    clf = make(MHEClassifier, "full").fit(X, y, label_features=np.eye(12))

    def check(match, *args, error=ValueError):
        check_error(clf, match, lambda clf: clf.top_features(*args), error)

    check("label=12 is none of the 12 labels in classes_, such as 0 of type int", 12)
    check("label='3' is none of the 12 labels", "3")
    check("cannot be hashed", [3], error=TypeError)
    check("label has None", None)
    for k in (0, -1, 1.5, True, "all", None):
        check(f"k={k!r} must be an integer of at least 1", 0, k)
    before = clf.top_features(11)
    clf.add_labels(np.ones((2, 12)))
    check("label=13 has no linear classifier, as it had no sample", 13)
    clf.partial_fit(X[:5], np.full(5, 13))
    check("label=13 has no linear classifier", 13)
    for found, own in zip(clf.top_features(11), before, strict=True):
        assert_array_equal(found, own)
