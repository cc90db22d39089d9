"""What every check gets: the suite, the harness, and what earlier checks have learnt."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from rpw_fixture.errors import Interrupted
from rpw_fixture.hermeticity.checks import clusters
from rpw_fixture.hermeticity.checks.facts import COLD_RESULTS, REPORTED, Facts
from rpw_fixture.hermeticity.checks.instability import Instability
from rpw_fixture.hermeticity.findings import contents, diff
from rpw_fixture.hermeticity.findings.accesses import InputAccess
from rpw_fixture.hermeticity.findings.codes import CODES
from rpw_fixture.hermeticity.findings.finding import Finding, listed
from rpw_fixture.hermeticity.findings.parts import WHOLE
from rpw_fixture.hermeticity.findings.report import Growth
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction
from rpw_fixture.hermeticity.trials.harness import Harness, cold
from rpw_fixture.hermeticity.trials.trial import (
    NO_RESULT,
    Outcome,
    Result,
    Step,
    Trial,
    UnavailableError,
    steps,
)

#: With more actions than this, a check takes only some of them.
MANY = 12
#: Of many actions that exercise the same, a check takes at most this number.
_OF_EACH = 3
#: The variant of an action that has none of its inputs.
INPUTS_MISSING = "inputs missing"
#: With more actions than this, only some run on fresh workers; all run on a warm one.
LARGE = 100
#: Actions of a large suite on fresh workers with the usual time limit, and that limit, seconds.
_SAMPLE, USUAL_LIMIT = 24, 300.0
#: A check takes at least this many actions, however slow their cold starts are.
_FEWEST = 4


#: Two outcomes, the aspects in which they differ, and their names.
_Explained = tuple[Outcome, Outcome, tuple[str, ...], tuple[str, str]]


@dataclass(slots=True, kw_only=True)
class CheckContext:
    """What a check works with.

    Attributes:
        suite: the worker and its actions.
        harness: runs trials.
        seed: decides which samples are taken where not everything can be tried.
        selected: codes that the user asked for.
        eof_patience: seconds that a worker may take to end after its stdin was closed.
        pause: seconds of silence between two requests that are tried; 0 for no such trial.
        max_seconds: time limit of the whole check; None for no limit.
        facts: what earlier checks have learnt.
        skipped: codes that could not be judged, with the reason.
        notes: codes with a remark for the report.
        growth: what was measured of workers that served many requests, for the report.
        accesses: what was seen of actions that were watched, by name, for the report.
        interruption: the signal that ended the run early; None if nothing did.
    """

    suite: Suite
    harness: Harness
    seed: int = 0
    selected: frozenset[str] = frozenset(CODES)
    eof_patience: float = 5.0
    pause: float = 3.0
    max_seconds: float | None = None
    facts: Facts = field(default_factory=Facts)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    growth: list[Growth] = field(default_factory=list)
    accesses: dict[str, InputAccess] = field(default_factory=dict)
    interruption: Interrupted | None = None
    _instability: Instability = field(init=False)
    _failing: dict[SuiteAction, SuiteAction | None] = field(default_factory=dict)
    _explained: dict[str, _Explained] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._instability = Instability(self.harness.store)

    @property
    def sample(self) -> tuple[SuiteAction, ...]:
        """The actions that run on fresh workers: all, or in large suites those that stand for others."""
        actions = self.suite.actions
        if len(actions) <= LARGE or self.is_remote:
            return actions
        part = (self.max_seconds or USUAL_LIMIT) / USUAL_LIMIT
        count = max(MANY, int(_SAMPLE * part))
        return clusters.representatives(actions, count, of_each=max(_OF_EACH, int(_OF_EACH * part)))

    @property
    def usable(self) -> tuple[SuiteAction, ...]:
        """Actions that a fresh worker answers."""
        return self.facts.read(COLD_RESULTS).usable

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Outcomes of the actions that a fresh worker does not answer."""
        return self.facts.read(COLD_RESULTS).failures

    @property
    def recorded_order(self) -> Trial:
        """A trial of all actions in their recorded order, twice."""
        return Trial(history=steps(*self.usable) * 2)

    @property
    def instability(self) -> Instability:
        """Parts of results that differ among fresh workers, and so prove nothing else."""
        self.facts.read(COLD_RESULTS)
        return self._instability

    @property
    def is_remote(self) -> bool:
        """Whether trials run on an endpoint, where only results can be observed."""
        return self.harness.remote is not None

    def skip(self, code: str, reason: str) -> None:
        """Note that a code could not be judged; the first reason is kept."""
        self.skipped.setdefault(code, reason)

    def mark_unreproduced(self, code: str) -> None:
        """Note that a difference could not be reproduced, so that the code has not passed."""
        self.skip(code, "a difference was seen once and not reproduced; see the info about it")

    def note_reported(self, victim: SuiteAction, failure: str) -> None:
        """Note that there is a finding for a wrong result of this action, or for a broken rule."""
        self.facts.share(REPORTED, self.facts.read(REPORTED) | {_reported(victim, failure)})

    def forget_reported(self, names: Collection[str]) -> None:
        """Forget the findings for results of these actions, and for broken rules."""
        kept = (each for each in self.facts.read(REPORTED) if each[0] and each[0] not in names)
        self.facts.share(REPORTED, frozenset(kept))

    def is_reported(self, victim: SuiteAction, failure: str) -> bool:
        """Return whether `note_reported` was called for this action, or for this broken rule."""
        return _reported(victim, failure) in self.facts.read(REPORTED)

    def begin_judgement(self) -> Callable[[], None]:
        """Return a function that takes back what a check says from here on, so that it judges again."""
        facts, notes = self.facts.copy_values(), dict(self.notes)
        skipped, growth = dict(self.skipped), list(self.growth)

        def take_back() -> None:
            self.facts.restore_values(facts)
            self.notes, self.skipped, self.growth = dict(notes), dict(skipped), list(growth)

        return take_back

    def run(self, trial: Trial) -> Result:
        """Return the result of one trial; raises what `Harness.run` raises."""
        return self.harness.run(trial)

    def run_all(self, trials: Sequence[Trial]) -> list[Result]:
        """Return the results of trials, which are run side by side."""
        return self.harness.run_all(trials)

    def cold(self, action: SuiteAction) -> Outcome:
        """Return the outcome of an action in a fresh worker."""
        return self.run(cold(action)).outcomes[0]

    def cold_all(self, actions: Sequence[SuiteAction]) -> list[Outcome]:
        """Return the outcomes of actions, each in a fresh worker, run side by side."""
        return [each.outcomes[0] for each in self.run_all([cold(each) for each in actions])]

    def cold_or_reason(self, actions: Sequence[SuiteAction]) -> list[Outcome]:
        """Return the outcomes of actions as `cold_all`; where a cluster gives none, one that says why."""
        if self.is_remote:
            return self.cold_all(actions)
        with contextlib.suppress(UnavailableError):
            self.run_all([cold(each) for each in actions])
        return [self._cold_or_reason(each) for each in actions]

    def _cold_or_reason(self, action: SuiteAction) -> Outcome:
        try:
            return self.cold(action)
        except UnavailableError as error:
            step = steps(action)[0]
            return Outcome(step=step, exit_code=None, failure=NO_RESULT, detail=str(error))

    def learn(self, actions: Iterable[SuiteAction], *, enough: int = 3) -> bool:
        """Repeat actions on fresh workers; return whether more of their results proved unstable.

        Args:
            actions: what to repeat. A changed version of an action is repeated once, together with
                the plain action.
            enough: repetitions after which an action is known, provided that the clock has moved;
                with 1, the clock does not matter.
        """
        others = () if len(self.suite.actions) <= LARGE else self.suite.actions
        plain = {each.name: each for each in (*others, *self.usable)}
        wanted: dict[SuiteAction, int] = {}
        for each in actions:
            if each.name in plain:
                wanted[plain[each.name]] = enough
            if each.variant:
                wanted[each] = 1
        now = self.harness.book.latest
        missing = {each: self.instability.missing(each, most, now) for each, most in wanted.items()}
        self.run_all([cold(each, run=run) for each, runs in missing.items() for run in runs])
        found = False
        for each, runs in missing.items():
            results = [self.run(cold(each, run=run)) for run in runs]
            found = self._has_learnt(each, results) or found
        return found

    def _has_learnt(self, action: SuiteAction, results: Sequence[Result]) -> bool:
        outcomes = [each.outcomes[0] for each in results]
        began = min((each.began for each in results), default=0.0)
        return bool(outcomes) and self.instability.add(action, outcomes, began)

    def learn_from_others(self) -> None:
        """Take first answers in other trials for repetitions, where the clock had moved by then."""
        for action in self.usable if not self.is_remote else ():
            (step,) = steps(action)
            late = [
                each
                for each in self.harness.first_answers(step)
                if each.began >= self.instability.tick
            ]
            if late and not self.instability.has_seen_tick(action):
                outcomes = [each.outcome for each in late]
                self.instability.add(action, outcomes, min(each.began for each in late))

    def ignored(self, action: SuiteAction) -> frozenset[str]:
        """Return the aspects of an action that are left out of comparisons altogether."""
        left_out = self.instability.left_out(action)
        return frozenset(name for name, some in left_out.items() if WHOLE in some)

    def differing(self, one: Outcome, other: Outcome) -> list[str]:
        """Return the aspects in which two outcomes of an action differ, unstable parts left out."""
        return self.instability.differing(one, other)

    def explain(
        self, before: Outcome, after: Outcome, aspects: list[str], labels: tuple[str, str]
    ) -> str:
        """Return a readable description of how two outcomes differ in some aspects."""
        text = diff.explain(before, after, aspects, self.harness.store, labels)
        self._explained.setdefault(text, (before, after, tuple(aspects), labels))
        return text

    def with_differences(self, finding: Finding) -> Finding:
        """Return the finding with the contents that its evidence compares, as pages draw them."""
        pairs = [
            pair for text, pair in self._explained.items() if text and text in finding.evidence
        ]
        found = {
            (each.path, each.labels): each
            for before, after, aspects, labels in pairs
            for each in contents.of_outcomes(before, after, aspects, self.harness.store, labels)
        }
        return replace(finding, differences=tuple(found.values())) if found else finding

    def note_access(self, access: InputAccess) -> None:
        """Note what an action did with its inputs, beside what is known of it."""
        known = self.accesses.get(access.action)
        self.accesses[access.action] = known.joined(access) if known else access

    def pick(self, count: int = MANY) -> tuple[SuiteAction, ...]:
        """Return up to ``count`` usable actions; if there are many, some that exercise different things."""
        return picked(self.usable, count)

    def affordable(self, seconds: float, most: int = MANY) -> tuple[SuiteAction, ...]:
        """Return up to ``most`` usable actions whose cold starts together take about ``seconds``."""
        start_seconds = self.facts.read(COLD_RESULTS).start_seconds
        if not start_seconds:
            return self.pick(most)
        count = int(seconds * self.harness.jobs / start_seconds)
        return self.pick(max(_FEWEST, min(most, count)))

    @property
    def succeeding(self) -> tuple[SuiteAction, ...]:
        """Usable actions that are expected to succeed."""
        return tuple(each for each in self.usable if each.exit_code == 0)

    def failing_variant(self, action: SuiteAction) -> SuiteAction | None:
        """Return a variant of an action that a fresh worker answers with a failure, if there is one."""
        if action not in self._failing:
            self._failing[action] = self._find_failing(action)
        return self._failing[action]

    def without_inputs(self, action: SuiteAction) -> SuiteAction | None:
        """Return the variant of an action that has none of its inputs; None if it never has any."""
        return action.changed(INPUTS_MISSING, inputs={}) if action.inputs else None

    def bad_option(self, action: SuiteAction) -> SuiteAction:
        """Return a variant of an action that most tools refuse."""
        return action.changed("bad option", arguments=(*action.arguments, "--rpw-no-such-option"))

    def unrelated_failures(self, action: SuiteAction) -> Iterator[SuiteAction]:
        """Yield requests that fail whatever an action's inputs are: one at once, one when it reads."""
        own = [each for each in self.usable if each.exit_code != 0 and each != action]
        early = next((each for each in (*own, self.bad_option(action)) if self._fails(each)), None)
        if early is not None:
            yield early
        others = (each for each in self.succeeding if not each.inputs.keys() & action.inputs.keys())
        late = next(filter(None, map(self.without_inputs, others)), None)
        if late is not None and self._fails(late):
            yield late

    def _fails(self, action: SuiteAction) -> bool:
        return self.cold(action).exit_code not in {0, None}

    def poisons(self, polluter: SuiteAction, victim: SuiteAction) -> bool:
        """Return whether a failing request alone changes the result of a later one."""
        if not self._fails(polluter):
            return False
        outcomes = self.run(Trial(history=steps(polluter, victim))).outcomes
        return len(outcomes) > 1 and bool(self.differing(self.cold(victim), outcomes[-1]))

    def note_failing(self, action: SuiteAction, variant: SuiteAction) -> None:
        """Note that a worker answered this variant of an action with a failure."""
        self._failing[action] = variant

    def _find_failing(self, action: SuiteAction) -> SuiteAction | None:
        for each in (self.without_inputs(action), self.bad_option(action)):
            outcome = self.cold(each) if each is not None else None
            if outcome is not None and not outcome.failure and outcome.exit_code not in {0, None}:
                return each
        return None


def picked(actions: tuple[SuiteAction, ...], count: int) -> tuple[SuiteAction, ...]:
    """Return up to ``count`` of the actions; if there are many, some that exercise different things."""
    if len(actions) <= min(count, MANY):
        return actions
    few = len(actions) <= MANY
    return clusters.representatives(actions, count, of_each=count if few else _OF_EACH)


def _reported(victim: SuiteAction, failure: str) -> tuple[str, str]:
    """Return what identifies a report: a broken rule whatever the action, else the action."""
    return ("", failure) if failure else (victim.name, "")


def names(history: Sequence[Step]) -> tuple[str, ...]:
    """Return the names of the actions of some requests."""
    return tuple(each.action.name for each in history)


def titles(history: Sequence[Step]) -> str:
    """Return some requests as a list in words; equal ones in a row are counted."""
    return listed([each.action.title for each in history])
