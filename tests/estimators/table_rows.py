"""Which rows of the table of parameters a setting has, and which of them are used."""

from skmhe.estimators.table import PARENTS, TABLE


def parameters_of(setting):
    """Yield the rows of all parameters that exist in a setting, by nested name."""
    for row in TABLE["estimator"]:
        yield row.name, row
    owners = [type(setting.strategy).__name__, "LinearTree", "LabelEncoder"]
    if setting.has_backbone:
        owners.append("Backbone")
    for owner in owners:
        for row in TABLE[owner]:
            yield f"{PARENTS[owner]}__{row.name}", row


def is_used(name, setting):
    """Tell whether a parameter, by its nested name, has an effect in a setting."""
    rows = dict(parameters_of(setting))
    parent, nested, _ = name.partition("__")
    chain = [rows[parent], rows[name]] if nested else [rows[name]]
    return all(row.used.holds(setting) for row in chain)
