"""Running a history in which one request waits for an input while the next one comes.

The input is a named pipe: the worker opens it and waits until the other end writes. So it does not depend
on the speed of the machine whether two requests overlap.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import time
from dataclasses import replace
from typing import NamedTuple

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.trials.overlapping import LATE, request_of, stage_all
from rpw_fixture.hermeticity.trials.run_folder import RunFolder, plant
from rpw_fixture.hermeticity.trials.trial import Cancel, Holding, Outcome, Result, Trial
from rpw_fixture.hermeticity.trials.worker_session import TIMEOUT, Failure, WorkerSession
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup, outcome_of
from rpw_fixture.support.beneath import Beneath
from rpw_fixture.support.removal import remove_at
from rpw_fixture.wire.worker.messages import Response

#: The least time to wait for the other request, seconds, and the multiple of its usual time.
_PATIENCE, _TIMES = 1.5, 5
_LOOK = 0.01
_WRITE_ONLY = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC


class _Pipe(NamedTuple):
    """A named pipe in place of an input, and what belongs there."""

    root: Beneath
    path: str
    content: bytes

    def make(self) -> None:
        """Put the pipe in place of the input."""
        above, name = posixpath.split(self.path)
        with self.root.below(above).opened() as fd:
            remove_at(fd, name)
            os.mkfifo(name, 0o644, dir_fd=fd)

    def opened(self) -> int | None:
        """Return the writing end once the worker reads the other; the plain input is back then."""
        above, name = posixpath.split(self.path)
        with self.root.below(above).opened() as fd:
            try:
                end = os.open(name, _WRITE_ONLY, dir_fd=fd)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nobody reads yet
                    return None
                raise
        plant(self.root, self.path, self.content)
        return end


class _Exchange:
    """The requests of a trial and the responses so far, by number."""

    def __init__(self, setup: WorkerSetup, trial: Trial, run_folder: RunFolder) -> None:
        self._setup = setup
        self._steps = trial.history
        self._run_folder = run_folder
        self._layouts = [setup.laid_out(step.action) for step in trial.history]
        first, middle = stage_all(setup, self._layouts[:2], run_folder)
        self._roots = (first, middle, first)
        self._answers: dict[int, Response] = {}
        self._failure = Failure(TIMEOUT, "no response")
        self._late: Failure | None = None

    def pipe(self) -> _Pipe:
        """Return the pipe for the held input of the second request."""
        path = self._steps[1].held_at
        entry = self._steps[1].action.inputs[path]
        return _Pipe(self._roots[1], path, entry.content if isinstance(entry, File) else b"")

    def send(self, session: WorkerSession, number: int) -> None:
        """Queue the request with that number."""
        step, layout, root = (
            self._steps[number - 1],
            self._layouts[number - 1],
            self._roots[number - 1],
        )
        session.send(request_of(self._setup, layout, step, number, root, self._run_folder))

    def receive(self, session: WorkerSession, wanted: int, seconds: float) -> bool:
        """Receive responses until the wanted one is there; return whether it came in time."""
        deadline = time.monotonic() + seconds
        while wanted not in self._answers and self._failure.rule == TIMEOUT:
            answer = session.receive(deadline)
            if isinstance(answer, Response):
                self._answers[answer.request_id] = answer
            elif answer.rule == TIMEOUT:
                break
            else:
                self._failure = answer
        return wanted in self._answers

    @property
    def is_cancelled(self) -> bool:
        """Whether the held request is cancelled."""
        return self._steps[1].cancel is not Cancel.NEVER

    def listen(self, session: WorkerSession) -> None:
        """Note a second answer to a cancelled request."""
        if self.is_cancelled and self._failure.rule == TIMEOUT:
            self._late = session.listen(LATE)

    def has_ended(self, number: int) -> bool:
        """Return whether a request was answered, or can't be any more."""
        return number in self._answers or self._failure.rule != TIMEOUT

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return the outcome of each request, from its response alone."""
        found = [
            outcome_of(step, self._answers.get(number, self._failure))
            for number, step in enumerate(self._steps, 1)
        ]
        if self._late is not None:
            late = f"the worker answered twice: {self._late.detail}"
            found[1] = replace(found[1], late=late)
        return tuple(found)


def run(setup: WorkerSetup, trial: Trial, run_folder: RunFolder) -> Result:
    """Run a trial of three requests: one that warms the worker up, the held one, the first one again.

    Raises:
        ConfigError, UnavailableError: as `WorkerSetup.started`.
    """
    exchange = _Exchange(setup, trial, run_folder)
    timeout = setup.worker.timeout
    with setup.started(run_folder) as session:
        began = time.monotonic()
        exchange.send(session, 1)
        holding = Holding()
        if exchange.receive(session, 1, timeout):
            usual = time.monotonic() - began
            holding = _hold(exchange, session, usual, timeout)
        ending = session.finish(trial.eof_patience)
    return Result(outcomes=exchange.outcomes(), ending=ending, holding=holding)


def _hold(exchange: _Exchange, session: WorkerSession, usual: float, timeout: float) -> Holding:
    """Hold the second request and send the third one."""
    patience = min(timeout, max(_PATIENCE, _TIMES * usual))
    pipe = exchange.pipe()
    pipe.make()
    exchange.send(session, 2)
    end = _await_reader(exchange, session, pipe, patience)
    if end is None:
        return Holding(usual=usual)
    try:
        began = time.monotonic()
        exchange.send(session, 3)
        if exchange.is_cancelled:
            session.cancel(2)
        is_served = exchange.receive(session, 3, patience)
        waited = time.monotonic() - began
        is_held = not exchange.has_ended(2)
        with contextlib.suppress(OSError):  # the worker does not read any more
            os.write(end, pipe.content)
    finally:
        os.close(end)
    for number in (2, 3):
        exchange.receive(session, number, timeout)
    exchange.listen(session)
    return Holding(is_held=is_held, is_served=is_served, usual=usual, waited=waited)


def _await_reader(
    exchange: _Exchange, session: WorkerSession, pipe: _Pipe, patience: float
) -> int | None:
    """Return the writing end once the worker reads; None if it answers without, or not in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and not exchange.has_ended(2):
        if (end := pipe.opened()) is not None:
            return end
        exchange.receive(session, 2, _LOOK)
    return None
