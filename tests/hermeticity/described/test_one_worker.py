"""What one described worker is asked, one request after the other, for several checks."""

import pytest

from rpw_fixture.hermeticity.checks import one_worker
from rpw_fixture.hermeticity.trials.trial import Bulk, Delivery, Outcome, Step
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, action, good, judge

FAILING = action("failing", exit_code=1)
UNUSUAL = (
    {"delivery": Delivery.SPLIT_BODY},
    {"delivery": Delivery.SPLIT_LENGTH},
    {"delivery": Delivery.DRIBBLED},
    {"is_extended": True},
    {"verbosity": 10},
    {"request_id": 7},
    {"request_id": 2**31 - 1},
)
LARGE = (
    Bulk.FEW_INPUTS,
    Bulk.MANY_INPUTS,
    *(Bulk.SHORT_OPTION, Bulk.MANY_OPTIONS, Bulk.KIB_64, Bulk.MIB_1, Bulk.MIB_4),
)
EXTENDED = Step(action=ALPHA, is_extended=True)


def asked_of(behaviour, question, **options):
    """Return what a question gives, and the trials that it asked for."""
    answers = []

    def find(context):
        answers.append(question(context))
        return iter(())

    judged = judge(find, behaviour, **options)
    return answers[0], judged.trials


@pytest.mark.parametrize(
    ("actions", "chosen"), [([ALPHA, BETA], ALPHA), ([FAILING, BETA], BETA), ([FAILING], FAILING)]
)
def test_the_requests_are_for_an_action_that_succeeds_if_one_does(actions, chosen) -> None:
    assert asked_of(good, one_worker.subject, actions=actions)[0] == chosen


def test_one_worker_gets_all_unusual_requests_and_then_the_large_ones() -> None:
    answers, (trial,) = asked_of(good, one_worker.answers)
    unusual = tuple(Step(action=ALPHA, **each) for each in UNUSUAL)
    assert tuple(each.step for each in answers) == unusual
    assert trial.history == (*unusual, *(Step(action=ALPHA, bulk=each) for each in LARGE))


def test_the_large_ones_are_answered_by_the_same_worker() -> None:
    answers, trials = asked_of(good, one_worker.large_answers)
    assert tuple(each.step.bulk for each in answers) == LARGE
    assert len(trials) == 1


@pytest.mark.parametrize("is_large", [True, False])
def test_a_worker_that_fails_before_the_end_gets_the_large_ones_alone(is_large) -> None:
    def fails(asked: Asked) -> Outcome:
        is_last = asked.step.bulk is Bulk.MIB_1 if is_large else asked.step.verbosity
        return asked.failed("crash") if is_last and len(asked.before) > 3 else asked.good()

    answers, trials = asked_of(fails, one_worker.large_answers)
    assert [len(each.history) for each in trials] == [14, 7]
    assert len(answers) == (6 if is_large else 7)


@pytest.mark.parametrize(
    ("kind", "lengths"),
    [("good", [4, 1, 14]), ("differs", [4, 1, 14, 1]), ("stops answering", [4, 1])],
)
def test_a_suspicious_answer_is_asked_for_again_of_a_fresh_worker(kind, lengths) -> None:
    def behaviour(asked: Asked) -> Outcome:
        if kind == "stops answering" and len(asked.before) == 3:
            return asked.failed("timeout")
        return asked.good("x\n" if kind == "differs" and asked.before else "")

    answer, trials = asked_of(behaviour, lambda context: one_worker.answer(context, EXTENDED))
    assert answer.step == EXTENDED
    assert [len(each.history) for each in trials] == lengths
    assert answer.outputs == Asked(EXTENDED, (), trials[0]).good().outputs


def test_the_trials_that_are_begun_ahead_are_those_asked_for() -> None:
    begun, _ = asked_of(good, one_worker.trials)
    _, asked = asked_of(good, lambda context: one_worker.answer(context, EXTENDED))
    assert begun == [each for each in asked if len(each.history) > 1]
