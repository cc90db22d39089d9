"""A worker's peak of memory: read for each request, but not again for every one of many short ones."""

from __future__ import annotations

from typing import Any, cast

import pytest

from rpw_fixture.workers import worker
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.worker import Worker


class Pipes:
    """Stands for the pipes of a worker, which know its memory."""

    def __init__(self) -> None:
        self.peak_bytes = 1


def made(pipes: Pipes) -> Worker:
    nothing = cast("Any", None)
    return Worker(
        number=1,
        key=WorkerKey(client_key="k"),
        pipes=cast("Any", pipes),
        conversation=nothing,
        slots=1,
        folder="",
    )


def test_the_peak_of_a_short_request_may_be_that_of_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "_PEAK_INTERVAL", 3600.0)
    pipes = Pipes()
    one = made(pipes)
    assert one.recent_peak_bytes == 1
    pipes.peak_bytes = 2
    assert one.recent_peak_bytes == 1
    assert one.peak_bytes == 2
    assert one.recent_peak_bytes == 2


def test_the_peak_is_read_again_after_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_PEAK_INTERVAL", 0.0)
    pipes = Pipes()
    one = made(pipes)
    for each in (1, 2, 3):
        pipes.peak_bytes = each
        assert one.recent_peak_bytes == each
    pipes.peak_bytes = 0  # the process has ended
    assert one.recent_peak_bytes == 3
