"""JSON responses of described workers."""

import dataclasses
import itertools

import pytest

from rpw_fixture.hermeticity.checks import response_fields
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import (
    Ending,
    Outcome,
    Result,
    RunMode,
    Step,
    Trial,
    Variation,
)
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, good, judge

JSON = {"protocol": WorkerProtocol.JSON}
IGNORED = "its name in JSON is exitCode; Bazel ignores it, protobuf readers may not"


def judged_json(behaviour, **options):
    return judge(response_fields.find, behaviour, worker=JSON, **options)


def misspells(asked: Asked) -> Outcome:
    code = "3" if asked.step.action.variant else "0"
    return asked.good(ignored=(("exit_code", code), ("note", '"fine"')))


def adds_a_note(asked: Asked) -> Outcome:
    is_beta = asked.step.action == BETA
    return asked.good(ignored=(("note", '"fine"'),) if is_beta else ())


def test_an_exit_code_that_is_lost_is_a_warning() -> None:
    variant = ALPHA.changed("inputs missing", inputs={})
    assert judged_json(misspells).findings == [
        Finding(
            code="RPW114",
            severity=Severity.WARNING,
            victim="alpha",
            summary="a JSON response has fields that no WorkResponse has: exit_code, note; "
            "the exit code 3 of alpha (inputs missing) is lost",
            evidence=f"exit_code = 3: {IGNORED}\n"
            'note = "fine": Bazel ignores it, and strict protobuf readers refuse the response',
            history=(Step(action=variant),),
        )
    ]


def test_another_unknown_field_is_a_warning() -> None:
    assert judged_json(adds_a_note).findings == [
        Finding(
            code="RPW114",
            severity=Severity.WARNING,
            victim="beta",
            summary="a JSON response has fields that no WorkResponse has: note",
            evidence='note = "fine": Bazel ignores it, and strict protobuf readers refuse the response',
            history=(Step(action=BETA),),
        )
    ]


@pytest.mark.parametrize(
    ("ignored", "lost"),
    [
        ((), None),
        ((("note", "1"),), None),
        ((("note", "1"), ("exit_code", "3")), "3"),
        ((("ExitCode", "0"), ("exit_code", "3")), "0"),
    ],
)
def test_the_exit_code_is_looked_for_in_other_spellings(ignored, lost) -> None:
    outcome = Outcome(step=Step(action=ALPHA), exit_code=0, ignored=ignored)
    assert response_fields.lost_exit_code(outcome) == lost


def unterminated(trial: Trial, result: Result) -> Result:
    return dataclasses.replace(result, ending=Ending(unterminated=len(result.outcomes)))


def test_responses_without_a_newline_are_a_warning() -> None:
    assert judged_json(good, end=unterminated).findings == [
        Finding(
            code="RPW115",
            severity=Severity.WARNING,
            victim="alpha",
            summary="a JSON response ends without a newline",
            evidence="2 responses of 2; NativeLink waits for a newline until the timeout, "
            "Bazel does not",
            history=(Step(action=ALPHA), Step(action=ALPHA)),
        )
    ]


def in_trials(is_wrong):
    return lambda trial, result: unterminated(trial, result) if is_wrong(trial) else result


@pytest.mark.parametrize(
    "end",
    [
        in_trials(lambda trial: not trial.run),
        in_trials(lambda trial: trial.mode is RunMode.OVERLAPPING),
        in_trials(lambda trial: trial.variation.factor == "TZ"),
    ],
    ids=["once only", "overlapping requests", "other surroundings"],
)
def test_what_does_not_come_again_or_is_unusual_is_not_judged(end) -> None:
    def find(context):
        steps = (Step(action=ALPHA), Step(action=BETA))
        for mode, factor in itertools.product((RunMode.WORKER, RunMode.OVERLAPPING), ("", "TZ")):
            context.run(Trial(history=steps, mode=mode, variation=Variation(factor=factor)))
        return response_fields.find(context)

    assert judged_json(good, end=in_trials(lambda _: False)).findings == []
    assert judge(find, good, worker=JSON, end=end).findings == []


def test_the_shortest_trial_of_two_requests_is_shown() -> None:
    def find(context):
        for count in (4, 3, 5):
            context.run(Trial(history=(Step(action=BETA),) * count, run=count))
        return response_fields.find(context)

    (finding,) = judge(
        find, good, worker=JSON, end=in_trials(lambda each: len(each.history) > 2)
    ).findings
    assert finding.history == (Step(action=BETA),) * 3
    assert finding.victim == "beta"
    assert finding.evidence.startswith("3 responses of 3; ")


def test_a_failed_last_request_says_nothing_about_newlines() -> None:
    def tires(asked: Asked) -> Outcome:
        return asked.failed("crash") if asked.before else asked.good()

    end = in_trials(lambda trial: len(trial.history) > 1)
    assert judged_json(tires, end=end).findings == []


def test_workers_of_the_other_protocol_are_not_judged() -> None:
    judged = judge(response_fields.find, misspells)
    reason = 'the suite says protocol = "proto", and only JSON workers can do that'
    assert judged.findings == judged.trials == []
    assert judged.context.skipped == {"RPW114": reason, "RPW115": reason}
