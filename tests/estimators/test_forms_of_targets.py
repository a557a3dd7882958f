"""Forms of y: the same result from each of them, and predictions in the same form."""

import functools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from data_forms import (
    DENSE_INDICATORS,
    LISTS_OF_LABELS,
    SPARSE_INDICATORS,
    content,
    to_lists,
)
from estimator_problems import (
    N_CLASSES,
    assert_same_model,
    fitted,
    make_data,
    make_sums,
)
from estimator_problems import make as make_estimator
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import MultiLabelBinarizer

from skmhe import MHEClassifier, MHEMultiLabelClassifier

N, N_LABELS = 90, 9


def make(**params):
    base = {"hidden_layer_sizes": (12,), "batch_size": 30, "max_iter": 6}
    return make_estimator(MHEMultiLabelClassifier, **(base | params))


@functools.cache
def reference():
    """Return an estimator that was fitted to a dense indicator."""
    return make().fit(*make_sums())


# ------------------------------------------------------------ labels


@pytest.mark.parametrize("dtype", ["category", "string", object, "int64", "Int64"])
def test_series_of_labels(dtype):
    X, y = make_data()
    if dtype in ("string", object):
        series = pd.Series([f"{i:02}" for i in y], dtype=dtype)
    else:
        series = pd.Series(y).astype(dtype)
    clf = make_estimator().fit(X, series)
    assert len(clf.classes_) == N_CLASSES
    assert_array_equal(clf.predict(X).astype(int), fitted().predict(X))


# ------------------------------------------------------------ indicators


@pytest.mark.parametrize("form", DENSE_INDICATORS)
def test_dense_indicator(form):
    X, Y = make_sums()
    given = DENSE_INDICATORS[form](Y)
    clf = make().fit(X, given)
    assert_same_model(clf, reference())
    assert_array_equal(clf.classes_, np.arange(N_LABELS))
    predicted = clf.predict(X)
    assert type(predicted) is np.ndarray
    assert predicted.dtype == np.asarray(given).dtype
    assert_array_equal(predicted, reference().predict(X))
    assert clf.score(X, given) == reference().score(X, Y)


@pytest.mark.parametrize("form", SPARSE_INDICATORS)
def test_sparse_indicator(form):
    X, Y = make_sums()
    given = SPARSE_INDICATORS[form](Y)
    before = content(given)
    clf = make().fit(X, given)
    assert_same_model(clf, reference())
    predicted = clf.predict(X)
    # Matrix for matrix, array for array; always CSR.
    expected_type = sp.csr_array if isinstance(given, sp.sparray) else sp.csr_matrix
    assert type(predicted) is expected_type
    assert predicted.dtype == given.dtype
    assert predicted.has_canonical_format
    assert predicted.data.all()
    assert_array_equal(predicted.toarray(), reference().predict(X))
    assert clf.score(X, given) == reference().score(X, Y)
    # Not a byte of what was given has changed.
    for a, b in zip(before, content(given), strict=True):
        assert_array_equal(a, b)


def test_indicator_of_one_column():
    X, Y = make_sums()
    clf = make(strategy="full", max_iter=20).fit(X, sp.csr_array(Y[:, [1]]))
    assert_array_equal(clf.classes_, [0])
    assert clf.predict_proba(X).shape == (N, 1)
    assert clf.predict(X).shape == (N, 1)
    assert (clf.predict(X).toarray() == Y[:, [1]]).mean() > 0.9
    labels, scores = clf.predict_topk(X, k=1)
    assert_array_equal(labels, np.zeros((N, 1)))
    assert_allclose(scores, clf.predict_proba(X), rtol=1e-4)


# ------------------------------------------------------------ lists of labels


@pytest.mark.parametrize("form", LISTS_OF_LABELS)
def test_lists_of_labels(form):
    X, Y = make_sums()
    given = LISTS_OF_LABELS[form](Y)
    clf = make().fit(X, given)
    assert_same_model(clf, reference())
    assert len(clf.classes_) == N_LABELS
    predicted = clf.predict(X)
    assert isinstance(predicted, list)
    assert all(isinstance(row, tuple) for row in predicted)
    expected = [tuple(clf.classes_[row > 0]) for row in reference().predict(X)]
    assert predicted == expected
    assert () in predicted  # of the sample without labels
    assert_array_equal(
        clf.predict_topk(X, k=3)[0], clf.classes_[reference().predict_topk(X, k=3)[0]]
    )
    assert clf.score(X, given) == reference().score(X, Y)


def test_lists_of_other_labels_than_0_1():
    X, Y = make_sums()
    clf = make().fit(X, to_lists(Y, list(range(100, 100 + N_LABELS))))
    assert_array_equal(clf.classes_, np.arange(100, 100 + N_LABELS))
    assert all(100 <= label < 109 for row in clf.predict(X) for label in row)


def test_lists_of_one_length_are_labels_unless_all_are_0_or_1():
    X = np.random.RandomState(0).randn(40, 3)
    pairs = make(max_iter=1).fit(X, [["a", "b"], ["b", "c"]] * 20)
    assert pairs.classes_.tolist() == ["a", "b", "c"]
    numbers = make(max_iter=1).fit(X, [[0, 1], [1, 2]] * 20)
    assert numbers.classes_.tolist() == [0, 1, 2]
    indicator = make(max_iter=1).fit(X, [[0, 1], [1, 0]] * 20)
    assert isinstance(indicator.predict(X), np.ndarray)


