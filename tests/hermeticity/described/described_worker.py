"""Checks of workers that are only described: a function answers in their place, and nothing is started.

A check sees a real harness, whose trials take microseconds. So a test can say of many workers what the
whole finding must be, or that there must be none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import COLD_RESULTS, ColdResults, Fact
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials.harness import Harness, cold
from rpw_fixture.hermeticity.trials.trial import Outcome, Result, RunMode, Step, Trial, Variation
from rpw_fixture.hermeticity.trials.trial_places import PlaceNeeds, TrialPlace
from rpw_fixture.hermeticity.trials.trial_slots import TrialSlots
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.digests import SHA256


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to a described worker.

    Attributes:
        step: the request.
        before: the requests that the same process answered before.
        trial: the trial that it belongs to.
    """

    step: Step
    before: tuple[Step, ...]
    trial: Trial

    def good(self, text: str = "", **changes: Any) -> Outcome:
        """Return the answer of a good worker, its outputs with ``text`` at their end."""
        outputs = {path: content(self.step.action, text) for path in self.step.action.outputs}
        usual = Outcome(
            step=self.step,
            exit_code=self.step.action.exit_code,
            response=f"did {self.step.action.name}\n",
            outputs=outputs,
            seconds=0.01,
        )
        return replace(usual, **changes)

    def failed(self, failure: str, detail: str = "as described", **changes: Any) -> Outcome:
        """Return what is left of an answer that breaks a rule."""
        return Outcome(
            step=self.step, exit_code=None, failure=failure, detail=detail, seconds=0.01, **changes
        )


Behaviour = Callable[[Asked], Outcome]
Judging = Callable[[CheckContext], Iterator[Finding]]


def good(asked: Asked) -> Outcome:
    """Answer like a good worker."""
    return asked.good()


def content(action: SuiteAction, text: str = "") -> str:
    """Return how an outcome describes an output; `DescribedHarness` has stored its bytes."""
    data = _bytes(action, text)
    digest = SHA256.of(data)
    _written[digest.hash] = data
    return f"{digest.hash}/{digest.size}"


#: The contents of outputs, by hash: outcomes are described before there is a store.
_written: dict[str, bytes] = {}


def _bytes(action: SuiteAction, text: str) -> bytes:
    read = "".join(
        f"{path}: {entry.content.decode()}\n"
        for path, entry in sorted(action.inputs.items())
        if isinstance(entry, File)
    )
    return f"{action.name}\n{read}{text}".encode()


class DescribedRunner:
    """Runs trials of a described worker.

    Args:
        behaviour: answers each request.
        end: makes the result of a trial from its outcomes.
        effects: what a probe process sees under a variation.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        end: Callable[[Trial, Result], Result],
        effects: Callable[[Variation], Mapping[str, object]],
        store: BlobStore,
    ) -> None:
        self._behaviour = behaviour
        self._end = end
        self._effects = effects
        self._store = store

    def run(self, trial: Trial, folder: Path) -> Result:
        """Return the outcomes up to the first failure; a failure of overlapping requests ends nothing."""
        outcomes: list[Outcome] = []
        for place, step in enumerate(trial.history):
            before = () if trial.mode is RunMode.ONE_SHOT else trial.history[:place]
            outcomes.append(self._behaviour(Asked(step, before, trial)))
            if outcomes[-1].failure and trial.mode is RunMode.WORKER:
                break
        for each in _written.values():
            self._store.put(each)
        return self._end(trial, Result(outcomes=tuple(outcomes)))

    def effects(self, variation: Variation, folder: Path) -> Mapping[str, object]:
        """Return what a probe process sees."""
        return self._effects(variation)

    def check_layouts(self, actions: Sequence[SuiteAction]) -> None:
        """Find nothing wrong."""

    def with_worker(self, worker: SuiteWorker) -> DescribedRunner:
        """Return the same one: what is described answers in both protocols."""
        return self


def _as_it_is(_trial: Trial, result: Result) -> Result:
    return result


class DescribedHarness(Harness):
    """A harness whose worker is described by functions, those of `DescribedRunner`."""

    def __init__(
        self,
        suite: Suite,
        behaviour: Behaviour,
        *,
        end: Callable[[Trial, Result], Result] = _as_it_is,
        effects: Callable[[Variation], Mapping[str, object]] = lambda _: {},
        **options: Any,
    ) -> None:
        self._described = behaviour, end, effects
        super().__init__(suite, jobs=1, **options)

    def _chosen_place(
        self, needs: PlaceNeeds, undo: contextlib.ExitStack, *_: object
    ) -> TrialPlace:
        runner = DescribedRunner(*self._described, needs.store)
        trials = TrialSlots(needs.book, runner, needs.folder, jobs=needs.jobs, stop=undo.close)
        undo.callback(trials.close)
        return TrialPlace(trials, needs.store, undo.close)


def action(name: str, **attributes: Any) -> SuiteAction:
    """Return an action with an input and an output."""
    usual = {
        "arguments": (f"--in=src/{name}.txt",),
        "inputs": {f"src/{name}.txt": File(f"text of {name}".encode())},
        "outputs": (f"out/{name}.txt",),
    }
    return SuiteAction(name=name, **{**usual, **attributes})


ALPHA, BETA = action("alpha"), action("beta")


@dataclass(kw_only=True)
class Judged:
    """What a check made of a described worker.

    Attributes:
        findings: what it found.
        context: what it was run with, for facts, notes and what was skipped.
        trials: those it asked for, in that order, without the cold ones before it.
    """

    findings: list[Finding]
    context: CheckContext
    trials: list[Trial] = field(default_factory=list)

    @property
    def texts(self) -> list[tuple[str, str, str]]:
        """Code, severity and summary of each finding."""
        return [(each.code, each.severity.value, each.summary) for each in self.findings]


def judge(
    find: Judging,
    behaviour: Behaviour,
    *,
    actions: Sequence[SuiteAction] = (ALPHA, BETA),
    worker: Mapping[str, Any] | None = None,
    facts: Mapping[Fact[Any], object] | None = None,
    is_begun: bool = True,
    options: Mapping[str, Any] | None = None,
    **harness: Any,
) -> Judged:
    """Return what a check makes of a described worker.

    Args:
        find: the check.
        behaviour: the worker.
        actions: those of the suite.
        worker: attributes of the suite's worker.
        facts: what earlier checks have learnt.
        is_begun: the first results of all actions are known, as after `cold_runs.find`.
        options: attributes of the context.
        harness: arguments of `DescribedHarness`.
    """
    suite = Suite(worker=SuiteWorker(command=("tool",), **(worker or {})), actions=tuple(actions))
    with DescribedHarness(suite, behaviour, **harness) as described:
        context = CheckContext(suite=suite, harness=described, **(options or {}))
        if is_begun:
            _begin(context)
        for fact, value in (facts or {}).items():
            context.facts.share(fact, value)
        asked = len(described.book.asked)
        findings = list(find(context))
        return Judged(findings=findings, context=context, trials=described.book.asked[asked:])


def _begin(context: CheckContext) -> None:
    """Take what fresh workers answer for known, as `cold_runs.find` does."""
    results = [context.run(cold(each)) for each in context.suite.actions]
    first = [each.outcomes[0] for each in results]
    usable = tuple(each.step.action for each in first if not each.failure)
    failures = tuple(each for each in first if each.failure)
    context.facts.share(
        COLD_RESULTS, ColdResults(usable=usable, failures=failures, start_seconds=0.01)
    )
    began, ended = min(each.began for each in results), max(each.ended for each in results)
    context.instability.begin(first, began, ended)
