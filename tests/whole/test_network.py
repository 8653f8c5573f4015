"""Nothing leaves the machine: every stage runs without a network, and nothing asks for one."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, run, scratch_clone, skip_unless
from whole_dag import write_params

pytestmark = [pytest.mark.dvc, pytest.mark.slow]

# Runs a command and says what its process group, a namespace of its own, asked of the network:
# the kernel counts each packet and each connection for which there was no route.
WATCHED = r"""
"$@"; status=$?
awk '/^Ip:/ && !seen++ { split($0, name) } /^Ip:/ && seen { split($0, value) }
     END { for (i in name) if (name[i] == "OutNoRoutes") print "without a route:", value[i] }
    ' /proc/net/snmp >&2
exit $status
"""
# In every Python started there, also below DVC: names that it looks up and where it connects.
HOOK = """
import os, socket, sys
def hook(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        asked = f"{event} {arguments[0]}"
    elif event in ("socket.connect", "socket.sendto") and arguments[0].family != socket.AF_UNIX:
        asked = f"{event} {arguments[1]}"
    else:
        return
    with open(os.environ["ASKED_OF_THE_NETWORK"], "a") as file:
        file.write(f"{' '.join(sys.argv)}: {asked}\\n")
sys.addaudithook(hook)
"""


@pytest.fixture(scope="module")
def without_network() -> list[str]:
    """The command that runs another one where there is no network."""
    for command in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        try:
            tried = subprocess.run([*command, "true"], check=False, capture_output=True)
        except FileNotFoundError:
            break
        if tried.returncode == 0:
            return [*command, "sh", "-c", WATCHED, "sh"]
    skip_unless(None, "unshare, and the right to make a network namespace")
    raise AssertionError


@pytest.fixture
def asked(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """The file that holds what was asked, and the settings by which every Python writes to it."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    file = tmp_path / "asked.txt"
    file.touch()
    # CI would keep DVC from looking for its own newer versions, as it does by itself.
    settings = {"PYTHONPATH": str(tmp_path / "hook"), "ASKED_OF_THE_NETWORK": str(file), "CI": ""}
    return file, settings


def test_the_whole_dag_runs_without_a_network_and_asks_for_none(without_network, asked, tmp_path):
    clone = scratch_clone(tmp_path)
    write_params(clone, "data/sample/sample.csv", sample={"lines": 4000})
    file, settings = asked
    done = run(*without_network, "dvc", "repro", "--force", cwd=clone, **settings)
    for made in ("data/segments.parquet", "reports/segments.csv", "reports/segments.html"):
        assert (clone / made).stat().st_size > 0
    assert done.stdout.count("Running stage") == 12
    assert file.read_text() == ""
    assert done.stderr.splitlines()[-1] == "without a route: 0"


def test_dvc_neither_reports_its_use_nor_looks_for_newer_versions():
    """It would do both by default, in a process of its own after a command's end."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / ".dvc" / "config")
    core = settings["core"]
    assert (core["analytics"], core["check_update"]) == ("false", "false")
