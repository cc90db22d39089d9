"""What shows only in some run: late crashes and answers, strays, edits and processes of any request."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.findings import Status

from .samples import PROTOCOL, codes, run, stage


def state_of(report, code):
    return next(each for each in report.checks if each.code == code)


@pytest.mark.parametrize("at", [3, 26, 60])
def test_a_worker_that_ends_at_a_late_request_is_found(tmp_path: Path, at: int) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", "--bug=crash", f"--at={at}")
    report = run(suite, f"RPW202,RPW301,{PROTOCOL}")
    (finding,) = report.findings
    assert finding.code == "RPW103"
    assert len(finding.polluters) == at - 1
    assert f"giving up at request {at}" in finding.evidence
    assert state_of(report, "RPW301").status is Status.SKIPPED


def test_a_late_crash_is_told_where_only_leaks_were_asked_for(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", "--bug=crash", "--at=3")
    report = run(suite, "RPW202")
    (finding,) = report.findings
    assert (finding.code, len(finding.polluters)) == ("RPW202", 2)
    assert "giving up at request 3" in finding.evidence
    assert report.has_errors


@pytest.mark.parametrize("bug", ["answer", "once"])
@pytest.mark.parametrize("at", [30, 64])
def test_an_answer_that_changes_late_is_a_leak(tmp_path: Path, bug: str, at: int) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", f"--bug={bug}", f"--at={at}")
    report = run(suite, f"RPW202,{PROTOCOL}")
    assert codes(report) == {"RPW202"}
    assert max(len(each.polluters) for each in report.findings) == at - 1
    assert "one line too many" in report.findings[0].evidence


@pytest.mark.parametrize(("bug", "code"), [("stray", "RPW208"), ("edits", "RPW206")])
@pytest.mark.parametrize("at", [2, 10])
def test_what_a_warm_worker_leaves_or_edits_is_found(
    tmp_path: Path, bug: str, code: str, at: int
) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", f"--bug={bug}", f"--at={at}")
    report = run(suite, code)
    assert codes(report) == {code}
    assert min(len(each.polluters) for each in report.findings) == at - 1
    assert report.has_errors


def test_a_stray_of_a_later_action_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha", "beta", "gamma"])
    edit(suite, "    return WorkResponse()\n", f"{STRAY_OF_GAMMA}    return WorkResponse()\n")
    (finding,) = run(suite, "RPW208").findings
    assert (finding.victim, finding.polluters) == ("gamma", ())


STRAY_OF_GAMMA = "    options.header == 'gamma' and open('out/left', 'w').close()\n"


def test_a_stray_of_requests_that_fail_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"], with_failure=True)
    edit(
        suite,
        "        raise ToolError(options.failure)\n",
        "        open('out/left', 'w').close()\n        raise ToolError(options.failure)\n",
    )
    (finding,) = run(suite, "RPW208").findings
    assert finding.victim == "failing"


@pytest.mark.parametrize("at", [1, 2, 7])
def test_a_process_that_a_later_request_starts_is_found(tmp_path: Path, at: int) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", "--bug=job", f"--at={at}")
    report = run(suite, "RPW112,RPW301,RPW302,RPW303")
    assert codes(report) == {"RPW112"}


def test_a_process_of_the_third_action_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha", "beta", "gamma"])
    start = "    options.header == 'gamma' and jobs.append(subprocess.Popen(['sleep', '600']))\n"
    edit(suite, "    return WorkResponse()\n", f"{start}    return WorkResponse()\n")
    edit(suite, "_CACHE_ENTRIES = 256\n", "_CACHE_ENTRIES = 256\nimport subprocess\njobs = []\n")
    (finding,) = run(suite, "RPW112").findings
    assert finding.victim == "gamma"


def test_processes_that_failing_requests_add_are_no_growth_of_threads(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", "--bug=failing-jobs", headers=["alpha"])
    report = run(suite, "RPW112,RPW301,RPW302,RPW303")
    (finding,) = report.findings
    assert finding.code == "RPW112"
    assert "a request that fails outlive its response" in finding.summary


def test_a_helper_that_the_first_request_starts_may_stay(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py")
    start = "    jobs or jobs.append(subprocess.Popen(['cat'], stdin=subprocess.PIPE))\n"
    edit(suite, "    return WorkResponse()\n", f"{start}    return WorkResponse()\n")
    edit(
        suite,
        "_CACHE_ENTRIES = 256\n",
        "_CACHE_ENTRIES = 256\nimport atexit, subprocess\njobs = []\n"
        "atexit.register(lambda: [(each.kill(), each.wait()) for each in jobs])\n",
    )
    assert run(suite, "RPW112").findings == ()


def test_a_worker_that_ends_on_a_request_made_up_to_fail_is_a_warning(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py")
    read = "    content = rpw_worker.read_file(request, path)\n"
    edit(suite, read, f"    os.path.exists(path) or os._exit(2)\n{read}")
    report = run(suite, f"RPW202,{PROTOCOL}")
    (finding,) = report.findings
    assert (finding.code, str(finding.severity)) == ("RPW103", "warning")
    assert "inputs missing" in finding.summary


def edit(suite: Path, old: str, new: str) -> None:
    """Change the well-behaved tool of a suite."""
    worker = suite.parent / "tools" / "good.py"
    text = worker.read_text()
    assert text.count(old) == 1
    worker.write_text(text.replace(old, new))
