"""Running the workers that come before a trial's own in the same place, and keeping what they leave."""

from __future__ import annotations

import contextlib
import os
import posixpath
import time
from collections.abc import Iterator

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials import snapshot
from rpw_fixture.hermeticity.trials.preemption import preempting
from rpw_fixture.hermeticity.trials.run_folder import RunFolder
from rpw_fixture.hermeticity.trials.sequential import SequentialConversation
from rpw_fixture.hermeticity.trials.trial import (
    Earlier,
    Interruption,
    Predecessor,
    Trial,
    UnavailableError,
)
from rpw_fixture.hermeticity.trials.worker_session import WorkerSession
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup
from rpw_fixture.hermeticity.trials.write_watch import WriteWatch
from rpw_fixture.wire.worker.messages import Request

#: A worker that has neither changed a file nor answered by then is killed anyway, seconds.
_LONGEST_WAIT = 2.0
#: Seconds between two looks at whether the worker has opened an input.
_LOOK = 0.001


def run(setup: WorkerSetup, trial: Trial, run_folder: RunFolder) -> tuple[Earlier, ...]:
    """Run the predecessors of a trial, one after the other, in its folders.

    Raises:
        ConfigError, UnavailableError: as `WorkerSetup.started`.
    """
    return tuple(_run(setup, trial, each, run_folder) for each in trial.predecessors)


def _run(
    setup: WorkerSetup, trial: Trial, predecessor: Predecessor, run_folder: RunFolder
) -> Earlier:
    is_killed = predecessor.interruption is not Interruption.NEVER
    usual = predecessor.history[:-1] if is_killed else predecessor.history
    setup.stage(predecessor.history[0].action, run_folder)
    with setup.started(run_folder) as session:
        conversation = SequentialConversation(setup, run_folder, session, keeps_strays=True)
        outcomes = conversation.serve(usual)
        if is_killed and not (outcomes and outcomes[-1].failure):
            return Earlier(
                outcomes=tuple(outcomes),
                is_interrupted=_interrupt(setup, predecessor, run_folder, session),
            )
        session.finish(trial.eof_patience)
    return Earlier(outcomes=tuple(outcomes))


def _interrupt(
    setup: WorkerSetup, predecessor: Predecessor, run_folder: RunFolder, session: WorkerSession
) -> bool:
    """Send the last request and kill the worker meanwhile; return whether it had not answered yet."""
    step, number = predecessor.history[-1], len(predecessor.history)
    layout = setup.stage(step.action, run_folder)
    before = snapshot.look(run_folder.input_root)
    request = setup.request(
        layout, step, number, request_id=number if setup.worker.multiplex else 0
    )
    if number == 1:
        session.rest()  # what it writes while it starts is no part of the request
    with _stopped_in_time(predecessor, session, request, run_folder, layout.outputs) as is_in_time:
        is_interrupted = session.interrupt() and is_in_time
    run_folder.keep(setup.look(run_folder.input_root, before, layout).strays)
    return is_interrupted


@contextlib.contextmanager
def _stopped_in_time(
    predecessor: Predecessor,
    session: WorkerSession,
    request: Request,
    run_folder: RunFolder,
    outputs: tuple[str, ...],
) -> Iterator[bool]:
    """Send a request; enter the block at the moment to kill the worker.

    Yields:
        Whether the worker had not answered by then.
    """
    deadline = time.monotonic() + _LONGEST_WAIT
    if predecessor.interruption is Interruption.READING:
        with _unreadable(predecessor.history[-1].action, run_folder) as fifo:
            session.send(request)
            with _awaited_reader(session, fifo, deadline) as is_reading:
                yield is_reading
        return
    with preempting(session.process.pid):
        if predecessor.interruption is Interruption.FIRST_WRITE:
            # Within the watch: closing it takes so long that the worker goes on.
            with _watched(run_folder, outputs) as watch:
                session.send(request)
                yield _await_change(session, watch, deadline)
            return
        session.send(request)
        session.hand_over(deadline)
        time.sleep(predecessor.delay)
        yield not session.has_output(0)


def _watched(run_folder: RunFolder, outputs: tuple[str, ...]) -> WriteWatch:
    folders = (run_folder.home, run_folder.temporary, run_folder.root)
    ignored = [os.path.join(run_folder.root, each) for each in outputs]
    try:
        return WriteWatch(folders, ignored)
    except OSError as error:
        raise UnavailableError(f"changes of files can't be watched: {error}") from None


def _await_change(session: WorkerSession, watch: WriteWatch, deadline: float) -> bool:
    """Wait until a file changes; return False if the response comes before."""
    while session.await_event(watch.descriptor, deadline):
        if watch.has_changed() or time.monotonic() >= deadline:
            return True
    return False


@contextlib.contextmanager
def _unreadable(action: SuiteAction, run_folder: RunFolder) -> Iterator[str]:
    """Put a FIFO in place of the last input, whose reader waits; yield its path, or an empty text."""
    paths = [path for path, entry in action.inputs.items() if isinstance(entry, File)]
    if not paths:
        yield ""
        return
    above, name = posixpath.split(paths[-1])
    with run_folder.input_root.below(above or ".").opened() as folder:
        os.unlink(name, dir_fd=folder)
        os.mkfifo(name, 0o644, dir_fd=folder)
        try:
            yield os.path.join(run_folder.root, paths[-1])
        finally:
            os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def _awaited_reader(session: WorkerSession, fifo: str, deadline: float) -> Iterator[bool]:
    """Wait until the worker has opened a FIFO for reading, and let it wait for content in the block.

    Yields:
        Whether that was before its response.
    """
    with contextlib.ExitStack() as stack:
        while time.monotonic() < deadline:
            session.hand_over(time.monotonic() + _LOOK)
            with contextlib.suppress(OSError):  # there is no reader yet
                writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                stack.callback(os.close, writer)
                break
            if session.has_output(_LOOK):
                yield False
                return
        yield True
