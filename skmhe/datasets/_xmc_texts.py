"""Read the texts of samples and labels, as in the repository's raw downloads."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.utils import Bunch

from skmhe.datasets._files import check_path, numbered_blocks
from skmhe.datasets._xmc import load_matrix

StrPath = str | os.PathLike[str]
COMPRESSED = {".gz", ".bz2", ".xz", ".zst"}
JSON_LINES = {".json", ".jsonl"}


def load_xmc_texts(
    path: StrPath,
    label_texts_path: StrPath,
    target_path: StrPath | None = None,
    *,
    fields: Sequence[str] = ("title", "content"),
    encoding: str = "utf-8",
) -> Bunch:
    r"""Load the texts of samples and labels, as in the repository's raw downloads.

    They come in two forms. A file whose name ends in ``.json`` or ``.jsonl``, before
    ``.gz`` or the like, has an object per line, such as ``trn.json.gz`` and
    ``lbl.json.gz``::

        {"uid": "0001", "title": "A title", "content": "...", "target_ind": [3, 17]}

    Any other file has a text per line, such as ``trn_X.txt`` and ``Y.txt``; the labels
    are then in a file of their own, ``trn_X_Y.txt``.

    Parameters
    ----------
    path : str or path-like
        The texts of the samples, such as ``trn.json.gz`` or ``trn_X.txt``. Files are
        decompressed by their suffix, as in `load_xmc`.
    label_texts_path : str or path-like
        The texts of the labels, in their order, such as ``lbl.json.gz`` or ``Y.txt``.
    target_path : str or path-like, default=None
        The matrix of the labels, such as ``trn_X_Y.txt``; see `labels_path` of
        `load_xmc`. By default, the labels are those of ``target_ind``, which only JSON
        lines have; its numbers are lines of `label_texts_path`, from 0 on.
    fields : sequence of str, default=("title", "content")
        Only used for JSON lines. The fields that are joined by a space. Those that are
        missing, null or empty are left out; an object must have one of them. Data sets
        of titles are commonly used with ``("title",)``.
    encoding : str, default="utf-8"
        The encoding of the texts. Some of the plain text files are in "latin-1".

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        data : list of str of length n_samples
            The texts of the samples.
        target : csr_matrix of shape (n_samples, n_labels), dtype float32
            The indicator of the labels.
        label_texts : list of str of length n_labels
            The texts of the labels.

    Raises
    ------
    ValueError
        If a file is not of this form, or files do not belong together. The message
        names the file and the line.
    TypeError
        If a parameter has a wrong type.
    OSError
        If a file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmhe.datasets import load_xmc_texts
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     _ = (folder / "trn_X.txt").write_text("a tabby cat\na barking dog\n")
    ...     _ = (folder / "Y.txt").write_text("cats\ndogs\n")
    ...     _ = (folder / "trn_X_Y.txt").write_text("2 2\n0:1\n1:1\n")
    ...     pets = load_xmc_texts(
    ...         folder / "trn_X.txt", folder / "Y.txt", folder / "trn_X_Y.txt"
    ...     )
    >>> pets.data[1], pets.label_texts[pets.target[1].indices[0]]
    ('a barking dog', 'dogs')
    """
    _check_parameters(path, label_texts_path, fields, encoding)
    if target_path is None and not _is_json(path):
        raise ValueError(
            f"target_path must be given, as {os.fspath(path)} is no file of JSON lines "
            "by its name, and so has no labels."
        )
    label_texts = [text for text, _ in _texts(label_texts_path, fields, encoding)]
    data, labels = [], []
    n_labels = len(label_texts) if target_path is None else None
    for text, labels_of in _texts(path, fields, encoding, n_labels):
        data.append(text)
        labels.append(labels_of)
    if target_path is None:
        target = _indicator(labels, len(label_texts))
    else:
        check_path(target_path, "read", "target_path")
        target = load_matrix(target_path, "auto", len(label_texts), kind="label")
        target.data = (target.data != 0).astype(np.float32)
        target.eliminate_zeros()
    if target.shape[0] != len(data):
        raise ValueError(
            f"{target_path}: expected {len(data)} rows, as {os.fspath(path)} has "
            f"lines, got {target.shape[0]}: are they of the same samples?"
        )
    return Bunch(data=data, target=target, label_texts=label_texts)


def _check_parameters(
    path: object, label_texts_path: object, fields: Any, encoding: Any
) -> None:
    for name, given in {"path": path, "label_texts_path": label_texts_path}.items():
        if not isinstance(given, str | os.PathLike):
            raise TypeError(f"{name} must be a str or a path, got {given!r}.")
    is_list = isinstance(fields, Sequence) and not isinstance(fields, str)
    if not is_list or not fields or not all(isinstance(f, str) for f in fields):
        raise TypeError(f"fields must be a sequence of str, got {fields!r}.")
    try:
        is_of_lines = b"a\n".decode(encoding) == "a\n"
    except (LookupError, TypeError, ValueError):
        is_of_lines = False
    if not is_of_lines:
        raise ValueError(
            "encoding must be one that Python knows, and that writes ASCII as it is, "
            f"such as 'utf-8' and 'latin-1', got {encoding!r}: convert other files."
        )


def _is_json(path: StrPath) -> bool:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in JSON_LINES


def _texts(
    path: StrPath, fields: Sequence[str], encoding: str, n_labels: int | None = None
) -> Iterator[tuple[str, list[int]]]:
    """Yield text and labels of each line; labels are read where n_labels is given."""
    is_json = _is_json(path)
    for first, lines in numbered_blocks(path):
        # Only line feeds end a line: texts may have other characters of that kind.
        for number, line in enumerate(lines.split(b"\n")[:-1], first):
            try:
                text = line.removesuffix(b"\r").decode(encoding)
                if is_json:
                    sample = parse_object(text)
                    yield joined(sample, fields), _labels(sample, n_labels)
                else:
                    yield text, []
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{os.fspath(path)}, line {number}: expected text in {encoding!r}, "
                    f"got {line[error.start : error.start + 8]!r}: give its encoding, "
                    "such as encoding='latin-1'."
                ) from error
            except ValueError as error:
                raise ValueError(
                    f"{os.fspath(path)}, line {number}: {error}."
                ) from error


def parse_object(text: str) -> dict[str, Any]:
    """Return the object of a line of JSON."""
    try:
        sample = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected a JSON object, got {text[:40]!r} ({error})") from (
            error
        )
    if not isinstance(sample, dict):
        raise ValueError(f"expected a JSON object, got {text[:40]!r}")
    return sample


def joined(
    sample: dict[str, Any], fields: Sequence[str], option: str = "fields"
) -> str:
    """Return the text of a sample: its fields, which an option chooses, by spaces."""
    if not any(field in sample for field in fields):
        raise ValueError(
            f"expected one of the fields {list(fields)}, got {list(sample)[:10]}: "
            f"choose among them by {option}"
        )
    texts = [sample[field] for field in fields if sample.get(field) is not None]
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"expected fields of text, got {str(text)[:40]!r}")
    return " ".join(filter(None, texts))


def _labels(sample: dict[str, Any], n_labels: int | None) -> list[int]:
    """Return the labels of a sample, of which there are n_labels; None reads none."""
    if n_labels is None:
        return []
    if "target_ind" not in sample:
        raise ValueError(
            f"expected the field 'target_ind', got {list(sample)[:10]}: give the file "
            "of the labels as target_path"
        )
    labels = sample["target_ind"]
    if not isinstance(labels, list) or not all(type(one) is int for one in labels):
        raise ValueError(
            f"expected target_ind to be a list of ints, got {str(labels)[:40]}"
        )
    if wrong := [one for one in labels if not 0 <= one < n_labels]:
        raise ValueError(
            "expected target_ind to be from 0 to below the number of texts of labels, "
            f"{n_labels}, got {wrong[0]}"
        )
    if len(set(labels)) < len(labels):
        raise ValueError(f"expected each of target_ind once, got {str(labels)[:40]}")
    return sorted(labels)


def _indicator(labels: list[list[int]], n_labels: int) -> csr_matrix:
    starts = np.cumsum([0, *map(len, labels)])
    columns = np.array([label for of_one in labels for label in of_one], dtype=np.int32)
    values = np.ones(len(columns), dtype=np.float32)
    return csr_matrix((values, columns, starts), (len(labels), n_labels))
