"""The floor: a bare grpcio server that moves the same bytes and does nothing else with them.

What it answers is set by one call to ``/bare/Configure``, so that no request needs to be decoded.
Run as a program it announces itself as ``python -m rpw_fixture serve`` does. Only grpc is imported
before that: its start is a floor too.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import grpc

_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)
_THREADS = 512
_RAM_DISK = Path("/dev/shm")
#: Batches are hashed in pieces of this size.
PIECE = 4096
#: The largest blob that a stream is made of is sent in messages of this size.
MESSAGE = 1 << 20


class Bare:
    """The calls, all of them from bytes to bytes."""

    def __init__(self) -> None:
        self._answer = b""
        self._answers: tuple[bytes, ...] = ()
        self._files: list[IO[bytes]] = []
        self._known: set[tuple[str, int]] = set()
        self._pieces: dict[str, bytes] = {}

    def configure(self, request: bytes, _context: object) -> bytes:
        """``{"sizes": [150, 900]}``: how long the messages of the answers to come are."""
        sizes = json.loads(request)["sizes"]
        content = {size: os.urandom(size) for size in set(sizes)}
        self._answers = tuple(content[size] for size in sizes)
        self._answer = self._answers[0]
        return b""

    def unary(self, _request: bytes, _context: object) -> bytes:
        """A no-op."""
        return self._answer

    def stream(self, _request: bytes, _context: object) -> Iterator[bytes]:
        """A no-op with as many messages as configured."""
        yield from self._answers

    def collect(self, requests: Iterator[bytes], _context: object) -> bytes:
        """Takes a stream and hashes it."""
        digest = hashlib.sha256()
        for request in requests:
            digest.update(request)
        return digest.digest()

    def store(self, requests: Iterator[bytes], _context: object) -> bytes:
        """Takes a stream, hashes it and keeps it in a file; the RAM disk is where ours keeps it."""
        digest = hashlib.sha256()
        base = _RAM_DISK if _RAM_DISK.is_dir() else None
        file = tempfile.TemporaryFile(dir=base, buffering=0)  # noqa: SIM115 - kept until the end
        self._files.append(file)
        for request in requests:
            digest.update(request)
            file.write(request)
        return digest.digest()

    def hash_pieces(self, request: bytes, _context: object) -> bytes:
        """Hashes a batch, piece by piece."""
        hash_pieces(request)
        return self._answer

    def keep_pieces(self, request: bytes, _context: object) -> bytes:
        """Hashes a batch, piece by piece, and keeps the pieces."""
        for start in range(0, len(request), PIECE):
            piece = request[start : start + PIECE]
            self._pieces[hashlib.sha256(piece).hexdigest()] = piece
        return self._answer

    def know(self, request: bytes, _context: object) -> bytes:
        """Remembers digests."""
        self._known |= {(each.hash, each.size_bytes) for each in _digests(request).blob_digests}
        return b""

    def find_missing(self, request: bytes, _context: object) -> bytes:
        """Echoes the digests that are not known."""
        known = self._known
        missing = [
            each
            for each in _digests(request).blob_digests
            if (each.hash, each.size_bytes) not in known
        ]
        return bytes(
            _messages().FindMissingBlobsResponse(missing_blob_digests=missing).SerializeToString()
        )


def hash_pieces(data: bytes) -> None:
    """Hash each piece of a batch; the hashes are not used."""
    view = memoryview(data)
    for start in range(0, len(view), PIECE):
        hashlib.sha256(view[start : start + PIECE]).hexdigest()


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, bare: Bare) -> None:
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        kinds: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
            "Configure": (unary, bare.configure),
            "Unary": (unary, bare.unary),
            "Stream": (stream, bare.stream),
            "Collect": (grpc.stream_unary_rpc_method_handler, bare.collect),
            "Store": (grpc.stream_unary_rpc_method_handler, bare.store),
            "HashPieces": (unary, bare.hash_pieces),
            "KeepPieces": (unary, bare.keep_pieces),
            "Know": (unary, bare.know),
            "FindMissing": (unary, bare.find_missing),
        }
        self._methods = {
            f"/bare/{name}": make(function, None, None) for name, (make, function) in kinds.items()
        }

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """The handler of a method."""
        return self._methods.get(details.method)


def start() -> tuple[grpc.Server, str]:
    """A running server and its address."""
    server = grpc.server(
        ThreadPoolExecutor(_THREADS), handlers=[_Handler(Bare())], options=_OPTIONS
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


def _digests(request: bytes) -> Any:
    return _messages().FindMissingBlobsRequest.FromString(request)


@functools.cache
def _messages() -> Any:
    from rpw_fixture.wire.protos import remote_execution

    return remote_execution


def main() -> None:
    """Serves until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    server, address = start()
    print(f"RPW_READY {json.dumps({'endpoint': f'grpc://{address}'})}", flush=True)
    signal.sigwait({signal.SIGTERM})
    server.stop(0).wait()


if __name__ == "__main__":
    main()
