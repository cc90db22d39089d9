"""Requests that ask for a verbosity, to described workers."""

import pytest

from rpw_fixture.hermeticity.checks import verbosity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Outcome, Step
from tests.hermeticity.described.described_worker import ALPHA, Asked, good, judge

VERBOSE = Step(action=ALPHA, verbosity=10)


def logs_into_its_output(asked: Asked) -> Outcome:
    return asked.good("verbose\n" if asked.step.verbosity else "")


def logs_to_stdout(asked: Asked) -> Outcome:
    failure = asked.failed("text on stdout", "it said hello", stderr=f"{'b' * 1000}\n")
    return failure if asked.step.verbosity else asked.good(stderr="not shown")


def is_talkative(asked: Asked) -> Outcome:
    return asked.good(response="I read all inputs" if asked.step.verbosity else "did it")


def logs_once(asked: Asked) -> Outcome:
    return asked.good("verbose\n" if asked.step.verbosity and not asked.trial.run else "")


def test_another_result_is_a_finding() -> None:
    judged = judge(verbosity.find, logs_into_its_output)
    assert judged.findings == [
        Finding(
            code="RPW209",
            victim="alpha",
            outputs=("out/alpha.txt",),
            summary="the result of alpha depends on the environment: verbosity "
            "(with 10 it gives another result)",
            evidence="""\
out/alpha.txt:
  --- verbosity 0
  +++ verbosity 10
  @@ -2 +2,2 @@
   src/alpha.txt: text of alpha
  +verbose""",
            history=(VERBOSE,),
        )
    ]


def test_a_failure_is_a_finding_with_the_end_of_stderr() -> None:
    (finding,) = judge(verbosity.find, logs_to_stdout).findings
    assert finding == Finding(
        code="RPW209",
        victim="alpha",
        outputs=("out/alpha.txt",),
        summary="the result of alpha depends on the environment: verbosity "
        "(with 10 it fails: text on stdout)",
        evidence=f"""\
exit code: 0 (verbosity 0), text on stdout (verbosity 10)
  it said hello
out/alpha.txt: a file of 35 bytes (verbosity 0), absent (verbosity 10)
worker's stderr: {"b" * 1000}""",
        history=(VERBOSE,),
    )


@pytest.mark.parametrize("behaviour", [good, is_talkative])
def test_more_text_in_the_response_is_what_verbosity_is_for(behaviour) -> None:
    judged = judge(verbosity.find, behaviour)
    assert judged.findings == []
    assert judged.context.skipped == {}


def test_a_difference_that_does_not_come_again_is_no_finding() -> None:
    judged = judge(verbosity.find, logs_once)
    assert judged.findings == []
    reason = "a difference was seen once and not reproduced; see the info about it"
    assert judged.context.skipped == {"RPW209": reason}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "varied: verbosity, nothing else"),
        ({"RPW209": "varied: TZ; not varied: clock"}, "varied: verbosity, TZ; not varied: clock"),
    ],
)
def test_the_factor_is_noted_among_those_varied(before, after) -> None:
    judged = judge(verbosity.find, good, options={"notes": dict(before)})
    assert judged.context.notes == {"RPW209": after}
