"""Bugs that show only in some run: late crashes and answers, strays, edits and processes."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.checks import every_run
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.report import Status
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import Outcome, Result, Step, Trial
from tests.hermeticity.samples import PROTOCOL, codes, run, stage


def state_of(report, code):
    return next(each for each in report.checks if each.code == code)


@pytest.mark.parametrize("at", [3, 26, 60])
def test_a_worker_that_ends_at_a_late_request_is_found(tmp_path: Path, at: int) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", "--bug=crash", f"--at={at}")
    report = run(suite, f"RPW202,RPW301,{PROTOCOL}")
    (finding,) = report.findings
    assert finding.code == "RPW103"
    assert len(finding.polluters) == at - 1
    assert finding.are_polluters_any == (at > 3)
    assert f"giving up at request {at}" in finding.evidence
    assert state_of(report, "RPW301").status is Status.SKIPPED


def test_an_end_that_does_not_come_again_is_an_error_all_the_same(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py")
    flag = tmp_path / "seen"
    once = (
        f"    if _translations and not os.path.exists({str(flag)!r}):\n"
        f"        open({str(flag)!r}, 'w').close()\n"
        "        os._exit(9)\n"
    )
    edit(suite, "    parts += [tr", f"{once}    parts += [tr")
    report = run(suite, f"RPW202,{PROTOCOL}")
    (finding,) = report.findings
    assert (finding.code, str(finding.severity)) == ("RPW103", "error")
    assert finding.summary.endswith("; seen once, not reproduced")


def test_a_late_crash_is_reported_where_only_leaks_were_asked_for(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", "--bug=crash", "--at=3")
    report = run(suite, "RPW202")
    (finding,) = report.findings
    assert (finding.code, len(finding.polluters)) == ("RPW202", 2)
    assert "giving up at request 3" in finding.evidence
    assert report.has_errors


def test_nothing_that_needs_a_second_answer_passes_where_none_comes(tmp_path: Path) -> None:
    suite = stage(
        tmp_path / "suite", "over_time.py", "--bug=crash", "--at=2", worker="cancellation = true"
    )
    report = run(suite, "RPW103,RPW110,RPW203,RPW204,RPW211")
    assert codes(report) == {"RPW103"}
    skipped = {each.code for each in report.checks if each.status is Status.SKIPPED}
    assert skipped == {"RPW110", "RPW203"}  # a request without its input fails, and is answered


def test_a_worker_that_ends_when_warm_is_no_matter_of_overlapping(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "multiplex.py", worker="multiplex = true")
    start = "    options = Options(request.expanded_arguments())\n"
    edit(suite, start, f"    served.append(1)\n    len(served) > 1 and os._exit(5)\n{start}")
    edit(suite, "_CACHE_ENTRIES = 256\n", "_CACHE_ENTRIES = 256\nserved = []\n")
    assert codes(run(suite, "RPW103,RPW111,RPW213")) == {"RPW103"}


@pytest.mark.parametrize("bug", ["answer", "once"])
@pytest.mark.parametrize("at", [30, 64])
def test_an_answer_that_changes_late_is_a_leak(tmp_path: Path, bug: str, at: int) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", f"--bug={bug}", f"--at={at}")
    report = run(suite, f"RPW202,{PROTOCOL}")
    assert codes(report) == {"RPW202"}
    assert f"any {at - 1} requests" in [each.polluters_in_words for each in report.findings]
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


@pytest.mark.parametrize(
    ("imports", "habit"),
    [
        ("subprocess", "subprocess.run(['true'], check=True)"),
        ("tempfile", "tempfile.TemporaryFile().close()"),
        ("os", "open('out/x.tmp', 'w').close(); os.unlink('out/x.tmp')"),
        ("os", "os.chmod(options.output, 0o755)"),
        ("sys", "print('pid', os.getpid(), time.time(), file=sys.stderr)"),
    ],
)
def test_what_well_behaved_workers_do_is_no_finding(
    tmp_path: Path, imports: str, habit: str
) -> None:
    suite = stage(tmp_path / "suite", "good.py", with_failure=True)
    edit(suite, "    return WorkResponse()\n", f"    {habit}\n    return WorkResponse()\n")
    edit(suite, "_CACHE_ENTRIES = 256\n", f"_CACHE_ENTRIES = 256\nimport {imports}\n")
    report = run(suite, f"RPW112,RPW202,RPW206,RPW208,RPW216,{PROTOCOL}")
    assert report.findings == ()
    assert {each.status for each in report.checks} == {Status.PASSED}


def test_a_worker_that_ends_on_a_request_made_up_to_fail_is_a_warning(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py")
    read = "    content = rpw_worker.read_file(request, path)\n"
    edit(suite, read, f"    os.path.exists(path) or os._exit(2)\n{read}")
    report = run(suite, f"RPW202,{PROTOCOL}")
    (finding,) = report.findings
    assert (finding.code, str(finding.severity)) == ("RPW103", "warning")
    assert "inputs missing" in finding.summary


def test_a_worker_that_ends_after_many_failing_requests_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"], with_failure=True)
    fail = "        raise ToolError(options.failure)\n"
    edit(
        suite, fail, f"        failed.append(1)\n        len(failed) == 30 and os._exit(3)\n{fail}"
    )
    edit(suite, "_CACHE_ENTRIES = 256\n", "_CACHE_ENTRIES = 256\nfailed = []\n")
    report = run(suite, f"RPW109,RPW202,{PROTOCOL}")
    (finding,) = report.findings
    assert (finding.code, finding.victim, len(finding.polluters)) == ("RPW103", "failing", 29)


def test_a_leak_is_found_though_the_worker_ends_at_its_third_request(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", "--bug=crash", "--at=3")
    edit(suite, "parts = [options.header] if options.header else []", "parts = seen")
    edit(suite, "    parts += [tr", "    seen.append(options.header)\n    parts = parts + [tr")
    edit(suite, "_CACHE_ENTRIES = 256\n", "_CACHE_ENTRIES = 256\nseen = []\n")
    report = run(suite, f"RPW202,{PROTOCOL}")
    assert codes(report) == {"RPW103", "RPW202"}
    assert "later answers were compared, though" in state_of(report, "RPW202").reason


def test_actions_behind_the_end_of_a_worker_are_tried_under_each_factor(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", "--bug=crash", "--at=2")
    follow = "    options.header == 'beta' and parts.append(time.strftime('%Z'))\n"
    edit(suite, "    parts += [tr", f"{follow}    parts += [tr")
    (finding,) = run(suite, "RPW209").findings
    assert finding.summary == "the result of beta depends on the environment: TZ"


def test_what_only_overlapping_requests_leave_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "multiplex.py", worker="multiplex = true")
    edit(
        suite,
        "    options = Options(request.expanded_arguments())\n",
        "    options = Options(request.expanded_arguments())\n"
        "    now.append(1)\n    time.sleep(0.05)\n"
        "    len(now) > 1 and open('out/both', 'w').close()\n    now.pop()\n",
    )
    edit(suite, "_CACHE_ENTRIES = 256\n", "_CACHE_ENTRIES = 256\nnow = []\n")
    report = run(suite, "RPW208,RPW213")
    assert codes(report) == {"RPW208"}
    assert "when requests overlap" in report.findings[0].summary


def edit(suite: Path, old: str, new: str) -> None:
    """Change the well-behaved tool of a suite."""
    worker = suite.parent / "tools" / "good.py"
    text = worker.read_text()
    assert text.count(old) == 1
    worker.write_text(text.replace(old, new))


def test_an_output_that_is_written_late_is_no_stray_of_the_next_request(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "good.py"))
    first, second = (Step(action=each) for each in suite.actions)
    earlier = Outcome(step=second, exit_code=0, outputs={"out/beta.txt": ""})
    late = Outcome(step=first, exit_code=0, rewritten=("out/alpha.txt",))
    strays = ("out/alpha.txt", "out/beta.txt (deleted)", "left.txt")
    next_one = Outcome(step=second, exit_code=0, strays=strays)
    outcomes = (earlier, late, next_one)
    with Harness(suite) as harness:
        history = tuple(each.step for each in outcomes)
        harness.book.keep(Trial(history=history), Result(outcomes=outcomes))
        traces = every_run._traces(CheckContext(suite=suite, harness=harness))
    found = {each.code: each.found(next_one) for each in traces if each.code == "RPW208"}
    assert found == {"RPW208": ("left.txt",)}
