"""What can be expected of a run, and why it does not hold."""

from __future__ import annotations

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.summary.expectations import Expectation, judge
from rpw_fixture.summary.model import summarize
from tests.testing.event_script import EventScript

NO_KEY = "persistentWorkerKey is not set"


@pytest.fixture
def script() -> EventScript:
    return EventScript()


def lines(script: EventScript, expected: str, findings: str = "") -> list[str]:
    """Why an expectation does not hold, nothing when it does."""
    run = summarize(script.endpoint.events.snapshot())
    judgement = judge(Expectation.parse(expected), run, findings.format)
    assert judgement.holds is (not judgement.lines)
    assert judgement.expectation.text == expected
    return list(judgement.lines)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("reused", ("reused", None, "")),
        ("no-one-shot@Javac", ("no-one-shot", None, "Javac")),
        ("worker-starts<=12", ("worker-starts", 12, "")),
        ("worker-starts<=0@A", ("worker-starts", 0, "A")),
        ("hermetic", ("hermetic", None, "")),
    ],
)
def test_an_expectation_has_a_name_a_limit_and_a_mnemonic(
    text: str, parts: tuple[str, int | None, str]
) -> None:
    parsed = Expectation.parse(text)
    assert (parsed.name, parsed.limit, parsed.mnemonic) == parts


@pytest.mark.parametrize(
    "text", ["", "reuse", "reused<=1", "worker-starts", "worker-starts<=x", "reused@", "reused x"]
)
def test_what_is_no_expectation_is_refused_with_those_that_exist(text: str) -> None:
    with pytest.raises(ConfigError, match="known are reused, no-one-shot, worker-starts<=N"):
        Expectation.parse(text)


def test_every_mnemonic_on_workers_must_have_met_a_warm_one(script: EventScript) -> None:
    assert lines(script, "reused") == ["no action reached the server"]
    script.one_shot("x", NO_KEY)
    found = lines(script, "reused")
    assert found[:3] == [
        "no action ran on a worker",
        f"1 action ran one-shot: {NO_KEY}",
        "  Compile //pkg:x",
    ]
    script.on_worker("a", 1)
    assert lines(script, "reused") == [
        "1 Compile action on workers, each on a new one",
        "  worker 1, for Compile //pkg:a: the first worker",
    ]
    script.on_worker("b", 2, mnemonic="Other")
    script.on_worker("a", 1)
    assert lines(script, "reused") == []
    script.on_worker("c", 3, mnemonic="Other")
    assert lines(script, "reused")[0] == "2 Other actions on workers, each on a new one"
    assert lines(script, "reused@Compile") == []


def test_a_mnemonic_that_never_came_is_named_with_those_that_did(script: EventScript) -> None:
    assert lines(script, "reused@Javac") == ["no action with the mnemonic Javac reached the server"]
    script.on_worker("a", 1)
    found = lines(script, "no-violations@Compil")
    assert found[0].startswith("no action with the mnemonic Compil reached the server")
    assert found[1] == "those that did: Compile"


def test_actions_without_workers_are_named_three_of_each_reason(script: EventScript) -> None:
    for name in "abcd":
        script.one_shot(name, NO_KEY)
    assert lines(script, "no-one-shot")[:2] == [
        f"4 actions ran one-shot: {NO_KEY}",
        "  Compile //pkg:a, Compile //pkg:b, Compile //pkg:c, …",
    ]
    assert lines(script, "no-one-shot")[2].startswith("  Fix: ")
    assert lines(script, "no-one-shot@Compile")


@pytest.mark.parametrize("count", [8, 9])
def test_workers_beyond_the_limit_are_named(count: int, script: EventScript) -> None:
    for number in range(1, count + 1):
        script.on_worker(f"a{number}", number)
        script.retired(number, "crash")
    script.started(99, mnemonic="Other")
    assert lines(script, f"worker-starts<={count}@Compile") == []
    assert lines(script, f"worker-starts<={count + 1}") == []
    found = lines(script, f"worker-starts<={count - 1}@Compile")
    assert found[0] == f"{count} workers started"
    assert found[2] == (
        "  worker 2, for Compile //pkg:a2: worker 1 with the same key had ended: crash"
    )
    assert sum(each.startswith("  worker ") for each in found) == 8
    assert (found[-1] == "  … and 1 more") is (count == 9)


def test_violations_count_for_the_mnemonic_of_their_action_or_worker(script: EventScript) -> None:
    action = script.on_worker("a", 1)
    assert lines(script, "no-violations") == []
    script.violated(1, "text on stdout", "b'hi'", action)
    script.on_worker("b", 2, mnemonic="Other")
    assert lines(script, "no-violations") == ["worker 1: text on stdout: b'hi'"]
    assert lines(script, "no-violations@Compile") == ["worker 1: text on stdout: b'hi'"]
    assert lines(script, "no-violations@Other") == []


def test_what_a_check_finds_are_the_lines(script: EventScript) -> None:
    script.on_worker("a", 1)
    assert lines(script, "hermetic") == []
    assert lines(script, "hermetic@Compile", "found in {0}\nmore") == ["found in Compile", "more"]
