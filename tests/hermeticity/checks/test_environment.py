"""RPW209 names the factor that a result depends on, and no other."""

import os
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.checks import environment
from rpw_fixture.support import workspace
from tests.hermeticity.samples import run, seeds, stage


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
    if factor == "user":
        evidence = report.findings[0].evidence
        assert evidence.startswith("check set USER=somebody, LOGNAME=somebody\n")


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
