"""Workers that are hostile in their first life only, and who must be gone afterwards."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path

import psutil

from rpw_fixture.client.action import Action
from rpw_fixture.events.kinds import WorkerRetired
from rpw_fixture.server import Server
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.protos import rpc

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers" / "python"
#: Seconds in which descendants of a dead worker must be gone; a bug would leave them without end.
PATIENCE = 30.0
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


def first_pid(folder: Path) -> int:
    """Return the id of the first process that is noted."""
    return int((folder / "pids").read_text().split()[0])


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def status_of(server: Server, wanted: Action) -> tuple[rpc.Status, reapi.ActionResult]:
    """The response's own status and result, as they travelled."""
    hash_, _, size = server.client.digest_of(wanted).partition("/")
    (*_, last) = server.client.execute(Digest(hash_, int(size)))
    response = reapi.ExecuteResponse()
    assert last.response.Unpack(response)
    return response.status, response.result


def assert_gone_of(server: Server, worker: int | None) -> None:
    found = server.events.wait_for(
        lambda events: any(
            isinstance(event, WorkerRetired) and event.worker == worker for event in events
        )
    )
    assert found
