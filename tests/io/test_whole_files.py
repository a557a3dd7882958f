"""Files are written as a whole or not at all, whatever was there before."""

import errno
import os
import stat
import threading

import pytest

from skmhe.whole_file import written_whole

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and pipes of POSIX")


def write(path, content=b"new"):
    with written_whole(path) as file:
        file.write(content)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def test_a_file_is_replaced_when_all_is_written(path):
    with written_whole(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    write(str(path.with_name("other")))
    assert {one.name for one in path.parent.iterdir()} == {"file", "other"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_fails_leaves_the_old_file(path, error):
    with pytest.raises(error), written_whole(path) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old" and [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(path, monkeypatch, step):
    def fails(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, fails)
    with pytest.raises(OSError, match="No space left"):
        write(path)
    assert path.read_bytes() == b"old" and [*path.parent.iterdir()] == [path]


@posix
def test_permissions_are_those_of_the_old_file(path):
    for mode in (0o600, 0o664):
        path.chmod(mode)
        write(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_write_protected_file_is_kept(path, monkeypatch):
    # To the administrator, who may run this, no file is protected.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(PermissionError, match="file' is write-protected: change"):
        write(path)
    assert path.read_bytes() == b"old"


def test_a_folder_that_takes_no_files_is_named(path, monkeypatch):
    # To the administrator, who may run this, no folder is protected.
    def fails(aside, mode):
        raise PermissionError(errno.EACCES, "Permission denied", aside)

    monkeypatch.setattr("builtins.open", fails)
    with pytest.raises(PermissionError, match=r"path=.*/file' cannot .*sion denied"):
        write(path)
    monkeypatch.undo()
    assert path.read_bytes() == b"old" and [*path.parent.iterdir()] == [path]


@posix
def test_pipes_and_devices_are_written_to_and_stay(path):
    pipe, found = path.with_name("pipe"), []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write(pipe)
    reader.join()
    assert found == [b"new"] and pipe.is_fifo()
    write(os.devnull)
    assert not os.path.isfile(os.devnull)


def test_errors_name_the_path_that_was_given(path):
    for folder in (path.parent, ""):
        with pytest.raises(IsADirectoryError, match=f"{folder}' is a folder: name a f"):
            write(folder)
    for missing in (path.with_name("none") / "file", path / "file"):
        with pytest.raises(FileNotFoundError, match=f"{missing}': there is no folder"):
            write(missing)
    assert [*path.parent.iterdir()] == [path]


def test_the_longest_names_are_possible(path):
    for name in ("a" * 255, "ä" * 127):
        write(path.with_name(name))
        assert path.with_name(name).read_bytes() == b"new"


def test_a_link_is_kept(path):
    link = path.with_name("link")
    link.symlink_to(path.name)
    write(link)
    assert link.is_symlink() and path.read_bytes() == b"new"
