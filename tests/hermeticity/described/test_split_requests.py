"""Requests in pieces, and two in one write, to described workers."""

import pytest

from rpw_fixture.hermeticity.checks import split_requests
from rpw_fixture.hermeticity.checks.facts import LOST_REQUESTS, MISREAD_PIECES, SANDBOX_IGNORED
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Cancel, Delivery, Outcome, RunMode, Step
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, good, judge

WHOLE = "it takes what one read() returns for a whole request, and does not wait for the rest"
FIRST = "it takes its first byte, or what one read() returns, for the whole length"
LINE = "it parses what one read() returns, and not everything up to the end of the line"
TOGETHER = {"multiplex": True, "sandbox": True}
CANCELS = {"cancellation": True}
PLAIN = Step(action=ALPHA)
SEEN_ONCE = {"RPW118": "a difference was seen once and not reproduced; see the info about it"}


def misreads(delivery: Delivery):
    def behaviour(asked: Asked) -> Outcome:
        failure = asked.failed("crash", "end of file", stderr=f"a{'b' * 1500} \n")
        return failure if asked.step.delivery is delivery else asked.good()

    return behaviour


@pytest.mark.parametrize(
    ("delivery", "protocol", "cause"),
    [
        (Delivery.SPLIT_BODY, WorkerProtocol.PROTO, WHOLE),
        (Delivery.SPLIT_LENGTH, WorkerProtocol.PROTO, FIRST),
        (Delivery.DRIBBLED, WorkerProtocol.PROTO, WHOLE),
        (Delivery.SPLIT_BODY, WorkerProtocol.JSON, LINE),
        (Delivery.SPLIT_LENGTH, WorkerProtocol.JSON, LINE),
    ],
)
def test_a_worker_that_misreads_pieces_is_found(delivery, protocol, cause) -> None:
    judged = judge(split_requests.find, misreads(delivery), worker={"protocol": protocol})
    how = delivery.value
    assert judged.findings == [
        Finding(
            code="RPW118",
            victim="alpha",
            outputs=("out/alpha.txt",),
            summary=f"when its request arrives {how}, alpha fails: crash (RPW103)",
            evidence=f"""\
exit code: 0 (in one piece), crash ({how})
  end of file
out/alpha.txt: a file of 35 bytes (in one piece), absent ({how})
response text:
  --- in one piece
  +++ {how}
  @@ -1 +0,0 @@
  -did alpha
likely cause: {cause}
worker's stderr ends with:
{"b" * 1500}""",
            history=(Step(action=ALPHA, delivery=delivery),),
        )
    ]
    assert judged.context.facts.read(MISREAD_PIECES)
    assert not judged.context.facts.read(LOST_REQUESTS)


def test_another_result_for_pieces_is_found() -> None:
    def behaviour(asked: Asked) -> Outcome:
        return asked.good("cut\n" if asked.step.delivery is Delivery.DRIBBLED else "")

    (finding,) = judge(split_requests.find, behaviour).findings
    assert (
        finding.summary == "when its request arrives byte by byte, alpha gives a different result"
    )
    assert finding.evidence.endswith(f"  +cut\nlikely cause: {WHOLE}")


def test_a_failure_with_pieces_that_does_not_come_again_is_none() -> None:
    def behaviour(asked: Asked) -> Outcome:
        is_wrong = asked.step.delivery is Delivery.SPLIT_BODY and not asked.trial.run
        return asked.failed("crash") if is_wrong else asked.good()

    judged = judge(split_requests.find, behaviour)
    assert (judged.findings, judged.context.skipped) == ([], SEEN_ONCE)
    assert not judged.context.facts.read(MISREAD_PIECES)


@pytest.mark.parametrize("worker", [{}, TOGETHER, CANCELS, {**TOGETHER, **CANCELS}])
def test_a_good_worker_is_not_blamed(worker) -> None:
    judged = judge(split_requests.find, good, worker=worker)
    assert (judged.findings, judged.context.skipped) == ([], {})
    assert not judged.context.facts.read(MISREAD_PIECES)
    assert not judged.context.facts.read(LOST_REQUESTS)


