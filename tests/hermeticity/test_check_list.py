"""Checks declare the facts that they need and share; that orders them, and nothing else is readable."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.checks import (
    every_run,
    large_suites,
    pieces,
    response_fields,
    state_leaks,
)
from rpw_fixture.hermeticity.checks.check_list import CHECKS, Check, in_order
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import (
    COLD_RESULTS,
    LEFT_PROCESSES,
    LOST_REQUESTS,
    ORDER_IGNORED,
    START_UP_INPUTS,
    ColdResults,
    Fact,
    Facts,
    UndeclaredFactError,
)
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import Suite
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import UnavailableError

from .samples import stage


def nothing(context: CheckContext) -> Iterator[Finding]:
    del context
    return iter(())


def position(order: list[Check], check: Check) -> int:
    return next(place for place, each in enumerate(order) if each is check)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    folder = tmp_path_factory.mktemp("list") / "suite"
    return load(
        stage(
            folder, "multiplex.py", worker="multiplex = true\nsandbox = true\ncancellation = true"
        )
    )


@pytest.fixture
def context(suite: Suite) -> Iterator[CheckContext]:
    with Harness(suite) as harness:
        context = CheckContext(suite=suite, harness=harness)
        context.facts.share(COLD_RESULTS, ColdResults(usable=suite.actions))
        yield context


def test_the_list_is_written_in_the_order_in_which_it_runs() -> None:
    assert in_order(CHECKS) == list(CHECKS)


@pytest.mark.parametrize("seed", range(20))
def test_checks_come_after_those_that_share_what_they_need(seed: int) -> None:
    shuffled = random.Random(seed).sample(CHECKS, len(CHECKS))
    order = in_order(shuffled)
    assert sorted(map(id, order)) == sorted(map(id, CHECKS))
    for taker in order:
        for giver in order:
            if any(each in giver.shares and each not in giver.needs for each in taker.needs):
                assert position(order, giver) < position(order, taker)
    assert [each.is_last for each in order] == sorted(each.is_last for each in order)


def test_a_circle_of_needs_is_refused() -> None:
    one = Check(("RPW101",), nothing, needs=(LOST_REQUESTS,), shares=(LEFT_PROCESSES,))
    other = Check(("RPW102",), nothing, needs=(LEFT_PROCESSES,), shares=(LOST_REQUESTS,))
    with pytest.raises(ValueError, match="in a circle: RPW101, RPW102"):
        in_order([one, other])


def test_only_the_cold_runs_always_run() -> None:
    assert [each.shares for each in CHECKS if each.always] == [(COLD_RESULTS, ORDER_IGNORED)]


def test_every_needed_fact_is_shared_by_some_check() -> None:
    shared = {fact.name for each in CHECKS for fact in each.shares}
    assert {fact.name for each in CHECKS for fact in each.needs} <= shared


@pytest.mark.parametrize(
    "entry",
    # Failures are judged only where there are some, fields only of JSON workers, and many actions apart.
    [
        each
        for each in CHECKS
        if not each.always
        and each.find not in {every_run.find_failures, large_suites.find, response_fields.find}
    ],
    ids=lambda each: each.find.__module__,
)
def test_no_check_runs_without_declaring_the_cold_results(
    entry: Check, context: CheckContext
) -> None:
    needs = [each for each in entry.needs if each is not COLD_RESULTS]
    with (
        context.facts.limited(needs=needs, shares=entry.shares),
        pytest.raises(UndeclaredFactError, match="needs 'cold results'"),
    ):
        list(entry.find(context))


@pytest.mark.parametrize(
    ("entry", "fact"),
    [
        (entry, fact)
        for entry in CHECKS
        for fact in entry.needs
        # What is reported already is asked for only where something is found.
        if fact.name not in {"cold results", "reported results"}
    ],
    ids=lambda each: each.find.__name__ if isinstance(each, Check) else each.name,
)
def test_a_declared_need_is_a_need(entry: Check, fact: Fact[Any], context: CheckContext) -> None:
    needs = [each for each in entry.needs if each is not fact]
    with (
        context.facts.limited(needs=needs, shares=entry.shares),
        pytest.raises(UndeclaredFactError, match=f"needs '{fact.name}'"),
    ):
        list(entry.find(context))


def test_an_undeclared_need_fails_the_whole_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reads_start_up_inputs(context: CheckContext) -> Iterator[Finding]:
        assert context.facts.read(START_UP_INPUTS) == frozenset()
        return iter(())

    suite = load(stage(tmp_path / "suite", "good.py", headers=["alpha"]))
    wanted = Options(selected=frozenset(["RPW403"]))
    declared = Check(("RPW403",), reads_start_up_inputs, needs=(START_UP_INPUTS,))
    monkeypatch.setattr(pieces, "CHECKS", (CHECKS[0], declared))
    assert check(suite, wanted).findings == ()
    undeclared = Check(("RPW403",), reads_start_up_inputs)
    monkeypatch.setattr(pieces, "CHECKS", (CHECKS[0], undeclared))
    with pytest.raises(UndeclaredFactError, match="needs 'inputs read at start-up'"):
        check(suite, wanted)


def test_what_is_shared_can_be_read_and_an_undeclared_fact_cannot_be_shared() -> None:
    facts = Facts()
    with facts.limited(needs=(), shares=(LOST_REQUESTS,)):
        assert facts.read(LOST_REQUESTS) is False
        facts.share(LOST_REQUESTS, value=True)
        assert facts.read(LOST_REQUESTS) is True
        with pytest.raises(UndeclaredFactError, match="shares 'left processes'"):
            facts.share(LEFT_PROCESSES, value=True)
    assert facts.read(LEFT_PROCESSES) is False


def test_a_check_is_skipped_where_it_cannot_be_known_whether_a_warm_worker_answers(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(context: CheckContext) -> bool:
        raise UnavailableError("no fresh worker")

    monkeypatch.setattr(state_leaks, "stops_answering", unavailable)
    wanted = Check(("RPW209",), nothing, needs_answers=True)
    monkeypatch.setattr(pieces, "CHECKS", (CHECKS[0], wanted))
    (state,) = check(suite, Options(selected=frozenset(["RPW209"]))).checks
    assert (state.status, state.reason) == ("skipped", "no fresh worker")
