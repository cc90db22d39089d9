"""From a wrong result to a finding: its code, the smallest set of polluters, and a reproduction.

A suspicion is an outcome that differs from that of a fresh worker for the same request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rpw_fixture.hermeticity.checks import counted_leaks, lost_diagnostics, shrinking
from rpw_fixture.hermeticity.checks.context import INPUTS_MISSING, CheckContext, names
from rpw_fixture.hermeticity.checks.counted_leaks import Polluters
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.excerpts import head_and_tail
from rpw_fixture.hermeticity.findings.finding import SEEN_ONCE, Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import NO_RESULT, RESPONSE, Outcome, Step, Trial
from rpw_fixture.hermeticity.trials.worker_session import TIMEOUT
from rpw_fixture.support.plurals import plural

#: Rules of the worker protocol, as failures name them, and the code that each belongs to.
_CODES_OF_RULES = {
    "text on stdout": "RPW101",
    "timeout": "RPW102",
    "crash": "RPW103",
    "wrong request_id": "RPW104",
}
_MALFORMED = "RPW105"
_MAX_RUNS = 150
#: Shrink for at most this many victims; test the others against the polluters known by then.
_MOST_SHRUNK = 6
_MOST_CLEANERS = 6
#: Repetitions that must all show a leak; more of them where results are partly random.
_PROOFS, _PROOFS_OF_UNSTABLE = 2, 4
_SHORTEST_LINE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A result that differs from a fresh worker's.

    Attributes:
        victim: the request with that result.
        before: the requests before it in the same worker.
        cold: the outcome of the victim in a fresh worker.
        warm: the outcome after the requests before it.
        aspects: names of what differs between the two.
    """

    victim: Step
    before: tuple[Step, ...]
    cold: Outcome
    warm: Outcome
    aspects: tuple[str, ...]


def code_of_rule(rule: str, otherwise: str = _MALFORMED) -> str:
    """Return the code of a broken protocol rule; ``otherwise`` if it is not known which rule it was."""
    return otherwise if rule == NO_RESULT else _CODES_OF_RULES.get(rule, _MALFORMED)


def suspicions(
    context: CheckContext,
    histories: Sequence[Sequence[Outcome]],
    victims: Collection[Step] | None = None,
) -> list[Suspicion]:
    """Return the clearest suspicion for each action of the suite, fewest earlier requests first.

    Args:
        context: runs trials.
        histories: the outcomes of each worker.
        victims: the requests to compare with a fresh worker; None for all.
    """
    found = _suspicions(context, histories, victims)
    # Repeat the victims only now: what the clock changed before the suspicious runs shows up as well.
    if found and context.learn(each.victim.action for each in found):
        found = _suspicions(context, histories, victims)
    return found


def _suspicions(
    context: CheckContext,
    histories: Iterable[Sequence[Outcome]],
    victims: Collection[Step] | None,
) -> list[Suspicion]:
    best: dict[Step, Suspicion] = {}
    for outcomes in histories:
        done: list[Step] = []
        for warm in outcomes:
            is_asked = victims is None or warm.step in victims
            found = _suspicion(context, tuple(done), warm) if is_asked else None
            done.append(warm.step)
            if found is None:
                continue
            known = best.get(found.victim)
            if known is None or _rank(found) < _rank(known):
                best[found.victim] = found
            if warm.changed_inputs or warm.failure:
                break
    return sorted(best.values(), key=lambda each: len(each.before))


def _rank(suspicion: Suspicion) -> tuple[bool, bool, int]:
    """Sort plain histories first: with a failing request a state leak would look like RPW109.

    A failing action of the suite is easier to understand than one that the check made fail.
    """
    actions = [each.action for each in suspicion.before]
    is_edited = any(each.variant for each in actions)
    return is_edited, any(each.exit_code for each in actions), len(actions)


