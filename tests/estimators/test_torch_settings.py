"""What users set in torch for other work: it changes no result, and stays set."""

import functools
import pickle
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from estimator_problems import both, dense, model_arrays
from numpy.testing import assert_array_equal
from sklearn.base import clone
from user_modules import N_LABELS, Dense, make, make_data

from skmhe import MHEClassifier, Sampling

X = make_data()[0]
Z = np.eye(N_LABELS)  # of the labels, like the samples
ADDED = np.ones((1, N_LABELS))


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def gradients_off():
    torch.set_grad_enabled(False)
    try:
        yield
    finally:
        torch.set_grad_enabled(True)


@contextmanager
def default_device():
    # It stands for any other: tensors on it have no values.
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def matmul_precision(name):
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


SETTINGS = {
    "float64": functools.partial(default_dtype, torch.float64),
    "float16": functools.partial(default_dtype, torch.float16),
    "bfloat16": functools.partial(default_dtype, torch.bfloat16),
    "set_grad_enabled": gradients_off,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "set_default_device": default_device,
    "device": functools.partial(torch.device, "meta"),
    "autocast": functools.partial(torch.autocast, "cpu", torch.bfloat16),
    "autocast off": functools.partial(torch.autocast, "cpu", enabled=False),
    "deterministic": deterministic,
    "matmul precision": functools.partial(matmul_precision, "medium"),
}
each_setting = pytest.mark.parametrize("setting", SETTINGS)


def torch_settings():
    """Return all that the settings above change."""
    new = torch.empty(0)
    return {
        "dtype": (new.dtype, torch.get_default_dtype()),
        "device": new.device,
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "cache": torch.is_autocast_cache_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
    }


@contextmanager
def within(setting):
    """Enter a setting, and see that it is the same at the end."""
    before = torch_settings()
    with SETTINGS[setting]():
        own = torch_settings()
        assert own != before or setting == "autocast off"
        try:
            yield
        finally:
            assert torch_settings() == own
    assert torch_settings() == before


def seeded_module():
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return Dense(dropout=0.2)


SAMPLING = Sampling(n_sampled_groups=2)
HIDDEN = {"backbone": None, "hidden_layer_sizes": (8,), "dropout": (0.1, 0.2)}
MODELS = {
    "full": HIDDEN | {"strategy": "full"},
    "cascade": HIDDEN | {"strategy": "cascade"},
    "sampling": HIDDEN | {"strategy": SAMPLING},
    "linear": HIDDEN | {"model": "linear"},
    "class": {"backbone__dropout": 0.2, "strategy": "cascade"},
    "instance": {"backbone": seeded_module(), "strategy": SAMPLING},
}
TRAINED = [name for name in MODELS if name != "linear"]
WITH_Z = ["full", "cascade", "sampling"]


def targets(cls, y):
    """Return targets as a class takes them: a sparse indicator for several labels.

    Dense ones are predicted by `decision_function`.
    """
    if cls is MHEClassifier:
        return y
    return sp.csr_array(np.eye(y.max() + 1, dtype=int)[y])


def unfitted(cls, name, **params):
    """Return an estimator of one of the models, and what it is fitted to."""
    base = {"max_iter": 2, "batch_size": 40, "dtype": "float32"}
    clf = make(cls, **base).set_params(**MODELS[name]).set_params(**params)
    given = {"label_features": Z} if name in WITH_Z else {}
    return clf, {"X": X, "y": targets(cls, make_data()[1]), **given}


@functools.cache
def fitted_bytes(cls, name):
    """Return a fitted estimator, which every test loads anew."""
    clf, given = unfitted(cls, name)
    return pickle.dumps(clf.fit(**given))


def arrays_of(clf):
    return [*model_arrays(clf).values(), clf.classes_, clf.loss_curve_]


def fit(cls, name):
    clf, given = unfitted(cls, name)
    found = arrays_of(clf.fit(**given))
    if name != "linear":
        clf = clone(clf).set_params(early_stopping=True)
        found += [*arrays_of(clf.fit(**given)), clf.validation_scores_]
    return found


def partial_fit(cls, name):
    clf, given = unfitted(cls, name)
    clf.partial_fit(**given, classes=np.arange(N_LABELS))
    further = pickle.loads(fitted_bytes(cls, name)).partial_fit(X[:50], given["y"][:50])
    return [*arrays_of(clf), *arrays_of(further)]


def add_labels(cls, name):
    clf = pickle.loads(fitted_bytes(cls, name)).add_labels(ADDED)
    found = [clf.predict_proba(X), *clf.predict_topk(X, 2)]
    clf.partial_fit(X, targets(cls, np.arange(len(X)) % (N_LABELS + 1)))
    return [*found, *arrays_of(clf)]


