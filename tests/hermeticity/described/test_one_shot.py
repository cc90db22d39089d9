"""Tools that work otherwise without ``--persistent_worker``, as described workers."""

import pytest

from rpw_fixture.hermeticity.checks import one_shot
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Outcome, RunMode, Step
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, action, good, judge

FAILING = action("failing", exit_code=1)


def is_one_shot(asked: Asked) -> bool:
    return asked.trial.mode is RunMode.ONE_SHOT


def needs_the_flag(asked: Asked) -> Outcome:
    is_broken = is_one_shot(asked) and asked.step.action.exit_code == 0
    return asked.good(exit_code=2, response="usage\n") if is_broken else asked.good()


def crashes_without_it(asked: Asked) -> Outcome:
    return asked.failed("crash", "it died") if is_one_shot(asked) else asked.good()


def says_nothing(asked: Asked) -> Outcome:
    return asked.good(exit_code=2, response=" \n") if is_one_shot(asked) else asked.good()


def differs_in_beta(asked: Asked) -> Outcome:
    if not is_one_shot(asked) or asked.step.action != BETA:
        return asked.good()
    return asked.good("other\n", response="in other words")


def fails_in_beta(asked: Asked) -> Outcome:
    is_broken = is_one_shot(asked) and asked.step.action == BETA
    return asked.good(exit_code=3) if is_broken else asked.good()


def talks_otherwise(asked: Asked) -> Outcome:
    return asked.good(response="in other words" if is_one_shot(asked) else "did it")


@pytest.mark.parametrize(
    ("behaviour", "result", "output"),
    [
        (needs_the_flag, "exit code 2 instead of 0", "usage"),
        (crashes_without_it, "crash", "it died"),
        (says_nothing, "exit code 2 instead of 0", "(nothing)"),
    ],
)
def test_a_tool_that_needs_the_flag_is_broken(behaviour, result, output) -> None:
    judged = judge(one_shot.find, behaviour, actions=[FAILING, ALPHA, BETA])
    assert judged.findings == [
        Finding(
            code="RPW108",
            victim="alpha",
            summary=f"without --persistent_worker, alpha ends with {result}",
            evidence=f"its output: {output}",
            history=(Step(action=ALPHA),),
            mode=RunMode.ONE_SHOT,
        )
    ]
    reason = "the tool does not work without --persistent_worker (RPW108)"
    assert judged.context.skipped == {"RPW205": reason}


def test_another_result_is_a_mismatch() -> None:
    judged = judge(one_shot.find, differs_in_beta)
    assert judged.findings == [
        Finding(
            code="RPW205",
            victim="beta",
            outputs=("out/beta.txt",),
            summary="without --persistent_worker, beta gives a different result",
            evidence="""\
out/beta.txt:
  --- worker
  +++ one-shot
  @@ -2 +2,2 @@
   src/beta.txt: text of beta
  +other""",
            history=(Step(action=BETA),),
            mode=RunMode.ONE_SHOT,
        )
    ]
    assert judged.context.skipped == {}


def test_a_tool_that_works_for_one_action_is_not_broken() -> None:
    (finding,) = judge(one_shot.find, fails_in_beta).findings
    assert (finding.code, finding.victim, finding.outputs) == ("RPW205", "beta", ())
    assert finding.evidence == "exit code: 0 (worker), 3 (one-shot)"


@pytest.mark.parametrize("behaviour", [good, talks_otherwise])
def test_the_text_of_the_response_may_differ(behaviour) -> None:
    judged = judge(one_shot.find, behaviour)
    assert (judged.findings, judged.context.skipped) == ([], {})


def test_an_exit_code_that_differs_by_itself_proves_nothing() -> None:
    def is_unsteady(asked: Asked) -> Outcome:
        return asked.good(exit_code=2 if is_one_shot(asked) else asked.trial.run % 2)

    def find(context):
        context.learn(context.usable)
        return one_shot.find(context)

    judged = judge(find, is_unsteady)
    assert (judged.findings, judged.context.skipped) == ([], {})


def test_a_suite_can_say_that_the_tool_never_runs_like_that() -> None:
    judged = judge(one_shot.find, needs_the_flag, worker={"one_shot": False})
    reason = "the suite says one_shot = false"
    assert judged.findings == judged.trials == []
    assert judged.context.skipped == {"RPW108": reason, "RPW205": reason}


def test_a_tool_of_which_nothing_succeeds_proves_nothing() -> None:
    judged = judge(one_shot.find, needs_the_flag, actions=[FAILING])
    reason = "no action of the suite succeeds, so a failure without the flag proves nothing"
    assert (judged.findings, judged.context.skipped) == ([], {"RPW108": reason})


def test_without_an_answer_of_a_worker_nothing_is_compared() -> None:
    def works_one_shot(asked: Asked) -> Outcome:
        return asked.good() if is_one_shot(asked) else asked.failed("crash")

    judged = judge(one_shot.find, works_one_shot)
    assert judged.findings == []
    assert judged.context.skipped == {"RPW205": "no action works on a worker"}
    assert [each.history for each in judged.trials] == [(Step(action=ALPHA),)]
