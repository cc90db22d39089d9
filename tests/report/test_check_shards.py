"""Parts of a check become one report."""

import json
from pathlib import Path
from typing import Any

from rpw_fixture.report import inputs


def part(shard: str, *codes: str, failed: str = "") -> dict[str, Any]:
    return {
        "schema": 1,
        "shard": shard,
        "actions": 3,
        "worker_starts": 10,
        "requests": 20,
        "seconds": 5.0,
        "checks": [
            {
                "code": code,
                "name": code,
                "status": "failed" if code == failed else "passed",
                "reason": "",
            }
            for code in codes
        ],
        "findings": [{"code": failed, "severity": "error", "victim": "x"}] if failed else [],
    }


def read(folder: Path, *parts: dict[str, Any]) -> inputs.Inputs:
    paths = [folder / f"part{number}.json" for number, _ in enumerate(parts)]
    for path, each in zip(paths, parts, strict=True):
        path.write_text(json.dumps(each))
    return inputs.read(paths)


def test_all_parts_are_one_report(tmp_path: Path) -> None:
    found = read(
        tmp_path, part("1/2", "RPW201", "RPW202"), part("2/2", "RPW202", "RPW402", failed="RPW202")
    )
    (row,) = found.checks
    assert found.problems == []
    assert (row["actions"], row["worker_starts"], row["seconds"]) == (6, 20, 5.0)
    assert {each["code"]: each["status"] for each in row["checks"]} == {
        "RPW201": "passed", "RPW202": "failed", "RPW402": "passed",
    }  # fmt: skip
    assert [each["code"] for each in row["findings"]] == ["RPW202"]


def test_what_several_parts_find_or_count_of_one_worker_is_there_once(tmp_path: Path) -> None:
    one, other = (part(each, "RPW202", failed="RPW202") for each in ("1/2", "2/2"))
    other["counted_elsewhere"] = 2
    (row,) = read(tmp_path, one, other).checks
    assert row["actions"] == 4
    assert [each["victim"] for each in row["findings"]] == ["x"]


def test_a_code_that_a_part_could_not_judge_has_not_passed(tmp_path: Path) -> None:
    one, other = part("1/2", "RPW202"), part("2/2", "RPW202")
    other["checks"][0] |= {"status": "skipped", "reason": "the executor gives no answer"}
    (row,) = read(tmp_path, one, other).checks
    assert [(each["status"], each["reason"]) for each in row["checks"]] == [
        ("skipped", "the executor gives no answer")
    ]


def test_a_missing_part_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, part("1/3", "RPW201"), part("3/3", "RPW201"))
    assert found.problems == ["the check is incomplete: the report of --shard 2/3 is missing"]


def test_other_reports_stay_apart(tmp_path: Path) -> None:
    whole = part("", "RPW201")
    del whole["shard"]
    assert len(read(tmp_path, whole, whole).checks) == 2
