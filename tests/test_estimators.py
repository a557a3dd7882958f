"""How both estimators behave: forms of X and y, equalities, seeds, training on."""

import copy
import functools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from _oracles import with_explicit_zeros, with_int64_indices
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

import skmhe
from skmhe import LabelCodec, MHEClassifier, MHEMultiLabelClassifier, _decoding

N_CLASSES, N_FEATURES = 12, 10
SINGLE = ["cascade", "product", "sampling", "full"]
MULTI = ["cascade", "sampling", "full"]
# Every estimator and strategy, the multi-label one on an indicator.
BOTH = [(MHEClassifier, s) for s in SINGLE]
BOTH += [(MHEMultiLabelClassifier, s) for s in MULTI]
both = pytest.mark.parametrize(
    ("cls", "strategy"), BOTH, ids=[f"{c.__name__}-{s}" for c, s in BOTH]
)
single = pytest.mark.parametrize("strategy", SINGLE)


def make(cls=MHEClassifier, strategy="cascade", **params):
    """Return an estimator that learns a tiny task in a moment."""
    base = {
        "hidden_layer_sizes": (16,),
        "dropout": 0.0,
        "input_dropout": 0.0,
        "learning_rate_init": 0.05,
        "batch_size": 32,
        "max_iter": 3,
        "n_sampled_groups": 2,
        "random_state": 0,
        # On every machine: rounded to 16 bits, sums in another order differ by much.
        "precision": "float32",
    }
    return cls(strategy, **(base | params))


def make_data(cls=MHEClassifier, n=96, seed=0):
    """Return separable samples, half of whose entries are 0, and targets.

    Multi-label: the class and the next one; the first 5 samples have no label.
    """
    rng = np.random.RandomState(seed)
    centres = rng.randn(N_CLASSES, N_FEATURES) * 3
    centres[rng.rand(*centres.shape) < 0.4] = 0
    y = rng.permutation(np.arange(n) % N_CLASSES)
    X = centres[y] + 0.3 * rng.randn(n, N_FEATURES) * (centres[y] != 0)
    if cls is MHEClassifier:
        return X, y
    Y = np.zeros((n, N_CLASSES), dtype=int)
    Y[np.arange(n), y] = Y[np.arange(n), (y + 1) % N_CLASSES] = 1
    Y[:5] = 0
    return X, Y


@functools.cache
def fitted(cls=MHEClassifier, strategy="cascade"):
    """Return an estimator that tests of predictions share: they change nothing."""
    return make(cls, strategy).fit(*make_data(cls))


def assert_same_weights(a, b, **tolerance):
    assert a.weights_.keys() == b.weights_.keys()
    for name, weight in a.weights_.items():
        if tolerance:
            assert_allclose(weight, b.weights_[name], err_msg=name, **tolerance)
        else:
            assert_array_equal(weight, b.weights_[name], err_msg=name)


def differ(a, b):
    return any(not np.array_equal(a.weights_[k], b.weights_[k]) for k in a.weights_)


# ------------------------------------------------------------ learning


@single
def test_learns_more_than_the_most_frequent_class(strategy):
    X, y = make_data(n=240)
    clf = make(strategy=strategy, max_iter=12).fit(X[:160], y[:160])
    # Chance is 1 in 12.
    assert clf.score(X[160:], y[160:]) > 0.85
    assert clf.loss_curve_[-1] < clf.loss_curve_[0] / 2


@pytest.mark.parametrize("strategy", MULTI)
def test_multilabel_learns(strategy):
    X, Y = make_data(MHEMultiLabelClassifier, n=240)
    clf = make(MHEMultiLabelClassifier, strategy, max_iter=20).fit(X[:160], Y[:160])
    assert (clf.predict(X[160:]) == Y[160:]).mean() > 0.93
    labels, _ = clf.predict_topk(X[165:], k=2)
    hits = np.take_along_axis(Y[165:], labels, axis=1)
    assert hits.mean() > 0.85


@both
def test_fit_returns_self_and_sets_attributes(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, max_iter=3)
    assert clf.fit(X, y) is clf
    assert_array_equal(clf.classes_, np.arange(N_CLASSES))
    assert isinstance(clf.codec_, LabelCodec)
    assert clf.head_sizes_ == clf.codec_.head_sizes == (4, 3)
    assert clf.n_features_in_ == N_FEATURES
    assert clf.n_iter_ == len(clf.loss_curve_) == 3
    assert clf.loss_ == clf.loss_curve_[-1]
    assert clf.validation_scores_ is None
    assert all(isinstance(w, np.ndarray) for w in clf.weights_.values())


