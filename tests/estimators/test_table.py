"""The table of parameters: its structure, and every cell of it."""

import functools
import inspect
import logging
import re
import sys

import pytest
from table_cells import ALL_CASES, CHANGES, Case
from table_rows import is_used, parameters_of

import skmhe
from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.estimators import table
from skmhe.estimators.setting import Form
from skmhe.estimators.short_forms import BASES
from skmhe.estimators.table import check_contradictions, constraints, only_used

ESTIMATORS = [MHEClassifier, MHEMultiLabelClassifier]
OBJECTS = [getattr(skmhe, name) for name in table.PARENTS]
ROWS = [(owner, row) for owner, rows in table.TABLE.items() for row in rows]


def is_consistent(case):
    try:
        check_contradictions(case.setting({}))
    except ValueError:
        return False
    return True


CASES = [case for case in ALL_CASES if is_consistent(case)]
BOTH_IS_MORE = [(given, "fit") for given in ("nothing", "label_features", "parts")]
# With a backbone and in partial_fit, "both" is "network", as cells of "network" show.
FITTED = [
    case
    for case in CASES
    if case.model != "both" or (case.given, case.method) in BOTH_IS_MORE
]


# ------------------------------------------------------------ structure


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_table_has_the_parameters_of_the_estimators(cls):
    names = list(inspect.signature(cls).parameters)
    assert names == [row.name for row in table.TABLE["estimator"]]
    assert list(cls._parameter_constraints) == names
    assert len(names) <= 24


@pytest.mark.parametrize("cls", OBJECTS)
def test_the_table_has_the_parameters_of_the_objects(cls):
    parameters = inspect.signature(cls).parameters.values()
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    assert sorted(names) == sorted(row.name for row in table.TABLE[cls.__name__])
    found, expected = cls._parameter_constraints, constraints(cls.__name__)
    assert found.keys() == expected.keys()
    for name, allowed in expected.items():
        # To a list of its own, the class adds `Backbone`, which the table cannot know.
        assert found[name][: len(allowed)] == allowed
        types = [getattr(one, "type", None) for one in allowed]
        assert skmhe.Backbone not in types


def test_every_object_has_a_parent():
    assert table.PARENTS.keys() == table.TABLE.keys() - {"estimator"}
    assert set(table.PARENTS.values()) == BASES.keys()
    for owner, parent in table.PARENTS.items():
        assert issubclass(getattr(skmhe, owner), BASES[parent])


@pytest.mark.parametrize("cls", [*ESTIMATORS, *OBJECTS])
def test_docstrings_say_when_a_parameter_is_used(cls):
    owner = "estimator" if cls in ESTIMATORS else cls.__name__
    for name, sentence in only_used(owner).items():
        # Behind what the parameter means, in its first paragraph.
        pattern = rf"^{name} : .*\n(    .+\n)+    {re.escape(sentence)}$"
        assert re.search(pattern, cls.__doc__, re.M)
    n_sentences = cls.__doc__.count("    Only used")
    assert n_sentences == len(only_used(owner))


@pytest.mark.parametrize(
    ("owner", "row"), ROWS, ids=[f"{o}-{row.name}" for o, row in ROWS]
)
def test_texts_of_rows(owner, row):
    clause = row.used.clause
    assert len(f"    Only used {clause}.") <= 88
    assert not clause.endswith(".")


@pytest.mark.parametrize("contradiction", table.CONTRADICTIONS, ids=lambda c: c.name)
def test_texts_of_contradictions(contradiction):
    assert contradiction.name in CHANGES
    assert not contradiction.reason.endswith((".", ":"))
    assert contradiction.remedy.startswith(("use ", "pass ", "raise "))
    assert not contradiction.remedy.endswith(".")


def test_every_parameter_has_changed_values():
    names = {
        f"{table.PARENTS[owner]}__{row.name}" if owner in table.PARENTS else row.name
        for owner, row in ROWS
    }
    assert CHANGES.keys() == names


def test_every_contradiction_is_reached():
    missing = set(table.CONTRADICTIONS)
    for case in ALL_CASES:
        for name, (context, values) in EVERY_CHANGE.items():
            if name not in {contradiction.name for contradiction in missing}:
                continue
            for value in values:
                setting = changed_setting(case, context | {name: value})
                if setting is None:
                    continue
                missing -= {c for c in missing if contradicts(c, setting)}
                if setting.has_label_features:
                    # Also features that cannot be those of samples.
                    setting = setting._replace(n_label_features=setting.n_features + 1)
                    missing -= {c for c in missing if contradicts(c, setting)}
                    forms = Form(False, (3,)), Form(True, (4,))
                    setting = setting._replace(forms=forms)
                    missing -= {c for c in missing if contradicts(c, setting)}
    assert not missing


def contradicts(contradiction, setting):
    name = contradiction.name
    return name in setting.values and contradiction.where(setting.values[name], setting)


