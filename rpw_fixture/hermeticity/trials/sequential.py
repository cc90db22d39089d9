"""Running a history in sequence: each request is sent to the worker after the previous response."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from rpw_fixture.hermeticity.trials import bulk, snapshot
from rpw_fixture.hermeticity.trials.input_tree import Layout
from rpw_fixture.hermeticity.trials.late_access import LateAccess
from rpw_fixture.hermeticity.trials.run_folder import RunFolder, children, plant, sample
from rpw_fixture.hermeticity.trials.trial import Cancel, Outcome, Result, Sample, Step, Trial
from rpw_fixture.hermeticity.trials.worker_session import Failure, WorkerSession
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup, outcome_of
from rpw_fixture.wire.worker.messages import Response

#: Of a measured history, resources are read this often or a little more; in between they are taken to stay.
_SAMPLES = 200
#: A trial lingers after at most this many responses.
_MOST_LINGERED = 13
#: Seconds to wait for late writes or a second response.
_LATE = 0.15


def run(setup: WorkerSetup, trial: Trial, run_folder: RunFolder) -> Result:
    """Run the trial; the worker starts with the inputs of the first action or of ``started_with``.

    Raises:
        ConfigError, UnavailableError: as `WorkerSetup.started`.
    """
    first = trial.started_with or trial.history[0].action
    setup.stage(first, run_folder)
    with setup.watched(trial, first, run_folder) as watch, setup.started(run_folder) as session:
        if trial.started_with is not None:
            session.rest()
        conversation = SequentialConversation(setup, run_folder, session, timeout=trial.timeout)
        outcomes = conversation.run(trial)
        if watch is not None:
            outcomes[-1] = replace(outcomes[-1], opened=watch.opened())
        is_alive = not outcomes[-1].failure
        ending = session.finish(trial.eof_patience if is_alive else 0.0)
        conversation.look_again(outcomes)
    if ending.rule and is_alive:
        outcomes[-1] = replace(outcomes[-1], failure=ending.rule, detail=ending.surplus)
    trace = run_folder.trace if trial.variation.prefix else ""
    return Result(outcomes=tuple(outcomes), ending=ending, trace=trace)


class SequentialConversation:
    """The conversation with one worker, with a look at its input root after each response.

    Args:
        setup, run_folder, session: the worker and its place.
        keeps_strays: undeclared files that it leaves are put back for each later request.
        timeout: time limit for one request, seconds; None for the suite's.
        on_turn: called before each request with the number of requests that were answered.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        run_folder: RunFolder,
        session: WorkerSession,
        *,
        keeps_strays: bool = False,
        timeout: float | None = None,
        on_turn: Callable[[int], None] | None = None,
    ) -> None:
        self._setup = setup
        self._on_turn = on_turn
        self._keeps_strays = keeps_strays
        self._run_folder = run_folder
        self._session = session
        self._timeout = setup.worker.timeout if timeout is None else timeout
        #: Outputs as they were at the response; None for those that were not there.
        self._answered: dict[str, snapshot.FileState | None] = {}
        self._lingers_from = math.inf
        self._has_begun = False

    def run(self, trial: Trial) -> list[Outcome]:
        """Return the outcomes of the steps, up to the first one that fails."""
        first = max(1, len(trial.history) + 1 - _MOST_LINGERED)
        self._lingers_from = first if trial.lingers else math.inf
        return self.serve(
            trial.history, is_measured=trial.is_measured, max_seconds=trial.max_seconds
        )

    def serve(
        self,
        history: Sequence[Step],
        *,
        is_measured: bool = False,
        max_seconds: float | None = None,
    ) -> list[Outcome]:
        """Return the outcomes of requests, up to the first one that fails, or while there is time."""
        deadline = math.inf if max_seconds is None else time.monotonic() + max_seconds
        outcomes: list[Outcome] = []
        known: Sample | None = None
        stride = max(1, len(history) // _SAMPLES)
        for number, step in enumerate(history, start=1):
            if number > 1:
                self._session.stay_idle(step.pause)
                self.look_again(outcomes)
                if (fault := self._session.find_surplus()) is not None:
                    return [*outcomes, outcome_of(step, fault)]
            if self._on_turn is not None:
                self._on_turn(number - 1)
            with contextlib.ExitStack() as stack:
                outcome = self._request(step, number, stack)
            if is_measured:
                if known is None or number % stride == 0:
                    known = sample(self._session.process.pid, self._run_folder)
                outcome = replace(outcome, sample=known)
            outcomes.append(outcome)
            if outcome.failure or time.monotonic() > deadline:
                break
        return outcomes

    def look_again(self, outcomes: list[Outcome]) -> None:
        """Note in the last outcome which of its outputs were written since the response."""
        if not self._answered or outcomes[-1].failure:
            return
        now = snapshot.look_at(self._run_folder.input_root, self._answered)
        changed = tuple(path for path, seen in self._answered.items() if now.get(path) != seen)
        if changed:
            outcomes[-1] = replace(outcomes[-1], rewritten=changed)

    def _request(self, step: Step, number: int, watches: contextlib.ExitStack) -> Outcome:
        setup, run_folder, session = self._setup, self._run_folder, self._session
        layout = setup.stage(step.action, run_folder, in_place=step.in_place)
        for path, content in step.planted:
            plant(run_folder.input_root, path, content)
        bulk.plant(step.bulk, run_folder.input_root)
        before = snapshot.look(run_folder.input_root)
        request_id = number if setup.worker.multiplex else 0
        request_id = request_id if step.request_id is None else step.request_id
        session.stderr.drain()
        # What the worker writes as it starts belongs to the first request, however fast it is.
        mark = session.stderr.total if self._has_begun else 0
        self._has_begun = True
        late_access = self._late_access(layout, number, watches)
        session.send(
            setup.request(layout, step, number, request_id=request_id),
            is_extended=step.is_extended,
            delivery=step.delivery,
        )
        began = time.monotonic()  # not before: encoding a large request may take long
        self._cancel(step, request_id)
        answer = session.receive(began + self._timeout)
        seconds = time.monotonic() - began
        if late_access is not None:
            late_access.begin()
        seen = setup.look(run_folder.input_root, before, layout)
        if self._keeps_strays:
            run_folder.keep(seen.strays)
        self._note_answered(layout, seen.outputs)
        late = self._find_late(step, answer)
        session.stderr.drain()
        return replace(
            self._with_late_access(outcome_of(step, answer), late_access, seen.outputs),
            outputs=seen.outputs,
            changed_inputs=seen.changed_inputs,
            strays=seen.strays,
            children=children(session.process.pid),
            stderr=session.stderr.since(mark).decode(errors="replace"),
            late=late,
            seconds=seconds,
        )

    def _note_answered(self, layout: Layout, outputs: Collection[str]) -> None:
        missing = dict.fromkeys(layout.outputs)
        self._answered = {**missing, **snapshot.look_at(self._run_folder.input_root, outputs)}

    def _with_late_access(
        self, outcome: Outcome, late_access: LateAccess | None, outputs: Collection[str]
    ) -> Outcome:
        """Return the outcome with what was read, or left open, after the response."""
        if late_access is None or outcome.failure:
            return outcome
        return replace(
            outcome,
            read_late=late_access.wait(),
            still_open=late_access.still_open(self._session.process.pid, outputs),
        )

    def _late_access(
        self, layout: Layout, number: int, watches: contextlib.ExitStack
    ) -> LateAccess | None:
        """Begin to watch the inputs of a request, if the trial lingers after its response."""
        if number < self._lingers_from:
            return None
        tools = self._setup.tools.root
        inputs = [path for path, _ in layout.root.walk() if tools.find(path) is None]
        with contextlib.suppress(OSError):
            return watches.enter_context(LateAccess(self._run_folder, inputs))
        return None

    def _cancel(self, step: Step, request_id: int) -> None:
        if step.cancel is Cancel.AT_WORK:
            self._hand_over()
            time.sleep(step.delay)
        if step.cancel in {Cancel.AT_ONCE, Cancel.AT_WORK}:
            self._session.cancel(request_id)

    def _hand_over(self) -> None:
        self._session.hand_over(time.monotonic() + self._timeout)

    def _find_late(self, step: Step, answer: Response | Failure) -> str:
        """Return what a worker does too late after the response to a cancelled request; else empty."""
        if isinstance(answer, Failure):
            return ""
        if step.cancel is Cancel.AFTERWARDS:
            self._session.cancel(answer.request_id)
            self._hand_over()
            fault = self._session.listen(_LATE)
            return f"the worker answered twice: {fault.detail}" if fault is not None else ""
        return self._await_late_writes() if answer.was_cancelled else ""

    def _await_late_writes(self) -> str:
        before = snapshot.look(self._run_folder.input_root)
        time.sleep(_LATE)
        after = snapshot.look(self._run_folder.input_root)
        # Deepest first: a folder changes because of what is in it.
        changed = [path for path, seen in reversed(after.items()) if before.get(path) != seen]
        return f"{changed[0]} was written after the response" if changed else ""
