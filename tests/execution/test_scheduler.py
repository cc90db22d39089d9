from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.events.actions import ActionIdentity
from rpw_fixture.execution import scheduler as module
from rpw_fixture.execution.executor import Executor
from rpw_fixture.execution.job import Job
from rpw_fixture.execution.operation import Operation
from rpw_fixture.execution.scheduler import Scheduler
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import remote_execution as reapi

FOREVER = 30.0


class Runs:
    """Stands for the runner: each job begins, then waits until the test lets it end."""

    def __init__(self, store: BlobStore) -> None:
        self.store = store
        self.begun: list[Job] = []
        self.release_all = False
        self._changed = threading.Condition()
        self._released: set[str] = set()
        self._schedulers: list[Scheduler] = []

    def scheduler(
        self,
        *,
        jobs: int = 2,
        grace: float = 60.0,
        executor: Executor | None = None,
        **others: Any,
    ) -> Scheduler:
        made = Scheduler(executor or self, jobs=jobs, grace=grace, **others)
        self._schedulers.append(made)
        return made

    def execute(self, job: Job) -> reapi.ExecuteResponse:
        with self._changed:
            self.begun.append(job)
            self._changed.notify_all()
        name = job.instance_name
        with job.execution.token.calling(self._wake), self._changed:
            self._changed.wait_for(
                lambda: (
                    self.release_all or name in self._released or job.execution.token.is_cancelled
                ),
                FOREVER,
            )
        result = reapi.ExecuteResponse(result=reapi.ActionResult(exit_code=len(self.begun)))
        if job.execution.token.is_cancelled:
            result.status.code = Code.CANCELLED
        return result

    def release(self, *names: str) -> None:
        with self._changed:
            self._released |= set(names)
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[str]:
        """Wait until this number of jobs have begun; return their names."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.begun) >= count, FOREVER)
            return [job.instance_name for job in self.begun]

    def close(self) -> None:
        with self._changed:
            self.release_all = True
            self._changed.notify_all()
        for each in self._schedulers:
            each.close(0)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def submit(self, scheduler: Scheduler, name: str = "", **fields: object) -> Operation:
        """Submit an action, identified by ``name`` (the instance) and its content."""
        request_fields = {
            key: fields.pop(key)
            for key in ("skip_cache_lookup", "inline_stdout", "inline_stderr")
            if key in fields
        }
        action = reapi.Action(**fields)
        return scheduler.submit(
            digest=SHA256.of(action.SerializeToString()),
            action=action,
            store=self.store,
            request=reapi.ExecuteRequest(instance_name=name, **request_fields),
            metadata=reapi.RequestMetadata(action_mnemonic="Test"),
        )


class Scripted:
    """An executor that calls a function."""

    def __init__(self, function: Callable[[Job], reapi.ExecuteResponse]) -> None:
        self.execute = function


def raising(error: Exception) -> Callable[[Job], reapi.ExecuteResponse]:
    def execute(_job: Job) -> reapi.ExecuteResponse:
        raise error

    return execute


@pytest.fixture
def runs(store: BlobStore) -> Iterator[Runs]:
    made = Runs(store)
    yield made
    made.close()


def final(operation: Operation) -> reapi.ExecuteResponse:
    """The response, waited for."""
    assert operation.wait(FOREVER)
    message = operation.message()
    response = reapi.ExecuteResponse()
    assert message.response.Unpack(response)
    return response


# --- running ---


def test_a_job_says_everything_about_the_action(runs: Runs) -> None:
    scheduler = runs.scheduler()
    operation = runs.submit(scheduler, "ci", skip_cache_lookup=True, salt=b"s")
    runs.wait_for(1)
    (job,) = runs.begun
    runs.release("ci")

    assert job.identity == ActionIdentity(
        digest=str(job.digest), operation=operation.name, mnemonic="Test"
    )
    assert job.instance_name == "ci"
    assert job.skip_cache_lookup
    assert job.action == reapi.Action(salt=b"s")
    assert job.store is runs.store
    assert final(operation).result.exit_code == 1


def test_a_limited_number_of_jobs_runs_at_once_and_the_others_wait_in_order(runs: Runs) -> None:
    scheduler = runs.scheduler(jobs=2)
    operations = {name: runs.submit(scheduler, name) for name in "abcd"}
    assert runs.wait_for(2) == ["a", "b"]
    runs.release("b")
    assert runs.wait_for(3) == ["a", "b", "c"]
    runs.release("a")
    assert runs.wait_for(4) == ["a", "b", "c", "d"]
    runs.release("c", "d")

    assert all(final(operation).status.code == Code.OK for operation in operations.values())


def test_a_later_action_may_end_first(runs: Runs) -> None:
    scheduler = runs.scheduler(jobs=2)
    first, second = runs.submit(scheduler, "first"), runs.submit(scheduler, "second")
    runs.wait_for(2)
    runs.release("second")
    final(second)
    assert not first.is_done
    runs.release("first")

    final(first)


def test_names_are_never_used_twice_also_not_by_another_server(runs: Runs) -> None:
    runs.release("")
    schedulers = [runs.scheduler() for _ in range(2)]
    names = {runs.submit(each, do_not_cache=True).name for each in schedulers for _ in range(20)}

    assert len(names) == 40


def test_a_run_that_is_lost_still_answers_the_client(runs: Runs) -> None:
    bugs: list[str] = []
    error = ZeroDivisionError("a bug")
    scheduler = runs.scheduler(
        executor=Scripted(raising(error)), on_bug=lambda where, _: bugs.append(where)
    )
    operation = runs.submit(scheduler)

    assert final(operation).status.code == Code.INTERNAL
    scheduler.close(0)
    assert bugs == [f"execution of action {SHA256.of(b'')}"]


def test_what_an_action_leaves_is_removed_after_its_client_has_the_response(runs: Runs) -> None:
    done: list[bool] = []

    def execute(job: Job) -> reapi.ExecuteResponse:
        job.progress.after_reply.callback(lambda: done.append(job.execution.is_finished))
        return reapi.ExecuteResponse()

    scheduler = runs.scheduler(executor=Scripted(execute))
    runs.submit(scheduler)
    scheduler.close(FOREVER)

    assert done == [True]


def test_folders_that_cannot_be_removed_are_reported_and_fail_no_action(runs: Runs) -> None:
    bugs: list[Exception] = []
    error = OSError("busy")

    def execute(job: Job) -> reapi.ExecuteResponse:
        job.progress.after_reply.callback(lambda: raising(error)(job))
        return reapi.ExecuteResponse()

    scheduler = runs.scheduler(
        executor=Scripted(execute), on_bug=lambda _, error: bugs.append(error)
    )
    operation = runs.submit(scheduler)
    scheduler.close(FOREVER)

    assert final(operation).status.code == Code.OK
    assert bugs == [error]


# --- merging ---


def test_equal_actions_under_way_share_one_run(runs: Runs) -> None:
    scheduler = runs.scheduler()
    one, other = runs.submit(scheduler), runs.submit(scheduler)
    runs.wait_for(1)
    late = runs.submit(scheduler)
    runs.release("")

    assert len({one.name, other.name, late.name}) == 3
    assert final(one) == final(other) == final(late)
    assert len(runs.begun) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"do_not_cache": True}, {"do_not_cache": True}),
        ({"skip_cache_lookup": True}, {}),
        ({}, {"skip_cache_lookup": True}),
        ({}, {"salt": b"other"}),
        ({"name": "one"}, {"name": "two"}),
    ],
)
def test_what_must_not_be_shared_runs_by_itself(first: dict, second: dict, runs: Runs) -> None:
    scheduler = runs.scheduler()
    operations = [runs.submit(scheduler, **first), runs.submit(scheduler, **second)]
    runs.wait_for(2)
    runs.release("", "one", "two")

    assert [final(each).status.code for each in operations] == [Code.OK, Code.OK]
    assert len(runs.begun) == 2


def test_an_action_that_has_ended_runs_again(runs: Runs) -> None:
    scheduler = runs.scheduler()
    runs.release("")
    final(runs.submit(scheduler))
    final(runs.submit(scheduler))

    assert len(runs.begun) == 2


def test_each_client_of_a_shared_run_gets_what_it_wants_inline(runs: Runs) -> None:
    digest = runs.store.put(b"said")
    go = threading.Event()

    def run(_job: Job) -> reapi.ExecuteResponse:
        go.wait(FOREVER)
        response = reapi.ExecuteResponse()
        response.result.stdout_digest.hash = digest.hash
        response.result.stdout_digest.size_bytes = digest.size
        return response

    scheduler = runs.scheduler(executor=Scripted(run))
    plain, wants = runs.submit(scheduler), runs.submit(scheduler, inline_stdout=True)
    go.set()

    assert final(plain).result.stdout_raw == b""
    assert final(wants).result.stdout_raw == b"said"


# --- cancelling ---


def test_a_cancelled_operation_ends_at_once_and_its_run_is_cancelled(runs: Runs) -> None:
    scheduler = runs.scheduler()
    operation = runs.submit(scheduler)
    runs.wait_for(1)
    scheduler.cancel(operation.name)

    assert operation.is_done
    assert final(operation).status.code == Code.CANCELLED
    assert runs.begun[0].execution.token.is_cancelled


def test_cancelling_one_of_two_leaves_the_other_alone(runs: Runs) -> None:
    scheduler = runs.scheduler()
    first, second = runs.submit(scheduler), runs.submit(scheduler)
    runs.wait_for(1)
    scheduler.cancel(first.name)
    assert not runs.begun[0].execution.token.is_cancelled
    runs.release("")

    assert final(first).status.code == Code.CANCELLED
    assert final(second).status.code == Code.OK


def test_the_same_action_after_a_cancel_gets_a_separate_run(runs: Runs) -> None:
    scheduler = runs.scheduler()
    scheduler.cancel(runs.submit(scheduler).name)
    again = runs.submit(scheduler)
    runs.release("")

    assert final(again).status.code == Code.OK


def test_a_job_cancelled_in_the_queue_is_cancelled_before_it_begins(runs: Runs) -> None:
    scheduler = runs.scheduler(jobs=1)
    first, queued = runs.submit(scheduler, "first"), runs.submit(scheduler, "queued")
    runs.wait_for(1)
    scheduler.cancel(queued.name)
    assert final(queued).status.code == Code.CANCELLED
    runs.release("first")
    final(first)
    runs.wait_for(2)

    assert runs.begun[1].execution.token.is_cancelled


def test_cancelling_what_has_ended_changes_nothing(runs: Runs) -> None:
    scheduler = runs.scheduler()
    runs.release("")
    operation = runs.submit(scheduler)
    final(operation)
    scheduler.cancel(operation.name)

    assert final(operation).status.code == Code.OK


@pytest.mark.parametrize("name", ["", "unknown", "x" * 10_000])
def test_an_unknown_operation_is_not_found(name: str, runs: Runs) -> None:
    scheduler = runs.scheduler()
    for ask in (scheduler.find, scheduler.cancel):
        with pytest.raises(RequestError) as caught:
            ask(name)
        assert caught.value.code is Code.NOT_FOUND
        assert len(caught.value.message) < 400


# --- operations that no client waits for ---


class Clock:
    """Stands for the machine's: seconds pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def abandoning(runs: Runs, clock: Clock, jobs: int = 1) -> Scheduler:
    return runs.scheduler(jobs=jobs, abandoned_timeout=60.0, clock=clock)


