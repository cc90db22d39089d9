"""RPW101–105 in fresh workers, RPW210 and RPW201: what must be known before results are compared.

Each action runs in a fresh worker, then again in another folder with its inputs in another order. What
differs among fresh workers is not a leak, and is left out of all later comparisons. Other checks start
workers with the same requests when the clock has moved, so hardly any action has to be repeated for that.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.hermeticity.checks import response_fields, unread_inputs
from rpw_fixture.hermeticity.checks.blame import code_of_rule
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.elsewhere import (
    ALL_ELSEWHERE,
    ELSEWHERE,
    REPEATED,
    fresh_elsewhere,
)
from rpw_fixture.hermeticity.checks.facts import COLD_RESULTS, ORDER_IGNORED, ColdResults
from rpw_fixture.hermeticity.checks.instability import next_tick
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.excerpts import head_and_tail
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.harness import cold
from rpw_fixture.hermeticity.trials.trial import (
    NO_RESULT,
    RESPONSE,
    Outcome,
    Trial,
    Variation,
    differing,
    steps,
)

#: Codes that no failure alone can pass: a right answer is needed.
_OF_ANSWERS = ("RPW104", "RPW105", "RPW210")
#: Seeds for the hash order of runtimes that read one from the environment.
SEEDS = tuple(
    Variation(
        factor="hash seed",
        environment=(("PERL_HASH_SEED", str(seed)), ("PYTHONHASHSEED", str(seed))),
    )
    for seed in (1, 2, 3)
)


def find(context: CheckContext) -> Iterator[Finding]:
    """Run every action cold; learn which actions are usable, and what of their results is stable."""
    unread_inputs.watch_first_runs(context)
    first = context.cold_or_reason(context.sample)
    context.facts.share(
        COLD_RESULTS,
        ColdResults(
            usable=tuple(each.step.action for each in first if not each.failure),
            failures=tuple(each for each in first if each.failure),
            start_seconds=statistics.median(each.seconds for each in first),
        ),
    )
    _begin(context, [each.step.action for each in first if _has_result(context, each)])
    hint = _other_protocol(context, first)
    for outcome in first:
        if outcome.failure and outcome.failure != NO_RESULT:
            yield _with_hint(protocol_finding(outcome), hint)
    _require_usable(context, first)
    if not context.usable:
        for code in _OF_ANSWERS:
            context.skip(code, "no action works on a fresh worker")
    if not context.is_remote:
        yield from _path_dependent(context)
    context.learn(context.usable, enough=1)
    # Where one repetition differs, more of them show whether it is always in the same places.
    context.learn([each for each in context.usable if context.instability.unstable(each)])
    yield from _nondeterministic(context)
    _require_expected(context)


def _begin(context: CheckContext, actions: Sequence[SuiteAction]) -> None:
    """Take the known results of actions on fresh workers for the first ones."""
    if not actions:
        return
    results = [context.run(cold(each)) for each in actions]
    context.instability.begin(
        [each.outcomes[0] for each in results],
        began=min(each.began for each in results),
        ended=max(each.ended for each in results),
    )


def _has_result(context: CheckContext, outcome: Outcome) -> bool:
    """Return whether a worker was asked; on an endpoint, no result is what its worker made of it."""
    return context.is_remote or outcome.failure != NO_RESULT


def find_late(context: CheckContext) -> Iterator[Finding]:
    """Compare with fresh workers that began when the clock showed another time than in the first runs."""
    context.learn_from_others()
    unseen = [each for each in context.pick() if not context.instability.has_seen_tick(each)]
    if unseen:
        context.instability.await_tick()
        context.learn(unseen, enough=2)
    context.learn([each for each in context.usable if context.instability.unstable(each)])
    yield from _nondeterministic(context)


def _other_protocol(context: CheckContext, first: Sequence[Outcome]) -> str:
    """Return a hint if no action is answered, but one is in the other protocol; else "" ."""
    if not first or not all(each.failure for each in first):
        return ""
    if not context.harness.answers_otherwise(first[0].step.action):
        return ""
    other = context.suite.worker.protocol.other
    return f'it answers to {other.upper()}: set protocol = "{other}" in the suite'


def _with_hint(finding: Finding, hint: str) -> Finding:
    return replace(finding, evidence=f"{hint}\n{finding.evidence}") if hint else finding


def protocol_finding(outcome: Outcome) -> Finding:
    """Return the finding for a request that a fresh worker did not answer properly."""
    code = code_of_rule(outcome.failure)
    evidence = outcome.detail
    if outcome.stderr.strip():
        evidence += f"\nworker's stderr:\n{head_and_tail(outcome.stderr)}"
    return Finding(
        code=code,
        victim=outcome.step.action.name,
        summary=f"in a fresh worker, {outcome.step.action.title} fails: {outcome.failure}",
        evidence=evidence,
        history=(outcome.step,),
    )


def _path_dependent(context: CheckContext) -> Iterator[Finding]:
    began = context.harness.book.latest
    repeated = _repeated(context)
    if not any(context.differing(context.cold(each.step.action), each) for each in repeated):
        for each in repeated:
            context.instability.add(each.step.action, [each], began)
        context.facts.share(ORDER_IGNORED, frozenset(context.pick()))
        return
    # Either paths or orders reach results, or results are unstable. Runs in one folder show which it is.
    context.harness.use_one_path()
    context.run_all([cold(each) for each in context.usable])
    _begin(context, context.usable)
    findings = []
    for action in context.usable:
        aspects = _differences(context, action, ELSEWHERE)
        # Repeat the action after that run, so that what the clock changed in between shows up.
        if aspects and context.learn([action]):
            aspects = _differences(context, action, ELSEWHERE)
        findings += [_path_finding(context, action, aspects)] if aspects else []
    # A path of HOME or TMPDIR in a result is RPW209, and differs between folders as well.
    if not findings and not any(
        _differences(context, each, ALL_ELSEWHERE) for each in context.usable
    ):
        context.harness.use_all_paths()
    yield from findings


def _repeated(context: CheckContext) -> list[Outcome]:
    """Return the outcomes of all actions elsewhere: in one worker, or alone if they differ there."""
    if not context.usable:
        return []
    together = context.run(Trial(history=steps(*context.usable), variation=REPEATED)).outcomes
    same = [
        each for each in together if not context.differing(context.cold(each.step.action), each)
    ]
    known = {each.step.action for each in same}
    alone = [fresh_elsewhere(each) for each in context.usable if each not in known]
    return [*same, *(each.outcomes[0] for each in context.run_all(alone))]


def _differences(context: CheckContext, action: SuiteAction, variation: Variation) -> list[str]:
    varied = context.run(cold(action, variation=variation)).outcomes[0]
    return context.differing(context.cold(action), varied)


def _path_finding(context: CheckContext, action: SuiteAction, aspects: list[str]) -> Finding:
    other = context.run(cold(action, variation=ELSEWHERE)).outcomes[0]
    return Finding(
        code="RPW210",
        severity=Severity.WARNING if aspects == [RESPONSE] else Severity.ERROR,
        victim=action.name,
        outputs=outputs_among(aspects),
        summary=f"when the input root is another folder, {action.name} gives a different result",
        evidence=context.explain(
            context.cold(action), other, aspects, ("one folder", "another folder")
        ),
        history=steps(action),
        variation=ELSEWHERE,
    )


def _nondeterministic(context: CheckContext) -> Iterator[Finding]:
    for action in context.usable:
        pair = context.instability.pair(action)
        if pair is not None:
            yield _unstable_finding(context, action, context.instability.unstable(action), pair)


def _unstable_finding(
    context: CheckContext, action: SuiteAction, aspects: list[str], pair: tuple[Outcome, Outcome]
) -> Finding:
    evidence = context.explain(*pair, aspects, ("one fresh worker", "another one"))
    if _is_seeded(context, action):
        evidence += (
            "\ncause: the hash order; does not happen with PYTHONHASHSEED=1, PERL_HASH_SEED=1"
        )
    failures = [each for each in pair if each.failure]
    code = code_of_rule(failures[0].failure, "RPW201") if failures else "RPW201"
    return Finding(
        code=code,
        severity=Severity.WARNING if aspects == [RESPONSE] else Severity.ERROR,
        victim=action.name,
        outputs=outputs_among(aspects),
        summary=f"fresh workers give different results for {action.name}",
        evidence=evidence,
        history=steps(action),
    )


def _is_seeded(context: CheckContext, action: SuiteAction) -> bool:
    if "RPW201" not in context.selected:
        return False
    early = context.run_all([cold(action, run=run, variation=SEEDS[0]) for run in (0, 1)])
    if differing(early[0].outcomes[0], early[1].outcomes[0]):
        return False
    # Wait until the clock has moved, or a time in the output would look like the hash order.
    time.sleep(max(0.0, next_tick(time.time()) - time.time()))
    late = context.run(cold(action, run=2, variation=SEEDS[0]))
    return not differing(early[0].outcomes[0], late.outcomes[0])


def _require_usable(context: CheckContext, first: list[Outcome]) -> None:
    """Raise if a server runs none of the actions; the cause may be the server or the worker.

    Raises:
        EnvironmentLacksError: with the server's messages.
    """
    failed = [
        each
        for each in first
        if each.failure and (context.is_remote or not _has_result(context, each))
    ]
    if not failed:
        return
    text = "; ".join(f"{each.step.action.name}: {_first_line(each.detail)}" for each in failed[:3])
    if not context.usable:
        option = "--target" if context.is_remote else "--executor"
        raise EnvironmentLacksError(f"{option}: no action of the suite can be run there: {text}")
    if context.is_remote:
        context.notes["RPW201"] = f"on --target: left out, because they have no result: {text}"
        return
    for code in context.selected:
        context.skip(code, f"{len(failed)} actions have no result, so they were not judged: {text}")


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _require_expected(context: CheckContext) -> None:
    """Raise if the suite expects another exit code than fresh workers give.

    Raises:
        ConfigError: names the action.
    """
    for action in context.usable:
        outcome = context.cold(action)
        if context.instability.unstable(action):
            continue
        if outcome.is_as_expected or response_fields.lost_exit_code(outcome) is not None:
            _require_outputs(context, outcome)
            continue
        text = outcome.response.strip() or outcome.stderr.strip() or "(nothing)"
        raise ConfigError(
            f"{_place(context, action)}action {action.name!r} ends with exit code "
            f"{outcome.exit_code} in a fresh worker, but the suite expects exit_code = "
            f"{action.exit_code}; its output: {head_and_tail(text, 800)}"
        )


def _place(context: CheckContext, action: SuiteAction) -> str:
    """Return the start of a message: the line that defines an action, if a file does."""
    place = context.suite.places.get(action.name)
    return f"{place.path}:{place.line}: " if place else ""


def _require_outputs(context: CheckContext, outcome: Outcome) -> None:
    """Raise if an action creates none of its declared outputs, so that nothing could be compared.

    A worker that creates them after the response has a finding (RPW216).

    Raises:
        ConfigError: names the action, its declared outputs and what it created instead.
    """
    action = outcome.step.action
    if outcome.outputs or not action.outputs or action.exit_code != 0:
        return
    patient = Trial(history=(outcome.step,), eof_patience=context.eof_patience)
    if not context.is_remote and context.run(patient).outcomes[0].rewritten:
        return
    others = f"; it created {', '.join(outcome.strays[:3])}" if outcome.strays else ""
    raise ConfigError(
        f"{_place(context, action)}action {action.name!r} creates none of its outputs in a fresh "
        f"worker: "
        f"{', '.join(action.outputs[:3])}{others}"
    )
