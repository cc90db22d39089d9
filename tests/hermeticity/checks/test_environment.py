"""RPW209 names the factor that a result depends on, and no other."""

import os
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.checks import environment
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import BASE, Outcome, Step, Variation
from rpw_fixture.support import workspace
from tests.hermeticity.described.described_worker import Asked, judge
from tests.hermeticity.samples import run, seeds, stage


def test_a_runtime_with_a_fixed_seed_is_found_by_another_one(tmp_path: Path) -> None:
    arguments = ("environment.py", "--factor=hash-seed")
    suite = stage(tmp_path / "suite", *arguments, headers=["alpha"])
    python = 'PYTHONHASHSEED=${PYTHONHASHSEED:-0} exec python3 \\"$@\\"'
    text = suite.read_text()
    assert text.count('["python3", ') == 1
    suite.write_text(text.replace('["python3", ', f'["/bin/sh", "-c", "{python}", "sh", '))
    report = run(suite, "RPW201,RPW209")
    (finding,) = report.findings
    assert (finding.code, finding.factor) == ("RPW209", "hash seed")


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
    if "directory order (" in check.reason:  # a disk may list files in any order
        assert workspace.base() != "/dev/shm"
        assert found == {name} - {"directory order"}
    else:
        assert found == {name}
    if factor == "user":
        evidence = report.findings[0].evidence
        assert evidence.startswith("check set USER=rpw-user, LOGNAME=rpw-user\n")


def test_the_order_of_folders_is_the_environment_and_no_leak(tmp_path: Path) -> None:
    suite = stage(
        tmp_path / "suite",
        "environment.py",
        "--factor=directory-order",
        shared=["src/one/a.txt", "src/two/a.txt", "src/three/a.txt"],
    )
    report = run(suite, "RPW202,RPW209,RPW214")
    (check,) = (each for each in report.checks if each.code == "RPW209")
    is_varied = "directory order (" not in check.reason  # a disk may list files in any order
    assert is_varied or workspace.base() != "/dev/shm"
    found = {(each.code, each.victim) for each in report.findings}
    assert found == ({("RPW209", "alpha"), ("RPW209", "beta")} if is_varied else set())


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


def test_a_factor_that_cannot_be_varied_is_reported_with_the_reason(
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


def test_a_library_that_a_worker_can_not_stand_costs_one_start_that_is_not_waited_for(
    tmp_path: Path,
) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"], worker="timeout = 600")
    worker = suite.parent / "tools" / "good.py"
    starts = tmp_path / "starts"
    note = f"    open({str(starts)!r}, 'a').write('.')\n"
    hang = f"if os.environ.get('LD_PRELOAD'):\n{note}    time.sleep(6000)\n\n_CACHE_ENTRIES"
    worker.write_text(worker.read_text().replace("_CACHE_ENTRIES", hang, 1))
    report = run(suite, "RPW209")
    assert report.findings == ()
    reason = report.checks[0].reason
    if "libfaketime is not installed" in reason:
        pytest.skip(reason)
    assert "clock (the worker fails under libfaketime" in reason.partition("not varied: ")[2]
    assert report.seconds < 500
    assert starts.read_text() == "."


def test_a_part_of_the_locale_that_the_suite_does_not_set_is_varied(tmp_path: Path) -> None:
    suite = stage(
        tmp_path / "suite", "good.py", worker='env = { LANG = "C.UTF-8" }', headers=["alpha"]
    )
    worker = suite.parent / "tools" / "good.py"
    old = "    parts = [options.header] if options.header else []\n"
    new = f"{old}    parts.append(os.environ.get('LC_ALL', '') + os.environ['LANG'])\n"
    worker.write_text(worker.read_text().replace(old, new))
    (finding,) = run(suite, "RPW209").findings
    assert finding.summary == "the result of alpha depends on the environment: locale"
    text = suite.read_text().replace('LANG = "C.UTF-8"', 'LANG = "C.UTF-8", LC_ALL = "C.UTF-8"')
    suite.write_text(text)
    report = run(suite, "RPW209")
    assert report.findings == ()
    assert "locale" not in report.checks[0].reason


def test_a_factor_without_effect_is_not_said_to_be_varied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Variation(factor="TZ", environment=(("TZ", "UTC0"),))
    monkeypatch.setattr(environment, "_variations", lambda: iter([nowhere]))
    (state,) = run(stage(tmp_path / "suite", "good.py", headers=["alpha"]), "RPW209").checks
    varied, _, untried = state.reason.partition("; not varied: ")
    assert "TZ" not in varied
    assert "TZ (its data are not installed)" in untried


def test_each_factor_of_this_machine_is_seen_by_a_probe_process(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "good.py", headers=["alpha"]))
    with Harness(suite) as harness:
        usual = harness.effects(BASE)
        varied = harness.effects(Variation(umask=0o077, home="elsewhere"))
    assert usual.keys() >= {"TZ", "locale", "umask", "HOME", "clock", "hash seed"}
    assert {name for name in usual if usual[name] != varied[name]} - {"hash seed", "TMPDIR"} == {
        "umask",
        "HOME",
    }


def test_where_the_usual_run_was_the_odd_one_no_factor_is_named() -> None:
    """A worker that fails once, in the run that all factors are compared with."""
    failed: list[Step] = []

    def once(asked: Asked) -> Outcome:
        is_usual = asked.trial.variation == BASE and len(asked.before) == 1
        if is_usual and not failed:
            failed.append(asked.step)
            return asked.failed("crash")
        return asked.good()

    judged = judge(environment.find, once)
    assert failed
    assert judged.texts == []
