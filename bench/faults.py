"""What faults do: kills at random moments, a full disk, no memory, edits, two runs at once.

Real DVC in scratch clones, on a small sample with few candidates. Each trial forgets one stage,
so that it must run, disturbs that run, and then asks of the next `dvc repro`, with nothing
disturbing it: does it end well, and is every byte as after an undisturbed run? Outputs that stand
there after the fault must be whole. Kills hit the stage, DVC or both, at a moment drawn over the
whole run of `dvc repro`. A full disk and a read-only folder need root.

Example: python -m bench.faults kills=110 seed=8 at_once=2, or, of some parts and stages,
python -m bench.faults kill disk stages=ingest,clean
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
AUTHOR = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
KINDS = ("stage", "dvc", "both")
SMALL: dict[str, Any] = {
    "sample": {"lines": 6000},
    "select": {
        "k_from": 3,
        "k_to": 4,
        "candidates": [{"algorithms": ["kmeans"], "features": ["rfm"], "transforms": ["log"]}],
        "baselines": [
            {"algorithms": ["rules"], "features": ["rfm"], "transforms": ["raw"], "k": [10]}
        ],
        "effort": {"resamples": 2, "splits": 2, "gap_references": 1, "later_resamples": 20},
    },
    "profile": {"value": {"origins": 1, "resamples": 20}},
    "report": {"map_customers": 100, "map_products": 100},
}
# Where a disturbed stage can be edited: what to replace in params.yaml.
EDITS = {
    "explore": ("top_products: 20", "top_products: 7"),
    "categorize_products": ("review_products: 200", "review_products: 5"),
    "profile_segments": ("typical_customers: 3", "typical_customers: 2"),
}
# What DVC leaves where it is killed while it writes a file of its own, and what mends it.
REMEDY = "git checkout dvc.lock && rm -f .dvc/tmp/rwlock"


@dataclass
class Run:
    """A `dvc repro` that has ended: its exit code and what it said."""

    code: int
    said: str


@dataclass
class Shop:
    """A scratch clone in which the pipeline has run once, undisturbed, up to `target`."""

    folder: Path
    target: str = ""
    lock: Any = None
    outputs: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    disturbed: tuple[str, ...] = ()

    @property
    def spill(self) -> Path:
        """Where its stages put what does not fit in memory."""
        return self.folder.with_name(f"{self.folder.name}.spill")

    @property
    def stages(self) -> dict[str, Any]:
        """The stages that have run, as dvc.yaml has them."""
        declared = yaml.safe_load((self.folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        return {name: entry for name, entry in declared.items() if name in self.lock["stages"]}

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start `dvc repro` in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro", *arguments],
            cwd=self.folder,
            env=settings(PIPELINE_SPILL=str(self.spill), **environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def repro(self, *arguments: str, **environment: str) -> Run:
        """Run `dvc repro` to its end."""
        process = self.start(*arguments, **environment)
        said, _ = process.communicate()
        return Run(process.returncode, said)

    def git(self, *arguments: str) -> str:
        """Run git in the clone."""
        done = subprocess.run(
            ["git", *AUTHOR, *arguments],
            cwd=self.folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def forget(self, stage: str) -> None:
        """Make DVC forget that the stage ever ran."""
        lock = yaml.safe_load((self.folder / "dvc.lock").read_text(encoding="utf-8"))
        lock["stages"].pop(stage)
        (self.folder / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False), "utf-8")
        shutil.rmtree(self.folder / ".dvc" / "cache" / "runs", ignore_errors=True)

    def now(self) -> dict[str, str]:
        """The sha256 of every output that stands there."""
        listed = (
            next(iter(out)) if isinstance(out, dict) else out
            for entry in self.stages.values()
            for out in (*entry.get("outs", ()), *entry.get("metrics", ()))
        )
        files = {name: self.folder / name for name in listed}
        return {name: digest(file) for name, file in sorted(files.items()) if file.exists()}

    def copy(self, folder: Path) -> Shop:
        """The same clone elsewhere."""
        shutil.copytree(self.folder, folder, symlinks=True)
        copied = replace(self, folder=folder)
        copied.spill.mkdir()
        return copied


def settings(**environment: str) -> dict[str, str]:
    """The environment of a run: this Python first on the path, nothing sent home."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1", **environment}


