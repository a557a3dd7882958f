"""The text format of the extreme classification repository, one line at a time.

    n_samples n_features n_labels
    3,17 0:0.5 8:1.25
     2:0.75

This says what a line may be, and finds what is wrong with one. `_xmc_blocks` reads many
lines at once, and hands those that it cannot read to `explain`.
"""

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

MAX_ID = int(np.iinfo(np.int32).max)
# None of these takes a time that grows with the square of a line's length.
COMMENT_LINE = re.compile(rb"^[ \t]*#[^\n]*\n", re.MULTILINE)
COMMENT = re.compile(rb"#[^\n]*")
TOKEN = re.compile(rb"[^ \t]+")
ID = re.compile(rb"[0-9]+")
VALUE = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# How lines begin that other files of this kind have.
ONE_NUMBER = re.compile(rb"[+-]?[0-9.]+ +(?:qid|[0-9]+):")
WITH_LABELS = "labels separated by commas, a space, and features as id:value"


class Line(NamedTuple):
    """What a line says; labels are empty in a file without labels."""

    labels: list[int]
    features: list[int]
    values: list[float]


@dataclass(frozen=True)
class Bounds:
    """Which ids may occur, as far as the file has been read.

    Whether ids start at 0 or at 1 is open as long as `is_open`: an id 0, or an id as
    large as the number of columns, decides.
    """

    kind: str  # "feature" or "label"
    lowest: int
    highest: int
    n_columns: int | None  # by the header or the caller
    is_open: bool

    @classmethod
    def of(cls, kind: str, n_columns: int | None, zero_based: bool | str) -> "Bounds":
        """Return the bounds before anything is read; zero_based may be "auto"."""
        n = MAX_ID if n_columns is None else n_columns
        # "auto" cannot tell that ids start at 1 where nothing tells how many there are.
        may_be_n = not zero_based if n_columns is None else zero_based is not True
        return cls(
            kind,
            lowest=1 if zero_based is False else 0,
            highest=n if may_be_n else n - 1,
            n_columns=n_columns,
            is_open=zero_based == "auto",
        )

    def narrowed(self, smallest: int, largest: int) -> "Bounds | None":
        """Return the bounds after ids were seen, or None if these are outside."""
        has_zero, has_last = smallest == 0, largest == self.n_columns
        if smallest < self.lowest or largest > self.highest:
            return None
        if not self.is_open or not (has_zero or has_last):
            return self
        if has_zero and has_last:
            return None
        if has_zero:
            highest = self.highest - (self.n_columns is not None)
            return replace(self, highest=highest, is_open=False)
        return replace(self, lowest=1, is_open=False)

    def allowed(self) -> str:
        """Tell in words which ids may occur."""
        n = self.n_columns
        if n is None:
            return f"expected {self.lowest} to {self.highest}"
        if n == 0:
            return f"expected none: there are 0 {self.kind}s"
        known = f"there is 1 {self.kind}" if n == 1 else f"there are {n} {self.kind}s"
        if self.is_open:
            return f"expected 0 to {n - 1}, or 1 to {n}: {known}"
        base = "one" if self.lowest else "zero"
        return (
            f"expected {self.lowest} to {self.highest}: {known}, and ids are "
            f"{base}-based, as was asked for or as an earlier id tells"
        )


def clean(lines: bytes) -> bytes:
    """Remove comments, and lines that are nothing else, and carriage returns."""
    if b"\r" in lines:
        lines = lines.replace(b"\r\n", b"\n")
    if b"#" in lines:
        lines = COMMENT.sub(b"", COMMENT_LINE.sub(b"", lines))
    return lines


def shown(token: bytes) -> str:
    """Return a token as errors show it: escaped, and not too long."""
    short = token if len(token) <= 40 else token[:40] + b"..."
    return repr(short)[1:]


