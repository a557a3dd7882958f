"""Large tables in 16 bits on disk: fitting rounds them, so that nothing is lost."""

from collections.abc import Callable
from typing import Any

import numpy as np

# Smaller arrays are not worth rounding: biases, scales, intercepts of few labels.
MIN_SIZE = 1024
# Elements that are converted at a time.
CHUNK = 2**20


def round_to_half(fitted: Any) -> None:
    """Round large float32 tables, in place, to what float16 can hold.

    Its 11 bits of precision are more than training determines: weights differ by
    more between two seeds by far. A table of values that float16 cannot hold is
    left as it is. Dicts, lists and named tuples may hold the tables.
    """
    _mapped(fitted, _rounded)


def compacted(fitted: Any) -> Any:
    """Return the same with tables as float16 where this loses nothing."""
    return _mapped(fitted, _to_half)


def restored(fitted: Any) -> Any:
    """Undo `compacted`."""
    return _mapped(fitted, _to_single)


def _is_table(value: np.ndarray) -> bool:
    is_large = value.size >= MIN_SIZE and value.dtype == np.float32
    return is_large and value.flags.c_contiguous


def _mapped(fitted: Any, function: Callable[[np.ndarray], np.ndarray]) -> Any:
    """Apply a function to all arrays, and return them in the same containers."""
    if isinstance(fitted, dict):
        return {key: _mapped(value, function) for key, value in fitted.items()}
    if isinstance(fitted, list):
        return [_mapped(value, function) for value in fitted]
    if isinstance(fitted, tuple) and hasattr(fitted, "_fields"):
        return type(fitted)(*(_mapped(value, function) for value in fitted))
    return function(fitted) if isinstance(fitted, np.ndarray) else fitted


def _rounded(value: np.ndarray) -> np.ndarray:
    """Round a table in place, and return it."""
    if _is_table(value) and max(-value.min(), value.max()) <= np.finfo(np.float16).max:
        flat = value.reshape(-1)
        for start in range(0, flat.size, CHUNK):
            part = flat[start : start + CHUNK]
            part[...] = part.astype(np.float16)
    return value


def _to_half(value: np.ndarray) -> np.ndarray:
    if not _is_table(value):
        return value
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    return half if np.array_equal(half, value) else value


def _to_single(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32) if value.dtype == np.float16 else value
