"""The forms of Y that MHEMultiLabelClassifier takes, and what it gives back."""

import functools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from _oracles import with_explicit_zeros, with_int64_indices
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import MultiLabelBinarizer

from skmhe import MHEMultiLabelClassifier

N_LABELS, N_FEATURES = 9, 8
STRATEGIES = ["cascade", "sampling", "full"]
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def make(strategy="cascade", **params):
    base = {
        "hidden_layer_sizes": (12,),
        "dropout": 0.0,
        "input_dropout": 0.0,
        "learning_rate_init": 0.05,
        "batch_size": 30,
        "max_iter": 6,
        "n_sampled_groups": 2,
        "random_state": 0,
    }
    return MHEMultiLabelClassifier(strategy, **(base | params))


def make_data(n=90, seed=0):
    """Return samples that are the sum of their labels' directions, and a 0/1 Y."""
    rng = np.random.RandomState(seed)
    Y = (rng.rand(n, N_LABELS) < 0.2).astype(int)
    Y[0] = 0  # a sample without labels
    Y[1] = 1  # and one with all
    X = Y @ (3 * rng.randn(N_LABELS, N_FEATURES)) + 0.1 * rng.randn(n, N_FEATURES)
    return X, Y


@functools.cache
def fitted(strategy="cascade"):
    """Return an estimator that was fitted to a dense indicator."""
    return make(strategy).fit(*make_data())


def to_lists(Y, names=None):
    return [
        [int(j) if names is None else names[j] for j in np.flatnonzero(row)]
        for row in Y
    ]


def assert_same_weights(a, b):
    for name, weight in a.weights_.items():
        assert_array_equal(weight, b.weights_[name], err_msg=name)


# ------------------------------------------------------------ indicators

DENSE = {
    "int64": lambda Y: Y,
    "uint8": lambda Y: Y.astype(np.uint8),
    "bool": lambda Y: Y.astype(bool),
    "float64": lambda Y: Y.astype(float),
    "float32": lambda Y: Y.astype(np.float32),
    "F-order": np.asfortranarray,
    "negative strides": lambda Y: np.ascontiguousarray(Y[::-1, ::-1])[::-1, ::-1],
    "DataFrame": pd.DataFrame,
    "lists of 0 and 1": lambda Y: Y.tolist(),
    "tuples of 0 and 1": lambda Y: [tuple(row) for row in Y.tolist()],
    "list of arrays": list,
}


@pytest.mark.parametrize("form", DENSE)
def test_dense_indicator(form):
    X, Y = make_data()
    given = DENSE[form](Y)
    clf = make().fit(X, given)
    assert_same_weights(clf, fitted())
    assert_array_equal(clf.classes_, np.arange(N_LABELS))
    predicted = clf.predict(X)
    assert type(predicted) is np.ndarray
    assert predicted.dtype == np.asarray(given).dtype
    assert_array_equal(predicted, fitted().predict(X))
    assert clf.score(X, given) == fitted().score(X, Y)


def unsorted_rows(Y):
    matrix = sp.csr_matrix(Y)
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        matrix.indices[start:stop] = matrix.indices[start:stop][::-1].copy()
    matrix.has_sorted_indices = False
    return matrix


def read_only(Y):
    matrix = sp.csr_matrix(Y)
    for array in (matrix.data, matrix.indices, matrix.indptr):
        array.flags.writeable = False
    return matrix


SPARSE = {
    "csr_matrix": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "csc_matrix": sp.csc_matrix,
    "csc_array": sp.csc_array,
    "coo_matrix": sp.coo_matrix,
    "coo_array": sp.coo_array,
    "lil_matrix": sp.lil_matrix,
    "dok_array": sp.dok_array,
    "uint8": lambda Y: sp.csr_matrix(Y, dtype=np.uint8),
    "bool": lambda Y: sp.csr_array(Y, dtype=bool),
    "float": lambda Y: sp.csr_matrix(Y, dtype=float),
    "explicit zeros": with_explicit_zeros,
    "int64 indices": lambda Y: with_int64_indices(Y, sp.csr_array),
    "unsorted": unsorted_rows,
    "read-only": read_only,
}


@pytest.mark.parametrize("form", SPARSE)
def test_sparse_indicator(form):
    X, Y = make_data()
    given = SPARSE[form](Y)
    before = given.copy()
    clf = make().fit(X, given)
    assert_same_weights(clf, fitted())
    predicted = clf.predict(X)
    # Matrix for matrix, array for array; always CSR.
    expected_type = sp.csr_array if isinstance(given, sp.sparray) else sp.csr_matrix
    assert type(predicted) is expected_type
    assert predicted.dtype == given.dtype
    assert predicted.has_canonical_format
    assert predicted.data.all()
    assert_array_equal(predicted.toarray(), fitted().predict(X))
    assert clf.score(X, given) == fitted().score(X, Y)
    # Not a byte of what was given has changed.
    if given.format in ("csr", "csc"):
        for part in ("data", "indices", "indptr"):
            assert_array_equal(getattr(given, part), getattr(before, part))
    else:
        assert (given != before).nnz == 0