def digest(file: Path) -> str:
    """The sha256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def made_shop(folder: Path, target: str = "", changes: Mapping[str, Any] = SMALL) -> Shop:
    """Clone this checkout as it stands and run the pipeline once, undisturbed."""
    shop = Shop(folder, target)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    listed = ("git", "ls-files", "--modified", "--others", "--exclude-standard", "-z")
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    params = folder / "params.yaml"
    content = yaml.safe_load(params.read_text(encoding="utf-8"))
    params.write_text(yaml.safe_dump(merged(content, changes), sort_keys=False), "utf-8")
    (folder / "dvc.lock").unlink(missing_ok=True)
    shop.spill.mkdir()
    began = time.perf_counter()
    done = shop.repro(*filter(None, [target]))
    shop.seconds = time.perf_counter() - began
    if done.code:
        sys.exit(f"error: the undisturbed run failed:\n{done.said}")
    shop.lock = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))
    shop.outputs = shop.now()
    shop.git("add", "--all")
    shop.git("commit", "--quiet", "-m", "As it stands")
    return shop


def merged(values: Any, changes: Mapping[str, Any]) -> Any:
    """The values with the changes in them, at any depth."""
    return {
        **values,
        **{
            key: merged(values[key], new) if isinstance(new, dict) else new
            for key, new in changes.items()
        },
    }


@dataclass
class Verdict:
    """What came of one trial: whether the fault struck, and what was wrong after it."""

    struck: bool
    fault: str
    is_remedied: bool = False
    wrong: list[str] = field(default_factory=list)
    said: str = ""


def trial(shop: Shop, stage: str, fault: Callable[[], str]) -> Verdict:
    """Forget the stage, let `fault` run and disturb it, then hold the next run to the first."""
    shop.forget(stage)
    struck = fault()
    verdict = Verdict(bool(struck), struck)
    halves = {n for n, sha in shop.now().items() if sha != shop.outputs[n]}
    if halves:
        verdict.wrong.append(f"not whole after the fault: {', '.join(sorted(halves))}")
    settle(shop, verdict)
    return verdict


def settle(shop: Shop, verdict: Verdict) -> None:
    """Run `dvc repro` undisturbed, with the remedy if it needs it, and compare every byte."""
    target = filter(None, [shop.target])
    done = shop.repro(*target)
    if done.code:
        verdict.is_remedied, verdict.said = True, done.said
        subprocess.run(["sh", "-ec", REMEDY], cwd=shop.folder, check=True, capture_output=True)
        done = shop.repro(*filter(None, [shop.target]))
    if done.code:
        verdict.wrong.append(f"the next dvc repro fails: {done.said[-500:]}")
    lock = yaml.safe_load((shop.folder / "dvc.lock").read_text(encoding="utf-8"))
    if lock != shop.lock:
        verdict.wrong.append("dvc.lock differs")
    now = shop.now()
    if now != shop.outputs:
        differ = sorted(n for n in shop.outputs if now.get(n) != shop.outputs[n])
        verdict.wrong.append(f"outputs differ: {', '.join(differ)}")
    remains = [*shop.folder.rglob("*.unfinished"), *shop.spill.iterdir()]
    if remains and not verdict.is_remedied:  # what was restored did not run, so swept nothing
        verdict.wrong.append(f"left behind: {', '.join(map(str, remains))}")
    untidy = shop.git("status", "--porcelain", "--", ":!dvc.lock")
    if untidy:
        verdict.wrong.append(f"git status: {untidy}")


def kill(shop: Shop, stage: str, kind: str, after: float) -> str:
    """Kill the stage, DVC or both `after` seconds of its run; "" where it had ended before."""
    process = shop.start("--single-item", stage)
    time.sleep(after)
    if process.poll() is not None:
        process.communicate()
        return ""
    return struck_down(process, kind)


def struck_down(process: subprocess.Popen[str], kind: str) -> str:
    """Kill -9 the stage that this `dvc repro` runs, DVC or both; "" where it ended well."""
    children = psutil.Process(process.pid).children()
    if kind == "both":
        os.killpg(process.pid, signal.SIGKILL)
    elif kind == "stage" and children:
        children[0].kill()
    else:
        kind = "dvc"
        process.kill()
    if kind == "stage":
        process.communicate()
        if not process.returncode:
            return ""
    else:
        process.wait()  # but not for an orphan, which holds the pipe
        if process.stdout:
            process.stdout.close()
    return f"kill -9 of {kind}"


def kills_of(shop: Shop, stage: str, number: int, seed: str) -> list[Verdict]:
    """So many kills of one stage, over the whole time that its `dvc repro` takes."""
    chance = random.Random(seed)
    began = time.perf_counter()
    shop.forget(stage)
    shop.repro("--single-item", stage)
    whole = time.perf_counter() - began
    verdicts: list[Verdict] = []
    while len(verdicts) < number:
        kind, after = chance.choice(KINDS), chance.uniform(0, whole)
        verdict = trial(shop, stage, lambda k=kind, a=after: kill(shop, stage, k, a))  # type: ignore[misc]
        if verdict.struck or verdict.wrong:
            verdicts.append(verdict)
            mark = "; ".join(verdict.wrong) or ("remedied" if verdict.is_remedied else "equal")
            print(f"   {stage:<20} {verdict.fault:<18} at {after:4.1f} s: {mark}", flush=True)
            if verdict.is_remedied:
                print(f"      it said: {verdict.said.strip().splitlines()[-1]}", flush=True)
        else:
            whole *= 0.9  # the machine is faster now
    return verdicts


def edit(shop: Shop, stage: str, after: float) -> str:
    """Edit a parameter `after` seconds of the stage: noticed, or recorded as what was used."""
    old, new = EDITS[stage]
    file = shop.folder / "params.yaml"
    before = file.read_text(encoding="utf-8")
    process = shop.start("--single-item", stage)
    stage_of(process)
    time.sleep(after)
    file.write_text(before.replace(old, new), encoding="utf-8")
    said, _ = process.communicate()
    lock = yaml.safe_load((shop.folder / "dvc.lock").read_text(encoding="utf-8"))
    recorded, now = lock["stages"].get(stage), shop.now()
    file.write_text(before, encoding="utf-8")
    if recorded is None:
        return "noticed" if "edited while" in said else f"failed: {said[-300:]}"
    is_old = recorded["params"] == shop.lock["stages"][stage]["params"]
    outs = [out["path"] for out in recorded["outs"]]
    if is_old != all(now.get(out) == shop.outputs[out] for out in outs):
        shown = subprocess.run(
            [sys.executable, "-m", "pipeline.show_segments"],
            cwd=shop.folder, check=False, capture_output=True, text=True,
        )  # fmt: skip
        is_noticed = "edited in the moment" in shown.stderr
        return "noticed by the next command" if is_noticed else "RECORDED WRONGLY"
    for out in outs:  # a right result of other parameters: not half of anything
        (shop.folder / out).unlink(missing_ok=True)
    return "before the stage began, or after it ended"


def no_room(shop: Shop, stage: str, room: int) -> str:
    """Run the stage where so many bytes are left on the disk; "" where they were enough."""
    for out in shop.stages[stage].get("outs", ()):  # DVC removes them, which would make room
        (shop.folder / (next(iter(out)) if isinstance(out, dict) else out)).unlink()
    filler = shop.folder.with_name("filler")
    left = shutil.disk_usage(shop.folder).free
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(left - room, 1))
    done = shop.repro("--single-item", stage)
    filler.unlink()
    return told(done) if done.code else ""


def no_memory(shop: Shop, stage: str, after: float, more: int) -> str:
    """Let the stage have only so many bytes more than it has; "" where they were enough."""
    process = shop.start("--single-item", stage)
    child = stage_of(process)
    if child is None:
        process.communicate()
        return ""
    time.sleep(after)
    try:
        allowed = child.memory_info().vms + more
        child.rlimit(psutil.RLIMIT_AS, (allowed, allowed))
    except psutil.NoSuchProcess:
        pass
    try:
        said, _ = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "hung, and was killed"
    return told(Run(process.returncode, said)) if process.returncode else ""


def stage_of(process: subprocess.Popen[str]) -> psutil.Process | None:
    """The stage's process, once DVC has started it."""
    while process.poll() is None:
        try:
            children = psutil.Process(process.pid).children()
            if children and "pipeline." in " ".join(children[0].cmdline()):
                return children[0]
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    return None


