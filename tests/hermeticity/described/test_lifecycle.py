"""The ends of described workers, and the processes that they leave."""

import dataclasses

import pytest

from rpw_fixture.hermeticity.checks import lifecycle
from rpw_fixture.hermeticity.checks.facts import LEFT_PROCESSES
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Ending, Outcome, RunMode, Step
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, action, good, judge

PLAIN = Step(action=ALPHA)
STAYS, LEAVES_TWO = Ending(is_by_itself=False), Ending(leftovers=2)


def always(ending: Ending):
    return lambda _, result: dataclasses.replace(result, ending=ending)


def tires(asked: Asked) -> Outcome:
    return asked.failed("crash") if asked.before else asked.good()


def starts_processes(most: int):
    def behaviour(asked: Asked) -> Outcome:
        count = min(most, len(asked.before) + 1)
        return asked.good(children=tuple(f"helper {each}" for each in range(count)))

    return behaviour


def test_a_worker_that_goes_on_is_found() -> None:
    judged = judge(lifecycle.find, good, end=always(STAYS), options={"eof_patience": 1.5})
    assert judged.findings == [
        Finding(
            code="RPW106",
            summary="the worker still runs 1.5 seconds after its stdin was closed",
            evidence="the worker was killed then",
            history=(PLAIN,) * 3,
        )
    ]
    assert judged.context.harness.book.ignores_eof
    assert {each.eof_patience for each in judged.trials if each.history} == {1.5}


@pytest.mark.parametrize(("count", "text"), [(1, "1 process"), (2, "2 processes")])
def test_processes_that_outlive_the_worker_are_found(count, text) -> None:
    judged = judge(lifecycle.find, good, end=always(Ending(leftovers=count)))
    assert judged.findings == [
        Finding(
            code="RPW112",
            victim="alpha",
            summary="processes that the worker started outlive it",
            evidence=f"{text} had to be killed after its end",
            history=(PLAIN,) * 3,
        )
    ]
    assert not judged.context.harness.book.ignores_eof
    assert not judged.context.facts.read(LEFT_PROCESSES)


def test_processes_that_pile_up_are_found_once() -> None:
    judged = judge(lifecycle.find, starts_processes(9), end=always(LEAVES_TWO))
    assert judged.findings == [
        Finding(
            code="RPW112",
            victim="alpha",
            summary="processes started for a request outlive its response",
            evidence="still running after the response: helper 1, helper 2",
            history=(PLAIN,) * 3,
        )
    ]
    assert judged.context.facts.read(LEFT_PROCESSES)


@pytest.mark.parametrize("behaviour", [good, starts_processes(1)])
def test_a_helper_of_the_first_request_may_stay(behaviour) -> None:
    judged = judge(lifecycle.find, behaviour)
    assert (judged.findings, judged.context.skipped) == ([], {})
    assert not judged.context.facts.read(LEFT_PROCESSES)


def test_a_worker_that_tires_must_still_end_after_one_request() -> None:
    judged = judge(lifecycle.find, tires, end=always(STAYS))
    (finding,) = judged.findings
    assert (finding.code, finding.history) == ("RPW106", (PLAIN,))
    reason = "the worker did not survive a few identical requests"
    assert judged.context.skipped == {"RPW112": reason}


def test_a_worker_that_always_fails_is_not_said_to_go_on() -> None:
    def fails_later(asked: Asked) -> Outcome:
        return asked.failed("crash") if asked.trial.eof_patience > 1 else asked.good()

    judged = judge(lifecycle.find, fails_later, end=always(STAYS))
    assert judged.findings == []


# --- unfinished requests ---

TOGETHER = {"multiplex": True, "sandbox": True}


