"""Words for what a server did, and the actions that are most like another one."""

from __future__ import annotations

import pytest

from rpw_fixture.testing import assertions, explain
from tests.testing.event_script import EventScript


def test_the_stderr_of_workers_stands_under_their_numbers() -> None:
    texts = {2: "two\n", 1: "one", 3: "\n"}
    assert explain.stderr_of(texts) == "worker 1:\none\nworker 2:\ntwo"
    assert explain.stderr_of({}) == ""


def test_the_nearest_actions_have_the_target_or_the_mnemonic() -> None:
    script = EventScript()
    records = [script.on_worker(name, 1) for name in "abcdefghij"]
    alike = script.one_shot("a", "reason")
    actions = script.endpoint.actions
    assert explain.nearest(actions, None) == [*records[3:], alike]
    assert explain.nearest(actions, None, limit=2) == [records[-1], alike]
    near = explain.nearest(actions, records[0], limit=2)
    assert {each.operation for each in near} == {records[0].operation, alike.operation}


@pytest.mark.parametrize("count", [1, assertions._MAX_ERRORS, assertions._MAX_ERRORS + 1])
def test_of_many_internal_errors_the_first_are_shown(count: int) -> None:
    script = EventScript()
    for number in range(count):
        script.bug(f"place {number}", "Traceback\nKeyError: 'x'\n")
    with pytest.raises(AssertionError) as shown:
        assertions.no_internal_error(script.endpoint.events)
    text = str(shown.value)
    assert text.count("In place") == min(count, assertions._MAX_ERRORS)
    assert ("… and 1 more" in text) is (count > assertions._MAX_ERRORS)
    assert ("1 internal error" in text) is (count == 1)


@pytest.mark.parametrize("more", [0, 1])
def test_of_many_differences_the_first_are_shown(more: int) -> None:
    texts = [f"difference {number}" for number in range(assertions._MAX_DIFFERENCES + more)]
    shown = assertions._key_cause(texts)
    assert shown.count("  difference") == assertions._MAX_DIFFERENCES
    assert ("… and 1 more" in shown) is bool(more)


def test_numbers_of_workers_are_a_list_in_words() -> None:
    script = EventScript()
    records = [script.on_worker("a", number) for number in (3, 1, 2, 1)]
    assert assertions._worker_numbers(records) == "1, 2 and 3"