def read_only(shop: Shop, stage: str, name: str) -> str:
    """Run the stage where a folder cannot be written to."""
    folder = str(shop.folder / name)
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        done = shop.repro("--single-item", stage)
    finally:
        subprocess.run(["umount", folder], check=True)
    return told(done) if done.code else ""


def two_at_once(shop: Shop, stage: str, apart: float) -> str:
    """Start `dvc repro` twice, the second a little later."""
    first = shop.start("--single-item", stage)
    time.sleep(apart)
    second = shop.start("--single-item", stage)
    ends = [Run(p.returncode, said) for p in (first, second) for said, _ in [p.communicate()]]
    return " | ".join(told(run) if run.code else "went through" for run in ends)


def by_hand(shop: Shop, stage: str, apart: float) -> str:
    """Run the stage by hand beside `dvc repro`."""
    process = shop.start("--single-item", stage)
    time.sleep(apart)
    hand = subprocess.run(
        [sys.executable, "-m", f"pipeline.{stage}"],
        cwd=shop.folder,
        env=settings(PIPELINE_SPILL=str(shop.spill)),
        check=False,
        capture_output=True,
        text=True,
    )
    said, _ = process.communicate()
    ends = (Run(process.returncode, said), Run(hand.returncode, hand.stderr))
    return " | ".join(told(run) if run.code else "went through" for run in ends)