def test_predicting_one_sample_as_a_list():
    X, Y = make_sums()
    clf = make().fit(X, to_lists(Y))
    for i in [0, 1, 5]:
        assert clf.predict(X[[i]]) == [clf.predict(X)[i]]


def test_lists_agree_with_multilabel_binarizer():
    X, Y = make_sums()
    lists = to_lists(Y, "abcdefghi")
    binarizer = MultiLabelBinarizer(sparse_output=True)
    clf = make().fit(X, binarizer.fit_transform(lists))
    expected = binarizer.inverse_transform(clf.predict(X))
    assert make().fit(X, lists).predict(X) == expected


# ------------------------------------------------------------ scores


def test_score_is_subset_accuracy():
    X, Y = make_sums()
    clf = reference()
    assert clf.score(X, Y) == (clf.predict(X) == Y).all(axis=1).mean()
    weight = np.arange(float(N))
    expected = np.average((clf.predict(X) == Y).all(axis=1), weights=weight)
    assert_allclose(clf.score(X, Y, sample_weight=weight), expected)
    assert 0 < expected < 1


def test_score_counts_labels_that_were_not_seen():
    X, _ = make_sums()
    clf = make(strategy="full").fit(X, [["a"], [], []] * 30)
    assert clf.predict(X[1:3]) == [()] * 2
    # A sample whose only label is unseen is not predicted right.
    assert clf.score(X[:3], [["unseen"], [], []]) == 2 / 3


# ------------------------------------------------------------ training further


def test_partial_fit_of_indicators_needs_no_classes():
    X, Y = make_sums()
    clf = make().partial_fit(X[:45], sp.csr_array(Y[:45]))
    clf.partial_fit(X[45:], sp.csr_array(Y[45:]))
    assert_array_equal(clf.classes_, np.arange(N_LABELS))
    assert clf.n_iter_ == 2


def test_partial_fit_of_indicators_with_names():
    X, Y = make_sums()
    clf = make().partial_fit(X, Y, classes=list("abcdefghi"))
    assert clf.classes_.tolist() == list("abcdefghi")
    assert clf.predict_topk(X, k=2)[0].dtype.kind == "U"
    assert clf.predict(X).shape == Y.shape


def test_partial_fit_of_lists_without_all_labels():
    X, Y = make_sums()
    lists = to_lists(Y, "abcdefghi")
    clf = make().partial_fit(X[2:6], lists[2:6], classes=list("abcdefghi"))
    for start in range(0, N, 30):
        clf.partial_fit(X[start : start + 30], lists[start : start + 30])
    assert clf.classes_.tolist() == list("abcdefghi")
    assert clf.n_iter_ == 4


def test_partial_fit_of_lists_that_hold_all_labels():
    X, Y = make_sums()
    clf = make().partial_fit(X, to_lists(Y, "abcdefghi"))
    assert clf.classes_.tolist() == list("abcdefghi")


def test_dense_and_sparse_indicators_may_be_mixed():
    X, Y = make_sums()
    mixed = make().partial_fit(X, Y).partial_fit(X, sp.csr_matrix(Y))
    plain = make().partial_fit(X, Y).partial_fit(X, Y)
    assert_same_model(mixed, plain)
    # Predictions have the form of the first call.
    assert isinstance(mixed.predict(X), np.ndarray)


def test_warm_start_in_another_form():
    X, Y = make_sums()
    clf = make(warm_start=True).fit(X, Y)
    assert isinstance(clf.fit(X, sp.csr_array(Y)).predict(X), sp.csr_array)


def test_unseen_long_label_is_refused():
    X, _ = make_sums()
    clf = make().partial_fit(X, [["a"], ["b"], []] * 30, classes=["a", "b"])
    with pytest.raises(ValueError, match="apple"):
        clf.partial_fit(X, [["apple"], ["b"], []] * 30)


def test_unseen_fractional_label_is_refused():
    X, _ = make_sums()
    clf = make().partial_fit(X, [[1], [2], []] * 30, classes=[1, 2])
    with pytest.raises(ValueError, match=r"1\.7"):
        clf.partial_fit(X, [[1.7], [2], []] * 30)


def test_partial_fit_of_samples_without_labels():
    X, _ = make_sums()
    clf = make().partial_fit(X, [["a"], ["b"], []] * 30, classes=["a", "b"])
    before = clf.predict_proba(X[:5])
    for _ in range(3):
        clf.partial_fit(X[:5], [[]] * 5)
    assert (clf.predict_proba(X[:5]) < before).all()


def test_partial_fit_keeps_to_lists_of_labels():
    X, _ = make_sums()
    # Two labels, 0 and 1: as an indicator, [0, 0] would mean no label.
    clf = make().partial_fit(X, [[0], [1], []] * 30, classes=[0, 1])
    by_list = make().partial_fit(X, [[0], [1], []] * 30, classes=[0, 1])
    clf.partial_fit(X, [[0, 0], [1, 1]] * 45)
    by_list.partial_fit(X, [[0], [1, 1]] * 45)
    assert_same_model(clf, by_list)


def test_indicators_of_float16():
    X, Y = make_sums()
    clf = make(max_iter=1).fit(X, Y.astype(np.float16))
    expected = make(max_iter=1).fit(X, Y.astype(np.float32)).predict(X)
    assert clf.predict(X).dtype == np.float16
    assert_array_equal(clf.predict(X), expected)
    assert clf.score(X, Y.astype(np.float16)) == clf.score(X, Y)


@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
def test_no_samples_in_y(cls):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make_estimator(cls).fit(np.eye(3), [])
