"""Locates what carried the state of findings: a variable, a file, a descriptor.

A finding's trial is run again, and the state that changed before the last request is put back. If the
victim is right then, halving finds the smallest part that is enough: that part carried the state.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from rpw_fixture.errors import Interrupted
from rpw_fixture.hermeticity.carriers import experiments, growth
from rpw_fixture.hermeticity.carriers.experiments import Experimenter, OutOfStartsError
from rpw_fixture.hermeticity.carriers.halving import OutOfQuestionsError, smallest
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings import baseline
from rpw_fixture.hermeticity.findings.carrier import Carrier
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding, Identity
from rpw_fixture.hermeticity.trials import observers
from rpw_fixture.hermeticity.trials.experiment import Change
from rpw_fixture.hermeticity.trials.trial import Interruption, Result, RunMode, UnavailableError
from rpw_fixture.hermeticity.trials.trial_book import OutOfTimeError

#: Codes whose findings are about state that some place carries.
CODES = frozenset(
    ("RPW109", "RPW202", "RPW203", "RPW204", "RPW212", "RPW213", "RPW214", "RPW215", *growth.KINDS)
)
#: Of one run, at most this many findings are located.
MOST_FINDINGS = 6
#: For one finding, at most this many workers are started.
MOST_STARTS = 12
#: Suspects that a finding names.
_MOST_SUSPECTS = 20
#: Starts that are kept for the proof: a repetition, and the run that names the changing line.
_KEPT = 2
#: Runs of what depends on the moment.
_TRIES = 3
#: Kinds that are put back although no line of the tool defines them.
_SAFE = frozenset(("environment", "file", "umask", "working directory"))
#: The ids of modules that a request loads begin with this.
_MODULE = "module|"
_OBSERVED = "the worker behaves differently when observed"


@dataclass(slots=True, kw_only=True)
class EarlierSearches:
    """What the searches for earlier findings of one code have shown.

    Attributes:
        carriers: ids of the places that carried the latest one that was located.
        too_many: a number of places that could not all be tried one by one.
    """

    carriers: frozenset[str] = frozenset()
    too_many: float = math.inf


def locate_fresh(
    context: CheckContext, findings: Sequence[Finding], accepted: Collection[Identity]
) -> list[Finding]:
    """Return the findings, those that no baseline accepts with their carriers.

    They are returned as they are if the run was interrupted, or has no time left.
    """
    if context.interruption is not None:
        return list(findings)
    fresh = [each for each in findings if baseline.identity(each) not in accepted]
    try:
        located = locate_all(context, fresh)
    except OutOfTimeError:
        located = fresh
    except Interrupted as error:
        context.interruption = error
        located = fresh
    known = {id(each): found for each, found in zip(fresh, located, strict=True)}
    return [known.get(id(each), each) for each in findings]


def locate_all(context: CheckContext, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, the first ones of those that can be located with their carriers.

    Raises:
        OutOfTimeError: the time limit of the check is reached.
    """
    wanted = [each for each in findings if can_be_located(context, each)][:MOST_FINDINGS]
    by_code: dict[str, list[Finding]] = {}
    for each in wanted:
        by_code.setdefault(each.code, []).append(each)
    if wanted:
        _observer(context)  # once, and not for each code at the same time
    tasks = [functools.partial(_locate_in_turn, context, some) for some in by_code.values()]
    located = itertools.chain.from_iterable(context.harness.side_by_side(tasks))
    pairs = zip(itertools.chain.from_iterable(by_code.values()), located, strict=True)
    known = {id(each): found for each, found in pairs}
    return [known.get(id(each), each) for each in findings]


def _locate_in_turn(context: CheckContext, findings: Sequence[Finding]) -> list[Finding]:
    """Return findings of one code with their carriers; what carried one is tried first for the next."""
    earlier = EarlierSearches()
    return [locate(context, each, earlier) for each in findings]


def can_be_located(context: CheckContext, finding: Finding) -> bool:
    """Return whether a finding is of a kind that has carriers, and its trial can be repeated here."""
    is_certain = finding.severity is not Severity.INFO and not finding.is_doubtful
    return is_certain and finding.code in CODES and bool(finding.history) and not context.is_remote


