"""The bench on which checks work: the suite, the harness, and what is known of the actions so far."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from rpw_fixture.hermeticity.checks.instability import Instability
from rpw_fixture.hermeticity.findings import diff
from rpw_fixture.hermeticity.findings.codes import CODES
from rpw_fixture.hermeticity.findings.parts import WHOLE
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction
from rpw_fixture.hermeticity.trials.harness import Harness, cold
from rpw_fixture.hermeticity.trials.trial import Outcome, Result, Step, Trial

#: More actions than this, and a check picks some by the seed.
MANY = 12
#: Fewer actions than this are never picked for the sake of time.
_FEWEST = 4


@dataclass(slots=True, kw_only=True)
class CheckContext:
    """What a check gets.

    Attributes:
        suite: worker and actions.
        harness: runs trials.
        seed: decides what is picked where not all can be tried.
        selected: codes that are asked for.
        eof_patience: seconds that a worker has to end in after its stdin was closed.
        instability: parts of results that differ among fresh workers, and so prove nothing else.
        skipped: codes that could not run, with the reason.
        notes: codes with what else is to be said.
        usable: actions that a fresh worker answers.
        failures: of the others.
        start_seconds: what a fresh worker takes until its first response, the median of all actions.
        loses_requests: a multiplex worker does not see all requests that come in one write.
        has_orphans: processes pile up below the worker, so that everything else grows as well.
        unmarked: inputs that are read at start-up, and so are no fault of other checks.
    """

    suite: Suite
    harness: Harness
    seed: int = 0
    selected: frozenset[str] = frozenset(CODES)
    eof_patience: float = 5.0
    usable: tuple[SuiteAction, ...] = ()
    failures: tuple[Outcome, ...] = ()
    start_seconds: float = 0.0
    skipped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    unmarked: set[str] = field(default_factory=set)
    has_orphans: bool = False
    loses_requests: bool = False
    instability: Instability = field(init=False)
    _blamed: set[tuple[str, str]] = field(default_factory=set)
    _failing: dict[SuiteAction, SuiteAction | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.instability = Instability(self.harness.store)

    @property
    def is_remote(self) -> bool:
        """Whether trials run on an endpoint, where only results are seen."""
        return self.harness.remote is not None

    def skip(self, code: str, reason: str) -> None:
        """Notes that a check could not run."""
        self.skipped.setdefault(code, reason)

    def mark_unreproduced(self, code: str) -> None:
        """Note that a difference was seen and could not be reproduced: the code has not passed."""
        self.skip(code, "a difference was seen once and not when repeated; see the info about it")

    def note_blamed(self, victim: SuiteAction, failure: str) -> None:
        """Note that a wrong result of this action, or a broken rule of the protocol, was reported."""
        self._blamed.add(("", failure) if failure else (victim.name, ""))

    def forget_blamed(self, names: Collection[str]) -> None:
        """Take back what was noted about results of these actions, and about broken rules."""
        self._blamed = {each for each in self._blamed if each[0] and each[0] not in names}

    def is_blamed(self, victim: SuiteAction, failure: str) -> bool:
        """Whether `note_blamed` was called for the like."""
        return (("", failure) if failure else (victim.name, "")) in self._blamed

    def run(self, trial: Trial) -> Result:
        """The result of one trial; raises what `Harness.run` raises."""
        return self.harness.run(trial)

    def run_all(self, trials: Sequence[Trial]) -> list[Result]:
        """The results of trials, run side by side."""
        return self.harness.run_all(trials)

    def cold(self, action: SuiteAction) -> Outcome:
        """What a fresh worker makes of an action."""
        return self.run(cold(action)).outcomes[0]

    def cold_all(self, actions: Sequence[SuiteAction]) -> list[Outcome]:
        """`cold` for many actions, side by side."""
        return [each.outcomes[0] for each in self.run_all([cold(each) for each in actions])]

    def learn(self, actions: Iterable[SuiteAction], *, enough: int = 3) -> bool:
        """Repeat actions on fresh workers; whether that showed something new to be unstable.

        Args:
            actions: changed versions are repeated together with the plain action, and once only.
            enough: repetitions after which an action is known, once the clock has moved; with 1,
                that does not matter.
        """
        plain = {each.name: each for each in self.usable}
        wanted: dict[SuiteAction, int] = {}
        for each in actions:
            if each.name in plain:
                wanted[plain[each.name]] = enough
            if each.variant:
                wanted[each] = 1
        missing = {each: self.instability.missing(each, most) for each, most in wanted.items()}
        began = time.time()
        self.run_all([cold(each, run=run) for each, runs in missing.items() for run in runs])
        found = False
        for each, runs in missing.items():
            outcomes = [self.run(cold(each, run=run)).outcomes[0] for run in runs]
            found = self.instability.add(each, outcomes, began) or found if outcomes else found
        return found

    def ignored(self, action: SuiteAction) -> frozenset[str]:
        """Aspects of an action of which nothing is compared."""
        left_out = self.instability.left_out(action)
        return frozenset(name for name, some in left_out.items() if WHOLE in some)

    def differing(self, one: Outcome, other: Outcome) -> list[str]:
        """In what two outcomes of an action differ, unstable parts left out."""
        return self.instability.differing(one, other)

    def explain(
        self, before: Outcome, after: Outcome, aspects: list[str], labels: tuple[str, str]
    ) -> str:
        """That difference for people."""
        return diff.explain(before, after, aspects, self.harness.store, labels)

    def pick(self, count: int = MANY) -> tuple[SuiteAction, ...]:
        """Up to so many usable actions, spread evenly over the suite."""
        total = len(self.usable)
        if total <= count:
            return self.usable
        return tuple(self.usable[(index * total) // count] for index in range(count))

    def affordable(self, seconds: float, most: int = MANY) -> tuple[SuiteAction, ...]:
        """Up to ``most`` usable actions: so many that their cold starts take about ``seconds``."""
        if not self.start_seconds:
            return self.pick(most)
        count = int(seconds * self.harness.jobs / self.start_seconds)
        return self.pick(max(_FEWEST, min(most, count)))

    @property
    def succeeding(self) -> tuple[SuiteAction, ...]:
        """Usable actions that succeed."""
        return tuple(each for each in self.usable if each.exit_code == 0)

    def failing_variant(self, action: SuiteAction) -> SuiteAction | None:
        """A variant of an action that a fresh worker answers with a failure; None if none does."""
        if action not in self._failing:
            self._failing[action] = self._find_failing(action)
        return self._failing[action]

    def _find_failing(self, action: SuiteAction) -> SuiteAction | None:
        variants = [action.changed("inputs missing", inputs={})] if action.inputs else []
        variants.append(
            action.changed("bad option", arguments=(*action.arguments, "--rpw-no-such-option"))
        )
        for each in variants:
            outcome = self.cold(each)
            if not outcome.failure and outcome.exit_code not in {0, None}:
                return each
        return None


def names(history: Sequence[Step]) -> tuple[str, ...]:
    """The names of the actions of some requests."""
    return tuple(each.action.name for each in history)


def titles(history: Sequence[Step]) -> str:
    """Some requests in words; the same one many times in a row is said once."""
    runs = [
        (title, len(list(some))) for title, some in groupby(each.action.title for each in history)
    ]
    return ", ".join(
        f"{count} × {title}" if count > 2 else ", ".join([title] * count) for title, count in runs
    )
