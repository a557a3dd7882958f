"""Features that speak for a label, against the scores of samples with one feature."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from error_checks import check_error
from estimator_problems import both, make, make_data, make_sums
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.scorers.linear.scaling import CONSTANT
from skmhe.scorers.linear.tables import child_scores

# Sparse data, which linear classifiers see as they are, has columns of zeros, too.
forms = pytest.mark.parametrize(
    ("container", "is_sparse"),
    [(sp.csr_array, True), (np.asarray, True), (np.asarray, False)],
    ids=["sparse", "sparse-array", "dense"],
)


def padded(X, is_sparse):
    return np.pad(X, ((0, 0), (0, 4 * X.shape[1] * is_sparse)))


def margins(clf, X):
    """Return the sums of the margins on each label's path, (n, n_labels)."""
    total, rows = np.zeros((X.shape[0], 1)), np.arange(X.shape[0])
    for level in clf._fitted.model.linear:
        n_nodes, size = level.intercepts.shape
        parts = (
            child_scores(level, X, rows, np.full(len(rows), node))
            for node in range(n_nodes)
        )
        found = np.concatenate([*parts], axis=1)
        total = np.repeat(total, size, axis=1)[:, : found.shape[1]] + found
    return total[:, clf.codec_.positions]


def weights_by_scores(clf, container):
    """Return the weights of all features and labels: what a value of 1 adds."""
    n_features = clf.n_features_in_
    n_columns = n_features + (clf._fitted.model.scaling is not None)
    X = np.eye(n_columns + 1, n_columns, dtype=np.float32)
    sums = margins(clf, container(X))
    return sums[:n_features] - sums[-1]


def check_all(clf, expected, atol=1e-5):
    """Compare the features of all labels with a matrix of weights."""
    assert (expected > 0.1).any(0).mean() > 0.9
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
@forms
@pytest.mark.parametrize("model", ["linear", "both"])
@pytest.mark.parametrize("sizes", [None, (4, 4), (2, 3, 2)], ids=str)
def test_weights_are_what_a_value_adds_to_the_margins(
    cls, container, is_sparse, model, sizes
):
    X, y = make_data(cls)
    X = padded(X, is_sparse)
    strategy = "full" if sizes is None else "cascade"
    params = {"model": model, "head_sizes": sizes, "max_iter": 1}
    if model == "both" and sizes:  # next to hard negatives, there is no small tree
        params["strategy__hard_negatives"] = False
    clf = make(cls, strategy, **params).fit(container(X), y)
    model = clf._fitted.model
    assert len(model.linear) == (1 if sizes is None else len(sizes))
    assert (model.scaling is None) == is_sparse
    check_all(clf, weights_by_scores(clf, container))


@forms
def test_weights_tell_the_decision_function(container, is_sparse):
    # Of linear classifiers without a tree, log-odds are 1 - (1 - margin)^2.
    X, Y = make_sums()
    X = padded(X, is_sparse)
    params = {"model": "linear", "combination": "equal"}
    clf = make(MHEMultiLabelClassifier, "full", **params).fit(container(X), Y)
    new = 10 * np.random.RandomState(1).randn(1000, X.shape[1]) * (X.std(0) > 0)
    decision, rows = clf.decision_function(container(new)), new
    if not is_sparse:
        scaled = StandardScaler().fit(X).transform(new) / np.sqrt(X.shape[1])
        rows = np.c_[scaled, np.full(len(new), CONSTANT)]
    # Margins are a linear function of the rows, and a constant.
    table = np.c_[normalize(rows), np.ones(len(new))]
    for label, of_label in enumerate(decision.T):
        unsure = (of_label > -4.9) & (of_label < 0.99)
        assert unsure.sum() > 2 * X.shape[1]
        margin = 1 - np.sqrt(1 - of_label[unsure])
        weights, *_ = np.linalg.lstsq(table[unsure], margin, rcond=None)
        weights = weights[: X.shape[1]]
        columns, found = clf.top_features(label)
        assert_allclose(found, weights[columns], atol=2e-3)
        assert set(np.flatnonzero(weights > 0.1)) <= set(columns)


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
        if "backbone" in params:  # with samples that have parts, there are some
            assert hasattr(clf, "top_features")
            clf.fit(X, y)
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
