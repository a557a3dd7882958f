"""Files that are read or written once: paths, pipes, standard input and output."""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from skmhe.command_line.errors import DataError, data_errors
from skmhe.datasets._files import (
    BLOCK_SIZE,
    BOM,
    check_text,
    explained_damage,
    numbered_blocks,
    open_to_read,
    open_to_write,
)

STANDARD = "-"
COMPRESSED = {".gz", ".bz2", ".xz", ".zst"}
SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".svm": "svmlight",
    ".svmlight": "svmlight",
    ".libsvm": "svmlight",
}
HEADER = re.compile(rb"[0-9]+[ \t]+[0-9]+([ \t]+[0-9]+)?[ \t\r]*\n?")
IDS = re.compile(rb"[0-9]+(,[0-9]+)*")
PAIR = re.compile(rb"[0-9]+:[^:]+")


class Input(io.BufferedReader):
    """A file that is read once: a pipe cannot be opened again to look into it."""

    def __init__(self, raw: Any, name: str) -> None:
        super().__init__(raw, BLOCK_SIZE)
        self._name = name

    @property
    def name(self) -> str:
        """What errors call it."""
        return self._name

    def first_line(self) -> bytes:
        """Return the first line that is no comment, without reading on.

        Of a long one, it is the beginning.
        """
        lines = self._start().removeprefix(BOM).split(b"\n")
        return next((line for line in lines if not line.startswith(b"#")), b"")

    def check_text(self) -> None:
        """Require that it is not compressed any more."""
        check_text(self._start(), self._name)

    def _start(self) -> bytes:
        with explained_damage(self._name, 1):
            return self.peek()


@contextmanager
def opened(path: str) -> Iterator[Input]:
    """Open a path, decompressed by its suffix, or standard input."""
    if path == STANDARD:
        yield from _checked(_standard("stdin"), "<stdin>")
    else:
        with open_to_read(path) as raw:
            yield from _checked(raw, path)


def _checked(raw: Any, name: str) -> Iterator[Input]:
    stream = Input(raw, name)
    try:
        with data_errors():
            stream.check_text()
        yield stream
    finally:
        stream.detach()  # or standard input would be closed


def text_lines(stream: Input) -> Iterator[tuple[int, str]]:
    """Yield the lines, with their numbers and without their ends."""
    for first, block in numbered_blocks(stream):
        # Only line feeds end a line: texts may have other characters of that kind.
        for number, line in enumerate(block.split(b"\n")[:-1], first):
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{stream.name}, line {number}: expected text in UTF-8, got "
                    f"{line[error.start : error.start + 8]!r}: convert the file, for "
                    "example by iconv -f latin1 -t utf-8."
                ) from error
            yield number, text.removesuffix("\r")


def find_format(stream: Input, texts: bool | None) -> str:
    """Return the format of a file, by its name or else by its first line.

    `texts` is whether there must be texts or features, None if it may be both.
    """
    suffix = inner_suffix(stream.name)
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    line = stream.first_line().removesuffix(b"\r")
    if line.lstrip().startswith(b"{"):
        return "jsonl"
    if texts:
        return "text"
    if texts is False or HEADER.fullmatch(line) or _is_row(line):
        return "xmc"
    raise click.UsageError(
        f"The format of {stream.name} can be told neither by its name nor by its first "
        f"line, {line[:40].decode('utf-8', 'replace')!r}: give it by --format."
    )


def inner_suffix(name: str) -> str:
    """Return the suffix of a name, in small letters, without a .gz after it."""
    path = Path(name.lower())
    return (path.with_suffix("") if path.suffix in COMPRESSED else path).suffix


def _is_row(line: bytes) -> bool:
    """Tell whether a line, of which there may be the beginning only, is one of xmc."""
    tokens = line.partition(b"#")[0].split()[:100]
    pairs = tokens[1:] if tokens and IDS.fullmatch(tokens[0]) else tokens
    return all(map(PAIR.fullmatch, pairs))  # there are empty rows, too


@contextmanager
def output(path: str) -> Iterator[BinaryIO]:
    """Give a stream to write to: a file that gets all or nothing, or a pipe."""
    try:
        if path == STANDARD:
            stream = _standard("stdout")
            yield stream
            stream.flush()
        else:
            with open_to_write(path) as file:
                yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None or error.strerror is None:
            raise
        name = "standard output" if path == STANDARD else path
        raise OSError(error.errno, error.strerror, name) from error


def _standard(name: str) -> Any:
    """Return standard input or output, of bytes."""
    stream = getattr(sys, name)
    if stream is None:  # as by <&- in a shell
        raise click.UsageError(f"{name} is closed: open it, or name a file.")
    return stream.buffer


def check_output(context: click.Context, parameter: Any, path: str) -> str:
    """Return the path of an output that can be written; a callback of click.

    This is found before the work, which may take long.
    """
    is_model = parameter.name == "model"
    if path == STANDARD and is_model:
        raise click.BadParameter(
            "a model cannot be written to standard output: name a file."
        )
    is_other = os.path.exists(path) and not os.path.isfile(path)
    if is_other and is_model:
        raise click.BadParameter(f"{path!r} is a pipe or device: name a file.")
    if path == STANDARD or is_other:
        return path
    # Of a link, what it leads to is written, first to a file aside.
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise click.BadParameter(
            f"there is no folder {str(Path(path).parent)!r}: create it first."
        )
    if not os.access(folder, os.W_OK):
        raise click.BadParameter(
            f"the folder {str(folder)!r} is write-protected: change its permissions, "
            "or name a file elsewhere."
        )
    return path


def check_files(*inputs: str | None, target: str | None = None) -> None:
    """Require that standard input is read once, and that no input is overwritten."""
    if inputs.count(STANDARD) > 1:
        raise click.UsageError(
            "Standard input, -, can be read once: give files for the others."
        )
    if target is None or not os.path.isfile(target):
        return
    for path in inputs:
        if path is not None and path != STANDARD and os.path.samefile(path, target):
            raise click.UsageError(
                f"{target!r} would be read and overwritten: write to another file."
            )
