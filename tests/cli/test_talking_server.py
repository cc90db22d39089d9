"""What ``serve`` writes while it runs: on a terminal, and elsewhere."""

from __future__ import annotations

import io
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture import Action
from rpw_fixture.cli.live_report import LiveReport, action_line
from rpw_fixture.client import Client
from rpw_fixture.events.kinds import ActionCompleted
from tests.cli.terminal import COLUMNS, Terminal
from tests.server_process import ServerProcess
from tests.testing.event_script import EventScript
from tests.workers.worker_actions import compile_action

NO_KEY = "runs one-shot: persistentWorkerKey is not set"
NO_TOOLS = "runs one-shot: no tool input"
FLAGS = "--spawn_strategy=remote --remote_local_fallback=false"


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as terminal:
        yield terminal


def plain(number: int, **others: object) -> Action:
    return Action(arguments=["/bin/true"], salt=b"%d" % number, mnemonic="Plain", **others)  # type: ignore[arg-type]


def use(endpoint: str) -> None:
    """Run two actions on a worker, two ordinary ones, two that get no worker, and one that fails."""
    with Client(endpoint) as client:
        for name in "ab":
            client.run(compile_action(name, mnemonic="Upper", target=f"//pkg:{name}"))
        for number in range(2):
            client.run(plain(number))
            client.run(plain(number, worker_key="k", target="//asks:in_vain"))
        client.run(Action(arguments=["/bin/sh", "-c", "exit 3"], target="//fails:here"))


def test_on_a_terminal_flags_actions_notes_and_the_summary_are_written(terminal: Terminal) -> None:
    with (
        open(terminal.program_side, "wb", closefd=False) as stderr,
        ServerProcess(stderr=stderr) as server,
    ):
        terminal.wait_for(f"--remote_executor={server.endpoint} {FLAGS}")
        use(server.endpoint)
        terminal.wait_for("//fails:here ")
        assert server.stop() == 0
        terminal.wait_for("One-shot:")
        terminal.wait_for("Failed:")
    live, _, summary = terminal.text.partition("\n\n")

    assert "//pkg:a                                   worker 1, started" in live
    assert "//pkg:b                                   worker 1, reused" in live
    assert "one-shot, exit code 3" in live
    assert live.count(f"note: Plain {NO_KEY}") == 1
    assert live.count(f"warning: Plain //asks:in_vain {NO_TOOLS}") == 1
    assert live.count("Fix: mark the files of the tool") == 1
    assert summary.startswith("7 actions: 2 on workers (1 reused, 50%), 5 one-shot\n")
    assert "worker 1, for Upper //pkg:a: the first worker" in summary
    assert max(map(len, terminal.text.splitlines())) <= COLUMNS


def test_elsewhere_only_warnings_are_written(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as stderr, ServerProcess(stderr=stderr) as server:
        use(server.endpoint)
        server.stop()
    lines = log.read_text().splitlines()
    assert lines[0].startswith(f"warning: Plain //asks:in_vain {NO_TOOLS}")
    assert "Fix:" in lines[2] or "Fix:" in lines[1]
    assert "note:" not in log.read_text()
    assert "actions:" not in log.read_text()


def test_ordinary_actions_on_workers_and_one_shot_are_silent_elsewhere(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as stderr, ServerProcess(stderr=stderr) as server:
        with Client(server.endpoint) as client:
            client.run(compile_action("a"))
            client.run(plain(1))
        server.stop()
    assert log.read_bytes() == b""


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_the_summary_can_be_asked_for(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    if how == "variable":
        monkeypatch.setenv("RPW_FIXTURE_SUMMARY", "1")
    flags = ["--summary"] if how == "flag" else []
    with log.open("wb") as stderr, ServerProcess(*flags, stderr=stderr) as server:
        use(server.endpoint)
        server.stop()
    assert "7 actions: 2 on workers (1 reused, 50%), 5 one-shot" in log.read_text()


def test_the_summary_can_be_left_out_on_a_terminal(terminal: Terminal) -> None:
    with (
        open(terminal.program_side, "wb", closefd=False) as stderr,
        ServerProcess("--no-summary", stderr=stderr) as server,
    ):
        use(server.endpoint)
        terminal.wait_for("//fails:here ")
        server.stop()
    assert "actions:" not in terminal.text


def test_ctrl_c_ends_with_the_summary(terminal: Terminal) -> None:
    with (
        open(terminal.program_side, "wb", closefd=False) as stderr,
        ServerProcess(stderr=stderr) as server,
    ):
        with Client(server.endpoint) as client:
            client.run(plain(1))
        server.signal(signal.SIGINT)
        assert server.wait(60.0) == 0
        terminal.wait_for("1 action: 0 on workers, 1 one-shot")


def test_a_reader_that_goes_away_does_not_stop_the_server() -> None:
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
        reader.wait()
        with ServerProcess("--summary", stderr=reader.stdin) as server:
            use(server.endpoint)
            with Client(server.endpoint) as client:
                assert client.run(plain(9)).ok
            assert server.stop() == 0


def test_a_token_is_not_shown(terminal: Terminal, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("very-secret")
    token.chmod(0o600)
    with (
        open(terminal.program_side, "wb", closefd=False) as stderr,
        ServerProcess("--auth-token-file", str(token), stderr=stderr) as server,
    ):
        terminal.wait_for(f"Bearer <{token}>")
        server.stop()
    assert "very-secret" not in terminal.text


def test_a_line_is_as_wide_as_its_columns_whatever_the_names() -> None:
    def line(**values: object) -> str:
        given = {
            "action": "abcdef0123456789/5",
            "operation": "o",
            "mode": "worker",
            "worker": None,
            "reused": False,
            "exit_code": 0,
            "cached": False,
            "seconds": 12.3456,
            "outputs": (),
        }
        return action_line(ActionCompleted(**{**given, **values}))  # type: ignore[arg-type]

    long = line(mnemonic="M" * 50, target="//" + "very/long/" * 20 + ":end")
    assert len(long) <= COLUMNS
    assert ":end  " in long
    assert "abcdef012345 " in line()
    assert "cache" in line(cached=True, mode="cache")
    assert "no worker, DEADLINE_EXCEEDED" in line(status="DEADLINE_EXCEEDED", exit_code=None)
    assert line().endswith(" 12.346 s")


def test_names_of_clients_do_not_reach_the_terminal_as_commands() -> None:
    script = EventScript()
    script.completed(script.routed(mode="one-shot", mnemonic="M\x07", target="//a:\x1b[2J\nb\x9b"))
    stream = io.StringIO()
    LiveReport(script.endpoint.events, stream, shows_actions=True).close()

    lines = stream.getvalue().splitlines()
    assert any("//a:�[2J b�" in line for line in lines)
    assert all(line.isprintable() for line in lines)
