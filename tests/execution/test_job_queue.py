"""The queue of jobs by itself: turns, pauses, and what happens when no thread can be started."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.execution import job_queue as module
from rpw_fixture.execution.job_queue import JobQueue, Turn
from rpw_fixture.support.thread_pool import ThreadPool

FOREVER = 30.0


class Client:
    """Stands for who waits for a job."""

    def __init__(self) -> None:
        self.is_wanted = True


class Jobs:
    """Jobs that begin and end when the test says so."""

    def __init__(self) -> None:
        self.queue = JobQueue(1, self._note_room)
        self.begun: list[str] = []
        self.rooms = 0
        self.on_room: Callable[[], None] = lambda: None
        self._changed = threading.Condition()
        self._released: set[str] = set()

    def _note_room(self) -> None:
        self.rooms += 1
        self.on_room()

    def add(self, name: str, client: Client | None = None) -> Turn:
        turn = self.queue.turn(client or Client())
        turn.work = lambda: self._run(name)
        self.queue.add(turn)
        return turn

    def _run(self, name: str) -> None:
        with self._changed:
            self.begun.append(name)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._released & {name, "all"}, FOREVER)

    def release(self, *names: str) -> None:
        with self._changed:
            self._released |= set(names)
            self._changed.notify_all()

    def wait_for(self, *names: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.begun) >= len(names), FOREVER)
            assert self.begun == list(names)


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs()
    yield made
    made.release("all")
    made.queue.close()


def test_a_paused_job_lets_the_next_one_run_and_takes_a_turn_again_when_there_is_room(
    jobs: Jobs,
) -> None:
    first, _ = jobs.add("first"), jobs.add("second")
    jobs.wait_for("first")
    assert first.has_successors
    first.pause()
    first.pass_on()
    jobs.wait_for("first", "second")

    assert not first.has_successors
    assert first.others_run
    assert not first.can_go_on
    assert not first.resume()
    resumed = threading.Event()
    jobs.on_room = lambda: resumed.set() if first.resume() else None
    jobs.release("second")
    assert resumed.wait(FOREVER)
    jobs.add("third")
    jobs.release("first", "third")
    jobs.wait_for("first", "second", "third")


def test_a_job_counts_those_that_began_later_and_ended_while_it_was_paused(jobs: Jobs) -> None:
    first = jobs.add("first")
    jobs.wait_for("first")
    first.pause()
    for count, name in enumerate(["a", "b", "c"], start=1):
        jobs.release(name)
        jobs.add(name)
        jobs.wait_for("first", *"abc"[:count])
    last = jobs.add("d")
    jobs.wait_for("first", "a", "b", "c", "d")

    assert first.passed_over == 3
    assert last.passed_over == 0


def test_a_limited_number_of_jobs_is_paused_at_a_time(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PAUSED", 2)
    turns = []
    for count, name in enumerate("abc", start=1):
        turns.append(jobs.add(name))
        if count < 3:
            jobs.wait_for(*"abc"[:count])
            turns[-1].pause()
            turns[-1].pass_on()
    assert jobs.begun == ["a", "b"]
    assert not turns[0].has_successors
    assert turns[0].resume()
    jobs.release("a")
    jobs.wait_for("a", "b", "c")


def test_a_paused_job_that_ends_without_a_turn_keeps_none(jobs: Jobs) -> None:
    first = jobs.add("first")
    jobs.wait_for("first")
    first.pause()
    jobs.release("first", "second", "third")
    jobs.add("second")
    jobs.wait_for("first", "second")
    jobs.add("third")
    jobs.wait_for("first", "second", "third")


def test_a_job_that_has_not_begun_can_be_taken_out(jobs: Jobs) -> None:
    gone = Client()
    first, second, third = jobs.add("first"), jobs.add("second", gone), jobs.add("third")
    jobs.wait_for("first")
    gone.is_wanted = False
    assert not jobs.queue.take_out(first)
    assert jobs.queue.take_out(third)
    jobs.add("fourth")
    jobs.release("first")
    jobs.wait_for("first", "fourth")
    assert jobs.queue.take_out(second)
    assert not jobs.queue.take_out(second)


def test_a_job_is_refused_when_no_thread_can_be_started_and_none_runs(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: ThreadPool, _work: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(ThreadPool, "start", fail)
        with pytest.raises(RequestError, match="no thread can be started") as caught:
            jobs.add("refused")
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    jobs.add("later")
    jobs.wait_for("later")
    jobs.add("queued")
    jobs.release("later")
    jobs.wait_for("later", "queued")


def test_a_job_waits_for_a_running_thread_when_no_further_one_can_be_started(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = jobs.add("first")
    jobs.wait_for("first")
    first.pause()
    with monkeypatch.context() as patch:
        patch.setattr(ThreadPool, "start", lambda _self, _work: (_ for _ in ()).throw(RuntimeError))
        jobs.add("second")
    assert jobs.begun == ["first"]
    jobs.release("first")
    jobs.wait_for("first", "second")
