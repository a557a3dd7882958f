"""Tables in 16 bits on disk."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from skmhe import MHEClassifier
from skmhe.scorers.storage import compacted, restored, round_to_half


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.random((400, 300), np.float32)
    X[X < 0.95] = 0
    return sp.csr_array(X), rng.integers(0, 40, 400)


def _clf(**parameters):
    settings = {"max_iter": 1, "hidden_layer_sizes": (64,), "random_state": 0}
    return MHEClassifier(**settings | parameters)


def weights_of(clf):
    return clf._fitted.model.weights


def test_rounding_keeps_eleven_bits():
    table = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    before = table.copy()
    round_to_half({"table": table})
    assert np.abs(table - before).max() > 0
    np.testing.assert_allclose(table, before, rtol=2**-11)
    assert compacted({"table": table})["table"].dtype == np.float16
    back = restored(compacted({"table": table}))["table"]
    np.testing.assert_array_equal(back, table)
    assert back.dtype == np.float32


@pytest.mark.parametrize("value", [1e5, np.pi, -1e6])
def test_what_half_cannot_hold_is_stored_as_it_is(value):
    table = np.full((64, 64), value, np.float32)
    if abs(value) > 65504:  # float16's largest
        round_to_half([table])
    np.testing.assert_array_equal(table, np.float32(value))
    stored = compacted([table])[0]
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, table)


def test_small_and_other_arrays_are_left_alone():
    small, whole = np.full(10, np.pi, np.float32), np.arange(5000)
    round_to_half([small, whole])
    assert small[0] == np.float32(np.pi)
    assert compacted([small, whole])[0].dtype == np.float32
    assert compacted([small, whole])[1] is whole


@pytest.mark.parametrize(
    ("model", "strategy"),
    [
        (model, strategy)
        for model in ("both", "linear", "network")
        for strategy in ("full", "sampling", "cascade")
        if (model, strategy) != ("linear", "sampling")
    ],
)
def test_a_fitted_estimator_is_stored_without_loss(data, model, strategy):
    X, y = data
    clf = _clf(model=model, strategy=strategy).fit(X, y)
    stored = pickle.dumps(clf)
    back = pickle.loads(stored)
    np.testing.assert_array_equal(clf.predict_proba(X), back.predict_proba(X))
    weights, restored_weights = weights_of(clf), weights_of(back)
    assert restored_weights.keys() == weights.keys()
    for name, weight in weights.items():
        assert restored_weights[name].dtype == weight.dtype
        np.testing.assert_array_equal(restored_weights[name], weight)
    if model == "network":
        assert len(stored) < 0.7 * sum(w.nbytes for w in weights.values())


@pytest.mark.parametrize("going_on", ["partial_fit", "warm_start"])
def test_training_that_goes_on_keeps_full_precision(data, going_on):
    X, y = data
    clf = _clf(warm_start=going_on == "warm_start", learning_rate_init=1e-7)
    if going_on == "partial_fit":
        clf.partial_fit(X, y, classes=np.unique(y))
    else:
        clf.fit(X, y)
    before = weights_of(clf)["backbone.layers.0.weight"].copy()
    clf.partial_fit(X, y) if going_on == "partial_fit" else clf.fit(X, y)
    after = weights_of(clf)["backbone.layers.0.weight"]
    # Steps far below half precision's.
    assert 0 < np.abs(after - before).max() < 1e-5
    assert (after.astype(np.float16) != after).any()
    back = pickle.loads(pickle.dumps(clf))
    stored = weights_of(back)["backbone.layers.0.weight"]
    np.testing.assert_array_equal(stored, after)


def test_classes_in_half_precision_stay_so(data):
    X, y = data
    clf = _clf().fit(X, y.astype(np.float16))
    assert pickle.loads(pickle.dumps(clf)).classes_.dtype == np.float16
