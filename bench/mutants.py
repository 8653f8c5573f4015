"""Would the tests notice a fault? Small faults put into pipeline/methods/, each put to the test.

Mutants are made by mutmut's operators (a sign turned, a bound moved, a text changed, an argument
dropped …) and drawn at random, from each module in proportion to how many it has. Against each run
the tests that execute the changed lines, the quickest first, until one fails; tests that need
Spark, a browser, the real data or DVC, and slow ones, are left out. A mutant that no test runs has
survived. Survivors are listed; those that change nothing that could be noticed count as well.

Which test executes what is kept in .mutants_cache/ for as long as the code stays as it is.

They meet their tests in a random order, so that a run that --minutes ended early is a smaller
sample, and is told as such.

Example: python -m bench.mutants --sample 100 --seed 7 --module value
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import json
import math
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _pytest.runner import runtestprotocol
from rich.progress import Progress
from threadpoolctl import threadpool_limits

from bench.scoring import wilson

ROOT = Path(__file__).resolve().parents[1]
METHODS = Path("pipeline") / "methods"
CACHE = ROOT / ".mutants_cache"
SAMPLE, SEED, LIMIT = 400, 2, 0.85
LEFT_OUT = "spark or browser or real_data or dvc"
SLOWEST, ENOUGH = 5.0, 30.0  # seconds of computing for a test, and for all that a mutant meets
SECONDS, TIMES = 20, 5  # a mutant runs on when it computes so long and so many times longer
PATIENCE = 60  # a machine may be so many times busier; what then has not ended hangs
KILLED, SURVIVED, ENDLESS, UNTESTED = "killed", "survived", "ran on", "untested"
NOT_MET = "not met"  # no time was left
NO_TEST, NO_TIME = 2, 1 << 16
# By exit code.
FATES: dict[int | None, str] = {
    0: SURVIVED, None: ENDLESS, NO_TEST: UNTESTED, NO_TIME: NOT_MET
}  # fmt: skip

Job = tuple[
    Callable[[], int], float | None
]  # what to run, giving an exit code, and seconds at most


@dataclass(frozen=True)
class Mutant:
    """A module's code with one change, and the lines whose tests should notice it."""

    module: str
    source: str
    code: str
    function: str
    lines: range
    around: range

    def __str__(self) -> str:
        changed = difflib.unified_diff(
            self.source.splitlines(), self.code.splitlines(), lineterm="", n=0
        )
        shown = (f"      {line}" for line in list(changed)[3:])
        return "\n".join([f"   {self.module}.py:{self.lines.start} {self.function}", *shown])


@dataclass(frozen=True)
class Faults:
    """Every mutant that mutmut makes of one module's functions."""

    file: Path

    @cached_property
    def source(self) -> str:
        """The module as it stands."""
        return self.file.read_text(encoding="utf-8")

    @cached_property
    def made(self) -> tuple[Any, list[Any], Any]:
        """The module's syntax tree, the mutations, and where each node stands."""
        # Imported here, because a process that tests mutants must not pay for it.
        import libcst
        from libcst.metadata import MetadataWrapper, PositionProvider
        from mutmut.mutation.file_mutation import MutationVisitor
        from mutmut.mutation.mutators import mutation_operators
        from mutmut.mutation.pragma_handling import IgnoredCode

        wrapper = MetadataWrapper(libcst.parse_module(self.source))
        visitor = MutationVisitor(mutation_operators, IgnoredCode(set(), set(), set()))
        module = wrapper.visit(visitor)
        inside = [
            mutation
            for mutation in visitor.mutations
            if isinstance(mutation.contained_by_top_level_function, libcst.FunctionDef)
        ]
        return module, inside, wrapper.resolve(PositionProvider)

    def __len__(self) -> int:
        return len(self.made[1])

    def __getitem__(self, number: int) -> Mutant:
        module, mutations, positions = self.made
        mutation = mutations[number]
        code = module.deep_replace(mutation.original_node, mutation.mutated_node).code
        line = positions[mutation.original_node].start.line
        return Mutant(self.file.stem, self.source, code, *_place(self.source, line))


