"""Files that are written as a whole: aside first, then in the place of the old one."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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
        with open(aside, "xb") as file:
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
