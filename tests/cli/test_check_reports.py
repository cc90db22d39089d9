"""``--format NAME[=FILE]``: several reports of one run, and what is refused before it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from rpw_fixture.cli import main
from rpw_fixture.cli.check_reports import FORMATS
from rpw_fixture.hermeticity.findings.codes import CODES
from tests.hermeticity.samples import stage

pytestmark = pytest.mark.usefixtures("python3_is_this_interpreter")
SARIF = Path(__file__).parents[1] / "hermeticity" / "findings" / "data" / "sarif-2.1.0-rtm.5.json"
LEAKS = ("--select", "RPW202", "--no-locate")


@pytest.fixture
def leaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    return stage(tmp_path / "a suite", "leaky.py").relative_to(tmp_path)


def line_of(suite: Path, name: str) -> int:
    lines = suite.read_text().splitlines()
    return lines.index(f'name = "{name}"')  # the line before it, from 1: [[action]]


def test_one_run_writes_every_report(leaky: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["sarif=log.sarif", "markdown=summary.md", "json=all.json", "junit=check.xml"]
    arguments = [each for file in files for each in ("--format", file)]
    assert main(["check", str(leaky), *LEAKS, *arguments, "--format", "github"]) == 1

    log = json.loads(Path("log.sarif").read_text())
    jsonschema.Draft4Validator(json.loads(SARIF.read_text())).validate(log)
    (run,) = log["runs"]
    assert [each["id"] for each in run["tool"]["driver"]["rules"]] == ["RPW202"]
    results = {each["locations"][0]["logicalLocations"][0]["name"]: each for each in run["results"]}
    location = results["beta"]["locations"][0]["physicalLocation"]
    assert unquote(location["artifactLocation"]["uri"]) == "a suite/suite.toml"
    assert location["region"]["startLine"] == line_of(leaky, "beta")
    assert results["beta"]["level"] == "error"

    summary = Path("summary.md").read_text()
    assert summary.startswith("### check: 2 errors\n")
    assert re.search(
        r"^\| ❌ error \| \[RPW202\]\(http\S+\) state-leak \| beta \| after alpha \|$",
        summary,
        re.MULTILINE,
    )
    assert "```text\nout/beta.txt:\n" in summary

    report = json.loads(Path("all.json").read_text())
    assert {each["victim"] for each in report["findings"]} == {"alpha", "beta"}
    assert ET.parse("check.xml").getroot().get("failures") == "1"

    annotations = capsys.readouterr().out.splitlines()
    where = f"file=a suite/suite.toml,line={line_of(leaky, 'beta')},"
    assert any(each.startswith(f"::error {where}title=RPW202 state-leak::") for each in annotations)
    assert len(annotations) == 2


def test_text_goes_to_stdout_beside_files_and_output_takes_its_place(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(leaky), *LEAKS, "--format", "json=all.json"]) == 1
    assert capsys.readouterr().out.startswith("RPW202 ")
    again = ["--format", "json=all.json", "--output", "report.txt"]
    assert main(["check", str(leaky), *LEAKS, *again]) == 1
    assert capsys.readouterr().out == ""
    assert Path("report.txt").read_text().startswith("RPW202 ")


def test_first_lines_have_code_victim_and_cause_in_80_columns(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "beta_" + "x" * 60
    leaky.write_text(leaky.read_text().replace('name = "beta"', f'name = "{long}"'))
    assert main(["check", str(leaky), *LEAKS]) == 1
    lines = [each for each in capsys.readouterr().out.splitlines() if each.startswith("RPW202")]
    assert any(re.match(r"RPW202 state-leak: beta_x+… after alpha$", each) for each in lines), lines
    assert any(each.startswith("RPW202 state-leak: alpha after beta_x") for each in lines), lines
    assert all(len(each) <= 80 for each in lines)


def test_checks_that_were_not_judged_are_one_line_for_each_reason(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(
        [
            "check",
            str(leaky),
            "--select",
            "RPW110,RPW111,RPW213,RPW402,RPW107",
            "--max-seconds",
            "0",
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert "not applicable: RPW402 (needs a recording made by serve --record)" in lines
    assert (
        "  RPW107, RPW110, RPW111, RPW213: the time limit of 0 s (--max-seconds) was reached"
        in lines
    )
    assert "1 not applicable" in lines[-1]


def test_accepted_findings_are_suppressed_in_sarif(leaky: Path) -> None:
    main(["check", str(leaky), *LEAKS, "--write-baseline", "known.json"])
    arguments = ["--baseline", "known.json", "--format", "sarif=log.sarif"]
    assert main(["check", str(leaky), *LEAKS, *arguments]) == 0
    results = json.loads(Path("log.sarif").read_text())["runs"][0]["results"]
    assert [each["suppressions"] for each in results] == [[{"kind": "external"}]] * 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "json", "--format", "github"), "both go to stdout"),
        (("--format", "json=a", "--format", "junit=./a"), "name the same file"),
        (("--format", "json=a", "--output", "a"), "name the same file"),
        (("--write-baseline", "a", "--report", "a"), "name the same file"),
        (("--output", "SUITE"), "name the same file"),
    ],
)
def test_reports_in_one_place_are_wrong_use(
    leaky: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = leaky.read_text()
    given = [str(leaky) if each == "SUITE" else each for each in arguments]
    assert main(["check", str(leaky), *LEAKS, *given]) == 2
    assert leaky.read_text() == before
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("sarf", "did you mean 'sarif'?"),
        ("json=", "names no file after the equals sign"),
        ("", "there is no format ''"),
    ],
)
def test_unknown_formats_are_wrong_use(
    leaky: Path, value: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", str(leaky), "--format", value])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_file_that_cannot_be_written_is_refused_before_the_run(
    leaky: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(leaky), "--format", f"{name}=no/such/folder"]) == 3
    assert f"--format {name}=no/such/folder: No such file" in capsys.readouterr().err


def test_codes_are_listed_by_prefix(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [each.split()[:2] for each in lines] == [
        [code, CODES[code].name] for code in sorted(CODES)
    ]
    assert main(["check", "--list", "rpw30"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert main(["check", "--list", "RPW9"]) == 2
    assert "'RPW9' is not a check code" in capsys.readouterr().err