def _place(source: str, line: int) -> tuple[str, range, range]:
    """The function at a line, the lines of the innermost statement, and those of the function."""
    holding = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    outer = [node for node in holding if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    function = next(node for node in outer if isinstance(node, ast.FunctionDef))
    name = ".".join(node.name for node in outer[: outer.index(function) + 1])
    inner = holding[-1]
    body = getattr(inner, "body", None)
    last = body[0].lineno if body else (inner.end_lineno or 0) + 1
    return name, range(inner.lineno, last), range(function.lineno, (function.end_lineno or 0) + 1)


def draw(faults: list[Faults], size: int, seed: int) -> list[Mutant]:
    """A random sample, from each module in proportion to its mutants (largest remainders)."""
    counts = np.array([len(each) for each in faults])
    size = min(size, counts.sum())
    exact = counts * size / counts.sum()
    sizes = exact.astype(int)
    sizes[np.argsort(sizes - exact, kind="stable")[: size - sizes.sum()]] += 1
    chance = np.random.default_rng(seed)
    drawn = [
        each[int(number)]
        for each, n in zip(faults, sizes, strict=True)
        for number in np.sort(chance.choice(len(each), n, replace=False))
    ]
    return [drawn[number] for number in chance.permutation(len(drawn))]


def put_in(mutant: Mutant) -> None:
    """Give the function that everyone has imported the mutant's code."""
    name = f"pipeline.methods.{mutant.module}"
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(mutant.code, str(ROOT / METHODS / f"{mutant.module}.py"), "exec"), namespace)
    before, after = sys.modules[name], namespace
    first, *rest = mutant.function.split(".")
    old, new = getattr(before, first), after[first]
    for part in rest:
        old, new = getattr(old, part), getattr(new, part)
    old, new = getattr(old, "__func__", old), getattr(new, "__func__", new)
    old.__code__ = new.__code__
    old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__