# Also what contradicts two parameters that are both changed.
EVERY_CHANGE = CHANGES | {
    "label_encoder__backbone": ({}, ["shared"]),
    "strategy__n_sampled_groups": ({"strategy__pool_labels": "own_group"}, [0]),
    "label_encoder__score_with": ({"label_encoder__loss_weight": 0.0}, ["encoder"]),
    "strategy__pool_labels": (
        {"strategy__margin": "arcface"},
        ["batch_and_own_group"],
    ),
    "n_heads": ({}, [1, 3]),
    "head_sizes": ({"n_heads": 3}, [(2, 6), (12,)]),
}


def changed_setting(case, params):
    """Return a setting with other values, None if there are no such parameters."""
    try:
        return case.setting(params)
    except ValueError:
        return None


# ------------------------------------------------------------ cells


@functools.lru_cache(maxsize=64)
def base_result(case, context, n_calls):
    return case.result(dict(context), n_calls)


def outcome(case, name, context, value, monkeypatch, caplog):
    """Return what changing a parameter does: "used", "unused", or the error."""
    n_calls = case.n_calls(name)
    before = base_result(case, tuple(context.items()), n_calls)
    caplog.clear()
    caplog.set_level(logging.INFO, "skmhe")
    try:
        with monkeypatch.context() as patches:
            if name == "label_encoder__shortlist_search":
                # Of so few labels, an approximate search finds the same.
                patches.setitem(sys.modules, "faiss", None)
            after = case.result(context | {name: value}, n_calls)
    except ImportError:
        return "used"
    except AttributeError as error:
        return str(error)
    except ValueError as error:
        return "used" if name == "device" else str(error)
    shown = len(caplog.records) > 0
    return "used" if after != before or shown else "unused"


def expected(case, name, setting, value):
    """Return what the table says: "used", "unused", or the error."""
    if name == "device":
        return "used"  # even if the network is not: no other device is at hand
    if setting.is_partial_fit and value == "linear":
        return (
            "model='linear' has no partial_fit: linear classifiers are fitted to all "
            "samples at once. Use model='network' or 'both', or fit."
        )
    try:
        check_contradictions(setting)
    except ValueError as error:
        return str(error)
    if name in ("strategy", "model", "backbone", "head_sizes", "n_heads"):
        # They may make another setting: it has the parameter, or the old one had.
        same = case.setting({})
        if type(same.strategy) is not type(setting.strategy):
            return "used"
        return "used" if is_used(name, same) or is_used(name, setting) else "unused"
    return "used" if is_used(name, setting) else "unused"


@pytest.mark.parametrize("case", FITTED, ids=str)
def test_every_cell(case, monkeypatch, caplog):
    names = [name for name, _ in parameters_of(case.setting({}))]
    check_cells(case, names, monkeypatch, caplog)


@pytest.mark.parametrize("multilabel", [False, True])
def test_linear_classifiers_form_a_tree_with_sampling(multilabel, monkeypatch, caplog):
    monkeypatch.setattr("skmhe.estimators.fitting.n_tree_levels", lambda work: 2)
    case = Case("sampling", "both", multilabel, "nothing", "fit")
    assert is_used("linear__beam_width", case.setting({}))
    base_result.cache_clear()  # of the same setting without a tree
    check_cells(case, ["linear__beam_width"], monkeypatch, caplog)
    base_result.cache_clear()


def check_cells(case, names, monkeypatch, caplog):
    wrong = []
    for name in names:
        context, values = CHANGES[name]
        base = case.setting(context)
        try:
            check_contradictions(base)
        except ValueError:
            continue  # that of the context is another cell
        for value in values:
            if same_value(base, name, value):
                continue
            setting = case.setting(context | {name: value})
            wanted = expected(case, name, setting, value)
            found = outcome(case, name, context, value, monkeypatch, caplog)
            if found != wanted:
                wrong.append(f"{name}={value!r}: {found}, but the table says {wanted}")
    assert wrong == []


def same_value(setting, name, value):
    """Whether a value is the one that is there already, also in short form."""
    there = setting.values[name]
    if name == "strategy":
        return there.name == value
    if name == "n_heads":
        return value == (there if there != "auto" else setting.strategy.max_heads or 2)
    if name == "strategy__pool_labels" and value == "batch_and_own_group":
        return not (setting.has_rows or setting.multilabel)
    return there is value or (not isinstance(value, tuple) and there == value)


@pytest.mark.parametrize(
    "case", [case for case in ALL_CASES if case not in CASES], ids=str
)
def test_settings_that_contradict_themselves(case):
    with pytest.raises(ValueError) as of_table:
        check_contradictions(case.setting({}))
    message = str(of_table.value)
    assert re.match(r"[a-z_]+=.* (is|has|needs|cannot) .*: (use|pass) .*\.$", message)
    with pytest.raises(ValueError, match=re.escape(message)):
        case.fit({})
