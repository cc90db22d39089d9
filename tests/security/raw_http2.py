"""A client that speaks HTTP/2 by hand: it opens calls and leaves them as no gRPC library would."""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections.abc import Iterable

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY, _WINDOW = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1
_INITIAL_WINDOW_SIZE = 0x4


class RawClient:
    """One connection.

    Args:
        address: ``HOST:PORT``.
        window: bytes that the server may send on each stream.

    Attributes:
        ended: streams that the server has ended.
        answered: streams on which it has sent a message.
    """

    def __init__(self, address: str, *, window: int = 65_535) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host.strip("[]"), int(port)), timeout=30)
        self._received = bytearray()
        self._next = 1
        self._allowance = 65_535
        self.ended: set[int] = set()
        self.answered: set[int] = set()
        settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, window)
        self._socket.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, settings))

    def open(self, path: str, *data: bytes, end: bool = False, token: str = "") -> int:
        """Start a call.

        Args:
            path: of the RPC.
            data: sent behind the headers as it is.
            end: the client has no more to say.
            token: for the authorization.
        """
        stream, self._next = self._next, self._next + 2
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ]
        if token:
            headers.append(("authorization", f"Bearer {token}"))
        frames = [_frame(_HEADERS, _END_HEADERS, stream, _encoded(headers))]
        frames += [_frame(_DATA, 0, stream, each) for each in data]
        if end:
            frames.append(_frame(_DATA, _END_STREAM, stream, b""))
        self._allowance -= sum(map(len, data))
        while self._allowance < 0:
            self._receive()
        self._socket.sendall(b"".join(frames))
        return stream

    def wait(self, streams: Iterable[int], patience: float, *, answered: bool = False) -> float:
        """Wait until the server has ended all of ``streams``, or answered something; the seconds."""
        began, left = time.monotonic(), set(streams)
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            while left := left - (self.answered | self.ended if answered else self.ended):
                remaining = patience - (time.monotonic() - began)
                assert remaining > 0, f"{len(left)} calls are still open"
                if selector.select(remaining):
                    self._receive()
        return time.monotonic() - began

    def wait_for_end(self) -> None:
        """Wait until the server closes the connection."""
        while self._socket.recv(1 << 16):
            pass

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _receive(self) -> None:
        data = self._socket.recv(1 << 20)
        assert data, "the server closed the connection"
        self._received += data
        self._take_frames()

    def _take_frames(self) -> None:
        while len(self._received) >= 9:
            length = int.from_bytes(self._received[:3], "big")
            if len(self._received) < 9 + length:
                return
            kind, flags = self._received[3], self._received[4]
            stream = int.from_bytes(self._received[5:9], "big") & 0x7FFFFFFF
            payload = bytes(self._received[9 : 9 + length])
            del self._received[: 9 + length]
            self._note(kind, flags, stream, payload)

    def _note(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _RESET or (kind in (_DATA, _HEADERS) and flags & _END_STREAM):
            self.ended.add(stream)
        elif kind == _DATA:
            self.answered.add(stream)
        elif kind == _SETTINGS and not flags & _ACK:
            self._socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._socket.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW and not stream:
            self._allowance += int.from_bytes(payload, "big")
        assert kind != _GO_AWAY, f"the server says go away: {payload!r}"


def message(data: bytes) -> bytes:
    """A gRPC message as it travels."""
    return struct.pack(">BI", 0, len(data)) + data


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


def _encoded(headers: list[tuple[str, str]]) -> bytes:
    """HPACK without its tables: each field is a literal (RFC 7541, 6.2.2)."""
    encoded = bytearray()
    for field in headers:
        encoded.append(0)
        for text in field:
            encoded += bytes([len(text)]) + text.encode()
    return bytes(encoded)
