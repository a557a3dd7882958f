"""Values of parameters and of labels as JSON, and arrays beside it.

Numbers, strings, None and lists are JSON's own. Everything else is an object whose
entry "is" tells what: an entry of a closed table. Nothing is imported by a name that a
file has.
"""

import datetime
import functools
import math
import pathlib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from skmhe.io.container import NAMES, Container, Refused, is_shape, require
from skmhe.io.trusted import Trusted, name_of_trusted
from skmhe.scorers.batch import to_tensor
from skmhe.scorers.network import weights_to_numpy
from skmhe.scorers.storage import compacted, restored

# Kinds of dtypes that safetensors does not have, and the integers that they are
# views of; those of strings have several of these for each element.
VIEWS = {"U": "<u4", "S": "<u1", "M": "<i8", "m": "<i8"}


class Kind(NamedTuple):
    """How objects of a class are written: as entries of JSON, and made of them."""

    of: type
    entries: Callable[[Any], dict[str, Any]]
    make: Callable[[dict[str, Any]], Any]
    # Tables that may be of 16 bits, so that they can stay in a file that is mapped.
    narrow: tuple[str, ...] = ()


def by_text(of: type, write: Callable[[Any], str], read: Callable[[str], Any]) -> Kind:
    """Return the kind of a class whose objects are written as one string."""
    return Kind(of, lambda value: {"text": write(value)}, lambda e: read(e["text"]))


def _of_items(of: type) -> Kind:
    return Kind(of, lambda value: {"items": list(value)}, lambda e: of(e["items"]))


def _items(entries: Mapping[str, Any]) -> Any:
    require(isinstance(entries["items"], list), "items are no list")
    return entries["items"]


def _fraction(text: str) -> Fraction:
    # What is not written as a ratio, such as 1e999999999, could be of any size.
    return Fraction(*map(int, text.split("/")))


PLAIN_KINDS = {
    "float": by_text(float, repr, float),  # of what JSON does not have: NaN, infinity
    "tuple": _of_items(tuple),
    "frozenset": _of_items(frozenset),
    "set": _of_items(set),
    "dict": Kind(
        dict,
        lambda value: {"items": [[key, item] for key, item in value.items()]},
        lambda entries: {key: item for key, item in _items(entries)},  # noqa: C416
    ),
    "bytes": by_text(bytes, bytes.hex, bytes.fromhex),
    "date": by_text(
        datetime.date, datetime.date.isoformat, datetime.date.fromisoformat
    ),
    "datetime": by_text(
        datetime.datetime,
        datetime.datetime.isoformat,
        datetime.datetime.fromisoformat,
    ),
    "Decimal": by_text(Decimal, str, Decimal),
    "Fraction": by_text(Fraction, str, _fraction),
    "path": by_text(type(pathlib.Path()), str, pathlib.Path),
    "device": by_text(torch.device, str, torch.device),
}


class Tables(NamedTuple):
    """What may be written and made, by the names that files have for it."""

    kinds: Mapping[str, Kind]
    constants: Mapping[str, Any]  # classes and functions, by their names in files


