"""Files of events: whole, torn, old, shared and broken ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rpw_fixture import Action, ConfigError, Server
from rpw_fixture.events.kinds import ActionCompleted, FileRecord
from rpw_fixture.summary.event_files import read_events
from rpw_fixture.summary.model import summarize
from tests.workers.worker_actions import compile_action


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that two servers wrote, one after the other."""
    path = tmp_path / "events"
    for names in (("a", "b"), ("c",)):
        with Server(events=str(path)) as server:
            for name in names:
                server.run(compile_action(name, mnemonic="Upper", target=f"//:{name}"))
            server.run(Action(arguments=["/bin/true"]))
    return path


def test_what_is_read_equals_what_the_server_saw(tmp_path: Path) -> None:
    path = tmp_path / "events"
    with Server(events=str(path)) as server:
        server.run(compile_action("a"))
    seen = server.events.snapshot()
    (run,) = read_events(path).runs

    assert [json.dumps(each.as_dict()) for each in run.events] == [
        json.dumps(each.as_dict()) for each in seen
    ]
    completed = next(each for each in run.events if isinstance(each, ActionCompleted))
    assert isinstance(completed.outputs[0], FileRecord)


def test_two_servers_in_one_file_are_two_runs(path: Path) -> None:
    found = read_events(path)
    assert not found.problems
    first, second = (summarize(run.events) for run in found.runs)
    assert [each.target for each in first.actions] == ["//:a", "//:b", ""]
    assert [each.target for each in second.actions] == ["//:c", ""]
    assert first.server is not None
    assert second.server is not None
    assert (first.on_worker, first.reused, len(first.starts)) == (2, 1, 1)
    assert first.missing == second.missing == 0


def test_two_servers_that_write_at_the_same_time_are_two_runs(path: Path) -> None:
    first, second = read_events(path).runs
    lines = path.read_text().splitlines(keepends=True)
    one, two = lines[: len(first.events)], lines[len(first.events) :]
    mixed = [one.pop(0), one.pop(0)]
    while one or two:
        mixed += ([two.pop(0)] if two else []) + ([one.pop(0)] if one else [])
    path.write_text("".join(mixed))

    assert [run.events for run in read_events(path).runs] == [first.events, second.events]


def test_a_torn_last_line_is_named_and_the_rest_is_read(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    found = read_events(path)
    start = data[:-20].rindex(b"\n") + 1
    assert f"byte {start} " in found.problems[0]
    assert "incomplete" in found.problems[0]
    assert len(found.runs) == 2


def test_a_broken_line_is_named_by_its_offset_and_skipped(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    broken = [
        b'{"seq": 3, "ti\n',
        b"[1]\n",
        b'{"seq": "x", "time": 1, "event": "e"}\n',
        b"\xff\xfe\n",
    ]
    path.write_bytes(b"".join([*lines[:2], *broken, *lines[2:]]))
    found = read_events(path)

    offset = len(lines[0] + lines[1])
    for problem, line, number in zip(found.problems, broken, (3, 4, 5, 6), strict=True):
        assert f"byte {offset} (line {number})" in problem
        offset += len(line)
    assert sum(len(run.events) for run in found.runs) == len(lines)


def test_a_field_of_another_type_is_a_broken_line(path: Path) -> None:
    line = json.loads(path.read_text().splitlines()[-1])
    with path.open("a") as file:
        for values in ({"seconds": "long"}, {"outputs": [3]}, {"reused": 1}, {"exit_code": True}):
            file.write(json.dumps({**line, "event": "action_completed", **FIELDS, **values}) + "\n")
    problems = read_events(path).problems
    assert ["seconds" in problems[0], "3" in problems[1], "reused" in problems[2]] == [True] * 3
    assert "exit_code" in problems[3]


FIELDS = {
    "action": "aa/1",
    "operation": "o",
    "mode": "worker",
    "worker": 1,
    "reused": False,
    "exit_code": 0,
    "cached": False,
    "seconds": 1.0,
    "outputs": [],
}


def test_an_older_file_without_starts_and_new_fields_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old"
    routed = {"event": "action_routed", "action": "aa/1", "operation": "o", "reason": "r"}
    lines = []
    for _ in range(2):
        lines += [
            {"seq": 1, "time": 1.5, **routed, "mode": "worker", "a_field_of_tomorrow": 1},
            {"seq": 2, "time": 2, "event": "action_completed", **FIELDS},
            {"seq": 3, "time": 3.0, "event": "of_tomorrow", "x": 1},
            {"seq": 4, "time": 4.0, "event": "worker_retired", "worker": 1, "reason": "crash"},
        ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = read_events(path)

    assert not found.problems
    assert len(found.runs) == 2
    assert all(run.server is None for run in found.runs)
    (action,) = summarize(found.runs[0].events).actions
    assert (action.worker, action.phases, action.mnemonic) == (1, {}, "")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "No such file"),
        (b"", "holds no event"),
        (b"\x00\x01 hello\n", "byte 0 (line 1): not JSON"),
        (b"\n\n<html>", "byte 2 (line 3)"),
        (b'{"seq": 1, "time": 2}\n', "an event has seq, time and event"),
    ],
)
def test_what_is_no_file_of_events_is_refused(
    tmp_path: Path, content: bytes | None, text: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_events(path)
    assert text in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_folder_is_no_file_of_events(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="directory"):
        read_events(tmp_path)
