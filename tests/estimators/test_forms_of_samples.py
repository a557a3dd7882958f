"""Forms of X: the same result from each of them, and none is changed."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from data_forms import DENSE_SAMPLES, SPARSE_SAMPLES, content
from estimator_problems import (
    N_FEATURES,
    assert_close_models,
    assert_same_model,
    every,
    fitted,
    make,
    make_data,
)
from numpy.testing import assert_allclose, assert_array_equal

from skmhe import MHEClassifier

FORMS = {f"dense, {name}": form for name, form in DENSE_SAMPLES.items()}
FORMS |= {f"sparse, {name}": form for name, form in SPARSE_SAMPLES.items()}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_as_good(form):
    X_plain, y = make_data()
    X = FORMS[form](X_plain)
    before = content(X)
    plain = fitted()
    other = make().fit(X, y)
    assert_close_models(plain, other, rtol=1e-3, atol=1e-4)
    for method in ["predict_proba", "predict_log_proba", "decision_function"]:
        # The same model on both forms: only the order of sums differs.
        expected = getattr(plain, method)(X_plain)
        assert_allclose(getattr(plain, method)(X), expected, rtol=1e-4, atol=1e-5)
    assert_array_equal(plain.predict(X), plain.predict(X_plain))
    assert_allclose(plain.predict_topk(X)[1], plain.predict_topk(X_plain)[1], rtol=1e-4)
    other.partial_fit(X, y)
    for a, b in zip(before, content(X), strict=True):
        assert_array_equal(a, b)


@every
def test_sparse_equals_dense(cls, strategy):
    X, y = make_data(cls)
    # With input dropout, a dense row drops zeros too: other draws, another result.
    dense = fitted(cls, strategy)
    sparse = make(cls, strategy).fit(sp.csr_matrix(X), y)
    assert_close_models(dense, sparse, rtol=1e-2, atol=1e-3)
    assert_allclose(
        dense.predict_proba(X), sparse.predict_proba(sp.csr_matrix(X)), atol=2e-3
    )
    assert_array_equal(dense.predict(X), sparse.predict(sp.csr_array(X)))


@every
def test_sparse_equals_dense_without_hidden_layers(cls, strategy):
    X, y = make_data(cls)
    options = {"hidden_layer_sizes": (), "max_iter": 3}
    dense = make(cls, strategy, **options).fit(X, y)
    sparse = make(cls, strategy, **options).fit(sp.csr_matrix(X), y)
    if strategy in ("cascade", "sampling"):
        # A step has rows of weights of some labels. With sparse X, it has columns of
        # some features, and the optimizer moments of each weight instead of each row.
        assert dense.score(X, y) == pytest.approx(sparse.score(X, y), abs=0.1)
        return
    assert_close_models(dense, sparse, rtol=1e-2, atol=1e-3)
    assert_allclose(
        dense.predict_proba(X), sparse.predict_proba(sp.csr_matrix(X)), atol=2e-3
    )


@pytest.mark.parametrize("sparse", [False, True])
def test_memory_maps(tmp_path, sparse):
    X, y = make_data()
    expected = make(max_iter=2).fit(sp.csr_matrix(X) if sparse else X, y)
    arrays = content(sp.csr_matrix(X) if sparse else X)
    maps = []
    for i, array in enumerate(arrays):
        np.save(tmp_path / f"{i}.npy", array)
        maps.append(np.load(tmp_path / f"{i}.npy", mmap_mode="r"))
    mapped = sp.csr_matrix(tuple(maps), X.shape) if sparse else maps[0]
    clf = make(max_iter=2).fit(mapped, y)
    assert_same_model(expected, clf)
    assert_array_equal(clf.predict_proba(mapped), expected.predict_proba(mapped))


@pytest.mark.parametrize("hidden_layer_sizes", [(8,), ()])
@every
def test_samples_without_features(cls, strategy, hidden_layer_sizes):
    _, y = make_data(cls)
    nothing = sp.csr_matrix((len(y), N_FEATURES))
    clf = make(cls, strategy, hidden_layer_sizes=hidden_layer_sizes, max_iter=2)
    clf.fit(nothing, y)
    # There is only one thing to learn: how frequent the labels are.
    p = clf.predict_proba(nothing)
    assert np.isfinite(p).all()
    assert_array_equal(p, np.broadcast_to(p[0], p.shape))


@every
def test_targets_and_weights_are_not_changed(cls, strategy):
    X, y = make_data(cls)
    weight = np.linspace(0.0, 2.0, len(X))
    before = y.copy(), weight.copy()
    for array in (y, weight):
        array.flags.writeable = False
    clf = make(cls, strategy, max_iter=1).fit(X, y, sample_weight=weight)
    clf.partial_fit(X, y, sample_weight=weight).score(X, y, sample_weight=weight)
    assert_array_equal(y, before[0])
    assert_array_equal(weight, before[1])


def test_data_frames():
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
    clf = make(MHEClassifier, max_iter=1).fit(pd.DataFrame(X), y)
    assert not hasattr(clf, "feature_names_in_")