class Writer:
    """Turns values into JSON, and collects their arrays."""

    def __init__(self, tables: Tables, compact: bool) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._compact = compact
        self._tags = {kind.of: (tag, kind) for tag, kind in tables.kinds.items()}
        self._constants = {id(value): name for name, value in tables.constants.items()}
        self._shared: dict[int, int] = {}  # numbers of objects

    def value(self, value: Any, place: str) -> Any:
        """Return JSON of a value; errors tell its place in the estimator."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float and math.isfinite(value):
            return value
        if kind is list:
            if all(type(item) is str for item in value):
                return value
            return [self.value(item, f"{place}[{i}]") for i, item in enumerate(value)]
        if kind is dict and all(type(key) is str for key in value):
            entries = {n: self.value(v, f"{place}.{n}") for n, v in value.items()}
            return {"is": "named", "entries": entries}
        if kind is np.ndarray:
            return self._array(value, place)
        if id(value) in self._constants:
            return {"is": "constant", "name": self._constants[id(value)]}
        if isinstance(value, np.generic):
            return {"is": "scalar", "array": self._array(np.array(value), place)}
        if isinstance(value, nn.Module | functools.partial):
            return self._once(value, place)
        if kind in self._tags:
            return self._of_kind(value, place)
        return {"is": "trusted", "name": name_of_trusted(value, place)}

    def _array(self, array: np.ndarray, place: str) -> dict[str, Any]:
        if array.dtype == object:
            items = self.value(array.ravel().tolist(), place)
            return {"is": "objects", "items": items, "shape": list(array.shape)}
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        entries: dict[str, Any] = {"is": "array"}
        # Products of rows in another layout are rounded otherwise.
        axes = sorted(range(array.ndim), key=lambda i: -array.strides[i])
        if not array.flags.c_contiguous and array.transpose(axes).flags.c_contiguous:
            array, entries["axes"] = array.transpose(axes), axes
        array = np.ascontiguousarray(array).reshape(array.shape)
        if array.dtype.kind in VIEWS:
            entries |= {"dtype": array.dtype.str, "shape": list(array.shape)}
            array = array.reshape(-1).view(VIEWS[array.dtype.kind])
        elif array.dtype not in NAMES:
            raise TypeError(
                f"{place} is an array of {array.dtype}, which files do not have: use "
                "pickle, or another type."
            )
        half = compacted(array) if self._compact else array
        if half.dtype != array.dtype:
            array, entries["half"] = half, True
        name, n = place, 1
        while name in self.arrays:
            name, n = f"{place}~{n}", n + 1
        self.arrays[name] = array
        return entries | {"name": name}

    def _module(self, module: nn.Module, place: str) -> dict[str, Any]:
        name = name_of_trusted(type(module), place)
        weights = self.value(weights_to_numpy(module), f"{place}.weights")
        return {"is": "module", "name": name, "weights": weights}

    def _once(self, value: Any, place: str) -> dict[str, Any]:
        """Return JSON of what comes twice and is one object, told by its identity."""
        n_before = len(self._shared)
        number = self._shared.setdefault(id(value), n_before)
        if number < n_before:
            return {"is": "same", "number": number}
        is_module = isinstance(value, nn.Module)
        write = self._module if is_module else self._of_kind
        return {"is": "first", "number": number, "value": write(value, place)}

    def _of_kind(self, value: Any, place: str) -> dict[str, Any]:
        tag, kind = self._tags[type(value)]
        entries = kind.entries(value)
        for name in kind.narrow:  # which are of 16 bits in a file that is mapped
            entries[name] = restored(entries[name])
        return {"is": tag} | {
            name: self.value(item, f"{place}.{name}") for name, item in entries.items()
        }


class Reader:
    """Turns JSON and arrays back into values, of known kinds only."""

    def __init__(self, tables: Tables, container: Container, trusted: Trusted) -> None:
        self._tables, self._container, self._trusted = tables, container, trusted
        self._shared: dict[int, Any] = {}
        self._special = {
            "array": self._array,
            "named": lambda entries: {
                name: self.value(item) for name, item in entries["entries"].items()
            },
            "objects": self._objects,
            "scalar": self._scalar,
            "constant": self._constant,
            "module": self._module,
            "first": self._first,
            "same": lambda entries: self._shared[entries["number"]],
            "trusted": lambda entries: trusted.find(entries["name"]),
        }

    def value(self, value: Any) -> Any:
        """Return the value that JSON stands for."""
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, dict):
            return value
        tag = value.get("is")
        if isinstance(tag, str) and tag in self._special:
            return self._special[tag](value)
        kind = self._tables.kinds.get(tag) if isinstance(tag, str) else None
        require(kind is not None, f"it has something of the unknown kind {tag!r}")
        assert kind is not None
        entries = {
            n: self._narrow(item) if n in kind.narrow else self.value(item)
            for n, item in value.items()
            if n != "is"
        }
        return kind.make(entries)

    def _narrow(self, value: Any) -> Any:
        """Return a table, of 16 bits if it is in a file that is mapped."""
        is_half = isinstance(value, dict) and value.get("half") is True
        if is_half and self._container.is_mapped:
            value = value | {"half": False}
        return self.value(value)

    def _array(self, entries: dict[str, Any]) -> np.ndarray:
        name, half = entries["name"], entries.get("half", False)
        require(
            isinstance(name, str) and name in self._container,
            f"it has no array {name!r}",
        )
        array = self._container.array(name, widen=half is True)
        if "dtype" in entries:
            dtype = dtype_of(entries["dtype"], VIEWS)
            same = array.dtype == VIEWS[dtype.kind] and array.ndim == 1
            require(same, f"its array {name!r} is no array of {dtype}")
            if dtype.kind == "U":
                valid = not array.size or int(array.max()) < 0x110000
                require(valid, f"its array {name!r} has characters that do not exist")
            array = _shaped(array.view(dtype), entries["shape"])
        if "axes" in entries:
            axes = entries["axes"]
            valid = isinstance(axes, list) and sorted(axes) == [*range(array.ndim)]
            require(valid, f"its array {name!r} has other axes")
            array = array.transpose(np.argsort(axes))
        return array

    def _objects(self, entries: dict[str, Any]) -> np.ndarray:
        items = self.value(_items(entries))
        array = np.empty(len(items), object)
        for i, item in enumerate(items):
            array[i] = item
        return _shaped(array, entries["shape"])

    def _scalar(self, entries: dict[str, Any]) -> Any:
        array = self.value(entries["array"])
        require(isinstance(array, np.ndarray) and array.ndim == 0, "it has no scalar")
        return array[()]

    def _constant(self, entries: dict[str, Any]) -> Any:
        name = entries["name"]
        known = isinstance(name, str) and name in self._tables.constants
        require(known, f"it names {name!r}, which files may not")
        return self._tables.constants[name]

    def _module(self, entries: dict[str, Any]) -> nn.Module:
        module = self._trusted.copy_of(entries["name"])
        load_weights(module, self.value(entries["weights"]), entries["name"])
        return module

    def _first(self, entries: dict[str, Any]) -> Any:
        value = self._shared[entries["number"]] = self.value(entries["value"])
        return value


def load_weights(module: nn.Module, weights: Any, name: str) -> None:
    """Give a module of the caller's the weights of a file."""
    require(is_weights(weights), f"the weights of {name} are no arrays by name")
    try:
        module.load_state_dict({n: to_tensor(a) for n, a in weights.items()})
    except RuntimeError as error:
        raise Refused(
            f"{name} has other weights than those that were saved: {error}. Pass the "
            "same network in trusted, with parameters of the same shapes"
        ) from error


def is_weights(value: Any) -> bool:
    """Tell whether something are arrays by name."""
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(array, np.ndarray)
        for name, array in value.items()
    )


def dtype_of(text: Any, kinds: Iterable[str]) -> np.dtype:
    """Return a dtype of some kinds, of what NumPy writes of it."""
    known = isinstance(text, str) and text[:1] in "<>|=" and text[1:2] in kinds
    # A comma separates the fields of a record.
    require(known and "," not in text, f"it has the unknown dtype {text!r}")
    return np.dtype(text)


def _shaped(array: np.ndarray, shape: Any) -> np.ndarray:
    fits = is_shape(shape) and math.prod(shape) == array.size
    require(fits, "it has an array of another shape")
    return array.reshape(shape)
