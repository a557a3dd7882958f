"""Files of data sets: compressed by their suffix, read by lines, written as a whole."""

import bz2
import gzip
import io
import lzma
import os
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, TypeAlias

from skmhe.whole_file import check_readable, written_whole

# The methods of files that tell whether they have another one.
USABLE = {"read": "readable", "write": "writable"}
PathOrFile: TypeAlias = str | os.PathLike[str] | IO[bytes]

# Large enough that a call of NumPy costs little per byte, small enough that the arrays
# of one block stay in the processor's cache.
BLOCK_SIZE = 1 << 20
# What damaged or truncated compressed files raise. OSError is gzip's and bz2's, too.
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError)
ZSTD_MISSING = (
    "{name} is compressed by zstd, which Python has from 3.14 on; before, it needs the "
    "package backports.zstd: pip install 'skmhe[zstd]', or decompress the file by "
    "another program."
)
# No row of data has as many bytes; a file that is no text may be a single line.
LONGEST_LINE = 1 << 24
# What text may begin with that says nothing but that it is UTF-8.
BOM = b"\xef\xbb\xbf"
# What compressed files and archives begin with, by the suffixes that they should have.
NO_TEXT = re.compile(
    rb"(?P<gz>\x1f\x8b)|(?P<bz2>BZh[1-9]1AY&SY)|(?P<xz>\xfd7zXZ\x00)"
    rb"|(?P<zst>\x28\xb5\x2f\xfd)|(?P<zip>PK\x03\x04)"
)


def name_of(source: PathOrFile) -> str:
    """Return what errors call a path or an open file."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "name", "<file>"))


def check_path(source: object, method: str, argument: str = "path") -> None:
    """Raise an error for what is neither a path nor a binary file with a method."""
    if isinstance(source, str | os.PathLike):
        return
    if not hasattr(source, method) or isinstance(source, io.TextIOBase):
        raise TypeError(
            f"{argument} must be a str, a path or a file that was opened in binary "
            f"mode, got {source!r}."
        )
    is_open = not getattr(source, "closed", False)
    if not is_open or not getattr(source, USABLE[method], lambda: True)():
        raise ValueError(
            f"{argument} must be a file that is open to {method}, got {source!r}."
        )


def open_to_read(source: PathOrFile) -> AbstractContextManager[Any]:
    """Open a path, decompressed by its suffix; a file is read as it is, not closed."""
    if not isinstance(source, str | os.PathLike):
        return nullcontext(source)
    check_readable(source, "a file of data")
    return _by_suffix(source, "rb", source) or open(source, "rb")


def _by_suffix(
    file: Any, mode: str, path: str | os.PathLike[str]
) -> AbstractContextManager[Any] | None:
    """Open a file as the suffix of a path says, None if it is not compressed."""
    suffix = Path(path).suffix.lower()
    if suffix == ".zst":
        zstd = _zstd(name_of(path))
        # By which damage is found, as the other formats do without being asked.
        checked = {zstd.CompressionParameter.checksum_flag: True}
        return zstd.open(file, mode, options=checked if mode == "wb" else None)
    if suffix == ".gz" and mode == "wb":
        # Neither the name nor the time: equal data make equal files.
        return gzip.GzipFile("", mode, 6, file, mtime=0)
    opener: Any = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(suffix)
    return None if opener is None else opener(file, mode)


def _zstd(name: str) -> Any:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # pragma: no cover: Python 3.14
        else:
            from backports import zstd
    except ImportError as error:
        raise ImportError(ZSTD_MISSING.format(name=name)) from error
    return zstd


def numbered_blocks(source: PathOrFile) -> Iterator[tuple[int, bytes]]:
    """Yield the file in blocks of whole lines, with the number of their first line.

    Each line ends with a line feed, also the last one. A mark of UTF-8 at the start is
    left out.
    """
    line = 1
    for block in _blocks(source):
        if line == 1:
            block = block.removeprefix(BOM)
            check_text(block, name_of(source))
        yield line, block
        line += block.count(b"\n")


def check_text(start: bytes, name: str) -> None:
    """Raise ValueError for the start of a file that is compressed or an archive."""
    if found := NO_TEXT.match(start):
        raise ValueError(
            f"{name}, line 1: expected text, got what a file that ends in "
            f".{found.lastgroup} begins with: decompress it, or give the path a name "
            "of that ending."
        )


def _blocks(source: PathOrFile) -> Iterator[bytes]:
    name, line = name_of(source), 1
    with open_to_read(source) as stream:
        rest: list[bytes] = []
        while piece := _read(stream, name, line):
            end = piece.rfind(b"\n") + 1
            rest.append(piece[:end] if end else piece)
            if end:
                block = b"".join(rest)
                yield block
                line += block.count(b"\n")
                rest = [piece[end:]]
            elif len(rest) * BLOCK_SIZE > LONGEST_LINE:
                raise ValueError(
                    f"{name}, line {line}: expected lines of at most {LONGEST_LINE:,} "
                    "bytes, got a longer one: is it a file of this format?"
                )
        if last := b"".join(rest):
            yield last + b"\n"


@contextmanager
def explained_damage(name: str, line: int) -> Iterator[None]:
    """Turn what damaged compressed files raise into a ValueError."""
    try:
        yield
    except Exception as error:
        # The error of zstd cannot be named without its module. An OSError with a number
        # is one of the system.
        is_damage = isinstance(error, DAMAGED) or type(error).__name__ == "ZstdError"
        if not is_damage or getattr(error, "errno", None):
            raise
        raise ValueError(
            f"{name}: expected a whole compressed file, but it cannot be read from "
            f"line {line} on, it is damaged, not complete, or not compressed ({error})."
            " Download or copy it again, or correct the ending of its name."
        ) from error


def _read(stream: IO[bytes], name: str, line: int) -> bytes:
    with explained_damage(name, line):
        piece = stream.read(BLOCK_SIZE)
    if not isinstance(piece, bytes):
        raise TypeError(
            f"{name} must be a file that was opened in binary mode, but its read "
            f"method returned {type(piece).__name__}: open it with mode 'rb'."
        )
    return piece


@contextmanager
def open_to_write(target: PathOrFile) -> Iterator[Any]:
    """Give a stream to write to, compressed by the suffix of the path.

    The path has the new content when all of it is written, or else what it had before.
    """
    if not isinstance(target, str | os.PathLike):
        yield target
        return
    with (
        written_whole(target) as raw,
        _by_suffix(raw, "wb", target) or nullcontext(raw) as stream,
    ):
        yield stream
