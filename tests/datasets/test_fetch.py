"""Downloads from a server that drops connections, ignores ranges and lies."""

import hashlib
import io
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from skmhe.datasets import _fetch, fetch_xmc, load_xmc

CONTENT = b"1 3 3\n2 1:0.5\n" + b"# filling\n" * 30_000
OTHER = CONTENT.replace(b"0.5", b"1.5")


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
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
        content, start = server.content, 0
        wanted = self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, server.headers.get("ETag"))
        if wanted and same and not act.get("ignore_range"):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start > len(content):
                self.send_error(416)
                return
            self.send_response(206)
            shown = start + act.get("shift", 0)
            end = f"{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", f"bytes {shown}-{end}")
        else:
            self.send_response(200)
        for name, value in (server.headers | act.get("headers", {})).items():
            self.send_header(name, value)
        if not act.get("no_length"):
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : act.get("drop_at", len(content))])


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
    monkeypatch.delenv("SKMHE_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch(server, None) == tmp_path / "skmhe_data" / "Data-1.3M"


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


@pytest.mark.parametrize("known", [True, False])
def test_broken_downloads_go_on(server, tmp_path, known):
    server.script = [{"drop_at": 100_000}, {"code": 503}, {"drop_at": 200_000}]
    folder = fetch(server, tmp_path, sha256=sha256(CONTENT) if known else None)
    assert_fetched(folder)
    assert ranges(server) == [None, "bytes=100000-", "bytes=100000-", "bytes=200000-"]
    assert server.requests[-1]["If-Range"] == '"1"'


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
    assert_fetched(fetch(server, tmp_path, **parameters))
    assert ranges(server)[-1] == "bytes=100000-"


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
        ({"code": 404}, CONTENT, "expected a file, got HTTP error 404", 1),
        ({"code": 403}, CONTENT, "expected a file, got HTTP error 403", 1),
        ({"headers": {"Content-Type": "text/html"}}, CONTENT, "got a web page", 1),
        ({"code": 500}, CONTENT, "could not be downloaded in 3 attempts", 3),
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


def test_damaged_archives_leave_nothing(server, tmp_path):
    whole = bytearray(zipped(train=CONTENT))
    whole[60] ^= 255
    server.content = bytes(whole)
    with pytest.raises(OSError, match="expected a zip archive, but it cannot be unpac"):
        fetch(server, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_archives_that_do_not_fit_are_not_unpacked(server, tmp_path, monkeypatch):
    server.content = zipped(train=CONTENT)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(_fetch.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"fits into the 1,000 bytes free in .* 300,014"):
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
        ({"url": None}, ValueError, "url must be given, as there is no folder"),
        ({"sha256": "abc"}, ValueError, "sha256 must be a str of 64 hexadecimal"),
        ({"n_retries": -1}, ValueError, "n_retries must be at least 0, got -1"),
        ({"n_retries": 1.5}, TypeError, "n_retries must be a number, got 1.5"),
        ({"delay": "1"}, TypeError, "delay must be a number, got '1'"),
    ],
)
def test_parameters(tmp_path, parameters, error, message):
    given = {"name": "data", "url": "http://127.0.0.1:9/x", "data_home": tmp_path}
    with pytest.raises(error, match=message):
        fetch_xmc(**(given | parameters))
    assert not [*tmp_path.iterdir()]
