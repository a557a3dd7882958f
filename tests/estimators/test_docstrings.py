"""Docstrings that are put together: complete, and as if they were written in one."""

import ast
import inspect
import re

import pytest

import skmhe
from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.estimators.docs import documented

ESTIMATORS = [MHEClassifier, MHEMultiLabelClassifier]
OBJECTS = ["Backbone", "Cascade", "Full", "LabelEncoder", "LinearTree", "Product"]
CLASSES = [*ESTIMATORS, *(getattr(skmhe, name) for name in [*OBJECTS, "Sampling"])]
METHODS = [
    (cls, name)
    for cls in ESTIMATORS
    for name, member in inspect.getmembers(cls)
    if not name.startswith("_")
    and callable(member)
    and (getattr(member, "__module__", "") or "").startswith("skmhe")
]


def entries(doc, section):
    """Return {name: type} of a numpydoc section."""
    lines = inspect.cleandoc(doc).splitlines()
    start = lines.index(section) + 2
    found = {}
    for line, following in zip(lines[start:], lines[start + 1 :], strict=False):
        if following and set(following) == {"-"}:
            break
        if line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            found[name] = kind
    return found


def check_lines(doc):
    """Check that no place of a part is left, and that no line is broken oddly."""
    assert not re.search(r"^\{\w+\}|\{\{|\}\}", doc, re.M)
    for line in inspect.cleandoc(doc).splitlines():
        assert len(line) <= 88
        assert line == line.rstrip()
        if not line.lstrip().startswith((">>>", "...")):
            assert "  " not in line.lstrip()


@pytest.mark.parametrize("cls", CLASSES)
def test_parameters_and_their_defaults(cls):
    found = entries(cls.__doc__, "Parameters")
    parameters = inspect.signature(cls).parameters
    stars = {inspect.Parameter.VAR_KEYWORD: "**"}
    assert list(found) == [stars.get(p.kind, "") + n for n, p in parameters.items()]
    for name, parameter in parameters.items():
        if parameter.default is not parameter.empty:
            default = found[name].partition("default=")[2]
            assert ast.literal_eval(default) == parameter.default
    check_lines(cls.__doc__)


@pytest.mark.parametrize(
    ("cls", "name"), METHODS, ids=[f"{c.__name__}.{n}" for c, n in METHODS]
)
def test_parameters_of_methods(cls, name):
    method = getattr(cls, name)
    doc = method.__doc__
    names = [n for n in inspect.signature(method).parameters if n != "self"]
    found = [n.lstrip("*") for n in entries(doc, "Parameters")]
    assert found == names
    assert entries(doc, "Returns")
    check_lines(doc)


def test_the_methods_are_those_of_a_classifier_and_transformer():
    assert {name for cls, name in METHODS if cls is MHEClassifier} >= {
        "fit",
        "partial_fit",
        "add_labels",
        "predict",
        "predict_topk",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "transform",
        "fit_transform",
        "top_features",
        "set_params",
    }


def test_parts():
    @documented(x="x : int\n    A number.", word="sum")
    def add(x):
        """Return the {word} of {{x}}.

        {x}
        """

    assert add.__doc__ == "Return the sum of {x}.\n\nx : int\n    A number."

    @documented(x="1")
    def silent(x):
        pass

    assert silent.__doc__ is None
