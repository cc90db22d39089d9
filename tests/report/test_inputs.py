"""Reading what reports are made from: whatever is wrong with it is said, and the rest is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.report import inputs

from .sample_log import EVIL, small_log, write_check


def test_a_log_becomes_rows_of_actions_and_workers(tmp_path: Path) -> None:
    found = inputs.read([small_log().write(tmp_path / "log")])
    (run,) = found.runs
    assert found.problems == []
    assert [each["target"] for each in run["actions"]][:2] == ["//:first", EVIL]
    assert run["summary"]["kinds"] == {"cold": 2, "warm": 2, "one-shot": 1, "cache": 1}
    assert run["summary"]["failed"] == 1
    assert run["summary"]["reuse"] == 0.5
    first = run["actions"][0]
    assert first["requests"][0] | {"inputs": 0} == {
        "worker": 1, "id": 0, "sent": 1.1, "received": 1.45, "exit": 0, "inputs": 0,
    }  # fmt: skip
    assert (first["start"], first["end"]) == (1.0, 1.5)
    assert run["workers"][1]["parts"]["cache-silo-key"] == "blue"
    assert run["actions"][3]["closest"] == {
        "worker": 1,
        "differences": ["cache-silo-key: '' → 'blue'"],
    }
    assert run["worker_starts"][1]["remedy"]


def test_an_empty_log_is_said_to_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("\n")
    found = inputs.read([path])
    assert found.runs == []
    assert "log: the log is empty" in found.problems[0]


def test_a_torn_last_line_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    path = small_log().write(tmp_path / "log")
    path.write_text(path.read_text()[:-40])
    found = inputs.read([path])
    assert len(found.runs[0]["actions"]) == 6
    assert "incomplete" in found.problems[0]


def test_an_action_without_its_end_is_unfinished(tmp_path: Path) -> None:
    log = small_log()
    log.add(
        "action_routed", 9.5, action="f" * 64 + "/1", operation="op-9", mode="worker", reason=""
    )
    (run,) = inputs.read([log.write(tmp_path / "log")]).runs
    assert run["summary"]["kinds"]["unfinished"] == 1
    assert run["actions"][-1]["end"] is None


def test_two_servers_in_one_file_are_two_runs(tmp_path: Path) -> None:
    found = inputs.read([small_log().write(tmp_path / "log", small_log().lines)])
    assert [each["name"] for each in found.runs] == ["log (1 of 2)", "log (2 of 2)"]
    assert "holds the runs of 2 servers" in found.problems[0]


def test_a_log_of_an_older_version_says_what_it_lacks(tmp_path: Path) -> None:
    found = inputs.read([small_log(is_old=True).write(tmp_path / "log")])
    assert "older version" in found.problems[0]
    assert found.runs[0]["actions"][0]["phases"] == {}
    assert found.runs[0]["summary"]["actions"] == 6


def test_inputs_of_all_kinds_are_distinguished(tmp_path: Path) -> None:
    recording = tmp_path / "recording"
    recording.mkdir()
    tool = {"path": "a", "tool": True, "digest": "d/1"}
    line = {"action": f"{1:064x}/80", "key": "python", "command": ["worker"], "inputs": [tool]}
    (recording / "actions.jsonl").write_text(json.dumps(line) + "\n{torn")
    found = inputs.read(
        [recording, write_check(tmp_path / "check"), small_log().write(tmp_path / "log")]
    )
    assert (len(found.runs), len(found.checks), len(found.recordings)) == (1, 1, 1)
    assert found.recordings[0]["actions"][line["action"]]["inputs"] == [0]
    assert "it may be torn" in found.problems[0]


@pytest.mark.parametrize("content", ["what is this\n", "[1, 2]\n", '{"a": 1}\n'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other"
    path.write_text(content)
    with pytest.raises(ConfigError, match="other"):
        inputs.read([path])


def test_a_folder_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a recording"):
        inputs.read([tmp_path])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        inputs.read([tmp_path / "nothing"])


def test_files_of_one_name_keep_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / "one/log", tmp_path / "two/log"]
    assert inputs.short_names(paths) == [str(each) for each in paths]
    assert inputs.short_names([Path("one/a"), Path("two/b")]) == ["a", "b"]


def test_codes_that_do_not_apply_are_distinguished_from_those_that_were_not_checked(
    tmp_path: Path,
) -> None:
    (check,) = inputs.read([write_check(tmp_path / "check")]).checks
    applicable = {each["code"]: each["applicable"] for each in check["checks"]}
    assert applicable["RPW110"] is False
    assert applicable["RPW204"] is True
    assert applicable["RPW203"] is True


@pytest.mark.parametrize("rows", ['"many"', '["RPW101"]', '[{"status": "passed"}]'])
def test_json_that_only_looks_like_a_check_is_refused_by_name(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(f'{{"checks": {rows}, "findings": []}}')
    with pytest.raises(ConfigError, match=r"other\.json"):
        inputs.read([path])
