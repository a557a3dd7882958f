"""Read blocks of lines of the repository's format by operations on arrays of bytes.

A block is read from its bytes that are no digits, in order: each of these has a class
(end of line, space, comma, colon, point, ...), and digits directly before it, or not.
Which of them may follow each other is a table, so that a block is checked by one
look-up. What lies between separators are the numbers, which `_numbers` reads.
`_xmc_lines` says the same of a single line; a test compares both.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmhe.datasets._numbers import read_numbers

Ids = NDArray[np.int32]

# Classes of bytes; 0 are those that do not occur in the format. SIGN is one before a
# number, EXPONENT_SIGN one after an e.
NEWLINE, SPACE, COMMA, COLON, POINT, E, SIGN, EXPONENT_SIGN = range(1, 9)
N_STATES = 2 * 9
CLASS_OF = np.zeros(256, dtype=np.uint8)
for _byte, _class in {
    **{"\n": NEWLINE, " ": SPACE, "\t": SPACE, ",": COMMA, ":": COLON, ".": POINT},
    **{"e": E, "E": E, "+": SIGN, "-": SIGN},
}.items():
    CLASS_OF[ord(_byte)] = _class


def after(*classes: int) -> list[int]:
    """Return the states of bytes of these classes directly after digits."""
    return [2 * one + 1 for one in classes]


def bare(*classes: int) -> list[int]:
    """Return the states of bytes of these classes that are not after digits."""
    return [2 * one for one in classes]


def _followers(has_labels: bool) -> NDArray[np.bool_]:
    """Return which state may follow which, shape (N_STATES, N_STATES)."""
    value_end = after(NEWLINE, SPACE)
    # After each class, what may come next.
    follow = {
        NEWLINE: bare(NEWLINE, SPACE) + after(COLON),
        SPACE: bare(NEWLINE, SPACE) + after(COLON),
        COMMA: after(NEWLINE, SPACE, COMMA),
        COLON: value_end + after(POINT, E) + bare(POINT, SIGN),
        SIGN: value_end + after(POINT, E) + bare(POINT),
        POINT: value_end + after(E),
        E: value_end + bare(EXPONENT_SIGN),
        EXPONENT_SIGN: value_end,
    }
    if has_labels:
        follow[NEWLINE] += after(NEWLINE, SPACE, COMMA)
    table = np.zeros((N_STATES, N_STATES), dtype=bool)
    for first, states in follow.items():
        table[np.ix_(bare(first) + after(first), states)] = True
    # Nothing need follow a point that has digits before it: "5." is a number.
    table[np.ix_(after(POINT), bare(NEWLINE, SPACE, E))] = True
    return table


FOLLOWERS = {has_labels: _followers(has_labels) for has_labels in (False, True)}


class Rows(NamedTuple):
    """What the lines of a block say; ids as they are written, sorted in each row."""

    n_features: NDArray[np.int64]  # of each row
    features: Ids
    values: NDArray[np.float32]
    n_labels: NDArray[np.int64]  # of each row
    labels: Ids


def parse_block(lines: bytes, has_labels: bool) -> Rows | None:
    """Return what clean lines say; None if any of them is wrong."""
    data = np.frombuffer(lines, dtype=np.uint8)
    places = np.flatnonzero(data - np.uint8(ord("0")) > 9)  # of all but digits
    classes = CLASS_OF[data[places]]
    if not _is_grammatical(places, classes, has_labels):
        return None
    is_separator = classes <= COLON
    ends = places[is_separator]
    has_number = np.diff(ends, prepend=-1) > 1
    numbers = _numbers(lines, places, classes, has_number)
    classes = classes[is_separator]
    is_value = np.concatenate(([False], classes[:-1] == COLON))[has_number]
    is_label = ~is_value & (classes[has_number] != COLON)
    n_numbers = np.cumsum(has_number)[classes == NEWLINE]  # up to each line's end
    n_values, n_labels = (
        np.diff(np.concatenate(([0], np.cumsum(of_kind)))[n_numbers], prepend=0)
        for of_kind in (is_value, is_label)
    )
    with np.errstate(over="ignore"):
        values = numbers[is_value].astype(np.float32)
    features = _in_order(numbers[~is_value & ~is_label], n_values)
    labels = _in_order(numbers[is_label], n_labels)
    if features is None or labels is None or not np.isfinite(values).all():
        return None
    ids, order = features
    if order is not None:
        values = values[order]
    return Rows(n_values, ids, values, n_labels, labels[0])


def _is_grammatical(
    places: NDArray[np.intp], classes: NDArray[np.uint8], has_labels: bool
) -> bool:
    """Tell whether bytes that are no digits may follow each other as they do."""
    has_digits = np.diff(places, prepend=-1) > 1
    signs = np.flatnonzero(classes == SIGN)
    # The first byte is no sign of an exponent; -1 would be the last one.
    of_exponent = (classes[signs - 1] == E) & ~has_digits[signs] & (signs > 0)
    classes[signs[of_exponent]] = EXPONENT_SIGN
    states = np.concatenate(([np.uint8(2 * NEWLINE)], 2 * classes + has_digits))
    # Bytes of the class 0 follow nothing.
    return bool(FOLLOWERS[has_labels][states[:-1], states[1:]].all())


def _numbers(
    lines: bytes,
    places: NDArray[np.intp],
    classes: NDArray[np.uint8],
    has_number: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the numbers before those separators that have one before them."""
    is_separator = classes <= COLON
    ends = places[is_separator]
    starts = np.concatenate(([0], ends[:-1] + 1))
    inside = np.flatnonzero(~is_separator)
    number_of = np.cumsum(is_separator)[inside]  # that a point or a sign is part of
    is_point = classes[inside] == POINT
    points = ends.copy()
    points[number_of[is_point]] = places[inside[is_point]]
    is_plain = np.ones(len(ends), dtype=bool)
    is_plain[number_of[~is_point]] = False
    starts, ends, points = (part[has_number] for part in (starts, ends, points))
    return read_numbers(lines, starts, ends, points, is_plain[has_number])


def _in_order(
    numbers: NDArray[np.float64], n_of_rows: NDArray[np.int64]
) -> tuple[Ids, NDArray[np.intp] | None] | None:
    """Return the ids sorted within each row, and the order that sorts them, if any.

    None if an id is too large for an int32, or twice in a row.
    """
    if len(numbers) and numbers.max() > np.iinfo(np.int32).max:
        return None
    ids = numbers.astype(np.int32)
    starts = np.cumsum(n_of_rows)[:-1]
    if _increases(ids, starts):
        return ids, None
    rows = np.repeat(np.arange(len(n_of_rows)), n_of_rows)
    order = np.lexsort((ids, rows))
    ids = ids[order]
    return (ids, order) if _increases(ids, starts) else None


def _increases(ids: Ids, starts: NDArray[np.int64]) -> bool:
    """Tell whether the ids of each row increase."""
    increases = np.concatenate(([True], ids[1:] > ids[:-1]))[: len(ids)]
    increases[starts[starts < len(ids)]] = True
    return bool(increases.all())