class Testers:
    """A plugin of pytest: once all tests are collected, each mutant meets its own in a fork."""

    def __init__(
        self, sample: list[Mutant], workers: int, folder: Path, seconds: float = math.inf
    ) -> None:
        self.sample, self.workers, self.folder, self.seconds = sample, workers, folder, seconds
        self.fates: list[str] = []
        self.failed: list[str] = []
        self.coverage: Any = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """What runs now is the set-up, maybe for other tests of the file as well."""
        if self.coverage:
            self.coverage.switch_context(f"{item.nodeid}|setup")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """What runs now is the test."""
        if self.coverage:
            self.coverage.switch_context(f"{item.nodeid}|run")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In the place of pytest's own loop over the tests."""
        files: dict[str, list[pytest.Item]] = defaultdict(list)
        for item in session.items:
            files[str(item.path)].append(item)
        notes = {file: CACHE / f"{digest(Path(file))}.json" for file in files}
        new = [file for file in files if not notes[file].exists()]
        jobs = [(partial(self.learn, files[file], notes[file]), None) for file in new]
        learning = self.in_forks(jobs, "what each test runs")
        self.failed = [file for file, code in zip(new, learning, strict=True) if code != 0]
        if self.failed:
            return True
        learnt = [json.loads(path.read_text(encoding="utf-8")) for path in notes.values()]
        seconds: dict[str, float] = {}
        for each in learnt:
            seconds |= each["seconds"]
        items = {item.nodeid: item for item in session.items}
        meetings: list[Job] = []
        for mutant in self.sample:
            tests = chosen_tests(who_runs(mutant, learnt), seconds)
            limit = SECONDS + TIMES * sum(seconds[test] for test in tests)
            meetings.append((partial(self.test, mutant, [items[test] for test in tests]), limit))
        codes = self.in_forks(meetings, "mutants", self.seconds)
        self.fates = [FATES.get(code, KILLED) for code in codes]
        return True

    def learn(self, items: list[pytest.Item], notes: Path) -> int:
        """Run the tests of a file on the code as it stands; note their seconds and lines."""
        from coverage import Coverage

        self.coverage = Coverage(data_file=None, source=[str(ROOT / METHODS)], config_file=False)
        self.coverage.start()
        seconds, passed = run_items(items)
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {
            Path(file).stem: {
                line: sorted(named(contexts, list(seconds)))
                for line, contexts in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        if passed:
            CACHE.mkdir(exist_ok=True)
            notes.write_text(json.dumps({"seconds": seconds, "lines": lines}), encoding="utf-8")
        return 0 if passed else 1

    def test(self, mutant: Mutant, items: list[pytest.Item]) -> int:
        """0 when every test passes on the mutant, 1 when one fails or it does not even load."""
        if not items:
            return NO_TEST
        put_in(mutant)
        return 0 if run_items(items, until_failure=True)[1] else 1

    def in_forks(
        self, jobs: Sequence[Job], what: str, seconds: float = math.inf
    ) -> list[int | None]:
        """Each job's exit code, in its own fork of this process; None where it ran on.

        NO_TIME for those that had not begun after so many seconds.
        """
        last = time.monotonic() + seconds
        processes = multiprocessing.get_context("fork")
        codes: list[int | None] = [NO_TIME] * len(jobs)
        running: dict[int, tuple[int, Any, float]] = {}
        todo = list(enumerate(jobs))[::-1]
        with Progress(disable=not sys.stdout.isatty(), transient=True) as progress:
            task = progress.add_task(what, total=len(jobs))
            while todo or running:
                todo = todo if time.monotonic() < last else []
                while todo and len(running) < self.workers:
                    number, (job, limit) = todo.pop()
                    process = processes.Process(target=alone, args=(job, self.folder, limit))
                    process.start()
                    until = time.monotonic() + PATIENCE * limit if limit else float("inf")
                    running[process.sentinel] = number, process, until
                ended = set(wait(list(running), timeout=1))
                for sentinel, (number, process, until) in list(running.items()):
                    if sentinel in ended:
                        process.join()
                        ran_on = process.exitcode == -signal.SIGXCPU
                        codes[number] = None if ran_on else process.exitcode
                    elif time.monotonic() > until:
                        os.killpg(process.pid, 9)
                        process.join()
                        codes[number] = None
                    else:
                        continue
                    del running[sentinel]
                    progress.advance(task)
        return codes


def alone(job: Callable[[], int], folder: Path, limit: float | None) -> None:
    """Run a job silently in a process group and a temporary folder of its own, and end."""
    os.setsid()
    if limit:  # of computing, not of the clock: a busy machine must not look like a fault noticed
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 5))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.mkdtemp(dir=folder)
    threadpool_limits(1)
    code = 1  # also when the mutant cannot be loaded
    try:
        code = job()
    finally:
        os._exit(code)


def run_items(
    items: list[pytest.Item], *, until_failure: bool = False
) -> tuple[dict[str, float], bool]:
    """Run tests in this order; how long each took, and whether all passed or were skipped."""
    seconds: dict[str, float] = {}
    passed = True
    for item, following in zip(items, [*items[1:], None], strict=True):
        start = time.process_time()  # the same on a busy machine
        reports = runtestprotocol(item, log=False, nextitem=following)
        seconds[item.nodeid] = time.process_time() - start
        passed = passed and not any(report.failed for report in reports)
        if until_failure and not passed:
            break
    return seconds, passed


def named(contexts: Iterable[str], tests: list[str]) -> set[str]:
    """The tests of these contexts; what ran in the set-up of one may serve its whole file."""
    found: set[str] = set()
    for context in filter(None, contexts):
        test, _, phase = context.rpartition("|")
        found |= set(tests) if phase == "setup" else {test}
    return found


def who_runs(mutant: Mutant, learnt: list[dict[str, Any]]) -> set[str]:
    """The tests that run the changed statement; for a default value, the function."""
    for lines in (mutant.lines, mutant.around):
        found = {
            test
            for each in learnt
            for line in lines
            for test in each["lines"].get(mutant.module, {}).get(str(line), [])
        }
        if found:
            return found
    return set()


