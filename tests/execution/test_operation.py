from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Callable

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.execution import operation as module
from rpw_fixture.execution.inline import InlineHints
from rpw_fixture.execution.operation import ClientRequest, Execution, Operation
from rpw_fixture.execution.results import Timeline
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi

Stage = reapi.ExecutionStage
DIGEST = SHA256.of(b"an action")
FOREVER = 30.0


@pytest.fixture
def make(store) -> Callable[..., Operation]:
    numbers = itertools.count(1)

    def one(inline: InlineHints | None = None) -> Operation:
        wanted = ClientRequest(digest=DIGEST, store=store, inline=inline or InlineHints())
        return Operation(f"test/{next(numbers)}", wanted)

    return one


def response(exit_code: int = 0) -> reapi.ExecuteResponse:
    return reapi.ExecuteResponse(result=reapi.ActionResult(exit_code=exit_code))


def unpacked(message: longrunning.Operation) -> reapi.ExecuteResponse:
    target = reapi.ExecuteResponse()
    assert message.response.Unpack(target)
    return target


def stage_of(message: longrunning.Operation) -> int:
    target = reapi.ExecuteOperationMetadata()
    assert message.metadata.Unpack(target)
    assert target.action_digest == reapi.Digest(hash=DIGEST.hash, size_bytes=DIGEST.size)
    assert target.digest_function == SHA256.number
    return target.stage


# --- one operation ---


def test_a_fresh_operation_is_queued_and_has_no_response(make) -> None:
    operation = make()
    message = operation.message()

    assert message.name == operation.name
    assert not message.done
    assert not message.HasField("response")
    assert stage_of(message) == Stage.QUEUED
    assert not operation.is_done
    assert not operation.wait(0.0)


def test_stages_are_reported_until_it_is_over_and_then_it_is_completed(make) -> None:
    operation = make()
    operation.enter(Stage.EXECUTING, Timeline())
    assert stage_of(operation.message()) == Stage.EXECUTING
    operation.finish(response())
    operation.enter(Stage.EXECUTING, Timeline())
    message = operation.message()

    assert stage_of(message) == Stage.COMPLETED
    assert message.done
    assert unpacked(message) == response()
    assert operation.wait(0.0)


def test_the_first_response_stays(make) -> None:
    operation = make()
    operation.finish(response(1))
    operation.finish(response(2))
    operation.cancel()

    assert unpacked(operation.message()).result.exit_code == 1


def test_a_cancelled_operation_is_done_with_that_status_and_a_result(make) -> None:
    operation = make()
    operation.cancel()
    operation.finish(response())
    given = unpacked(operation.message())

    assert given.status.code == Code.CANCELLED
    assert operation.name in given.status.message
    assert given.HasField("result")


def test_what_one_client_wants_inline_is_in_its_response_only(make, store) -> None:
    wants, plain = make(InlineHints(stdout=True)), make()
    full = response()
    digest = store.put(b"said")
    full.result.stdout_digest.hash, full.result.stdout_digest.size_bytes = digest
    wants.finish(full)
    plain.finish(full)

    assert unpacked(wants.message()).result.stdout_raw == b"said"
    assert unpacked(plain.message()).result.stdout_raw == b""


# --- its updates ---


def test_updates_of_a_finished_operation_are_one(make) -> None:
    operation = make()
    operation.finish(response())

    assert [message.done for message in operation.updates()] == [True]
    assert [message.done for message in operation.updates()] == [True]  # WaitExecution, again


def test_updates_begin_at_once_and_end_with_the_response(make) -> None:
    operation = make()
    updates = operation.updates()
    first = next(updates)
    operation.enter(Stage.EXECUTING, Timeline())
    operation.finish(response(3))
    last = next(updates)

    assert (first.done, stage_of(first)) == (False, Stage.QUEUED)
    assert unpacked(last).result.exit_code == 3
    assert list(updates) == []


def test_a_response_that_comes_while_a_message_is_made_is_reported_once(make) -> None:
    operation = make()
    real = operation.message
    operation.message = lambda: (operation.finish(response()), real())[1]

    assert [message.done for message in operation.updates()] == [True]


