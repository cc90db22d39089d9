"""Suites around the sample workers, staged in a folder of each test."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, SimpleNamespace

import pytest

from rpw_fixture.cli import main
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings.codes import CODES, expand
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.report import Report
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.support.program_form import program_command

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers"
LONG = os.environ.get("RPW_FIXTURE_LONG") == "1"
seeds = pytest.mark.parametrize("seed", range(10 if LONG else 1))
CANCELLATION, MULTIPLEX = "cancellation = true", "multiplex = true"
#: Seconds to wait for a worker that never ends; shorter than for users.
EOF_PATIENCE = 1.0
PROTOCOL = "RPW101,RPW102,RPW103,RPW104,RPW105"


def source(script: str) -> Path:
    broken = SAMPLES / "broken" / script
    return broken if broken.exists() else SAMPLES / "python" / script


def stage(
    folder: Path,
    script: str,
    *arguments: str,
    worker: str = "",
    headers: Sequence[str] = ("alpha", "beta"),
    shared: Sequence[str] = (),
    with_failure: bool = False,
) -> Path:
    """Write a suite with one action for each header; ``worker`` is more TOML for [worker]."""
    (folder / "tools").mkdir(parents=True)
    (folder / "src").mkdir()
    listed = re.search(r"Files: (.+)$", source(script).read_text(), re.MULTILINE)
    assert listed, f"{script} does not say which files it needs"
    for name in listed[1].split(", "):
        shutil.copy(source(name), folder / "tools" / name)
    for name in shared:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("plain\n")
    command = json.dumps(["python3", f"tools/{script}", *arguments])
    lines = ["[worker]", f"command = {command}", 'tool_inputs = ["tools/**"]', worker]
    for header in headers:
        (folder / "src" / f"{header}.txt").write_text(f"text of {header}\n")
        lines += action(header, shared=shared)
    if with_failure:
        lines += action("failing", headers[0], "--fail", "this is wrong", shared=shared)
        lines.append("exit_code = 1")
    suite = folder / "suite.toml"
    suite.write_text("\n".join(lines) + "\n")
    return suite


def action(name: str, input_name: str = "", *more: str, shared: Sequence[str] = ()) -> list[str]:
    source_path, output = f"src/{input_name or name}.txt", f"out/{name}.txt"
    arguments = ["--in", source_path, "--out", output, "--header", name, *more]
    return [
        "[[action]]",
        f"name = {json.dumps(name)}",
        f"arguments = {json.dumps(arguments)}",
        f"inputs = {json.dumps([source_path, *shared])}",
        f"outputs = {json.dumps([output])}",
    ]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A broken sample worker with its suite, and the code it is found under."""

    code: str
    script: str
    arguments: tuple[str, ...] = ()
    worker: str = ""
    headers: tuple[str, ...] = ("alpha", "beta")
    shared: tuple[str, ...] = ()
    with_failure: bool = False
    select: str = ""
    has_reproducer: bool = True
    is_warning: bool = False

    def __str__(self) -> str:
        words = (self.code, self.script, *self.arguments, *self.worker.split("\n"))
        return " ".join(each for each in words if each)


_reports: dict[tuple[Case, int], Report] = {}


def checked(case: Case, seed: int, temporary: pytest.TempPathFactory) -> Report:
    """Return the report of a case; it is checked once for all tests of a process."""
    if (case, seed) not in _reports:
        _reports[case, seed] = _check(case, seed, temporary)
    return _reports[case, seed]


def _check(case: Case, seed: int, temporary: pytest.TempPathFactory) -> Report:
    folder = temporary.mktemp(case.code)
    suite = stage(
        folder / "suite",
        case.script,
        *case.arguments,
        worker=case.worker,
        headers=case.headers,
        shared=case.shared,
        with_failure=case.with_failure,
    )
    is_full = LONG and seed == 0 and not case.select
    selected = frozenset(CODES) if is_full else expand(case.select or f"{case.code},{PROTOCOL}")
    return check(
        load(suite),
        Options(
            selected=selected,
            seed=seed,
            reproducers=folder / "reproducers" if case.has_reproducer else None,
            eof_patience=EOF_PATIENCE,
            pause=0.0,
            locates=False,
        ),
    )


def assert_found(case: Case, seed: int, temporary: pytest.TempPathFactory) -> None:
    report = checked(case, seed, temporary)
    assert codes(report) == {case.code}
    assert report.has_errors != case.is_warning


def assert_reproduced(case: Case, temporary: pytest.TempPathFactory) -> None:
    """Assert that the reproducer of the first finding fails, and passes with a good worker."""
    finding = next(each for each in checked(case, 0, temporary).findings if each.reproducer)
    assert finding.code == case.code
    good = "multiplex.py" if MULTIPLEX in case.worker else "good.py"
    assert_replayed(finding, case.script, good)


def assert_replayed(finding: Finding, script: str, good: str = "good.py") -> None:
    """Assert that a reproducer runs the requests of its finding, fails, and passes with a good worker.

    Its test and the check that it starts run in this process; `test_reproducers` runs some as users do.
    """
    assert finding.reproducer is not None
    folder = Path(finding.reproducer)
    assert (folder / "history.json").exists(), "it runs the check again, and not its requests"
    test = reproducer_test(folder)
    test.__globals__["subprocess"] = SimpleNamespace(run=_run_here)
    with pytest.raises(AssertionError) as caught:
        test()
    assert finding.summary in str(caught.value)
    for name in ("rpw_worker.py", "good.py", good):
        shutil.copy(source(name), folder / "tools" / name)
    (folder / "tools" / script).unlink()
    shutil.copy(source(good), folder / "tools" / script)
    test()


def reproducer_test(folder: Path) -> FunctionType:
    """Return the test function of a reproducer."""
    (path,) = folder.glob("test_*.py")
    members = runpy.run_path(str(path))
    (function,) = (value for name, value in members.items() if name.startswith("test_"))
    assert isinstance(function, FunctionType)
    return function


def _run_here(
    command: Sequence[str], *, capture_output: bool, text: bool, check: bool
) -> subprocess.CompletedProcess[str]:
    """Stand in for `subprocess.run`: most of the program's time would be its imports."""
    program = program_command()
    assert (list(command[: len(program)]), capture_output, text) == (program, True, True)
    with (
        io.TextIOWrapper(io.BytesIO(), "utf-8") as stdout,
        io.TextIOWrapper(io.BytesIO(), "utf-8") as stderr,
    ):
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            status = main(list(command[len(program) :]))
        stdout.flush()
        stderr.flush()
        said, complained = (each.buffer.getvalue().decode() for each in (stdout, stderr))
    return subprocess.CompletedProcess(command, status, said, complained)


def run(suite: Path, select: str = "", seed: int = 0, pause: float = 0.0) -> Report:
    selected = frozenset(select.split(",")) if select else frozenset(CODES)
    return check(
        load(suite), Options(selected=selected, jobs=2, seed=seed, pause=pause, locates=False)
    )


def codes(report: Report) -> set[str]:
    return {each.code for each in report.findings}


def require_program(name: str) -> None:
    if shutil.which(name) is not None:
        return
    reason = f"{name} is not on PATH"
    if os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1":
        pytest.fail(f"{reason}, and RPW_FIXTURE_REQUIRE_INTEROP=1 demands it", pytrace=False)
    pytest.skip(reason)
