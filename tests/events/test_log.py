from __future__ import annotations

import json
import threading
import tracemalloc
from pathlib import Path

import pytest

from rpw_fixture import Action, Server
from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.events import kinds as events
from rpw_fixture.events.event_file import EventFile
from rpw_fixture.events.kinds import (
    ActionCompleted,
    ActionRouted,
    Event,
    FileRecord,
    InternalError,
    ProtocolViolation,
    RequestSent,
    ResponseReceived,
    WorkerStarted,
)
from rpw_fixture.events.log import EventLog

# Names and fields that people script against.
SCRIPTED = {
    "action_routed": "action mnemonic target mode reason",
    "worker_started": "worker pid key startup_arguments tool_inputs",
    "worker_not_reused": "action key closest_worker differences",
    "request_sent": "worker request_id action inputs",
    "response_received": "worker request_id exit_code seconds",
    "worker_retired": "worker reason exit_status stderr_tail requests",
    "action_completed": "action mode worker reused exit_code cached seconds outputs",
    "protocol_violation": "worker rule detail",
    "internal_error": "where detail",
}


#: Lets nothing be written, as a full disk does.
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")


def problem(detail: str = "d") -> InternalError:
    return InternalError(where="here", detail=detail)


def completed(**changes: object) -> ActionCompleted:
    values: dict[str, object] = {
        "action": "aa/1",
        "operation": "op",
        "mode": "worker",
        "worker": 1,
        "reused": True,
        "exit_code": 0,
        "cached": False,
        "seconds": 0.5,
        "outputs": (FileRecord("out/a", "bb/2"),),
    }
    return ActionCompleted(**{**values, **changes})


def started(**changes: object) -> WorkerStarted:
    values: dict[str, object] = {
        "worker": 1,
        "pid": 2,
        "key": "k",
        "startup_arguments": ["a", "b"],
        "tool_inputs": (FileRecord("t", "cc/3"),),
    }
    return WorkerStarted(**{**values, **changes})


def action_records(number: int) -> list[Event]:
    """What the log gets of an action on a worker; each time new texts, as from the wire."""
    names = {"action": f"{number:064}/150", "operation": f"0123456789ab/{number}"}
    on_worker = {**names, "worker": 1, "request_id": 1000 + number}
    end = dict.fromkeys(("queued", "staged", "executed", "collected", "replied"), number / 7)
    output = FileRecord("out/result.txt", f"{number:064}/16")
    records = [
        ActionRouted(**names, mode="worker", reason="it has a worker key"),
        RequestSent(**on_worker, inputs=20),
        ResponseReceived(**on_worker, exit_code=0, seconds=number / 3),
        completed(**names, outputs=(output,), phases=end),
    ]
    log = EventLog(clock=lambda: number / 11)
    return [log.append(record) for record in records]


def kinds() -> dict[str, type[Event]]:
    return {
        kind.event: kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    }


# --- records ---


@pytest.mark.parametrize("name", SCRIPTED)
def test_every_event_that_people_script_against_has_its_fields(name: str) -> None:
    fields = kinds()[name].__dataclass_fields__

    assert {"seq", "time", *SCRIPTED[name].split()} <= fields.keys()


def test_a_record_reads_as_one_json_object_that_begins_with_what_all_have() -> None:
    record = EventLog(clock=lambda: 12.5).append(completed())
    told = json.loads(json.dumps(record.as_dict()))

    assert list(told)[:3] == ["seq", "time", "event"]
    assert (told["seq"], told["time"], told["event"]) == (1, 12.5, "action_completed")
    assert told["outputs"] == [{"path": "out/a", "digest": "bb/2"}]


def test_sequences_in_records_become_lists_and_key_components_stay_inside() -> None:
    started = WorkerStarted(
        worker=1,
        pid=2,
        key="k",
        startup_arguments=("a", "b"),
        tool_inputs=[FileRecord("t", "cc/3")],
        key_components=(("persistentWorkerKey", object()),),
    )
    told = started.as_dict()

    assert told["startup_arguments"] == ["a", "b"]
    assert told["tool_inputs"] == [{"path": "t", "digest": "cc/3"}]
    assert "key_components" not in told


def test_two_records_of_the_same_content_are_distinguished_by_their_number() -> None:
    log = EventLog(clock=lambda: 0.0)

    assert log.append(problem()) != log.append(problem())


# --- the log ---


def test_records_are_numbered_from_one_without_gaps_and_clearing_goes_on() -> None:
    log = EventLog()
    first = [log.append(problem()).seq for _ in range(3)]
    log.clear()

    assert first == [1, 2, 3]
    assert len(log) == 0
    assert log.append(problem()).seq == 4


def test_the_log_is_a_sequence_of_what_it_still_holds() -> None:
    log = EventLog(max_bytes=3 * problem("0").held_bytes())
    records = [log.append(problem(str(number))) for number in range(5)]

    assert list(log) == records[2:]
    assert (log[0], log[-1], log[1:]) == (records[2], records[4], records[3:])
    assert list(reversed(log)) == records[:1:-1]
    assert records[4] in log
    assert records[0] not in log
    assert log.index(records[3]) == 1


