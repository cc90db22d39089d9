"""Workers that are interrupted at their work, where a warm one does not come to every action."""

from __future__ import annotations

from rpw_fixture.hermeticity.checks import interrupted_state
from rpw_fixture.hermeticity.trials.trial import Outcome
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, action, judge


def test_a_worker_that_always_ends_at_its_second_request_is_judged_as_far_as_it_can_be() -> None:
    def ends(asked: Asked) -> Outcome:
        return asked.failed("crash") if asked.before else asked.good()

    judged = judge(interrupted_state.find, ends, actions=(ALPHA, BETA, action("gamma")))
    assert judged.findings == []
    assert "RPW215" in judged.context.skipped
