"""Requests that are cancelled, to described workers."""

import dataclasses

import pytest

from rpw_fixture.hermeticity.checks import cancellation
from rpw_fixture.hermeticity.checks.facts import LOST_REQUESTS, SANDBOX_IGNORED
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Cancel, Holding, Outcome, RunMode, Step
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, action, good, judge

CANCELS = {"cancellation": True}
TOGETHER = {"cancellation": True, "multiplex": True, "sandbox": True}
A, B = Step(action=ALPHA), Step(action=BETA)


def cancelled(step: Step, moment: Cancel, delay: float = 0.0) -> Step:
    return dataclasses.replace(step, cancel=moment, delay=delay)


def is_cancelled(asked: Asked) -> bool:
    return asked.step.cancel is not Cancel.NEVER


@pytest.mark.parametrize(
    ("outcome", "problem", "evidence"),
    [
        ({"failure": "crash", "detail": "it died", "exit_code": None}, "crash", "it died"),
        (
            {"failure": "unexpected response", "detail": "two", "exit_code": None},
            "the worker answered twice",
            "two",
        ),
        ({"late": "it wrote x"}, "it wrote x", "it wrote x"),
        ({"late": "it wrote x", "detail": "a write"}, "it wrote x", "a write"),
    ],
)
def test_what_goes_wrong_with_a_cancelled_request_is_found(outcome, problem, evidence) -> None:
    def behaviour(asked: Asked) -> Outcome:
        return asked.good(**outcome) if is_cancelled(asked) else asked.good()

    assert judge(cancellation.find, behaviour, worker=CANCELS).findings == [
        Finding(
            code="RPW110",
            victim="alpha",
            summary=f"after alpha was cancelled after its response: {problem}",
            evidence=evidence,
            history=(A, cancelled(A, Cancel.AFTERWARDS), A),
        )
    ]


@pytest.mark.parametrize(
    ("moment", "delay"),
    [
        (Cancel.AFTERWARDS, 0.0),
        (Cancel.AT_ONCE, 0.0),
        (Cancel.AT_WORK, 0.1),
        (Cancel.AT_WORK, 0.2),
        (Cancel.AT_WORK, 0.36),
    ],
)
def test_what_a_cancel_leaves_behind_is_found_whenever_it_comes(moment, delay) -> None:
    def behaviour(asked: Asked) -> Outcome:
        last = asked.before[-1] if asked.before else asked.step
        is_wrong = last.cancel is moment and last.delay == delay
        return asked.good("cancelled\n" if is_wrong else "", seconds=0.4)

    assert judge(cancellation.find, behaviour, worker=CANCELS).findings == [
        Finding(
            code="RPW110",
            victim="alpha",
            summary=f"after alpha was cancelled {moment.value}: the next request gives a different "
            "result",
            history=(A, cancelled(A, moment, delay), A),
        )
    ]


def test_a_request_that_fails_after_a_cancel_is_found() -> None:
    def behaviour(asked: Asked) -> Outcome:
        return (
            asked.failed("timeout")
            if any(each.cancel is Cancel.AT_ONCE for each in asked.before)
            else asked.good()
        )

    (finding,) = judge(cancellation.find, behaviour, worker=CANCELS).findings
    assert finding.summary == "after alpha was cancelled at once: timeout"
    assert finding.evidence == "as described"


def test_the_slowest_actions_are_cancelled_first() -> None:
    names = "abcdef"
    actions = [action(name) for name in names]

    def behaviour(asked: Asked) -> Outcome:
        return asked.good(seconds=1.0 + names.index(asked.step.action.name))

    judged = judge(cancellation.find, behaviour, actions=actions, worker=CANCELS)
    assert judged.findings == []
    first = [
        trial.history[1].action.name
        for trial in judged.trials
        if len(trial.history) == 3 and trial.history[1].cancel is Cancel.AFTERWARDS
    ]
    assert first == list("fedc")


def test_a_worker_that_fails_without_a_cancel_is_not_judged() -> None:
    def behaviour(asked: Asked) -> Outcome:
        return asked.failed("crash") if len(asked.before) > 1 else asked.good()

    judged = judge(cancellation.find, behaviour, worker=CANCELS, actions=[ALPHA])
    reason = "without any cancel the worker fails: crash"
    assert (judged.findings, judged.context.skipped) == ([], {"RPW110": reason})


@pytest.mark.parametrize(
    ("worker", "actions", "reason"),
    [
        ({}, [ALPHA], "the suite does not say cancellation = true"),
        (
            CANCELS,
            [action("bad", exit_code=1)],
            "no action succeeds, so there is nothing to cancel",
        ),
    ],
)
def test_where_nothing_can_be_cancelled_the_report_says_why(worker, actions, reason) -> None:
    judged = judge(cancellation.find, good, worker=worker, actions=actions)
    assert judged.findings == judged.trials == []
    assert judged.context.skipped == {"RPW110": reason}


@pytest.mark.parametrize("worker", [CANCELS, TOGETHER])
def test_a_good_worker_is_not_blamed(worker) -> None:
    judged = judge(cancellation.find, good, worker=worker)
    assert (judged.findings, judged.context.skipped) == ([], {})


def test_a_worker_that_loses_requests_is_cancelled_after_its_responses_only() -> None:
    judged = judge(cancellation.find, good, worker=CANCELS, facts={LOST_REQUESTS: True})
    moments = {step.cancel for trial in judged.trials for step in trial.history}
    assert moments == {Cancel.NEVER, Cancel.AFTERWARDS}


# --- cancelled requests of another action ---

