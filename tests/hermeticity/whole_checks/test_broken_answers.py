"""Workers that break the protocol are found under its codes, and again by their reproducers."""

import pytest

from tests.hermeticity.samples import MULTIPLEX, Case, assert_found, assert_reproduced, seeds

JSON = "--worker_protocol=json"

CASES = [
    Case(code="RPW101", script="noisy.py"),
    Case(code="RPW102", script="hanging.py", worker="timeout = 0.5"),
    Case(
        code="RPW118",
        script="one_read.py",
        arguments=("--lenient",),
        worker="timeout = 1",
    ),
    Case(code="RPW118", script="drops_rest.py", worker=f"{MULTIPLEX}\ntimeout = 1"),
    Case(code="RPW103", script="crashing.py"),
    Case(code="RPW118", script="one_read.py"),
    Case(
        code="RPW118",
        script="one_read.py",
        arguments=(JSON,),
        worker='protocol = "json"',
    ),
    Case(code="RPW104", script="wrong_answers.py", arguments=("--wrong=request-id",)),
    Case(
        code="RPW105",
        script="wrong_answers.py",
        arguments=("--wrong=two-responses",),
    ),
    Case(
        code="RPW105",
        script="wrong_answers.py",
        arguments=("--wrong=early-response",),
    ),
    Case(
        code="RPW105",
        script="wrong_answers.py",
        arguments=("--wrong=garbage",),
    ),
    Case(
        code="RPW105",
        script="wrong_answers.py",
        arguments=("--wrong=was-cancelled",),
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
