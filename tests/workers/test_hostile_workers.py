"""Workers that break every rule, over the wire: never a success, never a hang, nothing left.

Each one is hostile in its first life only. So the next action shows that it gets a fresh worker, with
the same key, and is served.
"""

from __future__ import annotations

import resource
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from rpw_fixture.action import Action
from rpw_fixture.events import (
    ActionCompleted,
    InputsChanged,
    ProtocolViolation,
    WorkerRetired,
    WorkerStarted,
)
from rpw_fixture.server import Server
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import remote_execution as re
from rpw_fixture.wire.protos import rpc

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers" / "python"
#: Seconds within which descendants of a dead worker must be gone.
PATIENCE = 3.0
#: Of requests to workers that never answer.
TIMEOUT = 1.0

PROLOGUE = """
import os, signal, subprocess, sys, threading, time
sys.dont_write_bytecode = True
import good, rpw_worker
from rpw_worker import ProtoCodec, WorkResponse, encode_varint

HERE = {here!r}

def send(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()

def request():
    return ProtoCodec().read(sys.stdin.buffer)

def answer(output="", **fields):
    send(ProtoCodec().encode(WorkResponse(output=output, **fields)))

def hang():
    while True:
        time.sleep(1000)

def note_pid(pid):
    with open(HERE + "/pids", "a") as file:
        file.write(str(pid) + chr(10))

note_pid(os.getpid())
print("last words", file=sys.stderr, flush=True)
try:
    os.close(os.open(HERE + "/was-here", os.O_CREAT | os.O_EXCL))
except FileExistsError:
    sys.exit(rpw_worker.main(good.compile_files))
"""
EPILOGUE = """
sys.exit(rpw_worker.main(good.compile_files))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A misdeed and what is told of it.

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
    protocol: str | None = None
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
        script="send(b'{nope}\\n'); hang()", rule="text on stdout", protocol="json"
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


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def action(
    folder: Path,
    script: str,
    name: str = "one",
    *,
    limit: float = 20,
    protocol: str | None = None,
    lines: tuple[str, ...] = (),
) -> Action:
    """An action for a worker that runs ``script`` in its first life and is ``good.py`` after."""
    code = textwrap.dedent(PROLOGUE.format(here=str(folder))) + script + EPILOGUE
    files = {f"tools/{each}": SAMPLES / each for each in ("good.py", "rpw_worker.py")}
    arguments = [sys.executable, "tools/worker.py"]
    if protocol is not None:
        arguments.append(f"--worker_protocol={protocol}")
    return Action(
        arguments=arguments,
        flagfile=["--in", f"{name}.txt", "--out", f"out/{name}.txt", *lines],
        inputs={f"{name}.txt": f"content of {name}"},
        tool_inputs={**files, "tools/worker.py": code},
        outputs=[f"out/{name}.txt"],
        worker_key="hostile",
        protocol=protocol,
        timeout=limit,
    )


def assert_gone(folder: Path) -> None:
    """Every process whose id is noted ends in time."""
    pids = [int(line) for line in (folder / "pids").read_text().split()]
    deadline = time.monotonic() + PATIENCE
    while left := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def status_of(server: Server, wanted: Action) -> tuple[rpc.Status, re.ActionResult]:
    """The response's own status and result, as they travelled."""
    hash_, _, size = server.client.digest_of(wanted).partition("/")
    (*_, last) = server.client.execute(Digest(hash_, int(size)))
    response = re.ExecuteResponse()
    assert last.response.Unpack(response)
    return response.status, response.result


