"""How the plugin behaves among others: light, quiet, in any order, on any number of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from .conftest import PLUGIN, ROOT

Suite = Callable[[str], None]

MIXED = """
@pytest.mark.parametrize("round", range(6))
def test_reuse(rpw_server, round):
    rpw_server.assert_worker_reused(rpw_server.run(COMPILE), rpw_server.run(OTHER))

@pytest.mark.rpw(max_workers_per_key=1)
@pytest.mark.parametrize("round", range(3))
def test_restart(rpw_server, round):
    before, after = rpw_server.run(COMPILE), rpw_server.run(EDITED)
    rpw_server.assert_worker_restarted(before, after, because="rpw_worker.py")

@pytest.mark.parametrize("round", range(3))
def test_make(make_rpw_server, round):
    server = make_rpw_server(jobs=1)
    server.run(ECHO)
    server.assert_one_shot(ECHO, because="persistentWorkerKey")

def test_nothing():
    pass
"""


def python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["rpw_fixture", PLUGIN])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    heavy = "[m for m in ('grpc', 'psutil', 'google.protobuf') if m in sys.modules]"
    assert python("-c", f"import sys, {module}; print({heavy})") == "[]\n"


def test_on_windows_the_import_says_where_it_works() -> None:
    code = "import sys; sys.platform = 'win32'; import rpw_fixture"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: rpw_fixture runs on Linux and macOS only; on Windows, use it inside WSL 2"
    )


def test_a_session_without_our_fixtures_loads_nothing_heavy(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("")
    pytester.makepyfile(
        test_suite="""
        import sys

        def test_it():
            assert not {"grpc", "google.protobuf"} & sys.modules.keys()
            assert "rpw_fixture.pytest_plugin" in sys.modules
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "options",
    [
        ("-W", "error"),
        ("--import-mode=importlib", "-p", "no:cacheprovider"),
        ("--strict-markers", "--strict-config"),
        ("-n", "2"),
        ("-n", "3", "--dist", "loadscope"),
        ("-p", "no:terminal"),
        ("-s", "-p", "no:logging"),
    ],
    ids=" ".join,
)
def test_a_suite_passes_however_pytest_is_run(
    suite: Suite, pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    suite(MIXED)
    result = pytester.runpytest_subprocess(*options)
    assert result.ret == pytest.ExitCode.OK
    if "no:terminal" not in options:
        result.assert_outcomes(passed=13)


@pytest.mark.parametrize("seed", range(3))
def test_a_suite_passes_in_any_order(suite: Suite, pytester: pytest.Pytester, seed: int) -> None:
    suite(MIXED)
    shuffle = pytester.mkpydir("shuffling")
    (shuffle / "plugin.py").write_text(
        f"import random\n"
        f"def pytest_collection_modifyitems(items): random.Random({seed}).shuffle(items)\n"
    )
    result = pytester.runpytest_inprocess("-p", "shuffling.plugin", syspathinsert=True)
    result.assert_outcomes(passed=13)


def test_failures_travel_from_the_processes_of_xdist(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
def test_it(rpw_server):
    rpw_server.run(COMPILE)
    assert False
""")
    result = pytester.runpytest_subprocess("-n", "1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- rpw timeline -*", "*worker 1 started, process *"])


def test_a_bad_marker_fails_its_test_where_xdist_would_lose_the_error(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("@pytest.mark.rpw(max_wokers=1)\ndef test_it(rpw_server): pass")
    result = pytester.runpytest_subprocess("-n", "1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_it: marker rpw: unknown setting 'max_wokers'*"])


def test_a_session_that_is_killed_leaves_no_process(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
import os, signal, psutil

def test_it(rpw_server):
    rpw_server.run(COMPILE)
    children = psutil.Process().children(recursive=True)
    Path("pids").write_text(" ".join(str(each.pid) for each in children))
    os.kill(os.getpid(), signal.SIGKILL)
""")
    result = pytester.runpytest_subprocess()
    assert result.ret == -9
    pids = [int(pid) for pid in Path("pids").read_text().split()]
    assert len(pids) >= 2
    assert_gone(pids)


def test_an_interrupted_session_leaves_no_process(suite: Suite, pytester: pytest.Pytester) -> None:
    suite("""
import psutil

def test_it(rpw_server):
    rpw_server.run(COMPILE)
    children = psutil.Process().children(recursive=True)
    Path("pids").write_text(" ".join(str(each.pid) for each in children))
    raise KeyboardInterrupt
""")
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert_gone([int(pid) for pid in Path("pids").read_text().split()])


def assert_gone(pids: list[int]) -> None:
    processes = []
    for pid in pids:
        try:
            processes.append(psutil.Process(pid))
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive
