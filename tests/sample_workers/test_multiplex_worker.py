"""The multiplex sample: overlapping requests, cancellation, and an orderly end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .encodings import Json, Proto, Response
from .workspace import Workspace, compiled, stage_python

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=[Proto, Json], ids=["proto", "json"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    staged = stage_python(tmp_path, "multiplex.py", request.param())
    for name in "abc":
        staged.write(f"src/{name}", f"text {name}\n")
    return staged


def action(name: str) -> tuple[str, ...]:
    return ("--in", f"src/{name}", "--out", f"out/{name}")


def test_a_short_request_overtakes_a_long_one(workspace: Workspace) -> None:
    with workspace.start() as worker:
        worker.send("--wait-for", "go", *action("a"), request_id=1)
        assert worker.ask(*action("b"), request_id=2) == Response(request_id=2)
        workspace.write("go", "")
        assert worker.receive() == Response(request_id=1)
    assert workspace.read("out/a") == compiled("TEXT A")
    assert workspace.read("out/b") == compiled("TEXT B")


def test_many_responses_at_once_arrive_whole(workspace: Workspace) -> None:
    ids = range(1, 21)
    with workspace.start() as worker:
        for id_ in ids:
            message = str(id_) * 40_000
            worker.send("--wait-for", "go", "--fail", message, "--out", "out/x", request_id=id_)
        workspace.write("go", "")
        responses = {response.request_id: response for response in (worker.receive() for _ in ids)}
    assert {id_: responses[id_].output for id_ in ids} == {
        id_: f"{str(id_) * 40_000}\n" for id_ in ids
    }


def test_overlapping_requests_in_sandboxes_do_not_meet(workspace: Workspace) -> None:
    for name in "ab":
        (workspace.root / name / "src").mkdir(parents=True)
        (workspace.root / name / "out").mkdir()
        workspace.write(f"{name}/src/a", f"of {name}\n")
    with workspace.start() as worker:
        worker.send("--wait-for", "go", *action("a"), request_id=1, sandbox_dir="a")
        worker.send("--wait-for", "go", *action("a"), request_id=2, sandbox_dir="b")
        workspace.write("b/go", "")
        assert worker.receive().request_id == 2
        workspace.write("a/go", "")
        assert worker.receive().request_id == 1
    assert workspace.read("a/out/a") == compiled("OF A")
    assert workspace.read("b/out/a") == compiled("OF B")


def test_a_cancelled_request_is_answered_once_and_writes_nothing(workspace: Workspace) -> None:
    with workspace.start() as worker:
        worker.send("--wait-for", "go", *action("a"), request_id=1)
        worker.send(cancel=True, request_id=1)
        assert worker.receive() == Response(request_id=1, was_cancelled=True)
        workspace.write("go", "")
        assert worker.ask(*action("b"), request_id=2) == Response(request_id=2)
        assert worker.finish() == 0
        assert worker.receive_bytes(1) == b""
    assert not (workspace.root / "out/a").exists()


def test_a_cancel_leaves_the_other_requests_alone(workspace: Workspace) -> None:
    with workspace.start() as worker:
        for id_, name in enumerate("abc", start=1):
            worker.send("--wait-for", "go", *action(name), request_id=id_)
        worker.send(cancel=True, request_id=2)
        assert worker.receive() == Response(request_id=2, was_cancelled=True)
        workspace.write("go", "")
        assert {worker.receive().request_id for _ in range(2)} == {1, 3}
    assert workspace.files() & {"out/a", "out/b", "out/c"} == {"out/a", "out/c"}


def test_an_id_may_be_used_again_after_its_answer(workspace: Workspace) -> None:
    with workspace.start() as worker:
        worker.send("--wait-for", "never", *action("a"), request_id=1)
        worker.send(cancel=True, request_id=1)
        assert worker.receive().was_cancelled
        assert worker.ask(*action("a"), request_id=1) == Response(request_id=1)


def test_the_end_of_stdin_ends_the_worker_although_requests_are_running(
    workspace: Workspace,
) -> None:
    with workspace.start() as worker:
        worker.send("--wait-for", "never", *action("a"), request_id=1)
        assert worker.finish() == 0
    assert not (workspace.root / "out/a").exists()