@both
def test_parameters_are_not_changed_by_fit(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, max_iter=1, device="auto")
    before = copy.deepcopy(clf.get_params())
    clf.fit(X, y).predict(X)
    assert clf.get_params() == before


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
    # Two classes: one number a sample, positive for the second.
    decision = clf.decision_function(X)
    assert decision.shape == (len(X),)
    assert_array_equal(decision > 0, clf.predict(X))


def test_order_of_classes_is_sorted_whatever_the_order_of_samples():
    X, y = make_data()
    clf = make(max_iter=1).fit(X, np.array(["b", "c", "a"])[y % 3])
    assert clf.classes_.tolist() == ["a", "b", "c"]


def test_1d_y_makes_both_estimators_the_same():
    X, y = make_data()
    a = fitted(MHEClassifier)
    b = make(MHEMultiLabelClassifier).fit(X, y)
    assert_same_weights(a, b)
    for method in ["predict", "predict_proba", "predict_log_proba"]:
        assert_array_equal(getattr(a, method)(X), getattr(b, method)(X))
    assert_array_equal(a.decision_function(X), b.decision_function(X))
    assert a.score(X, y) == b.score(X, y)
    two = make(MHEClassifier).fit(X, y % 2), make(MHEMultiLabelClassifier).fit(X, y % 2)
    assert_array_equal(two[0].decision_function(X), two[1].decision_function(X))


@both
def test_unfitted_predictions_are_refused(cls, strategy):
    X, _ = make_data()
    for method in ["predict", "predict_topk", "predict_proba", "decision_function"]:
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(make(cls, strategy), method)(X)


# ------------------------------------------------------------ forms of X


def unsorted_with_duplicates(X):
    """Return CSR whose rows are reversed, and hold each value as two halves."""
    rows = sp.csr_matrix(X)
    data, indices = [], []
    for i in range(rows.shape[0]):
        part = slice(rows.indptr[i], rows.indptr[i + 1])
        data += [rows.data[part][::-1] / 2] * 2
        indices += [rows.indices[part][::-1]] * 2
    matrix = sp.csr_matrix(
        (np.concatenate(data), np.concatenate(indices), 2 * rows.indptr), rows.shape
    )
    assert not matrix.has_canonical_format
    return matrix


def read_only_csr(X):
    matrix = sp.csr_matrix(X)
    for array in (matrix.data, matrix.indices, matrix.indptr):
        array.flags.writeable = False
    return matrix


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


DENSE_FORMS = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "F-order": np.asfortranarray,
    "negative strides": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "byte-swapped": lambda X: X.astype(X.dtype.newbyteorder()),
    "byte-swapped float32": lambda X: X.astype(">f4"),
    "read-only": read_only,
    "read-only float32": lambda X: read_only(X.astype(np.float32)),
    "lists": lambda X: X.tolist(),
    "object": lambda X: X.astype(object),
}
SPARSE_FORMS = {
    "csr_matrix": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "csc_matrix": sp.csc_matrix,
    "coo_array": sp.coo_array,
    "lil_matrix": sp.lil_matrix,
    "float32": lambda X: sp.csr_matrix(X.astype(np.float32)),
    "int64 indices": with_int64_indices,
    "unsorted, duplicates": unsorted_with_duplicates,
    "explicit zeros": with_explicit_zeros,
    "read-only": read_only_csr,
}


def content(X):
    """Return copies of all arrays that make up X."""
    if sp.issparse(X):
        if X.format in ("csr", "csc"):
            return [X.data.copy(), X.indices.copy(), X.indptr.copy()]
        X = X.tocoo()
        return [X.data.copy(), *(c.copy() for c in X.coords)]
    return [np.array(X, copy=True)]