def blame(context: CheckContext, suspects: Sequence[Suspicion]) -> Iterator[Finding]:
    """Yield a finding with polluters for each suspicion; one that can't be reproduced becomes info.

    A broken protocol rule is reported for its first victim only.
    """
    guilty: list[Polluters] = []
    shrunk = 0
    for suspect in suspects:
        if context.is_reported(suspect.victim.action, suspect.warm.failure):
            continue
        if lost_diagnostics.explains(context, suspect.warm) or _is_of_start(context, suspect):
            continue
        polluters = _try_known(context, suspect, guilty)
        if polluters is None:
            # Shrinking takes many runs. The whole history shows the leak as well.
            is_shrunk = shrunk < _MOST_SHRUNK
            polluters = _shrink(context, suspect) if is_shrunk else Polluters(suspect.before)
            shrunk += 1
        finding = _reproduced(context, suspect, polluters) if polluters is not None else None
        if finding is None:
            yield from _doubtful(context, suspect)
            continue
        if polluters is not None and polluters not in guilty:
            guilty.append(polluters)
        context.note_reported(suspect.victim.action, suspect.warm.failure)
        yield finding


def _suspicion(context: CheckContext, before: tuple[Step, ...], warm: Outcome) -> Suspicion | None:
    step = warm.step
    # Requests that the check itself made invalid only have to be answered, with any text.
    if not before or (step.action.variant and not warm.failure):
        return None
    cold = context.run(Trial(history=(step,))).outcomes[0]
    aspects = context.differing(cold, warm)
    if not aspects:
        return None
    return Suspicion(victim=step, before=before, cold=cold, warm=warm, aspects=tuple(aspects))


def _is_guilty(
    context: CheckContext, suspect: Suspicion, before: Sequence[Step], run: int = 0
) -> Outcome | None:
    """Return the victim's outcome after ``before`` if it shows the suspicion again, else None."""
    history = (*before, suspect.victim)
    # A worker must have what it needs at its start: without it, no request could be contained.
    started_with = suspect.victim.action if _lacks_inputs(context, before) else None
    outcomes = context.run(Trial(history=history, run=run, started_with=started_with)).outcomes
    if len(outcomes) < len(history):
        return None
    warm = outcomes[-1]
    if not set(context.differing(suspect.cold, warm)) & set(suspect.aspects):
        return None
    # A crash and a wrong output are different bugs, though both change the exit code.
    return warm if warm.failure == suspect.warm.failure else None


def _lacks_inputs(context: CheckContext, before: Sequence[Step]) -> bool:
    """Return whether a worker would start without the inputs of an action."""
    is_missing = bool(before) and before[0].action.variant == INPUTS_MISSING
    return is_missing and not context.is_remote


def _is_of_start(context: CheckContext, suspect: Suspicion) -> bool:
    """Return whether a result is wrong only because the worker had started without inputs (RPW401)."""
    if not _lacks_inputs(context, suspect.before):
        return False
    started = Trial(history=(*suspect.before, suspect.victim))
    again = context.run(started).outcomes
    is_wrong = len(again) > len(suspect.before) and bool(context.differing(suspect.cold, again[-1]))
    return is_wrong and _is_guilty(context, suspect, suspect.before) is None


def _try_known(
    context: CheckContext, suspect: Suspicion, guilty: Sequence[Polluters]
) -> Polluters | None:
    for polluters in guilty:
        if set(polluters.steps) <= set(suspect.before) and _is_guilty(
            context, suspect, polluters.steps
        ):
            return polluters
    return None


def _shrink(context: CheckContext, suspect: Suspicion) -> Polluters | None:
    if _is_guilty(context, suspect, suspect.before) is None:
        return None

    def asked(part: tuple[Step, ...]) -> bool:
        return bool(part) and _is_guilty(context, suspect, part) is not None

    counted = counted_leaks.find(
        suspect.before, suspect.victim, _another(context, suspect.victim), asked
    )
    if counted is not None:
        return counted
    least = shrinking.minimise(suspect.before, asked, max_questions=_MAX_RUNS)
    order = {action.name: place for place, action in enumerate(context.suite.actions)}
    tidy = shrinking.simplify_order(least, asked, lambda step: order.get(step.action.name, 0))
    return Polluters(_unedited(suspect.victim, tidy, asked))


