"""Records are made from events alone, and selections narrow them down."""

from __future__ import annotations

import pytest

from rpw_fixture.events.kinds import FileRecord
from rpw_fixture.testing.records import actions_in, workers_in

from .event_script import KEY, EventScript, hashed, with_changes


@pytest.fixture
def script() -> EventScript:
    return EventScript()


def test_a_record_has_the_route_and_the_end_of_an_action(script: EventScript) -> None:
    record = script.on_worker("a", 1)
    assert record.action == f"{hashed('a')}/150"
    assert (record.mnemonic, record.target) == ("Compile", "//pkg:a")
    assert (record.mode, record.worker, record.reused) == ("worker", 1, False)
    assert (record.exit_code, record.status, record.is_complete) == (0, "OK", True)
    assert record.key == KEY.digest
    assert record.outputs == (FileRecord("out/a", f"{hashed('out')}/3"),)


def test_two_executions_of_one_action_are_two_records(script: EventScript) -> None:
    first, second = script.on_worker("a", 1), script.on_worker("a", 1)
    assert first.action == second.action
    assert (first.reused, second.reused) == (False, True)
    assert list(script.endpoint.actions) == [first, second]


def test_an_action_under_way_is_not_complete(script: EventScript) -> None:
    script.started(1)
    record = script.routed("a")
    script.sent(record, 1)
    record = script.record(record.operation)
    assert not record.is_complete
    assert (record.worker, record.exit_code) == (1, None)


def test_an_action_that_its_worker_failed_keeps_the_worker(script: EventScript) -> None:
    script.on_worker("a", 1)
    record = script.routed("b")
    script.sent(record, 1)
    script.violated(1, "text on stdout", "b'hi'", record)
    failure = {"exit_code": None, "status": "FAILED_PRECONDITION", "message": "bad"}
    record = script.completed(record, worker=1, reused=True, **failure)
    assert (record.worker, record.reused) == (1, True)
    assert [each.rule for each in record.violations] == ["text on stdout"]


def test_a_record_has_the_requests_and_the_end_of_a_worker(script: EventScript) -> None:
    first, second = script.on_worker("a", 1), script.on_worker("b", 1)
    script.retired(1, "crash", exit_status=-9, stderr_tail="oops\n")
    (worker,) = script.endpoint.workers
    assert (worker.worker, worker.pid, worker.requests) == (1, 101, 2)
    assert worker.operations == (first.operation, second.operation)
    assert [each.path for each in worker.tool_inputs] == ["lib.py", "tool.py"]
    assert (worker.retired, worker.exit_status, worker.stderr_tail) == ("crash", -9, "oops\n")
    assert not worker.is_alive


def test_workers_can_be_found_by_number_and_by_being_alive(script: EventScript) -> None:
    script.on_worker("a", 1)
    script.on_worker("b", 2, with_changes(client_key="other"))
    script.retired(1, "idle timeout")
    workers = script.endpoint.workers
    assert [each.worker for each in workers.alive()] == [2]
    assert workers.numbered(1).retired == "idle timeout"
    with pytest.raises(LookupError, match="worker 3 is not in the log"):
        workers.numbered(3)


def test_selections_narrow_actions_down(script: EventScript) -> None:
    a = script.on_worker("a", 1)
    b = script.on_worker("b", 1, mnemonic="Link", target="@//pkg:b")
    c = script.one_shot("c", "no flagfile in the command line")
    d = script.cached("a")
    actions = script.endpoint.actions
    assert list(actions) == [a, b, c, d]
    assert list(actions.persistent()) == [a, b]
    assert list(actions.one_shot()) == [c]
    assert list(actions.cached()) == [d]
    assert list(actions.with_mnemonic("Link")) == [b]
    assert list(actions.for_target("//pkg:b")) == [b]
    assert list(actions.of(a.action)) == [a, d]
    assert list(actions.on_worker(1).with_mnemonic("Compile")) == [a]
    assert list(actions.where(lambda each: each.seconds > 1)) == []
    assert actions[1] == b
    assert list(actions[2:]) == [c, d]


def test_since_leaves_out_what_came_before_a_mark(script: EventScript) -> None:
    assert script.endpoint.mark() == 0
    first = script.on_worker("a", 1)
    mark = script.endpoint.mark()
    second = script.on_worker("b", 1)
    assert list(script.endpoint.actions.since(mark)) == [second]
    assert list(script.endpoint.actions.since(first)) == [second]
    assert list(script.endpoint.workers.since(mark)) == []


def test_only_gives_the_one_there_is_and_else_names_what_there_is(script: EventScript) -> None:
    record = script.on_worker("a", 1)
    assert script.endpoint.actions.persistent().only() == record
    script.on_worker("b", 1)
    with pytest.raises(AssertionError) as failure:
        script.endpoint.actions.persistent().only()
    assert str(failure.value) == (
        "Expected exactly one of actions on workers, found 2.\n"
        "  Compile //pkg:a (ca978112…)\n"
        "  Compile //pkg:b (3e23e816…)"
    )


def test_an_empty_selection_says_what_was_selected(script: EventScript) -> None:
    assert repr(script.endpoint.actions.with_mnemonic("Javac").persistent()) == (
        "<actions with mnemonic 'Javac' on workers: none>"
    )


def test_equal_selections_are_equal(script: EventScript) -> None:
    script.on_worker("a", 1)
    assert script.endpoint.actions == script.endpoint.actions.persistent()
    assert hash(script.endpoint.actions) == hash(script.endpoint.actions.persistent())
    assert script.endpoint.actions != script.endpoint.actions.cached()


def test_no_events_make_no_records() -> None:
    assert len(actions_in([])) == len(workers_in([])) == 0
