"""Short forms of parameter objects: one mechanism for all of them."""

import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from test_parameter_objects import Factory, Layers, layers

from skmhe import (
    Backbone,
    Cascade,
    Full,
    LabelEncoder,
    LinearTree,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Product,
    Sampling,
)
from skmhe.estimators.short_forms import BASES, long_form
from skmhe.nn import Margin

both = pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
OBJECTS = {
    "strategy": Product(rank=2),
    "linear": LinearTree(C=1.0),
    "label_encoder": LabelEncoder(pool_size=9),
    "backbone": Backbone(layers, width=3),
}


def test_what_short_forms_stand_for():
    assert long_form(MHEClassifier("auto"), "strategy") is None
    for name, strategy in [
        ("full", Full),
        ("product", Product),
        ("cascade", Cascade),
        ("sampling", Sampling),
    ]:
        assert type(long_form(MHEClassifier(name), "strategy")) is strategy
    clf = MHEClassifier()
    assert long_form(clf, "linear").get_params() == LinearTree().get_params()
    encoder = long_form(clf, "label_encoder")
    assert encoder.get_params() == LabelEncoder().get_params()
    assert long_form(clf, "backbone") is None
    assert long_form(MHEClassifier(backbone=layers), "backbone").module is layers


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_stand_for_themselves(name):
    assert long_form(MHEClassifier(**{name: OBJECTS[name]}), name) is OBJECTS[name]


@both
def test_constraints_allow_the_objects(cls):
    for name, base in BASES.items():
        assert any(
            getattr(constraint, "type", None) is base
            for constraint in cls._parameter_constraints[name]
        )


@both
@pytest.mark.parametrize(
    ("short", "params", "changed"),
    [
        ({"strategy": "cascade"}, {"strategy__beam_width": 3}, Cascade(beam_width=3)),
        ({}, {"linear__C": 2.0}, LinearTree(C=2.0)),
        ({}, {"label_encoder__pool_size": 7}, LabelEncoder(pool_size=7)),
        ({"backbone": layers}, {"backbone__width": 2}, Backbone(layers, width=2)),
        ({"backbone": Layers}, {"backbone__freeze": True}, Backbone(Layers, freeze=1)),
    ],
    ids=["strategy", "linear", "label_encoder", "backbone", "class"],
)
def test_nested_parameters_replace_short_forms(cls, short, params, changed):
    ((name, value),) = params.items()
    parent, _, inner = name.partition("__")
    clf = cls(**short)
    assert name not in clf.get_params()
    assert clf.set_params(**params) is clf
    assert type(getattr(clf, parent)) is type(changed)
    assert clf.get_params()[name] == value == changed.get_params()[inner]
    # The object stays the same from now on.
    held = getattr(clf, parent)
    clf.set_params(**params)
    assert getattr(clf, parent) is held
    assert clone(clf).get_params()[name] == value


@both
def test_plain_parameters_are_set_first(cls):
    clf = cls().set_params(strategy__beam_width=3, strategy="cascade", max_iter=2)
    assert (clf.strategy.beam_width, clf.max_iter) == (3, 2)
    clf.set_params(strategy__n_sampled_groups=5, strategy=Sampling())
    assert clf.strategy.n_sampled_groups == 5
    clf.set_params(backbone__width=5, backbone=Layers)
    assert clf.backbone.params == {"width": 5}


def test_short_forms_of_two_estimators_are_not_shared():
    one, two = MHEClassifier("cascade"), MHEClassifier("cascade")
    one.set_params(strategy__beam_width=1, linear__C=1.0)
    two.set_params(strategy__beam_width=2, linear__C=2.0)
    assert (one.strategy.beam_width, one.linear.C) == (1, 1.0)


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_are_parameters_as_in_any_estimator(name):
    clf = MHEClassifier(**{name: OBJECTS[name]})
    nested = {k for k in clf.get_params() if k.startswith(name + "__")}
    assert nested == {f"{name}__{k}" for k in OBJECTS[name].get_params()}
    twin = clone(clf)
    assert getattr(twin, name) is not OBJECTS[name]
    assert getattr(twin, name).get_params() == OBJECTS[name].get_params()
    text = f"{name}={OBJECTS[name]!r}".split("(")[0]
    assert text in repr(clf)
    assert name in estimator_html_repr(clf)
    with sklearn.config_context(print_changed_only=False):
        assert text in repr(clf)
        assert "n_heads='auto'" in repr(clf)


def test_margins_are_values():
    clf = MHEClassifier(Full(margin="arcface"))
    clf.set_params(strategy__margin=Margin("arcface", 0.3))
    assert clone(clf).strategy.margin == Margin("arcface", 0.3, 64.0)


def test_grids():
    grid = ParameterGrid(
        [
            {"strategy": ["full", Sampling(n_sampled_groups=3)]},
            {"strategy": ["cascade"], "strategy__beam_width": [1, 2], "linear__C": [1]},
            {"backbone": [Layers], "backbone__width": [3]},
        ]
    )
    base = MHEClassifier()
    for params in grid:
        # As searches do it.
        clf = clone(base).set_params(**clone(params, safe=False))
        for name, value in params.items():
            if "__" in name:
                assert clf.get_params()[name] == value
    assert base.get_params() == MHEClassifier().get_params()