def chosen_tests(tests: Iterable[str], seconds: Mapping[str, float]) -> list[str]:
    """The quickest tests, file by file, so that what a file's tests share is made once."""
    files: dict[str, list[str]] = defaultdict(list)
    spent = 0.0
    for test in sorted(tests, key=lambda test: (seconds[test], test)):
        spent += seconds[test]
        if seconds[test] > SLOWEST or spent > ENOUGH:
            break
        files[test.partition("::")[0]].append(test)
    return [test for those in files.values() for test in those]


def digest(test_file: Path) -> str:
    """What decides which test of a file runs which line: the file, the code, what tests share."""
    shared = (ROOT / "tests").glob("[!t]*.py")
    files = [test_file, *shared, *(ROOT / "pipeline").rglob("*.py"), ROOT / "params.yaml"]
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(file.read_bytes())
    return f"{test_file.stem}-{found.hexdigest()[:16]}"


def main() -> None:
    """Draw mutants, run the tests against them, print which were noticed."""
    asked = argparse.ArgumentParser(
        prog="python -m bench.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    asked.add_argument("--sample", type=int, default=SAMPLE, help="how many mutants")
    asked.add_argument("--seed", type=int, default=SEED, help="which mutants")
    asked.add_argument("--module", action="append", help="only of this module of methods/")
    asked.add_argument("--minutes", type=float, default=math.inf, help="begin none after these")
    asked.add_argument("--workers", type=int, default=os.cpu_count(), help="how many at a time")
    given = asked.parse_args()
    faults = [
        made
        for file in sorted((ROOT / METHODS).glob("*.py"))
        if not given.module or file.stem in given.module
        if len(made := Faults(file))
    ]
    sample = draw(faults, given.sample, given.seed)
    print(f"   {len(sample)} of {sum(map(len, faults)):,} mutants, seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        testers = Testers(sample, given.workers, Path(folder), 60 * given.minutes)
        pytest.main(
            ["-s", "-p", "no:cacheprovider", "-p", "no:terminal", "-o", "addopts=",
             "--hypothesis-seed=1", "-m", f"not ({LEFT_OUT})", "--rootdir", str(ROOT),
             str(ROOT / "tests")],
            plugins=[testers],
        )  # fmt: skip
    if not testers.fates:
        sys.exit(f"error: tests fail without any fault put in: {', '.join(testers.failed)}")
    show(sample, testers.fates)


def show(sample: list[Mutant], fates: list[str]) -> None:
    """Figures per module and in all, and every survivor."""
    met = [pair for pair in zip(sample, fates, strict=True) if pair[1] != NOT_MET]
    if len(met) < len(sample):
        print(f"   {len(met)} of them met their tests in the time that was given")
    if not met:
        sys.exit("error: no mutant met its tests in the time that was given")
    sample, fates = [mutant for mutant, _ in met], [fate for _, fate in met]
    by_module: dict[str, list[str]] = defaultdict(list)
    for mutant, fate in sorted(met, key=lambda pair: pair[0].module):
        by_module[mutant.module].append(fate)
    columns = (KILLED, ENDLESS, SURVIVED, UNTESTED)
    print(f"\n   {'module':<22}" + "".join(f"{column:>10}" for column in columns))
    for module, those in by_module.items():
        print(f"   {module:<22}" + "".join(f"{those.count(column):>10}" for column in columns))
    print("\n   survived")
    for mutant, fate in zip(sample, fates, strict=True):
        if fate in (SURVIVED, UNTESTED):
            print(mutant, "      (no test runs it)" if fate == UNTESTED else "", sep="\n")
    noticed = sum(fate in (KILLED, ENDLESS) for fate in fates)
    low, high = wilson(noticed, len(fates))
    print(
        f"\n   noticed {noticed} of {len(fates)}: {noticed / len(fates):.1%} "
        f"[{low:.1%}, {high:.1%}], of them {fates.count(ENDLESS)} because they ran on "
        f"(limit {LIMIT:.0%})"
    )
    if noticed < LIMIT * len(fates):
        sys.exit("error: below the limit")


if __name__ == "__main__":
    main()
