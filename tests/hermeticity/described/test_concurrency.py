"""Overlapping requests to described workers."""

import pytest

from rpw_fixture.hermeticity.checks import concurrency
from rpw_fixture.hermeticity.checks.facts import LOST_REQUESTS, SANDBOX_IGNORED
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Outcome, RunMode, Step
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, action, good, judge

TOGETHER = {"multiplex": True, "sandbox": True}
A, B = Step(action=ALPHA), Step(action=BETA)


def overlaps(asked: Asked) -> bool:
    return asked.trial.mode is RunMode.OVERLAPPING


def mixes_up_results(asked: Asked) -> Outcome:
    return asked.good("mixed\n" if overlaps(asked) and asked.step.action == ALPHA else "")


def swaps_responses(asked: Asked) -> Outcome:
    is_swapped = overlaps(asked) and asked.step.action == ALPHA
    return asked.good(response="did beta\n") if is_swapped else asked.good()


def test_another_result_of_overlapping_requests_is_found_once() -> None:
    judged = judge(concurrency.find_mixups, mixes_up_results, worker=TOGETHER)
    assert judged.findings == [
        Finding(
            code="RPW213",
            victim="alpha",
            polluters=("beta",),
            outputs=("out/alpha.txt",),
            summary="when requests overlap, alpha gets a different result",
            evidence="""\
out/alpha.txt:
  --- alone
  +++ overlapping
  @@ -2 +2,2 @@
   src/alpha.txt: text of alpha
  +mixed""",
            history=(A, B),
            mode=RunMode.OVERLAPPING,
        )
    ]


def test_the_response_of_another_request_is_a_mixup() -> None:
    (finding,) = judge(concurrency.find_mixups, swaps_responses, worker=TOGETHER).findings
    assert (finding.code, finding.victim) == ("RPW111", "alpha")
    assert finding.summary == "when requests overlap, alpha gets the response of another request"


@pytest.mark.parametrize(
    ("failure", "code"),
    [("wrong request_id", "RPW111"), ("unexpected response", "RPW111"), ("crash", "RPW213")],
)
def test_a_failure_is_a_mixup_if_the_response_was_one_of_another_request(failure, code) -> None:
    def fails(asked: Asked) -> Outcome:
        is_wrong = overlaps(asked) and asked.step.action == BETA
        return asked.failed(failure) if is_wrong else asked.good()

    (finding,) = judge(concurrency.find_mixups, fails, worker=TOGETHER).findings
    assert (finding.code, finding.victim, finding.polluters) == (code, "beta", ("alpha",))


def leaks(asked: Asked) -> Outcome:
    return asked.good("again\n" if asked.before and asked.step.action == ALPHA else "")


def dies_after_another(asked: Asked) -> Outcome:
    return asked.failed("crash") if asked.before else asked.good()


@pytest.mark.parametrize("behaviour", [good, leaks, dies_after_another])
def test_what_comes_without_an_overlap_too_is_another_bug(behaviour) -> None:
    judged = judge(concurrency.find_mixups, behaviour, worker=TOGETHER)
    assert (judged.findings, judged.context.skipped) == ([], {})


def test_a_leak_beside_a_mixup_hides_nothing_else() -> None:
    def leaks_and_mixes(asked: Asked) -> Outcome:
        text = "again\n" if asked.before else ""
        is_mixed = overlaps(asked) and asked.step.action == ALPHA
        return asked.good(
            text, response="mixed\n" if is_mixed else f"did {asked.step.action.name}\n"
        )

    (finding,) = judge(concurrency.find_mixups, leaks_and_mixes, worker=TOGETHER).findings
    assert (finding.code, finding.victim) == ("RPW213", "alpha")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"worker": {}}, "the suite does not say multiplex = true"),
        ({"facts": {LOST_REQUESTS: True}}, "the worker loses requests that come in one write"),
        ({"facts": {SANDBOX_IGNORED: True}}, "the worker ignores sandbox_dir (RPW116)"),
        (
            {"actions": [ALPHA]},
            "no two actions can share an input root; try sandbox = true",
        ),
    ],
)
def test_where_no_requests_can_overlap_the_report_says_why(options, reason) -> None:
    options = {"worker": TOGETHER, **options}
    judged = judge(concurrency.find_mixups, mixes_up_results, **options)
    assert judged.findings == judged.trials == []
    assert judged.context.skipped == {"RPW111": reason, "RPW213": reason}


def test_each_of_many_actions_is_a_victim_once() -> None:
    actions = [action(name) for name in "abcd"]

    def mixes_all(asked: Asked) -> Outcome:
        return asked.good("mixed\n" if overlaps(asked) else "")

    judged = judge(concurrency.find_mixups, mixes_all, actions=actions, worker=TOGETHER)
    assert sorted(each.victim for each in judged.findings) == list("abcd")
    overlapping = [each for each in judged.trials if each.mode is RunMode.OVERLAPPING]
    assert {each.run for each in overlapping} == {0, 1}
    assert len({each.history for each in overlapping}) == 4