def test_pipelines_pass_nested_parameters_on():
    pipeline = make_pipeline(StandardScaler(), MHEClassifier("product"))
    pipeline.set_params(mheclassifier__strategy__rank=4)
    assert pipeline[-1].strategy.rank == 4


@pytest.mark.parametrize(
    ("params", "set_to", "match"),
    [
        (
            {},
            {"strategy__beam_width": 3},
            "strategy__beam_width was set, but strategy='auto' has no parameters: "
            "pass strategy='cascade' as well",
        ),
        ({}, {"strategy__margin": None}, "pass strategy='full' or 'sampling' as well"),
        ({}, {"strategy__width": 3}, "no strategy has such a parameter, of beam_width"),
        (
            {"strategy": "tree"},
            {"strategy__rank": 3},
            "strategy='tree' has no parameters: there is no such strategy, but 'auto'",
        ),
        ({"strategy": 3}, {"strategy__rank": 3}, "strategy=3 has no parameters"),
        ({"strategy": "full"}, {"strategy__rank": 3}, "Invalid parameter 'rank'"),
        ({}, {"linear__B": 3}, "Invalid parameter 'B' for estimator LinearTree"),
        ({"linear": 3}, {"linear__C": 3}, "pass linear=None, or a LinearTree"),
        ({}, {"backbone__width": 3}, "backbone=None has no parameters: pass a torch"),
        ({}, {"max_iterr": 3}, "Invalid parameter 'max_iterr'"),
    ],
)
def test_errors_leave_parameter_objects_alone(params, set_to, match):
    clf = MHEClassifier(**params)
    before = vars(clf).copy()
    with pytest.raises((ValueError, AttributeError), match=match):
        clf.set_params(**set_to)
    assert vars(clf) == before


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"C": 3}, "Invalid parameter 'C'"),
        ({"linear__B": 3}, "Invalid parameter 'B'"),
        ({"strategy__rank": 3}, "Invalid parameter 'rank'"),
        ({"backbone__module__width__x": 3}, "has no attribute"),
    ],
)
def test_all_parameters_are_set_or_none(wrong, match):
    held = {
        "strategy": Cascade(),
        "linear": LinearTree(),
        "label_encoder": LabelEncoder(),
        "backbone": Backbone(Factory(width=5), freeze=True),
    }
    clf = MHEClassifier(**held)
    given = LinearTree(C=3.0)
    right = {
        "max_iter": 3,
        "strategy__beam_width": 3,
        "linear": given,
        "linear__C": 7.0,
        "label_encoder__pool_size": 9,
        "backbone__freeze": False,
        "backbone__module__width": 6,
    }
    before = repr(clf.get_params())
    for params in (right | wrong, wrong | right):
        with pytest.raises((ValueError, AttributeError), match=match):
            clf.set_params(**params)
        assert repr(clf.get_params()) == before
        assert all(getattr(clf, name) is held[name] for name in held)
        assert given.C == 3.0
    clf.set_params(**right)
    assert (clf.strategy.beam_width, clf.linear.C, clf.linear) == (3, 7.0, given)
    assert clf.backbone.module.width == 6
    with pytest.raises(ValueError, match="Invalid parameter"):
        given.set_params(C=1.0, B=2)
    assert given.C == 7.0


def test_estimators_that_make_modules_keep_their_parameters():
    clf = MHEClassifier(backbone=Factory())
    assert clf.get_params()["backbone__width"] == 4
    clf.set_params(backbone__width=7)
    assert isinstance(clf.backbone, Factory)
    assert clf.backbone.width == 7


def test_objects_are_validated_with_the_estimator():
    for params, match in [
        ({"strategy": Cascade(beam_width=0)}, "'beam_width' parameter of Cascade"),
        ({"linear": LinearTree(C=-1.0)}, "'C' parameter of LinearTree"),
        ({"label_encoder": LabelEncoder(pool_size=0)}, "of LabelEncoder"),
        ({"backbone": Backbone(Layers, weight_decay=-1.0)}, "of Backbone"),
        ({"strategy": LinearTree()}, "'strategy' parameter of MHEClassifier"),
        ({"linear": Cascade()}, "'linear' parameter of MHEClassifier"),
        ({"backbone": "resnet"}, "'backbone' parameter of MHEClassifier"),
    ]:
        with pytest.raises(ValueError, match=match):
            MHEClassifier(**params)._validate_params()


def test_fitting_does_not_replace_short_forms():
    assert issubclass(MHEClassifier, BaseEstimator)
    clf = MHEClassifier("cascade", random_state=0, max_iter=1)
    X = [[0.0, 1.0], [1.0, 0.0], [0.0, 2.0], [2.0, 0.0]]
    clf.fit(X, [0, 1, 0, 1])
    assert clf.strategy == "cascade"
    assert (clf.linear, clf.label_encoder, clf.backbone) == (None, None, None)
