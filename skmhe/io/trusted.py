"""Networks and functions of the caller's, which files name but never bring."""

import copy
from collections.abc import Iterable
from typing import Any

from torch import nn

from skmhe.io.container import Refused


def full_name(value: Any) -> str:
    """Return the module and the name of a class or function."""
    return f"{value.__module__}:{value.__qualname__}"


def name_of_trusted(value: Any, place: str) -> str:
    """Return the name of a class or function of the user's.

    TypeError for anything else: all that files have themselves was tried before.
    """
    has_name = callable(value) and hasattr(value, "__qualname__")
    if has_name and hasattr(value, "__self__") and not isinstance(value, type):
        has_name = False  # a method, whose object would be lost
    if not has_name:
        raise TypeError(
            f"{place} is {value!r} of type {type(value).__name__}, which model files "
            f"do not hold: {remedy_for(value)}"
        )
    if "<lambda>" in value.__qualname__:
        raise TypeError(
            f"{place} is a lambda, which has no name that load could be given it by: "
            "use a function that is defined by def."
        )
    return full_name(value)


def is_search(value: Any) -> bool:
    """Tell whether something is a search for parameters, fitted or not."""
    names = "best_estimator_", "param_grid", "param_distributions"
    return any(hasattr(value, name) for name in names)


def remedy_for(value: Any) -> str:
    """Return what to do with something that files do not hold."""
    if is_search(value):
        return "use its best_estimator_ in its place, or pickle or joblib."
    if hasattr(value, "get_params"):
        return "save the estimator without it, or use pickle or joblib."
    return (
        "save with pickle or joblib, or use plain values (numbers, strings, arrays, "
        "and lists, tuples and dicts of them)."
    )


class NotTrusted(Refused):
    """A class, function or module that the caller of `load` has to trust first."""


class Trusted:
    """What the caller of `load` lets a file use: classes, functions and modules."""

    def __init__(self, objects: Iterable[Any]) -> None:
        self._modules: list[tuple[str, nn.Module]] = []
        self._others: list[tuple[str, Any]] = []
        is_list = isinstance(objects, Iterable) and not isinstance(objects, str)
        for value in objects if is_list else [repr(objects)]:
            if isinstance(value, nn.Module):
                self._modules.append((full_name(type(value)), value))
            elif callable(value) and hasattr(value, "__qualname__"):
                self._others.append((full_name(value), value))
            else:
                raise TypeError(
                    f"trusted has {value!r}, but must be a list of classes, functions "
                    "and torch modules, such as [MyNet]."
                )

    def find(self, name: Any) -> Any:
        """Return the class or function of a name."""
        return _matching(name, self._others, "the class or function itself")

    def copy_of(self, name: Any) -> nn.Module:
        """Return a copy of the module of a class."""
        what = "a module of this class, made as the one that was saved"
        found = _matching(name, self._modules, what)
        return copy.deepcopy(found)


def _matching(name: Any, known: list[tuple[str, Any]], what: str) -> Any:
    """Return what has a name, or else the only one with its last part.

    What was defined in a script, or has moved, is in another module by now.
    """
    exact = [value for own, value in known if own == name]
    last = str(name).partition(":")[2]
    found = exact or [value for own, value in known if own.partition(":")[2] == last]
    if len(found) != 1:
        has = ", ".join(own for own, _ in known) or "nothing"
        raise NotTrusted(
            f"it needs {name}, which is not among what you trust ({has}): if the file "
            f"comes from where you expect it, pass load(path, trusted=[...]) with "
            f"{what}"
        )
    return found[0]
