"""Workers whose results are wrong, or that grow, are found under their codes."""

import pytest

from tests.hermeticity.samples import Case, assert_found, assert_reproduced, checked, seeds

CASES = [
    Case(code="RPW201", script="random_header.py"),
    Case(code="RPW203", script="stale_input.py"),
    Case(code="RPW204", script="phantom_input.py"),
    Case(code="RPW205", script="two_ways.py"),
    Case(code="RPW206", script="edits_input.py"),
    Case(code="RPW208", script="writes_elsewhere.py"),
    Case(code="RPW209", script="decodes_digests.py"),
    Case(code="RPW210", script="path_in_output.py"),
    Case(code="RPW211", script="keeps_output.py"),
    Case(code="RPW211", script="keeps_sound_output.py"),
    Case(code="RPW301", script="memory_leak.py"),
    Case(code="RPW302", script="descriptor_leak.py"),
    Case(code="RPW303", script="thread_leak.py"),
    Case(code="RPW304", script="temporary_leak.py"),
    Case(
        code="RPW202",
        script="joint_leak.py",
        headers=("open", "one", "fill", "two"),
        select="RPW202",
    ),
    Case(code="RPW202", script="mixes_configurations.py", select="RPW202,RPW203"),
    Case(code="RPW212", script="shared_log.py", select="RPW202,RPW212"),
    Case(code="RPW214", script="trusts_store.py"),
    Case(code="RPW215", script="keeps_lock.py"),
    Case(code="RPW216", script="late_writer.py"),
    Case(code="RPW216", script="keeps_open.py"),
    Case(code="RPW218", script="logs_warnings.py", is_warning=True),
    Case(
        code="RPW401",
        script="unmarked_tool.py",
        headers=("alpha",),
        shared=("src/style.txt",),
        select="RPW203,RPW204,RPW401",
    ),
]


@seeds
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_broken_worker_is_found_under_its_code(
    case: Case, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert_found(case, seed, tmp_path_factory)


@pytest.mark.parametrize("case", [each for each in CASES if each.has_reproducer], ids=str)
def test_a_reproducer_shows_its_finding_again(
    case: Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert_reproduced(case, tmp_path_factory)


@seeds
def test_two_polluters_that_are_guilty_together_are_named(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (case,) = [each for each in CASES if each.script == "joint_leak.py"]
    told = {
        each.victim: {*each.polluters} for each in checked(case, seed, tmp_path_factory).findings
    }
    assert told["two"] == {"open", "fill"}


@seeds
def test_an_input_read_at_start_up_is_named_and_not_blamed_twice(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (case,) = [each for each in CASES if each.script == "unmarked_tool.py"]
    (finding,) = checked(case, seed, tmp_path_factory).findings
    assert "src/style.txt" in finding.summary
