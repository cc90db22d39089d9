"""Workers that break other rules than those for single requests: end of stdin, cancels, overlap."""

import pytest

from tests.hermeticity.samples import (
    CANCELLATION,
    MULTIPLEX,
    Case,
    assert_found,
    assert_reproduced,
    seeds,
)

JSON = "--worker_protocol=json"

CASES = [
    Case(code="RPW106", script="ignores_eof.py"),
    Case(code="RPW107", script="strict_fields.py"),
    Case(
        code="RPW107",
        script="strict_fields.py",
        arguments=(JSON,),
        worker='protocol = "json"',
    ),
    Case(code="RPW108", script="no_one_shot.py"),
    Case(code="RPW110", script="answers_twice.py", worker=CANCELLATION),
    Case(
        code="RPW110", script="abandons_work.py", worker=f"{MULTIPLEX}\n{CANCELLATION}\ntimeout = 1"
    ),
    Case(
        code="RPW110",
        script="answers_late_cancels.py",
        worker=f"{MULTIPLEX}\n{CANCELLATION}",
    ),
    Case(code="RPW111", script="mixed_up.py", worker=MULTIPLEX),
    Case(code="RPW112", script="orphans.py"),
    Case(code="RPW113", script="large_frames.py"),
    *(
        Case(
            code="RPW113",
            script="large_frames.py",
            arguments=(f"--bug={bug}",),
            has_reproducer=False,
        )
        for bug in ("answer", "inputs", "id")
    ),
    *(
        Case(
            code=code, script=script, arguments=(JSON,), worker='protocol = "json"', is_warning=True
        )
        for code, script in (("RPW114", "misspelt.py"), ("RPW115", "no_newline.py"))
    ),
    Case(code="RPW116", script="ignores_sandbox.py", worker=f"{MULTIPLEX}\nsandbox = true"),
    Case(code="RPW213", script="shared_options.py", worker=MULTIPLEX),
    Case(code="RPW109", script="sticky_failure.py", select="RPW109"),
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