def test_an_abandoned_operation_is_cancelled_while_it_runs_and_dropped_from_the_queue(
    runs: Runs,
) -> None:
    clock = Clock()
    scheduler = abandoning(runs, clock)
    running, queued = runs.submit(scheduler, "running"), runs.submit(scheduler, "queued")
    runs.wait_for(1)
    clock.now += 59.9
    assert scheduler.cancel_abandoned() == pytest.approx(0.1)
    assert not running.is_done
    clock.now += 0.1
    scheduler.cancel_abandoned()

    for operation in (running, queued):
        assert final(operation).status.code == Code.CANCELLED
        assert "no client waited for it for 60 s" in final(operation).status.message
    assert runs.wait_for(2) == ["running", "queued"]
    assert all(job.execution.token.is_cancelled for job in runs.begun)


def test_an_operation_lives_as_long_as_a_stream_of_it(runs: Runs) -> None:
    clock = Clock()
    scheduler = abandoning(runs, clock)
    operation = runs.submit(scheduler)
    updates = operation.updates()
    next(updates)
    clock.now += 3_600
    assert scheduler.cancel_abandoned() == 60.0
    assert not operation.is_done
    updates.close()
    assert scheduler.cancel_abandoned() == 60.0
    clock.now += 60.0
    scheduler.cancel_abandoned()

    assert final(operation).status.code == Code.CANCELLED


