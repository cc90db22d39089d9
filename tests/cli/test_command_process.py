"""The command that ``run`` runs: which program that is, its exit code, and the signals that it gets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.cli import command_process as module
from rpw_fixture.cli.command_process import CommandSignals, find_program
from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.processes.spawner import StartError


def test_a_program_is_found_as_a_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool, data = tmp_path / "tool", tmp_path / "data"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    data.touch(0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert find_program(["tool", "argument"]) == str(tool)
    assert find_program(["./tool"]) == "./tool"
    for name, problem in (
        ("./data", r"^\./data: not an executable file$"),
        ("./absent", r"^\./absent: no such file$"),
        ("absent", "^absent: not on PATH$"),
    ):
        with pytest.raises(EnvironmentLacksError, match=problem):
            find_program([name])
    with pytest.raises(ConfigError, match="no COMMAND; write it behind --"):
        find_program([])


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
)
def test_an_exit_code_is_that_of_a_shell(script: str, code: int) -> None:
    with CommandSignals() as signals:
        assert signals.run("/bin/sh", ["sh", "-c", script], os.environ) == code
        assert signals._process is None


def test_a_program_that_can_not_be_started_is_named(tmp_path: Path) -> None:
    with CommandSignals() as signals:
        with pytest.raises(EnvironmentLacksError, match=rf"^{tmp_path}: Permission denied$"):
            signals.run(str(tmp_path), ["folder"], os.environ)
        assert signals._process is None


def test_without_a_spawner_the_command_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StartError(12, "no memory", stage="spawner")

    monkeypatch.setattr(module.Spawner, "start", fail)
    monkeypatch.setattr(module.Spawner, "guard", fail)
    with CommandSignals() as signals:
        assert signals.run("/bin/sh", ["sh", "-c", "exit 3"], os.environ) == 3


def test_the_command_is_guarded_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded: list[int | None] = []
    monkeypatch.setattr(module.Spawner, "guard", lambda _, pid: guarded.append(pid))
    with CommandSignals() as signals:
        signals.run("/bin/sh", ["sh", "-c", "exit 0"], os.environ)
    assert guarded == [guarded[0], None]
    assert guarded[0]


TERMINAL = {signal.SIGINT, signal.SIGQUIT}


@pytest.mark.parametrize("in_foreground", [False, True])
@pytest.mark.parametrize("number", CommandSignals.signals)
def test_signals_are_passed_on_once(
    number: signal.Signals, in_foreground: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_is_in_foreground", lambda: in_foreground)
    passed: list[int] = []
    signals: Any = CommandSignals.__new__(CommandSignals)
    signals._lock = threading.Lock()
    signals._process = SimpleNamespace(send_signal=passed.append)
    signals.stop(number)
    signals.end(number)
    # The terminal itself has sent it to the whole foreground.
    assert passed == ([] if in_foreground and number in TERMINAL else [number, number])


def test_a_signal_without_a_command_ends_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    class EndedError(Exception):
        pass

    def end(code: int) -> None:
        raise EndedError(code)

    monkeypatch.setattr(module.os, "_exit", end)
    signals: Any = CommandSignals.__new__(CommandSignals)
    signals._lock = threading.Lock()
    signals._process = None
    with pytest.raises(EndedError, match=f"^{128 + signal.SIGHUP}$"):
        signals.stop(signal.SIGHUP)


@pytest.mark.parametrize(
    ("group", "expected"), [(os.getpgrp(), True), (os.getpgrp() + 1, False), (None, False)]
)
def test_a_process_is_in_the_foreground_of_its_terminal_or_not(
    group: int | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []

    def ask(_fd: int) -> int:
        if group is None:
            raise OSError("not a terminal")
        return group

    fake = SimpleNamespace(
        open=lambda *_: 99, tcgetpgrp=ask, getpgrp=os.getpgrp, close=closed.append,
        O_RDONLY=os.O_RDONLY, O_NOCTTY=os.O_NOCTTY,
    )  # fmt: skip
    monkeypatch.setattr(module, "os", fake)
    assert module._is_in_foreground() is expected
    assert closed == [99]


def test_without_a_terminal_nothing_is_in_its_foreground() -> None:
    script = (
        "from rpw_fixture.cli.command_process import _is_in_foreground as ask\n"
        "import sys; sys.exit(ask())"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, start_new_session=True)
    assert done.returncode == 0
