"""What a server makes belongs to its user alone, whatever the umask, and no other server takes it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rpw_fixture import Action, Client, EnvironmentLacksError, Server
from rpw_fixture.support.private_files import make_private_folder
from rpw_fixture.wire.digests import SHA256
from tests.benchmarks.trivial_worker import __file__ as worker
from tests.server_process import ServerProcess

HELLO = Action(arguments=["/bin/sh", "-c", "echo hello"])


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def worker_action() -> Action:
    return Action(
        arguments=["python3", "-S", "-E", "tools/worker.py"],
        flagfile=("in.txt", "out.txt"),
        inputs={"in.txt": "in\n"},
        tool_inputs={"tools/worker.py": Path(worker)},
        outputs=["out.txt"],
        worker_key="key",
    )


def test_no_other_user_reads_what_is_kept(tmp_path: Path, umask: int) -> None:
    root, record, events = tmp_path / "a" / "root", tmp_path / "record", tmp_path / "events.jsonl"
    with Server(root=str(root), record=str(record), events=str(events)) as server:
        assert server.client.run(worker_action()).exit_code == 0
        server.client.upload({SHA256.of(bytes(2 << 20)): bytes(2 << 20)})
    assert list(record.glob("blobs/*"))
    for top in (root.parent, record):
        for path in (top, *top.rglob("*")):
            wanted = 0o700 if path.is_dir() else 0o600
            allowed = {wanted, wanted & ~umask} if path.is_file() else {wanted}
            assert mode(path) in allowed, f"{path} has {mode(path):o}"
    assert mode(events) == 0o600


def test_what_was_there_keeps_its_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    events = tmp_path / "events"
    events.touch()
    events.chmod(0o644)
    with Server(root=str(tmp_path), events=str(events)):
        pass
    assert (mode(tmp_path), mode(events)) == (0o755, 0o644)
    assert mode(tmp_path / "cas") == 0o700


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_private_folder(tmp_path / "file")
    with pytest.raises(EnvironmentLacksError, match="file"):
        Server(root=str(tmp_path / "file")).start()


def test_a_socket_is_for_its_user_alone(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "socket"
    with Server(listen=f"unix:{path}") as server:
        assert mode(path) == 0o600
        assert server.run(HELLO).stdout == b"hello\n"
    assert os.umask(umask) == umask


def test_a_live_socket_is_not_taken(tmp_path: Path) -> None:
    listen = f"unix:{tmp_path / 'socket'}"
    with Server(listen=listen) as first:
        with pytest.raises(EnvironmentLacksError, match="another server listens there"):
            Server(listen=listen).start()
        with Client(first.endpoint) as client:
            assert client.run(HELLO).stdout == b"hello\n"
    with Server(listen=listen) as again:
        assert again.run(HELLO).stdout == b"hello\n"


def test_of_servers_that_start_at_once_one_gets_the_socket(tmp_path: Path) -> None:
    listen = f"unix:{tmp_path / 'socket'}"
    servers = [Server(listen=listen) for _ in range(6)]

    def start(server: Server) -> bool:
        try:
            server.start()
        except EnvironmentLacksError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        started = list(pool.map(start, servers))
    assert started.count(True) == 1
    winner = servers[started.index(True)]
    assert winner.run(HELLO).stdout == b"hello\n"
    winner.stop()


def test_the_socket_of_a_dead_server_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with ServerProcess("--listen", f"unix:{path}") as dead:
        dead.kill()
        assert path.is_socket()
        with Server(listen=f"unix:{path}") as server:
            assert server.run(HELLO).stdout == b"hello\n"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "taken"
    make: dict[str, Callable[[], object]] = {
        "file": path.touch,
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(tmp_path / "nowhere"),
    }
    make[kind]()
    with pytest.raises(EnvironmentLacksError, match="the path exists and is not a socket"):
        Server(listen=f"unix:{path}").start()
    assert path.lstat()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLacksError, match="No such file or directory"):
        Server(listen=f"unix:{tmp_path / 'absent' / 'socket'}").start()


def test_a_second_process_on_a_socket_exits_with_3(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        command = ["-m", "rpw_fixture", "serve", "--listen", f"unix:{path}"]
        done = subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    assert "another server listens there" in done.stderr
    assert path.is_socket()
