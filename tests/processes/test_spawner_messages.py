"""Messages between a server and its spawner: whole with their descriptors, or none."""

from __future__ import annotations

import fcntl
import marshal
import os
import socket
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpw_fixture.processes import spawner_messages
from rpw_fixture.processes.spawner_messages import forward, receive, write_record
from tests.waiting import PATIENCE


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with one, other:
        yield one, other


Pair = tuple[socket.socket, socket.socket]


@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("has_flag", [True, False])
def test_a_request_comes_with_its_descriptors(
    count: int, has_flag: bool, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_flag:
        monkeypatch.setattr(spawner_messages, "_CLOEXEC", 0)  # as on macOS
    reading, writing = os.pipe()
    try:
        assert forward(pair[0], b"body", [reading, writing, reading, writing][:count])
        received = receive(pair[1])
        assert received is not None
        body, descriptors = received
        assert (body, len(descriptors)) == (b"body", count)
        for number, each in enumerate(descriptors):
            assert fcntl.fcntl(each, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
            assert os.fstat(each).st_ino == os.fstat((reading, writing)[number % 2]).st_ino
            os.close(each)
    finally:
        os.close(reading)
        os.close(writing)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(st.binary(min_size=1, max_size=300), max_size=4))
def test_requests_come_one_by_one(bodies: list[bytes], pair: Pair) -> None:
    for each in bodies:
        assert forward(pair[0], each, [])
    for each in bodies:
        assert receive(pair[1]) == (each, [])


def test_a_request_larger_than_the_socket_s_buffer_comes_whole(pair: Pair) -> None:
    body = os.urandom(3 << 20)
    sender = threading.Thread(target=forward, args=(pair[0], body, []))
    sender.start()
    assert receive(pair[1]) == (body, [])
    sender.join(PATIENCE)


@pytest.mark.parametrize(
    "sent",
    [b"", b"\x05", b"\0\0\0\0", b"\x05\0\0\0", b"\x05\0\0\0half", (100).to_bytes(4, "little")],
)
def test_what_is_no_whole_request_is_the_end(sent: bytes, pair: Pair) -> None:
    pair[0].sendall(sent)
    pair[0].close()
    assert receive(pair[1]) is None


def test_a_connection_that_was_reset_is_the_end() -> None:
    class Reset:
        def recvmsg(self, *_: object) -> None:
            raise ConnectionResetError

    connection: socket.socket = Reset()  # type: ignore[assignment]
    assert receive(connection) is None


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_request_that_is_not_read_is_not_forwarded(is_closed: bool, pair: Pair) -> None:
    pair[0].settimeout(0.01)
    if is_closed:
        pair[1].close()
    assert not forward(pair[0], bytes(3 << 20), [])


@pytest.mark.parametrize("length", [0, 3, 4, 7, 8])
def test_descriptors_that_were_cut_are_left_out(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawner_messages, "_CLOEXEC", 1)
    data = b"".join(each.to_bytes(4, sys.byteorder) for each in (5, 70_000))
    assert spawner_messages._descriptors(data[:length]) == [5, 70_000][: length // 4]


def test_a_record_is_written_for_whoever_reads_it() -> None:
    reading, writing = os.pipe()
    record = ("started", 5)
    write_record(writing, record)
    data = os.read(reading, 1000)
    assert int.from_bytes(data[:4], "little") == len(data) - 4
    assert marshal.loads(data[4:]) == record
    os.close(reading)
    write_record(writing, record)  # nobody reads it
    os.close(writing)
