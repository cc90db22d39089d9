"""Workers whose protocol no setting names: the one of two that is understood serves."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.client.action import Action
from rpw_fixture.errors import RpwError
from rpw_fixture.events.kinds import (
    ProtocolDetected,
    ProtocolViolation,
    RequestSent,
    WorkerNotReused,
    WorkerRetired,
    WorkerStarted,
)
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.server import Server
from rpw_fixture.testing.endpoint import Endpoint
from tests.waiting import PATIENCE, until

from .worker_actions import (
    CANCELLATION,
    MULTIPLEX,
    MUX,
    SANDBOX,
    Running,
    probe_action,
    run_all,
    seen,
)

#: A worker that speaks JSON only; ``on_garbage`` is what it does with a request that is none.
JSON_WORKER = """
import json, os, sys, threading, time
folder = {folder!r}

def answer(request):
    flags = dict(each.split("=", 1) for each in request["arguments"])
    base = request.get("sandboxDir", "")
    os.makedirs(os.path.join(base, "out"), exist_ok=True)
    with open(os.path.join(base, flags["out"]), "w") as file:
        file.write(f"{{os.getpid()}} " + open(os.path.join(base, flags["in"])).read())
    said = {{"exitCode": 0, "output": "spoke JSON", "requestId": request.get("requestId", 0)}}
    sys.stdout.write(json.dumps(said) + chr(10))
    sys.stdout.flush()

for line in sys.stdin.buffer:
    try:
        request = json.loads(line)
    except ValueError:
        open(os.path.join(folder, f"garbage-{{os.getpid()}}"), "w").close()
        {on_garbage}
    answer(request)
"""
ON_GARBAGE = {
    "ends": "sys.exit(1)",
    "is silent": "time.sleep(1000)",
    "reads on": "sys.stdin.buffer.read(); time.sleep(1000)",
    "says so in JSON": 'print(\'{"exitCode": 1, "output": "no JSON"}\', flush=True); continue',
    "prints text": "print('cannot parse this request', flush=True); continue",
    "writes the output and is silent": (
        "os.makedirs('out', exist_ok=True); open('out/one', 'w').write('wrong'); time.sleep(1000)"
    ),
}
#: Speaks proto, and waits before its first response for a file.
SLOW_PROTO = """
import os, sys, time
sys.dont_write_bytecode = True
import good, rpw_worker
from rpw_worker import ProtoCodec

def handle(request):
    while not os.path.exists({gate!r}):
        time.sleep(0.01)
    return good.compile_files(request)

