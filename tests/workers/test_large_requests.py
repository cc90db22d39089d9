"""Requests that do not fit into the pipe, to workers that read them slowly, in part, or never."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import pytest

from rpw_fixture.client.action import Action
from rpw_fixture.events.kinds import RequestSent, WorkerRetired, WorkerStarted
from rpw_fixture.pytest_plugin import MakeServer

from .worker_actions import CANCELLATION, MULTIPLEX, Running, action, tools_of, until, wait_for

KINDS = pytest.mark.parametrize("platform", [{}, MULTIPLEX], ids=["singleplex", "multiplex"])
#: Far more than a pipe takes (64 KiB), and than one write that is cut off by a signal.
ARGUMENTS = tuple(f"--argument-{number:06}" for number in range(30_000))
PROLOGUE = """
import io, os, sys, time
sys.dont_write_bytecode = True
from rpw_worker import ProtoCodec, WorkResponse, encode_varint

def hang():
    while True:
        time.sleep(1000)

def answer(number, output=""):
    sys.stdout.buffer.write(ProtoCodec().encode(WorkResponse(request_id=number, output=output)))
    sys.stdout.buffer.flush()
"""
#: Reads some bytes at a time, and between them lets the server run.
SLOW = """
class Slowly(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, buffer):
        time.sleep(0.0002)
        data = os.read(0, min(len(buffer), 5000))
        buffer[: len(data)] = data
        return len(data)

stdin = io.BufferedReader(Slowly(), 8192)
while (request := ProtoCodec().read(stdin)) is not None:
    answer(request.request_id, f"{len(request.arguments)} {request.arguments[-1]}")
"""


def large(script: str, platform: Mapping[str, str], **others: Any) -> Action:
    """An action whose request does not fit into the pipe to its worker."""
    program = PROLOGUE + textwrap.dedent(script)
    tools = {**tools_of("good.py"), "tools/reader.py": program}
    given: dict[str, Any] = {"flagfile": ARGUMENTS, "tool_inputs": tools, "worker_key": script}
    return action(
        "reader.py",
        platform=platform,
        **{"do_not_cache": True, "protocol": "proto", **given, **others},
    )


@KINDS
def test_a_worker_that_reads_slowly_gets_all_of_it(
    make_rpw_server: MakeServer, platform: dict[str, str]
) -> None:
    server = make_rpw_server(jobs=4)
    running = [Running(server, large(SLOW, platform, salt=bytes([number]))) for number in range(4)]

    for each in running:
        assert each.result().stderr == f"30000 {ARGUMENTS[-1]}".encode()
    if platform:
        assert len(server.events.of(WorkerStarted)) == 1
    assert server.events.of(WorkerRetired) == []


@KINDS
def test_a_worker_that_never_reads_is_killed_when_the_time_is_over(
    make_rpw_server: MakeServer, platform: dict[str, str]
) -> None:
    server = make_rpw_server()
    outcome = server.run(large("hang()", platform, timeout=0.5), check=False)

    assert outcome.status == "DEADLINE_EXCEEDED"
    assert "persistent worker 1: timeout" in outcome.message
    if platform:
        assert "it does not read its stdin" in outcome.message
    assert wait_for(server, WorkerRetired).reason == "timeout"


def test_requests_behind_one_that_is_not_read_fail_with_it(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(jobs=4)
    first = Running(server, large("hang()", MULTIPLEX, timeout=1.0))
    sent = first.wait_until_sent()
    others = [
        Running(server, large("hang()", MULTIPLEX, timeout=60.0, salt=bytes([number])))
        for number in range(2)
    ]
    until(lambda: len(server.events.of(RequestSent)) == 3)

    assert first.result().status == "DEADLINE_EXCEEDED"
    for each in others:
        outcome = each.result()
        assert outcome.status == "FAILED_PRECONDITION"
        assert f"persistent worker {sent.worker}: timeout: it does not read its stdin" in (
            outcome.message
        )
    assert [each.reason for each in server.events.of(WorkerRetired)] == ["timeout"]


def test_a_request_whose_time_is_over_before_it_could_be_written_ends_the_worker(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server(jobs=4)
    patient = Running(server, large("hang()", MULTIPLEX, timeout=60.0))
    patient.wait_until_sent()
    hasty = server.run(large("hang()", MULTIPLEX, timeout=0.5, salt=b"hasty"), check=False)

    assert hasty.status == "DEADLINE_EXCEEDED"
    assert "it does not read its stdin" in hasty.message
    assert patient.result().status == "FAILED_PRECONDITION"


@KINDS
def test_a_worker_may_answer_what_it_has_read_in_part_and_close_its_stdin(
    make_rpw_server: MakeServer, platform: dict[str, str]
) -> None:
    server = make_rpw_server()
    number = "1" if platform else "0"
    script = f"os.read(0, 1000); os.close(0); answer({number}, 'enough'); hang()"

    assert server.run(large(script, platform)).stderr == b"enough"


@KINDS
@pytest.mark.parametrize("script", ["os.close(0)", "os.read(0, 1000); os.close(0)"])
def test_a_worker_that_closes_its_stdin_and_hangs_is_killed_when_the_time_is_over(
    make_rpw_server: MakeServer, platform: dict[str, str], script: str
) -> None:
    server = make_rpw_server()
    outcome = server.run(large(f"{script}; hang()", platform, timeout=0.5), check=False)

    assert outcome.status == "DEADLINE_EXCEEDED"
    assert wait_for(server, WorkerRetired).reason == "timeout"


@KINDS
@pytest.mark.parametrize("script", ["os._exit(7)", "os.read(0, 1000); os._exit(7)"])
def test_a_worker_that_ends_while_it_is_written_to_has_crashed(
    make_rpw_server: MakeServer, platform: dict[str, str], script: str
) -> None:
    server = make_rpw_server()
    outcome = server.run(large(script, platform), check=False)

    assert outcome.status == "FAILED_PRECONDITION"
    assert "exit status 7" in outcome.message
    assert wait_for(server, WorkerRetired).reason == "crash"


@KINDS
@pytest.mark.parametrize("takes_cancel", [False, True])
def test_a_cancelled_request_that_is_not_read_ends_with_the_worker(
    make_rpw_server: MakeServer, platform: dict[str, str], takes_cancel: bool
) -> None:
    server = make_rpw_server(cancel_grace=0.2)
    properties = {**platform, **(CANCELLATION if takes_cancel else {})}
    running = Running(server, large("hang()", properties, timeout=60.0))
    running.wait_until_sent()
    running.cancel()

    assert running.result().status == "CANCELLED"
    assert wait_for(server, WorkerRetired).reason == "cancelled"
