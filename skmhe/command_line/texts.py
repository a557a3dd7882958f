"""Texts and their labels, from CSV, JSON lines and plain lines."""

import csv
import json
from collections.abc import Iterator
from typing import Any

from skmhe.command_line.errors import DataError
from skmhe.command_line.files import Input, inner_suffix, text_lines
from skmhe.command_line.reading import Found, LabelSet, Reading
from skmhe.datasets._xmc_texts import joined, parse_object

INT64 = range(-(2**63), 2**63)


def read_csv(stream: Input, reading: Reading, _: int | None) -> Found:
    """Read columns of a table, whose first row has their names."""
    is_tsv = inner_suffix(stream.name) == ".tsv"
    delimiter = reading.delimiter or ("\t" if is_tsv else ",")
    rows = _csv_rows(stream, delimiter)
    _, header = next(rows, (1, []))
    text_columns = [
        _column(header, name, "--text", stream.name) for name in reading.text_names
    ]
    label_column = None
    if reading.has_labels:
        label_column = _column(header, reading.label_name, "--label", stream.name)
    texts, labels = [], []
    for number, row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{stream.name}, line {number}: expected as many cells as the header "
                f"has, {len(header)}, got {len(row)}: quote cells that hold a "
                "delimiter, or name another one by --delimiter."
            )
        texts.append(" ".join(filter(None, (row[column] for column in text_columns))))
        if label_column is not None:
            where = f"{stream.name}, line {number}"
            labels.append(_split(row[label_column], reading.separator, where))
    return texts, labels if reading.has_labels else None


def _csv_rows(stream: Input, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, with the number of their last line."""
    reader = csv.reader(
        (f"{line}\n" for _, line in text_lines(stream)),
        delimiter=delimiter,
        strict=True,
    )
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        if "field limit" in str(error):
            raise DataError(
                f"{stream.name}, line {reader.line_num}: expected cells of at most "
                f"{csv.field_size_limit():,} characters: close the quotes, or use JSON "
                "lines for such texts."
            ) from error
        raise DataError(
            f"{stream.name}, line {reader.line_num}: expected cells separated by "
            f"{delimiter!r}, those with quotes in quotes, got other text ({error})."
        ) from error


def _column(header: list[str], name: str, option: str, file: str) -> int:
    if header.count(name) != 1:
        remedy = f"choose among them by {option}"
        if len(header) == 1:
            remedy += ", or name what separates columns by --delimiter"
        elif not header:
            remedy = "the first row must have the names of the columns"
        raise DataError(
            f"{file}, line 1: expected one column {name!r} in the header, got "
            f"{header[:10]}: {remedy}."
        )
    return header.index(name)


def _split(cell: str, separator: str | None, where: str) -> LabelSet:
    """Return the labels in a cell."""
    if separator is not None:
        return frozenset(filter(None, map(str.strip, cell.split(separator))))
    if not cell:
        raise DataError(
            f"{where}: expected a label, got an empty cell: remove the line or, if "
            "samples have any number of labels, name what separates them by "
            "--separator."
        )
    return frozenset([cell])


def read_jsonl(stream: Input, reading: Reading, _: int | None) -> Found:
    """Read fields of objects, one per line."""
    texts, labels = [], []
    for number, line in text_lines(stream):
        if not line.strip():
            continue
        where = f"{stream.name}, line {number}"
        try:
            sample = parse_object(line)
            texts.append(joined(sample, reading.text_names, "--text"))
        except ValueError as error:
            raise DataError(f"{where}: {error}.") from error
        if reading.has_labels:
            labels.append(_labels(sample, reading, where))
    if len({type(label) for found in labels for label in found}) > 1:
        raise DataError(
            f"{stream.name}: expected labels that are all text or all whole numbers, "
            f"got both in {reading.label_name!r}: write all of them as text."
        )
    return texts, labels if reading.has_labels else None


def _labels(sample: dict[str, Any], reading: Reading, where: str) -> LabelSet:
    if reading.label_name not in sample:
        raise DataError(
            f"{where}: expected the field {reading.label_name!r}, got "
            f"{list(sample)[:10]}: choose among them by --label."
        )
    found = sample[reading.label_name]
    labels = found if isinstance(found, list) else [found]
    if reading.separator is not None and all(type(label) is str for label in labels):
        parts = (_split(label, reading.separator, where) for label in labels)
        return frozenset().union(*parts)
    # Not isinstance, by which True and False would be numbers.
    if not all(type(n) is str or (type(n) is int and n in INT64) for n in labels):
        raise DataError(
            f"{where}: expected a label, text or a whole number, or a list of labels, "
            f"got {json.dumps(found)[:40]}."
        )
    return frozenset(labels)


def read_lines(stream: Input, reading: Reading, _: int | None) -> Found:
    """Read a text per line."""
    if reading.has_labels:
        raise DataError(
            f"{stream.name}: expected texts with labels, but lines of text have none: "
            "use CSV or JSON lines."
        )
    return [text for _, text in text_lines(stream)], None
