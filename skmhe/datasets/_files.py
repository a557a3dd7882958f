"""Files of data sets: compressed by their suffix, read by lines, written as a whole."""

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, TypeAlias

from skmhe.whole_file import written_whole

PathOrFile: TypeAlias = str | os.PathLike[str] | IO[bytes]

# Large enough that a call of NumPy costs little per byte, small enough that the arrays
# of one block stay in the processor's cache.
BLOCK_SIZE = 1 << 20
# What damaged or truncated compressed files raise. OSError is gzip's and bz2's, too.
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError)
ZSTD_MISSING = (
    "{name} is compressed by zstd, which needs the package zstandard: "
    "pip install 'skmhe[zstd]', or decompress the file by another program."
)


def name_of(source: PathOrFile) -> str:
    """Return what errors call a path or an open file."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "name", "<file>"))


def check_path(source: object, method: str, argument: str = "path") -> None:
    """Raise a TypeError for what is neither a path nor a binary file."""
    if isinstance(source, str | os.PathLike) or hasattr(source, method):
        return
    raise TypeError(
        f"{argument} must be a str, a path or a file that was opened in binary mode, "
        f"got {source!r}."
    )


def open_to_read(source: PathOrFile) -> AbstractContextManager[Any]:
    """Open a path, decompressed by its suffix; a file is read as it is, not closed."""
    if not isinstance(source, str | os.PathLike):
        return nullcontext(source)
    suffix = Path(source).suffix.lower()
    if suffix == ".gz":
        return gzip.open(source, "rb")
    if suffix == ".bz2":
        return bz2.open(source, "rb")
    if suffix == ".xz":
        return lzma.open(source, "rb")
    if suffix == ".zst":
        return _open_zstd(open(source, "rb"), "rb", name_of(source))
    return open(source, "rb")


def _open_zstd(raw: IO[bytes], mode: str, name: str) -> AbstractContextManager[Any]:
    try:
        import zstandard
    except ImportError as error:
        raw.close()
        raise ImportError(ZSTD_MISSING.format(name=name)) from error
    if mode == "rb":
        # A file may be several frames in a row, as with gzip.
        return zstandard.ZstdDecompressor().stream_reader(
            raw, read_across_frames=True, closefd=True
        )
    return zstandard.ZstdCompressor().stream_writer(raw, closefd=False)


def numbered_blocks(source: PathOrFile) -> Iterator[tuple[int, bytes]]:
    """Yield the file in blocks of whole lines, with the number of their first line.

    Each line ends with a line feed, also the last one.
    """
    name, line = name_of(source), 1
    with open_to_read(source) as stream:
        rest: list[bytes] = []
        while piece := _read(stream, name, line):
            end = piece.rfind(b"\n") + 1
            rest.append(piece[:end] if end else piece)
            if end:
                block = b"".join(rest)
                yield line, block
                line += block.count(b"\n")
                rest = [piece[end:]]
        if last := b"".join(rest):
            yield line, last + b"\n"


def _read(stream: IO[bytes], name: str, line: int) -> bytes:
    try:
        piece = stream.read(BLOCK_SIZE)
    except Exception as error:
        # zstandard's error is a plain Exception that cannot be named without it.
        if not isinstance(error, DAMAGED) and type(error).__name__ != "ZstdError":
            raise
        raise ValueError(
            f"{name}: expected a whole compressed file, but it cannot be read from "
            f"line {line} on, it is damaged or not complete ({error}). Download or "
            "copy it again."
        ) from error
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
    suffix = Path(target).suffix.lower()
    with (
        written_whole(target) as raw,
        _compressed(raw, suffix, name_of(target)) as stream,
    ):
        yield stream


def _compressed(raw: IO[bytes], suffix: str, name: str) -> AbstractContextManager[Any]:
    if suffix == ".gz":
        # Neither the name nor the time: equal data make equal files.
        return gzip.GzipFile("", "wb", 6, raw, mtime=0)
    if suffix == ".bz2":
        return bz2.open(raw, "wb")
    if suffix == ".xz":
        return lzma.open(raw, "wb")
    if suffix == ".zst":
        return _open_zstd(raw, "wb", name)
    return nullcontext(raw)
