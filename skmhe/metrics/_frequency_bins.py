"""Bins of labels by how often they occur in training."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray


def bin_labels(
    frequencies: NDArray[np.integer], lowest: NDArray[np.integer] | list[int]
) -> NDArray[np.int64]:
    """Return the bin of each label, given the lowest frequency of each bin, from 0."""
    return np.searchsorted(lowest, frequencies, side="right") - 1


def read_bins(bins: Any) -> int | list[int]:
    """Return a number of bins, or their lowest numbers; ValueError for others."""
    is_number = isinstance(bins, Integral)
    values = [bins] if is_number else list(bins) if np.iterable(bins) else []
    if not _are_increasing(values):
        raise ValueError(
            f"bins={bins!r} must be an integer of at least 1, the number of bins, or "
            "increasing integers of at least 1, the lowest number of training samples "
            "of each bin, for example (1, 10, 100)."
        )
    return int(bins) if is_number else list(map(int, values))


def read_tail_torso_head(bins: Any) -> list[int]:
    """Return the lowest numbers of three bins; ValueError for others."""
    values = list(bins) if np.iterable(bins) else []
    if len(values) != 2 or not _are_increasing(values):
        raise ValueError(
            f"bins={bins!r} must be two increasing integers of at least 1, the lowest "
            "number of training samples of the torso and that of the head, for example "
            "(10, 100)."
        )
    return [0, *map(int, values)]


def _are_increasing(values: list[Any]) -> bool:
    """Tell whether some numbers, at least one, are increasing integers from 1 on."""
    are_integers = all(
        isinstance(value, Integral) and not isinstance(value, bool) for value in values
    )
    return are_integers and values == sorted(set(values)) and min(values, default=0) > 0


def lowest_frequencies(
    bins: int | list[int], frequencies: NDArray[np.integer]
) -> NDArray[np.integer]:
    """Return the lowest number of training samples of each bin, 0 and 1 among them.

    Of a number of bins, each is wider than the one before by the same factor.
    """
    if not isinstance(bins, int):
        return np.unique([0, 1, *bins])
    # From 1 to the number after the highest one.
    end = float(frequencies.max(initial=1) + 1)
    lowest = np.geomspace(1.0, end, bins + 1)[:-1]
    return np.unique([0, *lowest.round(9).astype(np.int64)])
