"""What fresh workers show, if none of them answers."""

from __future__ import annotations

from rpw_fixture.hermeticity.checks import cold_runs
from tests.hermeticity.described.described_worker import judge


def test_codes_that_need_a_right_answer_have_not_passed_where_there_is_none() -> None:
    judged = judge(cold_runs.find, lambda asked: asked.failed("crash"), is_begun=False)
    assert [each.code for each in judged.findings] == ["RPW103", "RPW103"]
    assert {code: judged.context.skipped.get(code) for code in ("RPW104", "RPW105", "RPW210")} == (
        dict.fromkeys(("RPW104", "RPW105", "RPW210"), "no action works on a fresh worker")
    )
