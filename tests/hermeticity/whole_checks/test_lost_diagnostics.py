"""Text that a one-shot run prints, but that the response of a warm worker lacks (RPW218)."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.findings.report import Status
from tests.hermeticity.samples import codes, run, stage
from tests.hermeticity.whole_checks.test_survivors import CACHE, COMPILE, edited, state_of

DONE = "    return WorkResponse()\n"
WARN_ONCE = (
    "    text = '' if options.header in _warned else f'{options.output}: no title\\n'\n"
    "    _warned.add(options.header)\n"
)


def test_warnings_that_go_to_stderr_are_lost(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "logs_warnings.py")
    report = run(suite, "RPW202,RPW205,RPW212,RPW218")
    assert {(each.code, str(each.severity)) for each in report.findings} == {("RPW218", "warning")}
    assert {each.victim for each in report.findings} == {"alpha", "beta"}
    assert "src/alpha.txt: warning: the text has no title" in report.findings[0].evidence
    assert "to its stderr" in report.findings[0].evidence


def test_a_warning_that_is_given_once_has_one_finding(tmp_path: Path) -> None:
    suite = edited(tmp_path, (CACHE, "_warned = set()\n"))
    tool = suite.parent / "tools" / "good.py"
    tool.write_text(
        tool.read_text().replace(DONE, f"{WARN_ONCE}    return WorkResponse(0, text)\n")
    )
    report = run(suite, "RPW202,RPW212,RPW218")
    assert codes(report) == {"RPW218"}
    assert codes(run(suite, "RPW202,RPW212")) == {"RPW202"}


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (CACHE, "print('starting the compiler', file=sys.stderr)\n"),
        (COMPILE, "    print(os.urandom(9).hex(), file=sys.stderr)\n"),
        (COMPILE, "    print('{', file=sys.stderr)\n"),
    ],
)
def test_what_is_no_diagnostics_is_no_finding(tmp_path: Path, place: str, text: str) -> None:
    report = run(edited(tmp_path, (place, text)), "RPW218")
    assert report.findings == ()
    assert state_of(report, "RPW218")[0] == Status.PASSED


def test_a_longer_first_response_is_no_finding(tmp_path: Path) -> None:
    suite = edited(tmp_path, (CACHE, "_warned = set()\n"))
    tool = suite.parent / "tools" / "good.py"
    once = (
        WARN_ONCE.replace("no title", "the first one")
        + "    sys.argv[1:2] == ['--persistent_worker'] or (text := '')\n"
    )
    tool.write_text(tool.read_text().replace(DONE, f"{once}    return WorkResponse(0, text)\n"))
    report = run(suite, "RPW218")
    assert state_of(report, "RPW218")[0] == Status.PASSED


def test_nothing_passes_without_one_shot_runs(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "no_one_shot.py"), "RPW218")
    assert state_of(report, "RPW218")[0] == Status.SKIPPED
