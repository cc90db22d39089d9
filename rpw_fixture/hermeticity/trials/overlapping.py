"""Running a history with overlap: all requests are sent to a cold worker before any response is read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from rpw_fixture.execution.staging.staged_root import StagedRoot
from rpw_fixture.hermeticity.trials import input_tree, snapshot
from rpw_fixture.hermeticity.trials.input_tree import Layout
from rpw_fixture.hermeticity.trials.run_folder import RunFolder
from rpw_fixture.hermeticity.trials.trial import Cancel, Outcome, Result, Step, Trial
from rpw_fixture.hermeticity.trials.worker_session import TIMEOUT, Failure, WorkerSession
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup, outcome_of
from rpw_fixture.support.beneath import Beneath
from rpw_fixture.wire.worker.messages import Request, Response

#: Seconds to wait for late writes or a second response.
LATE = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A sent step, the folder that it works in, and the state of that folder before."""

    step: Step
    layout: Layout
    root: Beneath
    before: dict[str, snapshot.FileState]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is done besides: when the worker was started, while requests are open, after all responses.

    Attributes:
        variables: variables that the worker's environment has besides.
        at_start, at_overlap, at_end: the functions to call; ``at_overlap`` once before any response is
            read, and after each response but the last.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    at_start: Callable[[WorkerSession], None] = lambda _: None
    at_overlap: Callable[[WorkerSession], None] = lambda _: None
    at_end: Callable[[], None] = lambda: None


_NO_HOOKS = Hooks()


def run(
    setup: WorkerSetup, trial: Trial, run_folder: RunFolder, hooks: Hooks = _NO_HOOKS
) -> Result:
    """Run the trial.

    Raises:
        ConfigError, UnavailableError: as `WorkerSetup.started`.
    """
    layouts = [setup.laid_out(step.action) for step in trial.history]
    roots = stage_all(setup, layouts, run_folder)
    with setup.started(run_folder, hooks.variables) as session:
        hooks.at_start(session)
        asked = [
            _Asked(step=step, layout=layout, root=root, before=snapshot.look(root))
            for step, layout, root in zip(trial.history, layouts, roots, strict=True)
        ]
        cancelled: list[int] = []
        for number, each in enumerate(asked, 1):
            request = request_of(setup, each.layout, each.step, number, each.root, run_folder)
            session.send(request, delivery=each.step.delivery)
            if each.step.cancel is Cancel.AT_ONCE:
                cancelled.append(number)
        for number in cancelled:
            session.cancel(number)
        if trial.is_abandoned:
            session.hand_over(time.monotonic() + setup.worker.timeout)
            return Result(outcomes=(), ending=session.finish(trial.eof_patience))
        answers, failure = _answers(session, len(asked), setup.worker.timeout, hooks.at_overlap)
        declared = tuple(path for each in asked for path in each.layout.outputs)
        outcomes = tuple(
            _outcome(setup, each, answers.get(number) or failure, declared, run_folder)
            for number, each in enumerate(asked, 1)
        )
        if cancelled and not any(each.failure for each in outcomes):
            outcomes = _with_late(session, asked, outcomes)
        hooks.at_end()
        ending = session.finish(trial.eof_patience)
    return Result(outcomes=outcomes, ending=ending)


def _with_late(
    session: WorkerSession, asked: list[_Asked], outcomes: tuple[Outcome, ...]
) -> tuple[Outcome, ...]:
    """Note what the worker still does after all requests, some of them cancelled, were answered."""
    before = [snapshot.look_at(each.root, each.layout.outputs) for each in asked]
    fault = session.listen(LATE)
    if fault is None:
        time.sleep(LATE)
    found = []
    for each, outcome, seen in zip(asked, outcomes, before, strict=True):
        late = f"the worker answered twice: {fault.detail}" if fault is not None else ""
        if each.step.cancel is Cancel.NEVER:
            late = ""
        elif not late and snapshot.look_at(each.root, each.layout.outputs) != seen:
            late = "its outputs were written after the response"
        found.append(replace(outcome, late=late))
    return tuple(found)


def request_of(
    setup: WorkerSetup,
    layout: Layout,
    step: Step,
    number: int,
    root: Beneath,
    run_folder: RunFolder,
) -> Request:
    """Return the request for a step that works in ``root``, with its sandbox if the worker has some."""
    sandbox = os.path.relpath(root.path, run_folder.root) if setup.worker.sandbox else ""
    request_id = number if setup.worker.multiplex else 0
    return setup.request(layout, step, number, request_id=request_id, sandbox=sandbox)


def stage_all(setup: WorkerSetup, layouts: list[Layout], run_folder: RunFolder) -> list[Beneath]:
    """Stage all inputs; return the input root of each request."""
    if not setup.worker.sandbox:
        merged = input_tree.merged(layouts)
        run_folder.staged.stage(merged.root, merged.parents, setup.store)
        return [run_folder.input_root] * len(layouts)
    run_folder.staged.stage(setup.tools.root, setup.tools.parents, setup.store)
    roots = []
    for number, layout in enumerate(layouts, 1):
        root = run_folder.input_root.below(f"__sandbox/{number}")
        root.make()
        StagedRoot(root).stage(layout.root, layout.parents, setup.store)
        roots.append(root)
    return roots


def _answers(
    session: WorkerSession, count: int, seconds: float, look: Callable[[WorkerSession], None]
) -> tuple[dict[int, Response], Failure]:
    """Return the responses by request id, and the failure of the requests without one.

    Args:
        session: the worker, with all requests queued.
        count: number of requests.
        seconds: time limit for all of them; looking does not count.
        look: called before each response is read.
    """
    answers: dict[int, Response] = {}
    deadline = time.monotonic() + seconds
    while len(answers) < count:
        began = time.monotonic()
        look(session)
        deadline += time.monotonic() - began
        answer = session.receive(deadline)
        if isinstance(answer, Failure):
            return answers, answer
        answers[answer.request_id or 1] = answer  # 0 to singleplex workers, which get one
    return answers, Failure(TIMEOUT, "no response")


def _outcome(
    setup: WorkerSetup,
    asked: _Asked,
    answer: Response | Failure,
    declared: tuple[str, ...],
    run_folder: RunFolder,
) -> Outcome:
    seen = setup.look(asked.root, asked.before, asked.layout)
    # A shared input root contains the outputs of all requests.
    strays = [path for path in seen.strays if not _is_among(path, declared)]
    outcome = outcome_of(asked.step, answer)
    if setup.worker.sandbox and not outcome.detail:
        outside = snapshot.look_at(run_folder.input_root, asked.layout.outputs)
        text = f"written outside of sandbox_dir: {', '.join(outside)}" if outside else ""
        outcome = replace(outcome, detail=text)
    return replace(
        outcome,
        outputs=seen.outputs,
        changed_inputs=seen.changed_inputs,
        strays=tuple(strays),
    )


def _is_among(path: str, declared: tuple[str, ...]) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in declared)