def prediction(method, cls, name):
    """Return what a method predicts, also in a second call, with what is kept."""
    clf = pickle.loads(fitted_bytes(cls, name))
    found = []
    for rows in (X, X[:3]):
        predicted = getattr(clf, method)(rows)
        found += predicted if isinstance(predicted, tuple) else [dense(predicted)]
    return found


METHODS = {
    "fit": (fit, MODELS),
    "partial_fit": (partial_fit, TRAINED),
    "add_labels": (add_labels, WITH_Z),
    "transform": (functools.partial(prediction, "transform"), TRAINED),
}
METHODS |= {
    method: (functools.partial(prediction, method), MODELS)
    for method in (
        "predict",
        "predict_topk",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
    )
}


@functools.cache
def expected(cls, method, name):
    return METHODS[method][0](cls, name)


def assert_same(found, wanted, name):
    for a, b in zip(found, wanted, strict=True):
        assert_array_equal(a, b, err_msg=name, strict=True)


@pytest.mark.parametrize("method", METHODS)
@each_setting
@both
def test_settings_change_nothing(cls, setting, method):
    run, names = METHODS[method]
    for name in names:
        wanted = expected(cls, method, name)
        fitted_bytes(cls, name)
        with within(setting):
            found = run(cls, name)
        assert_same(found, wanted, name)


@each_setting
@both
def test_what_was_kept_within_a_setting_serves_outside(cls, setting):
    for name in MODELS:
        clf = pickle.loads(fitted_bytes(cls, name))
        with within(setting):
            clf.predict_proba(X)
        assert_same(
            [clf.predict_proba(X)], expected(cls, "predict_proba", name)[:1], name
        )


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("setting", ["autocast", "autocast off"])
def test_training_in_16_bits_within_an_autocast(setting, name):
    # torch keeps rounded weights until the outermost autocast ends: over all steps.
    clf, given = unfitted(MHEClassifier, name, dtype="bfloat16")
    wanted = arrays_of(clf.fit(**given))
    with within(setting):
        found = arrays_of(clf.fit(**given))
    assert_same(found, wanted, name)


@pytest.mark.parametrize("setting", ["inference_mode", "no_grad", "autocast"])
def test_module_that_was_copied_within_a_setting(setting):
    # As searches do. Tensors that are made in inference_mode cannot be trained.
    clf, given = unfitted(MHEClassifier, "instance")
    wanted = arrays_of(clone(clf).fit(**given))
    with within(setting):
        found = arrays_of(clone(clf).fit(**given))
    assert_same(found, wanted, "clone")


class Failing(Dense):
    """Fails in predictions."""

    fails = False

    def forward(self, inputs):
        if Failing.fails:
            raise RuntimeError("no samples today")
        return super().forward(inputs)


@each_setting
@both
def test_settings_stay_after_an_error(cls, setting, monkeypatch):
    clf, given = unfitted(cls, "full", learning_rate_init=1e30)
    with within(setting), pytest.raises(ValueError, match="diverged"):
        clf.fit(**given)
    clf, given = unfitted(cls, "class", backbone__module=Failing)
    clf.fit(**given)
    monkeypatch.setattr(Failing, "fails", True)
    for call in (clf.predict, clf.predict_topk, clf.predict_proba, clf.transform):
        with within(setting), pytest.raises(ValueError, match="no samples today"):
            call(X)
    with within(setting), pytest.raises(ValueError, match="no samples today"):
        clf.partial_fit(**given)


def test_import_does_not_depend_on_settings(tmp_path):
    path = tmp_path / "fitted.pkl"
    code = f"""
import pickle
import torch
torch.set_default_dtype(torch.float64)
torch.set_default_device("meta")
torch.set_grad_enabled(False)
with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
    import skmhe
torch.set_default_dtype(torch.float32)
torch.set_default_device("cpu")
torch.set_grad_enabled(True)
clf, given = pickle.loads({pickle.dumps(unfitted(MHEClassifier, "full"))!r})
clf.fit(**given)
with open({str(path)!r}, "wb") as file:
    pickle.dump((clf, clf.predict_proba(given["X"])), file)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    clf, probabilities = pickle.loads(path.read_bytes())
    wanted = expected(MHEClassifier, "fit", "full")
    assert_same(arrays_of(clf), wanted[: len(arrays_of(clf))], "fit")
    wanted = expected(MHEClassifier, "predict_proba", "full")
    assert_same([probabilities], wanted[:1], "predict_proba")