def locate(context: CheckContext, finding: Finding, earlier: EarlierSearches) -> Finding:
    """Return the finding with its carriers, or with the reason why there are none.

    Args:
        context: runs trials.
        finding: the finding.
        earlier: what is known from earlier findings, to which this one adds.
    """
    try:
        if finding.code in growth.KINDS:
            carriers, remark = growth.locate(context, finding, *_observer(context))
        else:
            carriers, remark = _search(_experimenter(context, finding), earlier)
    except UnavailableError as error:
        carriers, remark = (), str(error)
    if not remark:
        return replace(finding, carriers=carriers)
    title = "not located" if not carriers else "where the state lives"
    evidence = "\n".join(each for each in (finding.evidence, f"{title}: {remark}") if each)
    return replace(finding, carriers=carriers, evidence=evidence)


def _experimenter(context: CheckContext, finding: Finding) -> Experimenter:
    trial = experiments.shown_by(finding)
    victim = experiments.victim_of(finding, trial)
    reference = experiments.reference_of(context, trial, victim)
    observer, program = ("", "") if trial.predecessors else _observer(context)
    return Experimenter(
        context, trial, reference, MOST_STARTS, observer=observer, program=program, victim=victim
    )


def _observer(context: CheckContext) -> tuple[str, str]:
    """Return the runtime of the observer that fits the worker, and its program; "" if none fits."""
    found = observers.find(experiments.observe(context).programs)
    return (found[0].runtime, found[1]) if found is not None else ("", "")


def _search(
    experimenter: Experimenter, earlier: EarlierSearches
) -> tuple[tuple[Carrier, ...], str]:
    """Return the carriers, and a remark about what is not known."""
    plain, remark = _observed(experimenter)
    if plain is None:
        return (), remark
    changes = plain.observation.changes
    if experimenter.trial.mode is RunMode.OVERLAPPING:
        return _suspects(changes), remark or _unproven(
            changes, "while requests overlap, nothing can be put back to prove it"
        )
    candidates = [each for each in changes if each.can_restore]
    if not candidates:
        return _suspects(changes), remark or _unproven(changes, "none of it can be put back")
    try:
        for some in _attempts(candidates, earlier):
            if experimenter.is_right_with([each.id for each in some]):
                return _proven(experimenter, some, earlier), ""
        why = "with all that could be put back, the result is still wrong"
        return _suspects(changes), "; ".join(each for each in (why, remark) if each)
    except OutOfStartsError:
        earlier.too_many = min(earlier.too_many, len(candidates))
        return _suspects(candidates), "more places changed than could be tried one by one"


def _attempts(candidates: Sequence[Change], earlier: EarlierSearches) -> Iterator[Sequence[Change]]:
    """Yield what to put back together.

    First what carried an earlier finding, then everything, then only what can hardly break the worker.

    Raises:
        OutOfStartsError: no more places were too many for an earlier finding.
    """
    known = [each for each in candidates if each.id in earlier.carriers]
    if known and len(known) == len(earlier.carriers):
        yield known
    if len(candidates) >= earlier.too_many:
        raise OutOfStartsError
    yield candidates
    safe = [each for each in candidates if each.place or each.kind in _SAFE]
    safe = [each for each in safe if each.kind != "local variable"]
    if safe and len(safe) < len(candidates):
        yield safe


def _observed(experimenter: Experimenter) -> tuple[Result | None, str]:
    """Return a run that shows the finding, with an observer if that is possible; and what is missing."""
    if not experimenter.observer:
        is_known = bool(experimenter.trial.predecessors)
        remark = "" if is_known else "the worker's runtime is not one that can be looked into"
        result = _shown(experimenter)
        return (result, remark) if result is not None else (None, "it did not show again")
    result = _shown(experimenter)
    if result is not None:
        if not result.observation.runtime:
            experimenter.observer = ""  # it would be waited for in every run
        return result, result.observation.remark
    experimenter.observer = ""
    return _shown(experimenter), _OBSERVED