MOMENTS = (Cancel.AT_ONCE, Cancel.AT_WORK, Cancel.AFTERWARDS)
OTHERS = (A, *(step for each in MOMENTS for step in (cancelled(B, each), A)))


@pytest.mark.parametrize(
    ("moment", "length"), [(Cancel.AT_ONCE, 3), (Cancel.AT_WORK, 5), (Cancel.AFTERWARDS, 7)]
)
def test_what_a_cancelled_request_of_another_action_does_is_found(moment, length) -> None:
    def behaviour(asked: Asked) -> Outcome:
        is_wrong = asked.step == A and cancelled(B, moment) in asked.before
        return asked.good("cancelled\n" if is_wrong else "")

    assert judge(cancellation.find, behaviour, worker=CANCELS).findings == [
        Finding(
            code="RPW110",
            victim="alpha",
            summary="after beta was cancelled: the next request gives a different result",
            history=OTHERS[:length],
        )
    ]


def test_what_another_action_does_without_a_cancel_too_is_not_found() -> None:
    def behaviour(asked: Asked) -> Outcome:
        is_after_beta = any(each.action == BETA for each in asked.before)
        is_victim = asked.step.action == ALPHA and is_after_beta
        return asked.failed("crash") if is_victim else asked.good()

    assert judge(cancellation.find, behaviour, worker=CANCELS).findings == []


def test_what_does_not_come_again_among_other_requests_is_not_found() -> None:
    def behaviour(asked: Asked) -> Outcome:
        is_wrong = cancelled(B, Cancel.AT_ONCE) in asked.before and not asked.trial.run
        is_wrong = is_wrong and len(asked.trial.history) > 3
        return asked.good("cancelled\n" if is_wrong else "")

    assert judge(cancellation.find, behaviour, worker=CANCELS).findings == []


# --- overlapping requests, and one that is held ---


def overlapping(**wrong: object):
    """Return a worker one of whose overlapping requests is answered wrongly if another is cancelled."""

    def behaviour(asked: Asked) -> Outcome:
        steps = asked.trial.history
        is_there = asked.trial.mode is RunMode.OVERLAPPING and any(
            each.cancel is Cancel.AT_ONCE for each in steps
        )
        is_victim = is_there and asked.step is steps[0]
        return asked.good(**wrong) if is_victim else asked.good()

    return behaviour


@pytest.mark.parametrize(
    ("wrong", "problem", "evidence"),
    [
        ({"text": "mixed\n"}, "alpha gives a different result", ""),
        ({"late": "it wrote x"}, "alpha: it wrote x", "it wrote x"),
        (
            {"failure": "unexpected response", "detail": "two", "exit_code": None},
            "alpha: the worker answered twice",
            "two",
        ),
    ],
)
def test_what_goes_wrong_among_overlapping_requests_is_found(wrong, problem, evidence) -> None:
    judged = judge(cancellation.find, overlapping(**wrong), worker=TOGETHER)
    assert judged.findings == [
        Finding(
            code="RPW110",
            victim="alpha",
            summary=f"when alpha is cancelled among overlapping requests: {problem}",
            evidence=evidence,
            history=(A, B, cancelled(A, Cancel.AT_ONCE), B),
            mode=RunMode.OVERLAPPING,
        )
    ]


@pytest.mark.parametrize("fact", [SANDBOX_IGNORED, LOST_REQUESTS])
def test_overlapping_requests_that_fail_for_another_reason_are_not_cancelled(fact) -> None:
    judged = judge(
        cancellation.find, overlapping(text="mixed\n"), worker=TOGETHER, facts={fact: True}
    )
    assert judged.findings == []
    assert {each.mode for each in judged.trials} == {RunMode.WORKER}


def held(**wrong: object):
    def behaviour(asked: Asked) -> Outcome:
        is_wrong = asked.trial.mode is RunMode.HELD and is_cancelled(asked)
        return asked.good(**wrong) if is_wrong else asked.good()

    return behaviour


def while_held(*, is_held: bool = True):
    def end(trial, result):
        return dataclasses.replace(result, holding=Holding(is_held=is_held))

    return end


LATE = {"late": "it wrote x"}


def test_a_request_that_is_cancelled_while_it_waits_must_not_go_on() -> None:
    judged = judge(cancellation.find, held(**LATE), worker=TOGETHER, end=while_held())
    (finding,) = judged.findings
    assert finding == Finding(
        code="RPW110",
        victim=finding.history[1].action.name,
        summary=f"when {finding.victim} is cancelled while it waits for an input: it wrote x",
        evidence="it wrote x",
        history=finding.history,
        mode=RunMode.HELD,
    )
    assert [each.cancel for each in finding.history] == [Cancel.NEVER, Cancel.AT_WORK, Cancel.NEVER]
    assert finding.history[1].held_at == f"src/{finding.victim}.txt"


@pytest.mark.parametrize(
    ("behaviour", "end"), [(good, while_held()), (held(**LATE), while_held(is_held=False))]
)
def test_a_request_that_stops_or_was_not_held_is_not_blamed(behaviour, end) -> None:
    assert judge(cancellation.find, behaviour, worker=TOGETHER, end=end).findings == []


def test_what_fails_while_held_without_a_cancel_is_not_found() -> None:
    def behaviour(asked: Asked) -> Outcome:
        is_wrong = asked.trial.mode is RunMode.HELD and asked.step.held_at
        return asked.failed("timeout") if is_wrong else asked.good()

    assert judge(cancellation.find, behaviour, worker=TOGETHER, end=while_held()).findings == []
