"""Findings for broken sample workers beyond their code: with one seed, or ten if RPW_FIXTURE_LONG=1."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.launching import landlock
from tests.hermeticity import samples
from tests.hermeticity.samples import PROTOCOL, assert_replayed, codes, run, seeds, stage


@seeds
def test_a_file_read_elsewhere_is_named(tmp_path: Path, seed: int) -> None:
    style = tmp_path / "style.txt"
    style.write_text("fancy")
    suite = stage(tmp_path / "suite", "reads_elsewhere.py", f"--style={style}", headers=["alpha"])
    report = run(suite, "RPW207", seed=seed)
    states = {each.code: each for each in report.checks}
    if states["RPW207"].status == "skipped":
        pytest.skip(states["RPW207"].reason)
    (finding,) = report.findings
    if "strace" in states["RPW207"].reason:
        assert str(style) in finding.summary
        assert str(style) in (report.accesses[0].undeclared or ())


def test_the_reproducer_of_a_file_read_elsewhere_forbids_it(tmp_path: Path) -> None:
    if reason := landlock.why_unavailable():
        pytest.skip(reason)
    style = tmp_path / "style.txt"
    style.write_text("fancy")
    suite = stage(tmp_path / "suite", "reads_elsewhere.py", f"--style={style}", headers=["alpha"])
    options = Options(selected=frozenset(["RPW207"]), reproducers=tmp_path / "found", pause=0.0)
    (finding,) = check(load(suite), options).findings
    assert_replayed(finding, "reads_elsewhere.py")


@seeds
def test_a_file_written_elsewhere_is_found(tmp_path: Path, seed: int) -> None:
    log = tmp_path / "compile.log"
    suite = stage(tmp_path / "suite", "writes_elsewhere.py", f"--log={log}", headers=["alpha"])
    report = run(suite, "RPW208", seed=seed)
    states = {each.code: each for each in report.checks}
    if states["RPW208"].status == "skipped":
        pytest.skip(states["RPW208"].reason)
    assert codes(report) == {"RPW208"}


@seeds
def test_a_failing_request_that_breaks_later_ones_is_reported_as_that(
    tmp_path: Path, seed: int
) -> None:
    suite = stage(tmp_path / "suite", "sticky_failure.py", with_failure=True)
    report = run(suite, "RPW109,RPW202", seed=seed)
    assert codes(report) == {"RPW109"}
    assert {each.polluters for each in report.findings} <= {("failing",), ("alpha",), ("beta",)}
    assert all(each.summary.startswith("after the failing request ") for each in report.findings)


@seeds
def test_a_leak_is_found_with_its_polluter(tmp_path: Path, seed: int) -> None:
    report = run(stage(tmp_path / "suite", "leaky.py"), "RPW202", seed)
    assert codes(report) == {"RPW202"}
    told = {each.victim: set(each.polluters) for each in report.findings}
    assert told["beta"] == {"alpha"}
    for each in report.findings:
        (difference,) = each.differences
        assert difference.path == each.outputs[0]
        assert difference.labels == ("fresh worker", "after the polluters")
        assert difference.lines


@seeds
@pytest.mark.parametrize(
    ("code", "script", "argument"),
    [("RPW101", "noisy.py", "--between"), ("RPW103", "crashing.py", "--after=2")],
)
def test_a_rule_broken_later_is_reported_with_what_came_before(
    tmp_path: Path, code: str, script: str, argument: str, seed: int
) -> None:
    report = run(
        stage(tmp_path / "suite", script, argument), f"RPW202,RPW109,{PROTOCOL}", seed=seed
    )
    (finding,) = report.findings
    assert finding.code == code
    assert len(finding.polluters) == (1 if argument == "--between" else 2)


def test_a_misspelt_response_is_found_with_every_code(tmp_path: Path) -> None:
    worker = 'protocol = "json"'
    suite = stage(
        tmp_path / "suite",
        "misspelt.py",
        "--worker_protocol=json",
        worker=worker,
        headers=["alpha"],
    )
    assert codes(run(suite)) == {"RPW114"}


def test_growth_is_not_reported_of_a_worker_whose_processes_pile_up(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "orphans.py"), "RPW112,RPW301,RPW302,RPW303")
    assert codes(report) == {"RPW112"}


def test_growth_with_requests_that_fail_is_reported(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"], with_failure=True)
    worker = suite.parent / "tools" / "good.py"
    fail = "        raise ToolError(options.failure)\n"
    leak = "        _leaked.append(open(__file__))\n"
    text = worker.read_text().replace(fail, leak + fail)
    worker.write_text(text.replace("_CACHE_ENTRIES = 256", "_CACHE_ENTRIES = 256\n_leaked = []"))
    (finding,) = run(suite, "RPW301,RPW302,RPW303,RPW304").findings
    assert finding.code == "RPW302"
    assert finding.victim == "failing"
    assert finding.summary.startswith("every identical request that fails adds 1.00 open descr")


def test_a_warm_worker_that_stops_answering_is_not_waited_for_in_every_check(
    tmp_path: Path,
) -> None:
    suite = stage(tmp_path / "suite", "crashing.py", "--after=2", worker="timeout = 2")
    worker = suite.parent / "tools" / "crashing.py"
    text = worker.read_text()
    assert text.count("os._exit(status)") == 1
    worker.write_text(text.replace("os._exit(status)", "__import__('threading').Event().wait()"))
    report = run(suite)
    assert codes(report) == {"RPW102"}
    reasons = {each.code: each.reason for each in report.checks}
    assert reasons["RPW209"] == reasons["RPW301"] == "a warm worker stops answering (RPW102)"


def test_every_code_of_a_suite_has_a_broken_sample() -> None:
    shown = {
        code
        for path in (samples.SAMPLES / "broken").glob("*.py")
        for code in [path.read_text().partition("Shows ")[2][:6]]
    }
    elsewhere = {"RPW101", "RPW102", "RPW103", "RPW104", "RPW105", "RPW402", "RPW403"}
    assert shown | elsewhere == set(samples.CODES)
