"""Running a trial with an experiment: between two requests, the worker's state is looked at and put back.

What is outside of the worker's memory is read by this process (`surroundings`); what is inside by an
observer, if one is loaded (`observers`, `observer_link`).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from rpw_fixture.hermeticity.trials import observers, overlapping, predecessors
from rpw_fixture.hermeticity.trials.experiment import Change, Experiment, Growing, Observation
from rpw_fixture.hermeticity.trials.observer_link import ObserverLink, ObserverLostError, has_open
from rpw_fixture.hermeticity.trials.observers import ADDRESS, Loading, NoObserverError
from rpw_fixture.hermeticity.trials.process_facts import family
from rpw_fixture.hermeticity.trials.run_folder import RunFolder
from rpw_fixture.hermeticity.trials.sequential import SequentialConversation
from rpw_fixture.hermeticity.trials.surroundings import Surroundings
from rpw_fixture.hermeticity.trials.trial import Outcome, Result, RunMode, Trial
from rpw_fixture.hermeticity.trials.worker_session import WorkerSession
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup

_MOST_CHANGES = 2000
#: Seconds after which a worker that is still busy is taken to have started.
_START_UP = 20.0


def run(setup: WorkerSetup, trial: Trial, run_folder: RunFolder) -> Result:
    """Run the trial; its result has an observation.

    Raises:
        ConfigError, UnavailableError: as `WorkerSetup.started`.
    """
    experiment = trial.experiment or Experiment()
    surroundings = Surroundings(run_folder)
    if trial.predecessors:
        return _run_successor(setup, trial, run_folder, surroundings, experiment)
    first = trial.started_with or trial.history[0].action
    setup.stage(first, run_folder)
    with _listening(setup, run_folder, experiment) as (link, variables, remark):
        if trial.mode is RunMode.OVERLAPPING:
            return _run_overlapping(setup, trial, run_folder, experiment, (link, variables, remark))
        with setup.started(run_folder, variables) as session:
            worker = _ObservedWorker(
                experiment, surroundings, session, run_folder.root, link, remark
            )
            worker.begin(len(trial.history))
            outcomes = SequentialConversation(
                setup, run_folder, session, timeout=trial.timeout, on_turn=worker.look
            ).run(replace(trial, lingers=False))
            if not outcomes[-1].failure:
                worker.look(len(outcomes))
            ending = session.finish(0.0 if outcomes[-1].failure else trial.eof_patience)
    return Result(outcomes=tuple(outcomes), ending=ending, observation=worker.observation)


def _run_successor(
    setup: WorkerSetup,
    trial: Trial,
    run_folder: RunFolder,
    surroundings: Surroundings,
    experiment: Experiment,
) -> Result:
    """Run workers in one place; put back what the earlier ones left before the last one starts."""
    surroundings.mark(None)
    earlier = predecessors.run(setup, trial, run_folder)
    changes = surroundings.changes(None)
    surroundings.restore(experiment.restored, None)
    setup.stage(trial.history[0].action, run_folder)
    outcomes: list[Outcome] = []
    with setup.started(run_folder) as session:
        outcomes = SequentialConversation(setup, run_folder, session).serve(trial.history)
        ending = session.finish(0.0 if outcomes[-1].failure else trial.eof_patience)
    observation = Observation(changes=tuple(changes))
    return Result(outcomes=tuple(outcomes), ending=ending, earlier=earlier, observation=observation)


def _run_overlapping(
    setup: WorkerSetup,
    trial: Trial,
    run_folder: RunFolder,
    experiment: Experiment,
    observer: tuple[ObserverLink | None, Mapping[str, str], str],
) -> Result:
    """Run overlapping requests; what changes meanwhile can be seen, but not be put back.

    State that belongs to open requests is often gone when all are answered, so it is looked at earlier.
    """
    link, variables, remark = observer
    surroundings = Surroundings(run_folder)
    worker: _ObservedWorker | None = None

    def at_start(session: WorkerSession) -> None:
        nonlocal worker
        worker = _ObservedWorker(experiment, surroundings, session, run_folder.root, link, remark)
        worker.begin(len(trial.history) + 1)
        worker.look(0)

    def at_overlap(session: WorkerSession) -> None:
        session.hand_over(time.monotonic() + setup.worker.timeout)
        if worker is not None:
            worker.glimpse()

    def at_end() -> None:
        if worker is not None:
            worker.look(len(trial.history))

    hooks = overlapping.Hooks(variables, at_start, at_overlap, at_end)
    result = overlapping.run(setup, trial, run_folder, hooks)
    return result if worker is None else replace(result, observation=worker.observation)


@contextlib.contextmanager
def _listening(
    setup: WorkerSetup, run_folder: RunFolder, experiment: Experiment
) -> Iterator[tuple[ObserverLink | None, Mapping[str, str], str]]:
    """Yield a link to the observer that is wanted, the variables that load it, and what is missing."""
    if not experiment.observer:
        yield None, MappingProxyType({}), ""
        return
    observer = observers.named(experiment.observer)
    loading = Loading(
        environment=setup.environment(run_folder),
        program=experiment.program,
        run_folder=run_folder,
        spawner=setup.spawner,
    )
    try:
        variables = observer.variables(loading)
    except NoObserverError as error:
        yield None, MappingProxyType({}), str(error)
        return
    path = os.path.join(run_folder.folder.path, "observer")
    with contextlib.suppress(OSError):
        os.unlink(path)
    with ObserverLink(path, is_tcp=observer.is_tcp) as link:
        yield link, {**variables, ADDRESS: link.address}, ""


class _ObservedWorker:
    """What is done with one worker between its requests.

    Args:
        experiment: what to do.
        surroundings: what is outside of the worker's memory.
        session: the worker, just started.
        root: the input root, an absolute path.
        link: the link to the observer; None if there is none.
        remark: why there is none.
    """

    def __init__(
        self,
        experiment: Experiment,
        surroundings: Surroundings,
        session: WorkerSession,
        root: str,
        link: ObserverLink | None,
        remark: str,
    ) -> None:
        self._experiment = experiment
        self._surroundings = surroundings
        self._session = session
        self._root = root
        self._link = link
        self._requests = 0
        self._passing: dict[str, Change] = {}
        self.observation = Observation(remark=remark)

    def begin(self, requests: int) -> None:
        """Wait until the worker has started, and for its observer; ``requests`` will be sent."""
        self._requests = requests
        self._session.rest(_START_UP)
        pid = self._session.process.pid
        if self._link is not None and not self._link.connect(self._session.stdin_name):
            self._lose("its observer could not be loaded into the worker")
        runtime = self._link.runtime if self._link is not None else ""
        self.observation = replace(
            self.observation, programs=_programs(pid, self._session.stdin_name), runtime=runtime
        )

    def look(self, answered: int) -> None:
        """Do what is to be done after this number of requests was answered."""
        if answered == self._experiment.mark:
            self._mark()
        if self._experiment.counts_growth:
            if answered == self._requests:
                self._grown()
        elif answered == self._requests - 1:
            self._compare()

    def glimpse(self) -> None:
        """Note what is changed now, while the worker works: some of it may be right again later."""
        if self._link is None:
            return
        with contextlib.suppress(ObserverLostError):  # the worker changed what was being looked at
            for each in _changes(self._link.ask({"do": "changes"}).get("changes", ())):
                self._passing.setdefault(each.id, each)

    def _mark(self) -> None:
        self._surroundings.mark(self._session.process.pid)
        message: dict[str, object] = {"do": "mark", "root": self._root}
        if self._experiment.counts_growth:
            message["growth"] = True
        if self._experiment.watched:
            message["watch"] = list(self._experiment.watched)
        if self._experiment.loaded:
            message["load"] = list(self._experiment.loaded)
        answer = self._ask(message)
        if answer.get("is_cut"):
            self._remark(f"not all of its state was looked at: {answer.get('reason', '')}")

    def _compare(self) -> None:
        pid = self._session.process.pid
        outside = self._surroundings.changes(pid)
        inside = _changes(self._ask({"do": "changes"}).get("changes", ()))
        known = {each.kind for each in inside}
        # The observer knows how to put these back.
        outside = [each for each in outside if each.can_restore or each.kind not in known]
        lasting = {each.id for each in inside}
        passing = [each for each in self._passing.values() if each.id not in lasting]
        self.observation = replace(self.observation, changes=(*passing, *inside, *outside))
        restored = self._experiment.restored
        ids = [each.id for each in inside if each.id in restored]
        if ids:
            failed = self._ask({"do": "restore", "ids": ids}).get("failed", {})
            pairs = tuple((str(name), str(reason)) for name, reason in dict(failed).items())
            self.observation = replace(self.observation, failed=pairs)
        self._surroundings.restore(restored, pid)

    def _grown(self) -> None:
        # Before the observer, which puts back what it finds, and so closes and deletes.
        outside = list(self._surroundings.growing(self._session.process.pid))
        answer = self._ask({"do": "growth"})
        inside = [_growing(each) for each in answer.get("growing", ()) if isinstance(each, dict)]
        if any(each.kind == "thread" for each in inside):
            outside = [each for each in outside if each.kind != "thread"]
        self.observation = replace(self.observation, growing=(*inside, *outside))

    def _ask(self, message: Mapping[str, object]) -> dict[str, Any]:
        """Return the observer's answer; an empty one if there is no observer."""
        if self._link is None:
            return {}
        try:
            return self._link.ask(message)
        except ObserverLostError as error:
            self._lose(str(error))
            return {}

    def _lose(self, reason: str) -> None:
        self._link = None
        self._remark(reason)
        self.observation = replace(self.observation, runtime="")

    def _remark(self, text: str) -> None:
        remarks = [each for each in (self.observation.remark, text) if each]
        self.observation = replace(self.observation, remark="; ".join(dict.fromkeys(remarks)))


def _programs(pid: int, stdin: str) -> tuple[str, ...]:
    """Return the executables of a worker and the processes below it that read its stdin."""
    found = []
    for each in family(pid):
        if each.pid != pid and not has_open(each.pid, stdin):
            continue
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/{each.pid}/exe"))
    return tuple(found)


def _changes(answer: Sequence[object]) -> list[Change]:
    return [
        Change(
            id=str(each.get("id", "")),
            kind=str(each.get("kind", "")),
            name=str(each.get("name", "")),
            place=str(each.get("place", "")),
            before=str(each.get("before", "")),
            after=str(each.get("after", "")),
            can_restore=bool(each.get("can_restore")),
            changed_at=str(each.get("changed_at", "")),
        )
        for each in answer[:_MOST_CHANGES]
        if isinstance(each, dict)
    ]


def _growing(each: Mapping[str, Any]) -> Growing:
    return Growing(
        kind=str(each.get("kind", "")),
        name=str(each.get("name", "")),
        place=str(each.get("place", "")),
        before=int(each.get("before", 0)),
        after=int(each.get("after", 0)),
        unit=str(each.get("unit", "")),
        freed=float(each.get("freed", 0.0)),
    )
