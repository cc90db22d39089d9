"""What a run's summary says, from events alone."""

from __future__ import annotations

import json

import pytest

from rpw_fixture.events.kinds import EventsLost
from rpw_fixture.summary import words
from rpw_fixture.summary.model import RunSummary, summarize
from rpw_fixture.testing.starts import StartReason
from tests.testing.event_script import KEY, EventScript, with_changes

NO_KEY = "persistentWorkerKey is not set"
NO_TOOLS = "no tool input: no input is marked bazel_tool_input or matches --tool-input"


@pytest.fixture
def script() -> EventScript:
    return EventScript()


def summary_of(script: EventScript) -> RunSummary:
    return summarize(script.endpoint.events.snapshot())


def one_shot(script: EventScript, name: str, reason: str = NO_KEY, **values: object) -> None:
    script.completed(script.routed(name, mode="one-shot", reason=reason, **values))


def test_a_mnemonic_has_its_counts_and_its_warm_cold_and_one_shot_seconds(
    script: EventScript,
) -> None:
    for name in "abc":
        script.on_worker(name, 1)
    one_shot(script, "d")
    script.completed(script.routed("a", mode="cache", reason="the action cache has a result"))
    run = summary_of(script)

    (compile_,) = run.mnemonics
    assert (compile_.mnemonic, compile_.actions) == ("Compile", 5)
    assert (compile_.on_worker, compile_.reused, compile_.one_shot, compile_.cached) == (3, 2, 1, 1)
    for durations, count in (
        (compile_.warm, 2),
        (compile_.cold, 1),
        (compile_.one_shot_seconds, 1),
    ):
        assert durations is not None
        assert (durations.count, durations.median, durations.total) == (count, 0.5, 0.5 * count)
    assert run.reuse_rate == pytest.approx(2 / 3)


def test_one_shot_reasons_are_counted_and_have_a_remedy(script: EventScript) -> None:
    one_shot(script, "a", NO_TOOLS, asks_for_worker=True)
    for name in "bcd":
        one_shot(script, name)
    run = summary_of(script)

    assert [(each.reason, len(each.actions)) for each in run.one_shot] == [
        (NO_KEY, 3),
        (NO_TOOLS, 1),
    ]
    assert [each.is_warning for each in run.one_shot] == [False, True]
    assert "exec_properties" in run.one_shot[0].remedy
    assert "--tool-input" in run.one_shot[1].remedy


def test_an_action_with_tool_inputs_and_no_key_is_a_warning(script: EventScript) -> None:
    one_shot(script, "a", tool_inputs=2)
    assert summary_of(script).one_shot[0].is_warning


def test_a_refused_action_did_not_run_one_shot(script: EventScript) -> None:
    action = script.routed("a", mode="one-shot", reason="refused, INVALID_ARGUMENT: no command")
    script.completed(action, exit_code=None, status="INVALID_ARGUMENT", message="no command")
    run = summary_of(script)
    assert not run.one_shot
    assert len(run.refused) == 1
    assert run.mnemonics[0].failed == 1
    assert "INVALID_ARGUMENT: no command" in words.summary(run)


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_second_worker_with_the_same_key_was_busy_or_had_ended(
    script: EventScript, is_alive: bool
) -> None:
    script.on_worker("a", 1)
    if not is_alive:
        script.retired(1, "crash")
    script.on_worker("b", 2)
    first, second = summary_of(script).starts

    assert first.reason is StartReason.FIRST
    assert second.other == 1
    assert second.action is not None
    assert second.action.target == "//pkg:b"
    if is_alive:
        assert second.reason is StartReason.BUSY
        assert "--max-workers-per-key" in second.remedy
    else:
        assert second.reason is StartReason.ENDED
        assert "crash" in second.text


def test_a_changed_key_names_the_difference_and_what_to_do(script: EventScript) -> None:
    script.on_worker("a", 1)
    other = with_changes(KEY, environment=(("PATH", "/bin"), ("LANG", "C")))
    action = script.routed("b", key=other)
    script.refused(action, 1, KEY, other)
    script.started(2, other)
    script.sent(action, 2)
    script.completed(action, worker=2)
    start = summary_of(script).starts[1]

    assert start.reason is StartReason.OTHER_KEY
    assert start.other == 1
    assert "LANG" in start.text
    assert "environment" in start.remedy


def test_a_worker_of_another_tool_is_a_first_one(script: EventScript) -> None:
    """Its key differs in everything, which is no reason to change anything."""
    script.on_worker("a", 1)
    other = with_changes(KEY, client_key="lint", startup_arguments=("lint",))
    action = script.routed("b", key=other, mnemonic="Lint")
    script.refused(action, 1, KEY, other)
    script.started(2, other, mnemonic="Lint")
    script.sent(action, 2)
    assert [each.reason for each in summary_of(script).starts] == [StartReason.FIRST] * 2


def test_lost_and_forgotten_events_are_counted(script: EventScript) -> None:
    script.on_worker("a", 1)
    events = script.endpoint.events.snapshot()
    assert summarize(events).missing == 0
    assert summarize(events[2:]).missing == 2
    script.add(EventsLost(count=7, first=2, last=8))
    assert summary_of(script).missing == 7


def test_a_summary_is_json(script: EventScript) -> None:
    script.on_worker("a", 1)
    one_shot(script, "b")
    found = json.loads(json.dumps(summary_of(script).as_dict()))
    assert found["actions"] == 2
    assert found["worker_starts"][0]["reason"] == "first"
    assert found["mnemonics"][0]["cold"]["median"] == 0.5
    assert found["one_shot"][0]["reason"] == NO_KEY


def test_an_empty_run_has_a_summary(script: EventScript) -> None:
    run = summary_of(script)
    assert run.reuse_rate is None
    assert words.summary(run) == "no action reached the server"


def test_the_words_fit_the_terminal_and_name_everything(script: EventScript) -> None:
    action = script.on_worker("a", 1)
    script.violated(1, "text on stdout", "b'" + "hello " * 60 + "'", action)
    for number in range(20):
        one_shot(script, f"o{number}", NO_KEY + " " * 3 * number, mnemonic="M" * 60)
    text = words.summary(summary_of(script))

    assert max(map(len, text.splitlines())) <= words.WIDTH
    assert "21 actions: 1 on workers (0 reused, 0%), 20 one-shot" in text
    assert "worker 1: text on stdout" in text
    assert "14 more reasons" in text


def test_a_remedy_is_printed_for_ordinary_actions_only_if_no_worker_ran(
    script: EventScript,
) -> None:
    one_shot(script, "a")
    assert "Fix:" in words.summary(summary_of(script))
    script.on_worker("b", 1)
    assert "Fix:" not in words.summary(summary_of(script))
