"""The download, against a real server on loopback that can break off."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.commands.download import KNOWN as KNOWN_FILES
from pipeline.commands.download import bring
from pipeline.core.run.errors import InputError

CONTENT = bytes(range(256)) * 2000
KNOWN = {hashlib.sha256(CONTENT).hexdigest(): "the shop"}


class Shop(BaseHTTPRequestHandler):
    """Serves CONTENT, or what the server holds of it."""

    def do_GET(self) -> None:
        if self.path != "/shop.zip":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        server.content = CONTENT
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def address(server: ThreadingHTTPServer, path: str = "/shop.zip") -> str:
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_a_whole_transfer_is_kept_and_a_known_file_not_fetched_again(server, tmp_path):
    target = tmp_path / "raw" / "shop.zip"
    assert bring(address(server), target, KNOWN) == "the shop"
    assert target.read_bytes() == CONTENT
    assert [f.name for f in target.parent.iterdir()] == ["shop.zip"]
    server.content = b"another"
    assert bring(address(server), target, KNOWN) == "the shop"


@pytest.mark.parametrize("before", [None, b"the old file"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[:-1] + b"x", "not a known one; the file was not kept"),
        (CONTENT[:100_000], "more expected.*; try again, or get the file by hand"),
    ],
)
def test_another_or_half_a_file_is_never_left(server, tmp_path, before, content, message):
    target = tmp_path / "shop.zip"
    if before:
        target.write_bytes(before)
    server.content = content
    with pytest.raises(InputError, match=message):
        bring(address(server), target, KNOWN)
    assert (target.read_bytes() if before else None) == before
    assert len(list(tmp_path.iterdir())) == bool(before)


def test_a_page_or_server_that_is_not_there_is_said_with_the_remedy(server, tmp_path):
    for origin in (address(server, "/elsewhere.zip"), "http://127.0.0.1:9/shop.zip"):
        with pytest.raises(InputError, match="--from FILE"):
            bring(origin, tmp_path / "shop.zip", KNOWN)


def test_a_local_file_can_be_given_instead(tmp_path):
    (tmp_path / "mine.zip").write_bytes(CONTENT)
    assert bring(str(tmp_path / "mine.zip"), tmp_path / "raw/shop.zip", KNOWN) == "the shop"
    assert (tmp_path / "raw/shop.zip").read_bytes() == CONTENT
    with pytest.raises(
        InputError, match=r"none.zip is neither an address \(https://…\) nor a file"
    ):
        bring("none.zip", tmp_path / "shop.zip")


@pytest.mark.real_data
def test_the_real_file_is_a_known_one(real_data, tmp_path):
    assert bring(str(real_data), tmp_path / "shop.zip") in KNOWN_FILES.values()
