"""Workers that break every rule, over the wire: never a success, never a hang, nothing left.

Each one is hostile in its first life only. So the next action shows that it gets a fresh worker, with
the same key, and is served.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.client.action import Action
from rpw_fixture.events.kinds import (
    ActionCompleted,
    ProtocolViolation,
    WorkerRetired,
    WorkerStarted,
)
from rpw_fixture.server import Server
from rpw_fixture.wire.digests import Digest
from tests.waiting import until

from .hostile_workers import (
    SAMPLES,
    TIMEOUT,
    action,
    assert_gone,
    assert_gone_of,
    first_pid,
    is_alive,
    status_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A misdeed and what is reported of it.

    Attributes:
        script: what the worker does in its first life.
        rule: how the events call it.
        words: what the message says besides.
        status: of the response.
        is_violation: it breaks the protocol; a crash or a timeout does not.
        protocol: the property persistentWorkerProtocol.
        last_words: the end of its stderr.
    """

    script: str
    rule: str
    words: str = ""
    status: str = "FAILED_PRECONDITION"
    is_violation: bool = True
    protocol: str = "proto"
    last_words: str = "last words"


def crash(script: str, words: str) -> Case:
    return Case(script=script, rule="crash", words=words, is_violation=False)


def timeout(script: str, **others: Any) -> Case:
    return Case(
        script=script,
        rule="timeout",
        words="within the action's timeout",
        status="DEADLINE_EXCEEDED",
        is_violation=False,
        **others,
    )


