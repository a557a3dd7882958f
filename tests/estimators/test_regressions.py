"""Faults that were found in reviews."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skmhe import LabelEncoder, MHEClassifier, MHEMultiLabelClassifier
from skmhe.scorers.own_labels import own_labels


def make_sparse(n=120, n_features=300, n_labels=12):
    X = sp.random(n, n_features, 0.1, "csr", np.float32, random_state=0)
    return X, np.arange(n) % n_labels


def test_dense_samples_after_a_fit_to_sparse_ones():
    # More features than the dense block of centroids has.
    X, y = make_sparse()
    clf = MHEClassifier("sampling", max_iter=1, random_state=0).fit(X, y)
    dense = X.toarray()
    assert_allclose(clf.predict_proba(dense), clf.predict_proba(X), atol=1e-6)
    assert_array_equal(clf.predict_topk(dense, 3)[0], clf.predict_topk(X, 3)[0])
    clf.partial_fit(dense, y)


@pytest.mark.parametrize("model", ["linear", "both"])
def test_an_indicator_of_one_column(model):
    X, y = make_sparse(n_labels=2)
    Y = y[:, None] * np.ones((1, 1), int)
    Y = sp.csr_array(Y)
    clf = MHEMultiLabelClassifier(model=model, max_iter=1, random_state=0).fit(X, Y)
    assert clf._fitted.model.linear is not None
    assert clf.predict_proba(X).shape == (len(y), 1)


def test_a_single_group_of_sampling_grows():
    X, y = make_sparse()
    clf = MHEClassifier("sampling", n_heads=1, max_iter=1, random_state=0)
    Z = X[:12]
    clf.fit(X, y, label_features=Z).add_labels(X[12:13])
    assert_array_equal(clf.partial_fit(X, y).classes_, np.arange(13))


def test_loss_of_an_earlier_fit_is_forgotten():
    X, y = make_sparse()
    clf = MHEClassifier(max_iter=1, random_state=0).fit(X, y)
    assert clf.set_params(model="linear").fit(X, y).loss_ is None


def test_a_label_whose_samples_have_no_weight_is_set_aside():
    X, y = make_sparse()
    weight = (y != 3).astype(float)
    params = {"max_iter": 1, "random_state": 0}
    Z = X[:12]
    weighted = MHEClassifier(**params).fit(X, y, weight, label_features=Z)
    rows = np.flatnonzero(weight)
    absent = MHEClassifier(**params).fit(X[rows], y[rows], label_features=Z)
    assert_array_equal(weighted.predict_proba(X), absent.predict_proba(X))


def test_a_warm_start_keeps_the_label_features():
    X, y = make_sparse()
    for loss_weight in (0.0, 0.1):
        clf = MHEClassifier(
            max_iter=1,
            warm_start=True,
            random_state=0,
            label_encoder=LabelEncoder(loss_weight=loss_weight),
        )
        clf.fit(X, y, label_features=X[:12]).fit(X, y)
        assert clf._fitted.model.label_features is not None


def test_rows_of_zeros_are_no_label_of_their_own():
    X, Z = np.zeros((3000, 2)), np.zeros((3000, 2))
    X[1], Z[2] = [1, 0], [1, 0]
    assert own_labels(X, Z).tocoo().coords[0].tolist() == [1]
    assert own_labels(X, Z).nnz == 1


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_names_of_more_labels_than_their_type_holds(dtype):
    X, y = make_sparse()
    y = np.where(y == 11, np.iinfo(dtype).max, y).astype(dtype)
    clf = MHEClassifier(max_iter=1, random_state=0).fit(X, y, label_features=X[:12])
    last = int(np.iinfo(dtype).max)
    assert clf.add_labels(X[12:14]).classes_[-2:].tolist() == [last + 1, last + 2]
    y = make_sparse()[1].astype(dtype)
    clf.fit(X, y, label_features=np.eye(300, 300))
    assert_array_equal(clf.classes_, np.arange(300))


def test_transform_follows_what_was_fitted():
    X, y = make_sparse()
    deep = MHEClassifier(hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    linear = MHEClassifier(model="linear").fit(X, y).set_params(model="both")
    for name in ("transform", "fit_transform", "get_feature_names_out"):
        assert hasattr(deep, name)
        assert not hasattr(linear, name)
    deep.fit(X, y).set_params(model="linear", hidden_layer_sizes=())
    assert deep.transform(X).shape == (len(y), 4)
    assert len(deep.get_feature_names_out()) == 4


@pytest.mark.parametrize("sizes", [{"n_heads": 3}, {"head_sizes": (40, 30)}])
def test_groups_of_codes_that_name_no_label(sizes):
    rng = np.random.RandomState(0)
    X = sp.random(600, 200, 0.05, "csr", np.float32, random_state=0)
    cells = np.arange(600), np.r_[np.arange(601 - 100), rng.randint(0, 601, 99)]
    Y = sp.csr_array((np.ones(600, int), cells), shape=(600, 601))
    clf = MHEMultiLabelClassifier("sampling", max_iter=1, random_state=0, **sizes)
    labels, _ = clf.fit(X, Y).predict_topk(X, 5)
    assert labels.max() < 601


def test_a_backbone_that_writes_to_its_inputs():
    X = np.random.RandomState(0).randn(40, 3).astype(np.float32)
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 4))
    before = X.copy()
    clf = MHEClassifier(backbone=module, max_iter=1).fit(X, np.arange(40) % 5)
    for method in (clf.predict, clf.predict_topk, clf.predict_proba, clf.transform):
        method(X)
    assert_array_equal(X, before)
