"""The folder of a server: its own while it lives, and removed by the next one when it was killed."""

from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.execution.workspace import Workspace

HOLD = """
import sys
from rpw_fixture.execution.workspace import Workspace
workspace = Workspace()
(workspace.path / "blob").write_bytes(b"content")
print(workspace.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where all workspaces of the test are."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    monkeypatch.undo()
    tempfile.tempdir = None


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    """A process with a workspace of its own."""
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def folder_of(process: subprocess.Popen[str]) -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().strip())


def test_it_is_this_users_only_and_gone_when_it_is_closed(base: Path) -> None:
    with Workspace() as workspace:
        assert workspace.path.parent == base.resolve()
        assert workspace.path.stat().st_mode & 0o777 == 0o700
        (workspace.path / "folder").mkdir()
    assert list(base.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_one(
    other: subprocess.Popen[str],
) -> None:
    left = folder_of(other)
    other.kill()
    other.wait()
    assert (left / "blob").exists()
    with Workspace():
        assert not left.exists()


def test_the_folders_of_those_who_live_are_left_alone(other: subprocess.Popen[str]) -> None:
    alive = folder_of(other)
    with Workspace() as mine, Workspace() as another:
        assert (alive / "blob").exists()
        assert mine.path.exists()
        assert another.path.exists()


def test_nothing_else_is_touched(base: Path) -> None:
    (base / "rpw_fixture-file").write_text("no folder")
    (base / "rpw_fixture-link").symlink_to(base)
    (base / "others").mkdir()
    with Workspace():
        pass
    assert {each.name for each in base.iterdir()} == {
        "rpw_fixture-file",
        "rpw_fixture-link",
        "others",
    }


def test_many_that_start_at_once_do_not_remove_each_others(base: Path) -> None:
    script = """
from rpw_fixture.execution.workspace import Workspace
for number in range(200):
    with Workspace() as workspace:
        (workspace.path / "blob").write_bytes(b"content")
        assert (workspace.path / "blob").exists()
"""
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [each.wait() for each in processes] == [0, 0, 0, 0]
    assert list(base.iterdir()) == []


def test_where_folders_can_not_be_locked_all_are_left_alone(
    other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = folder_of(other)
    other.kill()
    other.wait()

    def refuse(_fd: int, _operation: int) -> None:
        raise OSError(errno.EBADF, "as NFS does")

    monkeypatch.setattr("fcntl.flock", refuse)
    with Workspace() as workspace:
        assert workspace.path.exists()
        assert left.exists()


def test_where_none_can_be_made_that_is_told(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(base / "absent"))
    with pytest.raises(EnvironmentLacksError, match="absent"):
        Workspace()