def loses_the_second(failure: str, *, is_lost_alone: bool = False):
    def behaviour(asked: Asked) -> Outcome:
        is_joined = asked.trial.mode is RunMode.OVERLAPPING and asked.before
        is_lost = is_joined and (is_lost_alone or asked.step.delivery is not Delivery.ALONE)
        return asked.failed(failure, "no answer", stderr="hm\n") if is_lost else asked.good()

    return behaviour


def test_a_request_that_is_lost_behind_another_is_found() -> None:
    judged = judge(split_requests.find, loses_the_second("timeout"), worker=TOGETHER)
    assert judged.findings == [
        Finding(
            code="RPW118",
            victim="beta",
            polluters=("alpha",),
            summary="when two requests arrive in one write, beta fails: timeout (RPW102)",
            evidence="""\
in two writes, both requests were answered
no answer
likely cause: it drops what one read() returns behind the end of a request
worker's stderr ends with:
hm""",
            history=(PLAIN, Step(action=BETA)),
            mode=RunMode.OVERLAPPING,
        )
    ]
    assert judged.context.facts.read(LOST_REQUESTS)
    assert not judged.context.facts.read(MISREAD_PIECES)


@pytest.mark.parametrize(
    ("behaviour", "options"),
    [
        (loses_the_second("timeout", is_lost_alone=True), {}),
        (loses_the_second("wrong request_id"), {}),
        (loses_the_second("unexpected response"), {}),
        (loses_the_second("timeout"), {"facts": {SANDBOX_IGNORED: True}}),
        (loses_the_second("timeout"), {"actions": [ALPHA]}),
        (loses_the_second("timeout"), {"worker": {}}),
    ],
    ids=["in two writes too", "mixed up", "one too many", "no sandbox", "one action", "singleplex"],
)
def test_what_is_no_lost_request_is_not_found(behaviour, options) -> None:
    judged = judge(split_requests.find, behaviour, **{"worker": TOGETHER, **options})
    assert judged.findings == []
    assert not judged.context.facts.read(LOST_REQUESTS)


def fails_after(*cancels: Cancel, runs: tuple[int, ...] = (0, 1)):
    def behaviour(asked: Asked) -> Outcome:
        is_cancelled = any(each.cancel in cancels for each in asked.before)
        is_wrong = is_cancelled and asked.trial.run in runs
        return asked.failed("crash", "it died", stderr="hm\n") if is_wrong else asked.good()

    return behaviour


def test_a_cancel_request_in_one_write_with_its_request_is_found() -> None:
    judged = judge(split_requests.find, fails_after(Cancel.AT_ONCE), worker=CANCELS)
    assert judged.findings == [
        Finding(
            code="RPW118",
            victim="alpha",
            summary="when a request and its cancel request arrive in one write, "
            "alpha fails: crash (RPW103)",
            evidence="""\
in two writes, there is no failure
it died
likely cause: it parses what it has read as one request
worker's stderr ends with:
hm""",
            history=(PLAIN, Step(action=ALPHA, cancel=Cancel.AT_ONCE), PLAIN),
        )
    ]
    assert judged.context.facts.read(LOST_REQUESTS)


@pytest.mark.parametrize(
    ("behaviour", "worker", "skipped"),
    [
        (fails_after(Cancel.AT_ONCE, runs=(0,)), CANCELS, SEEN_ONCE),
        (fails_after(Cancel.AT_ONCE, Cancel.AFTERWARDS), CANCELS, {}),
        (fails_after(Cancel.AT_ONCE), {}, {}),
        (fails_after(Cancel.AT_ONCE), {**CANCELS, **TOGETHER}, {}),
    ],
    ids=["once", "after any cancel", "no cancels", "multiplex"],
)
def test_what_has_another_cause_than_one_write_is_not_found(behaviour, worker, skipped) -> None:
    judged = judge(split_requests.find, behaviour, worker=worker)
    assert (judged.findings, judged.context.skipped) == ([], skipped)
    assert not judged.context.facts.read(LOST_REQUESTS)


def test_a_failure_with_a_code_that_is_the_same_is_not_named_twice() -> None:
    outcome = Outcome(step=PLAIN, exit_code=None, failure="malformed response")
    assert split_requests._effect(outcome) == "fails: malformed response (RPW105)"