def test_asking_for_it_by_name_keeps_an_operation_alive(runs: Runs) -> None:
    clock = Clock()
    scheduler = abandoning(runs, clock)
    operation = runs.submit(scheduler)
    for _ in range(5):
        clock.now += 59.0
        assert scheduler.find(operation.name) is operation
        scheduler.cancel_abandoned()
    assert not operation.is_done
    runs.release("")

    assert final(operation).status.code == Code.OK


def test_a_shared_run_lives_as_long_as_one_of_its_clients_waits(runs: Runs) -> None:
    clock = Clock()
    scheduler = abandoning(runs, clock)
    left, watched = runs.submit(scheduler), runs.submit(scheduler)
    runs.wait_for(1)
    with watched.watched():
        clock.now += 61.0
        scheduler.cancel_abandoned()
        assert final(left).status.code == Code.CANCELLED
        assert not runs.begun[0].execution.token.is_cancelled
        runs.release("")

        assert final(watched).status.code == Code.OK


def test_an_operation_that_is_done_is_not_abandoned(runs: Runs) -> None:
    clock = Clock()
    scheduler = abandoning(runs, clock)
    runs.release("")
    operation = runs.submit(scheduler)
    final(operation)
    clock.now += 120.0
    scheduler.cancel_abandoned()

    assert final(scheduler.find(operation.name)).status.code == Code.OK