def _unedited(
    victim: Step, polluters: tuple[Step, ...], asked: Callable[[tuple[Step, ...]], bool]
) -> tuple[Step, ...]:
    """Return the victim's request as its polluter if that does what an edited copy of it does.

    Else a worker that can't stand equal requests looks like one that can't stand failures.
    """
    is_copy = all(
        each.action.variant and each.action.name == victim.action.name for each in polluters
    )
    plain = (victim,) * len(polluters)
    return plain if is_copy and not victim.action.variant and asked(plain) else polluters


def _another(context: CheckContext, victim: Step) -> Step | None:
    """Return a plain request of another action; None if the suite has none."""
    others = (each for each in context.succeeding if each.name != victim.action.name)
    return next((Step(action=each) for each in others), None)


def _reproduced(context: CheckContext, suspect: Suspicion, polluters: Polluters) -> Finding | None:
    """Return the finding if several more runs show the same difference, else None."""
    warm: Outcome | None = None
    is_unstable = bool(context.instability.left_out(suspect.victim.action))
    for run in range(1, _PROOFS_OF_UNSTABLE + 1 if is_unstable else _PROOFS + 1):
        warm = _is_guilty(context, suspect, polluters.steps, run)
        if warm is None:
            return None
    context.learn([suspect.victim.action])
    aspects = context.differing(suspect.cold, warm) if warm is not None else []
    if warm is None or not aspects:
        return None
    code, severity = _classify(context, suspect, polluters.steps, warm, aspects)
    return Finding(
        code=code,
        severity=severity,
        victim=suspect.victim.action.name,
        polluters=polluters.names,
        are_polluters_any=polluters.is_any,
        outputs=outputs_among(aspects),
        summary=_summary(code, suspect, polluters),
        evidence=_evidence(context, suspect, polluters, warm, aspects),
        history=(*polluters.steps, suspect.victim),
    )


def _doubtful(context: CheckContext, suspect: Suspicion) -> Iterator[Finding]:
    """Yield what could not be reproduced as info, unless fresh workers differ in the same way.

    A process that ended, or wrote something that is not a response, is an error even if seen once.
    """
    context.learn([suspect.victim.action])
    aspects = context.differing(suspect.cold, suspect.warm)
    if not aspects:
        return
    code, _ = _classify(context, suspect, suspect.before, suspect.warm, aspects)
    is_certain = bool(suspect.warm.failure) and suspect.warm.failure not in {TIMEOUT, NO_RESULT}
    context.note_reported(suspect.victim.action, suspect.warm.failure)

    yield Finding(
        code=code,
        severity=Severity.ERROR if is_certain else Severity.INFO,
        victim=suspect.victim.action.name,
        polluters=names(suspect.before),
        outputs=outputs_among(aspects),
        summary=_summary(code, suspect, Polluters(suspect.before)) + SEEN_ONCE,
        evidence=_evidence_text(context, suspect.cold, suspect.warm, aspects),
        history=(*suspect.before, suspect.victim),
        is_doubtful=not is_certain,
    )


def _classify(
    context: CheckContext,
    suspect: Suspicion,
    polluters: tuple[Step, ...],
    warm: Outcome,
    aspects: list[str],
) -> tuple[str, Severity]:
    is_text_only = aspects == [RESPONSE]
    if is_text_only and _repeats_earlier_text(context, polluters, suspect, warm.response):
        return "RPW212", Severity.ERROR
    severity = Severity.WARNING if is_text_only else Severity.ERROR
    is_of_failures = bool(warm.failure) and _is_failing(context, suspect.victim)
    if not is_of_failures and all(_is_failing(context, each) for each in polluters):
        return ("RPW203" if _remembers_absence(context, suspect, polluters) else "RPW109"), severity
    if not is_of_failures and _remembers_absence(context, suspect, polluters):
        return "RPW203", severity  # an optional input: its absence is no failure
    if warm.failure:
        code = code_of_rule(warm.failure, "RPW202")
        # If the protocol code is not selected, report that an earlier request changed a later result.
        is_wanted = code in context.selected or "RPW202" not in context.selected
        return code if is_wanted else "RPW202", severity
    return "RPW202", severity


