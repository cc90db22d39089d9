"""What is sent to a spawner arrives with fewer descriptors, or in part."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from rpw_fixture.processes import program_start, spawner_messages
from rpw_fixture.processes.spawner import Spawner, StartError
from tests.waiting import until

from .programs import open_descriptors, run


@pytest.mark.parametrize("count", [1, 2, 3])
def test_descriptors_that_do_not_reach_the_spawner_are_a_start_error(
    spawner: Spawner, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(spawner, ["/bin/true"])
    send = socket.send_fds

    def send_some(link: socket.socket, data: Any, descriptors: Sequence[int]) -> int:
        return send(link, data, descriptors[:count])  # as the kernel does with a full table

    theirs = open_descriptors(spawner.pid)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "send_fds", send_some)
        for _ in range(20):
            with pytest.raises(StartError, match="Too many open files") as caught:
                run(spawner, ["/bin/true"])
            assert caught.value.stage == "descriptors"

    run(spawner, ["/bin/true"])
    # A status pipe is closed just after the last record has left, and there may be a supervisor more.
    until(lambda: open_descriptors(spawner.pid) <= theirs + 3, "the spawner kept descriptors")


@pytest.mark.parametrize("sent", range(5))
def test_a_message_comes_with_the_descriptors_that_were_sent(sent: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, open(os.devnull, "rb") as null:  # noqa: PTH123 - a descriptor
        assert spawner_messages.forward(ours, b"body", [null.fileno()] * sent)
        received = spawner_messages.receive(theirs)
        assert received is not None
        body, descriptors = received
        for each in descriptors:
            assert os.path.sameopenfile(each, null.fileno())
            assert not os.get_inheritable(each)
            os.close(each)
    assert body == b"body"
    assert len(descriptors) == sent


def test_what_is_cut_off_within_a_number_is_no_descriptor() -> None:
    numbers = [(5).to_bytes(4, sys.byteorder), (6).to_bytes(4, sys.byteorder)]
    assert spawner_messages._descriptors(b"".join(numbers)) == [5, 6]
    assert spawner_messages._descriptors(b"".join(numbers)[:-1]) == [5]
    assert spawner_messages._descriptors(b"") == []


@pytest.mark.parametrize("data", [b"", b"\x05\0\0\0", b"\x05\0\0\0body"])
def test_a_message_that_ends_too_early_is_the_end(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(data)
        assert spawner_messages.receive(theirs) is None


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_a_program_starts_with_three_standard_descriptors_or_not_at_all(count: int) -> None:
    with pytest.raises(program_start.StartFailure, match="descriptors"):
        program_start.start((b"/bin/true", [b"true"], {}), b"/", [0] * count, None)
