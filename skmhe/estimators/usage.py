"""What the table of parameters says: constraints, uses and contradictions."""

from collections.abc import Iterator
from typing import Any

from skmhe.estimators.setting import Contradiction, Parameter, Setting
from skmhe.estimators.table import CONTRADICTIONS, PARENTS, TABLE


def constraints(owner: str) -> dict[str, list[Any]]:
    """Return the constraints of a class's parameters, by name."""
    return {row.name: row.constraint for row in TABLE[owner]}


def only_used(owner: str) -> dict[str, str]:
    """Return the sentences of a class's docstring that say when parameters are used.

    Parameters that need no such sentence are left out.
    """
    return {
        row.name: f"Only used {row.used.clause}."
        for row in TABLE[owner]
        if row.used.clause
    }


def parameters_of(setting: Setting) -> Iterator[tuple[str, Parameter]]:
    """Yield the rows of all parameters that exist in a setting, by nested name."""
    for row in TABLE["estimator"]:
        yield row.name, row
    owners = [type(setting.strategy).__name__, "LinearTree", "LabelEncoder"]
    if setting.has_backbone:
        owners.append("Backbone")
    for owner in owners:
        for row in TABLE[owner]:
            yield f"{PARENTS[owner]}__{row.name}", row


def is_used(name: str, setting: Setting) -> bool:
    """Tell whether a parameter, by its nested name, has an effect in a setting."""
    rows = dict(parameters_of(setting))
    parent, nested, _ = name.partition("__")
    chain = [rows[parent], rows[name]] if nested else [rows[name]]
    return all(row.used.holds(setting) for row in chain)


def check_contradictions(setting: Setting) -> None:
    """Raise ValueError for the first parameter that contradicts its setting."""
    values = setting.values
    for contradiction in CONTRADICTIONS:
        name = contradiction.name
        if name in values and contradiction.where(values[name], setting):
            raise ValueError(_message(contradiction, setting))


def _message(contradiction: Contradiction, setting: Setting) -> str:
    """Return what is wrong with a value, and what to do."""
    name, strategy = contradiction.name, setting.strategy
    shown = repr(setting.values[name])
    if name == "strategy":  # of which "auto" and objects say less
        shown = repr(strategy.name)
    elif name == "backbone":
        shown = setting.values["backbone"].module_name
    reason = contradiction.reason.format(
        model=setting.model,
        strategy=strategy.name,
        heads=strategy.heads_text,
        n_features=setting.n_features,
        n_label_features=setting.n_label_features,
    )
    return f"{name}={shown} {reason}: {contradiction.remedy}."
