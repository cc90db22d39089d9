"""What a server writes while it runs: a line for each action, and what runs one-shot for which reason."""

from __future__ import annotations

import io
from typing import Any

import pytest

from rpw_fixture.cli import live_report
from rpw_fixture.cli.live_report import LiveReport, action_line
from rpw_fixture.events.kinds import ActionCompleted
from rpw_fixture.events.log import EventLog
from tests.testing.event_script import EventScript
from tests.waiting import PATIENCE, until

REASON = "persistentWorkerKey is not set"


def completed(**values: Any) -> ActionCompleted:
    action = {"action": "0123456789abcdef/12", "operation": "o", "mode": "worker", "worker": None}
    usual = {
        "mnemonic": "Compile",
        "target": "//a:b",
        "reused": False,
        "cached": False,
        "outputs": (),
    }
    return ActionCompleted(**{**action, **usual, "exit_code": 0, "seconds": 1.25, **values})


LINES: dict[str, tuple[dict[str, Any], str]] = {
    "worker started": ({"worker": 3}, "worker 3, started"),
    "worker reused": ({"worker": 3, "reused": True}, "worker 3, reused"),
    "no worker": ({"status": "UNAVAILABLE"}, "no worker, UNAVAILABLE"),
    "one-shot": ({"mode": "one-shot"}, "one-shot"),
    "exit code": ({"mode": "one-shot", "exit_code": 5}, "one-shot, exit code 5"),
    "status first": (
        {"worker": 0, "status": "ABORTED", "exit_code": 5},
        "worker 0, started, ABORTED",
    ),
    "cached": ({"cached": True, "worker": 3}, "cache"),
    "cached failure": ({"cached": True, "exit_code": 1}, "cache, exit code 1"),
}


@pytest.mark.parametrize("case", LINES)
def test_a_line_says_how_an_action_was_run(case: str) -> None:
    values, how = LINES[case]
    line = action_line(completed(**values))
    assert line == f"{'Compile':<14}  {'//a:b':<40}  {how:<30}    1.250 s"


@pytest.mark.parametrize(
    ("given", "shown"),
    [("", "0123456789ab"), ("t" * 39, None), ("t" * 40, None), ("s" + "t" * 40, "…" + "t" * 39)],
)
def test_a_long_label_loses_its_beginning(given: str, shown: str | None) -> None:
    line = action_line(completed(target=given))
    assert line[14:16] == "  "
    assert line[16:56].rstrip() == (given if shown is None else shown)
    assert line[56:58] == "  "


def test_an_action_without_a_mnemonic_has_a_dash() -> None:
    assert action_line(completed(mnemonic="")).startswith("-" + " " * 15)


class Stream(io.StringIO):
    """A stream that counts how often it was flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1


def written(script: EventScript, *, shows_actions: bool) -> list[str]:
    """What is written at the end about the events so far."""
    log, stream = script.endpoint.events, Stream()
    LiveReport(log, stream, shows_actions=shows_actions).close()
    assert bool(stream.flushes) is bool(stream.getvalue())
    return stream.getvalue().splitlines()


NOTE, WARNING, REFUSED = (
    {},
    {"asks_for_worker": True},
    {"reason": "refused, because the command line has no flagfile", "asks_for_worker": True},
)
ORDERS: list[tuple[list[dict[str, Any]], bool, list[str]]] = [
    ([NOTE, NOTE], True, ["note"]),
    ([NOTE, NOTE], False, []),
    ([WARNING, WARNING], True, ["warning"]),
    ([WARNING, WARNING], False, ["warning"]),
    ([NOTE, WARNING, NOTE, WARNING], True, ["note", "warning"]),
    ([NOTE, WARNING], False, ["warning"]),
    ([WARNING, NOTE], True, ["warning"]),
    ([{"tool_inputs": 1}], False, ["warning"]),
    ([NOTE, {"reason": "another"}, NOTE], True, ["note", "note"]),
    ([WARNING, {**WARNING, "reason": "another"}], False, ["warning", "warning"]),
    ([REFUSED], True, []),
    ([{"mode": "worker", "asks_for_worker": True}, {"mode": "cache"}], True, []),
]


@pytest.mark.parametrize(("routed", "shows_actions", "expected"), ORDERS)
def test_a_reason_is_written_once_and_again_when_it_looks_like_a_mistake(
    routed: list[dict[str, Any]], shows_actions: bool, expected: list[str]
) -> None:
    script = EventScript()
    for values in routed:
        script.routed("c", **{"mode": "one-shot", "reason": REASON, **values})
    lines = written(script, shows_actions=shows_actions)
    kinds = [line.partition(":")[0] for line in lines if line.startswith(("note: ", "warning: "))]
    assert kinds == expected


@pytest.mark.parametrize(
    ("mnemonic", "target", "named"),
    [
        ("Compile", "//a:b", "Compile //a:b"),
        ("Compile", "", "Compile"),
        ("", "//a:b", "//a:b"),
        ("", "", "an action"),
    ],
)
def test_the_action_is_named_by_what_is_known_of_it(mnemonic: str, target: str, named: str) -> None:
    script = EventScript()
    script.routed("c", mode="one-shot", reason="why not", mnemonic=mnemonic, target=target)
    assert written(script, shows_actions=True)[0] == f"note: {named} runs one-shot: why not"


@pytest.mark.parametrize("shows_actions", [False, True])
def test_actions_that_ended_have_a_line_where_they_are_shown(shows_actions: bool) -> None:
    script = EventScript()
    script.on_worker("c", 1)
    assert len(written(script, shows_actions=shows_actions)) == shows_actions


def test_nothing_is_written_about_no_event() -> None:
    assert written(EventScript(), shows_actions=True) == []


@pytest.mark.parametrize("error", [OSError, ValueError, BrokenPipeError])
def test_a_stream_that_can_not_be_written_is_given_up(error: type[Exception]) -> None:
    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise error

    script = EventScript()
    script.on_worker("c", 1)
    LiveReport(script.endpoint.events, Broken(), shows_actions=True).close()


def test_events_are_written_once_however_often_the_log_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_report, "_PERIOD", PATIENCE)  # only the test looks
    log, stream = EventLog(), Stream()
    report = LiveReport(log, stream, shows_actions=True)
    for number in range(3):
        log.append(completed(target=f"//a:{number}"))
        report._catch_up()
        report._catch_up()
    log.append(completed(target="//a:3"))
    report.close()
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == [
        f"//a:{number}" for number in range(4)
    ]


def test_events_are_written_while_the_server_runs() -> None:
    log, stream = EventLog(), Stream()
    report = LiveReport(log, stream, shows_actions=True)
    log.append(completed(target="//a:0"))
    until(lambda: "//a:0" in stream.getvalue())
    report.close()
    assert not report._thread.is_alive()
