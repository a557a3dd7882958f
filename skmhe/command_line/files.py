"""Files that are read or written once: paths, pipes, standard input and output."""

import io
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
# What tells files that are compressed, although their name does not.
COMPRESSED_STARTS = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ\x00": "unxz",
    b"(\xb5/\xfd": "unzstd",
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
        start = self._start()
        lines = [line for line in start.split(b"\n") if not line.startswith(b"#")]
        return lines[0] if lines else b""

    def check_plain(self) -> None:
        """Require that it is not compressed any more."""
        start = self._start()
        for magic, program in COMPRESSED_STARTS.items():
            if start.startswith(magic):
                raise DataError(
                    f"{self._name}: expected text, but it is compressed: give a file "
                    "whose name ends in .gz, .bz2, .xz or .zst, or decompress it, for "
                    f"example by {program} -c."
                )

    def _start(self) -> bytes:
        with explained_damage(self._name, 1):
            return self.peek()


@contextmanager
def opened(path: str) -> Iterator[Input]:
    """Open a path, decompressed by its suffix, or standard input."""
    if path == STANDARD:
        yield from _checked(sys.stdin.buffer, "<stdin>")
    else:
        with open_to_read(path) as raw:
            yield from _checked(raw, path)


def _checked(raw: Any, name: str) -> Iterator[Input]:
    stream = Input(raw, name)
    try:
        with data_errors():
            stream.check_plain()
        yield stream
    finally:
        stream.detach()  # or standard input would be closed


def text_lines(stream: Input) -> Iterator[tuple[int, str]]:
    """Yield the lines, with their numbers and without their ends."""
    for first, block in numbered_blocks(stream):
        # Only line feeds end a line: texts may have other characters of that kind.
        for number, line in enumerate(block.split(b"\n")[:-1], first):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
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
    path = Path(stream.name)
    suffix = (path.with_suffix("") if path.suffix in COMPRESSED else path).suffix
    if suffix.lower() in SUFFIXES:
        return SUFFIXES[suffix.lower()]
    line = stream.first_line().removesuffix(b"\r")
    if line.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return "jsonl"
    if texts:
        return "text"
    if texts is False or HEADER.fullmatch(line) or _is_row(line):
        return "xmc"
    raise click.UsageError(
        f"The format of {stream.name} can be told neither by its name nor by its first "
        f"line, {line[:40].decode('utf-8', 'replace')!r}: give it by --format."
    )


def _is_row(line: bytes) -> bool:
    """Tell whether a line, of which there may be the beginning only, is one of xmc."""
    tokens = line.partition(b"#")[0].split()[:100]
    pairs = tokens[1:] if tokens and IDS.fullmatch(tokens[0]) else tokens
    return all(map(PAIR.fullmatch, pairs))  # there are empty rows, too


@contextmanager
def output(path: str) -> Iterator[BinaryIO]:
    """Give a stream to write to: a file that gets all or nothing, or a pipe."""
    if path == STANDARD:
        stream = sys.stdout.buffer
        yield stream
        stream.flush()
    else:
        with open_to_write(path) as file:
            yield file


def check_folder(context: click.Context, parameter: Any, path: str) -> str:
    """Return the path of an output; a callback of click."""
    folder = Path(path).parent
    if path == STANDARD and parameter.name == "model":
        raise click.BadParameter(
            "a model cannot be written to standard output: name a file."
        )
    if not folder.is_dir():
        raise click.BadParameter(
            f"there is no folder {str(folder)!r}: create it first."
        )
    return path
