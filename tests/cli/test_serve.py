"""``serve`` as scripts use it: its port file, and addresses that it can't have."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    "arguments",
    ["serve --listen {}", "serve --web {}", "run --listen {} -- true", "run --web {} -- true"],
)
def test_an_address_in_use_is_one_line_of_ours(arguments: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [*OURS[:3], *arguments.format(address).split()],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 3
    (line,) = ended.stderr.splitlines()
    assert line.startswith("rpw-fixture ")
    assert address in line
    assert "in use" in line


def test_an_address_of_another_machine_is_one_line_of_ours(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    listen = ["--listen", "192.0.2.1:8980", "--allow-remote", "--auth-token-file", str(token)]
    ended = subprocess.run(
        [*OURS, *listen], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 3
    reason = "it is not an address of this machine"
    assert ended.stderr == f"rpw-fixture serve: can't listen on 192.0.2.1:8980: {reason}\n"
