"""The page as a file: one file, no other address, nothing from a log is markup."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rpw_fixture.cli import main
from rpw_fixture.hermeticity.findings.report import Growth, Report
from rpw_fixture.report import inputs, page
from rpw_fixture.report.write import write_report
from rpw_fixture.server import Server
from tests.hermeticity.samples import stage

from .sample_log import EVIL, large_log, small_log, write_check

#: Bytes of the page besides its data.
MOST_BYTES = 300 * 1024


def rendered(tmp_path: Path) -> str:
    return page.render(
        inputs.read([small_log().write(tmp_path / "log"), write_check(tmp_path / "check")])
    )


def data_in(text: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    value: dict[str, object] = json.loads(found[1])
    return value


def test_the_page_is_small_beside_its_data() -> None:
    assert len(page.render(inputs.Inputs()).encode()) < MOST_BYTES


def test_names_from_a_log_stay_text(tmp_path: Path) -> None:
    text = rendered(tmp_path)
    assert text.count("</script>") == 2  # the data, and the program
    assert "<img" not in text
    assert "<b>unused" not in text
    (run,) = data_in(text)["runs"]  # type: ignore[misc]
    assert run["actions"][1]["target"] == EVIL


def test_a_title_is_escaped() -> None:
    assert "<title>&lt;b&gt;</title>" in page.render(inputs.Inputs(), title="<b>")


def test_braces_in_data_are_no_placeholders(tmp_path: Path) -> None:
    log = small_log()
    log.action(9, 6.0, target="//:{{script}}")
    text = page.render(inputs.read([log.write(tmp_path / "log")]))
    assert '"//:{{script}}"' in text


def test_file_names_that_are_no_unicode_can_be_written() -> None:
    text = page.render(inputs.Inputs(problems=["bad \udc80 name"]))
    assert data_in(text)["problems"] == ["bad ? name"]


def test_the_policy_allows_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = rendered(tmp_path)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    assert "connect-src 'none'" in policy[1]
    assert not re.search(r'(?:src|href)="(?!data:,)', text)


def test_every_script_file_is_part_of_the_page() -> None:
    folder = Path(page.__file__).parent / "page"
    assert {each.name for each in folder.glob("*.js")} == set(page.SCRIPTS)


@pytest.mark.slow
def test_ten_thousand_actions_make_a_file_of_a_few_megabytes(tmp_path: Path) -> None:
    text = page.render(inputs.read([large_log(10_000, 100).write(tmp_path / "log")]))
    assert len(text) < 9_000_000


@pytest.mark.parametrize("format_", ["html", "trace", "markdown", "text"])
def test_the_command_writes_every_format(tmp_path: Path, format_: str) -> None:
    log, output = small_log().write(tmp_path / "log"), tmp_path / "report"
    assert main(["report", str(log), "--output", str(output), "--format", format_]) == 0
    assert "//:first" in output.read_text() or format_ in {"markdown", "text"}


def test_the_command_says_what_it_can_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path / "nothing"), "--output", str(tmp_path / "report")]) == 2
    assert "nothing: No such file" in capsys.readouterr().err
    log = small_log().write(tmp_path / "log")
    assert main(["report", str(log), "--output", str(tmp_path / "no/folder")]) == 3
    assert "--output" in capsys.readouterr().err


def test_events_of_a_server_become_a_page(tmp_path: Path) -> None:
    from rpw_fixture import Action

    with Server() as server:
        server.run(
            Action(
                arguments=["/bin/sh", "-c", "echo made > out"],
                outputs=["out"],
                environment={"PATH": "/bin"},
            )
        )
        write_report(server.events.snapshot(), tmp_path / "page.html", name="mine")
    (run,) = data_in((tmp_path / "page.html").read_text())["runs"]  # type: ignore[misc]
    assert run["name"] == "mine"
    assert run["summary"]["kinds"] == {"one-shot": 1}
    assert set(run["actions"][0]["phases"]) >= {"executed", "replied"}


@pytest.mark.slow
def test_a_check_writes_its_page(tmp_path: Path, no_pauses: None) -> None:
    suite = stage(tmp_path / "suite", "leaky.py")
    output = tmp_path / "page.html"
    options = ["--select", "RPW202", "--output", str(tmp_path / "text"), "--report", str(output)]
    assert main(["check", str(suite), *options]) == 1
    (check,) = data_in(output.read_text())["checks"]  # type: ignore[misc]
    assert check["action_names"] == ["alpha", "beta"]
    assert {each["code"] for each in check["findings"]} == {"RPW202"}
    missing = str(tmp_path / "no/page.html")
    assert main(["check", str(suite), "--select", "RPW101", "--report", missing]) == 3


def test_a_command_with_a_server_around_it_writes_page_and_trace(tmp_path: Path) -> None:
    output, trace = tmp_path / "page.html", tmp_path / "trace.json"
    assert main(["run", "--report", str(output), "--trace", str(trace), "--", "true"]) == 0
    (run,) = data_in(output.read_text())["runs"]  # type: ignore[misc]
    assert run["name"] == "true"
    assert "traceEvents" in json.loads(trace.read_text())


def test_the_demo_writes_a_page(tmp_path: Path) -> None:
    assert main(["demo", "--report", str(tmp_path / "page.html")]) == 0
    (run,) = data_in((tmp_path / "page.html").read_text())["runs"]  # type: ignore[misc]
    assert run["summary"]["kinds"]["warm"] >= 2
    assert run["workers"][0]["parts"]["protocol"] == "proto"
    assert run["workers"][0]["parts"]["persistentWorkerKey"]
    assert any("tools/rpw_worker.py" in each["text"] for each in run["worker_starts"])


def test_growth_is_in_the_json_of_a_check() -> None:
    growth = Growth(action="a", resource="memory", values=(1, 2), limit=8192)
    report = Report(actions=1, checks=(), findings=(), growth=(growth,))
    assert report.as_dict()["growth"] == [
        {"action": "a", "resource": "memory", "values": [1, 2], "limit": 8192}
    ]
    assert "growth" not in Report(actions=1, checks=(), findings=()).as_dict()
