"""Text that described workers keep for themselves."""

import pytest

from rpw_fixture.hermeticity.checks import lost_diagnostics
from rpw_fixture.hermeticity.checks.facts import REPORTED
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Outcome, RunMode, Step
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, good, judge

A, B = Step(action=ALPHA), Step(action=BETA)
WARNING = "warning: line 12 is old\n"
HEADER = "printed without --persistent_worker, but not in a warm worker's response:\n"
STDERR = "\nThe worker writes it to its stderr, which is not shown to users."


def warns(asked: Asked, *, is_kept: bool, text: str = WARNING, stderr: str = "") -> Outcome:
    """Answer with a warning in alpha, unless the worker keeps it for itself."""
    is_one_shot = asked.trial.mode is RunMode.ONE_SHOT
    is_shown = asked.step.action == ALPHA and (is_one_shot or not is_kept)
    said = "" if is_one_shot else stderr
    return asked.good(response=f"done\n{text if is_shown else ''}", stderr=said)


def never_says(asked: Asked) -> Outcome:
    return warns(asked, is_kept=True)


def logs(asked: Asked) -> Outcome:
    return warns(asked, is_kept=True, stderr="warning: line 7 is old\n")


def says_it_once(asked: Asked) -> Outcome:
    return warns(asked, is_kept=A in asked.before)


def says_nothing_after_beta(asked: Asked) -> Outcome:
    return warns(asked, is_kept=B in asked.before)


@pytest.mark.parametrize(
    ("behaviour", "history", "where"),
    [
        (never_says, (A,), ""),
        (logs, (A,), STDERR),
        (says_it_once, (A, A), ""),
        (says_nothing_after_beta, (A, B, A), ""),
    ],
)
def test_lost_text_is_found_with_the_fewest_requests(behaviour, history, where) -> None:
    assert judge(lost_diagnostics.find, behaviour).findings == [
        Finding(
            code="RPW218",
            severity=Severity.WARNING,
            victim="alpha",
            summary="the worker's response to alpha lacks text that a one-shot run prints",
            evidence=f"{HEADER}warning: line 12 is old{where}",
            history=history,
        )
    ]


@pytest.mark.parametrize(
    ("count", "more"), [(8, ""), (9, "\n… and 1 more lines"), (20, "\n… and 12 more lines")]
)
def test_many_lines_are_counted(count, more) -> None:
    lines = [f"warning: {'x' * each} is old" for each in range(count)]

    def behaviour(asked: Asked) -> Outcome:
        return warns(asked, is_kept=True, text="\n".join(lines))

    (finding,) = judge(lost_diagnostics.find, behaviour).findings
    assert finding.evidence == HEADER + "\n".join(lines[:8]) + more


def shortly(asked: Asked) -> Outcome:
    return warns(asked, is_kept=True, text="abc\n")


def once_only(asked: Asked) -> Outcome:
    return warns(asked, is_kept=True, text="" if asked.trial.run else WARNING)


def fails_warm(asked: Asked) -> Outcome:
    return asked.failed("crash") if asked.before else warns(asked, is_kept=False)


@pytest.mark.parametrize("behaviour", [good, shortly, once_only])
def test_what_is_short_or_not_printed_each_time_is_not_lost(behaviour) -> None:
    judged = judge(lost_diagnostics.find, behaviour)
    assert (judged.findings, judged.context.skipped) == ([], {})


def test_a_wrong_result_that_is_reported_is_not_lost_text() -> None:
    reported = {REPORTED: frozenset({("alpha", "")})}
    assert judge(lost_diagnostics.find, says_it_once, facts=reported).findings == []


def test_what_a_worker_says_at_its_start_is_not_lost() -> None:
    banner = "welcome to the tool\n"

    def behaviour(asked: Asked) -> Outcome:
        if asked.trial.mode is RunMode.ONE_SHOT:
            return asked.good(response=banner)
        return asked.good(response="", stderr="" if asked.before else banner)

    assert judge(lost_diagnostics.find, behaviour).findings == []


def test_where_nothing_ends_alike_the_report_says_so() -> None:
    judged = judge(lost_diagnostics.find, fails_warm, actions=[ALPHA])
    reason = "no action ends in the same way with and without a worker"
    assert (judged.findings, judged.context.skipped) == ([], {"RPW218": reason})


def test_a_tool_that_only_works_as_a_worker_is_not_compared() -> None:
    def needs_the_flag(asked: Asked) -> Outcome:
        return asked.good(exit_code=2 if asked.trial.mode is RunMode.ONE_SHOT else 0)

    judged = judge(lost_diagnostics.find, needs_the_flag)
    reason = "the tool does not work without --persistent_worker (RPW108)"
    assert (judged.findings, judged.context.skipped) == ([], {"RPW218": reason})
    judged = judge(lost_diagnostics.find, never_says, worker={"one_shot": False})
    assert judged.context.skipped == {"RPW218": "the suite says one_shot = false"}
    assert judged.trials == []