def test_nothing_is_abandoned_unless_there_is_a_time_for_it(runs: Runs) -> None:
    clock = Clock()
    scheduler = runs.scheduler(clock=clock)
    operation = runs.submit(scheduler)
    clock.now += 1e6

    assert "rpw-abandoned" not in {thread.name for thread in threading.enumerate()}
    assert not operation.is_done


def test_abandoned_operations_end_by_themselves(runs: Runs) -> None:
    scheduler = runs.scheduler(abandoned_timeout=0.05)
    operation = runs.submit(scheduler)

    assert final(operation).status.code == Code.CANCELLED


def test_who_waits_is_served_before_those_who_left(runs: Runs) -> None:
    clock = Clock()
    scheduler = abandoning(runs, clock)
    runs.submit(scheduler, "first")
    runs.wait_for(1)
    left = {name: runs.submit(scheduler, name) for name in ("left", "back", "polled")}
    for operation in left.values():
        with operation.watched():
            pass
    clock.now += 5.0
    scheduler.find(left["polled"].name)
    waiting = runs.submit(scheduler, "waiting")
    with waiting.watched():
        runs.release("first")
        assert runs.wait_for(2) == ["first", "polled"]
        scheduler.find(left["back"].name)
        runs.release("polled")
        assert runs.wait_for(3)[2:] == ["back"]
        runs.release("back")
        assert runs.wait_for(4)[3:] == ["waiting"]
    runs.release("waiting", "left")
    assert runs.wait_for(5)[4:] == ["left"]


def test_a_client_that_joins_a_run_that_no_client_waited_for_brings_it_forward(runs: Runs) -> None:
    clock = Clock()
    scheduler = abandoning(runs, clock)
    runs.submit(scheduler, "first")
    runs.wait_for(1)
    with runs.submit(scheduler, "shared").watched():
        pass
    with runs.submit(scheduler, "other").watched():
        pass
    later = runs.submit(scheduler, "later")
    with later.watched():
        runs.release("first")
        assert runs.wait_for(2)[1:] == ["later"]
        with runs.submit(scheduler, "other").watched():
            runs.release("later")
            assert runs.wait_for(3)[2:] == ["other"]


# --- waiting for an execution that another client began ---


