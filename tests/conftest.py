"""What the tests share: the real data, scratch clones, and tools that CI must have."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = ROOT.parent / "shared" / "data" / "online_retail.zip"
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

pytest_plugins = ["report_shop", "shops"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def skip_unless(found: object, what: str) -> None:
    """Skip where a tool is missing, but never in CI, which installs every one."""
    if found:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, started once."""
    skip_unless(CHROMIUM, "Debian's chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def real_data() -> Path:
    skip_unless(REAL_DATA.exists(), "../shared/data/online_retail.zip")
    return REAL_DATA


def scratch_clone(folder: Path) -> Path:
    """A clone of this checkout in `folder`, uncommitted changes included."""
    clone = folder / "clone"
    author = ("-c", "user.name=A tester", "-c", "user.email=tester@example.com")
    run("git", "clone", "--quiet", *author, str(ROOT), str(clone), cwd=ROOT)
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT)
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, clone / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        else:
            target.unlink(missing_ok=True)
    return clone


# A shop on which every stage runs in seconds.
SMALL = (
    "sample.lines=6000",
    "select.k_to=6",
    "select.origins=2",
    "select.candidates=[kmeans/rfm/log,kmeans/rfm/power,steps/rfm/expected_curve]",
    "select.baselines=[tiers/spend/raw/5]",
    "select.effort={resamples: 4, splits: 2, gap_references: 1, later_resamples: 20}",
    "profile.forecast.origins=2",
)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed clone in which DVC ran every stage on a small shop: one for all processes."""
    from dvc.utils.hydra import apply_overrides

    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (base / "prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shop = base / "prepared" / "clone"
        if not (shop / ".git/prepared").exists():
            shutil.rmtree(shop.parent, ignore_errors=True)
            scratch_clone(shop.parent)
            apply_overrides(shop / "params.yaml", list(SMALL))
            run("dvc", "repro", cwd=shop)
            run("git", "add", "--all", cwd=shop)
            run("git", "commit", "--quiet", "--message", "A small shop", cwd=shop)
            (shop / ".git/prepared").touch()
    return shop


@pytest.fixture(scope="module")
def small_shop(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the prepared clone, to be changed."""
    return Path(shutil.copytree(prepared, tmp_path_factory.mktemp("shop") / "clone"))


def run(*command: str, cwd: Path, check: bool = True, **env: str) -> subprocess.CompletedProcess:
    """Run a command with this Python first on the path; its output is captured as text."""
    bin_folder = Path(sys.executable).parent
    settings = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        **env,
    }
    done = subprocess.run(
        command,
        cwd=cwd,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return done


def change_params(folder: Path, **changes: dict[str, Any]) -> None:
    """Change keys of the folder's params.yaml, by section."""
    file = folder / "params.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    for section, values in changes.items():
        params[section] |= values
    file.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs Spark or the real shop is slow."""
    for item in items:
        if {"spark", "real_data"} & {marker.name for marker in item.iter_markers()}:
            item.add_marker(pytest.mark.slow)