def parse_line(text: bytes, has_labels: bool) -> Line:
    """Return what a clean line says, without its end; a ValueError tells its fault."""
    tokens = TOKEN.findall(text)
    labels: list[int] = []
    if has_labels and tokens and text[:1] not in b" \t" and b":" not in tokens[0]:
        labels = [_parse_id(token, "label") for token in tokens.pop(0).split(b",")]
    pairs = [_parse_pair(token) for token in tokens]
    return Line(labels, [pair[0] for pair in pairs], [pair[1] for pair in pairs])


def _parse_pair(token: bytes) -> tuple[int, float]:
    column, colon, value = token.partition(b":")
    if not colon:
        raise ValueError(f"expected id:value, got {shown(token)} without a colon")
    number = _parse_id(column, "feature")
    if not VALUE.fullmatch(value):
        raise ValueError(
            f"expected a finite number as the value in id:value, got {shown(token)}"
        )
    with np.errstate(over="ignore"):
        is_finite = np.isfinite(np.float32(float(value)))
    if not is_finite:
        raise ValueError(
            f"expected a value that float32 can hold, below 3.4e38, got {shown(token)}"
        )
    return number, float(value)


def _parse_id(token: bytes, kind: str) -> int:
    if not ID.fullmatch(token):
        raise ValueError(f"expected a {kind} id, digits only, got {shown(token)}")
    # Python refuses to read thousands of digits.
    if len(token.lstrip(b"0")) > 18:
        raise ValueError(
            f"{kind} id {shown(token)} is out of range, expected at most {MAX_ID}"
        )
    return int(token[-18:])


def _narrow(bounds: Bounds, ids: list[int]) -> Bounds:
    """Return narrower bounds; a ValueError tells which id is wrong."""
    for number in ids:
        narrowed = bounds.narrowed(number, number)
        if narrowed is None:
            raise ValueError(
                f"{bounds.kind} id {number} is out of range, {bounds.allowed()}"
            )
        bounds = narrowed
    for number, n_times in Counter(ids).most_common(1):
        if n_times > 1:
            raise ValueError(
                f"expected each {bounds.kind} id once, but {number} occurs {n_times} "
                "times"
            )
    return bounds


def explain(
    name: str,
    first_line: int,
    lines: bytes,
    bounds: tuple[Bounds, Bounds],
    has_labels: bool,
    n_left: int | None,
) -> ValueError:
    """Return the error of the first line that is wrong, one of which there must be.

    `lines` are those of a block as they are in the file, `bounds` are those of features
    and labels before it, and `n_left` is the number of rows that may follow, if known.
    """
    features, labels = bounds
    for number, line in enumerate(lines.split(b"\n")[:-1], first_line):
        text = clean(line + b"\n")
        if not text:
            continue
        try:
            found = parse_line(text[:-1], has_labels)
            features = _narrow(features, found.features)
            labels = _narrow(labels, found.labels)
            if n_left == 0 and any(found):
                raise ValueError("expected no more rows, as the header tells how many")
        except ValueError as error:
            hint = _hint(text, has_labels, is_first=number == 1)
            return ValueError(f"{name}, line {number}: {error}.{hint}")
        n_left = n_left and n_left - 1
    raise AssertionError(f"{name}: no line is wrong from line {first_line} on")


def _hint(text: bytes, has_labels: bool, is_first: bool) -> str:
    """Return what else to say of a line that is wrong."""
    n_numbers = len(text.split()) if re.fullmatch(rb"[0-9 \t]+\n", text) else 0
    if not is_first:
        if n_numbers == 2 + has_labels:
            return " Only the first line may be a header: give each file on its own."
        return ""
    if has_labels and n_numbers == 2:
        return (
            " Two numbers are the header of a matrix alone: give the features' file as "
            "path and the labels' file as labels_path."
        )
    if has_labels and ONE_NUMBER.match(text):
        return (
            " One number per sample, or query ids, are read by load_svmlight_file of "
            "sklearn.datasets."
        )
    header = "n_samples n_features n_labels" if has_labels else "n_rows n_columns"
    rows = WITH_LABELS if has_labels else "id:value separated by spaces"
    return f" The first line is a header, {header}, or a row: {rows}."
