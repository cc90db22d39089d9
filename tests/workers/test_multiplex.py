"""Multiplex workers over the wire: overlapping requests, sandboxes, and sharing one folder."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from rpw_fixture.events.kinds import (
    ActionRetried,
    ProtocolViolation,
    RequestSent,
    ResponseReceived,
    WorkerRetired,
    WorkerStarted,
)
from rpw_fixture.pytest_plugin import MakeServer

from .worker_actions import (
    MULTIPLEX,
    MUX,
    SANDBOX,
    Running,
    action,
    begun,
    compile_action,
    probe_action,
    run_all,
    seen,
    until,
)

BOTH = pytest.mark.parametrize("platform", [MULTIPLEX, SANDBOX], ids=["shared", "sandboxed"])


@BOTH
@pytest.mark.parametrize("protocol", ["proto", "json"])
def test_overlapping_actions_share_one_process_and_get_their_own_outputs(
    make_rpw_server: MakeServer, platform: dict[str, str], protocol: str
) -> None:
    server = make_rpw_server(jobs=16, max_multiplex=16)
    startup = [] if protocol == "proto" else ["--worker_protocol=json"]
    names = [f"n{number}" for number in range(24)]

    outcomes = run_all(
        server,
        (
            compile_action(
                each, script="multiplex.py", platform=platform, protocol=protocol, startup=startup
            )
            for each in names
        ),
    )

    for name, outcome in zip(names, outcomes, strict=True):
        assert outcome.outputs[f"out/{name}"].startswith(f"TEXT {name.upper()}\n".encode())
    assert len(server.events.of(WorkerStarted)) == 1
    ids = [each.request_id for each in server.events.of(RequestSent)]
    assert sorted(ids) == list(range(1, 25))
    assert sorted(each.request_id for each in server.events.of(ResponseReceived)) == sorted(ids)


@BOTH
def test_a_short_request_overtakes_a_long_one(
    make_rpw_server: MakeServer, tmp_path: Path, platform: dict[str, str]
) -> None:
    server = make_rpw_server()
    gate = tmp_path / "gate"
    long = Running(
        server,
        compile_action("a", "--wait-for", str(gate), script="multiplex.py", platform=platform),
    )
    long.wait_until_sent()

    assert server.run(compile_action("b", script="multiplex.py", platform=platform)).worker == 1
    gate.touch()
    assert long.result().ok


def test_the_java_worker_takes_overlapping_requests(make_rpw_server: MakeServer) -> None:
    from tests.sample_workers.requirements import require_program

    java = require_program("java")
    require_program("javac")
    folder = Path(__file__).resolve().parents[2] / "sample_workers" / "java"
    build = subprocess.run(
        ["python3", folder / "build.py"], capture_output=True, text=True, check=False
    )
    assert build.returncode == 0, build.stderr
    server = make_rpw_server(jobs=8)
    base = action(
        "good.py",
        platform=MULTIPLEX,
        tool_inputs={"javac_worker.jar": folder / "javac_worker.jar"},
        environment={"PATH": "/usr/bin:/bin"},
    ).with_arguments(
        java, "-XX:+UseSerialGC", "-XX:-UsePerfData", "-jar", "javac_worker.jar", "--multiplex"
    )

    outcomes = run_all(
        server,
        (
            base.replace(
                flagfile=("--output", f"{name}.jar", f"{name}.java"),
                flagfile_path=f"{name}.params",
                inputs={f"{name}.java": f"class {name} {{}}"},
                outputs=(f"{name}.jar",),
            )
            for name in ("A", "B", "C", "D", "E", "F")
        ),
    )

    assert all(each.ok and each.outputs for each in outcomes), outcomes[0]
    assert {each.worker_name for each in outcomes} == {"rpw_fixture/worker-1"}


def test_a_sandbox_lies_below_the_working_directory_and_is_private(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server()
    gate = tmp_path / "gate"
    running = [
        Running(
            server,
            probe_action(
                "--wait-for",
                str(gate),
                inputs={name: name},
                platform=SANDBOX,
                salt=name.encode(),
                **MUX,
            ),
        )
        for name in ("one", "two", "three")
    ]
    for each in running:
        each.wait_until_sent()
    gate.touch()
    views = [seen(each.result()) for each in running]

    folders = {each["sandbox_dir"] for each in views}
    assert len(folders) == 3
    assert not any(Path(each).is_absolute() for each in folders)
    for name, view in zip(("one", "two", "three"), views, strict=True):
        assert not {"one", "two", "three"}.difference({name}) & set(view["files"])
        assert name in view["files"]


def test_a_sandbox_is_clean_again_for_the_next_request(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server()
    first = seen(
        server.run(probe_action("--leave", "out/left", inputs={"a": "a"}, platform=SANDBOX, **MUX))
    )
    second = seen(server.run(probe_action(inputs={"b": "b"}, platform=SANDBOX, **MUX)))

    assert first["sandbox_dir"] == second["sandbox_dir"]
    assert first["pid"] == second["pid"]
    assert {"a", "out/left", "out/seen"}.isdisjoint(second["files"])
    assert "b" in second["files"]


def test_a_sandbox_follows_the_working_directory_of_the_action(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server()
    tools = {f"pkg/{path}": content for path, content in probe_action().tool_inputs.items()}
    view = seen(
        server.run(
            probe_action(
                inputs={"pkg/in": "x", "top": "y"},
                tool_inputs=tools,
                working_directory="pkg",
                platform=SANDBOX,
                **MUX,
            )
        )
    )

    assert view["cwd"].endswith("/pkg")
    assert view["sandbox_dir"].endswith("/pkg")
    assert "in" in view["files"]
    assert "top" not in view["files"]


def test_an_action_whose_inputs_contradict_those_at_work_waits_in_a_shared_root(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=8)
    gate = tmp_path / "gate"
    first = Running(
        server,
        compile_action("a", "--wait-for", str(gate), script="multiplex.py", platform=MULTIPLEX),
    )
    first.wait_until_sent()
    other = compile_action(
        "a", script="multiplex.py", platform=MULTIPLEX, inputs={"src/a": "other\n"}
    )
    second = Running(server, other)
    third = Running(server, compile_action("b", script="multiplex.py", platform=MULTIPLEX))

    assert third.result().ok, "one without a conflict does not wait"
    assert [each.operation for each in server.events.of(RequestSent)] == [
        first.operation,
        third.operation,
    ]
    gate.touch()
    assert first.result().outputs["out/a"].startswith(b"TEXT A\n")
    assert second.result().outputs["out/a"].startswith(b"OTHER\n")


def test_an_action_that_waits_in_a_shared_root_can_be_cancelled(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=8)
    gate = tmp_path / "gate"
    held = compile_action("a", "--wait-for", str(gate), script="multiplex.py", platform=MULTIPLEX)
    first = Running(server, held)
    first.wait_until_sent()
    second = Running(server, held.replace(inputs={"src/a": "other\n"}))
    second.cancel()

    assert second.result().status == "CANCELLED"
    gate.touch()
    assert first.result().ok
    assert server.run(compile_action("c", script="multiplex.py", platform=MULTIPLEX)).worker == 1


def test_an_output_of_one_action_that_is_an_input_of_another_keeps_them_apart(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=8)
    gate = tmp_path / "gate"
    reader = probe_action(
        "--wait-for", str(gate), inputs={"out/a": "as it was"}, platform=MULTIPLEX, **MUX
    )
    first = Running(server, reader)
    first.wait_until_sent()
    second = Running(server, probe_action(platform=MULTIPLEX, outputs=["out/a"], **MUX))
    gate.touch()
    assert first.result().ok
    assert second.result().ok
    sent = [each.operation for each in server.events.of(RequestSent)]
    answered = [each.operation for each in server.events.of(ResponseReceived)]
    assert sent == answered == [first.operation, second.operation]


@pytest.mark.parametrize(
    ("misdeed", "rule"),
    [("--id 41", "wrong request_id"), ("--was-cancelled", "unexpected was_cancelled")],
)
def test_a_violation_fails_every_open_request_with_its_cause(
    make_rpw_server: MakeServer, tmp_path: Path, misdeed: str, rule: str
) -> None:
    server = make_rpw_server(jobs=8)
    waiting = [begun(server, tmp_path, f"{n}", platform=SANDBOX, **MUX) for n in range(3)]
    guilty = server.run(probe_action(*misdeed.split(), platform=SANDBOX, **MUX), check=False)

    for outcome in [guilty, *(each.result() for each in waiting)]:
        assert outcome.status == "FAILED_PRECONDITION"
        assert f"persistent worker 1: {rule}" in outcome.message
    assert {each.rule for each in server.events.of(ProtocolViolation)} == {rule}
    assert [each.worker for each in server.events.of(WorkerRetired)] == [1]
    assert server.run(probe_action(platform=SANDBOX, **MUX)).worker == 2


def test_a_crash_fails_every_request_that_the_worker_has_read(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=8)
    waiting = [begun(server, tmp_path, f"{n}", platform=SANDBOX, **MUX) for n in range(3)]
    pid = seen(server.run(probe_action(platform=SANDBOX, **MUX)))["pid"]
    os.kill(pid, signal.SIGKILL)

    for each in waiting:
        outcome = each.result()
        assert outcome.status == "FAILED_PRECONDITION"
        assert "crash" in outcome.message
        assert "SIGKILL" in outcome.message
    assert server.events.of(ActionRetried) == []


def test_a_multiplex_worker_that_died_between_requests_costs_no_action(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server()
    for expected in (1, 2, 3):
        outcome = server.run(probe_action(platform=MULTIPLEX, **MUX))
        assert outcome.worker == expected
        os.kill(seen(outcome)["pid"], signal.SIGKILL)
    server.run(probe_action(platform=MULTIPLEX, **MUX))
    until(lambda: len(server.events.of(WorkerRetired)) == 3)
    assert {each.reason for each in server.events.of(WorkerRetired)} == {"ended between requests"}


def test_verbosity_reaches_the_worker(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(worker_verbosity=10)
    assert seen(server.run(probe_action()))["verbosity"] == 10
    assert seen(server.run(probe_action(platform=SANDBOX, **MUX)))["verbosity"] == 10
    quiet = make_rpw_server()
    assert seen(quiet.run(probe_action()))["verbosity"] == 0
