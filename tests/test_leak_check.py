"""The check after every test: it finds what is really left behind, and waits for what is ending."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
#: What a test has at hand to leave behind; all of it ends with the session that is tried.
PREAMBLE = """
import atexit
import os
import socket
import subprocess
import sys
import tempfile
import threading

HELD = []

def started(seconds):
    HELD.append(subprocess.Popen(["sleep", str(seconds)]))

def thread(seconds):
    threading.Thread(target=threading.Event().wait, args=(seconds,), name="lasting", daemon=True).start()

def folder():
    HELD.append(tempfile.TemporaryDirectory(prefix=f"rpw-{os.getpid()}-"))

@atexit.register  # in whatever order the tests run
def let_go():
    while HELD:
        held = HELD.pop()
        getattr(held, "kill", getattr(held, "cleanup", getattr(held, "close", None)))()
        getattr(held, "wait", int)()
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run tests in a separate session with this project's check, which has less patience."""
    monkeypatch.setenv("PYTHONPATH", str(CONFTEST.parent))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(tests: str, patience: float, *, has_proc: bool = True) -> pytest.RunResult:
        changes = f"\n_PATIENCE = {patience}\n"
        if not has_proc:
            changes += "_LINKS = Path('/nonexistent/self/fd')\n"
        pytester.makeconftest(CONFTEST.read_text() + changes)
        pytester.makepyfile(PREAMBLE + tests)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider")

    return run


@pytest.mark.parametrize(
    ("leaving", "told"),
    [
        ("HELD.append(socket.socket())", "descriptor of socket:*"),
        ("HELD.append(open(__file__))", "descriptor of */test_*.py"),
        ("started(3600)", "process *: sleep 3600"),
        ("thread(3600)", "thread *: lasting"),
        ("folder()", "folder */rpw-*"),
    ],
    ids=["socket", "file", "process", "thread", "folder"],
)
def test_what_a_test_leaves_behind_is_an_error_of_that_test_alone(run, leaving, told):
    result = run(
        f"""
def test_before():
    pass

def test_leaving():
    {leaving}

def test_after():
    let_go()
""",
        patience=0.1,
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_leaving*", "*the test left behind:*", f"*{told}"]
    )


@pytest.mark.parametrize(
    ("leaving", "told"),
    [
        ("HELD.append(socket.socket())", "descriptor * of a socket, inode *"),
        ("HELD.append(open(__file__))", "descriptor * of a file, inode *"),
        ("started(3600)", "process *: sleep 3600"),
    ],
    ids=["socket", "file", "process"],
)
def test_where_there_is_no_proc_it_is_an_error_too(run, leaving, told):
    result = run(
        f"""
def test_before(rpw_server):
    assert rpw_server.client.capabilities()

def test_leaving():
    {leaving}

def test_after(rpw_server):
    let_go()
    assert rpw_server.client.capabilities()
""",
        patience=0.1,
        has_proc=False,
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_leaving*", "*the test left behind:*", f"*{told}"]
    )


def test_what_ends_soon_is_waited_for(run):
    result = run(
        """
def test_ending():
    thread(0.2)

def test_reuse(rpw_server):
    assert rpw_server.endpoint
""",
        patience=60.0,
    )
    result.assert_outcomes(passed=2)
