"""Each broken sample worker is found under its own code: with one seed, or ten if RPW_FIXTURE_LONG=1."""

import os
from pathlib import Path

import pytest

from rpw_fixture.execution import workspace
from rpw_fixture.hermeticity.checks import environment

from . import samples
from .samples import PROTOCOL, codes, run, stage

CANCELLATION, MULTIPLEX = "cancellation = true", "multiplex = true"
JSON = "--worker_protocol=json"
LONG = os.environ.get("RPW_FIXTURE_LONG") == "1"
seeds = pytest.mark.parametrize("seed", range(10 if LONG else 1))


@seeds
@pytest.mark.parametrize(
    ("code", "script", "arguments", "worker"),
    [
        ("RPW101", "noisy.py", (), ""),
        ("RPW102", "hanging.py", (), "timeout = 0.5"),
        ("RPW102", "one_read.py", ("--lenient",), "timeout = 1"),
        ("RPW102", "drops_rest.py", (), f"{MULTIPLEX}\ntimeout = 1"),
        ("RPW103", "crashing.py", (), ""),
        ("RPW103", "one_read.py", (), ""),
        ("RPW103", "one_read.py", (JSON,), 'protocol = "json"'),
        ("RPW104", "wrong_answers.py", ("--wrong=request-id",), ""),
        ("RPW105", "wrong_answers.py", ("--wrong=two-responses",), ""),
        ("RPW105", "wrong_answers.py", ("--wrong=early-response",), ""),
        ("RPW105", "wrong_answers.py", ("--wrong=garbage",), ""),
        ("RPW105", "wrong_answers.py", ("--wrong=was-cancelled",), ""),
        ("RPW106", "ignores_eof.py", (), ""),
        ("RPW107", "strict_fields.py", (), ""),
        ("RPW107", "strict_fields.py", (JSON,), 'protocol = "json"'),
        ("RPW108", "no_one_shot.py", (), ""),
        ("RPW110", "answers_twice.py", (), CANCELLATION),
        ("RPW110", "abandons_work.py", (), f"{MULTIPLEX}\n{CANCELLATION}\ntimeout = 1"),
        ("RPW110", "answers_late_cancels.py", (), f"{MULTIPLEX}\n{CANCELLATION}"),
        ("RPW111", "mixed_up.py", (), MULTIPLEX),
        ("RPW112", "orphans.py", (), ""),
        ("RPW201", "random_header.py", (), ""),
        ("RPW203", "stale_input.py", (), ""),
        ("RPW204", "phantom_input.py", (), ""),
        ("RPW205", "two_ways.py", (), ""),
        ("RPW206", "edits_input.py", (), ""),
        ("RPW208", "writes_elsewhere.py", (), ""),
        ("RPW209", "decodes_digests.py", (), ""),
        ("RPW210", "path_in_output.py", (), ""),
        ("RPW211", "keeps_output.py", (), ""),
        ("RPW213", "shared_options.py", (), MULTIPLEX),
        ("RPW301", "memory_leak.py", (), ""),
        ("RPW302", "descriptor_leak.py", (), ""),
        ("RPW303", "thread_leak.py", (), ""),
        ("RPW304", "temporary_leak.py", (), ""),
    ],
)
def test_a_broken_worker_is_found_under_its_code(
    tmp_path: Path, code: str, script: str, arguments: tuple[str, ...], worker: str, seed: int
) -> None:
    suite = stage(tmp_path / "suite", script, *arguments, worker=worker)
    is_full = LONG and seed == 0
    report = run(suite, "" if is_full else f"{code},{PROTOCOL}", seed)
    assert codes(report) == {code}
    assert report.has_errors


@seeds
@pytest.mark.parametrize(
    ("factor", "name"),
    [
        ("TZ", "TZ"),
        ("locale", "locale"),
        ("umask", "umask"),
        ("user", "user"),
        ("home", "HOME"),
        ("mtime", "input mtimes"),
        ("directory-order", "directory order"),
        ("hash-seed", "hash seed"),
    ],
)
def test_a_factor_of_the_environment_is_named(
    tmp_path: Path, factor: str, name: str, seed: int
) -> None:
    suite = stage(
        tmp_path / "suite",
        "environment.py",
        f"--factor={factor}",
        headers=["alpha"],
        shared=["src/b.txt", "src/a.txt"],
    )
    report = run(suite, "RPW209", seed=seed)
    found = {each.summary.rpartition(": ")[2] for each in report.findings}
    (check,) = (each for each in report.checks if each.code == "RPW209")
    if "directory order (" in check.reason:  # a disk may list files in an order of its own
        assert workspace.base() != "/dev/shm"
        assert found == {name} - {"directory order"}
    else:
        assert found == {name}


@seeds
@pytest.mark.parametrize(
    ("factor", "name"), [("clock", "clock"), ("hostname", "hostname"), ("cpu-count", "CPU count")]
)
def test_a_factor_that_not_every_machine_can_vary_is_named(
    tmp_path: Path, factor: str, name: str, seed: int
) -> None:
    arguments = "environment.py", f"--factor={factor}"
    report = run(stage(tmp_path / "suite", *arguments, headers=["alpha"]), "RPW209", seed=seed)
    untried = report.checks[0].reason.partition("; not varied: ")[2]
    if f"{name} (" in untried:
        if name == "clock" and os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1":
            pytest.fail(f"{untried}; RPW_FIXTURE_REQUIRE_INTEROP=1 demands it", pytrace=False)
        pytest.skip(untried)
    assert {each.summary.rpartition(": ")[2] for each in report.findings} == {name}


