"""Requests after a pause, to described workers."""

import pytest

from rpw_fixture.hermeticity.checks import pauses
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Outcome, Step, Trial
from tests.hermeticity.described.described_worker import (
    ALPHA,
    BETA,
    Asked,
    DescribedHarness,
    good,
    judge,
)

PAUSED = Step(action=ALPHA, pause=3.0)
PLAIN = Step(action=ALPHA)


def forgets(asked: Asked) -> Outcome:
    return asked.good("forgot\n" if asked.step.pause else "")


def ends(asked: Asked) -> Outcome:
    is_late = bool(asked.step.pause)
    return asked.failed("crash", "it ended", stderr=" idle \n") if is_late else asked.good()


def counts(asked: Asked) -> Outcome:
    return asked.good(f"request {len(asked.before)}\n")


def tires(asked: Asked) -> Outcome:
    return asked.failed("crash") if asked.before else asked.good()


def forgets_once(asked: Asked) -> Outcome:
    return asked.good("forgot\n" if asked.step.pause and not asked.trial.run else "")


def recovers(asked: Asked) -> Outcome:
    """Answer wrongly after a pause, but only a worker that served something else before."""
    return asked.good("forgot\n" if asked.step.pause and len(asked.before) > 1 else "")


def test_another_result_after_a_pause_is_a_finding() -> None:
    (finding,) = judge(pauses.find, forgets).findings
    assert finding == Finding(
        code="RPW202",
        victim="alpha",
        polluters=("alpha",),
        outputs=("out/alpha.txt",),
        summary="after alpha and a pause of 3 seconds, alpha gives a different result",
        evidence="""\
without the pause, both requests get the same answer
out/alpha.txt:
  --- before the pause
  +++ after it
  @@ -2 +2,2 @@
   src/alpha.txt: text of alpha
  +forgot""",
        history=(PLAIN, PAUSED),
    )


def test_an_end_during_a_pause_is_a_finding() -> None:
    (finding,) = judge(pauses.find, ends, options={"pause": 0.5}).findings
    assert finding == Finding(
        code="RPW103",
        victim="alpha",
        polluters=("alpha",),
        outputs=("out/alpha.txt",),
        summary="after alpha and a pause of 0.5 seconds, alpha fails: crash",
        evidence="""\
without the pause, both requests get the same answer
exit code: 0 (before the pause), crash (after it)
  it ended
out/alpha.txt: a file of 35 bytes (before the pause), absent (after it)
response text:
  --- before the pause
  +++ after it
  @@ -1 +0,0 @@
  -did alpha
worker's stderr: idle""",
        history=(PLAIN, Step(action=ALPHA, pause=0.5)),
    )


@pytest.mark.parametrize("behaviour", [good, counts, tires, forgets_once, recovers])
def test_what_has_another_cause_or_does_not_come_again_is_none(behaviour) -> None:
    assert judge(pauses.find, behaviour).findings == []


@pytest.mark.parametrize(
    ("options", "is_tried"),
    [
        ({}, True),
        ({"selected": frozenset({"RPW103"})}, True),
        ({"selected": frozenset({"RPW202", "RPW301"})}, True),
        ({"selected": frozenset({"RPW101", "RPW203"})}, False),
        ({"pause": 0.0}, False),
        ({"pause": 0.001}, True),
    ],
)
def test_a_pause_is_tried_for_two_codes_only(options, is_tried) -> None:
    judged = judge(pauses.find, forgets, options=options)
    assert bool(judged.trials) == is_tried
    assert bool(judged.findings) == is_tried


@pytest.mark.parametrize("pause", [0.0, 0.25])
def test_the_trial_that_waits_is_begun_ahead(pause, monkeypatch) -> None:
    begun = []
    monkeypatch.setattr(DescribedHarness, "begin", lambda _, trial: begun.append(trial))

    def begin(context):
        pauses.begin(context)
        return iter(())

    judge(begin, good, options={"pause": pause})
    last = Step(action=ALPHA, pause=pause)
    assert begun == ([Trial(history=(PLAIN, Step(action=BETA), last))] if pause else [])


def test_only_the_end_of_a_long_stderr_is_shown() -> None:
    def talks(asked: Asked) -> Outcome:
        is_late = bool(asked.step.pause)
        return asked.failed("crash", stderr="a" + "b" * 1000) if is_late else asked.good()

    (finding,) = judge(pauses.find, talks).findings
    assert finding.evidence.endswith("worker's stderr: " + "b" * 1000)


def test_a_good_worker_is_asked_once_after_other_requests() -> None:
    (trial, *others) = judge(pauses.find, good).trials
    assert trial.history == (PLAIN, Step(action=BETA), PAUSED)
    assert [each.history for each in others] == [(PLAIN,)]
