"""Requests that list their inputs otherwise, to described workers."""

import pytest

from rpw_fixture.hermeticity.checks import input_listings
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Listing, Outcome, Step
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, good, judge

SUMMARY = "the result of alpha depends on the environment: listed inputs"


def evidence(listing: Listing, lines: str = "") -> str:
    return (
        f"if the request lists {listing.value}:\n"
        "out/alpha.txt:\n"
        f"  --- {Listing.HEX.value}\n"
        f"  +++ {listing.value}\n"
        "  @@ -2 +2,2 @@\n"
        "   src/alpha.txt: text of alpha\n"
        f"  +other{lines}"
    )


def with_lists(*listings: Listing):
    def behaviour(asked: Asked) -> Outcome:
        is_other = asked.step.action == ALPHA and asked.step.listing in listings
        return asked.good("other\n" if is_other else "")

    return behaviour


@pytest.mark.parametrize(
    ("listing", "severity"),
    [
        (Listing.RAW, Severity.ERROR),
        (Listing.MESSAGE, Severity.ERROR),
        (Listing.CHANGING, Severity.ERROR),
        (Listing.NONE, Severity.WARNING),
        (Listing.EMPTY, Severity.WARNING),
    ],
)
def test_a_result_that_follows_the_list_is_found(listing, severity) -> None:
    judged = judge(input_listings.find, with_lists(listing))
    assert judged.findings == [
        Finding(
            code="RPW209",
            severity=severity,
            victim="alpha",
            outputs=("out/alpha.txt",),
            summary=SUMMARY,
            evidence=evidence(listing),
            history=(Step(action=ALPHA, listing=listing),),
        )
    ]


def test_one_victim_has_one_finding_for_all_lists() -> None:
    judged = judge(input_listings.find, with_lists(Listing.RAW, Listing.CHANGING, Listing.NONE))
    (finding,) = judged.findings
    assert finding.history == (Step(action=ALPHA, listing=Listing.RAW),)
    assert finding.evidence == evidence(
        Listing.RAW,
        f"\nthe same with {Listing.CHANGING.value}\nthe same with {Listing.NONE.value}",
    )


def test_the_fewest_requests_before_the_victim_are_shown() -> None:
    def caches(asked: Asked) -> Outcome:
        is_other = asked.step.listing is Listing.MESSAGE and asked.step.action == ALPHA
        return asked.good("other\n" if is_other and asked.step in asked.before else "")

    step = Step(action=ALPHA, listing=Listing.MESSAGE)
    assert judge(input_listings.find, caches).findings == [
        Finding(
            code="RPW209",
            victim="alpha",
            polluters=("alpha",),
            outputs=("out/alpha.txt",),
            summary="the result of alpha after alpha depends on the environment: listed inputs",
            evidence=evidence(Listing.MESSAGE),
            history=(step, step),
        )
    ]


def test_another_text_of_the_response_is_a_warning() -> None:
    def talks(asked: Asked) -> Outcome:
        is_raw = asked.step.listing is Listing.RAW
        return asked.good(response="did raw\n") if is_raw else asked.good()

    (finding,) = judge(input_listings.find, talks).findings
    assert (finding.severity, finding.victim) == (Severity.WARNING, "alpha")
    assert finding.outputs == ()


def test_a_difference_that_does_not_come_again_is_doubtful() -> None:
    def differs_in_long_histories(asked: Asked) -> Outcome:
        is_other = asked.step.listing is Listing.RAW and len(asked.trial.history) == 4
        is_alpha = asked.step.action == ALPHA and bool(asked.before)
        return asked.good("other\n" if is_other and is_alpha else "")

    screened = judge(input_listings.find, differs_in_long_histories)
    assert screened.findings == []  # the worker that gets all lists shows nothing

    def differs(asked: Asked) -> Outcome:
        # The worker that gets all lists shows it, and then one of those with a single other list.
        is_raw = asked.step.listing is Listing.RAW and asked.step.action == ALPHA
        count = len(asked.trial.history)
        return asked.good("other\n" if is_raw and asked.before and count > 3 else "")

    (finding,) = judge(input_listings.find, differs).findings
    assert finding == Finding(
        code="RPW209",
        severity=Severity.INFO,
        victim="alpha",
        polluters=("alpha", "beta"),
        outputs=("out/alpha.txt",),
        summary="the result of alpha after alpha, beta depends on the environment: "
        "listed inputs; seen once, not reproduced",
        evidence=evidence(Listing.RAW),
        history=tuple(Step(action=each, listing=Listing.RAW) for each in (ALPHA, BETA, ALPHA)),
        is_doubtful=True,
    )


def test_a_worker_that_does_not_survive_many_requests_gets_few() -> None:
    def tires(asked: Asked) -> Outcome:
        if len(asked.before) > 1:
            return asked.failed("crash")
        return with_lists(Listing.EMPTY)(asked)

    judged = judge(input_listings.find, tires)
    (finding,) = judged.findings
    assert (finding.victim, finding.severity) == ("alpha", Severity.WARNING)
    assert finding.history == (Step(action=ALPHA, listing=Listing.EMPTY),)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "varied: listed inputs, nothing else"),
        ({"RPW209": "varied: TZ; not varied: x"}, "varied: listed inputs, TZ; not varied: x"),
    ],
)
def test_a_good_worker_is_asked_once_and_the_factor_is_noted(before, after) -> None:
    judged = judge(input_listings.find, good, options={"notes": dict(before)})
    assert judged.findings == []
    assert judged.context.notes == {"RPW209": after}
    assert len({each for each in judged.trials if len(each.history) > 1}) == 1
