"""State leaks are found with exactly the polluters that are needed."""

from pathlib import Path

from rpw_fixture.hermeticity.checks.blame import blame, suspicions
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import COLD_RESULTS, ColdResults
from rpw_fixture.hermeticity.suites.suite import Suite
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import Trial, steps
from tests.hermeticity.samples import codes, run, stage

#: Text of a failure is in the next response as well, and inputs that were read once never fail.
READING_ONCE = """    texts = "".join(_texts)
    _texts.clear()
    return WorkResponse(0, texts)


_texts: list[str] = []
_read: dict[str, bytes] = {}


def read_once(request: WorkRequest, path: str) -> bytes:
    try:
        _read[path] = rpw_worker.read_file(request, path)
    except ToolError as error:
        if path not in _read:
            _texts.append(f"{error}")
            raise
    return _read[path]
"""


def context_of(suite: Suite, harness: Harness) -> CheckContext:
    """A context in which all actions are known to work."""
    context = CheckContext(suite=suite, harness=harness)
    context.facts.share(COLD_RESULTS, ColdResults(usable=suite.actions))
    return context


def test_each_victim_of_a_leak_is_reported_with_one_polluter_and_the_difference(
    tmp_path: Path,
) -> None:
    report = run(stage(tmp_path / "suite", "leaky.py"), "RPW202")
    assert [(each.victim, len(each.polluters)) for each in report.findings] == [
        ("beta", 1),
        ("alpha", 1),
    ]
    (finding, _) = report.findings
    assert finding.polluters == ("alpha",)
    assert finding.outputs == ("out/beta.txt",)
    assert "+alpha" in finding.evidence
    assert codes(report) == {"RPW202"}


def test_two_polluters_that_are_only_guilty_together_are_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "joint_leak.py", headers=["open", "one", "fill", "two"])
    report = run(suite, "RPW202")
    assert {each.victim for each in report.findings} == {"one", "two"}
    assert {frozenset(each.polluters) for each in report.findings} == {frozenset({"open", "fill"})}


def test_a_long_history_is_shrunk_in_few_runs(tmp_path: Path) -> None:
    path = stage(tmp_path / "suite", "joint_leak.py", headers=["open", "fill", "one", "two", "six"])
    suite = load(path)
    one, two, six = (suite.action(name) for name in ("one", "two", "six"))
    noise = [one, two] * 48
    history = steps(
        *noise, suite.action("fill"), *noise[:50], suite.action("open"), *noise[:52], six
    )
    assert len(history) == 201
    with Harness(suite) as harness:
        context = context_of(suite, harness)
        outcomes = harness.run(Trial(history=history)).outcomes
        suspects = [
            each for each in suspicions(context, [outcomes]) if each.victim.action.name == "six"
        ]
        before = harness.book.worker_starts
        (finding,) = blame(context, suspects)
        assert set(finding.polluters) == {"open", "fill"}
        assert harness.book.worker_starts - before < 150


def test_text_of_a_failure_is_found_where_only_a_fresh_worker_fails(tmp_path: Path) -> None:
    path = stage(tmp_path / "suite", "good.py", headers=["alpha", "beta", "gamma"])
    tool = path.parent / "tools" / "good.py"
    text = tool.read_text()
    for old, new in (
        ("rpw_worker.read_file(request, path)", "read_once(request, path)"),
        ("    return WorkResponse()\n", READING_ONCE),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    tool.write_text(text)
    report = run(path, "RPW109,RPW202,RPW212")
    found = {(each.code, each.victim) for each in report.findings}
    assert found == {("RPW212", each) for each in ("alpha", "beta", "gamma")}


def test_a_leak_is_reported_for_plain_requests_even_if_failing_ones_show_it_sooner(
    tmp_path: Path,
) -> None:
    suite = load(stage(tmp_path / "suite", "leaky.py", headers=["alpha", "beta"]))
    alpha, beta = suite.actions
    with Harness(suite) as harness:
        context = context_of(suite, harness)
        failing = context.failing_variant(alpha)
        assert failing is not None
        histories = [steps(failing, beta), steps(alpha, alpha, beta)]
        outcomes = [harness.run(Trial(history=each)).outcomes for each in histories]
        told = {each.victim.action: each.before for each in suspicions(context, outcomes)}
        assert told[beta] == steps(alpha, alpha)


def test_nondeterminism_is_not_called_a_leak(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "random_header.py"), "RPW201,RPW202")
    assert codes(report) == {"RPW201"}


def test_a_leak_is_not_called_stale(tmp_path: Path) -> None:
    assert run(stage(tmp_path / "suite", "leaky.py"), "RPW203").findings == ()


def edit(suite: Path, old: str, new: str) -> None:
    """Changes the well-behaved tool of a suite."""
    worker = suite.parent / "tools" / "good.py"
    text = worker.read_text()
    assert text.count(old) == 1
    worker.write_text(text.replace(old, new))


def test_an_error_from_the_second_request_on_is_not_called_stale(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py")
    edit(suite, "    return WorkResponse()\n", "    os.chdir('out')\n    return WorkResponse()\n")
    report = run(suite, "RPW202,RPW203")
    assert codes(report) == {"RPW202"}
    assert "bytes (fresh worker), absent (after the polluters)" in report.findings[0].evidence


def test_a_leak_is_not_blamed_on_overlapping_requests(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "multiplex.py", worker="multiplex = true")
    edit(suite, "parts = [options.header] if options.header else []", "parts = seen")
    edit(suite, "    parts += [tr", "    seen.append(options.header)\n    parts = parts + [tr")
    edit(suite, "_CACHE_ENTRIES = 256\n", "_CACHE_ENTRIES = 256\nseen = []\n")
    assert codes(run(suite, "RPW111,RPW202,RPW213")) == {"RPW202"}


def test_actions_that_hide_a_leak_are_named(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "joint_leak.py", headers=["open", "fill", "one", "wipe"])
    worker = suite.parent / "tools" / "joint_leak.py"
    text = worker.read_text()
    forget = "    seen.add(header)\n    if header == 'wipe':\n        seen.clear()\n"
    worker.write_text(text.replace("    seen.add(header)\n", forget))
    report = run(suite, "RPW202")
    assert all(
        "runs in between: wipe" in each.evidence for each in report.findings if each.victim == "one"
    )
    assert "one" in {each.victim for each in report.findings}
