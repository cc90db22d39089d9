"""What shows only after hundreds of requests, or with always new contents."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.check_run import run_checks
from rpw_fixture.hermeticity.checks import longer_runs, resources
from rpw_fixture.hermeticity.checks.check_list import CHECKS
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import Sample
from tests.hermeticity.samples import run, stage

GROWTH = "RPW301,RPW302,RPW303,RPW304"


@pytest.mark.parametrize(
    ("keeps", "code", "severity"),
    [("memory", "RPW301", Severity.WARNING), ("descriptors", "RPW302", Severity.ERROR)],
)
def test_growth_with_each_new_content_is_found(
    tmp_path: Path, keeps: str, code: str, severity: Severity
) -> None:
    suite = stage(tmp_path / "suite", "hoards.py", f"--keeps={keeps}")
    (finding,) = run(suite, GROWTH).findings
    assert (finding.code, finding.severity) == (code, severity)
    assert finding.summary.startswith("every new request adds ")
    assert "each with another content" in finding.evidence


@pytest.mark.parametrize("period", [64, 256])
def test_memory_that_is_given_back_from_time_to_time_is_clean(tmp_path: Path, period: int) -> None:
    suite = stage(tmp_path / "suite", "hoards.py", f"--sawtooth={period}")
    assert run(suite, GROWTH).findings == ()


@pytest.mark.parametrize(("arguments", "code"), [((), "RPW103"), (("--changes",), "RPW202")])
def test_a_worker_that_turns_bad_at_its_five_hundredth_request_is_found(
    tmp_path: Path, arguments: tuple[str, ...], code: str
) -> None:
    suite = stage(tmp_path / "suite", "hoards.py", "--at=500", *arguments)
    (finding,) = run(suite, f"RPW103,RPW202,{GROWTH}").findings
    assert finding.code == code
    assert finding.polluters == (finding.victim,)
    assert finding.summary.startswith("after 499 equal requests, alpha ")
    assert len(finding.history) == 500


def test_slow_workers_get_fewer_requests(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "hoards.py", "--at=500")
    worker = suite.parent / "tools" / "hoards.py"
    slow = "    __import__('time').sleep(0.02)\n    served += 1"
    worker.write_text(worker.read_text().replace("    served += 1", slow))
    report = run(suite, f"RPW103,{GROWTH}")
    assert report.findings == ()
    reasons = {each.code: each.reason for each in report.checks}
    assert reasons["RPW103"] == "longest runs: 100 requests, because they are slow"


def test_requests_that_become_slow_end_their_run_early_and_prove_no_growth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(longer_runs, "_MOST_SECONDS", 0.0)
    report = run(stage(tmp_path / "suite", "hoards.py", "--keeps=descriptors"), f"RPW103,{GROWTH}")
    assert report.findings == ()
    reasons = {each.code: each.reason for each in report.checks}
    slow = "1 (they became slow)"
    assert reasons["RPW103"] == f"longest runs: {slow} and {slow} requests"


def test_what_is_known_to_grow_is_not_proved_again_with_failing_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "_PROVING", 123)
    suite = load(stage(tmp_path / "suite", "descriptor_leak.py"))
    with Harness(suite) as harness:
        context = CheckContext(suite=suite, harness=harness, selected=frozenset(GROWTH.split(",")))
        found = run_checks(context, CHECKS)
        long = [trial for trial in harness.book.asked if len(trial.history) == 123]
    assert [each.code for each in found] == ["RPW302"]
    assert [each.history[0].action.exit_code for each in long] == [0]


def test_what_goes_wrong_at_certain_requests_of_one_action_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha", "beta", "gamma"])
    worker = suite.parent / "tools" / "good.py"
    old = "    parts = [options.header] if options.header else []"
    new = "\n    served.append(0)\n    if len(served) % 25 == 0 and options.header == 'gamma':"
    text = worker.read_text().replace(old, f"{old}{new}\n        parts = []")
    worker.write_text(text.replace("_POLL_SECONDS =", "served = []\n_POLL_SECONDS ="))
    (finding,) = run(suite, "RPW202", pause=0.01).findings
    assert (finding.code, finding.victim) == ("RPW202", "gamma")
    assert finding.are_polluters_any
    assert len(finding.polluters) % 25 == 24


def test_an_old_content_is_one_earlier_request_and_not_hundreds(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "stale_input.py")
    tools = suite.parent / "tools"
    cached = (tools / "stale_input.py").read_text()
    key = "(path, found.st_size, found.st_mtime_ns)"
    (tools / "stale_input.py").write_text(cached.replace(key, "(path, 0, 0)"))
    good = (tools / "good.py").read_text().replace('.rstrip("\\n")', "")
    (tools / "good.py").write_text(good)
    found = run(suite, "RPW202,RPW203", pause=0.01).findings
    assert {each.code for each in found} == {"RPW203"}
    assert {len(each.history) for each in found} == {2}


def lasts(values: list[int]) -> bool:
    samples = [Sample(memory=0, descriptors=each, threads=1, files=0) for each in values]
    return resources.is_lasting(samples, "descriptors", resources.LIMITS["descriptors"])


def test_growth_lasts_if_it_goes_on_to_the_end() -> None:
    assert lasts([place // 3 for place in range(900)])
    assert not lasts([min(place, 256) for place in range(380)])
    assert not lasts([place % 256 for place in range(800)])
    assert not lasts([7] * 900)
    assert not lasts([1, 2, 3])