sys.exit(rpw_worker.main(handle))
"""


def json_action(folder: Path, name: str = "one", garbage: str = "ends", **others: Any) -> Action:
    script = JSON_WORKER.format(folder=str(folder), on_garbage=ON_GARBAGE[garbage])
    given: dict[str, Any] = {
        "arguments": [sys.executable, "tools/json_worker.py"],
        "tool_inputs": {"tools/json_worker.py": script},
        "flagfile": [f"in=src/{name}", f"out=out/{name}"],
        "flagfile_path": f"{name}.params",
        "inputs": {f"src/{name}": f"text of {name}"},
        "outputs": [f"out/{name}"],
        "worker_key": "json",
        "do_not_cache": True,
        **others,
    }
    return Action(**given)


def slow_action(gate: Path, name: str = "one", **others: Any) -> Action:
    samples = Path(__file__).resolve().parents[2] / "sample_workers" / "python"
    tools = {f"tools/{each}": samples / each for each in ("good.py", "rpw_worker.py")}
    return Action(
        arguments=[sys.executable, "tools/slow.py"],
        tool_inputs={**tools, "tools/slow.py": SLOW_PROTO.format(gate=str(gate))},
        flagfile=["--in", f"src/{name}", "--out", f"out/{name}"],
        flagfile_path=f"{name}.params",
        inputs={f"src/{name}": f"text of {name}"},
        outputs=[f"out/{name}"],
        worker_key="slow",
        do_not_cache=True,
        **others,
    )


@pytest.fixture
def quick(make_rpw_server: MakeServer) -> Endpoint:
    """A server that soon asks a second worker."""
    return make_rpw_server(protocol_patience=0.1)


def keys_of(server: Endpoint) -> dict[int, str]:
    """The protocol of each worker that was started."""
    return {
        each.worker: str(dict(each.key_components)["protocol"])
        for each in server.events.of(WorkerStarted)
    }


@pytest.mark.parametrize("garbage", ON_GARBAGE)
def test_a_json_worker_is_served_by_a_second_process(
    quick: Endpoint, tmp_path: Path, garbage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        first = quick.run(json_action(tmp_path, "one", garbage, mnemonic="Upper"))
    second = quick.run(json_action(tmp_path, "two", garbage, mnemonic="Upper"))

    assert first.outputs["out/one"].endswith(b"text of one")
    assert first.stderr == b"spoke JSON"
    assert (first.worker, first.reused) == (2, False)
    assert (second.worker, second.reused) == (2, True)
    assert keys_of(quick) == {1: "proto", 2: "json"}
    assert not quick.events.of(ProtocolViolation)
    assert not quick.events.of(WorkerNotReused)
    (warning,) = caplog.messages
    assert "persistentWorkerProtocol=json" in warning
    assert "--default-protocol Upper=json" in warning
    assert "Other servers" in warning
    quick.assert_worker_reused(first, second)


def test_what_was_found_out_is_an_event_and_reaches_the_records(
    quick: Endpoint, tmp_path: Path
) -> None:
    outcome = quick.run(json_action(tmp_path))
    quick.run(json_action(tmp_path, "two"))

    (detected,) = quick.events.of(ProtocolDetected)
    started = quick.events.of(WorkerStarted)[1]
    assert (detected.protocol, detected.worker) == ("json", 2)
    assert "worker 1 was asked in proto and did not answer" in detected.detail
    assert detected.key == started.key
    assert {each.key for each in quick.actions} == {started.key}
    assert quick.actions.of(str(outcome.digest)).only().worker == 2
    assert quick.events.wait_for(lambda _: bool(quick.events.of(WorkerRetired)), PATIENCE)
    (retired,) = quick.events.of(WorkerRetired)
    assert (retired.worker, retired.reason) == (1, "asked in the wrong protocol")


def test_a_slow_worker_that_speaks_proto_is_kept_and_answers(
    quick: Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = tmp_path / "gate"
    running = Running(quick, slow_action(gate))
    assert quick.events.wait_for(lambda _: len(quick.events.of(RequestSent)) == 2, PATIENCE)
    gate.touch()
    first = running.result()
    second = quick.run(slow_action(gate, "two"))

    assert first.outputs["out/one"].startswith(b"TEXT OF ONE")
    assert (first.worker, second.worker, second.reused) == (1, 1, True)
    assert keys_of(quick) == {1: "proto", 2: "json"}
    assert not caplog.messages
    assert quick.events.of(ProtocolDetected)[0].protocol == "proto"


def test_a_worker_that_answers_in_proto_costs_no_second_process(rpw_server: Endpoint) -> None:
    outcome = rpw_server.run(probe_action())

    assert outcome.worker == 1
    assert len(rpw_server.events.of(WorkerStarted)) == 1
    assert not rpw_server.events.of(ProtocolDetected)


@pytest.mark.parametrize("garbage", ["ends", "is silent"])
@pytest.mark.parametrize("limits", [{}, {"max_workers": 1}, {"max_workers_per_key": 1}])
def test_first_requests_at_the_same_time_share_the_answer(
    make_rpw_server: MakeServer, tmp_path: Path, garbage: str, limits: dict[str, int]
) -> None:
    server = make_rpw_server(protocol_patience=0.1, jobs=4, **limits)
    outcomes = run_all(server, [json_action(tmp_path, name, garbage) for name in "abcd"])

    for name, outcome in zip("abcd", outcomes, strict=True):
        assert outcome.ok, outcome.message
        assert outcome.outputs[f"out/{name}"].endswith(f"text of {name}".encode())
        assert keys_of(server)[outcome.worker or 0] == "json"
    spoken = list(keys_of(server).values())
    assert spoken.count("proto") <= (1 if limits else 4)
    assert not server.events.of(ProtocolViolation)
    assert {each.key for each in server.actions} == {
        each.key
        for each in server.events.of(WorkerStarted)
        if each.worker in {outcome.worker for outcome in outcomes}
    }


def test_slow_first_requests_ask_one_second_process_together(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(protocol_patience=0.1, jobs=3)
    gate = tmp_path / "gate"
    running = [Running(server, slow_action(gate, name)) for name in "abc"]
    assert server.events.wait_for(lambda _: len(server.events.of(RequestSent)) >= 4, PATIENCE)
    gate.touch()

    assert {each.result().outputs[f"out/{name}"] for each, name in zip(running, "abc", strict=True)}
    assert all(keys_of(server)[each.result().worker or 0] == "proto" for each in running)


@pytest.mark.parametrize("platform", [MULTIPLEX, SANDBOX])
@pytest.mark.parametrize("garbage", ["ends", "is silent"])
def test_a_multiplex_worker_that_speaks_json(
    make_rpw_server: MakeServer, tmp_path: Path, garbage: str, platform: dict[str, str]
) -> None:
    server = make_rpw_server(protocol_patience=0.1, jobs=4)
    outcomes = run_all(
        server, [json_action(tmp_path, name, garbage, platform=platform) for name in "abcd"]
    )

    for name, outcome in zip("abcd", outcomes, strict=True):
        assert outcome.ok, outcome.message
        assert outcome.outputs[f"out/{name}"].endswith(f"text of {name}".encode())
    assert len({outcome.worker for outcome in outcomes}) == 1


def test_a_multiplex_worker_that_speaks_proto(rpw_server: Endpoint) -> None:
    outcomes = run_all(
        rpw_server, [probe_action(platform=MULTIPLEX, salt=bytes([i]), **MUX) for i in range(4)]
    )

    assert {outcome.worker for outcome in outcomes} == {1}
    assert not rpw_server.events.of(ProtocolDetected)


@pytest.mark.parametrize("platform", [{}, CANCELLATION, MULTIPLEX])
def test_cancelling_ends_both_workers(
    quick: Endpoint, tmp_path: Path, platform: dict[str, str]
) -> None:
    running = Running(quick, slow_action(tmp_path / "never", platform=platform))
    assert quick.events.wait_for(lambda _: len(quick.events.of(RequestSent)) == 2, PATIENCE)
    running.cancel()

    assert running.result().status == "CANCELLED"
    assert quick.events.wait_for(lambda _: len(quick.events.of(WorkerRetired)) == 2, PATIENCE)
    assert not quick.workers.alive()


def test_a_server_that_stops_ends_both_workers(tmp_path: Path) -> None:
    with Server(protocol_patience=0.1, shutdown_grace=0.0) as server:
        running = Running(server, slow_action(tmp_path / "never"))
        assert server.events.wait_for(lambda _: len(server.events.of(RequestSent)) == 2, PATIENCE)
    with pytest.raises(RpwError):
        running.result()
    assert not server.workers.alive()


def test_both_silent_until_the_timeout(quick: Endpoint, tmp_path: Path) -> None:
    outcome = quick.run(slow_action(tmp_path / "never", timeout=1.0), check=False)

    assert outcome.status == "DEADLINE_EXCEEDED"
    assert "the action does not say persistentWorkerProtocol" in outcome.message
    assert quick.events.wait_for(lambda _: len(quick.events.of(WorkerRetired)) == 2, PATIENCE)


def test_a_worker_that_fails_in_both_fails_as_it_did_first(
    rpw_server: Endpoint,
) -> None:
    broken = probe_action(
        tool_inputs={"tools/probe.py": "import sys; sys.stdin.read(3); sys.exit(7)"}
    )
    outcome = rpw_server.run(broken, check=False)

    assert outcome.status == "FAILED_PRECONDITION"
    assert "persistent worker 1: crash" in outcome.message
    assert "sent to a second process as json as well: persistent worker 2: crash" in outcome.message
    reasons = {each.worker: each.reason for each in rpw_server.events.of(WorkerRetired)}
    assert reasons == {1: "crash", 2: "asked in the wrong protocol"}


def test_a_worker_that_never_reads_or_cannot_start_is_asked_once(
    rpw_server: Endpoint, tmp_path: Path
) -> None:
    ends_at_once = {"tools/probe.py": "import sys; sys.exit(7)"}
    rpw_server.run(probe_action(tool_inputs=ends_at_once), check=False)
    rpw_server.run(json_action(tmp_path, arguments=["tools/none"]), check=False)

    assert list(keys_of(rpw_server).values()) == ["proto"]


def test_after_an_edit_the_tool_is_first_asked_in_the_protocol_it_spoke(
    quick: Endpoint, tmp_path: Path
) -> None:
    quick.run(json_action(tmp_path))
    edited = {
        "tools/json_worker.py": "# edited\n"
        + JSON_WORKER.format(folder=str(tmp_path), on_garbage=ON_GARBAGE["is silent"])
    }
    outcome = quick.run(json_action(tmp_path, tool_inputs=edited))

    assert outcome.worker == 3
    assert keys_of(quick)[3] == "json"
    assert len(quick.events.of(WorkerStarted)) == 3


def test_a_reset_forgets_the_answers(quick: Endpoint, tmp_path: Path) -> None:
    quick.run(json_action(tmp_path))
    quick.reset()
    quick.run(json_action(tmp_path))

    assert list(keys_of(quick).values()) == ["proto", "json"]


def test_an_answer_of_declared_actions_holds_for_the_others(rpw_server: Endpoint) -> None:
    declared = rpw_server.run(probe_action(protocol="proto"))
    silent = rpw_server.run(probe_action())

    assert (silent.worker, silent.reused) == (declared.worker, True)


@pytest.mark.parametrize(
    ("settings", "mnemonic", "expected"),
    [
        (["json"], "A", "json"),
        (["proto", "A=json"], "A", "json"),
        (["proto", "A=json"], "B", "proto"),
        (["A=json"], "B", "proto"),
        (["json", "B=proto"], "B", "proto"),
    ],
)
def test_the_operator_says_it_for_all_or_for_a_mnemonic(
    make_rpw_server: MakeServer, settings: list[str], mnemonic: str, expected: str
) -> None:
    server = make_rpw_server(default_protocol=settings)
    outcome = server.run(probe_action(mnemonic=mnemonic))

    assert seen(outcome)["served"] == 1
    assert keys_of(server) == {1: expected}


def test_without_auto_no_second_worker_is_asked(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(default_protocol="proto", protocol_patience=0.0)
    outcome = server.run(json_action(tmp_path, garbage="says so in JSON"), check=False)

    assert outcome.status == "FAILED_PRECONDITION"
    assert "set persistentWorkerProtocol=json" in outcome.message
    assert len(server.events.of(WorkerStarted)) == 1


@pytest.mark.parametrize("name", ["buildfarm", "buildbarn-255"])
def test_personalities_that_speak_proto_only_ask_no_second_worker(
    make_rpw_server: MakeServer, tmp_path: Path, name: str
) -> None:
    server = make_rpw_server(personality=name, protocol_patience=0.0)
    server.run(json_action(tmp_path), check=False)

    assert len(server.events.of(WorkerStarted)) == 1


@pytest.mark.parametrize("name", ["engflow", "buildbuddy", "buildbarn", "buildbarn-adr13"])
def test_personalities_that_know_json_find_it_out(
    make_rpw_server: MakeServer, tmp_path: Path, name: str
) -> None:
    server = make_rpw_server(personality=name)
    first = server.run(json_action(tmp_path))
    second = server.run(json_action(tmp_path, "two"))

    assert second.reused
    assert second.worker == first.worker


def test_outputs_of_the_worker_that_lost_are_dropped(quick: Endpoint, tmp_path: Path) -> None:
    outcome = quick.run(json_action(tmp_path, "one", "writes the output and is silent"))

    until(lambda: list(tmp_path.glob("garbage-*")))
    assert outcome.outputs["out/one"].endswith(b"text of one")
