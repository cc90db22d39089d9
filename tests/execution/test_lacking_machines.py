"""Machines that lack something, a disk, a port or a spawner: each is named, and no action but one pays."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture.client.action import Action
from rpw_fixture.events.kinds import InternalError
from rpw_fixture.server import Server
from rpw_fixture.support.removal import Leftover
from tests.waiting import until

from .surviving_server import unharmed, worker_action

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of one megabyte, where temporary folders are made."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    if shutil.which("mount") is None:
        pytest.skip("mount is not on PATH (Debian: apt-get install mount)")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def big_inputs(prefix: str, count: int = 6) -> dict[str, bytes]:
    return {f"{prefix}{number}.bin": os.urandom(300_000) for number in range(count)}


def test_inputs_that_do_not_fit_on_the_disk_are_resource_exhausted(small_disk: Path) -> None:
    with unharmed() as server:
        outcome = server.run(
            Action(arguments=["/bin/true"], inputs=big_inputs("once")), check=False
        )
        assert outcome.status == "RESOURCE_EXHAUSTED"
        assert "no space left" in outcome.message.lower()


def test_inputs_of_a_worker_that_do_not_fit_cost_no_worker(small_disk: Path) -> None:
    with unharmed() as server:
        outcome = server.run(worker_action("big", **big_inputs("w")), check=False)
        assert outcome.status == "RESOURCE_EXHAUSTED"
        assert "no space left" in outcome.message.lower()


def test_a_command_that_fills_the_disk_fails_by_itself(small_disk: Path) -> None:
    with unharmed() as server:
        script = "head -c 5000000 /dev/zero > out || exit 7"
        outcome = server.run(
            Action(arguments=["/bin/sh", "-c", script], outputs=["out"], do_not_cache=True),
            check=False,
        )
        assert outcome.exit_code == 7 or outcome.status == "RESOURCE_EXHAUSTED"


def test_outputs_that_do_not_fit_into_the_store_are_resource_exhausted(small_disk: Path) -> None:
    """Everything is spilled to the disk at once, and one copy fits."""
    with unharmed(cas_spill_threshold=100_000) as server:
        script = "head -c 700000 /dev/urandom > out"
        outcome = server.run(
            Action(arguments=["/bin/sh", "-c", script], outputs=["out"], do_not_cache=True),
            check=False,
        )
        assert outcome.status == "RESOURCE_EXHAUSTED"
        assert "no space left" in outcome.message.lower()


def test_a_disk_that_is_full_of_events_stops_no_action(small_disk: Path) -> None:
    filler = small_disk / "filler"
    with unharmed(events=str(small_disk / "events.jsonl")) as server:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 14))
        assert server.run(Action(arguments=["/bin/true"]), check=False).status in {
            "OK",
            "RESOURCE_EXHAUSTED",
        }
        filler.unlink()


def test_a_folder_that_can_not_be_made_is_exit_code_3(small_disk: Path) -> None:
    for number in range(2000):  # until there is no room for another name
        try:
            (small_disk / f"{number}").write_bytes(bytes(4096))
        except OSError:
            break
    served = serve("--root", str(small_disk / "root"), "--listen", "127.0.0.1:0")
    assert served.returncode == 3
    assert "Traceback" not in served.stderr
    assert served.stderr.count("\n") == 1


def serve(*flags: str) -> subprocess.CompletedProcess[str]:
    """A server that can't start."""
    return subprocess.run(
        [sys.executable, "-m", "rpw_fixture", "serve", *flags],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )


def test_a_port_in_use_is_exit_code_3_and_names_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        served = serve("--listen", address)
    assert served.returncode == 3
    assert address in served.stderr
    assert "Traceback" not in served.stderr
    assert served.stdout == ""


def test_a_second_server_on_the_same_port_is_refused_and_the_first_serves_on() -> None:
    with unharmed() as server:
        served = serve("--listen", server.address)
        assert served.returncode == 3
        assert server.address in served.stderr


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--listen", "nonsense"], "nonsense"),
        (["--listen", "127.0.0.1:99999"], "99999"),
        (["--listen", "0.0.0.0:0"], "--allow-remote"),
        (["--jobs", "many"], "many"),
        (["--digest-function", "ROT13"], "ROT13"),
        (["--no-such-flag"], "--no-such-flag"),
        (["--tls-cert", "/no/cert"], "--tls-key"),
        (["--auth-token-file", "/no/token"], "/no/token"),
        (["--personality", "nobody"], "nobody"),
    ],
)
def test_wrong_settings_are_exit_code_2_and_name_the_setting(flags: list[str], word: str) -> None:
    served = serve(*flags)
    assert served.returncode == 2
    assert word in served.stderr
    assert "Traceback" not in served.stderr


@pytest.mark.parametrize("flag", ["--events", "--port-file", "--root"])
def test_a_file_that_can_not_be_written_is_exit_code_3_and_named(tmp_path: Path, flag: str) -> None:
    (tmp_path / "file").touch()
    path = str(tmp_path / "file" / "below")
    served = serve(flag, path, "--listen", "127.0.0.1:0")
    assert served.returncode == 3
    assert path in served.stderr
    assert "Traceback" not in served.stderr


def test_a_spawner_that_is_killed_is_replaced_and_the_action_fails_by_name(tmp_path: Path) -> None:
    with Server() as server:
        server.run(worker_action("before"))
        script = f"echo $PPID > {tmp_path}/spawner; exec sleep 60"
        outcomes = []
        thread = threading.Thread(
            target=lambda: outcomes.append(
                server.run(Action(arguments=["/bin/sh", "-c", script]), check=False)
            )
        )
        thread.start()
        while not (tmp_path / "spawner").exists() or not (tmp_path / "spawner").read_text():
            assert thread.is_alive()
            time.sleep(0.01)
        # Once this one was answered, so was the start of the other; before, it would be tried again.
        server.run(Action(arguments=["/bin/true"]))
        os.kill(int((tmp_path / "spawner").read_text()), signal.SIGKILL)
        thread.join(20)
        assert outcomes[0].status == "UNAVAILABLE"
        assert server.run(Action(arguments=["/bin/true"])).exit_code == 0
        assert server.run(worker_action("after")).exit_code == 0
        assert server.events.of(InternalError) == []


def test_a_folder_that_can_not_be_removed_is_reported_and_stops_no_action(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_fd: int, name: str) -> list[Leftover]:
        if name.endswith(".private"):
            return []
        raise OSError(errno.EIO, "broken disk", name)

    with Server(jobs=1) as server:
        with monkeypatch.context() as patched:
            patched.setattr("rpw_fixture.support.removal.remove_at", refuse)
            assert server.run(Action(arguments=["/bin/echo", "1"])).stdout == b"1\n"
            # What can't be removed, and then how to remove it; another thread says so.
            until(lambda: len(caplog.messages) >= 2)
        assert "broken disk" in caplog.messages[0]
        assert "sudo rm -rf --one-file-system" in caplog.messages[1]
        assert server.events.of(InternalError) == []
        assert server.run(Action(arguments=["/bin/echo", "2"])).stdout == b"2\n"
