"""Names of parameters: errors say what was meant, and where it is."""

import inspect
import re

import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skmhe import (
    Backbone,
    Cascade,
    Full,
    LinearTree,
    MHEClassifier,
    MHEMultiLabelClassifier,
    Sampling,
)
from skmhe.estimators.names import OTHER_NAMES
from skmhe.estimators.short_forms import BASES
from skmhe.estimators.table import PARENTS, TABLE

both = pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])
HINTS = [
    ("C", "use linear=LinearTree(C=...); its name in set_params and searches is li"),
    ("beam_width", "use strategy=Cascade(beam_width=...) or linear=LinearTree(beam_w"),
    ("margin", "use strategy=Full(margin=...) or strategy=Sampling(margin=...)"),
    ("module", "use backbone=Backbone(module, module=...)"),
    ("linear_weight", "it is called 'combination'."),
    ("scoring", "use label_encoder=LabelEncoder(score_with=...)"),
    ("alpha", "use backbone=Backbone(module, weight_decay=...)"),
    ("precision", "it is called 'dtype'."),
    ("modle", "did you mean 'model'?"),
    ("max_itr", "did you mean 'max_iter'?"),
    ("Max_Iter", "did you mean 'max_iter'?"),
    ("pool_sizes", "did you mean 'pool_size'? Use label_encoder=LabelEncoder(pool_"),
    (
        "xyz",
        "its parameters are backbone, batch_size, class_weight, combination, device",
    ),
]


@both
@pytest.mark.parametrize(("name", "hint"), HINTS)
def test_unknown_names(cls, name, hint):
    match = re.escape(f"{cls.__name__} has no parameter {name!r}: {hint}")
    with pytest.raises(TypeError, match=match):
        cls(**{name: 1})
    with pytest.raises(ValueError) as error:
        cls().set_params(**{name: 1})
    start = f"Invalid parameter {name!r} for estimator {cls.__name__}(): "
    assert str(error.value).startswith(start + hint)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("linear__C", "use linear=LinearTree(C=...);"),
        ("linear__c", "did you mean 'C'? Use linear=LinearTree(C=...);"),
        (
            "strategy__beam",
            "did you mean 'beam_width'? Use strategy=Cascade(beam_width",
        ),
        ("backbone__width", "use backbone=Backbone(module, width=...);"),
    ],
)
def test_nested_names_are_not_for_the_constructor(name, hint):
    with pytest.raises(TypeError, match=re.escape(hint)):
        MHEClassifier(**{name: 1})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cascade(rank=2), "Cascade has no parameter 'rank': use strategy=Prod"),
        (lambda: LinearTree(c=2), "LinearTree has no parameter 'c': did you mean 'C'?"),
        (
            lambda: Sampling(max_iter=2),
            "'max_iter': it is a parameter of the estimator",
        ),
        (
            lambda: Cascade(2),
            "Cascade takes nothing without a name: write beam_width=.",
        ),
        (
            lambda: Backbone(print, 4, 3),
            "Backbone takes only module without a name: write freeze=..., for example.",
        ),
        (
            lambda: MHEClassifier("full", "both"),
            "MHEClassifier takes only strategy without a name: write model=...",
        ),
    ],
)
def test_other_errors_of_constructors(make, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        make()


def test_searches_and_pipelines_give_the_hint():
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(MHEClassifier(model="linear"), {"C": [1.0]}, cv=2)
    with pytest.raises(ValueError, match=r"use linear=LinearTree\(C=...\).*linear__C"):
        search.fit(X, y)
    with pytest.raises(ValueError, match=r"use linear=LinearTree\(C=...\)"):
        make_pipeline(MHEClassifier()).set_params(mheclassifier__C=1.0)


def test_other_names_lead_to_parameters():
    names = {row.name for row in TABLE["estimator"]}
    for owner, parent in PARENTS.items():
        names |= {f"{parent}__{row.name}" for row in TABLE[owner]}
    assert set(OTHER_NAMES.values()) <= names
    assert not OTHER_NAMES.keys() & names


@both
def test_scikit_learn_still_reads_the_signature(cls):
    parameters = list(inspect.signature(cls).parameters.values())
    assert [p.name for p in parameters] == [row.name for row in TABLE["estimator"]]
    assert {p.kind for p in parameters[1:]} == {inspect.Parameter.KEYWORD_ONLY}
    assert cls().get_params(deep=False) == {p.name: p.default for p in parameters}
    clf = cls(Cascade(beam_width=3), linear=LinearTree(C=2.0))
    assert repr(clone(clf)) == repr(clf)
    shown = "".join(repr(clf).split())
    assert shown.endswith("(linear=LinearTree(C=2.0),strategy=Cascade(beam_width=3))")

    class Own(cls):
        def __init__(self, extra=1, max_iter=3):
            super().__init__(max_iter=max_iter)
            self.extra = extra

    assert clone(Own(2)).get_params() == {"extra": 2, "max_iter": 3}


@both
@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"strategy": "tree"},
            "or a Full, Product, Cascade or Sampling object. Got 'tree' instead.",
        ),
        (
            {"linear": False},
            "must be None or a LinearTree object. Got False instead. None is the short "
            "form of LinearTree(). For no linear classifiers, use model='network'.",
        ),
        ({"head_sizes": 5}, "Got 5 instead. It is a length for each head, such as ("),
        ({"hidden_layer_sizes": None}, "Got None instead. It is the width of each hid"),
        ({"dropout": None}, "Got None instead. It is a share, or a pair of them"),
        ({"learning_rate": 0.1}, "It is a schedule; the number is learning_rate_init."),
        ({"strategy": Full(margin=0.5)}, "a skmhe.nn.Margin object or None. Got 0.5"),
        ({"label_encoder": False}, "None or a LabelEncoder object. Got False instead."),
        (
            {"backbone": "resnet"},
            "Got 'resnet' instead. Pass a torch.nn.Module, a",
        ),
        ({"backbone": Backbone("resnet")}, "Pass a torch.nn.Module, a class or"),
        ({"combination": "best"}, "or an instance of 'collections.abc.Mapping'. Got"),
    ],
)
def test_values_of_parameter_objects(cls, params, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        cls(**params).fit([[0.0], [1.0]], [0, 1])
    assert not re.search(r"skmhe\.(?!nn\.Margin\b)", str(error.value))


def test_objects_are_called_by_public_names():
    import skmhe

    for owner, parent in PARENTS.items():
        assert issubclass(getattr(skmhe, owner), BASES[parent])


def test_a_subclass_of_a_parameter_object():
    class Tree(LinearTree):
        pass

    with pytest.raises(ValueError, match="'C' parameter of Tree"):
        MHEClassifier(linear=Tree(C=-1)).fit([[0.0], [1.0]], [0, 1])


def test_case_of_a_name_is_no_other_name():
    with pytest.raises(TypeError, match="did you mean 'max_iter'"):
        MHEClassifier(MAX_ITER=3)
