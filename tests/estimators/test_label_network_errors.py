"""Networks of labels alone, and features of labels, that do not fit.

Errors name the argument that the network was passed as, and not the estimator's own
`backbone`, which there may be none of.
"""

import re

import numpy as np
import pytest
from torch import nn
from user_modules import Dense, Scaled, Tokens

from skmhe import Backbone, LabelEncoder, MHEClassifier, Parts

N_LABELS, WIDTH = 4, 6
RNG = np.random.RandomState(0)
X, Y = RNG.rand(24, 3), np.arange(24) % N_LABELS
Z = RNG.rand(N_LABELS, WIDTH)
TOKENS = RNG.randint(20, size=(N_LABELS, 5))


def make(module, backbone=None, **params):
    encoder = LabelEncoder(backbone=Backbone(module, **(backbone or {})))
    return MHEClassifier(label_encoder=encoder, max_iter=1, random_state=0, **params)


def error_of(use, kind=ValueError):
    """Return the message of an error; it names no arguments that have no part in it."""
    with pytest.raises(kind) as raised:
        use()
    message = str(raised.value)
    assert "backbone" not in message.replace("label_encoder__backbone", "")
    assert " X" not in message and "samples" not in message
    return message


@pytest.mark.parametrize(
    ("module", "backbone", "kind", "expected"),
    [
        (
            nn.Identity(),
            {},
            ValueError,
            "label_encoder__backbone=Identity has no parameters: there is nothing to "
            "train or to keep. Use label_encoder__backbone=None for a first layer of "
            "label_features.",
        ),
        (
            Dense,
            {"wide": 3},
            TypeError,
            "label_encoder__backbone=Dense cannot be called with "
            "label_encoder__backbone__wide=3: Dense.__init__() got an unexpected "
            "keyword argument 'wide'. Set its parameters by "
            "label_encoder__backbone=Backbone(Dense, <name>=value), or "
            "label_encoder__backbone__<name> in set_params.",
        ),
        (
            Dense(),
            {"width": 3},
            ValueError,
            "label_encoder__backbone__width=3 cannot be set: label_encoder__backbone="
            "Dense is a module that is made already. Pass its class, or a function "
            "that makes it.",
        ),
        (
            dict,
            {},
            TypeError,
            "label_encoder__backbone=dict made an object of type dict, but must be or "
            "make a torch.nn.Module: pass a module, or a class or function that makes "
            "one.",
        ),
        (
            5,
            {},
            ValueError,
            "The 'module' parameter of Backbone (label_encoder__backbone) must be a "
            "callable. Got 5 instead. Pass a torch.nn.Module, a class or function",
        ),
        (
            lambda freeze=1: Dense(),
            {},
            ValueError,
            "label_encoder__backbone=<lambda> has a parameter 'freeze', but",
        ),
        (Dense().to("meta"), {}, ValueError, "label_encoder__backbone=Dense is on the"),
        (
            Dense,
            {"freeze": "third.*"},
            ValueError,
            "the pattern 'third.*' of label_encoder__backbone__freeze matches none of "
            "the network's 6 parameters, such as first.weight, ",
        ),
        (
            Dense,
            {"freeze": lambda module: ["third"]},
            ValueError,
            "the function label_encoder__backbone__freeze returned 'third', which is "
            "none of the network's 6 parameters",
        ),
        (
            Dense,
            {"learning_rate": {"third.*": 1}},
            ValueError,
            "the pattern 'third.*' of label_encoder__backbone__learning_rate matches",
        ),
        (
            Dense,
            {"learning_rate": lambda module: {"third": 1}},
            ValueError,
            "the function label_encoder__backbone__learning_rate returned 'third'",
        ),
        (
            Dense,
            {"learning_rate": {"first.*": 0}},
            ValueError,
            "label_encoder__backbone__learning_rate={'first.*': 0} must have finite "
            "rates above 0, but has 0: name what is not to be trained in "
            "label_encoder__backbone__freeze.",
        ),
    ],
)
def test_networks_that_cannot_be_made_or_trained(module, backbone, kind, expected):
    clf = make(module, backbone)
    message = error_of(lambda: clf.fit(X, Y, label_features=Z), kind)
    assert message.startswith(expected)
    assert not hasattr(clf, "classes_")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: f[:, :, None], "(2, 6, 1) for 2 rows of label_features, but must"),
        (lambda f: f[:1], "(1, 6) for 2 rows of label_features, but must put out fea"),
        (lambda f: (f, f), "a tuple for 2 rows of label_features, but must put out"),
        (lambda f: f / 0, "NaN or infinity for the first rows of label_features: scal"),
        (lambda f: f.long(), "torch.int64 on the device 'cpu' for rows of label_feat"),
    ],
)
def test_what_a_network_of_labels_must_not_do(change, expected):
    clf = make(lambda: Scaled(change))
    message = error_of(lambda: clf.fit(X, Y, label_features=Z))
    assert message.startswith(f"label_encoder__backbone=<lambda> puts out {expected}")


