"""The story of one action or one worker, from events alone: whole texts, and objects for JSON."""

from __future__ import annotations

import json

import pytest

from rpw_fixture.summary.explanation import brief, stories, subjects, text
from rpw_fixture.summary.model import RunSummary, summarize
from tests.testing.event_script import KEY, EventScript, hashed, tools, with_changes

NO_KEY = "persistentWorkerKey is not set"


@pytest.fixture(scope="module")
def run() -> RunSummary:
    """One worker served three actions and crashed, one wrote text; one action ran without."""
    script = EventScript()
    for name in ("a", "b", "a"):
        script.on_worker(name, 1)
    script.retired(
        1, "crash", exit_status=-9, stderr_tail="oops\n", peak_bytes=7 << 20, seconds=2.5
    )
    script.started(2)
    action = script.routed("c")
    script.sent(action, 2)
    script.violated(2, "text on stdout", "b'hi'", action)
    script.completed(action, worker=2, reused=False)
    script.one_shot("o", NO_KEY)
    script.started(3, mnemonic="Other")
    return summarize(script.endpoint.events.snapshot())


def told(run: RunSummary, subject: str, number: int = 0) -> list[str]:
    return text(stories(run, subject)[number])


def test_targets_and_workers_can_be_asked_for(run: RunSummary) -> None:
    named = [f"//pkg:{name}" for name in "abco"]
    assert subjects(run) == [*named, "worker:1", "worker:2", "worker:3"]


def test_a_first_action_has_its_start_and_a_later_one_what_was_before(run: RunSummary) -> None:
    assert told(run, "//pkg:a") == [
        "Compile //pkg:a (ca978112ca1b…) ran on worker 1, started for it",
        "",
        "why:        persistentWorkerKey, 2 tool inputs and a flagfile are there",
        "new worker: the first worker",
        "it served:  nothing before",
        "seconds:    0.500",
    ]
    assert told(run, "//pkg:a", 1)[3:] == [
        "it served:  //pkg:a, //pkg:b before",
        "last time:  ran on worker 1, started for it, the same",
        "seconds:    0.500",
    ]
    assert told(run, "//pkg:c")[3:] == [
        "new worker: worker 1 with the same key had ended: crash",
        "it served:  nothing before",
        "violation:  text on stdout: b'hi'",
        "seconds:    0.500",
    ]
    assert [brief(each) for each in stories(run, "//pkg:b")] == [
        "Compile //pkg:b (3e23e816…) ran on worker 1, reused"
    ]


def test_an_action_without_a_worker_has_a_remedy(run: RunSummary) -> None:
    lines = told(run, "//pkg:o")
    assert lines[2] == f"why:        {NO_KEY}"
    assert lines[3].startswith("            Fix: Bazel from 6 on")
    assert not any("served" in each or "new worker" in each for each in lines)


def test_an_action_is_found_by_the_beginning_of_its_digest(run: RunSummary) -> None:
    digest = hashed("a")
    for subject in (digest[:4], digest[:12], f"{digest}/150"):
        assert len(stories(run, subject)) == 2
    for subject in (digest[:3], "ffff", "//pkg:z", "worker:9", "worker:x", f"{digest}/151"):
        assert stories(run, subject) == []


def test_a_worker_has_its_actions_its_end_and_the_next_one_of_its_kind(run: RunSummary) -> None:
    assert told(run, "worker:1") == [
        "worker 1, process 101: 3 requests, retired: crash",
        "",
        "started:    the first worker",
        "command:    python tool.py --persistent_worker",
        "tool input: lib.py, tool.py",
        "served:     //pkg:a, //pkg:b, //pkg:a",
        "memory:     7 MiB at most, 2.5 s old",
        "then came:  worker 2: worker 1 with the same key had ended: crash",
        "  end of its stderr:",
        "    oops",
    ]
    assert told(run, "worker:2") == [
        "worker 2, process 102: 1 request, alive at the end of the log",
        "",
        "started:    worker 1 with the same key had ended: crash",
        "command:    python tool.py --persistent_worker",
        "tool input: lib.py, tool.py",
        "served:     //pkg:c",
        "  text on stdout: b'hi'",
    ]
    assert told(run, "worker:3")[-1] == "served:     nothing"
    assert brief(stories(run, "worker:2")[0]) == "worker 2 served 1 request"