def test_indicator_of_one_column():
    X, Y = make_data()
    clf = make(max_iter=20).fit(X, sp.csr_array(Y[:, [1]]))
    assert_array_equal(clf.classes_, [0])
    assert clf.predict_proba(X).shape == (90, 1)
    assert clf.predict(X).shape == (90, 1)
    assert (clf.predict(X).toarray() == Y[:, [1]]).mean() > 0.9
    labels, scores = clf.predict_topk(X, k=1)
    assert_array_equal(labels, np.zeros((90, 1)))
    assert_allclose(scores, clf.predict_proba(X), rtol=1e-4)


# ------------------------------------------------------------ lists of labels


def named(row_type):
    names = [f"label {j}" for j in range(N_LABELS)]
    return lambda Y: [row_type(row) for row in to_lists(Y, names)]


LISTS = {
    "ints": to_lists,
    "strings": named(list),
    "tuples": named(tuple),
    "sets": named(set),
    "frozensets": named(frozenset),
    "arrays": named(np.array),
    "array of lists": lambda Y: np.array(named(list)(Y), dtype=object),
    "a label twice": lambda Y: [row + row[:1] for row in to_lists(Y)],
}


@pytest.mark.parametrize("form", LISTS)
def test_lists_of_labels(form):
    X, Y = make_data()
    given = LISTS[form](Y)
    clf = make().fit(X, given)
    assert_same_weights(clf, fitted())
    assert len(clf.classes_) == N_LABELS
    predicted = clf.predict(X)
    assert isinstance(predicted, list)
    assert all(isinstance(row, tuple) for row in predicted)
    expected = [tuple(clf.classes_[row > 0]) for row in fitted().predict(X)]
    assert predicted == expected
    assert () in predicted  # of the sample without labels
    assert_array_equal(
        clf.predict_topk(X, k=3)[0], clf.classes_[fitted().predict_topk(X, k=3)[0]]
    )
    assert clf.score(X, given) == fitted().score(X, Y)


def test_lists_of_other_labels_than_0_1():
    X, Y = make_data()
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
    X, Y = make_data()
    clf = make().fit(X, to_lists(Y))
    for i in [0, 1, 5]:
        assert clf.predict(X[[i]]) == [clf.predict(X)[i]]


def test_lists_agree_with_multilabel_binarizer():
    X, Y = make_data()
    lists = to_lists(Y, "abcdefghi")
    binarizer = MultiLabelBinarizer(sparse_output=True)
    clf = make().fit(X, binarizer.fit_transform(lists))
    expected = binarizer.inverse_transform(clf.predict(X))
    assert make().fit(X, lists).predict(X) == expected


# ------------------------------------------------------------ predictions


@every_strategy
@pytest.mark.parametrize("form", ["dense", "csr_matrix", "csr_array", "lists"])
def test_predict_is_more_probable_than_not(strategy, form):
    X, Y = make_data()
    given = {
        "dense": lambda Y: Y,
        "csr_matrix": sp.csr_matrix,
        "csr_array": sp.csr_array,
        "lists": to_lists,
    }[form](Y)
    clf = make(strategy, beam_width=1).fit(X, given)
    X = np.vstack([X, make_data(seed=1)[0]])
    p, decision = clf.predict_proba(X), clf.decision_function(X)
    assert p.shape == decision.shape == (180, N_LABELS)
    assert ((p > 0) & (p < 1)).all()
    # Either value must occur for the test to mean something.
    assert 0.02 < (p > 0.5).mean() < 0.5
    assert_array_equal(p > 0.5, decision > 0)
    assert_allclose(decision, np.log(p / (1 - p)), rtol=1e-6, atol=1e-6)
    predicted = clf.predict(X)
    if form == "lists":
        expected = [tuple(clf.classes_[row]) for row in p > 0.5]
        assert predicted == expected
    else:
        predicted = predicted.toarray() if sp.issparse(predicted) else predicted
        assert_array_equal(predicted, p > 0.5)


@every_strategy
def test_probabilities_are_those_of_each_label(strategy):
    X, Y = make_data()
    clf = make(strategy, max_iter=40).fit(X, Y)
    # Rows do not sum to 1, but to about the number of labels.
    assert np.corrcoef(clf.predict_proba(X).sum(1), Y.sum(1))[0, 1] > 0.9
    assert_allclose(clf.predict_proba(X).sum(), Y.sum(), rtol=0.15)
    assert (clf.predict(X) == Y).mean() > 0.92


