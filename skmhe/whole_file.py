"""Files that are written as a whole, and errors of paths that say what to do.

A file is written aside first, and then takes the place of the old one.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def check_readable(path: str | os.PathLike[str], expected: str) -> None:
    """Raise the error that `open` would, in words, unless a path can be read.

    `expected` is what kind of file it must be.
    """
    name = repr(os.fspath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(f"{name} is a folder: name {expected}.")
    if not os.path.exists(path):
        is_whole = os.path.isabs(path)
        folder = (
            "" if is_whole else f" in the current folder, {os.path.realpath('.')!r}"
        )
        raise FileNotFoundError(f"{name} does not exist{folder}: name {expected}.")
    if not os.access(path, os.R_OK):
        raise PermissionError(
            f"{name} may not be read: change its permissions, or name another file."
        )


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a new file, which takes a path's place once all of it is on the disk.

    If anything fails, also by Ctrl+C, the path is what it was, and nothing is left.
    """
    # Of a link, what it leads to is replaced.
    target = Path(os.path.realpath(path))
    is_old = os.path.exists(path)
    _check(path, target, is_old)
    if is_old and not os.path.isfile(path):
        # A pipe or a device has nothing to keep, and no file must take its place.
        with open(path, "wb") as file:
            yield file
        return
    # What a system allows as a name must not be too long because of what is added.
    aside = target.with_name(f".{target.name[:50]}.{secrets.token_hex(4)}.part")
    try:
        with _new(aside, path) as file:
            if is_old:  # what others may not read stays so
                shutil.copymode(target, aside)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere, folders cannot be opened
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _new(aside: Path, path: str | os.PathLike[str]) -> BinaryIO:
    """Open a new file; errors tell for which path it would have been."""
    try:
        return open(aside, "xb")
    except OSError as error:
        why = (
            f"path={os.fspath(path)!r} cannot be written, as the folder "
            f"{str(aside.parent)!r} takes no new file ({error.strerror})"
        )
        remedy = "name a file elsewhere."
        if isinstance(error, PermissionError):
            remedy = f"change its permissions, or {remedy}"
        told = type(error)(f"{why}: {remedy}")
        told.errno = error.errno
        raise told from error


def _check(path: str | os.PathLike[str], target: Path, is_old: bool) -> None:
    """Raise errors of the path that was given, not of the file aside."""
    given = f"path={os.fspath(path)!r}"
    if target.is_dir():
        raise IsADirectoryError(f"{given} is a folder: name a file.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"{given}: there is no folder {str(target.parent)!r}, make it first."
        )
    if is_old and not os.access(path, os.W_OK):  # its folder may allow to replace it
        raise PermissionError(
            f"{given} is write-protected: change its permissions, or name another file."
        )