def _shown(experimenter: Experimenter) -> Result | None:
    """Return a run that shows the finding; what depends on the moment is tried several times."""
    trial = experimenter.trial
    is_chance = trial.mode is RunMode.OVERLAPPING or any(
        each.interruption is not Interruption.NEVER for each in trial.predecessors
    )
    for run in range(_TRIES if is_chance else 1):
        result = experimenter.run(run=run)
        if experimenter.shows(result):
            return result
    return None


def _proven(
    experimenter: Experimenter, candidates: Sequence[Change], earlier: EarlierSearches
) -> tuple[Carrier, ...]:
    """Return the smallest part of the candidates that makes the victim right again, confirmed.

    It is noted in ``earlier``.

    Raises:
        OutOfStartsError: no worker starts are left, so that nothing is proven.
    """
    try:
        found = _smallest(experimenter, candidates)
    except OutOfQuestionsError:
        raise OutOfStartsError from None
    found = _within_modules(experimenter, found)
    ids = [each.id for each in found]
    if not experimenter.is_right_with(ids, run=1):
        return _suspects(found)
    earlier.carriers = frozenset(ids)
    return tuple(_carrier(each, is_confirmed=True) for each in _with_lines(experimenter, found))


def _within_modules(experimenter: Experimenter, found: Sequence[Change]) -> Sequence[Change]:
    """Return what in a module carried the state, if all that is known is that a request loads it."""
    names = [each.id.removeprefix(_MODULE) for each in found if each.id.startswith(_MODULE)]
    files = {each.place.partition(":")[0] for each in found if each.id.startswith(_MODULE)}
    if not names or len(names) < len(found):
        return found
    experimenter.loaded = tuple(names)
    try:
        result = experimenter.run()
        changes = [each for each in result.observation.changes if each.can_restore]
        inner = [each for each in changes if each.place.partition(":")[0] in files]
        if experimenter.shows(result) and inner:
            ids = [each.id for each in inner]
            if experimenter.is_right_with(ids):
                return _smallest(experimenter, inner)
    except (OutOfStartsError, OutOfQuestionsError):
        pass
    experimenter.loaded = ()
    return found


def _smallest(experimenter: Experimenter, candidates: Sequence[Change]) -> Sequence[Change]:
    """Return the smallest part of the candidates that makes the victim right again.

    Raises:
        OutOfQuestionsError: no worker starts are left for that.
    """

    def is_enough(part: Sequence[Change]) -> bool:
        return experimenter.is_right_with([each.id for each in part])

    questions = (experimenter.most - experimenter.starts) // experimenter.trial.starts - _KEPT
    return smallest(candidates, is_enough, questions=max(0, questions))


def _with_lines(experimenter: Experimenter, found: Sequence[Change]) -> Sequence[Change]:
    """Return the changes with the lines that changed them, where an observer can tell."""
    if not experimenter.observer:
        return found
    try:
        again = experimenter.run(watched=[each.id for each in found]).observation.changes
    except OutOfStartsError:
        return found
    lines = {each.id: each.changed_at for each in again}
    return [replace(each, changed_at=lines.get(each.id, "")) for each in found]


def _suspects(changes: Sequence[Change]) -> tuple[Carrier, ...]:
    """Return what changed as suspects; what no line of the tool defines comes late.

    What lasts no longer than a request comes last.
    """
    ordered = sorted(
        changes,
        key=lambda each: (
            each.kind == "local variable",
            not each.place and each.kind not in _SAFE,
        ),
    )
    return tuple(_carrier(each) for each in ordered[:_MOST_SUSPECTS])


def _carrier(change: Change, *, is_confirmed: bool = False) -> Carrier:
    return Carrier(
        kind=change.kind,
        name=change.name,
        place=change.place,
        before=change.before,
        after=change.after,
        is_confirmed=is_confirmed,
        changed_at=change.changed_at,
    )


def _unproven(changes: Sequence[Change], why: str) -> str:
    if not changes:
        return "nothing that can be seen has changed before the result was wrong"
    return f"these places changed, but {why}"
