"""A history whose requests are all sent to one cold worker before any answer is awaited."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace

from rpw_fixture.execution.staging.staged_root import StagedRoot
from rpw_fixture.hermeticity.trials import input_tree, snapshot
from rpw_fixture.hermeticity.trials.input_tree import Layout
from rpw_fixture.hermeticity.trials.run_folder import RunFolder
from rpw_fixture.hermeticity.trials.trial import Outcome, Result, Step, Trial
from rpw_fixture.hermeticity.trials.worker_session import Failure, WorkerSession
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup, outcome_of
from rpw_fixture.support.beneath import Beneath
from rpw_fixture.wire.worker.messages import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A step, the folder it works in, and how that looked before."""

    step: Step
    found: Layout
    root: Beneath
    before: dict[str, snapshot.Seen]


def run(ground: WorkerSetup, trial: Trial, place: RunFolder) -> Result:
    """Runs the trial.

    Raises:
        ConfigError, UnavailableError: as `WorkerSetup.started`.
    """
    layouts = [ground.laid_out(step.action) for step in trial.history]
    roots = _stage_all(ground, layouts, place)
    with ground.started(place) as talk:
        asked = [
            _Asked(step=step, found=found, root=root, before=snapshot.look(root))
            for step, found, root in zip(trial.history, layouts, roots, strict=True)
        ]
        for number, each in enumerate(asked, 1):
            sandbox = os.path.relpath(each.root.path, place.root) if ground.worker.sandbox else ""
            request = ground.request(
                each.found, each.step, number, request_id=number, sandbox=sandbox
            )
            talk.send(request, delivery=each.step.delivery)
        answers, failure = _answers(talk, len(asked), time.monotonic() + ground.worker.timeout)
        declared = tuple(path for each in asked for path in each.found.outputs)
        outcomes = tuple(
            _outcome(ground, each, answers.get(number) or failure, declared)
            for number, each in enumerate(asked, 1)
        )
        ending = talk.finish(trial.eof_patience)
    return Result(outcomes=outcomes, ending=ending)


def _stage_all(ground: WorkerSetup, layouts: list[Layout], place: RunFolder) -> list[Beneath]:
    """Puts all inputs into place; the input root of each request."""
    if not ground.worker.sandbox:
        merged = input_tree.merged(layouts)
        place.staged.stage(merged.root, merged.parents, ground.store)
        return [place.input_root] * len(layouts)
    place.staged.stage(ground.tools.root, ground.tools.parents, ground.store)
    roots = []
    for number, found in enumerate(layouts, 1):
        root = place.input_root.below(f"__sandbox/{number}")
        root.make()
        StagedRoot(root).stage(found.root, found.parents, ground.store)
        roots.append(root)
    return roots


def _answers(
    talk: WorkerSession, count: int, deadline: float
) -> tuple[dict[int, Response], Failure]:
    """Responses by request id, and what became of the requests that have none."""
    answers: dict[int, Response] = {}
    while len(answers) < count:
        answer = talk.receive(deadline)
        if isinstance(answer, Failure):
            return answers, answer
        answers[answer.request_id] = answer
    return answers, Failure("timeout", "no response")


def _outcome(
    ground: WorkerSetup, asked: _Asked, answer: Response | Failure, declared: tuple[str, ...]
) -> Outcome:
    seen = ground.look(asked.root, asked.before, asked.found)
    # In a shared root the outputs of all requests lie side by side.
    strays = [path for path in seen.strays if not _is_among(path, declared)]
    return replace(
        outcome_of(asked.step, answer),
        outputs=seen.outputs,
        changed_inputs=seen.changed_inputs,
        strays=tuple(strays),
    )


def _is_among(path: str, declared: tuple[str, ...]) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in declared)