CASES = {
    "text at start": Case(
        script="send(b'Welcome!\\n')", rule="text on stdout", words="'Welcome!\\n"
    ),
    "text instead of a response": Case(
        script="request(); send(b'it is done\\n'); hang()",
        rule="text on stdout",
        words="it is done",
    ),
    "text instead of JSON": Case(
        script="send(b'it is done\\n'); hang()",
        rule="text on stdout",
        words="it is done",
        protocol="json",
    ),
    "garbage": Case(
        script="request(); send(b'\\x03\\xff\\xff\\xff'); hang()", rule="malformed response"
    ),
    "garbage JSON": Case(
        script="send(b'{nope}\\n'); hang()", rule="malformed response", protocol="json"
    ),
    "JSON of another kind": Case(script="send(b'[1, 2]\\n'); hang()", rule="", protocol="json"),
    "ends with status 0": crash("request(); os._exit(0)", "exit status 0"),
    "ends with status 3": crash("request(); os._exit(3)", "exit status 3"),
    "ends by a signal": crash("request(); os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    "half a frame, then ends": Case(
        script="request(); send(b'\\x20\\x08\\x00\\x12'); os._exit(0)",
        rule="truncated frame",
        words="exit status 0",
    ),
    "half a frame, then hangs": timeout("request(); send(b'\\x20\\x08\\x00\\x12'); hang()"),
    "half a length, then hangs": timeout("request(); send(b'\\xff'); hang()"),
    "half of JSON, then hangs": timeout("send(b'{\"exitCode\": '); hang()", protocol="json"),
    "drips bytes for ever": timeout(
        "request(); send(b'\\xff\\xff\\x03\\x12\\xfa\\xff\\x03')\nwhile True: send(b'x'); time.sleep(0.001)"
    ),
    "a huge length": Case(
        script="request(); send(encode_varint(1 << 40) + b'\\x12'); hang()", rule="oversized frame"
    ),
    "an endless length": Case(script="request(); send(b'\\xff' * 20); hang()", rule=""),
    "endless zeros": Case(script="request()\nwhile True: send(bytes(65536))", rule=""),
    "another request's id": Case(
        script="request(); answer(request_id=41); hang()", rule="wrong request_id", words="41"
    ),
    "two responses": Case(
        script="request(); one = ProtoCodec().encode(WorkResponse()); send(one + one); hang()",
        rule="unexpected response",
    ),
    "a response before any request": Case(
        script="answer('ready', request_id=7); hang()", rule="", words="7"
    ),
    "was_cancelled without a cancel": Case(
        script="request(); answer(was_cancelled=True); hang()", rule="unexpected was_cancelled"
    ),
    "closes stdin": timeout("os.close(0); hang()"),
    "closes stdout": crash("request(); os.close(1); hang()", "closed its stdout"),
    "closes everything": crash("request(); [os.close(fd) for fd in (0, 1, 2)]; hang()", "closed"),
    "never reads": timeout("hang()"),
    "never answers": timeout("request(); hang()"),
    "endless stderr": timeout(
        "request()\nwhile True: os.write(2, b'e' * 65536)", last_words="eeee"
    ),
    "ignores SIGTERM": timeout("signal.signal(signal.SIGTERM, signal.SIG_IGN); request(); hang()"),
    "stops itself": timeout("request(); os.kill(os.getpid(), signal.SIGSTOP); hang()"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_misdeed_is_reported_and_the_next_action_is_served(
    server: Server, tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    limit = TIMEOUT if case.rule == "timeout" else 20.0
    began = time.monotonic()
    outcome = server.run(
        action(tmp_path, case.script, limit=limit, protocol=case.protocol), check=False
    )
    assert outcome.status == case.status, outcome.message
    assert case.rule in outcome.message
    assert case.words in outcome.message
    assert case.last_words in outcome.message
    assert case.last_words.encode() in outcome.logs["worker-stderr"]
    assert not outcome.outputs
    assert time.monotonic() - began < 15
    hostile = (tmp_path / "pids").read_text().split()[0]
    assert_gone(tmp_path)

    violations = server.events.of(ProtocolViolation)
    assert bool(violations) == case.is_violation
    (retired,) = server.events.of(WorkerRetired)
    (started,) = server.events.of(WorkerStarted)
    assert str(started.pid) == hostile
    assert retired.worker == started.worker
    assert case.rule in retired.reason
    assert case.last_words in retired.stderr_tail
    assert retired.requests == 1
    if violations:
        assert violations[0].worker == started.worker
        assert violations[0].rule in retired.reason

    again = server.run(action(tmp_path, case.script, "two", protocol=case.protocol))
    assert again.exit_code == 0
    assert again.outputs["out/two.txt"].startswith(b"CONTENT OF TWO")
    assert again.worker != started.worker
    assert again.reused is False


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.protocol == "proto"])
def test_a_misdeed_of_a_worker_whose_protocol_is_unknown_has_the_same_end(
    server: Server, tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    limit = TIMEOUT if case.rule == "timeout" else 20.0
    outcome = server.run(action(tmp_path, case.script, limit=limit), check=False)

    assert outcome.status == case.status, outcome.message
    assert case.rule in outcome.message
    assert case.words in outcome.message
    assert not outcome.outputs
    violations = server.events.of(ProtocolViolation)
    assert {each.worker for each in violations} == ({1} if case.is_violation else set())
    assert outcome.worker == 1
    assert_gone(tmp_path)

    again = server.run(action(tmp_path, case.script, "two"))
    assert again.outputs["out/two.txt"].startswith(b"CONTENT OF TWO")


def test_the_status_of_a_failed_worker_has_no_details_that_make_clients_retry(
    server: Server, tmp_path: Path
) -> None:
    wanted = action(tmp_path, CASES["ends with status 3"].script)
    server.run(wanted, check=False)
    (tmp_path / "was-here").unlink()
    status, result = status_of(server, wanted)
    assert status.code == 9
    assert not status.details
    assert not result.output_files


def test_the_text_of_a_failure_is_the_actions_stderr_where_bazel_prints_it(
    server: Server, tmp_path: Path
) -> None:
    failing = action(tmp_path, CASES["ends with status 3"].script, protocol="proto")
    server.run(failing, check=False)
    (tmp_path / "was-here").unlink()
    status, result = status_of(server, failing)

    text = result.stderr_raw.decode()
    assert status.message in text
    assert "exit status 3" in text
    assert "last words" in text
    digest = Digest(result.stderr_digest.hash, result.stderr_digest.size_bytes)
    assert server.client.download([digest])[digest] == result.stderr_raw


@pytest.mark.parametrize(
    "sample", [("noisy.py",), ("crashing.py",), ("crashing.py", "--half-frame")]
)
def test_the_broken_samples_fail_every_action_and_harm_no_other_worker(
    server: Server, sample: tuple[str, ...]
) -> None:
    def for_sample(script: str, *startup: str, name: str) -> Action:
        files = {f"tools/{each}": SAMPLES / each for each in {script, "good.py", "rpw_worker.py"}}
        return Action(
            arguments=[sys.executable, f"tools/{script}", *startup],
            flagfile=["--in", "in.txt", "--out", f"{name}.txt"],
            inputs={"in.txt": "text"},
            tool_inputs=files,
            outputs=[f"{name}.txt"],
            worker_key="sample",
            protocol="proto",
        )

    good = server.run(for_sample("good.py", name="a"))
    for name in ("b", "c"):
        bad = server.run(for_sample(*sample, name=name), check=False)
        assert bad.status == "FAILED_PRECONDITION"
    again = server.run(for_sample("good.py", name="d"))
    assert again.worker == good.worker
    assert again.reused
    retired = {event.worker for event in server.events.of(WorkerRetired)}
    assert len(retired) == 2
    assert good.worker not in retired


def test_text_between_responses_fails_the_request_it_precedes(
    server: Server, tmp_path: Path
) -> None:
    script = "request(); answer(); request(); send(b'warning\\n'); answer(); hang()"
    first = server.run(action(tmp_path, script, "one"))
    assert first.exit_code == 0
    second = server.run(action(tmp_path, script, "two"), check=False)
    assert second.status == "FAILED_PRECONDITION"
    assert "'warning\\n" in second.message
    (retired,) = server.events.of(WorkerRetired)
    assert retired.worker == first.worker
    assert retired.requests == 2
    third = server.run(action(tmp_path, script, "three"))
    assert third.outputs["out/three.txt"]
    assert third.worker != first.worker


@pytest.mark.parametrize("misdeed", ["send(b'unasked\\n')", "answer()", "os._exit(5)"])
def test_what_a_worker_does_between_requests_costs_no_action(
    server: Server, tmp_path: Path, misdeed: str
) -> None:
    """The test waits until the worker has done it before it sends the next action."""
    done = tmp_path / "done"
    mark = f"os.close(os.open({str(done)!r}, os.O_CREAT))"
    script = f"request(); answer(); time.sleep(0.05); {misdeed}; {mark}; hang()"
    first = server.run(action(tmp_path, script, "one"))
    until(done.exists if "os._exit" not in misdeed else lambda: not is_alive(first_pid(tmp_path)))
    second = server.run(action(tmp_path, script, "two"))
    assert second.exit_code == 0
    assert second.worker != first.worker or "os._exit" not in misdeed
    assert_gone_of(server, first.worker)


def test_a_failed_request_is_completed_in_the_records(server: Server, tmp_path: Path) -> None:
    server.run(action(tmp_path, CASES["ends with status 3"].script, protocol="proto"), check=False)
    (completed,) = server.events.of(ActionCompleted)
    assert completed.status == "FAILED_PRECONDITION"
    assert "exit status 3" in completed.message
    assert completed.exit_code is None
    (started,) = server.events.of(WorkerStarted)
    assert (completed.worker, completed.reused) == (started.worker, False)
