"""Running the workers that come before a trial's own in the same place, and keeping what they leave."""

from __future__ import annotations

import time

from rpw_fixture.hermeticity.trials import snapshot
from rpw_fixture.hermeticity.trials.run_folder import RunFolder
from rpw_fixture.hermeticity.trials.sequential import Conversation
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

#: Seconds between two looks at whether the worker has changed a file.
_LOOK = 0.00005


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
        conversation = Conversation(setup, run_folder, session, keeps_strays=True)
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
    deadline = time.monotonic() + setup.worker.timeout
    if predecessor.interruption is Interruption.FIRST_WRITE:
        is_in_time = _send_until_write(session, request, run_folder, deadline)
    else:
        session.send(request)
        session.hand_over(deadline)
        is_in_time = not session.has_output(predecessor.delay)
    is_interrupted = session.interrupt() and is_in_time
    run_folder.keep(setup.look(run_folder.input_root, before, layout).strays)
    return is_interrupted


def _send_until_write(
    session: WorkerSession, request: Request, run_folder: RunFolder, deadline: float
) -> bool:
    """Send a request and wait until a file changes; return False if the response comes before."""
    try:
        watch = WriteWatch((run_folder.home, run_folder.temporary, run_folder.root))
    except OSError as error:
        raise UnavailableError(f"changes of files can't be watched: {error}") from None
    with watch:
        session.send(request)
        while time.monotonic() < deadline:
            session.hand_over(time.monotonic() + _LOOK)
            if watch.has_changed():
                return True
            if session.has_output(0):
                return False
            time.sleep(_LOOK)
    return True
