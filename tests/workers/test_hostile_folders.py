"""Actions and workers that turn their folders against the server, and what becomes of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rpw_fixture import Client
from rpw_fixture.client import ActionOutcome
from rpw_fixture.client.action import Action
from rpw_fixture.errors import RpwError
from rpw_fixture.events.kinds import InternalError, ProtocolViolation, WorkerRetired, WorkerStarted
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.server import Server
from rpw_fixture.support import removal
from tests.mounting import mount_points, nothing_mounted, require_mounts
from tests.server_process import ServerProcess
from tests.waiting import until

from .worker_actions import MULTIPLEX, MUX, SANDBOX, Running, action

PATH = {"PATH": os.environ["PATH"]}
PRECIOUS = {"deep/file": b"precious", "file": b"precious"}


@pytest.fixture
def precious(tmp_path: Path) -> Iterator[Path]:
    """A folder that no action may harm."""
    folder = tmp_path / "precious"
    (folder / "deep").mkdir(parents=True)
    for name, content in PRECIOUS.items():
        (folder / name).write_bytes(content)
    yield folder
    assert content_of(folder) == PRECIOUS


def content_of(folder: Path) -> dict[str, bytes]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where servers have their folders."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    monkeypatch.undo()
    tempfile.tempdir = None


@pytest.fixture
def mounts(scratch: Path) -> Iterator[Path]:
    """The same, and nothing is left mounted there."""
    require_mounts(scratch)
    with nothing_mounted(scratch):
        yield scratch


@pytest.fixture
def server(scratch: Path) -> Iterator[Server]:
    with Server(jobs=1) as made:
        yield made


def once(script: str, **others: object) -> Action:
    return Action(arguments=["/bin/sh", "-ec", script], environment=PATH, **others)


def obeying(*lines: str, **others: object) -> Action:
    return action("obeys.py", *lines, **others)


def no_bug(server: Server) -> None:
    assert server.events.of(InternalError) == []


# --- mounts ---

MOUNTING = {
    "in the input root": "mkdir mnt; mount --bind {precious} mnt",
    "over the input root": 'mount --bind {precious} "$PWD"',
    "over an input": "mount --bind {precious}/file in.txt",
    "over a folder of inputs": "mount --bind {precious} src",
    "over the folder of outputs": "mount --bind {precious} out",
    "far down": "mkdir -p a/b/c/d; mount --bind {precious} a/b/c/d; mount --bind {precious} a/b/c",
    "private": "mount -t tmpfs none src; mkdir src/x; mount --bind {precious} src/x",
}
INPUTS = {"in.txt": "input", "src/in.txt": "input"}


def assert_ended(kind: str, outcome: ActionOutcome) -> None:
    """An action has succeeded, unless its mount hides where its outputs would be."""
    assert outcome.exit_code == 0
    if kind in {"over the input root", "over the folder of outputs"}:
        assert outcome.status == "FAILED_PRECONDITION"
        assert "that the action mounted in the input root" in outcome.message
    else:
        assert outcome.status == "OK"


@pytest.mark.parametrize("kind", MOUNTING)
def test_what_an_action_mounts_is_unmounted_and_not_emptied(
    kind: str, precious: Path, mounts: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    script = MOUNTING[kind].format(precious=precious)
    assert_ended(kind, server.run(once(script, inputs=INPUTS, outputs=["out/x"]), check=False))
    assert server.run(once("test -f in.txt", inputs=INPUTS)).ok
    until(lambda: mount_points(mounts) == [])
    assert "/action-1" in caplog.text
    no_bug(server)


@pytest.mark.parametrize("kind", MOUNTING)
def test_a_mount_that_can_not_be_undone_is_left_alone_and_reported(
    kind: str,
    precious: Path,
    mounts: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(removal, "unmount", lambda *_: False)
    script = MOUNTING[kind].format(precious=precious)
    with Server(jobs=1) as server:
        assert_ended(kind, server.run(once(script, inputs=INPUTS, outputs=["out/x"]), check=False))
        assert server.run(once("test -f in.txt", inputs=INPUTS)).ok
        (point, *_) = mount_points(mounts)
        until(lambda: "sudo umount -l" in caplog.text)
        no_bug(server)
    assert content_of(precious) == PRECIOUS
    assert str(Path(point).parent) in caplog.text
    with Server(jobs=1) as later:
        assert later.run(once("true")).ok


def test_a_server_whose_actions_left_mounts_stops_with_0(
    precious: Path, mounts: Path, tmp_path: Path
) -> None:
    with (tmp_path / "stderr").open("wb") as stderr, ServerProcess(stderr=stderr) as server:
        with Client(server.endpoint) as client:
            for script in MOUNTING.values():
                made = once(script.format(precious=precious), inputs=INPUTS, outputs=["out/x"])
                assert client.run(made, check=False).exit_code == 0
        assert server.stop() == 0
    assert mount_points(mounts) == []
    assert list(mounts.glob(f"rpw_fixture-{server.pid}-*")) == []
    text = (tmp_path / "stderr").read_text()
    assert text.count("it is unmounted") >= len(MOUNTING)


def test_the_folder_of_a_killed_server_is_removed_without_what_is_mounted_there(
    precious: Path, mounts: Path, tmp_path: Path
) -> None:
    script = MOUNTING["in the input root"].format(precious=precious)
    endless = once(f"{script}; touch {tmp_path}/up; sleep 60")
    with ServerProcess() as server, Client(server.endpoint) as client:

        def run() -> None:
            with contextlib.suppress(RpwError):
                client.run(endless)

        thread = threading.Thread(target=run)
        thread.start()
        until((tmp_path / "up").exists)
        os.kill(server.pid, signal.SIGKILL)
        thread.join()
        until(lambda: not list(mounts.glob(f"rpw_fixture-{server.pid}-*")))
    assert mount_points(mounts) == []


@pytest.mark.parametrize("kind", MOUNTING)
def test_what_a_worker_mounts_is_gone_at_its_next_request(
    kind: str, precious: Path, mounts: Path, server: Server
) -> None:
    script = MOUNTING[kind].format(precious=precious)
    line = f"import subprocess; subprocess.run(['sh', '-ec', {script!r}], check=True)"
    given = {"inputs": INPUTS, "outputs": ["out/x"], "environment": PATH}
    assert_ended(kind, server.run(obeying(line, **given), check=False))
    check = "assert open('in.txt').read() == open('src/in.txt').read() == 'input'"
    lines = [check, "import os; assert not os.path.exists('mnt'); open('out/x', 'w').close()"]
    assert server.run(obeying(*lines, **given)).outputs == {"out/x": b""}
    no_bug(server)


def test_a_worker_that_left_what_stays_is_replaced_before_the_next_request(
    precious: Path, mounts: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "import subprocess; subprocess.run(['sh', '-ec', {!r}], check=True)"
    script = MOUNTING["in the input root"].format(precious=precious)
    with monkeypatch.context() as patched:
        patched.setattr(removal, "unmount", lambda *_: False)
        first = server.run(obeying(line.format(script), environment=PATH))
        second = server.run(obeying("pass", "pass", environment=PATH))
        assert first.ok
        assert second.ok
        assert second.worker != first.worker
        until(lambda: server.events.of(WorkerRetired))
    assert "left what can't be removed" in server.events.of(WorkerRetired)[0].reason
    for each in mount_points(mounts):
        subprocess.run(["umount", "-l", each], check=True)
    no_bug(server)


# --- links ---


@pytest.mark.parametrize("victim", ["__sandbox", "__sandbox/1"])
@pytest.mark.parametrize("isolation", ["none", "landlock", "namespaces"])
def test_a_sandbox_that_was_replaced_by_a_link_is_not_followed(
    victim: str, isolation: str, make_rpw_server: MakeServer, precious: Path
) -> None:
    server = make_rpw_server(jobs=1, isolation=isolation)
    given = {"platform": SANDBOX, **MUX, "inputs": {"src/in.txt": "input"}, "outputs": ["out/x"]}
    replace = (
        f"import os; os.rename({victim!r}, 'moved'); os.symlink({str(precious)!r}, {victim!r})"
    )
    first = server.run(obeying(replace, **given), check=False)
    second = server.run(obeying("open(request.resolve('out/x'), 'w').close()", **given))
    assert first.outputs == {}
    assert second.outputs == {"out/x": b""}
    no_bug(server)
    assert [each.rule for each in server.events.of(ProtocolViolation)] == ["working directory gone"]


def test_a_link_in_the_place_of_a_sandbox_to_come_is_not_followed(
    make_rpw_server: MakeServer, precious: Path, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=4, max_multiplex=4)
    given = {"platform": SANDBOX, **MUX, "inputs": {"src/in.txt": "input"}}
    gate, up = tmp_path / "gate", tmp_path / "up"
    lines = (
        f"import os, time; os.symlink({str(precious)!r}, '__sandbox/2'); open({str(up)!r}, 'w')",
        f"while not os.path.exists({str(gate)!r}): time.sleep(0.002)",
    )
    first = Running(server, obeying(*lines, **given))
    until(up.exists)
    second = server.run(obeying("pass", **given), check=False)
    gate.touch()
    assert second.ok
    assert second.worker == 2
    first.result()
    no_bug(server)


@pytest.mark.parametrize("platform", [{}, MULTIPLEX], ids=["singleplex", "shared"])
@pytest.mark.parametrize("victim", [".", "..", "src", "out"])
def test_a_folder_of_a_worker_that_became_a_link_is_not_followed(
    victim: str, platform: Mapping[str, str], make_rpw_server: MakeServer, precious: Path
) -> None:
    server = make_rpw_server(jobs=1)
    startup = MUX if platform else {}
    given = {"platform": platform, "inputs": INPUTS, "outputs": ["out/x"], **startup}
    line = (
        f"import os; place = os.path.realpath({victim!r}); os.rename(place, place + '-moved'); "
        f"os.symlink({str(precious)!r}, place)"
    )
    first: ActionOutcome = server.run(obeying(line, **given), check=False)
    second = server.run(
        obeying("import os; os.makedirs('out', exist_ok=True); open('out/x', 'w')", **given)
    )
    assert second.outputs == {"out/x": b""}
    assert b"precious" not in b"".join(first.outputs.values())
    no_bug(server)
    assert len(server.events.of(WorkerStarted)) == (1 if victim in {"src", "out"} else 2)


def test_what_an_action_puts_in_the_place_of_folders_to_come_is_removed(
    make_rpw_server: MakeServer, precious: Path
) -> None:
    server = make_rpw_server(jobs=1)
    script = f"""
        mkdir -p ../action-2/out; touch ../action-2/in.txt
        ln -s {precious} ../action-3
        touch ../action-4
        ln -s {precious} ../worker-1
        mkdir -p ../worker-2/root/src
        """
    assert server.run(once(script)).ok
    for number in range(4):
        checking = once(
            f"test -f in.txt; test ! -e file; : {number}", inputs=INPUTS, outputs=["o/x"]
        )
        assert server.run(checking).ok
    for number in range(2):
        given = {"inputs": INPUTS, "worker_key": str(number)}
        assert server.run(obeying("import os; assert not os.path.exists('file')", **given)).ok
    no_bug(server)


# --- outputs ---


def test_a_worker_that_tidies_its_outputs_after_answering_is_at_fault(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server(jobs=1)
    fill = (
        "import os; os.makedirs('out/d', exist_ok=True); "
        "[open(f'out/d/{each:05}', 'w').close() for each in range(5000)]"
    )
    tidy = (
        "import threading; threading.Thread(target=lambda: "
        "[os.unlink(f'out/d/{each:05}') for each in range(4999, 0, -1)], daemon=True).start()"
    )
    statuses = []
    for number in range(20):
        outcome = server.run(
            obeying(fill, tidy, f"number = {number}", outputs=["out/d"]), check=False
        )
        statuses.append(outcome.status)
        if outcome.status != "OK":
            assert "outputs changed after the response" in outcome.message
            assert "out/d/" in outcome.message
            break
    no_bug(server)
    assert statuses[-1] == "FAILED_PRECONDITION"
    assert server.run(obeying("pass", "pass")).ok
    (violation,) = server.events.of(ProtocolViolation)
    assert violation.rule == "outputs changed after the response"


def test_an_output_folder_that_is_swapped_for_a_link_gives_no_host_files(
    make_rpw_server: MakeServer, precious: Path
) -> None:
    server = make_rpw_server(jobs=1)
    swap = (
        "import os, threading, ctypes; os.makedirs('out/d/deep', exist_ok=True); "
        "[open(f'out/d/{each}', 'w').close() for each in ('file', 'deep/file')]; "
        f"os.path.islink('out/l') or os.symlink({str(precious)!r}, 'out/l'); "
        "libc = ctypes.CDLL(None); "
        "turn = lambda: [libc.renameat2(-100, b'out/d', -100, b'out/l', 2) for _ in range(3000)]; "
        "threading.Thread(target=turn, daemon=True).start()"
    )
    for number in range(60):
        outcome = server.run(
            obeying(swap, f"number = {number}", outputs=["out/d", "out/d/file"]), check=False
        )
        assert b"precious" not in b"".join(outcome.outputs.values())
        assert outcome.status in {"OK", "FAILED_PRECONDITION"}, outcome.message
    no_bug(server)
