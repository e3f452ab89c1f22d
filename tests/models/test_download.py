"""The download of weights, from a server on this machine."""

from __future__ import annotations

import functools
import http.server
import re
import threading
import zipfile
from pathlib import Path

import pytest

from nnpmm.core.errors import WeightsError
from nnpmm.models.ani import load_parameters, weights
from nnpmm.models.ani.weights import PUBLISHED, download_weights, find_weights

PREFIX = "ani-model-zoo-3a3368b/resources/ani-1x_8x"
pytestmark = pytest.mark.usefixtures("clean_sources")


@pytest.fixture
def no_torchani(monkeypatch):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)


def _cached_files(tmp_path: Path) -> list[str]:
    return [str(path.relative_to(tmp_path / "cache")) for path in tmp_path.glob("cache/models/*")]


def _zip(folder: Path, path: Path, prefix: str = PREFIX) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ani-model-zoo-3a3368b/README.md", "networks")
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{prefix}/{file.relative_to(folder)}")
    return path


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class _Interrupted(_Quiet):
    """Promises the whole file and hangs up half way."""

    def copyfile(self, source, outputfile):
        content = source.read()
        outputfile.write(content[: len(content) // 2])


class _Chunked(_Quiet):
    """Sends chunks without saying how long the whole is, and hangs up in one of them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"1000\r\n" + bytes(100))
        self.close_connection = True


@pytest.fixture(scope="module")
def served(tmp_path_factory, torchani_folder):
    """A folder with archives and the function that gives a server's URL for each."""
    folder = tmp_path_factory.mktemp("served")
    _zip(torchani_folder, folder / "zoo.zip")
    servers = {}
    for kind, handler in (
        ("whole", _Quiet),
        ("interrupted", _Interrupted),
        ("chunked", _Chunked),
    ):
        bound = functools.partial(handler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), bound)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers[kind] = server

    def url(name, kind="whole"):
        return f"http://127.0.0.1:{servers[kind].server_port}/{name}"

    yield folder, url
    for server in servers.values():
        server.shutdown()
        server.server_close()


def test_downloaded_weights_are_cached(served, tmp_path, no_torchani, ani1x):
    _, url = served
    path = download_weights("ANI-1x", url("zoo.zip"))
    assert _cached_files(tmp_path) == [f"models/{path.name}"]
    assert load_parameters(path).digest() == ani1x.parameters.digest()
    found = find_weights("ANI-1x")  # offline: it can only come from the cache
    assert found.source == f"cache: {path}"
    assert found.parameters.digest() == PUBLISHED["ANI-1x"].digest


def test_progress_is_on_stderr_and_complete(served, capsys):
    _, url = served
    download_weights("ANI-1x", url("zoo.zip"))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.search(r"Downloading ANI-1x .* ([\d.]+)/\1 MB", shown.err), shown.err


def test_find_weights_downloads_once(served, tmp_path, no_torchani, monkeypatch):
    _, url = served
    monkeypatch.setenv("NNPMM_OFFLINE", "0")
    monkeypatch.setattr(weights, "MODEL_ZOO_URL", url("zoo.zip"))
    first = find_weights("ANI-1x")
    assert first.source == f"downloaded: {url('zoo.zip')}"
    assert first.parameters.digest() == PUBLISHED["ANI-1x"].digest
    monkeypatch.setattr(weights, "MODEL_ZOO_URL", url("gone.zip"))
    assert find_weights("ANI-1x").source.startswith("cache: ")


def test_interrupted_download_leaves_no_files(served, tmp_path):
    _, url = served
    with pytest.raises(OSError, match="bytes"):
        download_weights("ANI-1x", url("zoo.zip", "interrupted"))
    assert _cached_files(tmp_path) == []


def test_stopped_download_leaves_no_files(served, tmp_path, monkeypatch):
    _, url = served

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "read_neurochem", stop)
    with pytest.raises(KeyboardInterrupt):
        download_weights("ANI-1x", url("zoo.zip"))
    assert _cached_files(tmp_path) == []


def test_archive_of_other_files_is_refused(served, tmp_path):
    folder, url = served
    with zipfile.ZipFile(folder / "other.zip", "w") as archive:
        archive.writestr("other-1.0/README.md", "no networks here")
    with pytest.raises(WeightsError, match="the archive contains no folder ani-1x_8x"):
        download_weights("ANI-1x", url("other.zip"))
    assert _cached_files(tmp_path) == []


def test_altered_weights_in_the_archive_are_refused(served, tmp_path, tampered):
    folder, url = served
    _zip(tampered, folder / "tampered.zip")
    with pytest.raises(WeightsError, match="not those of the published ANI-1x"):
        download_weights("ANI-1x", url("tampered.zip"))
    assert _cached_files(tmp_path) == []


def _spoil(source: Path, target: Path) -> None:
    content = bytearray(source.read_bytes())
    content[2000:30_000] = b"\xff" * 28_000
    target.write_bytes(content)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("not a zip", "not a zip file"),
        ("not there", "404"),
        ("interrupted", "bytes"),
        ("no server", "refused"),
        ("interrupted in a chunk", "IncompleteRead"),
        ("broken", "Bad"),
        ("broken and compressed", "decompressing"),
    ],
)
def test_failed_download_gives_one_line_with_remedies(
    served, tmp_path, no_torchani, monkeypatch, kind, reason
):
    folder, url = served
    (folder / "page.zip").write_text("<html>please sign in</html>")
    _spoil(folder / "zoo.zip", folder / "broken.zip")
    with zipfile.ZipFile(folder / "small.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{PREFIX}/sae_linfit.dat", "\n".join(map(str, range(100_000))))
    _spoil(folder / "small.zip", folder / "compressed.zip")
    monkeypatch.setenv("NNPMM_OFFLINE", "")
    address = {
        "not a zip": url("page.zip"),
        "not there": url("gone.zip"),
        "interrupted": url("zoo.zip", "interrupted"),
        "no server": "http://127.0.0.1:9/zoo.zip",
        "interrupted in a chunk": url("zoo.zip", "chunked"),
        "broken": url("broken.zip"),
        "broken and compressed": url("compressed.zip"),
    }[kind]
    monkeypatch.setattr(weights, "MODEL_ZOO_URL", address)
    with pytest.raises(WeightsError) as caught:
        find_weights("ANI-1x")
    text = str(caught.value)
    assert "\n" not in text
    for word in ("ANI-1x", "the download failed", reason, address, "NNPMM_MODEL_DIR"):
        assert word in text, text
    assert _cached_files(tmp_path) == []
