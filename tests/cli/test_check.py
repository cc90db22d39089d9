"""The subcommand from the outside: reports, exit codes, baselines and reproducers."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from rpw_fixture import ConfigError
from rpw_fixture.cli import main
from rpw_fixture.hermeticity.findings import baseline
from rpw_fixture.hermeticity.findings.codes import CODES
from tests.hermeticity.samples import stage

pytestmark = pytest.mark.usefixtures("python3_is_this_interpreter")
LEAKS = ("--select", "RPW202", "--no-locate")


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    return stage(tmp_path / "suite", "leaky.py")


def test_json_has_the_promised_fields(leaky: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(leaky), *LEAKS, "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert list(report) == [
        "schema",
        "actions",
        "checks",
        "findings",
        "worker_starts",
        "requests",
        "seconds",
        "trials",
        "trials_run",
    ]
    assert (report["schema"], report["actions"]) == (1, 2)
    assert report["checks"] == [
        {"code": "RPW202", "name": "state-leak", "status": "failed", "reason": ""}
    ]
    assert list(report["findings"][0]) == [
        "code",
        "severity",
        "victim",
        "polluters",
        "outputs",
        "summary",
        "evidence",
        "reproducer",
        "carriers",
        "differences",
    ]


def test_text_names_victim_polluter_and_totals(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(leaky), *LEAKS]) == 1
    told = capsys.readouterr().out
    assert "after alpha, beta gives a different result than in a fresh worker" in told
    assert "2 errors; 0 of 1 check passed, 1 failed on 2 actions" in told
    assert "\033" not in told


def test_junit_has_a_case_for_each_check(leaky: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    arguments = ["check", str(leaky), "--select", "RPW202,RPW110", "--format", "junit"]
    assert main([*arguments, "--output", str(file)]) == 1
    suite = ET.parse(file).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")


def test_github_annotations_stay_on_one_line(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(leaky), *LEAKS, "--format", "github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("title=RPW202 state-leak::" in line for line in lines)


def test_a_baseline_accepts_what_is_known(leaky: Path, tmp_path: Path) -> None:
    known = tmp_path / "baseline.json"
    assert main(["check", str(leaky), *LEAKS, "--write-baseline", str(known)]) == 1
    assert main(["check", str(leaky), *LEAKS, "--baseline", str(known)]) == 0


def test_a_baseline_is_for_exact_outputs_and_stale_entries_are_reported_and_removed(
    leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "baseline.json"
    arguments = ["check", str(leaky), *LEAKS, "--baseline", str(known)]
    assert main([*arguments, "--update-baseline"]) == 1, "it is created"
    document = json.loads(known.read_text())
    assert {each["victim"] for each in document["accepted"]} == {"alpha", "beta"}
    other, gone = document["accepted"][0], {**document["accepted"][1], "victim": "gone"}
    unasked = {**gone, "code": "RPW203"}
    document["accepted"] = [{**other, "outputs": ["out/other.txt"]}, gone, unasked]
    known.write_text(json.dumps(document))
    capsys.readouterr()

    assert main(arguments) == 1
    shown = capsys.readouterr().out
    assert "2 errors" in shown
    assert "not found again; delete from the baseline, or --update-baseline\n  RPW202 " in shown
    assert "  RPW202 gone after " in shown
    assert "(out/other.txt)" in shown
    assert "RPW203" not in shown
    assert main([*arguments, "--format", "json"]) == 1
    stale = json.loads(capsys.readouterr().out)["stale_baseline"]
    assert {each["victim"] for each in stale} == {other["victim"], "gone"}

    assert main([*arguments, "--update-baseline"]) == 1
    kept = json.loads(known.read_text())["accepted"]
    assert {(each["code"], each["victim"]) for each in kept} == {
        ("RPW202", "alpha"),
        ("RPW202", "beta"),
        ("RPW203", "gone"),
    }
    capsys.readouterr()
    assert main(arguments) == 0
    assert "not found again" not in capsys.readouterr().out


def test_updating_needs_a_baseline(leaky: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(leaky), "--update-baseline"]) == 2
    assert "--update-baseline needs --baseline FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", "{}", '{"accepted": 1}', '{"accepted": ["RPW202"]}'),
        '{"accepted": [{"code": "RPW202"}]}',
        '{"accepted": [{"code": "RPW202", "victim": "a", "polluters": null, "outputs": []}]}',
        b"\xff\xfe",
    ],
)
def test_a_baseline_that_is_broken_accepts_nothing_and_is_wrong_use(
    content: str | bytes, leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "baseline.json"
    broken.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["check", str(leaky), "--select", "RPW107", "--baseline", str(broken)]) == 2
    error = capsys.readouterr().err
    assert f"--baseline {broken}: not a baseline file" in error
    assert error.count("\n") == 1
    with pytest.raises(ConfigError, match="write one with --write-baseline"):
        baseline.read(broken)


def test_the_folder_of_a_suite_is_checked(leaky: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(leaky.parent), *LEAKS]) == 1
    assert "RPW202 state-leak: beta after alpha" in capsys.readouterr().out


@pytest.mark.parametrize(("code", "exit_code"), [("RPW202", 1), ("RPW210", 0)])
def test_a_reproducer_without_requests_checks_its_code_alone(
    leaky: Path, code: str, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (leaky.parent / "finding.json").write_text(json.dumps({"code": code}))
    assert main(["check", str(leaky.parent)]) == exit_code
    assert f"of 1 check passed{', 1 failed' * exit_code} on" in capsys.readouterr().out


def test_a_warning_fails_the_reproducer_that_shows_it(tmp_path: Path) -> None:
    folder = stage(tmp_path / "suite", "logs_warnings.py").parent
    (folder / "finding.json").write_text("[]")
    warnings = ["check", str(folder), "--select", "RPW218", "--no-locate"]
    assert main(warnings) == 0
    (folder / "finding.json").write_text(json.dumps({"code": "RPW218"}))
    assert main(warnings) == 1


def test_a_reproducer_shows_the_finding_again(
    leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "reproducers"
    main(["check", str(leaky), *LEAKS, "--format", "json", "--reproducers", str(folder)])
    finding = json.loads(capsys.readouterr().out)["findings"][0]
    reproducer = Path(finding["reproducer"])
    assert {each.name for each in reproducer.glob("test_*.py")} == {"test_rpw202_beta.py"}
    assert main(["check", str(reproducer / "suite.toml"), *LEAKS, "--format", "json"]) == 1
    again = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["victim"], finding["polluters"]) in [
        (each["victim"], each["polluters"]) for each in again
    ]


@pytest.mark.parametrize("code", list(CODES))
def test_every_code_is_explained(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--explain", code.lower()]) == 0
    assert capsys.readouterr().out.startswith(f"{code} {CODES[code].name}\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name a suite.toml"),
        (("no-such.toml",), "no-such.toml: No such file"),
        (("SUITE", "--select", "RPW9"), "'RPW9' is not a check code"),
        (("SUITE", "--baseline", "no-such.json"), "--baseline no-such.json: No such file"),
        (("SUITE", "--cache-poisoning"), "needs a folder made by serve --record"),
        (("--explain", "RPW999"), "'RPW999' is not a check code"),
    ],
)
def test_wrong_use_is_reported_in_one_line(
    leaky: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    given = [str(leaky) if each == "SUITE" else each for each in arguments]
    if "SUITE" in arguments and "--baseline" in arguments:
        given += ["--select", "RPW107"]
    assert main(["check", *given]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_command_that_cannot_be_started_is_wrong_use(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaky.write_text(leaky.read_text().replace("python3", "no-such-python"))
    assert main(["check", str(leaky)]) == 2
    assert "no-such-python: command not found in PATH" in capsys.readouterr().err


def test_an_exit_code_that_never_comes_is_wrong_use(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = leaky.read_text()
    leaky.write_text(text + "exit_code = 3\n")
    assert main(["check", str(leaky)]) == 2
    line = text[: text.rindex("[[action]]")].count("\n") + 1
    expected = f"{leaky}:{line}: action 'beta' ends with exit code 0"
    assert expected in capsys.readouterr().err


def test_what_there_is_no_time_for_is_skipped(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", str(leaky), "--max-seconds", "0", "--format", "json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {each["status"] for each in checks} == {"skipped"}
    assert {each["reason"] for each in checks if each["code"] == "RPW202"} == {
        "the time limit of 0 s (--max-seconds) was reached"
    }
