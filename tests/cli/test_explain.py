"""``explain`` answers from files of earlier runs: events of one or two servers, and recordings."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture import Action, Server
from rpw_fixture.cli import main
from rpw_fixture.summary import words
from tests.workers.worker_actions import compile_action

Explain = Callable[..., str]


def upper(name: str, **others: Any) -> Action:
    return compile_action(name, mnemonic="Upper", target=f"//:{name}", **others)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The events of two servers, and the recording of the second."""
    events, record = tmp_path / "events", tmp_path / "recording"
    with Server(events=str(events)) as server:
        server.run(upper("a"))
        server.run(Action(arguments=["/bin/true"], target="//:plain", tool_inputs={"t": "t"}))
    with Server(events=str(events), record=str(record)) as server:
        server.run(upper("a"))
        server.run(upper("b"))
        server.run(upper("a", environment={"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}))
        server.run(Action(arguments=["/bin/sh", "-c", "exit 3"], mnemonic="Bad", target="//:bad"))
    return events, record


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str]) -> Explain:
    def explain(*arguments: object) -> str:
        assert main(["explain", *map(str, arguments)]) == 0
        out = capsys.readouterr().out
        assert len(out.splitlines()) <= 40, "more than one screen"
        return out

    return explain


def in_json(*arguments: object) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["explain", *map(str, arguments), "--format", "json"]) == 0
    return out.getvalue()


def test_why_an_action_was_not_reused_is_answered(
    files: tuple[Path, Path], explain: Explain
) -> None:
    out = explain(files[0], "//:a")
    assert out.startswith("server 2 of 2, ")
    assert "Upper //:a (" in out
    assert "ran on worker 2, started for it" in out
    assert "its key differs from that of worker 1, the closest" in out
    assert "LANG" in out
    assert "Fix: give both actions the same environment." in out
    assert "last time:  ran on worker 1, started for it" in out
    for phase in ("queued", "staged", "executed", "collected", "replied"):
        assert f"\n{phase} " in out
    before = out.partition("Before that:")[2]
    assert before.count("ran on worker 1, started for it") == 2
    assert "(server 1 of 2)" in before
    assert max(map(len, out.splitlines())) <= words.WIDTH


def test_a_reused_worker_has_what_it_served_before(
    files: tuple[Path, Path], explain: Explain
) -> None:
    out = explain(files[0], "@//:b")
    assert "ran on worker 1, reused" in out
    assert "it served:  //:a before" in out


def test_a_one_shot_action_has_its_reason_and_remedy(
    files: tuple[Path, Path], explain: Explain
) -> None:
    out = explain(files[0], "//:plain")
    assert "ran one-shot" in out
    assert "why:        persistentWorkerKey is not set" in out
    assert "exec_properties" in out
    assert "exit code 3" in explain(files[0], "//:bad")


def test_a_worker_has_its_start_its_actions_and_its_end(
    files: tuple[Path, Path], explain: Explain
) -> None:
    out = explain(files[0], "worker:1")
    assert "worker 1, process " in out
    assert "2 requests, retired: server stopped" in out
    assert "started:    the first worker" in out
    assert "served:     //:a, //:b" in out
    assert "tool input: tools/good.py" in out
    assert "then came:  worker 2: its key differs" in out
    assert "MiB at most" in out


def test_a_digest_is_enough(files: tuple[Path, Path], explain: Explain) -> None:
    found = json.loads(in_json(files[0], "//:b"))
    action = found["stories"][-1]["action"]
    for subject in (action, action.partition("/")[0], action[:8]):
        assert "Upper //:b (" in explain(files[0], subject)


def test_without_a_subject_each_server_has_its_summary(
    files: tuple[Path, Path], explain: Explain
) -> None:
    out = explain(files[0])
    assert "server 1 of 2" in out
    assert "2 actions: 1 on workers (0 reused, 0%), 1 one-shot" in out
    assert "4 actions: 3 on workers (1 reused, 33%), 1 one-shot" in out
    first, second = json.loads(in_json(files[0]))["runs"]
    assert (first["on_worker"], second["reused"]) == (1, 1)
    assert second["mnemonics"][0]["mnemonic"] == "Upper"


def test_json_has_the_whole_story(files: tuple[Path, Path]) -> None:
    stories = json.loads(in_json(files[0], "//:a"))["stories"]
    assert [each["worker"] for each in stories] == [1, 1, 2]
    last = stories[-1]
    assert last["worker_start"]["reason"] == "other key"
    assert any("LANG" in each for each in last["worker_start"]["differences"])
    assert set(last["phases"]) == {"queued", "staged", "executed", "collected", "replied"}
    (worker,) = json.loads(in_json(files[0], "worker:2"))["stories"]
    assert worker["served"][0]["target"] == "//:a"
    assert worker["pid"] > 0


def test_a_recording_says_what_it_has(files: tuple[Path, Path], explain: Explain) -> None:
    out = explain(files[1])
    assert "3 actions: 3 on workers" in out
    assert "2 workers started" in out
    assert "LANG" in out
    assert "0.000" not in out
    out = explain(files[1], "//:a")
    assert "LANG" in out
    assert "process" not in explain(files[1], "worker:1")


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("//:aa", "did you mean '//:a'"),
        ("worker:9", "worker:9"),
        ("ffff", "it has //:a, //:plain"),
    ],
)
def test_an_unknown_subject_is_wrong_use(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], subject: str, text: str
) -> None:
    assert main(["explain", str(files[0]), subject]) == 2
    assert text in capsys.readouterr().err


def test_broken_lines_are_named_and_the_rest_is_explained(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    size = files[0].stat().st_size
    with files[0].open("a") as file:
        file.write('{"seq": 99, "ti')
    assert main(["explain", str(files[0]), "//:b"]) == 0
    captured = capsys.readouterr()
    assert f"byte {size} " in captured.err
    assert "ran on worker 1, reused" in captured.out


@pytest.mark.parametrize("content", ["", "no events\n"])
def test_an_input_that_holds_no_events_is_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    assert main(["explain", str(path)]) == 2
    assert str(path) in capsys.readouterr().err
    assert main(["explain", str(tmp_path / "nothing")]) == 2


def test_an_empty_recording_says_why_it_is_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(record=str(tmp_path / "r")) as server:
        server.run(Action(arguments=["/bin/true"]))
    assert main(["explain", str(tmp_path / "r")]) == 2
    assert "nothing was recorded" in capsys.readouterr().err
    (tmp_path / "r" / "actions.jsonl").write_text('{"action": 1}\n')
    assert main(["explain", str(tmp_path / "r")]) == 2
    assert "actions.jsonl:1: not a recorded action" in capsys.readouterr().err