def assert_form_is_as_good(cls, X, form):
    """Fit and predict with another form of X: the same result, and X unchanged."""
    X_plain, y = make_data(cls)
    before = content(X)
    plain = fitted(cls)
    other = make(cls).fit(X, y)
    assert_same_weights(plain, other, rtol=1e-3, atol=1e-4)
    for method in ["predict_proba", "predict_log_proba", "decision_function"]:
        # The same network on both forms: only the order of sums differs.
        expected = getattr(plain, method)(X_plain)
        assert_allclose(getattr(plain, method)(X), expected, rtol=1e-4, atol=1e-5)
    assert_array_equal(plain.predict(X), plain.predict(X_plain))
    assert_allclose(plain.predict_topk(X)[1], plain.predict_topk(X_plain)[1], rtol=1e-4)
    other.partial_fit(X, y)
    after = content(X)
    for a, b in zip(before, after, strict=True):
        assert_array_equal(a, b, err_msg=form)


@pytest.mark.parametrize("form", DENSE_FORMS)
def test_forms_of_dense_x(form):
    X, _ = make_data()
    assert_form_is_as_good(MHEClassifier, DENSE_FORMS[form](X), form)


@pytest.mark.parametrize("form", SPARSE_FORMS)
def test_forms_of_sparse_x(form):
    X, _ = make_data()
    assert_form_is_as_good(MHEClassifier, SPARSE_FORMS[form](X), form)


@both
def test_sparse_equals_dense(cls, strategy):
    X, y = make_data(cls)
    # With input dropout, a dense row drops zeros too: other draws, another result.
    dense = fitted(cls, strategy)
    sparse = make(cls, strategy).fit(sp.csr_matrix(X), y)
    assert_same_weights(dense, sparse, rtol=1e-2, atol=1e-3)
    assert_allclose(
        dense.predict_proba(X), sparse.predict_proba(sp.csr_matrix(X)), atol=2e-3
    )
    assert_array_equal(dense.predict(X), sparse.predict(sp.csr_array(X)))


@both
def test_sparse_equals_dense_without_hidden_layers(cls, strategy):
    X, y = make_data(cls)
    # Labels outside of a pool are left alone with dense X; with sparse X, whose
    # features select columns, Adam's moments still move them. So all are drawn.
    options = {"hidden_layer_sizes": (), "max_iter": 3, "n_sampled_groups": 99}
    dense = make(cls, strategy, **options).fit(X, y)
    sparse = make(cls, strategy, **options).fit(sp.csr_matrix(X), y)
    assert_same_weights(dense, sparse, rtol=1e-2, atol=1e-3)
    assert_allclose(
        dense.predict_proba(X), sparse.predict_proba(sp.csr_matrix(X)), atol=2e-3
    )


@pytest.mark.parametrize("sparse", [False, True])
def test_memory_mapped_x(tmp_path, sparse):
    X, y = make_data()
    expected = make(max_iter=2).fit(sp.csr_matrix(X) if sparse else X, y)
    arrays = content(sp.csr_matrix(X) if sparse else X)
    maps = []
    for i, array in enumerate(arrays):
        np.save(tmp_path / f"{i}.npy", array)
        maps.append(np.load(tmp_path / f"{i}.npy", mmap_mode="r"))
    mapped = sp.csr_matrix(tuple(maps), X.shape) if sparse else maps[0]
    clf = make(max_iter=2).fit(mapped, y)
    assert_same_weights(expected, clf)
    assert_array_equal(clf.predict_proba(mapped), expected.predict_proba(mapped))


@pytest.mark.parametrize("hidden_layer_sizes", [(8,), ()])
@both
def test_samples_without_features(cls, strategy, hidden_layer_sizes):
    _, y = make_data(cls)
    nothing = sp.csr_matrix((len(y), N_FEATURES))
    clf = make(cls, strategy, hidden_layer_sizes=hidden_layer_sizes, max_iter=2)
    clf.fit(nothing, y)
    # There is only one thing to learn: how frequent the labels are.
    p = clf.predict_proba(nothing)
    assert np.isfinite(p).all()
    assert_array_equal(p, np.broadcast_to(p[0], p.shape))


@both
def test_targets_are_not_changed(cls, strategy):
    X, y = make_data(cls)
    weight = np.linspace(0.0, 2.0, len(X))
    before = y.copy(), weight.copy()
    for array in (y, weight):
        array.flags.writeable = False
    clf = make(cls, strategy, max_iter=1).fit(X, y, sample_weight=weight)
    clf.partial_fit(X, y, sample_weight=weight).score(X, y, sample_weight=weight)
    assert_array_equal(y, before[0])
    assert_array_equal(weight, before[1])


