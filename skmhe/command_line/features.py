"""Features and labels, from files in the formats xmc and svmlight."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_svmlight_file

from skmhe.command_line.errors import DataError
from skmhe.command_line.files import HEADER, Input, opened
from skmhe.command_line.reading import Found, LabelSet, Reading
from skmhe.datasets import load_xmc
from skmhe.datasets._files import BOM
from skmhe.datasets._xmc import load_matrix


def read_xmc(stream: Input, reading: Reading, n_features: int | None) -> Found:
    """Read the format of the extreme classification repository."""
    line = stream.first_line()
    if HEADER.fullmatch(line):
        n_features = None  # which the header has, to be compared with the model's
    if not reading.has_labels and len(line.split()) == 2 and HEADER.fullmatch(line):
        return load_matrix(stream, reading.base, n_features), None
    if reading.label_file is None:
        return load_xmc(stream, zero_based=reading.base, n_features=n_features)
    with opened(reading.label_file) as labels:
        return load_xmc(stream, labels, zero_based=reading.base, n_features=n_features)


def read_svmlight(stream: Input, reading: Reading, n_features: int | None) -> Found:
    """Read the format of svmlight, whose labels are whole numbers."""
    content = stream.read().removeprefix(BOM)

    def load(text: bytes) -> Any:
        return load_svmlight_file(
            io.BytesIO(text), dtype=np.float32, multilabel=True, zero_based=reading.base
        )

    try:
        X, labels = load(content)
    except (ValueError, OverflowError) as error:
        number = _first_wrong(content.split(b"\n"), load)
        raise DataError(
            f"{stream.name}, line {number}: expected labels separated by commas, a "
            f"space, and features as id:value ({error})."
        ) from error
    wrong = np.flatnonzero(~np.isfinite(X.data))
    if len(wrong):
        sample = np.searchsorted(X.indptr, wrong[0], side="right")
        raise DataError(
            f"{stream.name}, sample {sample}: expected finite numbers that float32 can "
            f"hold, below 3.4e38, got {X.data[wrong[0]]}."
        )
    if n_features is not None and X.shape[1] <= n_features:
        X.resize(X.shape[0], n_features)
    if not reading.has_labels:
        return X, None
    return X, [_whole(found, stream.name, i) for i, found in enumerate(labels, 1)]


def _first_wrong(lines: list[bytes], load: Callable[[bytes], Any]) -> int:
    """Return the number of the first line that cannot be loaded."""
    first, last = 0, len(lines)  # it is at least `first`, and below `last`
    while last - first > 1:
        middle = (first + last) // 2
        try:
            load(b"\n".join(lines[first:middle]))
            first = middle
        except (ValueError, OverflowError):
            last = middle
    return first + 1


def _whole(labels: tuple[float, ...], name: str, number: int) -> LabelSet:
    if odd := [label for label in labels if not float(label).is_integer()]:
        raise DataError(
            f"{name}, sample {number}: expected whole numbers as labels, got {odd[0]}: "
            "a number to predict is no label."
        )
    return frozenset(map(int, labels))