def test_the_oldest_records_make_room_for_one_with_thousands_of_outputs() -> None:
    log = EventLog(max_bytes=100 * completed().held_bytes())
    for _ in range(100):
        log.append(completed())
    large = log.append(completed(outputs=(FileRecord("out/a", "bb/2"),) * 200))

    assert log[-1] is large
    assert 1 < len(log) < 60


def test_a_record_that_is_larger_than_the_log_is_kept_until_the_next_one() -> None:
    log = EventLog(max_bytes=1)
    log.append(problem())
    newest = log.append(problem("large" * 1000))

    assert list(log) == [newest]


def test_a_cleared_log_has_all_its_room_again() -> None:
    log = EventLog(max_bytes=3 * problem("0").held_bytes())
    for number in range(3):
        log.append(problem(str(number)))
    log.clear()
    for number in range(3):
        log.append(problem(str(number)))

    assert [record.detail for record in log.of(InternalError)] == ["0", "1", "2"]


def test_all_that_a_record_holds_counts() -> None:
    small = started(tool_inputs=())
    large = started(tool_inputs=tuple(FileRecord(f"t/{n}", "cc/3") for n in range(1000)))

    assert large.held_bytes() > small.held_bytes() + 1000 * 100
    assert problem("d" * 5000).held_bytes() > 5000
    assert started(key_components=(("tool_inputs", ("t",) * 10_000),)).held_bytes() < 10_000


def test_what_an_action_s_records_hold_is_estimated_well() -> None:
    held, estimated = [], 0
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2_000):
            records = action_records(number)
            estimated += sum(record.held_bytes() for record in records)
            held += records
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert 0.7 * used < estimated < 1.5 * used


def test_records_of_one_kind_can_be_picked() -> None:
    log = EventLog()
    log.append(problem())
    routed = log.append(ActionRouted(action="a/1", operation="o", mode="one-shot", reason="r"))

    assert log.of(ActionRouted) == [routed]
    assert log.of(ProtocolViolation) == []
    assert len(log.of(Event)) == 2


def test_a_sink_gets_every_later_record_in_order_until_it_is_removed() -> None:
    log, seen, other = EventLog(), [], []
    log.append(problem("before"))
    log.add_sink(seen.append)
    log.add_sink(other.append)
    kept = [log.append(problem()), log.append(problem())]
    log.remove_sink(seen.append)  # a bound method is another object each time
    log.remove_sink(print)  # never added: nothing happens
    last = log.append(problem("after"))

    assert seen == kept
    assert other == [*kept, last]


def test_threads_that_append_together_lose_and_repeat_no_number() -> None:
    log, seen = EventLog(), []
    log.add_sink(lambda record: seen.append(record.seq))
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        for _ in range(250):
            log.append(problem())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == list(range(1, 1001))
    assert [record.seq for record in log] == seen


def test_waiting_ends_when_the_condition_holds() -> None:
    log = EventLog()
    waiting = threading.Event()

    def has_two(records: list[Event]) -> bool:
        waiting.set()
        return len(records) >= 2

    def append() -> None:
        waiting.wait(10)
        log.append(problem())
        log.append(problem())

    thread = threading.Thread(target=append)
    thread.start()
    assert log.wait_for(has_two, timeout=30)
    thread.join()


def test_waiting_without_a_match_ends_when_the_time_is_up() -> None:
    assert not EventLog().wait_for(lambda _records: False, timeout=0.01)


# --- lines of JSON ---


def test_each_record_becomes_a_whole_line_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"older": true}\n')
    sink, log = EventFile(str(path)), EventLog()
    log.add_sink(sink)
    log.append(problem("two\nlines \ud800 é"))
    lines = path.read_text(encoding="ascii").splitlines()
    log.append(completed(exit_code=None, worker=None))
    sink.close()

    assert json.loads(lines[0]) == {"older": True}
    assert json.loads(lines[1])["detail"] == "two\nlines \ud800 é"
    assert json.loads(path.read_text().splitlines()[2])["exit_code"] is None


def test_what_comes_after_closing_is_not_written_and_breaks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink, log = EventFile(str(path)), EventLog()
    log.add_sink(sink)
    sink.close()
    log.append(problem())

    assert path.read_text() == ""
    assert len(log) == 1


def test_a_file_that_can_not_be_opened_is_named_by_its_flag(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLacksError, match=f"--events {tmp_path}: Is a directory"):
        EventFile(str(tmp_path))


@needs_full
def test_a_full_disk_loses_lines_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    sink, log = EventFile(str(FULL)), EventLog()
    log.add_sink(sink)
    log.append(problem())
    log.append(problem())
    sink.close()

    assert len(log) == 2
    (told,) = caplog.messages
    assert "--events /dev/full" in told
    assert "No space left on device" in told
    assert "events from 1 on are lost" in told


@needs_full
def test_actions_do_not_fail_of_a_full_disk_for_events() -> None:
    with Server(events=str(FULL)) as server:
        outcome = server.run(Action(arguments=["/bin/true"]))
        assert outcome.exit_code == 0


def test_records_since_a_number_are_the_later_ones_oldest_first() -> None:
    log = EventLog()
    for number in range(4):
        log.append(InternalError(where=str(number), detail=""))
    assert [each.seq for each in log.since(2)] == [3, 4]
    assert [each.seq for each in log.since(0)] == [1, 2, 3, 4]
    assert log.since(4) == []
