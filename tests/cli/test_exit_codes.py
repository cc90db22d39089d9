"""Commands that end at once, in this process: what they print, and exactly 0 when all is well."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rpw_fixture.cli import main
from tests.testing.event_script import EventScript


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A file of events: two actions, the second one on a warm worker."""
    script = EventScript()
    for name in "ab":
        script.on_worker(name, 1)
    path = tmp_path / "events.jsonl"
    lines = [json.dumps(each.as_dict()) for each in script.endpoint.events.snapshot()]
    path.write_text("".join(f"{each}\n" for each in lines))
    return path


@pytest.mark.parametrize("subject", [[], ["//pkg:b"], ["worker:1"]])
@pytest.mark.parametrize("form", ["text", "json"])
def test_explain_prints_text_or_json(
    form: str, subject: list[str], events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(events), *subject, "--format", form]) == 0
    out = capsys.readouterr().out
    assert "pkg:" in out
    assert (out.lstrip()[0] in "[{") is (form == "json")
    if form == "json":
        json.loads(out)


def test_explain_refuses_what_never_came_and_suggests_what_did(
    events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(events), "//pkg:bb"]) == 2
    assert "did you mean '//pkg:" in capsys.readouterr().err
    assert main(["explain", str(events.parent / "absent")]) == 2
    assert "absent" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["html", "trace", "markdown"])
def test_report_writes_a_file(form: str, events: Path, tmp_path: Path) -> None:
    output = tmp_path / "report"
    assert main(["report", str(events), "--output", str(output), "--format", form]) == 0
    assert output.stat().st_size > 100
    assert main(["report", str(events), "--output", str(tmp_path / "absent/report")]) == 3


def test_explain_keeps_control_characters_from_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = EventScript()
    script.completed(script.routed(mode="one-shot", mnemonic="M\x07", target="//a:\x1b[2J"))
    path = tmp_path / "events.jsonl"
    lines = [json.dumps(each.as_dict()) for each in script.endpoint.events.snapshot()]
    path.write_text("".join(f"{each}\n" for each in lines))
    for subject in ([], ["//a:\x1b[2J"]):
        assert main(["explain", str(path), *subject]) == 0
        assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())


def test_report_never_overwrites_an_input(events: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = events.read_text()
    assert main(["report", str(events), "--output", f"{events.parent}/./{events.name}"]) == 2
    assert "name the same file" in capsys.readouterr().err
    assert events.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["--report", "absent/a"], 3, "--report absent/a: No such file or directory"),
        (["--trace", "."], 3, "--trace .: Is a directory"),
        (["--report", "a", "--trace", "./a"], 2, "--report a and --trace a name the same file"),
        (["--events", "a", "--report", "a"], 2, "--events a and --report a name the same file"),
    ],
)
def test_run_does_not_start_the_command_when_a_report_can_not_be_written(
    arguments: list[str],
    code: int,
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", *arguments, "--", "touch", "started"]) == code
    assert capsys.readouterr().err == f"rpw-fixture run: {problem}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protocol", ["proto", "json"])
def test_init_writes_what_can_be_run_and_never_twice(
    protocol: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "new"
    assert main(["init", str(folder), "--protocol", protocol]) == 0
    out = capsys.readouterr().out
    assert f"  cd {folder}\n" in out
    files = [each for each in folder.rglob("*") if each.is_file()]
    assert [each.name for each in files if os.access(each, os.X_OK)] != []
    assert main(["init", str(folder)]) == 2
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    capsys.readouterr()
    assert main(["init"]) == 0
    assert "  cd " not in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "rpw-fixture" in capsys.readouterr().out


def test_doctor_prints_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [each.split("  ")[0].rstrip() for each in lines]
    assert names[: len(facts)] == [each.split("\n")[0] for each in facts]
