"""Requests that a multiplex worker had not read when it ended: another one gets them, if it can help."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.execution.persistent import PersistentExecutor
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.multiplex import Multiplex


def failure_of_a_call(*, consumed: int, sent_from: int | None) -> WorkerFailure:
    """The failure of a request whose first byte was number ``sent_from``, once the worker crashed."""
    conversation: Any = Multiplex.__new__(Multiplex)
    conversation._failure_known = threading.Event()
    conversation._failure_known.set()
    conversation._failure = WorkerFailure(worker=1, rule=str(Retirement.CRASH), detail="it ended")
    conversation._cause = None
    conversation._consumed = consumed
    found: WorkerFailure = conversation._failure_of(SimpleNamespace(sent_from=sent_from))
    return found


@pytest.mark.parametrize(
    ("consumed", "sent_from", "was_unread", "had_read_others"),
    [
        (0, 0, True, False),  # it ended before it read anything
        (0, 100, True, False),
        (0, None, True, False),
        (100, 100, True, True),  # of two requests it read the first one
        (100, None, True, True),
        (101, 100, False, False),
        (100, 0, False, False),
    ],
)
def test_what_a_worker_had_read_when_it_ended(
    consumed: int, sent_from: int | None, was_unread: bool, had_read_others: bool
) -> None:
    failure = failure_of_a_call(consumed=consumed, sent_from=sent_from)
    assert (failure.was_unread, failure.had_read_others) == (was_unread, had_read_others)
    noted = failure.with_note("a note")
    assert (noted.was_unread, noted.had_read_others) == (was_unread, had_read_others)


@pytest.mark.parametrize(
    ("consumed", "sent_from", "is_reused", "reason"),
    [
        (0, 0, False, None),  # another fresh worker would end as well
        (0, 0, True, Retirement.CRASHED_IDLE),
        (100, 100, False, Retirement.CRASHED_IDLE),  # another action ended it
        (100, 0, False, None),
        (100, 0, True, None),
    ],
)
def test_an_unread_request_gets_another_worker_if_others_were_read(
    consumed: int, sent_from: int, is_reused: bool, reason: Retirement | None
) -> None:
    executor: Any = PersistentExecutor.__new__(PersistentExecutor)
    executor._config = SimpleNamespace(retry_crashed_worker=False)
    failure = failure_of_a_call(consumed=consumed, sent_from=sent_from)
    assert executor._reason_to_retry(failure, 0, is_reused=is_reused) == reason