def test_a_factor_that_cannot_be_varied_is_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_FAKETIME", "/no/such/library")
    report = run(stage(tmp_path / "suite", "good.py", headers=["alpha"]), "RPW209")
    assert "not varied: clock (libfaketime is not installed" in report.checks[0].reason


@pytest.mark.parametrize(
    "waiting", ["time.sleep(0.01)", "__import__('threading').Event().wait(0.01)"]
)
def test_a_worker_that_waits_is_not_blamed_for_what_a_faked_clock_does_to_it(
    tmp_path: Path, waiting: str
) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"])
    worker = suite.parent / "tools" / "good.py"
    begin = "    options = Options(request.expanded_arguments())\n"
    worker.write_text(worker.read_text().replace(begin, f"    {waiting}\n{begin}"))
    assert run(suite, "RPW209").findings == ()


def test_a_faked_clock_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(Path("/dev/shm").glob("*faketime*"))
    run(stage(tmp_path / "suite", "ignores_eof.py", headers=["alpha"]), "RPW209")
    left = {
        each
        for each in set(Path("/dev/shm").glob("*faketime*")) - before
        if not Path("/proc", each.name.rpartition("_")[2]).exists()
    }
    assert not left


def test_a_factor_that_the_action_sets_itself_is_left_alone(tmp_path: Path) -> None:
    suite = stage(
        tmp_path / "suite", "environment.py", worker='env = { TZ = "UTC" }', headers=["alpha"]
    )
    assert run(suite, "RPW209").findings == ()


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
def test_an_input_read_at_start_up_is_named_and_not_blamed_twice(tmp_path: Path, seed: int) -> None:
    suite = stage(
        tmp_path / "suite", "unmarked_tool.py", headers=["alpha"], shared=["src/style.txt"]
    )
    report = run(suite, "RPW203,RPW204,RPW401", seed=seed)
    (finding,) = report.findings
    assert finding.code == "RPW401"
    assert "src/style.txt" in finding.summary


@seeds
def test_a_failing_request_that_breaks_later_ones_is_told_as_that(
    tmp_path: Path, seed: int
) -> None:
    suite = stage(tmp_path / "suite", "sticky_failure.py", with_failure=True)
    report = run(suite, "RPW109,RPW202", seed=seed)
    assert codes(report) == {"RPW109"}
    assert {each.polluters for each in report.findings} <= {("failing",), ("alpha",), ("beta",)}


@seeds
@pytest.mark.parametrize(
    ("script", "headers", "polluters"),
    [
        ("leaky.py", ["alpha", "beta"], {"alpha"}),
        ("joint_leak.py", ["open", "one", "fill", "two"], {"open", "fill"}),
    ],
)
def test_a_leak_is_found_with_its_polluters(
    tmp_path: Path, script: str, headers: list[str], polluters: set[str], seed: int
) -> None:
    report = run(stage(tmp_path / "suite", script, headers=headers), "RPW202", seed)
    assert codes(report) == {"RPW202"}
    told = {each.victim: set(each.polluters) for each in report.findings}
    assert told[headers[-1]] == polluters


@seeds
def test_text_of_another_request_is_told_as_a_diagnostics_leak(tmp_path: Path, seed: int) -> None:
    report = run(stage(tmp_path / "suite", "shared_log.py"), "RPW202,RPW212", seed=seed)
    assert codes(report) == {"RPW212"}


@seeds
@pytest.mark.parametrize(
    ("code", "script", "argument"),
    [("RPW101", "noisy.py", "--between"), ("RPW103", "crashing.py", "--after=2")],
)
def test_a_rule_broken_later_is_told_with_what_came_before(
    tmp_path: Path, code: str, script: str, argument: str, seed: int
) -> None:
    report = run(
        stage(tmp_path / "suite", script, argument), f"RPW202,RPW109,{PROTOCOL}", seed=seed
    )
    (finding,) = report.findings
    assert finding.code == code
    assert len(finding.polluters) == (1 if argument == "--between" else 2)


def test_growth_is_not_told_of_a_worker_whose_processes_pile_up(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "orphans.py"), "RPW112,RPW301,RPW302,RPW303")
    assert codes(report) == {"RPW112"}


def test_growth_with_requests_that_fail_is_told(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"], with_failure=True)
    worker = suite.parent / "tools" / "good.py"
    fail = "        raise ToolError(options.failure)\n"
    leak = "        _leaked.append(open(__file__))\n"
    text = worker.read_text().replace(fail, leak + fail)
    worker.write_text(text.replace("_CACHE_ENTRIES = 256", "_CACHE_ENTRIES = 256\n_leaked = []"))
    (finding,) = run(suite, "RPW301,RPW302,RPW303,RPW304").findings
    assert finding.code == "RPW302"
    assert finding.victim == "failing"
    assert finding.summary.endswith("with every identical request that fails")


def test_a_warm_worker_that_stops_answering_is_not_waited_for_in_every_check(
    tmp_path: Path,
) -> None:
    suite = stage(tmp_path / "suite", "crashing.py", "--after=2", worker="timeout = 0.5")
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