def test_an_operation_is_found_while_it_runs_and_afterwards(runs: Runs) -> None:
    scheduler = runs.scheduler()
    operation = runs.submit(scheduler)
    assert scheduler.find(operation.name) is operation
    updates = scheduler.find(operation.name).updates()
    assert not next(updates).done
    runs.release("")
    final(operation)

    assert [message.done for message in updates][-1]
    assert [message.done for message in scheduler.find(operation.name).updates()] == [True]


def test_finished_operations_are_forgotten_after_the_grace(runs: Runs) -> None:
    scheduler = runs.scheduler(grace=0.0)
    runs.release("")
    old = runs.submit(scheduler)
    final(old)
    runs.submit(scheduler)
    with pytest.raises(RequestError, match="not known here"):
        scheduler.find(old.name)


def test_many_finished_operations_are_forgotten_before_the_grace_even_behind_a_long_one(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_FINISHED", 5)
    scheduler = runs.scheduler()
    long = runs.submit(scheduler, "long")
    runs.wait_for(1)
    runs.release("")
    names = []
    for _ in range(50):
        operation = runs.submit(scheduler)
        final(operation)
        names.append(operation.name)

    def is_known(name: str) -> bool:
        try:
            scheduler.find(name)
        except RequestError:
            return False
        return True

    assert is_known(long.name)
    assert is_known(names[-1])
    assert sum(map(is_known, names)) <= 8


# --- the end ---


def test_closing_waits_for_what_is_at_work(runs: Runs) -> None:
    scheduler = runs.scheduler()
    operation = runs.submit(scheduler)
    runs.wait_for(1)
    closing = threading.Thread(target=scheduler.close, args=(FOREVER,))
    closing.start()
    runs.release("")
    closing.join(FOREVER)

    assert not closing.is_alive()
    assert final(operation).status.code == Code.OK


def test_closing_does_not_wait_for_what_no_client_waits_for(runs: Runs) -> None:
    scheduler = runs.scheduler(jobs=1)
    operations = [runs.submit(scheduler, name) for name in "ab"]
    runs.wait_for(1)
    for operation in operations:
        with operation.watched():
            pass
    closing = threading.Thread(target=scheduler.close, args=(10 * FOREVER,))
    closing.start()
    closing.join(FOREVER)

    assert not closing.is_alive()
    assert [final(each).status.code for each in operations] == [Code.UNAVAILABLE] * 2


def test_closing_cancels_what_does_not_end_in_time_queued_jobs_too(runs: Runs) -> None:
    scheduler = runs.scheduler(jobs=1)
    operations = [runs.submit(scheduler, name) for name in "abc"]
    runs.wait_for(1)
    scheduler.close(0.0)

    responses = [final(each) for each in operations]
    assert [each.status.code for each in responses] == [Code.UNAVAILABLE] * 3
    assert {each.message for each in responses} == {"the server is stopping"}
    assert all(job.execution.token.is_cancelled for job in runs.begun)


def test_a_closed_scheduler_takes_nothing_more_and_can_be_closed_again(runs: Runs) -> None:
    scheduler = runs.scheduler()
    scheduler.close(0.0)
    scheduler.close(0.0)
    with pytest.raises(RequestError) as caught:
        runs.submit(scheduler)

    assert caught.value.code is Code.UNAVAILABLE


def test_clearing_cancels_and_forgets_everything_and_goes_on(runs: Runs) -> None:
    scheduler = runs.scheduler()
    operation = runs.submit(scheduler, "before")
    runs.wait_for(1)
    scheduler.clear()
    assert final(operation).status.code == Code.CANCELLED
    with pytest.raises(RequestError):
        scheduler.find(operation.name)
    runs.release("after")

    assert final(runs.submit(scheduler, "after")).status.code == Code.OK


def test_clearing_while_others_submit_loses_no_answer(runs: Runs) -> None:
    scheduler = runs.scheduler(jobs=4)
    with_lock = threading.Lock()
    runs.release("")
    operations: list[Operation] = []

    def submit() -> None:
        for number in range(50):
            operation = runs.submit(scheduler, salt=bytes([number]))
            with with_lock:
                operations.append(operation)

    threads = [threading.Thread(target=submit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        scheduler.clear()
    for thread in threads:
        thread.join(FOREVER)

    assert len(operations) == 150
    assert {final(each).status.code for each in operations} <= {Code.OK, Code.CANCELLED}
