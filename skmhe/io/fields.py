"""What a field of a stored object may be."""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from skmhe.io.container import require


class Field(NamedTuple):
    """A test of values, and what they should be, for errors."""

    accepts: Callable[[Any], bool]
    shown: str


ANY = Field(lambda value: True, "anything")
FLAG = Field(lambda value: isinstance(value, bool | np.bool_), "true or false")
TEXT = Field(lambda value: isinstance(value, str), "a string")
NUMBER = Field(
    lambda value: (
        isinstance(value, Real)
        and not isinstance(value, bool)
        and math.isfinite(float(value))
    ),
    "a finite number",
)


def count(low: int = 0) -> Field:
    """Return the field of an integer."""
    return Field(lambda value: is_count(value, low), f"an integer of at least {low}")


def is_count(value: Any, low: int = 0) -> bool:
    """Tell whether something is an integer of at least `low`."""
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    return is_integer and low <= int(value) < 2**62


def one_of(*values: Any) -> Field:
    """Return the field of some constants, compared by their identity or as strings."""

    def accepts(value: Any) -> bool:
        return any(
            value is known or (isinstance(value, str) and value == known)
            for known in values
        )

    return Field(accepts, f"one of {', '.join(map(repr, values))}")


def optional(field: Field) -> Field:
    """Return the field of None, too."""
    return Field(
        lambda value: value is None or field.accepts(value), f"{field.shown} or None"
    )


def either(*fields: Field) -> Field:
    """Return the field of what one of several accepts."""
    return Field(
        lambda value: any(field.accepts(value) for field in fields),
        " or ".join(field.shown for field in fields),
    )


def sequence(
    kind: type[list | tuple], field: Field, length: int | None = None
) -> Field:
    """Return the field of a list or tuple, of a length."""

    def accepts(value: Any) -> bool:
        if type(value) is not kind or length not in (None, len(value)):
            return False
        return all(map(field.accepts, value))

    shown = f"a {kind.__name__}" + (f" of {length}" if length is not None else "")
    return Field(accepts, f"{shown}, each {field.shown}")


def mapping(key: Field, field: Field) -> Field:
    """Return the field of a dict."""

    def accepts(value: Any) -> bool:
        return type(value) is dict and all(
            key.accepts(name) and field.accepts(item) for name, item in value.items()
        )

    return Field(accepts, f"a dict of {key.shown}: {field.shown}")


def array(kinds: str, ndim: int | None = None) -> Field:
    """Return the field of an array, of kinds of dtypes ("f") or dtypes ("f4 i8")."""
    names = kinds.split()

    def accepts(value: Any) -> bool:
        if not isinstance(value, np.ndarray) or ndim not in (None, value.ndim):
            return False
        own = value.dtype
        return own.kind in names or f"{own.kind}{own.itemsize}" in names

    dimensions = "" if ndim is None else f" of {ndim} dimensions"
    return Field(accepts, f"an array of {kinds}{dimensions}")


def instance(*kinds: type) -> Field:
    """Return the field of objects of some classes."""
    shown = " or ".join(kind.__name__ for kind in kinds)
    return Field(lambda value: type(value) in kinds, shown)


def check_fields(name: str, entries: dict[str, Any], fields: dict[str, Field]) -> None:
    """Require that entries are those of a stored object, and each is valid."""
    same = entries.keys() == fields.keys()
    require(same, f"its {name} has the entries {sorted(entries)}")
    for key, field in fields.items():
        require(
            field.accepts(entries[key]),
            f"{key} of its {name} is not {field.shown}",
        )


# Indices


def check_starts(name: str, starts: np.ndarray, n_runs: int, n_items: int) -> None:
    """Require that runs of items start in their order, the last where they end."""
    valid = (
        len(starts) == n_runs + 1
        and int(starts[0]) == 0
        and int(starts[-1]) == n_items
        and bool((starts[1:] >= starts[:-1]).all())
    )
    require(valid, f"{name} are not where its runs start")


def check_below(name: str, indices: np.ndarray, limit: int) -> None:
    """Require that indices are from 0 to below a limit."""
    valid = not indices.size or (int(indices.min()) >= 0 and int(indices.max()) < limit)
    require(valid, f"{name} are not from 0 to {limit - 1}")


def check_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Require that an array has a shape."""
    same = array.shape == shape
    require(same, f"{name} has the shape {array.shape} instead of {shape}")