@pytest.mark.parametrize(
    ("worker", "history", "count"),
    [
        ({}, (PLAIN,), "1 unfinished request"),
        (TOGETHER, (PLAIN, Step(action=BETA)), "2 unfinished requests"),
    ],
)
@pytest.mark.parametrize(
    ("ending", "code", "effect"),
    [
        (STAYS, "RPW106", "the worker still runs"),
        (LEAVES_TWO, "RPW112", "processes outlive the worker"),
    ],
)
def test_unfinished_requests_must_not_keep_a_worker(
    worker, history, count, ending, code, effect
) -> None:
    judged = judge(lifecycle.find_unfinished, good, worker=worker, end=always(ending))
    assert judged.findings == [
        Finding(
            code=code,
            victim="alpha",
            summary=f"with {count}, {effect} 5.0 seconds after its stdin was closed",
            evidence=f"stdin was closed when the worker had read {count}",
            history=history,
        )
    ]
    last = judged.trials[-1]
    assert (last.run, last.mode, last.is_abandoned) == (1, RunMode.OVERLAPPING, True)


def test_the_time_of_the_requests_is_given_on_top() -> None:
    def behaviour(asked: Asked) -> Outcome:
        return asked.good(seconds=2.25)

    judged = judge(lifecycle.find_unfinished, behaviour, worker=TOGETHER, end=always(STAYS))
    assert "the worker still runs 9.5 seconds after" in judged.findings[0].summary


@pytest.mark.parametrize("is_wrong", [lambda _: False, lambda run: run == 0, lambda run: run == 1])
def test_a_worker_that_ends_in_one_of_two_runs_is_not_found(is_wrong) -> None:
    def end(trial, result):
        is_ended = not is_wrong(trial.run)
        return dataclasses.replace(result, ending=Ending(is_by_itself=is_ended))

    assert judge(lifecycle.find_unfinished, good, end=end).findings == []


def test_a_worker_that_ignores_the_end_of_its_stdin_is_not_found_again() -> None:
    def find(context):
        context.harness.book.ignores_eof = True
        return lifecycle.find_unfinished(context)

    judged = judge(find, good, end=always(STAYS))
    assert judged.findings == judged.trials == []


def test_where_nothing_succeeds_a_failing_request_is_left_unfinished() -> None:
    failing = action("failing", exit_code=1)
    judged = judge(lifecycle.find_unfinished, good, actions=[failing], end=always(STAYS))
    assert [each.history for each in judged.findings] == [(Step(action=failing),)]


# --- which processes count ---


def outcomes(*rows: tuple[SuiteAction, str]) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(step=Step(action=each), exit_code=0, children=tuple(children))
        for each, children in rows
    )


@pytest.mark.parametrize(
    ("rows", "lasting", "added"),
    [
        ([(ALPHA, "a")], [], []),
        ([(ALPHA, "a"), (ALPHA, "ab")], ["b"], ["b"]),
        ([(ALPHA, "a"), (BETA, "ab")], ["b"], []),
        ([(ALPHA, "a"), (BETA, "ab"), (ALPHA, "abc"), (BETA, "abcd")], ["b", "c", "d"], ["c", "d"]),
        ([(ALPHA, "a"), (ALPHA, "ab"), (ALPHA, "a")], [], []),
        ([(ALPHA, ""), (ALPHA, "a"), (BETA, "a"), (BETA, "ba")], ["b", "a"], ["a", "b"]),
    ],
)
def test_what_requests_added_and_what_stayed(rows, lasting, added) -> None:
    assert lifecycle.lasting(outcomes(*rows)) == lasting
    assert lifecycle.repeatedly_added(outcomes(*rows)) == added


def test_nothing_was_added_where_nothing_was_asked() -> None:
    assert lifecycle.repeatedly_added(()) == []


def test_newcomers_were_not_there_after_the_request_before() -> None:
    rows = outcomes((ALPHA, "a"), (ALPHA, "ab"), (ALPHA, "ac"))
    assert [lifecycle.newcomers(rows, place) for place in range(3)] == [["a"], ["b"], ["c"]]
