"""The download, against a real server on loopback that can break off, resume, or not."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import ROOT

from pipeline.commands.download import ATTEMPTS, bring
from pipeline.core.run.errors import InputError

CONTENT = bytes(range(256)) * 2000
KNOWN = {hashlib.sha256(CONTENT).hexdigest(): "the shop"}


class Shop(BaseHTTPRequestHandler):
    """Serves CONTENT; the server says after how many bytes each transfer breaks off."""

    def do_GET(self) -> None:
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        if self.path != "/shop.zip":
            self.send_error(404)
            return
        start = 0
        if server.has_range and (asked := self.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-/{len(server.content)}")
        else:
            self.send_response(200)
        body = server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.breaks.pop(0) if server.breaks else None
        self.wfile.write(body[:cut])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        server.content, server.has_range, server.breaks, server.ranges = CONTENT, True, [], []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def address(server: ThreadingHTTPServer, path: str = "/shop.zip") -> str:
    return f"http://127.0.0.1:{server.server_port}{path}"


def fetch(server: ThreadingHTTPServer, target: Path, path: str = "/shop.zip") -> str:
    return bring(address(server, path), target, KNOWN, wait_seconds=0)


def test_a_whole_transfer_is_kept(server, tmp_path):
    target = tmp_path / "raw" / "shop.zip"
    assert fetch(server, target) == "the shop"
    assert target.read_bytes() == CONTENT
    assert [f.name for f in target.parent.iterdir()] == ["shop.zip"]


def test_a_broken_transfer_goes_on_where_it_stopped(server, tmp_path):
    server.breaks = [100_000, 150_000]
    fetch(server, tmp_path / "shop.zip")
    assert (tmp_path / "shop.zip").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=250000-"]


def test_another_run_goes_on_where_the_last_one_gave_up(server, tmp_path):
    server.breaks = [10_000] * ATTEMPTS
    with pytest.raises(InputError, match=r"50,000 bytes have come: run the command again"):
        fetch(server, tmp_path / "shop.zip")
    assert not (tmp_path / "shop.zip").exists()
    fetch(server, tmp_path / "shop.zip")
    assert server.ranges[-1] == "bytes=50000-"
    assert (tmp_path / "shop.zip").read_bytes() == CONTENT


def test_a_server_without_range_begins_again(server, tmp_path):
    server.has_range = False
    server.breaks = [100_000]
    fetch(server, tmp_path / "shop.zip")
    assert (tmp_path / "shop.zip").read_bytes() == CONTENT


def test_a_beginning_that_is_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / ".shop.zip.coming").write_bytes(CONTENT + b"more")
    fetch(server, tmp_path / "shop.zip")
    assert (tmp_path / "shop.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("before", [None, b"the old file"])
def test_a_file_with_another_hash_is_never_left(server, tmp_path, before):
    target = tmp_path / "shop.zip"
    if before:
        target.write_bytes(before)
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(InputError, match="not a known one; the file was not kept"):
        fetch(server, target)
    assert (target.read_bytes() if before else None) == before
    assert len(list(tmp_path.iterdir())) == bool(before)


def test_a_beginning_of_another_file_ends_in_a_hash_error_and_is_not_kept(server, tmp_path):
    (tmp_path / ".shop.zip.coming").write_bytes(b"x" * 1000)
    with pytest.raises(InputError, match="not a known one"):
        fetch(server, tmp_path / "shop.zip")
    assert fetch(server, tmp_path / "shop.zip") == "the shop"


def test_a_known_file_in_place_is_not_fetched_again(server, tmp_path):
    (tmp_path / "shop.zip").write_bytes(CONTENT)
    assert fetch(server, tmp_path / "shop.zip") == "the shop"
    assert server.ranges == []


def test_a_missing_page_is_said_at_once(server, tmp_path):
    with pytest.raises(InputError, match=r"404 .*--from FILE"):
        fetch(server, tmp_path / "shop.zip", "/elsewhere.zip")
    assert len(server.ranges) == 1


def test_a_server_that_is_not_there_is_said_with_the_remedy(tmp_path):
    with pytest.raises(InputError, match="--from FILE"):
        bring("http://127.0.0.1:9/shop.zip", tmp_path / "shop.zip", KNOWN, wait_seconds=0)


def test_a_local_file_can_be_given_instead(tmp_path):
    (tmp_path / "mine.zip").write_bytes(CONTENT)
    assert bring(str(tmp_path / "mine.zip"), tmp_path / "raw/shop.zip", KNOWN) == "the shop"
    assert (tmp_path / "raw/shop.zip").read_bytes() == CONTENT


def test_a_local_file_with_another_hash_is_refused(tmp_path):
    (tmp_path / "mine.zip").write_bytes(b"x")
    with pytest.raises(InputError, match="not a known one"):
        bring(str(tmp_path / "mine.zip"), tmp_path / "shop.zip", KNOWN)
    assert not (tmp_path / "shop.zip").exists()


def test_the_command_ends_with_one_message_and_exit_code_1(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "download", "--from", "none.zip"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "error: --from: none.zip is neither an address (https://…) nor a file\n"


@pytest.mark.real_data
def test_the_real_file_is_a_known_one_and_the_params_are_printed(real_data, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "download", "--from", str(real_data)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "path: data/raw/online_retail.zip" in done.stdout
