"""Samples and their labels, from a file of any format."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from skmhe.command_line.errors import DataError, data_errors
from skmhe.command_line.features import read_svmlight, read_xmc
from skmhe.command_line.files import Input, find_format, opened, text_lines
from skmhe.command_line.notes import counted
from skmhe.command_line.reading import Found, LabelSet, Reading
from skmhe.command_line.texts import read_csv, read_jsonl, read_lines
from skmhe.datasets._xmc import load_matrix

READERS: dict[str, Callable[[Input, Reading, int | None], Found]] = {
    "xmc": read_xmc,
    "svmlight": read_svmlight,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "text": read_lines,
}
# What usually separates the labels of a cell.
SEPARATORS = ";|,"


@dataclass(frozen=True)
class Data:
    """Samples, and what is known of their labels."""

    name: str
    format: str
    X: Any  # a CSR matrix of features, or a list of texts
    # A CSR indicator, or a set of labels for each sample; None if they were not read.
    labels: Any

    @property
    def has_texts(self) -> bool:
        """Whether samples are texts."""
        return isinstance(self.X, list)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.X) if isinstance(self.X, list) else int(self.X.shape[0])

    def has_one_label(self, wanted: bool | None) -> bool:
        """Whether each sample has exactly one label, unless the user decides it."""
        if isinstance(self.labels, list):
            lengths = np.array([len(labels) for labels in self.labels])
        else:
            lengths = np.diff(self.labels.indptr)
        others = np.flatnonzero(lengths != 1)
        if wanted and len(others):
            found = lengths[others[0]] or "none"
            raise DataError(
                f"{self.name}: expected one label per sample, by --one-label, but "
                f"sample {others[0] + 1} has {found}: leave --one-label away, or "
                "change the data."
            )
        return not len(others) if wanted is None else wanted

    def targets(self, one_label: bool) -> Any:
        """Return the labels as estimators take them."""
        if isinstance(self.labels, list):
            return [next(iter(s)) for s in self.labels] if one_label else self.labels
        return self.labels.indices if one_label else self.labels

    @cached_property
    def distinct_labels(self) -> frozenset[Any]:
        """The labels that occur."""
        if isinstance(self.labels, list):
            return frozenset().union(*self.labels)
        return frozenset(np.unique(self.labels.indices).tolist())

    def example(self, among: Container[Any] | None = None) -> Any:
        """Return the first label, or the first one of some; None if there is none."""
        if isinstance(self.labels, list):
            every = (label for labels in self.labels for label in sorted(labels))
        else:
            every = (int(label) for label in self.labels.indices)
        return next((one for one in every if among is None or one in among), None)

    def likely_separator(self) -> tuple[str, str] | None:
        """Return what seems to separate labels that were read as one, and such a label.

        It is in some of the labels, which would not be more of them without it, as
        their parts occur in others, or alone: "cat;old", "dog;old" and "cat", but not
        "Paris, France" and "Lyon, France".
        """
        cells = {label.strip() for label in self.distinct_labels if type(label) is str}
        for separator in SEPARATORS:
            parts = {part.strip() for cell in cells for part in cell.split(separator)}
            if len(parts - {""}) <= len(cells) and parts != cells:
                among = {n for n in self.distinct_labels if separator in n}
                return separator, self.example(among)
        return None

    def described(self) -> str:
        """Return what was read, in words."""
        counts = [counted(self.n_samples, "sample")]
        counts.append(
            "texts" if self.has_texts else counted(self.X.shape[1], "feature")
        )
        if self.labels is not None:
            n_labels, example = len(self.distinct_labels), self.example()
            such_as = f" such as {example!r}" if n_labels else ""
            counts.append(f"{counted(n_labels, 'label')}{such_as}")
        return f"{self.name} ({self.format}): {', '.join(counts)}"


def label_sets(labels: Any) -> list[LabelSet]:
    """Return the labels of each sample; of an indicator, these are its columns."""
    if isinstance(labels, list):
        return labels
    parts = np.split(labels.indices, labels.indptr[1:-1])
    return [frozenset(part.tolist()) for part in parts]


def read(
    path: str,
    reading: Reading,
    *,
    texts: bool | None = None,
    n_features: int | None = None,
) -> Data:
    """Read a file; errors name it, and the line.

    `texts` and `n_features` are what a model takes, None if there is none yet.
    """
    with opened(path) as stream, data_errors():
        form = reading.format or find_format(stream, texts)
        reading.check(stream.name, form)
        X, labels = READERS[form](stream, reading, n_features)
    data = Data(stream.name, form, X, labels)
    if not data.n_samples:
        raise DataError(f"{data.name}: expected at least one sample, got none.")
    if texts is not None and texts != data.has_texts:
        takes = "texts, in CSV or JSON lines, or one per line (--format text)"
        takes = takes if texts else "features, in the formats xmc or svmlight"
        raise DataError(
            f"{data.name} has the format {form}, but the model takes {takes}."
        )
    if not data.has_texts and n_features not in (None, X.shape[1]):
        raise DataError(
            f"{data.name} has {counted(X.shape[1], 'feature')}, but the model was "
            f"trained with {n_features:,}: give data with the same features."
        )
    return data


def read_train_labels(path: str, reading: Reading) -> csr_matrix | list[LabelSet]:
    """Read labels of training data, or of its label file if it has one of its own."""
    if reading.label_file is None:
        labels = read(path, reading).labels
        assert labels is not None
        return labels
    with opened(path) as stream, data_errors():
        return load_matrix(stream, reading.base, kind="label")


def read_names(path: str) -> list[str]:
    """Return the names of the labels 0, 1, ..., from lines of text or of JSON."""
    with opened(path) as stream, data_errors():
        if find_format(stream, texts=True) != "jsonl":
            return [text for _, text in text_lines(stream)]
        reading = Reading(text=("title", "text"), has_labels=False)
        names: list[str] = read_jsonl(stream, reading, None)[0]
        return names
