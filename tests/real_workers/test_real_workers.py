"""The script that checks published workers: two of them quickly, and what its page says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.hermeticity.findings.codes import CODES
from tests.interop.requirements import require_bazel_jar, require_jdk
from tests.real_workers import packages, page
from tests.real_workers.checking import Report, check
from tests.real_workers.published import PublishedWorker, Reading, load, load_all

READING = Reading(
    code="RPW104", verdict="true", because="It has no id.", file="tool.py", text="dumps("
)
WORKER = PublishedWorker(name="w", title="`w`", description="A tool.", readings=(READING,))


def report(folder: Path, *codes: str) -> Report:
    findings = [
        {"code": code, "severity": "warning", "summary": f"{code} | seen"} for code in codes
    ]
    result: dict[str, Any] = {"findings": findings, "checks": [], "worker_starts": 3, "requests": 5}
    return Report(seconds=1.2, processor_seconds=0.7, result=result, packages=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tool.py").write_text("import json\nprint(json.dumps({}))\n")
    return tmp_path


def test_a_finding_that_was_judged_has_its_line(folder: Path) -> None:
    found = report(folder, "RPW104")
    assert page.unconfirmed(WORKER, found) == []
    text = page.render({"w": found}, [WORKER], {"w": "w 1.0"}, {"@bazel/other": "no worker"})
    row = r"| [RPW104](checks/RPW104.md) warning | RPW104 \| seen | true | It has no id. (`tool.py:2`) |"
    assert row in text
    assert "| `w` | none | RPW104 | 0 | 3 | 5 | 1 | 1 |" in text
    assert "| `@bazel/other` | no worker |" in text


def test_a_finding_without_a_judgement_and_a_line_that_is_gone_are_named(folder: Path) -> None:
    (folder / "tool.py").write_text("import json\n")
    wrong = page.unconfirmed(WORKER, report(folder, "RPW202"))
    assert wrong == [
        "w: RPW202 was not judged",
        "w: RPW104: no line of tool.py has 'dumps('",
    ]


def test_a_worker_that_can_not_be_had_is_on_the_page_with_the_reason() -> None:
    text = page.render({"w": "there is no npm on PATH"}, [WORKER], {"w": "w 1.0"}, {})
    assert "| `w` | not checked: there is no npm on PATH |" in text


@pytest.mark.parametrize("worker", load_all(), ids=lambda worker: worker.name)
def test_judgements_are_about_codes_that_exist(worker: PublishedWorker) -> None:
    known = set(CODES)
    assert {each.code for each in worker.readings} <= known
    assert {each.verdict for each in worker.readings} <= {"true", "harmless", "false"}
    assert (worker.folder / "suite.toml").exists()


def test_bazel_s_own_handler_ends_json_without_a_newline(tmp_path: Path) -> None:
    require_bazel_jar()
    require_jdk()
    worker = load("work_request_handler_json")
    packages.install(worker, tmp_path, with_sources=False)
    found = check(worker, tmp_path, "--select", "RPW115").findings
    assert set(found) == {"RPW115"}


def test_a_worker_from_pypi(tmp_path: Path) -> None:
    worker = load("aio_api_bazel")
    try:
        packages.install(worker, tmp_path)
    except packages.NotHadError as error:
        pytest.skip(f"the package can't be had: {error}")  # never required: it needs a network
    report = check(worker, tmp_path, "--select", "RPW114,RPW115")
    assert set(report.findings) == {"RPW114", "RPW115"}
    assert page.unconfirmed(worker, report) == []
