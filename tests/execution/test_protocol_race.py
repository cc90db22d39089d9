"""Two workers asked in two protocols: who may still take part, and who is killed."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.errors import Code
from rpw_fixture.execution.protocol_race import ProtocolRace, Side, _is_ambiguous
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.protocol_memory import ProtocolMemory
from tests.waiting import until


class Race:
    """A race with workers that only note that they were killed."""

    def __init__(self, *, seconds: float = 60, patience: float = 60) -> None:
        self.killed: list[int] = []
        self.memory = ProtocolMemory()
        self.token = CancelToken()
        self.first, self.second = map(self._worker, (1, 2), WorkerProtocol)
        self.race = ProtocolRace(
            self.memory,
            self.first,
            patience=patience,
            deadline=time.monotonic() + seconds,
            token=self.token,
        )

    def _worker(self, number: int, protocol: WorkerProtocol) -> Any:
        return SimpleNamespace(
            number=number,
            has_begun=True,
            key=SimpleNamespace(tool="tool", protocol=protocol, startup_arguments=()),
            process=SimpleNamespace(kill_tree=lambda: self.killed.append(number)),
        )


def failure(rule: str = "crash", **values: Any) -> WorkerFailure:
    return WorkerFailure(worker=1, rule=rule, detail="", **values)


def never() -> None:
    pytest.fail("nobody should be asked")


def test_the_winner_kills_the_other_and_a_later_one_is_too_late() -> None:
    made = Race()
    made.race.enter(made.second)
    made.race.claim(Side.FIRST, made.first)
    assert (made.killed, made.race.winner) == ([2], Side.FIRST)
    assert made.memory.answer(made.first.key) is WorkerProtocol.PROTO
    for late in (
        lambda: made.race.claim(Side.SECOND, made.second),
        lambda: made.race.enter(made.second),
    ):
        with pytest.raises(WorkerFailure) as found:
            late()
        assert found.value.rule == Retirement.OTHER_PROTOCOL
        assert found.value.worker == 2
    assert (made.killed, made.race.winner) == ([2], Side.FIRST)


def test_a_winner_that_is_alone_kills_no_other() -> None:
    made = Race()
    made.race.enter(made.second)
    made.race.leave()
    made.race.claim(Side.FIRST, made.first)
    assert made.killed == []


def test_an_answer_to_another_action_ends_a_race_that_is_lost_by_it() -> None:
    made = Race()
    made.memory.settle(made.second.key)
    assert made.race.is_assumption_wrong is True
    with made.race.watching(never):
        pass
    assert made.killed == [1]
    right = Race()
    right.memory.settle(right.first.key)
    with right.race.watching(never):
        pass
    assert (right.killed, right.race.is_assumption_wrong) == ([], False)


@pytest.mark.parametrize("why", ["cancelled", "late", "clear failure"])
def test_no_second_worker_is_asked_when_it_can_not_matter(why: str) -> None:
    made = Race(seconds=0 if why == "late" else 60)
    if why == "cancelled":
        made.token.cancel()
    if why == "clear failure":
        made.race.first_failed(failure(was_unread=True))
    with made.race.watching(never):
        pass
    assert made.race.was_second_asked is False


def test_what_goes_wrong_with_the_second_worker_is_kept() -> None:
    made = Race(patience=0)
    error = KeyError("bug")

    def ask() -> None:
        raise error

    with made.race.watching(ask):
        pass
    assert made.race.error is error
    assert made.race.was_second_asked is True
    assert made.memory.asked_twice == set()


def test_an_error_in_the_block_kills_the_second_worker_unless_it_has_won() -> None:
    lost = Race(patience=0)
    with pytest.raises(LookupError), lost.race.watching(lambda: lost.race.enter(lost.second)):
        _fail_once_asked(lost)
    assert lost.killed == [2]
    won = Race(patience=0)
    won.race.enter(won.second)
    won.race.claim(Side.SECOND, won.second)
    assert won.killed == [1]
    with pytest.raises(LookupError), won.race.watching(never):
        raise LookupError
    assert won.killed == [1]


def _fail_once_asked(made: Race) -> None:
    until(lambda: made.race._second is not None)
    raise LookupError


@pytest.mark.parametrize(
    ("found", "is_ambiguous"),
    [
        (failure(), True),
        (failure(was_unread=True), False),
        (failure(exit_status=-9), False),
        (failure(exit_status=-9, is_violation=True), True),
        (failure(exit_status=-11), True),
        (failure(code=Code.UNAVAILABLE), False),
        (failure("start failed"), False),
    ],
)
def test_some_failures_may_come_of_the_wrong_protocol(
    found: WorkerFailure, is_ambiguous: bool
) -> None:
    assert _is_ambiguous(found) is is_ambiguous
