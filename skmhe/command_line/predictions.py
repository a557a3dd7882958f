"""Predictions as lines of text or of JSON."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from skmhe.command_line.data import read_names
from skmhe.command_line.errors import DataError, data_errors
from skmhe.command_line.models import Model
from skmhe.command_line.notes import counted
from skmhe.estimators import predict_topk

# Samples that are predicted at a time, so that the first lines can be read early.
BATCH = 4096
ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def as_text(labels: list[Any], probabilities: list[float]) -> str:
    """Return a line of labels, each followed by its probability, between tabs."""
    pairs = zip(labels, probabilities, strict=True)
    return "\t".join(f"{str(n).translate(ESCAPED)}\t{p:.6g}" for n, p in pairs)


def as_json(labels: list[Any], probabilities: list[float]) -> str:
    """Return the labels and their probabilities as an object of JSON."""
    rounded = [float(f"{p:.6g}") for p in probabilities]
    found = {"labels": labels, "probabilities": rounded}
    return json.dumps(found, ensure_ascii=False, default=str)


@dataclass(frozen=True)
class Predictions:
    """What is predicted, and how it is shown."""

    model: Model
    k: int | None
    is_chosen: Callable[[Any, float], bool]
    show: Callable[[list[Any], list[float]], str]
    names: list[str] | None = None

    def lines(self, X: Any, n_samples: int) -> Iterator[bytes]:
        """Yield the lines of the samples, several at a time."""
        for start in range(0, n_samples, BATCH):
            with data_errors():
                found = predict_topk(
                    self.model.estimator, X[start : start + BATCH], self.k
                )
            rows = zip(*(part.tolist() for part in found), strict=True)
            lines = "".join(f"{self._line(*row)}\n" for row in rows)
            # JSON may hold half a character, which UTF-8 does not have.
            yield lines.encode(errors="backslashreplace")

    def _line(self, labels: list[Any], probabilities: list[float]) -> str:
        pairs = zip(labels, probabilities, strict=True)
        kept = [pair for pair in pairs if self.is_chosen(*pair)]
        shown = [self.names[n] if self.names else n for n, _ in kept]
        return self.show(shown, [p for _, p in kept])


def names_for(model: Model, path: str) -> list[str]:
    """Read the names of a model's labels, which must be numbers."""
    names, labels = read_names(path), model.labels
    assert labels is not None
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(
            f"{path} names the labels 0, 1, ..., but those of {model.path} have names, "
            f"such as {labels.tolist()[0]!r}: leave --label-names away."
        )
    if labels.max() >= len(names):
        raise DataError(
            f"{path}: expected a line for each label from 0 to {labels.max()}, as in "
            f"{model.path}, got {counted(len(names), 'line')}."
        )
    return names
