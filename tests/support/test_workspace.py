"""The folder of a server: its own while it lives, and removed by the next one when it was killed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.support import removal
from rpw_fixture.support import workspace as workspaces
from rpw_fixture.support.workspace import Workspace
from tests.mounting import immutable, mount, nothing_mounted, require_mounts
from tests.server_process import ServerProcess

HOLD = """
import sys
from rpw_fixture.support.workspace import Workspace
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
    """A separate process with a separate workspace."""
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


def test_what_is_left_where_another_process_had_to_make_it_is_removed_too(
    other: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = folder_of(other)
    other.kill()
    other.wait()
    monkeypatch.setattr(workspaces, "_OTHER_BASES", (str(tmp_path), str(tmp_path / "absent")))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with Workspace() as workspace:
        assert workspace.path.parent == elsewhere.resolve()
        assert not left.exists()


def test_the_usual_temporary_folder_is_looked_at_from_the_ram_disk_too(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = dead_folder(base)
    ram_disk = base / "ram disk"
    ram_disk.mkdir()
    monkeypatch.setattr(workspaces, "base", lambda: str(ram_disk))
    with Workspace() as workspace:
        assert workspace.path.parent == ram_disk.resolve()
        assert not folder.exists()


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
from rpw_fixture.support.workspace import Workspace
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


def test_where_none_can_be_made_that_is_reported(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(base / "absent"))
    with pytest.raises(EnvironmentLacksError, match="absent"):
        Workspace()


def test_a_folder_that_another_server_locked_first_is_left_to_it(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [False, True]
    monkeypatch.setattr(workspaces, "_sweep", lambda _: None)
    monkeypatch.setattr(workspaces, "_lock", lambda *_, **__: answers.pop(0))
    with Workspace() as made:
        (left,) = set(base.iterdir()) - {made.path}
        assert made.path.exists()
    assert list(base.iterdir()) == [left]
    assert not answers


@pytest.mark.parametrize("what", ["scandir", "open"])
def test_what_another_server_removes_meanwhile_is_no_problem(
    what: str, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (base / "rpw_fixture-left").mkdir()
    original = getattr(os, what)
    failures = [FileNotFoundError(), FileNotFoundError()]

    def fail_first(*arguments: object, **more: object) -> object:
        if failures:
            raise failures.pop()
        return original(*arguments, **more)

    monkeypatch.setattr(f"rpw_fixture.support.workspace.os.{what}", fail_first)
    if what == "scandir":
        failures.pop()
    made = Workspace()
    monkeypatch.undo()
    assert made.path.is_dir()
    made.close()


ROOM, MEMORY = workspaces._ENOUGH_ROOM, workspaces._ENOUGH_MEMORY


@pytest.mark.parametrize(
    ("room", "limit", "flags", "is_writable", "is_used"),
    [
        (ROOM, None, 0, True, True),
        (ROOM, MEMORY, 0, True, True),
        (ROOM - 4096, None, 0, True, False),
        (ROOM, MEMORY - 1, 0, True, False),
        (ROOM, None, os.ST_NOEXEC, True, False),
        (ROOM, None, 0, False, False),
    ],
)
def test_the_ram_disk_is_used_with_enough_room_if_programs_may_run_from_it(
    room: int,
    limit: int | None,
    flags: int,
    is_writable: bool,
    is_used: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = SimpleNamespace(f_bavail=room // 4096, f_frsize=4096, f_flag=flags)
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(workspaces, "memory_limit", lambda: limit)
    monkeypatch.setattr(os, "statvfs", lambda _: found)
    monkeypatch.setattr(os, "access", lambda *_: is_writable)
    assert (workspaces.base() == "/dev/shm") is is_used


def test_without_a_ram_disk_the_usual_folder_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(workspaces, "_RAM_DISK", "/absent")
    assert workspaces.base() == tempfile.gettempdir()


# --- what can't be removed ---


def dead_folder(base: Path) -> Path:
    folder = base / "rpw_fixture-1-dead"
    (folder / "work/action-1").mkdir(parents=True)
    (folder / "work/action-1/file").touch()
    return folder


def test_an_undeletable_leftover_keeps_no_server_from_starting_and_is_reported_once(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = dead_folder(base)
    with immutable(folder / "work/action-1/left"):
        for _ in range(3):
            with Workspace() as workspace:
                assert workspace.path.exists()
        assert [each for each in folder.rglob("*") if each.is_file()] == [
            folder / "work/action-1/left"
        ]
    assert str(folder / "work/action-1/left") in caplog.messages[0]
    assert caplog.messages[-1].endswith(f"sudo rm -rf --one-file-system {folder}")
    assert len(caplog.messages) == 2
    with Workspace():
        assert not folder.exists()


def test_a_mount_in_a_dead_servers_folder_is_not_emptied_and_keeps_no_server_from_starting(
    base: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_mounts(base)
    folder = dead_folder(base)
    precious = base / "precious"
    precious.mkdir()
    (precious / "file").write_text("precious")
    with nothing_mounted(base):
        (folder / "work/mnt").mkdir()
        mount("--bind", str(precious), str(folder / "work/mnt"))
        with monkeypatch.context() as patched:
            patched.setattr(removal, "unmount", lambda *_: False)
            with Workspace():
                assert (folder / "work/mnt/file").exists()
        assert str(folder / "work/mnt") in caplog.messages[0]
        assert "sudo umount -l" in caplog.messages[-1]
        with Workspace():
            assert not folder.exists()
    assert (precious / "file").read_text() == "precious"


def test_a_mount_over_a_dead_servers_folder_is_not_emptied(base: Path) -> None:
    require_mounts(base)
    folder = dead_folder(base)
    precious = base / "precious"
    precious.mkdir()
    (precious / "file").write_text("precious")
    with nothing_mounted(base):
        mount("--bind", str(precious), str(folder))
        with Workspace():
            assert not folder.exists()
    assert (precious / "file").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up the rights of root")
def test_a_file_of_root_keeps_another_user_from_nothing() -> None:
    script = """
import ctypes, logging, os, shlex, sys
import rpw_fixture.support.removal  # another user may be unable to read the modules
from rpw_fixture.support.workspace import Workspace
logging.basicConfig(format="%(message)s")
os.environ["TMPDIR"] = sys.argv[1]
os.setuid(65534)
os.makedirs(sys.argv[1] + "/rpw_fixture-1-dead/work")
print("made", flush=True)
sys.stdin.readline()
with Workspace() as workspace:
    print(workspace.path.exists())
"""
    project = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        with subprocess.Popen(
            [sys.executable, "-c", script, folder],
            env={"PYTHONPATH": project, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "made\n"
            left = Path(folder, "rpw_fixture-1-dead/work/of root")
            left.mkdir(0o755)
            (left / "file").touch()
            out, err = process.communicate("go on\n")
        assert out == "True\n", err
        assert str(left / "file") in err
        assert f"sudo rm -rf --one-file-system {left.parents[1]}" in err


def test_a_server_starts_beside_what_a_dead_one_left_and_says_so(base: Path) -> None:
    folder = dead_folder(base)
    with immutable(folder / "work/left"), (base / "stderr").open("w+b") as stderr:
        with ServerProcess(stderr=stderr) as server:
            assert server.stop() == 0
        told = (base / "stderr").read_text()
        assert str(folder / "work/left") in told
        assert "sudo chattr -R -f -i -a" in told
    assert told.count(str(folder / "work/left")) == 1
