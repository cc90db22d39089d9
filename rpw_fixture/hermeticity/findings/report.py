"""A report: findings, the state of each check, and what the checks cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from rpw_fixture.errors import Interrupted
from rpw_fixture.hermeticity.findings.accesses import InputAccess
from rpw_fixture.hermeticity.findings.codes import CODES, Severity
from rpw_fixture.hermeticity.findings.finding import Finding, Identity
from rpw_fixture.hermeticity.findings.trial_counts import NO_TRIALS, TrialCounts
from rpw_fixture.hermeticity.suites.suite import Place

#: Beginnings of the reasons for which a check does not apply to a suite; other reasons say what kept
#: a check that does apply from being judged.
_NOT_APPLICABLE = (
    "needs a recording",
    "the suite does not say",
    "the suite says",
    "not possible with --target",
    "not possible with --executor",
)


class Status(StrEnum):
    """The result of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckState:
    """The status of a check, and the reason for it or a remark."""

    code: str
    status: Status
    reason: str = ""

    @property
    def is_applicable(self) -> bool:
        """Whether the check makes sense for the suite, so that it is a loss if it was skipped."""
        return self.status is not Status.SKIPPED or not self.reason.startswith(_NOT_APPLICABLE)

    @property
    def rank(self) -> int:
        """Order of states, the worst first: a code that applies and was not judged has not passed."""
        if self.status is Status.SKIPPED:
            return 1 if self.is_applicable else 3
        return 0 if self.status is Status.FAILED else 2

    def as_dict(self) -> dict[str, object]:
        """Return the value for JSON reports."""
        return {
            "code": self.code,
            "name": CODES[self.code].name,
            "status": str(self.status),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePoisoning:
    """The action-cache entries of a recorded build, and how many of them are wrong.

    Attributes:
        entries: number of results that a cache would keep.
        actions: names of the actions among them whose result differs from a fresh worker's.
        reason: why not everything was compared; empty if everything was.
    """

    entries: int
    actions: tuple[str, ...] = ()
    reason: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the value for JSON reports."""
        fields: dict[str, object] = {
            "entries": self.entries,
            "wrong": len(self.actions),
            "actions": list(self.actions),
        }
        return fields | {"reason": self.reason} if self.reason else fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a worker held after each of many equal requests.

    Attributes:
        action: name of the action.
        resource: ``memory`` (bytes), ``descriptors``, ``threads`` or ``files``.
        values: a value for each request, once the worker was warm.
        limit: the largest slope per request that is no finding; None if none applies.
    """

    action: str
    resource: str
    values: tuple[int, ...]
    limit: float | None

    def as_dict(self) -> dict[str, object]:
        """Return the value for JSON reports."""
        fields: dict[str, object] = {"action": self.action, "resource": self.resource}
        return fields | {"values": list(self.values), "limit": self.limit}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a check run.

    Attributes:
        actions: number of actions in the suite.
        checks: the state of every selected check, by code.
        findings: the findings, worst first.
        worker_starts, requests: numbers of worker starts and of requests that the run took.
        seconds: duration of the run.
        accepted: findings left out because the baseline accepts them.
        poisoning: wrong action-cache entries; None if they were not counted.
        action_names: names of the actions.
        growth: what was measured for RPW301 to RPW304.
        accesses: which inputs of actions were read, as far as RPW207 watched them.
        places: where actions are defined, by name; "" for the worker.
        interruption: the signal that ended the run early; None if nothing did.
        unjudged: codes that could not be judged completely.
        stale: entries of the baseline that no finding matched although their codes were judged.
        shard: the part of a check that this is; empty for a whole one.
        counted_elsewhere: number of the actions that the report of another shard counts already.
    """

    actions: int
    checks: tuple[CheckState, ...]
    findings: tuple[Finding, ...]
    worker_starts: int = 0
    requests: int = 0
    seconds: float = 0.0
    accepted: tuple[Finding, ...] = ()
    poisoning: CachePoisoning | None = None
    action_names: tuple[str, ...] = ()
    growth: tuple[Growth, ...] = ()
    accesses: tuple[InputAccess, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    interruption: Interrupted | None = None
    unjudged: frozenset[str] = field(default=frozenset(), repr=False)
    trials: TrialCounts = NO_TRIALS
    stale: tuple[Identity, ...] = ()
    shard: str = ""
    counted_elsewhere: int = 0

    def place_of(self, finding: Finding) -> Place | None:
        """Return where a finding's victim is defined, else the worker; None if no file defines them."""
        return self.places.get(finding.victim) or self.places.get("")

    @property
    def has_errors(self) -> bool:
        """Whether ``check`` fails."""
        return any(each.severity is Severity.ERROR for each in self.findings)

    @property
    def has_problems(self) -> bool:
        """Whether there is anything that a fix would remove."""
        return any(each.severity is not Severity.INFO for each in self.findings)

    def as_dict(self) -> dict[str, object]:
        """Return the value of the JSON report."""
        fields: dict[str, object] = {
            "schema": 1,
            "actions": self.actions,
            "checks": [each.as_dict() for each in self.checks],
            "findings": [each.as_dict() for each in self.findings],
            "worker_starts": self.worker_starts,
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "trials": self.trials.all,
            "trials_run": self.trials.run,
        }
        if self.accepted:
            fields["accepted"] = [each.as_dict() for each in self.accepted]
        if self.growth:
            fields["growth"] = [each.as_dict() for each in self.growth]
        if self.accesses:
            fields["accesses"] = [each.as_dict() for each in self.accesses]
        if self.poisoning is not None:
            fields["cache_poisoning"] = self.poisoning.as_dict()
        if self.stale:
            fields["stale_baseline"] = [each._asdict() for each in self.stale]
        if self.shard:
            fields["shard"] = self.shard
            fields["counted_elsewhere"] = self.counted_elsewhere
        if self.interruption is not None:
            fields["interrupted"] = self.interruption.signal_name
        return fields


def states(
    selected: frozenset[str],
    findings: tuple[Finding, ...],
    skipped: Mapping[str, str],
    notes: Mapping[str, str],
) -> tuple[CheckState, ...]:
    """Return the state of every selected check.

    Args:
        selected: the codes.
        findings: all findings.
        skipped: reasons by code, for codes that could not be judged.
        notes: remarks by code, such as the means that were used.
    """
    failed = {each.code for each in findings if each.severity is not Severity.INFO}
    found = []
    for code in sorted(selected):
        if code in failed:
            state = CheckState(code=code, status=Status.FAILED, reason=notes.get(code, ""))
        elif code in skipped:
            state = CheckState(code=code, status=Status.SKIPPED, reason=skipped[code])
        else:
            state = CheckState(code=code, status=Status.PASSED, reason=notes.get(code, ""))
        found.append(state)
    return tuple(found)


def merged(reports: Sequence[Report]) -> Report:
    """Merge reports into one: a check passed if it passed in all of them to which it applies."""
    states_of: dict[str, list[CheckState]] = {}
    for state in (each for report in reports for each in report.checks):
        states_of.setdefault(state.code, []).append(state)
    best = {code: _of_workers(found) for code, found in states_of.items()}
    return Report(
        actions=sum(each.actions for each in reports),
        checks=tuple(best[code] for code in sorted(best)),
        findings=tuple(finding for each in reports for finding in each.findings),
        worker_starts=sum(each.worker_starts for each in reports),
        requests=sum(each.requests for each in reports),
        seconds=sum(each.seconds for each in reports),
        accepted=tuple(finding for each in reports for finding in each.accepted),
        places={name: place for each in reports for name, place in each.places.items()},
        interruption=next((each.interruption for each in reports if each.interruption), None),
        unjudged=frozenset().union(*(each.unjudged for each in reports)),
        trials=TrialCounts.summed(each.trials for each in reports),
        poisoning=_summed([each.poisoning for each in reports if each.poisoning is not None]),
        action_names=tuple(name for each in reports for name in each.action_names),
        growth=tuple(one for each in reports for one in each.growth),
        accesses=tuple(one for each in reports for one in each.accesses),
        counted_elsewhere=sum(each.counted_elsewhere for each in reports),
    )


def _of_workers(found: Sequence[CheckState]) -> CheckState:
    """Return the state of a code from those of several workers."""
    state = min(found, key=lambda each: each.rank)
    passed = sum(each.status is Status.PASSED for each in found)
    if state.status is not Status.SKIPPED or not passed:
        return state
    return replace(state, reason=f"{state.reason} (passed for {passed} of {len(found)} workers)")


def _summed(counts: Sequence[CachePoisoning]) -> CachePoisoning | None:
    if not counts:
        return None
    return CachePoisoning(
        entries=sum(each.entries for each in counts),
        actions=tuple(name for each in counts for name in each.actions),
        reason="; ".join(dict.fromkeys(each.reason for each in counts if each.reason)),
    )