@every_strategy
def test_sample_without_labels_and_label_without_samples(strategy):
    X, Y = make_data()
    Y = np.hstack([Y, np.zeros((90, 2), dtype=int)])
    Y[:40] = 0
    clf = make(strategy).fit(X, sp.csr_array(Y))
    p = clf.predict_proba(X)
    assert p.shape == (90, N_LABELS + 2)
    assert p[:, -2:].max() < 0.3


@every_strategy
def test_no_sample_has_a_label(strategy):
    X, _ = make_data()
    clf = make(strategy, max_iter=2).fit(X, np.zeros((90, N_LABELS), dtype=int))
    assert not clf.predict(X).any()
    assert clf.predict_topk(X, k=3)[0].shape == (90, 3)


def test_score_is_subset_accuracy():
    X, Y = make_data()
    clf = fitted()
    assert clf.score(X, Y) == (clf.predict(X) == Y).all(axis=1).mean()
    weight = np.arange(90.0)
    expected = np.average((clf.predict(X) == Y).all(axis=1), weights=weight)
    assert_allclose(clf.score(X, Y, sample_weight=weight), expected)
    assert 0 < expected < 1


def test_score_counts_labels_that_were_not_seen():
    X, _ = make_data()
    clf = make().fit(X, [["a"], [], []] * 30)
    assert clf.predict(X[:3]) == [()] * 3
    # A sample whose only label is unseen is not predicted right.
    assert clf.score(X[:3], [["unseen"], [], []]) == 2 / 3


# ------------------------------------------------------------ training on


def test_partial_fit_of_indicators_needs_no_classes():
    X, Y = make_data()
    clf = make().partial_fit(X[:45], sp.csr_array(Y[:45]))
    clf.partial_fit(X[45:], sp.csr_array(Y[45:]))
    assert_array_equal(clf.classes_, np.arange(N_LABELS))
    assert clf.n_iter_ == 2


def test_partial_fit_of_indicators_with_names():
    X, Y = make_data()
    clf = make().partial_fit(X, Y, classes=list("abcdefghi"))
    assert clf.classes_.tolist() == list("abcdefghi")
    assert clf.predict_topk(X, k=2)[0].dtype.kind == "U"
    assert clf.predict(X).shape == Y.shape


def test_partial_fit_of_lists_without_all_labels():
    X, Y = make_data()
    lists = to_lists(Y, "abcdefghi")
    clf = make().partial_fit(X[2:6], lists[2:6], classes=list("abcdefghi"))
    for start in range(0, 90, 30):
        clf.partial_fit(X[start : start + 30], lists[start : start + 30])
    assert clf.classes_.tolist() == list("abcdefghi")
    assert clf.n_iter_ == 4


def test_partial_fit_of_lists_that_hold_all_labels():
    X, Y = make_data()
    clf = make().partial_fit(X, to_lists(Y, "abcdefghi"))
    assert clf.classes_.tolist() == list("abcdefghi")


def test_dense_and_sparse_indicators_may_be_mixed():
    X, Y = make_data()
    mixed = make().partial_fit(X, Y).partial_fit(X, sp.csr_matrix(Y))
    plain = make().partial_fit(X, Y).partial_fit(X, Y)
    assert_same_weights(mixed, plain)
    # Predictions have the form of the first call.
    assert isinstance(mixed.predict(X), np.ndarray)


def test_warm_start_in_another_form():
    X, Y = make_data()
    clf = make(warm_start=True).fit(X, Y)
    assert isinstance(clf.fit(X, sp.csr_array(Y)).predict(X), sp.csr_array)


def test_unseen_long_label_is_refused():
    X, _ = make_data()
    clf = make().partial_fit(X, [["a"], ["b"], []] * 30, classes=["a", "b"])
    with pytest.raises(ValueError, match="apple"):
        clf.partial_fit(X, [["apple"], ["b"], []] * 30)


def test_unseen_fractional_label_is_refused():
    X, _ = make_data()
    clf = make().partial_fit(X, [[1], [2], []] * 30, classes=[1, 2])
    with pytest.raises(ValueError, match=r"1\.7"):
        clf.partial_fit(X, [[1.7], [2], []] * 30)


def test_partial_fit_of_samples_without_labels():
    X, _ = make_data()
    clf = make().partial_fit(X, [["a"], ["b"], []] * 30, classes=["a", "b"])
    clf.partial_fit(X[:5], [[]] * 5)


def test_partial_fit_keeps_to_lists_of_labels():
    X, _ = make_data()
    # Two labels, 0 and 1: as an indicator, [0, 0] would mean no label.
    clf = make().partial_fit(X, [[0], [1], []] * 30, classes=[0, 1])
    by_list = make().partial_fit(X, [[0], [1], []] * 30, classes=[0, 1])
    clf.partial_fit(X, [[0, 0], [1, 1]] * 45)
    by_list.partial_fit(X, [[0], [1, 1]] * 45)
    assert_same_weights(clf, by_list)
