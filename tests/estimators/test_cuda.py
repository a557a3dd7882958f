"""Estimators learn on a CUDA device what they learn on the CPU; skipped without one."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from estimator_problems import (
    CLASSES,
    N_CLASSES,
    assert_close_models,
    assert_same_model,
    dense,
    every,
    make,
    make_data,
    partial_classes,
)
from label_feature_problems import N_OLD, old_data
from label_feature_problems import make as make_with_features

import skmhe.io
from skmhe import MHEClassifier, Sampling
from skmhe.scorers import network

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch finds no CUDA device"
)
both = pytest.mark.parametrize("cls", CLASSES)
forms = pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=str)
# Sums in another order.
CLOSE = {"rtol": 1e-3, "atol": 1e-4}


def on(device, clf):
    """Return an equal estimator, fitted or not, for a device."""
    return copy.deepcopy(clf).set_params(device=device)


def assert_close_predictions(a, b, X):
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), **CLOSE)
    np.testing.assert_array_equal(dense(a.predict(X)), dense(b.predict(X)))
    found, expected = a.predict_topk(X, 3), b.predict_topk(X, 3)
    np.testing.assert_allclose(found[1], expected[1], **CLOSE)


def without_drawn_groups(strategy):
    """Return a strategy that learns without random numbers of the device."""
    return Sampling(n_sampled_groups=N_CLASSES) if strategy == "sampling" else strategy


@forms
@every
def test_fits_and_predictions(cls, strategy, form):
    X, y = make_data(cls)
    X = form(X)
    clf = make(cls, without_drawn_groups(strategy), model="network")
    fitted = {device: on(device, clf).fit(X, y) for device in ("cpu", "cuda")}
    assert_close_models(fitted["cuda"], fitted["cpu"], **CLOSE)
    assert_close_predictions(fitted["cuda"], fitted["cpu"], X)


@every
def test_defaults(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, model="both", max_iter=30, dtype="auto").fit(X, y)
    assert clf.score(X, y) > 0.9
    # What was fitted on one device predicts on any other one.
    on_cpu = on("cpu", clf)
    assert_same_model(on_cpu, clf)
    assert_close_predictions(on_cpu, clf, X)


@every
def test_fits_are_the_same_again(cls, strategy):
    X, y = make_data(cls)
    clf = make(cls, strategy, model="network", dropout=0.3, device="cuda")
    assert_close_models(copy.deepcopy(clf).fit(X, y), clf.fit(X, y), **CLOSE)


@both
def test_further_training(cls):
    X, y = make_data(cls)
    clf = make(cls, "full", model="network", device="cuda")
    for _ in range(2):
        clf.partial_fit(X, y, **partial_classes(cls))
    twin = on("cpu", make(cls, "full", model="network"))
    for _ in range(2):
        twin.partial_fit(X, y, **partial_classes(cls))
    assert_close_models(clf, twin, **CLOSE)


@both
def test_early_stopping_and_calibration(cls):
    X, y = make_data(cls, n=240)
    clf = make(cls, early_stopping=True, max_iter=20, device="cuda").fit(X, y)
    assert 0 < clf.n_iter_ <= 20
    assert clf.score(X, y) > 0.7


@both
@pytest.mark.parametrize("strategy", ["full", "cascade"])
def test_features_of_labels(cls, strategy, monkeypatch):
    # What is dropped of labels' words is drawn on the device.
    monkeypatch.setattr(network, "BAG_DROPOUT", 0.0)
    X, y, Z = old_data(cls)
    clf = make_with_features(cls, strategy, dtype="float32", dropout=0.0)
    fitted = {
        device: on(device, clf).fit(X, y, label_features=Z[:N_OLD])
        for device in ("cpu", "cuda")
    }
    assert_close_models(fitted["cuda"], fitted["cpu"], **CLOSE)
    assert_close_predictions(fitted["cuda"], fitted["cpu"], X)
    later_names = np.arange(N_OLD, len(Z)) if cls is MHEClassifier else None
    for later in fitted.values():
        later.add_labels(Z[N_OLD:], later_names)
    assert_close_predictions(fitted["cuda"], fitted["cpu"], X)


@both
def test_copies_and_files(cls, tmp_path):
    X, y = make_data(cls)
    clf = make(cls, device="cuda").fit(X, y)
    assert_same_model(pickle.loads(pickle.dumps(clf)), clf)
    skmhe.io.save(clf, tmp_path / "model", compact=False)
    loaded = skmhe.io.load(tmp_path / "model", device="cpu")
    assert loaded.device == "cpu"
    assert_close_predictions(loaded, clf, X)


@both
def test_own_network(cls):
    X, y = make_data(cls)
    net = torch.nn.Sequential(torch.nn.Linear(X.shape[1], 16), torch.nn.ReLU())
    clf = make(cls, backbone=net, model="network", device="cuda", max_iter=30)
    clf.fit(X.astype(np.float32), y)
    assert clf.score(X.astype(np.float32), y) > 0.9
    # The user's own module stays where it is.
    assert {p.device.type for p in net.parameters()} == {"cpu"}


def test_random_numbers_of_users_stay_as_they_are():
    X, y = make_data()
    torch.cuda.manual_seed(0)
    before = torch.cuda.get_rng_state()
    make(device="cuda", dropout=0.3).fit(X, y)
    assert torch.equal(torch.cuda.get_rng_state(), before)