def _remembers_absence(
    context: CheckContext, suspect: Suspicion, polluters: tuple[Step, ...]
) -> bool:
    """Return whether missing inputs, and not any failing request, change the later result."""
    victim = suspect.victim.action
    if "RPW203" not in context.selected or suspect.warm.failure or context.is_remote:
        return False
    if any(each.action.variant != INPUTS_MISSING for each in polluters):
        return False
    others = list(context.unrelated_failures(victim))
    return bool(others) and not any(context.poisons(each, victim) for each in others)


def _is_failing(context: CheckContext, step: Step) -> bool:
    outcome = context.run(Trial(history=(step,))).outcomes[0]
    return bool(outcome.failure) or outcome.exit_code != 0


def _repeats_earlier_text(
    context: CheckContext, polluters: tuple[Step, ...], suspect: Suspicion, warm: str
) -> bool:
    """Return whether the additional text of the warm response comes from an earlier request."""
    known = suspect.cold.response
    fresh = [line.strip() for line in warm.splitlines() if line not in known.splitlines()]
    fresh = [line for line in fresh if len(line) >= _SHORTEST_LINE]
    own = [*_words(suspect.victim.action), known]
    for step in polluters:
        response = context.run(Trial(history=(step,))).outcomes[0].response
        # What the victim has to do with as well may come from itself.
        words = [
            word
            for word in _words(step.action)
            if len(word) >= _SHORTEST_LINE and not any(word in each for each in own)
        ]
        if any(line in response or any(word in line for word in words) for line in fresh):
            return True
    earlier = [line for line in cold_lines(context, polluters) if line not in known]
    return any(len(line) >= _SHORTEST_LINE and line in warm for line in earlier)


def _words(action: SuiteAction) -> list[str]:
    return [*action.arguments, *action.inputs, *action.outputs]


def cold_lines(context: CheckContext, polluters: tuple[Step, ...]) -> list[str]:
    """Return the lines of the responses that fresh workers give to some requests."""
    lines: list[str] = []
    for step in polluters:
        response = context.run(Trial(history=(step,))).outcomes[0].response
        lines += [line.strip() for line in response.splitlines()]
    return lines


def _summary(code: str, suspect: Suspicion, polluters: Polluters) -> str:
    victim, before = suspect.victim.action.title, polluters.title
    if code == "RPW109" and not polluters.is_any:
        before = f"the {plural(len(polluters.steps), 'failing request')} {before}"
    if suspect.warm.failure:
        return f"after {before}, {victim} fails: {suspect.warm.failure}"
    if code == "RPW212":
        return f"after {before}, the response to {victim} contains text of an earlier request"
    if code == "RPW203":
        return (
            f"after {before}, {victim} does not give its usual result, though they are there again"
        )
    return f"after {before}, {victim} gives a different result than in a fresh worker"


def _evidence(
    context: CheckContext,
    suspect: Suspicion,
    polluters: Polluters,
    warm: Outcome,
    aspects: list[str],
) -> str:
    lines = [_evidence_text(context, suspect.cold, warm, aspects)]
    cleaners = [] if polluters.is_any else _cleaners(context, suspect, polluters.steps)
    if cleaners:
        lines.append(f"does not happen if one of these runs in between: {', '.join(cleaners)}")
    return "\n".join(each for each in lines if each)


def _evidence_text(context: CheckContext, cold: Outcome, warm: Outcome, aspects: list[str]) -> str:
    lines = [context.explain(cold, warm, aspects, ("fresh worker", "after the polluters"))]
    if warm.failure and warm.stderr.strip():
        lines.append(f"worker's stderr: {head_and_tail(warm.stderr)}")
    return "\n".join(each for each in lines if each)


def _cleaners(context: CheckContext, suspect: Suspicion, polluters: tuple[Step, ...]) -> list[str]:
    """Return the actions that hide the leak when they run between polluters and victim."""
    if suspect.warm.failure:
        return []
    involved = {*names(polluters), suspect.victim.action.name}
    others = [each for each in context.succeeding if each.name not in involved][:_MOST_CLEANERS]
    trials = [Trial(history=(*polluters, Step(action=each), suspect.victim)) for each in others]
    found = []
    for each, result in zip(others, context.run_all(trials), strict=True):
        outcomes = result.outcomes
        if len(outcomes) == len(polluters) + 2 and not context.differing(
            suspect.cold, outcomes[-1]
        ):
            found.append(each.name)
    return found
