"""Records are told from events alone, and selections narrow them down."""

from __future__ import annotations

import pytest

from rpw_fixture.events.kinds import FileRecord
from rpw_fixture.testing.records import actions_in, workers_in

from .event_script import KEY, Story, hashed, with_changes


@pytest.fixture
def story() -> Story:
    return Story()


def test_an_action_on_a_worker_is_told_with_its_route_and_its_end(story: Story) -> None:
    record = story.on_worker("a", 1)
    assert record.action == f"{hashed('a')}/150"
    assert (record.mnemonic, record.target) == ("Compile", "//pkg:a")
    assert (record.mode, record.worker, record.reused) == ("worker", 1, False)
    assert (record.exit_code, record.status, record.is_complete) == (0, "OK", True)
    assert record.key == KEY.digest
    assert record.outputs == (FileRecord("out/a", f"{hashed('out')}/3"),)


def test_two_executions_of_one_action_are_two_records(story: Story) -> None:
    first, second = story.on_worker("a", 1), story.on_worker("a", 1)
    assert first.action == second.action
    assert (first.reused, second.reused) == (False, True)
    assert list(story.endpoint.actions) == [first, second]


def test_an_action_under_way_is_not_complete(story: Story) -> None:
    story.started(1)
    record = story.routed("a")
    story.sent(record, 1)
    record = story.record(record.operation)
    assert not record.is_complete
    assert (record.worker, record.exit_code) == (1, None)


def test_an_action_that_its_worker_failed_keeps_the_worker(story: Story) -> None:
    story.on_worker("a", 1)
    record = story.routed("b")
    story.sent(record, 1)
    story.violated(1, "text on stdout", "b'hi'", record)
    failure = {"exit_code": None, "status": "FAILED_PRECONDITION", "message": "bad"}
    record = story.completed(record, worker=1, reused=True, **failure)
    assert (record.worker, record.reused) == (1, True)
    assert [each.rule for each in record.violations] == ["text on stdout"]


def test_a_worker_is_told_with_its_requests_and_its_end(story: Story) -> None:
    first, second = story.on_worker("a", 1), story.on_worker("b", 1)
    story.retired(1, "crash", exit_status=-9, stderr_tail="oops\n")
    (worker,) = story.endpoint.workers
    assert (worker.worker, worker.pid, worker.requests) == (1, 101, 2)
    assert worker.operations == (first.operation, second.operation)
    assert [each.path for each in worker.tool_inputs] == ["lib.py", "tool.py"]
    assert (worker.retired, worker.exit_status, worker.stderr_tail) == ("crash", -9, "oops\n")
    assert not worker.is_alive


def test_workers_can_be_found_by_number_and_by_being_alive(story: Story) -> None:
    story.on_worker("a", 1)
    story.on_worker("b", 2, with_changes(client_key="other"))
    story.retired(1, "idle timeout")
    workers = story.endpoint.workers
    assert [each.worker for each in workers.alive()] == [2]
    assert workers.numbered(1).retired == "idle timeout"
    with pytest.raises(LookupError, match="worker 3 is not in the log"):
        workers.numbered(3)


def test_selections_narrow_actions_down(story: Story) -> None:
    a = story.on_worker("a", 1)
    b = story.on_worker("b", 1, mnemonic="Link", target="@//pkg:b")
    c = story.one_shot("c", "no flagfile in the command line")
    d = story.cached("a")
    actions = story.endpoint.actions
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


def test_since_leaves_out_what_came_before_a_mark(story: Story) -> None:
    assert story.endpoint.mark() == 0
    first = story.on_worker("a", 1)
    mark = story.endpoint.mark()
    second = story.on_worker("b", 1)
    assert list(story.endpoint.actions.since(mark)) == [second]
    assert list(story.endpoint.actions.since(first)) == [second]
    assert list(story.endpoint.workers.since(mark)) == []


def test_only_gives_the_one_there_is_and_else_names_what_there_is(story: Story) -> None:
    record = story.on_worker("a", 1)
    assert story.endpoint.actions.persistent().only() == record
    story.on_worker("b", 1)
    with pytest.raises(AssertionError) as failure:
        story.endpoint.actions.persistent().only()
    assert str(failure.value) == (
        "expected one of actions on workers, found 2\n"
        "  Compile //pkg:a (ca978112…)\n"
        "  Compile //pkg:b (3e23e816…)"
    )


def test_an_empty_selection_says_what_was_selected(story: Story) -> None:
    assert repr(story.endpoint.actions.with_mnemonic("Javac").persistent()) == (
        "<actions with mnemonic 'Javac' on workers: none>"
    )


def test_equal_selections_are_equal(story: Story) -> None:
    story.on_worker("a", 1)
    assert story.endpoint.actions == story.endpoint.actions.persistent()
    assert hash(story.endpoint.actions) == hash(story.endpoint.actions.persistent())
    assert story.endpoint.actions != story.endpoint.actions.cached()


def test_no_events_tell_of_nothing() -> None:
    assert len(actions_in([])) == len(workers_in([])) == 0
