"""Requests with unknown fields, in pieces, with other ids, and a hundred of them, to described workers."""

import pytest

from rpw_fixture.hermeticity.checks import long_runs, unknown_fields, unusual_requests
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Delivery, Outcome, Step
from tests.hermeticity.described.described_worker import ALPHA, Asked, action, good, judge

AFTER = """\
out/alpha.txt:
  --- fresh worker
  +++ after the polluters
  @@ -2 +2,2 @@
   src/alpha.txt: text of alpha
  +"""


def dies_of_it(asked: Asked) -> Outcome:
    failure = asked.failed("crash", "it died", stderr=f"a{'b' * 1000}\n\n")
    return failure if asked.step.is_extended else asked.good()


def is_changed_by_it(asked: Asked) -> Outcome:
    return asked.good("extended\n" if asked.step.is_extended else "")


def test_a_worker_that_dies_of_an_unknown_field_is_found() -> None:
    assert judge(unknown_fields.find, dies_of_it).findings == [
        Finding(
            code="RPW107",
            victim="alpha",
            outputs=("out/alpha.txt",),
            summary="an unknown field in the WorkRequest leads to: crash",
            evidence=f"""\
exit code: 0 (without the field), crash (with the field)
  it died
out/alpha.txt: a file of 35 bytes (without the field), absent (with the field)
response text:
  --- without the field
  +++ with the field
  @@ -1 +0,0 @@
  -did alpha
worker's stderr: {"b" * 1000}""",
            history=(Step(action=ALPHA, is_extended=True),),
        )
    ]


def test_a_result_that_an_unknown_field_changes_is_found() -> None:
    assert judge(unknown_fields.find, is_changed_by_it).findings == [
        Finding(
            code="RPW107",
            victim="alpha",
            outputs=("out/alpha.txt",),
            summary="an unknown field in the WorkRequest leads to: a different result",
            evidence="""\
out/alpha.txt:
  --- without the field
  +++ with the field
  @@ -2 +2,2 @@
   src/alpha.txt: text of alpha
  +extended""",
            history=(Step(action=ALPHA, is_extended=True),),
        )
    ]


@pytest.mark.parametrize("find", [unknown_fields.find, unusual_requests.find, long_runs.find])
def test_a_good_worker_is_not_blamed(find) -> None:
    judged = judge(find, good)
    assert (judged.findings, judged.context.skipped, judged.context.notes) == ([], {}, {})


@pytest.mark.parametrize(
    ("is_polluter", "polluter", "victim"),
    [
        (
            lambda step: step.delivery is not Delivery.WHOLE,
            {"delivery": Delivery.SPLIT_BODY},
            {"delivery": Delivery.SPLIT_LENGTH},
        ),
        (lambda step: step.verbosity, {"verbosity": 10}, {"request_id": 7}),
        (lambda step: step.request_id == 7, {"request_id": 7}, {"request_id": 2**31 - 1}),
    ],
    ids=["pieces", "verbosity", "id"],
)
def test_what_unusual_requests_leave_behind_is_found(is_polluter, polluter, victim) -> None:
    def remembers(asked: Asked) -> Outcome:
        return asked.good("remembered\n" if any(map(is_polluter, asked.before)) else "")

    assert judge(unusual_requests.find, remembers).findings == [
        Finding(
            code="RPW202",
            victim="alpha",
            polluters=("alpha",),
            outputs=("out/alpha.txt",),
            summary="after alpha, alpha gives a different result than in a fresh worker",
            evidence=f"{AFTER}remembered",
            history=(Step(action=ALPHA, **polluter), Step(action=ALPHA, **victim)),
        )
    ]


def test_a_worker_that_fails_among_unusual_requests_is_judged_elsewhere() -> None:
    def remembers_and_fails(asked: Asked) -> Outcome:
        is_last = asked.step.request_id == 7
        return asked.failed("crash") if is_last else asked.good("x" * bool(asked.before))

    assert judge(unusual_requests.find, remembers_and_fails).findings == []


@pytest.mark.parametrize(
    ("failure", "code"), [("", "RPW202"), ("crash", "RPW103"), ("timeout", "RPW102")]
)
def test_a_worker_that_turns_bad_at_its_sixtieth_request_is_found(failure, code) -> None:
    def tires(asked: Asked) -> Outcome:
        if len(asked.before) < 60:
            return asked.good()
        return asked.failed(failure) if failure else asked.good("tired\n")

    (finding,) = judge(long_runs.find, tires).findings
    effect = f"fails: {failure}" if failure else "gives a different result than in a fresh worker"
    assert (finding.code, finding.victim) == (code, "alpha")
    assert finding.summary == f"after any 60 requests, alpha {effect}"
    assert finding.are_polluters_any
    assert finding.polluters == ("alpha",) * 60
    assert finding.history == (Step(action=ALPHA),) * 61
    assert failure or finding.evidence == f"{AFTER}tired"


def test_slow_requests_are_sent_less_often_and_that_is_noted() -> None:
    def is_slow(asked: Asked) -> Outcome:
        return asked.good(seconds=1.0)

    judged = judge(long_runs.find, is_slow, actions=[action("alpha", exit_code=1)])
    assert judged.findings == []
    assert judged.context.notes == {"RPW202": "requests are slow: 20 in a row instead of 100"}
