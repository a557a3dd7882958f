"""Networks of users, and samples, that do not fit."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from torch import nn
from user_modules import Dense, Images, Scaled, Tokens, make, make_data

from skmhe import Backbone, LabelEncoder, MHEClassifier, MHEMultiLabelClassifier


def no_device(features):
    return features.to("meta")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f[:, :, None], r"puts out \(2, 6, 1\) for 2 samples.*flatten or"),
        (lambda f: f[0], r"puts out \(6,\) for 2 samples"),
        (lambda f: f[:1], r"puts out \(1, 6\) for 2 samples.*one row for each"),
        (lambda f: f[:, :0], r"puts out \(2, 0\) for 2 samples"),
        (lambda f: (f, f), "puts out a tuple"),
        (lambda f: f / 0, "puts out NaN or infinity"),
        (no_device, "puts out .* on the device 'meta' for samples on"),
        (lambda f: f.long(), "puts out torch.int64"),
        (lambda f: f @ f, "failed for 2 samples of shape"),
    ],
)
@pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
def test_what_a_backbone_must_not_do(cls, change, message):
    X, y = make_data(cls=cls)
    clf = make(cls, Scaled(change))
    before = vars(clf).copy()
    with pytest.raises(ValueError, match=f"backbone=Scaled {message}"):
        clf.fit(X, y)
    assert vars(clf) == before


def test_features_are_looked_at_again_in_training():
    calls = []

    def change(features):
        calls.append(len(features))
        return features[: len(features) - (len(calls) > 2)]

    X, y = make_data()
    with pytest.raises(ValueError, match=r"puts out \(19, 6\) for 20 samples"):
        make(module=lambda: Scaled(change)).fit(X, y)


@pytest.mark.parametrize(
    ("module", "backbone", "error", "message"),
    [
        (nn.Flatten(), {}, ValueError, "backbone=Flatten has no parameters"),
        (Dense().to("meta"), {}, ValueError, "is on the device 'meta'"),
        (Dense(), {"width": 3}, ValueError, "backbone__width=3 cannot be set"),
        (Dense, {"wide": 3}, TypeError, "cannot be called with backbone__wide=3"),
        (lambda: 3, {}, TypeError, "made an object of type int, but must be or make"),
        (dict, {}, TypeError, "backbone=dict made an object of type dict, but must be"),
        (max, {}, TypeError, "backbone=max cannot be called with no parameters: max"),
        (5, {}, ValueError, r"of Backbone \(backbone\) must be a callable. Got 5 inst"),
        (Backbone, {}, TypeError, r"backbone=Backbone is a class of .*, Backbone\("),
        (Dense, {"freeze": "third.*"}, ValueError, "'third.*' of backbone__fr"),
        (Dense, {"learning_rate": {"x": 1}}, ValueError, "'x' of backbone__lear"),
        (
            Dense,
            {"learning_rate": {"first.*": 0}},
            ValueError,
            "backbone__learning_rate={'first.*': 0} must have finite rates above 0",
        ),
        (
            Dense,
            {"learning_rate": lambda module: -1},
            ValueError,
            "backbone__learning_rate=-1 must have finite rates above 0, but has -1",
        ),
    ],
)
def test_parameters_that_do_not_fit(module, backbone, error, message):
    X, y = make_data()
    clf = make(module=module, backbone=backbone)
    before = vars(clf).copy()
    with pytest.raises(error, match=message):
        clf.fit(X, y)
    assert vars(clf) == before


def test_a_value_that_is_no_network():
    X, y = make_data()
    match = r"'backbone' parameter of MHEClassifier .* Got 5 .*Pass a torch\.nn\.Module"
    with pytest.raises(ValueError, match=match):
        MHEClassifier(backbone=5).fit(X, y)
    clf = MHEClassifier(label_encoder=LabelEncoder(backbone=5))
    match = r"'backbone' parameter of LabelEncoder \(label_encoder\) .* Pass a torch"
    with pytest.raises(ValueError, match=match):
        clf.fit(X, y)


def test_errors_of_a_constructor_are_its_own():
    X, y = make_data()

    def broken():
        raise TypeError("not a number")

    with pytest.raises(TypeError, match=r"^not a number$"):
        make(module=broken).fit(X, y)


@pytest.mark.parametrize(
    "error", [KeyError("x"), AssertionError("x"), AttributeError("x")]
)
def test_errors_of_any_class_in_a_network_say_where(error):
    def change(features):
        raise error

    X, y = make_data()
    shown = f"{type(error).__name__}: {error}"
    match = rf"backbone=Scaled failed for 2 samples of .*: {shown}\. It must"
    with pytest.raises(ValueError, match=match) as raised:
        make(module=Scaled(change)).fit(X, y)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("none"),
        torch.OutOfMemoryError("none"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        KeyboardInterrupt(),
        UserWarning("as an error"),
    ],
)
def test_what_is_no_error_of_a_network_is_left_as_it_is(error):
    def change(features):
        raise error

    X, y = make_data()
    with pytest.raises(type(error)) as raised:
        make(module=Scaled(change)).fit(X, y)
    assert raised.value is error


@pytest.mark.parametrize("name", ["width", "freeze", "learning_rate"])
def test_there_is_no_backbone_to_set_parameters_of(name):
    clf = clone(MHEClassifier())
    with pytest.raises(ValueError, match=f"backbone__{name} was set, but backbone=Non"):
        clf.set_params(**{f"backbone__{name}": 3})


def test_unknown_keywords():
    with pytest.raises(TypeError, match="no parameter 'max_iterr': did you mean"):
        MHEClassifier(max_iterr=3)
    with pytest.raises(ValueError, match="Invalid parameter 'max_iterr'"):
        MHEClassifier().set_params(max_iterr=3)


@pytest.mark.parametrize(
    ("token", "message"),
    [(20, "X has integers from 0 to 20, but .* has 20 rows"), (-1, "from -1 to")],
)
def test_tokens_out_of_range(token, message):
    X, y = make_data("tokens")
    fitted = make(module=Tokens).fit(X, y)
    X[3, 0] = token
    with pytest.raises(ValueError, match=message):
        make(module=Tokens).fit(X, y)
    with pytest.raises(ValueError, match=message):
        fitted.predict(X)


def test_images_of_integers_are_told_from_tokens():
    X, y = make_data("images")
    with pytest.raises(ValueError, match="as token ids: make floats of other numbers"):
        make(module=Images).fit(X.astype(np.uint8), y)


def test_samples_of_another_form():
    X, y = make_data("images")
    clf = make(module=Images).fit(X, y)
    with pytest.raises(ValueError, match=r"rows of shape \(1, 4, 5\) and type"):
        clf.predict(X.transpose(0, 1, 3, 2))
    X, y = make_data("tokens")
    clf = make(module=Tokens).fit(X, y)
    with pytest.raises(ValueError, match=r"fitted with integers of shape \(7,\)"):
        clf.predict(X.astype(float))
    with pytest.raises(ValueError, match="7 features"):
        clf.predict(X[:, :5])
    X, y = make_data()
    with pytest.raises(ValueError, match="NaN"):
        make().fit(np.where(X > 2, np.nan, X), y)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        make().fit(sp.csr_array(X), y)


def test_numbers_where_a_network_takes_tokens():
    error = "failed for 2 samples .* integers: make token ids of texts, by skmhe.text.T"
    with pytest.raises(ValueError, match=error):
        MHEClassifier(backbone=Tokens(20)).fit(np.ones((6, 3)), [0, 1] * 3)