def test_a_stage_that_lasts_is_reported_without_being_asked(
    make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_UPDATE", 0.001)
    monkeypatch.setattr(module, "_UPDATE_INTERVAL", 0.001)
    operation = make()
    updates = operation.updates()
    assert stage_of(next(updates)) == Stage.QUEUED
    operation.enter(Stage.EXECUTING, Timeline())

    assert stage_of(next(updates)) == Stage.EXECUTING
    assert stage_of(next(updates)) == Stage.EXECUTING
    operation.finish(response())
    assert next(updates).done


def test_updates_wait_in_other_threads_until_the_response_is_there(make) -> None:
    operation = make()
    begun = threading.Barrier(4)
    seen: list[list[bool]] = []

    def follow() -> None:
        updates = operation.updates()
        done = [next(updates).done]
        begun.wait(FOREVER)
        seen.append(done + [message.done for message in updates])

    threads = [threading.Thread(target=follow) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait(FOREVER)
    operation.finish(response())
    for thread in threads:
        thread.join(FOREVER)

    assert len(seen) == 3
    assert all(done[-1] and not any(done[:-1]) for done in seen)


def test_updates_end_when_the_client_has_gone_and_the_operation_goes_on(make) -> None:
    operation = make()
    is_wanted = threading.Event()
    is_wanted.set()
    updates = operation.updates(is_wanted.is_set)
    next(updates)
    is_wanted.clear()
    operation.wake()

    assert list(updates) == []
    assert not operation.is_done


def test_waking_ends_updates_that_no_client_wants_at_once(make, monkeypatch) -> None:
    monkeypatch.setattr(module, "_FIRST_UPDATE", FOREVER)
    operation = make()
    is_wanted = threading.Event()
    is_wanted.set()
    waiting = threading.Event()
    ended = threading.Event()

    def follow() -> None:
        for _ in operation.updates(is_wanted.is_set):
            waiting.set()
        ended.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert waiting.wait(FOREVER)
    is_wanted.clear()
    while not ended.wait(0.01):  # it may be just about to begin its wait
        operation.wake()
    thread.join()


# --- one execution of many ---


def test_all_operations_of_an_execution_see_its_stages_and_its_response(make) -> None:
    execution, one, late = Execution(), make(), make()
    assert execution.attach(one)
    execution.enter(Stage.EXECUTING)
    assert execution.attach(late)
    assert stage_of(late.message()) == Stage.EXECUTING
    execution.finish(response(5))

    assert unpacked(one.message()) == unpacked(late.message()) == response(5)
    assert execution.is_finished


def test_the_last_one_to_leave_cancels_the_run(make) -> None:
    execution, one, other = Execution(), make(), make()
    execution.attach(one)
    execution.attach(other)
    execution.detach(one)
    execution.detach(one)
    assert not execution.token.is_cancelled
    execution.detach(other)

    assert execution.token.is_cancelled


def test_no_operation_can_join_a_run_that_is_over_or_given_up(make) -> None:
    finished, given_up, one = Execution(), Execution(), make()
    finished.attach(one)
    finished.finish(response())
    given_up.attach(make())
    given_up.token.cancel()

    assert not finished.attach(make())
    assert not given_up.attach(make())


def test_leaving_after_the_end_cancels_nothing(make) -> None:
    execution, one = Execution(), make()
    execution.attach(one)
    execution.finish(response())
    execution.detach(one)

    assert not execution.token.is_cancelled


def test_joining_while_the_last_one_leaves_is_all_or_nothing(make) -> None:
    for _ in range(200):
        execution, one, other = Execution(), make(), make()
        execution.attach(one)
        start = threading.Barrier(2)

        def leave(execution=execution, one=one, start=start) -> None:
            start.wait(FOREVER)
            execution.detach(one)

        thread = threading.Thread(target=leave)
        thread.start()
        start.wait(FOREVER)
        has_joined = execution.attach(other)
        thread.join(FOREVER)
        assert has_joined != execution.token.is_cancelled


# --- the token ---


def test_a_token_calls_back_once_and_only_within_the_block() -> None:
    token, calls = CancelToken(), []
    with token.calling(lambda: calls.append("early")):
        pass
    with token.calling(lambda: calls.append("now")):
        token.cancel()
        token.cancel()
        assert calls == ["now"]
    with token.calling(lambda: calls.append("late")):
        assert calls == ["now", "late"]
    token.cancel()

    assert calls == ["now", "late"]
    assert token.is_cancelled


def test_a_token_calls_back_everybody_also_the_same_callback_twice() -> None:
    token, calls = CancelToken(), []

    def callback() -> None:
        calls.append(1)

    with token.calling(callback), token.calling(callback):
        token.cancel()

    assert calls == [1, 1]


def test_checking_a_token_raises_once_it_is_cancelled() -> None:
    token = CancelToken()
    token.check()
    token.cancel()
    with pytest.raises(RequestError) as caught:
        token.check()

    assert caught.value.code is Code.CANCELLED


def test_updates_are_a_generator_that_can_be_closed_at_any_time(make) -> None:
    updates = make().updates()
    next(updates)
    updates.close()

    assert inspect.getgeneratorstate(updates) == inspect.GEN_CLOSED