@pytest.mark.parametrize("has_parts", [False, True])
def test_features_of_another_width(has_parts):
    samples, labels = X, Z[:, :5]
    if has_parts:
        samples = Parts(network=X, linear=X)
        labels = Parts(network=labels, linear=Z[:, :3])
    message = error_of(lambda: make(Dense).fit(samples, Y, label_features=labels))
    assert message.startswith(
        "label_encoder__backbone=Dense failed for 2 rows of label_features of shape "
        "(5,) and type torch.float32: "
    )
    assert message.endswith(". It must take a tensor of them, of shape (2, 5).")


def test_tokens_out_of_the_vocabulary():
    expected = (
        "label_features has integers from 0 to 20, but the largest embedding of "
        "label_encoder__backbone=Tokens has 20 rows: tokens must be from 0 to 19."
    )
    wrong = TOKENS.copy()
    wrong[1:, :2] = 0, 20
    message = error_of(lambda: make(Tokens).fit(X, Y, label_features=wrong))
    assert message.startswith(expected)
    clf = make(Tokens).fit(X, Y, label_features=TOKENS)
    assert error_of(lambda: clf.add_labels(wrong)).startswith(expected)
    message = error_of(lambda: clf.add_labels(TOKENS[:, :4]))
    assert "label_encoder__backbone=Tokens was fitted with integers of sh" in message


def test_the_samples_own_network_keeps_its_name():
    encoder = LabelEncoder(backbone=Dense)
    clf = MHEClassifier(backbone=Dense, label_encoder=encoder, max_iter=1)
    match = r"^backbone=Dense failed for 2 samples of shape \(3,\)"
    with pytest.raises(ValueError, match=match):
        clf.fit(X, Y, label_features=Z)


class OfPositives(nn.Module):
    """A layer that fails for negative rows."""

    def __init__(self, change):
        super().__init__()
        self.layer, self.change = nn.Linear(3, 4), change

    def forward(self, rows):
        features = self.layer(rows)
        return self.change(features) if bool((rows < 0).any()) else features


@pytest.mark.parametrize("freeze", [False, True])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: f @ f[:3], "failed for 4 rows of label_features of shape "),
        (lambda f: f[1:], "puts out (3, 4) for 4 rows of label_features, but "),
        (lambda f: f.long(), "puts out torch.int64 on the device 'cpu' for rows of l"),
    ],
)
def test_a_shared_network_tells_labels_from_samples(change, expected, freeze):
    backbone = Backbone(OfPositives, change=change, freeze=freeze)
    encoder = LabelEncoder(backbone="shared")
    clf = MHEClassifier(backbone=backbone, label_encoder=encoder, max_iter=1)
    labels = RNG.rand(N_LABELS, 3)
    with pytest.raises(ValueError, match=re.escape(f"backbone=OfPositives {expected}")):
        clf.fit(X, Y, label_features=-labels)
    before = clf.fit(X, Y, label_features=labels).predict_proba(X)
    for score_with in ("classifier", "both"):
        clf.set_params(label_encoder__score_with=score_with)
        with pytest.raises(ValueError, match=re.escape(f"OfPositives {expected}")):
            clf.add_labels(-labels)
    # They are not added.
    assert np.array_equal(clf.predict_proba(X), before)
    assert clf.add_labels(labels[:1]).classes_.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"backbone=OfPositives .* samples"):
        clf.fit(-X, Y, label_features=labels)
