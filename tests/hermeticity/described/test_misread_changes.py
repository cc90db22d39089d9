"""Changes that a worker misreads, and those that it can't see because it read the file at its start."""

from __future__ import annotations

from rpw_fixture.hermeticity.checks import misread_changes
from rpw_fixture.hermeticity.checks.facts import START_UP_INPUTS
from rpw_fixture.hermeticity.trials.trial import Outcome
from tests.hermeticity.described.described_worker import ALPHA, Asked, content, judge


def reads_once(asked: Asked) -> Outcome:
    """Answer with the inputs that were there at the start."""
    first = asked.trial.history[0].action
    at_start = asked.step.action.changed("", inputs=first.inputs)
    return asked.good(outputs={"out/alpha.txt": content(at_start)})


def test_an_input_that_is_read_at_the_start_is_not_said_to_be_misread() -> None:
    found = judge(misread_changes.find, reads_once, actions=(ALPHA,)).findings
    assert any("begins with the same 8 digits" in each.summary for each in found)
    facts = {START_UP_INPUTS: frozenset(ALPHA.inputs)}
    assert judge(misread_changes.find, reads_once, actions=(ALPHA,), facts=facts).findings == []
