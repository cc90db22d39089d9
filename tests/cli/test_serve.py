"""``serve`` as scripts use it: its port file."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.server_process import OURS, ServerProcess


def test_the_port_file_is_all_that_is_written_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "port"
    target.write_text("of an older server\n")
    with ServerProcess("--port-file", str(target)) as server:
        assert target.read_text() == f"{server.ready['endpoint'].rpartition(':')[2]}\n"
        assert target.stat().st_mode & 0o777 == 0o644

    assert list(tmp_path.iterdir()) == [target]


def test_a_port_file_that_can_not_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    ended = subprocess.run(
        [*OURS, "--port-file", str(target)], capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 3
    assert ended.stderr == f"rpw-fixture serve: --port-file {target}: Is a directory\n"
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == [target]
