"""Users' own code passes the strictest settings of type checkers, and mistakes do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER_CODE = Path(__file__).with_name("user_code.py")
MISTAKES = """
from rpw_fixture import Action, Server

Action(["positional"])
Action(arguments=["x"], inputs={"a": 1})
Action(arguments=["x"]).timeout = 1.0
with Server() as server:
    server.assert_worker_reused(1)
    server.assert_one_shot(Action(arguments=["x"]), reason="x")
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def mypy(file: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("mypy")
    return checked([sys.executable, "-m", "mypy", "--strict", f"--cache-dir={cache}", str(file)])


def checked(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=USER_CODE.parent,
        env={**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_mypy_accepts_what_users_write(cache: Path) -> None:
    done = mypy(USER_CODE, cache)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_refuses_mistakes(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "mistakes.py").write_text(MISTAKES)
    done = mypy(tmp_path / "mistakes.py", cache)
    lines = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    assert lines == {4, 5, 6, 8, 9}


def test_pyright_accepts_what_users_write() -> None:
    pytest.importorskip("pyright")
    pyright = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    done = checked([*pyright, str(USER_CODE)])
    assert done.returncode == 0, done.stdout + done.stderr