def other_clock(shop: Shop, stage: str, offset: str) -> str:
    """Run the stage under another date (libfaketime), as if the clock had been set."""
    done = shop.repro(
        "--single-item",
        stage,
        LD_PRELOAD=str(faketime()),
        FAKETIME=offset,
        FAKETIME_DONT_FAKE_MONOTONIC="0",
    )
    return told(done) if done.code else "went through"


def faketime() -> Path | None:
    """The library of libfaketime, where it is installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def told(done: Run) -> str:
    """The one line that says what was wrong, or the traceback's last, marked as such."""
    lines = [line for line in done.said.splitlines() if line.strip()]
    of_stage = [line for line in lines if line.lower().startswith("error: ")]
    mark = "TRACEBACK: " if "Traceback (most recent" in done.said else ""
    return mark + (of_stage or lines[-1:] or ["nothing"])[0]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A tmpfs of this size at `folder`; it takes root."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def main() -> None:
    """Run the parts that are named, or all, and print what came of each fault."""
    options = dict(part.split("=") for part in sys.argv[1:] if "=" in part)
    parts = [part for part in sys.argv[1:] if "=" not in part] or ["kill", *OTHERS]
    if unknown := set(parts) - {"kill", *OTHERS}:
        sys.exit(f"error: no part {', '.join(unknown)}; there are kill, {', '.join(OTHERS)}")
    seed, at_once = options.get("seed", "8"), int(options.get("at_once", os.cpu_count() or 1))
    verdicts: list[tuple[str, Verdict]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        shop = made_shop(folder / "undisturbed")
        shop.disturbed = tuple(options["stages"].split(",") if "stages" in options else shop.stages)
        print(f"   undisturbed: {len(shop.outputs)} outputs in {shop.seconds:.0f} s", flush=True)
        if "kill" in parts:
            number = -(-int(options.get("kills", 110)) // len(shop.disturbed))
            with ThreadPoolExecutor(at_once) as pool:
                runs = pool.map(
                    lambda s: kills_of(shop.copy(folder / s), s, number, f"{seed} {s}"),
                    shop.disturbed,
                )
                verdicts += [(v.fault, v) for some in runs for v in some]
        for part in parts:
            if part in OTHERS:
                chance = random.Random(f"{seed} {part}")
                verdicts += [(part, v) for v in OTHERS[part](shop, folder, chance)]
    show(verdicts)


def show(verdicts: list[tuple[str, Verdict]]) -> None:
    """Print the table: how often each fault struck, and what the next `dvc repro` gave."""
    print(f"\n   {'fault':<24} {'trials':>6} {'equal':>6} {'after the remedy':>17} {'wrong':>6}")
    for fault in dict.fromkeys(name for name, _ in verdicts):
        of_it = [v for name, v in verdicts if name == fault]
        wrong = sum(bool(v.wrong) for v in of_it)
        remedied = sum(v.is_remedied and not v.wrong for v in of_it)
        equal = len(of_it) - wrong - remedied
        print(f"   {fault:<24} {len(of_it):>6} {equal:>6} {remedied:>17} {wrong:>6}")
    print(f"   the remedy: {REMEDY}")
    # Where memory ends while Python still loads its libraries, they tell it in their own way.
    untold = any("TRACEBACK" in v.fault for fault, v in verdicts if fault != "memory")
    if untold or any(v.wrong or "WRONGLY" in v.fault for _, v in verdicts):
        sys.exit("error: a fault left something wrong behind, or a traceback")


def tried(shop: Shop, stage: str, fault: Callable[[], str]) -> list[Verdict]:
    """One trial, told as it ends; none where the fault did not strike."""
    verdict = trial(shop, stage, fault)
    if not verdict.struck and not verdict.wrong:
        return []
    outcome = "; ".join(verdict.wrong) or ("remedied" if verdict.is_remedied else "equal")
    print(f"   {stage:<20} {verdict.fault[:200]}: {outcome}", flush=True)
    return [verdict]


def edits(shop: Shop, folder: Path, chance: random.Random) -> Iterator[Verdict]:
    """Edits of a parameter at random moments of a stage."""
    mine = shop.copy(folder / "edits")
    for stage in EDITS:
        mine.forget(stage)
        process = mine.start("--single-item", stage)
        stage_of(process)
        began = time.perf_counter()
        process.communicate()
        whole = time.perf_counter() - began
        for _ in range(5):
            after = chance.uniform(0, whole)
            yield from tried(mine, stage, lambda s=stage, a=after: edit(mine, s, a))  # type: ignore[misc]


def full_disks(shop: Shop, folder: Path, chance: random.Random) -> Iterator[Verdict]:
    """A disk with room for a part of what each stage writes."""
    with small_disk(folder / "disk", "300m") as disk:
        mine = shop.copy(disk / "clone")
        for stage in shop.disturbed:
            for room in (0, chance.randrange(40_000), chance.randrange(4_000_000)):
                yield from tried(mine, stage, lambda s=stage, r=room: no_room(mine, s, r))  # type: ignore[misc]


def no_memories(shop: Shop, folder: Path, chance: random.Random) -> Iterator[Verdict]:
    """Address space that ends at a random moment."""
    mine = shop.copy(folder / "memory")
    for stage in shop.disturbed:
        for more in (0, 20_000_000):
            after = chance.uniform(0.5, 4)
            yield from tried(
                mine,
                stage,
                lambda s=stage, a=after, m=more: no_memory(mine, s, a, m),  # type: ignore[misc]
            )


def read_onlys(shop: Shop, folder: Path, _: random.Random) -> Iterator[Verdict]:
    """Folders that cannot be written to."""
    mine = shop.copy(folder / "read_only")
    for stage, name in (("clean", "data"), ("explore", "metrics"), ("render_report", "reports")):
        yield from tried(mine, stage, lambda s=stage, n=name: read_only(mine, s, n))  # type: ignore[misc]


def twos(shop: Shop, folder: Path, chance: random.Random) -> Iterator[Verdict]:
    """Two runs of a stage at once: both by DVC, or one by hand."""
    mine = shop.copy(folder / "two")
    for stage in ("ingest", "clean", "categorize_products"):
        for fault in (two_at_once, by_hand):
            apart = chance.uniform(0, 4)
            yield from tried(mine, stage, lambda f=fault, s=stage, a=apart: f(mine, s, a))  # type: ignore[misc]


def clocks(shop: Shop, folder: Path, _: random.Random) -> Iterator[Verdict]:
    """Stages that run under another date."""
    if not faketime():
        print("   not measured: libfaketime is missing (Debian: apt-get install faketime)")
        return
    mine = shop.copy(folder / "clock")
    for stage in shop.disturbed:
        for offset in ("-4000d", "+4000d"):
            yield from tried(mine, stage, lambda s=stage, o=offset: other_clock(mine, s, o))  # type: ignore[misc]


OTHERS: Mapping[str, Callable[[Shop, Path, random.Random], Iterator[Verdict]]] = {
    "edit": edits,
    "disk": full_disks,
    "memory": no_memories,
    "read_only": read_onlys,
    "two": twos,
    "clock": clocks,
}

if __name__ == "__main__":
    main()
