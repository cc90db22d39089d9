"""The memory limit of the control group: found in both versions, and kept by the CAS."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture.config import Config
from rpw_fixture.storage.budget import Budget
from rpw_fixture.support import workspace
from rpw_fixture.support.memory_limit import is_in_memory, memory_limit
from tests.waiting import until

MIB = 1 << 20
REQUIRED = os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1"

#: Each machine: its /proc/self/cgroup, the files of its hierarchy, and the limit.
MACHINES = {
    "version 2": ("0::/a/b\n", {"cgroup.controllers": "memory", "a/b/memory.max": "1000"}, 1000),
    "version 2, a limit around it": (
        "0::/a/b\n",
        {"cgroup.controllers": "", "a/memory.max": "500", "a/b/memory.max": "max"},
        500,
    ),
    "version 2, the lowest counts": (
        "0::/a\n",
        {"cgroup.controllers": "", "memory.max": "900", "a/memory.max": "1000"},
        900,
    ),
    "version 2, in a container": ("0::/\n", {"cgroup.controllers": "", "memory.max": "700"}, 700),
    "version 2, named as the host sees it": (
        "0::/../../system.slice/x\n",
        {"cgroup.controllers": "", "memory.max": "700"},
        700,
    ),
    "version 1": ("4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "2000"}, 2000),
    "version 1, with other controllers": (
        "4:cpu,memory:/a\n",
        {"memory/memory.limit_in_bytes": "3000"},
        3000,
    ),
    "version 1, none": (
        "4:memory:/a\n",
        {"memory/a/memory.limit_in_bytes": "9223372036854771712"},
        None,
    ),
    "both, version 2 without memory": (
        "4:memory:/a\n0::/a\n",
        {"memory/a/memory.limit_in_bytes": "4000", "unified/a/cgroup.procs": ""},
        4000,
    ),
    "no limit": ("0::/a\n", {"cgroup.controllers": "", "a/memory.max": "max"}, None),
    "nothing there": ("0::/a\n", {}, None),
    "nonsense": ("what\n:::\n0::/a\n", {"cgroup.controllers": "", "a/memory.max": "\xff"}, None),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_limit_is_found(tmp_path: Path, machine: str) -> None:
    group, files, expected = MACHINES[machine]
    for name, content in files.items():
        path = tmp_path / "hierarchy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("latin-1"))
    (tmp_path / "cgroup").write_text(group)

    assert memory_limit(tmp_path / "cgroup", tmp_path / "hierarchy") == expected


def test_there_is_no_limit_where_there_are_no_groups(tmp_path: Path) -> None:
    (tmp_path / "no text").write_bytes(b"0::/\xff\n")
    for name in ("missing", "no text"):
        assert memory_limit(tmp_path / name, tmp_path) is None


def test_files_on_a_ram_disk_are_distinguished_from_others(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/vda / ext4 rw 0 0\ntmpfs /ram tmpfs rw 0 0\n/dev/vdb /ram/disk ext4 rw 0 0\n"
        "tmpfs /a\\040b tmpfs rw 0 0\n"
    )

    assert not is_in_memory(Path("/home/x"), mounts)
    assert is_in_memory(Path("/ram/x"), mounts)
    assert not is_in_memory(Path("/ram/disk/x"), mounts)
    assert is_in_memory(Path("/a b/x"), mounts)
    assert not is_in_memory(Path("/ram"), tmp_path / "missing")


def budget(config: Config, folder: Path, limit: int) -> Budget:
    return Budget.within_limit(
        memory_bytes=config.cas_memory_bytes,
        max_bytes=config.cas_max_bytes,
        folder=folder,
        limit=limit,
    )


def test_the_budget_is_a_part_of_the_limit_and_never_more_than_was_asked_for(
    tmp_path: Path,
) -> None:
    config = Config(cas_memory_bytes=256 * MIB)

    assert budget(config, tmp_path, 400 * MIB).memory_bytes == 100 * MIB
    assert budget(config, tmp_path, 1 << 40).memory_bytes == 256 * MIB
    assert budget(config, tmp_path, 1 << 40).max_bytes == config.cas_max_bytes


def test_results_have_a_part_of_what_blobs_have_and_some_room_in_any_case(tmp_path: Path) -> None:
    for asked, results in ((256 * MIB, 16 * MIB), (1024 * MIB, 25 * MIB // 4), (0, 4 * MIB)):
        limit = 400 * MIB if asked > 256 * MIB else 1 << 40
        assert budget(Config(cas_memory_bytes=asked), tmp_path, limit).results_bytes == results


def test_files_on_a_ram_disk_count_as_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for is_ram, most in ((True, 200 * MIB), (False, Config().cas_max_bytes)):
        monkeypatch.setattr("rpw_fixture.storage.budget.is_in_memory", lambda _, it=is_ram: it)
        assert budget(Config(), tmp_path, 400 * MIB).max_bytes == most


def test_the_ram_disk_is_left_alone_where_memory_is_scarce(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(workspace, "memory_limit", lambda: 512 * MIB)

    assert workspace.base() != "/dev/shm"


#: Joins a group, and puts more blobs into a server than the group's memory holds.
CHILD = """
import os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
from rpw_fixture import Server
from rpw_fixture.wire.digests import SHA256
with Server() as server:
    for _ in range(400):
        data = os.urandom(900 * 1024)
        server.client.upload({SHA256.of(data): data})
print("done")
"""
_LIMIT = 200 * MIB


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of little memory, where one can be made."""
    version_2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    top = Path("/sys/fs/cgroup") if version_2 else Path("/sys/fs/cgroup/memory")
    path = top / f"rpw_fixture-test-{os.getpid()}"
    try:
        path.mkdir()
        name = "memory.max" if version_2 else "memory.limit_in_bytes"
        (path / name).write_text(str(_LIMIT))
    except OSError as error:
        if path.exists():
            path.rmdir()
        if REQUIRED and not version_2 and os.geteuid() == 0:
            pytest.fail(f"root can't make a control group: {error}")
        pytest.skip(f"needs a control group of its own: {error}")
    try:
        yield path
    finally:
        until(lambda: not (path / "cgroup.procs").read_text().split())
        path.rmdir()


def test_a_server_with_little_memory_takes_more_blobs_than_that(
    group: Path, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(group)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )

    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
