"""A pause between two requests, and the verbosity of a request."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings.codes import expand
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import Step, Trial
from tests.hermeticity.samples import PROTOCOL, run, stage

PAUSE = 2.0


def test_an_idle_worker_that_ends_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "impatient.py")
    (finding,) = run(suite, f"{PROTOCOL},RPW202", pause=PAUSE).findings
    assert finding.code == "RPW103"
    assert finding.summary.startswith("after alpha and a pause of 2 seconds, alpha ")
    assert "without the pause, both requests get the same answer" in finding.evidence


def test_the_command_finds_what_an_idle_worker_forgets(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "impatient.py", "--forgets")
    options = ["--select", f"{PROTOCOL},RPW202", "--no-locate", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "rpw_fixture", "check", suite, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["code"] == "RPW202"
    assert finding["summary"].startswith("after alpha and a pause of 3 seconds, alpha ")
    assert "without the pause, both requests get the same answer" in finding["evidence"]


def test_a_patient_worker_is_clean(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "good.py"), f"{PROTOCOL},RPW202", pause=0.5)
    assert report.findings == ()


@pytest.mark.parametrize(
    ("script", "argument", "pause"),
    [("impatient.py", "--forgets", PAUSE), ("hoards.py", "--at=300\0--changes", 0.1)],
    ids=["pause", "three hundred requests"],
)
def test_a_reproducer_waits_and_repeats_as_well(
    tmp_path: Path, script: str, argument: str, pause: float
) -> None:
    suite = stage(tmp_path / "suite", script, *argument.split("\0"), headers=["alpha"])
    options = Options(
        selected=expand("RPW202"), reproducers=tmp_path / "found", pause=pause, locates=False
    )
    (finding,) = check(load(suite), options).findings
    assert finding.reproducer is not None
    again = check(load(Path(finding.reproducer, "suite.toml")), replace(options, reproducers=None))
    assert [each.summary for each in again.findings] == [finding.summary]


def test_no_pause_is_tried_for_other_codes(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "impatient.py"), "RPW201", pause=600.0)
    assert report.findings == ()
    assert report.seconds < 600


def test_a_trial_that_waits_ends_with_its_harness(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "good.py"))
    plain = Step(action=suite.actions[0])
    with Harness(suite) as harness:
        harness.begin(Trial(history=(plain, Step(action=plain.action, pause=600.0))))
        assert harness.run(Trial(history=(plain,))).outcomes[0].exit_code == 0


def test_a_trial_that_waits_has_the_folder_that_results_depend_on(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "path_in_output.py", headers=["alpha"]))
    plain = Step(action=suite.actions[0])
    with Harness(suite) as harness:
        harness.use_one_path()
        waiting = Trial(history=(plain, Step(action=plain.action, pause=0.01)))
        harness.begin(waiting)
        usual = harness.run(Trial(history=(plain,))).outcomes[0]
        assert harness.run(waiting).outcomes[0].outputs == usual.outputs


@pytest.mark.parametrize(
    ("arguments", "effect"),
    [((), "gives another result"), (("--stdout",), "fails: text on stdout")],
)
def test_verbosity_is_named(tmp_path: Path, arguments: tuple[str, ...], effect: str) -> None:
    suite = stage(tmp_path / "suite", "talkative.py", *arguments, headers=["alpha"])
    report = run(suite, f"RPW209,{PROTOCOL}")
    (finding,) = report.findings
    assert finding.code == "RPW209"
    assert f"verbosity (with 10 it {effect})" in finding.summary
    note = next(each.reason for each in report.checks if each.code == "RPW209")
    assert note.startswith("varied: verbosity, ")
