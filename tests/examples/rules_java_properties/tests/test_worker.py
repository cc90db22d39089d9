"""The worker without Bazel: its results, how it is reused, and what it does with errors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from rpw_fixture import Action, Server


def test_later_files_win_and_names_are_sorted(rpw_server: Server, action: Action) -> None:
    assert rpw_server.run(action).outputs == {"out.properties": b"x=2\ny=2\nz=1\n"}


def test_worker_and_one_shot_run_agree(rpw_server: Server, action: Action) -> None:
    warm = rpw_server.run(action)
    cold = rpw_server.run(action.with_worker_key(None))
    rpw_server.assert_one_shot(cold, because="persistentWorkerKey")
    assert warm == cold


def test_errors_name_the_file_and_cost_no_worker(rpw_server: Server, action: Action) -> None:
    missing = rpw_server.run(action.without_input("b.properties"))
    broken = rpw_server.run(action.with_input("b.properties", "x=\\u12"))
    good = rpw_server.run(action)
    assert [each.exit_code for each in (missing, broken, good)] == [1, 1, 0]
    assert b"NoSuchFileException: b.properties" in missing.stderr
    assert b"Malformed" in broken.stderr
    rpw_server.assert_worker_reused(missing, broken, good)


def test_the_suite_has_no_errors(repository: Path, classes: Path, tmp_path: Path) -> None:
    # These codes take seconds; in CI the whole suite is checked.
    for name in ("suite.toml", "example"):
        path = repository / name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / name)
    shutil.copytree(classes, tmp_path / "classes")
    check = [
        sys.executable,
        "-m",
        "rpw_fixture",
        "check",
        "suite.toml",
        "--select",
        "RPW202,RPW118",
    ]
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