@pytest.mark.parametrize("name", CASES)
def test_a_misdeed_is_told_and_the_next_action_is_served(
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


@pytest.mark.parametrize(
    "misdeed", ["send(b'unasked\\n'); hang()", "answer(); hang()", "os._exit(5)"]
)
def test_what_a_worker_does_between_requests_costs_no_action(
    server: Server, tmp_path: Path, misdeed: str
) -> None:
    """The test waits until the worker has done it before it sends the next action."""
    done = tmp_path / "done"
    mark = f"os.close(os.open({str(done)!r}, os.O_CREAT))"
    script = f"request(); answer(); time.sleep(0.05); {mark}; {misdeed}"
    first = server.run(action(tmp_path, script, "one"))
    deadline = time.monotonic() + 10
    while not done.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    second = server.run(action(tmp_path, script, "two"))
    assert second.exit_code == 0
    assert second.worker != first.worker or "os._exit" not in misdeed
    assert_gone_of(server, first.worker)


def assert_gone_of(server: Server, worker: int | None) -> None:
    found = server.events.wait_for(
        lambda events: any(
            isinstance(event, WorkerRetired) and event.worker == worker for event in events
        )
    )
    assert found


def test_a_worker_that_writes_stderr_without_end_serves_in_bounded_memory(
    server: Server, tmp_path: Path
) -> None:
    script = """
        def flood():
            while True:
                os.write(2, b"e" * 65536)
        threading.Thread(target=flood, daemon=True).start()
        while (one := request()) is not None:
            answer("answered", request_id=one.request_id)
        """
    first = server.run(action(tmp_path, textwrap.dedent(script), "one"), check=False)
    assert first.status == "OK"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    deadline = time.monotonic() + 1.0
    count = 0
    while time.monotonic() < deadline:
        count += 1
        outcome = server.run(action(tmp_path, textwrap.dedent(script), f"n{count}"))
        assert outcome.reused
        assert len(outcome.logs.get("worker-stderr", b"")) <= 1 << 16
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 << 10


def test_hundreds_of_descendants_are_gone_within_three_seconds(
    server: Server, tmp_path: Path
) -> None:
    script = """
        request()
        for number in range(300):
            pid = os.fork()
            if pid == 0:
                if number % 2:
                    os.setsid()
                    if os.fork():
                        os._exit(0)
                    note_pid(os.getpid())
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                hang()
            note_pid(pid)
        os._exit(1)
        """
    outcome = server.run(action(tmp_path, textwrap.dedent(script)), check=False)
    assert outcome.status == "FAILED_PRECONDITION"
    assert len((tmp_path / "pids").read_text().split()) > 300
    assert_gone(tmp_path)
    assert server.run(action(tmp_path, textwrap.dedent(script), "two")).exit_code == 0


@pytest.mark.parametrize("path", ["out/one.txt", "out"])
def test_a_link_in_the_place_of_an_output_never_yields_what_it_leads_to(
    server: Server, tmp_path: Path, path: str
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "one.txt").write_text("secret")
    target = secret if path == "out" else secret / "one.txt"
    script = f"""
        request()
        import shutil
        shutil.rmtree("out")
        if {path!r} != "out":
            os.mkdir("out")
        os.symlink({str(target)!r}, {path!r})
        answer()
        while (one := request()) is not None:
            with open(one.arguments[-1], "w") as file:
                file.write("written")
            answer(request_id=one.request_id)
        """
    outcome = server.run(action(tmp_path, textwrap.dedent(script), "one"), check=False)
    assert not outcome.outputs.files
    if path == "out":
        assert outcome.status == "FAILED_PRECONDITION"
        assert "'out/one.txt'" in outcome.message
    else:
        assert outcome.outputs.symlinks == {"out/one.txt": str(target)}
    again = server.run(action(tmp_path, textwrap.dedent(script), "two"))
    assert again.outputs["out/two.txt"].lower().startswith((b"written", b"content of two"))
    assert sorted(each.name for each in secret.iterdir()) == ["one.txt"]
    assert (secret / "one.txt").read_text() == "secret"


@pytest.mark.parametrize(
    "misdeed",
    [
        "os.chmod('same.txt', 0o644); open('same.txt', 'w').write('forged')",
        "os.unlink('same.txt'); open('same.txt', 'w').write('content of same')",
        "os.unlink('same.txt')",
        "os.unlink('same.txt'); os.mkdir('same.txt')",
        "os.unlink('same.txt'); os.symlink('/etc/hostname', 'same.txt')",
        "open('left behind', 'w').write('x')",
        "os.mkdir('dir'); os.mkdir('dir/sub'); os.chmod('dir', 0)",
    ],
)
def test_what_a_worker_did_to_its_inputs_is_undone_before_the_next_request(
    server: Server, tmp_path: Path, misdeed: str
) -> None:
    script = f"""
        request()
        {misdeed}
        answer()
        """
    first = server.run(action(tmp_path, textwrap.dedent(script), "same"), check=False)
    assert first.status == "OK"
    lines = ("--header", "again")
    second = server.run(action(tmp_path, textwrap.dedent(script), "same", lines=lines))
    assert second.outputs["out/same.txt"].startswith(b"again\nCONTENT OF SAME\n")
    assert second.reused
    told = [each.paths for each in server.events.of(InputsChanged)]
    assert told == ([("same.txt",)] if "same.txt" in misdeed else [])


def test_a_write_through_a_hard_link_is_undone_and_told(server: Server, tmp_path: Path) -> None:
    """Inputs are copies of blobs, so that not even a link leads into the store."""
    link = tmp_path / "link"
    script = f"""
        request()
        import shutil
        try:
            os.link("same.txt", {str(link)!r})
        except OSError:  # another file system
            os.mkdir("links")
            os.link("same.txt", "links/link")
        here = {str(link)!r} if os.path.exists({str(link)!r}) else "links/link"
        os.chmod(here, 0o644)
        with open(here, "w") as file:
            file.write("forged of same!")
        answer()
        """
    server.run(action(tmp_path, textwrap.dedent(script), "same"))
    lines = ("--header", "again")
    second = server.run(action(tmp_path, textwrap.dedent(script), "same", lines=lines))
    assert second.outputs["out/same.txt"].startswith(b"again\nCONTENT OF SAME\n")
    assert [each.paths for each in server.events.of(InputsChanged)] == [("same.txt",)]


def test_a_worker_that_overwrites_its_own_program_harms_nobody(
    server: Server, tmp_path: Path
) -> None:
    program = Path(sys.executable).resolve()
    before = program.stat()
    script = """
        first = request()
        try:
            os.write(os.open("/proc/self/exe", os.O_WRONLY), b"overwritten")
            told = "written"
        except OSError as error:
            told = error.strerror
        with open(first.arguments[-1], "w") as file:
            file.write(told)
        answer()
        """
    first = server.run(action(tmp_path, textwrap.dedent(script), "one"))
    assert first.outputs["out/one.txt"] == b"Text file busy"
    after = program.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert server.run(action(tmp_path, textwrap.dedent(script), "two")).reused


def test_a_cancelled_request_kills_the_worker_with_all_it_started(
    server: Server, tmp_path: Path
) -> None:
    script = """
        request()
        note_pid(subprocess.Popen(["sleep", "61"], start_new_session=True).pid)
        os.close(os.open(HERE + "/running", os.O_CREAT))
        hang()
        """
    names: list[str] = []
    outcomes = []
    wanted = action(tmp_path, textwrap.dedent(script))
    thread = threading.Thread(
        target=lambda: outcomes.append(
            server.client.run(wanted, check=False, on_operation=names.append)
        )
    )
    thread.start()
    deadline = time.monotonic() + 10
    while not (tmp_path / "running").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    server.client.cancel(names[0])
    thread.join(10)
    assert outcomes[0].status == "CANCELLED"
    assert_gone(tmp_path)
    assert_gone_of(server, 1)
    assert server.events.of(ProtocolViolation) == []
    assert server.run(action(tmp_path, textwrap.dedent(script), "two")).exit_code == 0


def test_a_failed_request_is_completed_in_the_records(server: Server, tmp_path: Path) -> None:
    server.run(action(tmp_path, CASES["ends with status 3"].script), check=False)
    (completed,) = server.events.of(ActionCompleted)
    assert completed.status == "FAILED_PRECONDITION"
    assert "exit status 3" in completed.message
    assert completed.exit_code is None
