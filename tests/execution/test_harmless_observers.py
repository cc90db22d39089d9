"""Observers fail no action: recordings, events files, counters."""

from __future__ import annotations

import json
import logging
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.client.action import Action
from rpw_fixture.events.kinds import ActionRouted, InternalError
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution.recorder import Recorder
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.services.interceptors.counters import Counters
from rpw_fixture.support.harmless import harmless
from rpw_fixture.workers import personalities

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers" / "python"


def below(folder: str, **others: Any) -> Action:
    """An action that works in ``folder``, with a flagfile that is named from the input root."""
    tools = {f"{folder}/tools/{each}": SAMPLES / each for each in ("good.py", "rpw_worker.py")}
    given: dict[str, Any] = {
        "arguments": [sys.executable, "tools/good.py", f"@{folder}/flags"],
        "working_directory": folder,
        "inputs": {f"{folder}/in.txt": "text", f"{folder}/flags": "--in\nin.txt\n--out\nout.txt\n"},
        "tool_inputs": tools,
        "outputs": ["out.txt"],
        "worker_key": "key",
        "platform": {"supports-workers": "1"},
        **others,
    }
    return Action(**given)


@pytest.mark.parametrize("name", personalities.names())
def test_recording_changes_no_action_of_any_personality(
    make_rpw_server: MakeServer, tmp_path: Path, name: str
) -> None:
    plain = make_rpw_server(personality=name)
    recording = make_rpw_server(personality=name, record=str(tmp_path))
    for action in (
        below("sub"),
        below("sub", arguments=[sys.executable, "tools/good.py", "@flags"]),
    ):
        told = [server.run(action, check=False) for server in (plain, recording)]

        assert told[0].status == told[1].status, told[1].message
        assert told[0].exit_code == told[1].exit_code
        assert not recording.events.of(InternalError)


def test_a_flagfile_is_recorded_by_the_servers_own_rule(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    outcome = make_rpw_server(personality="buildbuddy", record=str(tmp_path)).run(below("sub"))

    assert outcome.outputs["out.txt"].startswith(b"TEXT")
    (line,) = (tmp_path / "actions.jsonl").read_text().splitlines()
    assert json.loads(line)["arguments"] == ["--in", "in.txt", "--out", "out.txt"]
    assert json.loads(line)["flagfiles"] == ["sub/flags"]


@pytest.mark.parametrize("error", [OSError("no room"), ValueError("a bug")])
def test_a_recorder_that_raises_fails_no_action(
    make_rpw_server: MakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Recorder, "add", fail)
    server = make_rpw_server(record=str(tmp_path))
    action = below("sub", arguments=[sys.executable, "tools/good.py", "@flags"], do_not_cache=True)
    assert server.run(action).ok
    assert server.run(action).ok

    (told,) = caplog.messages
    assert f"--record {tmp_path}: {error}" in told
    bugs = server.events.of(InternalError)
    assert len(bugs) == (2 if isinstance(error, ValueError) else 0)
    server.reset()  # else the bug fails this test, as it should


@pytest.mark.parametrize("method", ["begin", "end", "note"])
def test_a_counter_that_raises_fails_no_call(
    make_rpw_server: MakeServer, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Counters, method, fail)
    server = make_rpw_server(count_digests=True)

    assert server.run(below("sub", arguments=[sys.executable, "tools/good.py", "@flags"])).ok


def test_an_error_without_a_text_is_named_and_let_go(caplog: pytest.LogCaptureFixture) -> None:
    errors: list[weakref.ref[Exception]] = []

    class MistakeError(Exception):
        def __init__(self) -> None:
            errors.append(weakref.ref(self))

    def fail() -> None:
        raise MistakeError

    harmless("the observer", fail)()
    assert caplog.messages == ["the observer: MistakeError(); what it should have recorded is lost"]
    assert [each() for each in errors] == [None]


def test_a_sink_that_raises_keeps_no_caller_from_appending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log, seen = EventLog(), []

    def fail(_record: object) -> None:
        raise ValueError("no more")

    log.add_sink(fail)
    log.add_sink(seen.append)
    for name in "ab":
        log.append(InternalError(where=name, detail=""))
    log.remove_sink(fail)

    assert [each.where for each in seen] == ["a", "b"]
    assert len(caplog.messages) == 1


def test_the_first_failure_of_an_onlooker_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    bugs: list[str] = []
    looks_on = harmless("it", lambda value: 1 // value, lambda what, _: bugs.append(what))
    with caplog.at_level(logging.ERROR):
        for value in (1, 0, 0):
            assert looks_on(value) is None  # type: ignore[func-returns-value]

    assert bugs == ["it", "it"]
    assert [each.startswith("it: ") for each in caplog.messages] == [True]


def test_an_action_that_is_refused_before_it_is_routed_is_reported(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server()
    outcome = server.run(below("sub", timeout=1e6), check=False)

    assert outcome.status == "INVALID_ARGUMENT"
    (routed,) = server.events.of(ActionRouted)
    assert routed.reason.startswith("refused, INVALID_ARGUMENT: timeout of")
