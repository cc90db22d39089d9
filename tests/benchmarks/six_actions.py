"""`check` of six clean actions: a worker in Python, in Node.js and in Java, each check with all codes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rpw_fixture.hermeticity.suites import suite_file
from tests.hermeticity.sample_languages import build_jar, stage_java, stage_node
from tests.hermeticity.samples import stage
from tests.server_process import ROOT

from .figures import Effort, Figure, UnavailableError
from .processes import ENVIRONMENT
from .sampling import median

_HEADERS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
_CLASSES = ("One", "Two", "Three", "Four", "Five", "Six")
_JOBS = 2


def figures(effort: Effort) -> Iterator[Figure]:
    """Seconds of a check; the floor is as many starts of the worker, as many side by side.

    Raises:
        UnavailableError: a language is not installed.
    """
    rounds = effort.pick(smoke=1, quick=1, full=3)
    stages: dict[str, Callable[[Path], Path]] = {"Python": _stage_python}
    if effort is not Effort.SMOKE:
        stages |= {"Node.js": _stage_node, "Java": _stage_java}
    for language, staged in stages.items():
        with tempfile.TemporaryDirectory() as folder:
            yield _figure(language, staged(Path(folder) / "suite"), rounds)
    if missing := [each for each in ("node", "javac") if shutil.which(each) is None]:
        raise UnavailableError(f"{' and '.join(missing)} not found")


def _figure(language: str, suite: Path, rounds: int) -> Figure:
    ours, floor, starts = list[float](), list[float](), 0
    for _ in range(rounds):
        begin = time.perf_counter()
        starts = _check(suite)
        ours.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        _start(suite, starts)
        floor.append(time.perf_counter() - begin)
    return Figure(
        name=f"`check`, six actions, {language} worker",
        ours=median(ours),
        unit="s",
        floor=median(floor),
        floor_name=f"{starts} starts of the worker, {_JOBS} at once (informative)",
        samples=rounds,
    )


def _check(suite: Path) -> int:
    """Check a suite in which nothing is wrong; return the number of worker starts.

    Raises:
        subprocess.CalledProcessError: something is.
    """
    report = suite.parent / "report.json"
    command = [sys.executable, "-m", "rpw_fixture", "check", suite, "--jobs", str(_JOBS)]
    command += ["--cache", "none", "--format", f"json={report}"]
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, check=True)
    return int(json.loads(report.read_text("utf-8"))["worker_starts"])


def _start(suite: Path, count: int) -> None:
    command = [*suite_file.load(suite).worker.command, "--persistent_worker"]

    def start(_number: int) -> None:
        subprocess.run(command, cwd=suite.parent, stdin=subprocess.DEVNULL, check=True)

    with ThreadPoolExecutor(_JOBS) as threads:
        list(threads.map(start, range(count)))


def _stage_python(folder: Path) -> Path:
    return stage(folder, "good.py", headers=_HEADERS)


def _stage_node(folder: Path) -> Path:
    return stage_node(folder, headers=_HEADERS[:-1])  # it has one more, which fails


def _stage_java(folder: Path) -> Path:
    with tempfile.TemporaryDirectory() as built:
        return stage_java(folder, build_jar(Path(built)), "", names=_CLASSES)