def test_an_action_is_an_object_for_json(run: RunSummary) -> None:
    first, later = (each.as_dict() for each in stories(run, "//pkg:a"))
    assert json.loads(json.dumps(first)) == {
        "action": f"{hashed('a')}/150",
        "mnemonic": "Compile",
        "target": "//pkg:a",
        "mode": "worker",
        "reason": "persistentWorkerKey, 2 tool inputs and a flagfile are there",
        "remedy": "",
        "worker": 1,
        "reused": False,
        "worker_start": {
            "worker": 1,
            "reason": "first",
            "text": "the first worker",
            "other_worker": None,
            "differences": [],
            "action": f"{hashed('a')}/150",
            "mnemonic": "Compile",
            "target": "//pkg:a",
            "remedy": "",
        },
        "served_before": [],
        "earlier": None,
        "exit_code": 0,
        "status": "OK",
        "message": "",
        "violations": [],
        "seconds": 0.5,
        "phases": {},
    }
    assert later["served_before"] == ["//pkg:a", "//pkg:b"]
    assert later["earlier"] == {
        "action": f"{hashed('a')}/150",
        "mnemonic": "Compile",
        "target": "//pkg:a",
        "mode": "worker",
        "worker": 1,
        "reused": False,
        "seconds": 0.5,
    }
    assert (later["reused"], later["worker_start"]) == (True, None)
    (spoilt,) = (each.as_dict() for each in stories(run, "//pkg:c"))
    assert spoilt["violations"] == ["text on stdout: b'hi'"]


def test_a_worker_is_an_object_for_json(run: RunSummary) -> None:
    first, second = (stories(run, f"worker:{number}")[0].as_dict() for number in (1, 2))
    assert json.loads(json.dumps(first))["tool_inputs"] == [
        {"path": path, "digest": f"{hashed(path)}/9"} for path in ("lib.py", "tool.py")
    ]
    following, start = first.pop("next"), first.pop("start")
    served, _ = first.pop("served"), first.pop("tool_inputs")
    assert first == {
        "worker": 1,
        "pid": 101,
        "key": KEY.digest,
        "startup_arguments": ["python", "tool.py", "--persistent_worker"],
        "retired": "crash",
        "exit_status": -9,
        "seconds": 2.5,
        "peak_bytes": 7 << 20,
        "violations": [],
        "stderr_tail": "oops\n",
    }
    assert isinstance(following, dict)
    assert isinstance(start, dict)
    assert isinstance(served, list)
    assert (following["worker"], start["reason"], len(served)) == (2, "first", 3)
    assert (second["next"], second["violations"]) == (None, ["text on stdout: b'hi'"])


def test_phases_are_drawn_one_after_the_other() -> None:
    script = EventScript()
    phases = {"queued": 0.25, "staged": 0.251, "executed": 0.75, "replied": 1.0}
    script.completed(script.routed("a"), phases=phases, seconds=1.0)
    lines = told(summarize(script.endpoint.events.snapshot()), "//pkg:a")
    assert lines[3:] == [
        "",
        f"queued         0.250 s  |{'#' * 10}{' ' * 30}|  waited for its turn and a worker",
        f"staged         0.001 s  |{' ' * 10}#{' ' * 29}|  inputs placed",
        f"executed       0.499 s  |{' ' * 10}{'#' * 20}{' ' * 10}|  request or command",
        f"collected      0.000 s  |{' ' * 40}|  outputs stored",
        f"replied        0.250 s  |{' ' * 30}{'#' * 10}|  reply",
    ]


def test_long_lists_are_cut() -> None:
    script = EventScript()
    script.on_worker("first", 1)
    many = {f"VARIABLE_{number}": "x" for number in range(7)}
    key = with_changes(KEY, environment=tuple(many.items()), tool_inputs=tools(*"abcdefg"))
    action = script.routed("other", key=key)
    script.refused(action, 1, KEY, key)
    script.started(2, key)
    script.sent(action, 2)
    script.completed(action, worker=2, reused=False)
    for number in range(7):
        script.completed(script.routed(f"x{number}", mode="cache"), worker=None)
    for number in range(6):
        late = script.routed(f"y{number}", key=key)
        script.sent(late, 2)
        script.completed(late, worker=2, reused=True)
    run = summarize(script.endpoint.events.snapshot())
    lines = told(run, "//pkg:other")
    assert lines[3] == "new worker: its key differs from that of worker 1, the closest:"
    shown = [each for each in lines if each.startswith("            - ")]
    assert len(shown) == 5
    assert any(each.startswith("            … and ") for each in lines)
    lines = told(run, "worker:2")
    assert "tool input: a, b, c, d, e, … (7 files)" in lines
    assert "served:     2 other actions, //pkg:y1, //pkg:y2, //pkg:y3, //pkg:y4, //pkg:y5" in lines
