"""Downloads from a server that drops connections, ignores ranges and lies."""

import errno
import gzip
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from xmc_files import mutated

from skmhe.datasets import _fetch, fetch_xmc, load_xmc

CONTENT = b"1 3 3\n2 1:0.5\n" + b"# filling\n" * 30_000
OTHER = CONTENT.replace(b"0.5", b"1.5")


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def zipped(method=zipfile.ZIP_DEFLATED, **files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def tarred(mode="w:gz", **files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `content`; `script` has what to do wrong with each request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.script = CONTENT, []
        self.headers, self.requests = {"ETag": '"1"'}, []
        self.url = f"http://127.0.0.1:{self.server_port}/files/train.txt"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append(dict(self.headers))
        act = server.script.pop(0) if server.script else {}
        if callable(act):
            act = act(server) or {}
        if "code" in act:
            self.send_error(act["code"])
            return
        if "to" in act:
            self.send_response(302)
            self.send_header("Location", act["to"])
            self.end_headers()
            return
        content, start = server.content, 0
        wanted = self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, server.headers.get("ETag"))
        if wanted and same and not act.get("ignore_range"):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start > len(content):
                self.send_error(416)
                return
            self.send_response(206)
            shown, size = start + act.get("shift", 0), act.get("size", len(content))
            content = content[: start + act.get("at_most", len(content))]
            end = f"{len(content) - 1}/{size}"
            self.send_header("Content-Range", f"bytes {shown}-{end}")
        else:
            self.send_response(200)
        for name, value in (server.headers | act.get("headers", {})).items():
            self.send_header(name, value)
        sent = content[start : act.get("drop_at", len(content))]
        if act.get("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s" % (len(content) - start, sent))
            self.wfile.write(b"\r\n0\r\n\r\n" if sent == content[start:] else b"")
            return
        if not act.get("no_length"):
            length = act.get("length", len(content) - start)
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(sent)


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetch(server, home, **parameters):
    parameters = {"delay": 0, "verbose": False, "data_home": home} | parameters
    return fetch_xmc("Data-1.3M", server.url, **parameters)


def ranges(server):
    return [request.get("Range") for request in server.requests]


def assert_fetched(folder, content=CONTENT):
    assert (folder / "train.txt").read_bytes() == content
    source = json.loads((folder / "source.json").read_text())
    assert source["sha256"] == sha256(content)
    # Nothing is left aside.
    assert [*folder.parent.iterdir()] == [folder]


def test_a_file_becomes_a_folder(server, tmp_path):
    folder = fetch(server, tmp_path, sha256=sha256(CONTENT).upper())
    assert folder == tmp_path / "Data-1.3M"
    assert_fetched(folder)
    assert load_xmc(folder / "train.txt")[0].shape == (1, 3)
    # It is not downloaded again, and the address is not needed.
    assert fetch_xmc("Data-1.3M", data_home=tmp_path) == folder
    assert fetch(server, tmp_path, sha256=sha256(CONTENT)) == folder
    assert len(server.requests) == 1
    with pytest.raises(ValueError, match="delete the folder to download it anew"):
        fetch(server, tmp_path, sha256=sha256(OTHER))


def test_places(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SKMHE_DATA", str(tmp_path / "by" / "variable"))
    assert fetch(server, None) == tmp_path / "by" / "variable" / "Data-1.3M"
    assert fetch(server, tmp_path / "given") == tmp_path / "given" / "Data-1.3M"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SKMHE_DATA", "")  # not the current folder
    assert fetch(server, None) == tmp_path / "skmhe_data" / "Data-1.3M"
    monkeypatch.delenv("SKMHE_DATA")
    assert fetch(server, None) == tmp_path / "skmhe_data" / "Data-1.3M"


def test_places_that_cannot_be_written_to(server, tmp_path):
    home = tmp_path / "home"
    home.write_text("")
    with pytest.raises(
        OSError, match=r"data_home must be .* got '.*home' .*SKMHE_DATA"
    ):
        fetch(server, home)
    with pytest.raises(OSError, match="data_home must be a folder"):
        fetch(server, home / "inside")
    assert not server.requests
    (tmp_path / "Data-1.3M").write_text("")
    with pytest.raises(ValueError, match="must be a folder, or not there, but it is a"):
        fetch(server, tmp_path)


def test_archives_are_unpacked(server, tmp_path):
    server.content = zipped(Data__train=CONTENT, Data__test=OTHER)
    folder = fetch(server, tmp_path)
    assert (folder / "Data" / "train").read_bytes() == CONTENT
    assert (folder / "Data" / "test").read_bytes() == OTHER
    assert json.loads((folder / "source.json").read_text())["url"] == server.url


def test_archives_stay_in_their_folder(server, tmp_path):
    server.content = zipped(**{"..____..__evil": b"evil"})
    folder = fetch(server, tmp_path / "home")
    assert not [*tmp_path.glob("evil")]
    assert [*tmp_path.iterdir()] == [tmp_path / "home"]
    assert [*folder.rglob("evil")]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_archives_are_unpacked(server, tmp_path, mode):
    # What they end with looks like a zip archive.
    inner = zipped(train=CONTENT)
    server.content = tarred(mode, Data__train=CONTENT, Data__zip=inner)
    folder = fetch(server, tmp_path)
    assert (folder / "Data" / "train").read_bytes() == CONTENT
    assert (folder / "Data" / "zip").read_bytes() == inner


def test_tar_archives_need_a_tarfile_that_filters(server, tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter")
    server.content = tarred(data=CONTENT)
    with pytest.raises(OSError, match=r"cannot be unpacked \(only .* Python 3\.11\.4"):
        fetch(server, tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["..__..__evil", "__evil", "link__evil"])
def test_tar_archives_stay_in_their_folder(server, tmp_path, name):
    buffer, home = io.BytesIO(), tmp_path / "home"
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
    for content in (buffer.getvalue(), tarred(**{name: b"evil"})):
        server.content = content
        try:
            fetch(server, home)
        except OSError as error:
            assert server.url in str(error)
            assert not [*home.iterdir()]
    assert [*tmp_path.iterdir()] == [home]
    assert {*home.rglob("evil")} == {*home.glob("Data-1.3M/**/evil")}


def test_compressed_files_are_no_archives(server, tmp_path):
    server.content = gzip.compress(CONTENT)
    server.url = server.url.replace("train.txt", "%74rn.json.gz?x=1")
    folder = fetch(server, tmp_path)
    assert (folder / "trn.json.gz").read_bytes() == server.content


@pytest.mark.parametrize("end", ["", "..", "%2e%2e", "x%2F..", "a%00b"])
def test_addresses_that_name_no_file(server, tmp_path, end):
    server.url = server.url.replace("train.txt", end)
    folder = fetch(server, tmp_path)
    assert (folder / "data").read_bytes() == CONTENT


@pytest.mark.parametrize("known", [True, False])
def test_broken_downloads_go_on(server, tmp_path, known):
    server.script = [{"drop_at": 100_000}, {"code": 503}, {"drop_at": 200_000}]
    folder = fetch(server, tmp_path, sha256=sha256(CONTENT) if known else None)
    assert_fetched(folder)
    assert ranges(server) == [None, "bytes=100000-", "bytes=100000-", "bytes=200000-"]
    assert server.requests[-1]["If-Range"] == '"1"'


def test_broken_downloads_in_chunks_go_on(server, tmp_path):
    server.script = [{"chunked": True, "drop_at": 100_000}, {"chunked": True}]
    assert_fetched(fetch(server, tmp_path))
    # Of the part that was lost in the middle, nothing is kept.
    assert ranges(server) == [None, f"bytes={_fetch.PIECE}-"]


def test_servers_that_send_less_than_was_asked_for(server, tmp_path):
    part = {"at_most": 100_000}
    server.script = [{"drop_at": 50_000}, part, part]
    assert_fetched(fetch(server, tmp_path))
    assert ranges(server)[-2:] == ["bytes=150000-", "bytes=250000-"]


def test_servers_that_send_less_and_do_not_say_so(server, tmp_path):
    server.script = [{"drop_at": 50_000}, {"at_most": 100_000, "size": "*"}]
    assert_fetched(fetch(server, tmp_path, sha256=sha256(CONTENT)))
    assert ranges(server)[-1] is None


def test_redirections_are_followed(server, tmp_path):
    server.script = [{"to": server.url}, {"drop_at": 1000}, {"to": server.url}]
    assert_fetched(fetch(server, tmp_path))
    assert ranges(server) == [None, None, "bytes=1000-", "bytes=1000-"]


@pytest.mark.parametrize("act", [{"ignore_range": True}, {"shift": 7}])
@pytest.mark.parametrize("known", [True, False])
def test_servers_that_ignore_ranges(server, tmp_path, known, act):
    server.script = [{"drop_at": 100_000}, act]
    assert_fetched(fetch(server, tmp_path, sha256=sha256(CONTENT) if known else None))


def test_files_that_change_meanwhile_are_not_mixed(server, tmp_path):
    def change(server):
        server.content, server.headers = OTHER, {"ETag": '"2"'}

    server.script = [{"drop_at": 100_000}, change]
    assert_fetched(fetch(server, tmp_path), OTHER)


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"1"'}])
def test_without_any_version_a_download_starts_anew(server, tmp_path, headers):
    server.headers = headers
    server.script = [{"drop_at": 100_000}]
    assert_fetched(fetch(server, tmp_path))
    assert ranges(server) == [None, None]


def test_a_later_call_goes_on(server, tmp_path):
    server.script = [{"drop_at": 100_000}, {"code": 500}]
    parameters = {"n_retries": 1, "sha256": sha256(CONTENT)}
    with pytest.raises(OSError, match=r"train.txt could not be .* in 2 attempts"):
        fetch(server, tmp_path, **parameters)
    assert len([*tmp_path.iterdir()]) == 1
    # What is there is not lost by an answer that is no file, as of a hotel's network.
    for act in ({"code": 403}, {"headers": {"Content-Type": "text/html"}}):
        server.script = [act]
        with pytest.raises(OSError, match="expected a file, got"):
            fetch(server, tmp_path, **parameters)
    assert_fetched(fetch(server, tmp_path, **parameters))
    assert ranges(server)[-1] == "bytes=100000-"


def test_what_is_interrupted_while_it_is_unpacked_is_not_lost(
    server, tmp_path, monkeypatch
):
    def interrupted(*_):
        raise KeyboardInterrupt

    parameters = {"sha256": sha256(CONTENT)}
    with monkeypatch.context() as patch:
        patch.setattr(_fetch, "_unpack", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(server, tmp_path, **parameters)
    assert len([*tmp_path.iterdir()]) == 1
    assert_fetched(fetch(server, tmp_path, **parameters))
    assert len(server.requests) == 1


def test_two_calls_at_once(server, tmp_path):
    others = []
    server.script = [lambda server: others.append(fetch(server, tmp_path))]
    assert_fetched(fetch(server, tmp_path))
    assert others == [tmp_path / "Data-1.3M"]


def test_a_later_call_starts_anew_if_the_rest_does_not_fit(server, tmp_path):
    for lost in ({"drop_at": 100_000}, {"drop_at": 250_000}):
        server.content, server.script = OTHER, [lost]
        with pytest.raises(OSError, match="1 attempts"):
            fetch(server, tmp_path, n_retries=0, sha256=sha256(CONTENT))
        server.content = CONTENT
        folder = fetch(server, tmp_path, sha256=sha256(CONTENT))
        assert_fetched(folder)
        assert ranges(server)[-1] is None
        (folder / "train.txt").unlink()
        (folder / "source.json").unlink()
        folder.rmdir()


def test_a_part_that_is_too_long_is_dropped(server, tmp_path):
    name = f".Data-1.3M.{sha256(CONTENT)}.part"
    (tmp_path / name).write_bytes(CONTENT + CONTENT)
    assert_fetched(fetch(server, tmp_path, sha256=sha256(CONTENT)))
    assert ranges(server) == [f"bytes={2 * len(CONTENT)}-", None]


def test_length_need_not_be_known(server, tmp_path):
    server.script = [{"no_length": True}]
    assert_fetched(fetch(server, tmp_path))


@pytest.mark.parametrize(
    ("act", "content", "message", "n_requests"),
    [
        ({}, OTHER, "expected a file with the SHA-256 .*, got .*: it is another", 1),
        ({"code": 404}, CONTENT, "expected a file, got HTTP error 404: is the addr", 1),
        ({"code": 403}, CONTENT, "expected a file, got HTTP error 403", 1),
        ({"headers": {"Content-Type": "text/html"}}, CONTENT, "got a web page", 1),
        ({"code": 500}, CONTENT, "could not be downloaded in 3 attempts", 3),
        (
            {"length": 10**17},
            CONTENT,
            r"bytes free in .*, got 100,000,000,000,000,000",
            1,
        ),
        ({"to": "file:///etc/passwd"}, CONTENT, "got HTTP error 302", 1),
        ({"drop_at": 0}, CONTENT, "connection ended after 0 of 300014 bytes", 3),
    ],
)
def test_errors_leave_nothing(server, tmp_path, act, content, message, n_requests):
    server.content, server.script = content, [act] * 3
    with pytest.raises(OSError, match=message) as caught:
        fetch(server, tmp_path, n_retries=2, sha256=sha256(CONTENT))
    assert server.url in str(caught.value)
    assert len(server.requests) == n_requests
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "make",
    [
        lambda: zipped(train=CONTENT),
        lambda: zipped(train=CONTENT)[:-30],  # its list of files is at the end
        lambda: zipped(zipfile.ZIP_BZIP2, train=CONTENT),
        lambda: zipped(zipfile.ZIP_LZMA, train=CONTENT),
        lambda: tarred(train=CONTENT)[:-20],
        lambda: tarred("w", train=CONTENT)[:5000],
    ],
)
def test_damaged_archives_leave_nothing(server, tmp_path, make):
    whole = bytearray(make())
    whole[60] ^= 255
    server.content, server.url = bytes(whole), server.url.replace(".txt", ".TAR")
    with pytest.raises(OSError, match="expected an archive, but it cannot be unpacked"):
        fetch(server, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_mutated_archives_are_refused_or_unpacked(tmp_path, monkeypatch, n_files=200):
    """Without a server: it is what is unpacked that matters."""
    rng = np.random.default_rng(0)
    archives = (zipped(a__b=CONTENT, c=OTHER), tarred(a__b=CONTENT, c=OTHER))
    archives += (tarred("w", a__b=CONTENT[:3000], c=OTHER[:3000]),)
    n_refused = 0
    for i in range(n_files):
        part, folder = tmp_path / "part", tmp_path / f"files{i}"
        part.write_bytes(mutated(archives[i % 3], rng))
        try:
            _fetch._unpack("http://x/data", part, folder)
        except OSError as error:
            assert str(error).startswith("http://x/data: expected an archive, but")
            n_refused += 1
    assert n_files / 4 < n_refused
    assert {path.name for path in tmp_path.iterdir()} <= {
        "part",
        *(f"files{i}" for i in range(n_files)),
    }


def test_a_full_disk_leaves_nothing(server, tmp_path, monkeypatch):
    def is_full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_fetch, "_read", is_full)
    with pytest.raises(OSError, match="No space left"):
        fetch(server, tmp_path, sha256=sha256(CONTENT))
    assert not [*tmp_path.iterdir()] and len(server.requests) == 1


@pytest.mark.parametrize("archive", [zipped, tarred])
def test_archives_that_do_not_fit_are_not_unpacked(
    server, tmp_path, monkeypatch, archive
):
    server.content = archive(train=CONTENT)
    usage = type("Usage", (), {"free": 9000})
    monkeypatch.setattr(_fetch.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"fits into the 9,000 bytes free .* 300,014"):
        fetch(server, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_server_that_is_not_there(tmp_path):
    with Server() as closed:
        url = closed.url
    with pytest.raises(OSError, match="could not be downloaded in 1 attempts"):
        fetch_xmc("data", url, data_home=tmp_path, n_retries=0)
    assert not [*tmp_path.iterdir()]


def test_waiting_and_the_bar(server, tmp_path, monkeypatch):
    waited, bars = [], []
    monkeypatch.setattr(_fetch.time, "sleep", waited.append)

    def bar(**parameters):
        bars.append(parameters)
        return tqdm(**parameters)

    tqdm = _fetch.tqdm
    monkeypatch.setattr(_fetch, "tqdm", bar)
    server.script = [{"drop_at": 100_000}, {"code": 500}]
    fetch(server, tmp_path / "one", delay=0.5, sha256=sha256(CONTENT), verbose=True)
    assert waited == [0.5, 1.0]
    assert [bar["initial"] for bar in bars] == [0, 100_000]
    assert [bar["total"] for bar in bars] == [len(CONTENT)] * 2
    assert bars[0]["disable"] is None and bars[0]["desc"] == "train.txt"
    fetch(server, tmp_path / "two")
    assert bars[-1]["disable"] is True


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"name": "../x"}, ValueError, "name must be a str of letters, .* got '../x'"),
        ({"name": ".x"}, ValueError, "name must be"),
        ({"name": 3}, ValueError, "name must be"),
        ({"url": "ftp://x/y"}, ValueError, "url must begin with http:// or https://"),
        ({"url": "http:///y"}, ValueError, "and a host, .* got 'http:///y'"),
        ({"url": "http://x/a b"}, ValueError, "have no spaces or other .*/a b'"),
        ({"url": "http://x/ä"}, ValueError, "that need %, got 'http://x/ä'"),
        ({"url": b"http://x/y"}, ValueError, "got b'http://x/y'"),
        ({"data_home": 3}, TypeError, "data_home must be a str or a path, got 3"),
        ({"url": None}, ValueError, "url must be given, as there is no folder"),
        ({"sha256": "abc"}, ValueError, "sha256 must be a str of 64 hexadecimal"),
        ({"name": "x" * 101}, ValueError, "of at most 100 bytes, as a folder gets it"),
        ({"n_retries": -1}, ValueError, "n_retries must be finite and at least 0, got"),
        ({"n_retries": 1.5}, TypeError, "n_retries must be an int, got 1.5"),
        ({"delay": "1"}, TypeError, "delay must be a number, got '1'"),
        ({"delay": np.inf}, ValueError, "delay must be finite and at least 0, got inf"),
        ({"verbose": 1}, TypeError, "verbose must be True or False, got 1"),
    ],
)
def test_parameters(tmp_path, parameters, error, message):
    given = {"name": "data", "url": "http://127.0.0.1:9/x", "data_home": tmp_path}
    with pytest.raises(error, match=message):
        fetch_xmc(**(given | parameters))
    assert not [*tmp_path.iterdir()]
