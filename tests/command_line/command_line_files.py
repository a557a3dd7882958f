"""Small data in the formats that the command line reads, and what it writes."""

import json

TICKETS = [
    ("charged twice", "billing"),
    ("refund me, please", "billing"),
    ("no wifi", "it"),
    ("printer jam", "it"),
    ("wifi, printer: both down", "it"),
    ("refund was charged", "billing"),
]
TAGGED = [
    ("a tabby cat", "cat"),
    ("my old cat", "cat;old"),
    ("a barking dog", "dog"),
    ("an old dog", "dog; old"),
    ("two cats, one dog", "cat;dog"),
    ("nothing", ""),
]


def table(rows, header, delimiter=","):
    lines = [header, *([f'"{text}"', f'"{label}"'] for text, label in rows)]
    return "".join(delimiter.join(line) + "\n" for line in lines)


def json_lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def read_rows(text):
    """Return (labels, probabilities) of each line of predictions."""
    cells = [line.split("\t") if line else [] for line in text.splitlines()]
    return [(row[::2], [*map(float, row[1::2])]) for row in cells]


def read_objects(text):
    return [json.loads(line) for line in text.splitlines()]