# ------------------------------------------------------------ pandas


def test_data_frame():
    X, y = make_data()
    columns = [f"feature {i}" for i in range(N_FEATURES)]
    frame = pd.DataFrame(X, columns=columns)
    names = pd.Series(y, index=np.arange(len(y))[::-1]).map(lambda i: f"class {i:02}")
    clf = make().fit(frame, names)
    assert_array_equal(clf.feature_names_in_, columns)
    assert_array_equal(clf.predict_proba(frame), fitted().predict_proba(X))
    assert clf.predict(frame)[0] == f"class {fitted().predict(X)[0]:02}"
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame.rename(columns={"feature 0": "other"}))
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(frame[columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        clf.predict(X)


def test_no_feature_names_without_a_data_frame():
    X, y = make_data()
    clf = make(max_iter=1).fit(pd.DataFrame(X), y)
    assert not hasattr(clf, "feature_names_in_")


@pytest.mark.parametrize("dtype", ["category", "string", object, "int64", "Int64"])
def test_series_of_labels(dtype):
    X, y = make_data()
    if dtype in ("string", object):
        series = pd.Series([f"{i:02}" for i in y], dtype=dtype)
    else:
        series = pd.Series(y).astype(dtype)
    clf = make().fit(X, series)
    assert len(clf.classes_) == N_CLASSES
    assert_array_equal(clf.predict(X).astype(int), fitted().predict(X))


# ------------------------------------------------------------ wide X, many labels


def test_wide_sparse_x_is_never_made_dense(monkeypatch):
    n, n_features = 300, 5_000_000
    rng = np.random.RandomState(0)
    y = rng.randint(6, size=n)
    # Three features a sample, of which the first two tell the class.
    columns = np.column_stack([y * 800_000, y + 7, rng.randint(n_features, size=n)])
    X = sp.csr_matrix(
        (np.ones(3 * n), columns.ravel(), np.arange(n + 1) * 3), (n, n_features)
    )

    def refusing(method):
        def refuse(matrix, *args, **kwargs):
            if max(matrix.shape) > n_features // 10:
                raise AssertionError("a sparse matrix was made dense")
            return method(matrix, *args, **kwargs)

        return refuse

    for owner in {*sp.csr_matrix.__mro__, *sp.csr_array.__mro__, *sp.csc_array.__mro__}:
        for name in ("toarray", "todense"):
            if name in vars(owner):
                monkeypatch.setattr(owner, name, refusing(vars(owner)[name]))
    with pytest.raises(AssertionError, match="made dense"):
        sp.csr_array(X[:2]).todense()  # the trap works
    clf = make(hidden_layer_sizes=(4,), label_order="natural", max_iter=3)
    with LargestTensor() as largest:
        clf.fit(X, y)
        accuracy = np.mean(clf.predict(X) == y)
        clf.predict_topk(X, 2)
    # Nothing larger than the first layer's weights, a 75th of a dense X.
    assert largest.numel <= 4 * n_features
    assert accuracy > 0.8


class LargestTensor(torch.utils._python_dispatch.TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation returned."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor) and value.device.type != "meta":
                stored = value._values() if value.is_sparse else value
                self.numel = max(self.numel, stored.numel())
        return result


@pytest.mark.parametrize(
    ("cls", "strategy"),
    [
        (MHEClassifier, "cascade"),
        (MHEClassifier, "product"),
        (MHEMultiLabelClassifier, "cascade"),
    ],
)
def test_many_labels_are_never_scored_all(cls, strategy, monkeypatch):
    monkeypatch.setattr(_decoding, "BLOCK_SCORES", 2**40)
    n, n_labels = 64, 200_000
    rng = np.random.RandomState(0)
    X = rng.randn(n, 5)
    # Twice each: of more classes than half the samples, scikit-learn warns.
    labels = np.repeat(rng.randint(n_labels, size=n // 2), 2)
    clf = make(cls, strategy, hidden_layer_sizes=(4,), label_order="natural")
    clf.set_params(batch_size=64)
    if cls is MHEClassifier:
        y, options = labels, {"classes": np.arange(n_labels)}
    else:
        y = sp.csr_array((np.ones(n, int), (np.arange(n), labels)), shape=(n, n_labels))
        options = {}
    with LargestTensor() as largest:
        clf.partial_fit(X, y, **options)
        clf.predict_topk(X, k=5)
    # The tables hold 4 numbers a label; a score for every label would be 64.
    assert largest.numel < n * n_labels / 8
    with LargestTensor() as largest:
        clf.predict_proba(X)
    assert largest.numel >= n * n_labels / 8  # what was measured is what it says


# ------------------------------------------------------------ predictions


@both
def test_predicting_changes_nothing(cls, strategy):
    X, _ = make_data(cls)
    clf = fitted(cls, strategy)
    weights = copy.deepcopy(clf.weights_)
    state = {k: v for k, v in vars(clf).items() if k != "weights_"}
    for method in [
        "predict",
        "predict_proba",
        "decision_function",
        "predict_log_proba",
    ]:
        first = getattr(clf, method)(X)
        assert_array_equal(first, getattr(clf, method)(X))
    assert_array_equal(clf.predict_topk(X)[0], clf.predict_topk(X)[0])
    assert vars(clf).keys() == state.keys() | {"weights_"}
    assert all(vars(clf)[name] is value for name, value in state.items())
    for name, weight in weights.items():
        assert_array_equal(weight, clf.weights_[name])


@pytest.mark.parametrize("sparse", [False, True])
@both
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


@both
def test_probabilities(cls, strategy):
    X, _ = make_data(cls)
    clf = fitted(cls, strategy)
    p, log_p = clf.predict_proba(X), clf.predict_log_proba(X)
    assert p.shape == log_p.shape == (len(X), N_CLASSES)
    assert p.dtype == log_p.dtype == np.float64
    assert ((p > 0) & (p < 1)).all()
    assert (log_p < 0).all() or cls is MHEClassifier
    assert_allclose(np.exp(log_p), p, rtol=1e-12, atol=1e-300)
    if cls is MHEClassifier:
        assert_allclose(p.sum(axis=1), 1, rtol=1e-12)


@both
def test_probabilities_stay_inside_the_open_interval(cls, strategy):
    X, _ = make_data(cls)
    clf = fitted(cls, strategy)
    # Samples so far out that every score saturates.
    p = clf.predict_proba(1e6 * X)
    assert ((p > 0) & (p < 1)).all()
    assert np.isfinite(clf.decision_function(1e6 * X)).all()
    assert np.isfinite(clf.predict_topk(1e6 * X, 2)[1]).all()


@both
def test_topk_is_the_best_of_all_probabilities(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, max_iter=3, beam_width=100).fit(X, y)
    p = clf.predict_proba(X)
    for k in [1, 3, N_CLASSES]:
        labels, scores = clf.predict_topk(X, k=k)
        assert labels.shape == scores.shape == (len(X), k)
        assert scores.dtype == np.float64
        assert (np.diff(scores, axis=1) <= 0).all()
        assert_allclose(np.take_along_axis(p, labels, axis=1), scores, rtol=1e-4)
        assert_allclose(-np.sort(-p, axis=1)[:, :k], scores, rtol=1e-4)
        assert all(len(set(row)) == k for row in labels.tolist())


@pytest.mark.parametrize("head_sizes", [(4, 3), (2, 3, 2), (2, 2, 2, 2), (12, 1)])
@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
def test_topk_of_any_tree(cls, head_sizes):
    X, y = make_data(cls)
    clf = make(cls, head_sizes=head_sizes, max_iter=2, beam_width=100).fit(X, y)
    labels, scores = clf.predict_topk(X, k=5)
    p = clf.predict_proba(X)
    assert_allclose(-np.sort(-p, axis=1)[:, :5], scores, rtol=1e-4)
    assert_allclose(np.take_along_axis(p, labels, axis=1), scores, rtol=1e-4)


@pytest.mark.parametrize("beam_width", [1, 2, 100])
@single
def test_predict_is_the_most_probable_class(strategy, beam_width):
    X, y = make_data()
    # Hardly trained, so that the best prefix is often not that of the best class.
    clf = make(strategy=strategy, max_iter=1, label_order="random").fit(X, y)
    clf.beam_width = beam_width
    p = clf.predict_proba(X)
    assert_array_equal(clf.predict(X), clf.classes_[p.argmax(axis=1)])
    assert_array_equal(clf.decision_function(X).argmax(axis=1), p.argmax(axis=1))
    if beam_width == 100:
        assert_array_equal(clf.predict_topk(X, k=1)[0][:, 0], clf.predict(X))


def test_a_narrow_beam_misses_what_predict_finds():
    # Otherwise the test above would tell nothing about exactness.
    X, y = make_data(n=240)
    clf = make(max_iter=3, label_order="random", model="network").fit(X, y)
    clf.beam_width = 1
    X = np.random.RandomState(1).randn(500, N_FEATURES)
    first = clf.predict_topk(X, k=1)[0][:, 0]
    assert (first != clf.predict(X)).any()


def test_topk_of_labels_in_another_order():
    X, y = make_data()
    by_order = {
        order: make(label_order=order, max_iter=2).fit(X, y)
        for order in ["natural", "random", "frequency", "cluster"]
    }
    for order, clf in by_order.items():
        labels, scores = clf.predict_topk(X, k=4)
        p = clf.predict_proba(X)
        assert_allclose(
            np.take_along_axis(p, labels, axis=1), scores, rtol=1e-4, err_msg=order
        )


# ------------------------------------------------------------ random numbers


@both
def test_same_seed_same_result(cls, strategy):
    X, y = make_data(cls)
    options = {"dropout": 0.2, "input_dropout": 0.1, "max_iter": 2}
    a, b = (make(cls, strategy, **options).fit(X, y) for _ in range(2))
    assert_same_weights(a, b)
    assert a.loss_curve_ == b.loss_curve_
    assert_same_weights(a, a.fit(X, y))  # also in the next call of the same
    other = make(cls, strategy, **options | {"random_state": 1}).fit(X, y)
    assert differ(a, other)


@both
def test_random_state_instance(cls, strategy):
    X, y = make_data(cls)
    a = make(cls, strategy, random_state=np.random.RandomState(3)).fit(X, y)
    rng = np.random.RandomState(3)
    b = make(cls, strategy, random_state=rng).fit(X, y)
    assert_same_weights(a, b)
    # An instance goes on, so that the next fit draws other numbers.
    assert differ(a, make(cls, strategy, random_state=rng).fit(X, y))


@pytest.mark.parametrize("seed", [0, "instance"])
@both
def test_global_random_states_are_left_alone(cls, strategy, seed):
    X, y = make_data(cls)
    random_state = np.random.RandomState(0) if seed == "instance" else seed
    clf = make(
        cls,
        strategy,
        dropout=0.2,
        label_order="random",
        early_stopping=True,
        max_iter=2,
        random_state=random_state,
    )
    torch_state = torch.get_rng_state()
    numpy_state = np.random.get_state()[1:3]  # noqa: NPY002
    clf.fit(X, y)
    clf.partial_fit(X, y)
    clf.predict(X)
    clf.predict_proba(X)
    clf.predict_topk(X)
    assert torch.equal(torch.get_rng_state(), torch_state)
    keys, position = np.random.get_state()[1:3]  # noqa: NPY002
    assert_array_equal(keys, numpy_state[0])
    assert position == numpy_state[1]


def test_result_does_not_depend_on_the_global_generators():
    X, y = make_data()
    a = make(dropout=0.2, max_iter=2).fit(X, y)
    torch.rand(3)
    np.random.rand(3)  # noqa: NPY002
    assert_same_weights(a, make(dropout=0.2, max_iter=2).fit(X, y))


def test_a_failed_fit_restores_the_global_generator_of_torch():
    X, y = make_data()
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="diverged"):
        make(dropout=0.2, learning_rate_init=1e30).fit(X, y)
    assert torch.equal(torch.get_rng_state(), state)


# ------------------------------------------------------------ partial_fit


def partial_classes(cls):
    return {"classes": np.arange(N_CLASSES)} if cls is MHEClassifier else {}


@both
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


@both
def test_partial_fit_keeps_the_optimisers_state(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy).partial_fit(X, y, **partial_classes(cls))
    forgetful = copy.deepcopy(clf)
    forgetful._optimizer_state = None
    clf.partial_fit(X, y)
    forgetful.partial_fit(X, y)
    assert differ(clf, forgetful)


@both
def test_partial_fit_is_repeatable(cls, strategy):
    X, y = make_data(cls)

    def train():
        clf = make(cls, strategy, dropout=0.2)
        for _ in range(3):
            clf.partial_fit(X, y, **partial_classes(cls))
        return clf

    assert_same_weights(train(), train())


@both
def test_partial_fit_goes_on_after_fit(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, max_iter=2).fit(X, y)
    losses = clf.loss_curve_
    clf.partial_fit(X, y)
    assert clf.n_iter_ == 3
    assert clf.loss_curve_[:2] == losses
    assert clf.loss_ < losses[0]
    # A new fit starts anew.
    assert_same_weights(clf.fit(X, y), make(cls, strategy, max_iter=2).fit(X, y))


def test_partial_fit_trains_one_epoch_at_a_constant_rate():
    X, y = make_data()
    clf = make(max_iter=50, learning_rate="linear", early_stopping=True)
    clf.partial_fit(X, y, classes=np.arange(N_CLASSES))
    assert clf.n_iter_ == 1
    assert clf.validation_scores_ is None
    constant = make(learning_rate="constant", max_iter=1)
    constant.partial_fit(X, y, classes=np.arange(N_CLASSES))
    assert_same_weights(clf, constant)


@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
def test_a_copy_trains_on_its_own(cls):
    X, y = make_data(cls)
    clf = make(cls).partial_fit(X, y, **partial_classes(cls))
    weights = copy.deepcopy(clf.weights_)
    copy.deepcopy(clf).partial_fit(X, y).fit(X, y)
    for name, weight in weights.items():
        assert_array_equal(weight, clf.weights_[name])


def test_partial_fit_follows_a_changed_learning_rate():
    X, y = make_data()
    clf = make(learning_rate_init=0.01).partial_fit(X, y, classes=range(N_CLASSES))
    before = copy.deepcopy(clf.weights_)
    clf.set_params(learning_rate_init=1e-30).partial_fit(X, y)
    for name, weight in before.items():
        assert_allclose(weight, clf.weights_[name], atol=1e-12)


@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
def test_beam_width_may_be_changed_before_training_on(cls):
    X, y = make_data(cls)
    clf = make(cls, max_iter=1).fit(X, y)
    clf.set_params(beam_width=3).partial_fit(X, y)
    assert clf.n_iter_ == 2


# ------------------------------------------------------------ warm start


@both
def test_warm_start_goes_on(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, warm_start=True, max_iter=3).fit(X, y)
    first = clf.loss_curve_
    order = clf.codec_.order
    clf.fit(X, y)
    assert clf.loss_curve_[0] < first[0]
    assert clf.loss_ < first[-1]
    assert clf.n_iter_ == 3
    assert clf.codec_.order is order


@pytest.mark.parametrize("before", [0.0, 0.2])
def test_dropout_may_be_changed_before_training_on(before):
    X, y = make_data()
    names = ["dropout", "input_dropout"]
    options = {"hidden_layer_sizes": (8, 4), "max_iter": 1, "warm_start": True}
    clf = make(**options, **dict.fromkeys(names, before)).fit(X, y)
    clf.set_params(**dict.fromkeys(names, 0.2 - before))
    clf.fit(X, y).partial_fit(X, y)
    assert clf.n_iter_ == 2


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


# ------------------------------------------------------------ weights of samples


@both
def test_a_sample_of_weight_zero_is_as_good_as_absent(cls, strategy):
    X, y = make_data(cls)
    # Every third sample, all labels still occurring among the others.
    weight = np.ones(len(X))
    weight[::3] = 0
    options = {"dropout": 0.1, "early_stopping": True, "max_iter": 3}
    weighted = make(cls, strategy, **options).fit(X, y, sample_weight=weight)
    kept = weight > 0
    left_out = make(cls, strategy, **options).fit(X[kept], y[kept])
    assert_same_weights(weighted, left_out, rtol=1e-6, atol=1e-7)
    assert weighted.validation_scores_ == left_out.validation_scores_


def test_a_sample_of_weight_zero_does_not_count_for_auto_batches():
    rng = np.random.RandomState(0)
    X, y = rng.randn(1200, 3), np.arange(1200) % 3
    weight = (np.arange(1200) < 600).astype(float)
    options = {"batch_size": "auto", "max_iter": 1, "hidden_layer_sizes": (4,)}
    weighted = make(**options).fit(X, y, sample_weight=weight)
    left_out = make(**options).fit(X[:600], y[:600])
    assert_same_weights(weighted, left_out, rtol=1e-6, atol=1e-7)


@both
def test_sample_weight_has_an_effect(cls, strategy):
    X, y = make_data(cls)
    weight = np.random.RandomState(0).uniform(0.5, 2, len(X))
    weighted = make(cls, strategy).fit(X, y, sample_weight=weight)
    assert differ(weighted, fitted(cls, strategy))


@both
def test_weights_of_one_are_no_weights(cls, strategy):
    X, y = make_data(cls)
    ones = make(cls, strategy).fit(X, y, sample_weight=np.ones(len(X)))
    assert_same_weights(ones, fitted(cls, strategy))


@both
def test_scale_of_the_weights_means_nothing(cls, strategy):
    X, y = make_data(cls)
    X, y = X[30:], y[30:]  # so that the labels are not equally frequent
    # A power of 2, so that not even rounding differs; their sum is less than 1.
    weight = np.full(len(X), 2.0**-10)
    scaled = make(cls, strategy).fit(X, y, sample_weight=weight)
    assert_same_weights(scaled, make(cls, strategy).fit(X, y))


@single
def test_weights_decide_between_contradicting_samples(strategy):
    X = np.tile(np.eye(4), (20, 1))
    # Each sample occurs with the right class and, just as often, with class 0.
    y = np.where(np.arange(80) // 4 % 2, np.tile(np.arange(4), 20), 0)
    right = y == np.tile(np.arange(4), 20)
    clf = make(strategy=strategy, max_iter=20)
    clf.fit(X, y, sample_weight=np.where(right, 20, 1))
    assert_array_equal(clf.predict(np.eye(4)), [0, 1, 2, 3])
    clf.fit(X, y, sample_weight=np.where(y == 0, 20, 1))
    assert_array_equal(clf.predict(np.eye(4)), [0, 0, 0, 0])


def test_multilabel_sample_weight():
    X = np.tile(np.eye(4), (20, 1))
    Y = np.zeros((80, 4), dtype=int)
    half = np.arange(80) // 4 % 2 == 1
    Y[half] = X[half].astype(int)
    clf = make(MHEMultiLabelClassifier, max_iter=30)
    clf.fit(X, Y, sample_weight=np.where(half, 20, 1))
    assert_array_equal(clf.predict(np.eye(4)), np.eye(4))
    clf.fit(X, Y, sample_weight=np.where(half, 1, 20))
    assert_array_equal(clf.predict(np.eye(4)), np.zeros((4, 4)))


def test_score_takes_sample_weight():
    X, y = make_data()
    clf = make().fit(X, y)
    wrong = np.where(np.arange(len(y)) < 48, y, (y + 1) % N_CLASSES)
    weight = (np.arange(len(y)) < 48).astype(float)
    assert clf.score(X, wrong, sample_weight=weight) == clf.score(X[:48], y[:48])
    assert clf.score(X, wrong, sample_weight=weight) > clf.score(X, wrong)


# ------------------------------------------------------------ small things


@pytest.mark.parametrize(("n_classes", "n_heads"), [(2, 2), (2, 5), (5, 3)])
@single
def test_few_classes(strategy, n_classes, n_heads):
    X, y = make_data()
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


def test_many_classes_of_few_samples_are_nothing_to_warn_of():
    X, _ = make_data()
    make(max_iter=1).partial_fit(X, np.arange(96), classes=np.arange(100))


@pytest.mark.parametrize(
    "scale",
    [
        pytest.param(
            1e-12,
        ),
        1e-3,
        1e3,
        1e12,
    ],
)
def test_scale_of_x_means_nothing(scale):
    X, y = make_data()
    scaled = make().fit(scale * X, y)
    assert_allclose(
        scaled.predict_proba(scale * X), fitted().predict_proba(X), atol=0.02
    )


def test_version_and_public_names():
    assert set(skmhe.__all__) == {
        "LabelCodec",
        "MHEClassifier",
        "MHEMultiLabelClassifier",
        "__version__",
    }
    assert isinstance(skmhe.__version__, str)


def test_tags():
    assert MHEClassifier().__sklearn_tags__().input_tags.sparse
    assert not MHEClassifier().__sklearn_tags__().classifier_tags.multi_label
    tags = MHEMultiLabelClassifier().__sklearn_tags__()
    assert tags.input_tags.sparse
    assert tags.classifier_tags.multi_label
    product = MHEMultiLabelClassifier("product").__sklearn_tags__()
    assert not product.classifier_tags.multi_label
