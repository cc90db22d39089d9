"""A server killed while it writes: acknowledged blobs are there after a restart, and none is incomplete.

An upload that was never acknowledged may have been complete a moment before the end. Then it is
served whole, or not at all.
"""

from __future__ import annotations

import itertools
import random
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from rpw_fixture.wire.digests import SHA256, Digest, message_of
from rpw_fixture.wire.protos import bytestream
from rpw_fixture.wire.protos import remote_execution as reapi

from .serving import LONG, ServeProcess

ROUNDS = 200 if LONG else 4
WRITERS = 3
LONGEST_ROUND = 0.4
#: Of what was acknowledged in earlier rounds, so much is read again after each restart.
SAMPLE = 40
_REAPI = "/build.bazel.remote.execution.v2"
_CAS = f"{_REAPI}.ContentAddressableStorage"
_DEAD = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
_SIZES = (10, 3_000, 60_000, 300_000, 1_500_000)
_WEIGHTS = (40, 40, 15, 4, 1)


class Calls:
    """The calls of one client."""

    def __init__(self, channel: grpc.Channel) -> None:
        def unary(path: str, response: Any) -> Any:
            return channel.unary_unary(path, _encode, response.FromString)

        self.update = unary(f"{_CAS}/BatchUpdateBlobs", reapi.BatchUpdateBlobsResponse)
        self.find = unary(f"{_CAS}/FindMissingBlobs", reapi.FindMissingBlobsResponse)
        self.get_result = unary(f"{_REAPI}.ActionCache/GetActionResult", reapi.ActionResult)
        self.put_result = unary(f"{_REAPI}.ActionCache/UpdateActionResult", reapi.ActionResult)
        self.write = channel.stream_unary(
            "/google.bytestream.ByteStream/Write", _encode, bytestream.WriteResponse.FromString
        )
        self.read_stream = channel.unary_stream(
            "/google.bytestream.ByteStream/Read", _encode, bytestream.ReadResponse.FromString
        )

    def put(self, data: bytes, digest: Digest) -> None:
        """Returns once the server has acknowledged the blob."""
        if len(data) < 50_000 and digest.hash[0] < "8":
            entry = {"digest": message_of(digest), "data": data}
            request = reapi.BatchUpdateBlobsRequest(requests=[entry])
            (response,) = self.update(request, timeout=60).responses
            assert response.status.code == 0
        else:
            name = f"uploads/{uuid.uuid4()}/blobs/{digest}"
            assert self.write(_requests(name, data), timeout=60).committed_size == len(data)

    def get(self, digest: Digest) -> bytes | None:
        """The whole blob; None when the server says that it has none."""
        request = bytestream.ReadRequest(resource_name=f"blobs/{digest}")
        try:
            return b"".join(each.data for each in self.read_stream(request, timeout=60))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return None

    def missing(self, digests: list[Digest]) -> int:
        """How many of them are not there."""
        count = 0
        for start in range(0, len(digests), 10_000):
            some = map(message_of, digests[start : start + 10_000])
            request = reapi.FindMissingBlobsRequest(blob_digests=some)
            count += len(self.find(request, timeout=60).missing_blob_digests)
        return count


class Book:
    """What was tried, and what of it was acknowledged. Content is made of its number."""

    def __init__(self) -> None:
        self.tried: dict[Digest, int] = {}
        self.kept: list[Digest] = []
        self.results: dict[Digest, Digest] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def next(self) -> tuple[bytes, Digest]:
        """Return a blob that was not used before."""
        with self._lock:
            number = next(self._numbers)
            data = content(number)
            digest = SHA256.of(data)
            self.tried[digest] = number
            return data, digest

    def keep(self, digest: Digest) -> None:
        """Notes that the server has acknowledged a blob."""
        with self._lock:
            self.kept.append(digest)


def content(number: int) -> bytes:
    chance = random.Random(number)
    size = chance.choices(_SIZES, _WEIGHTS)[0]
    return number.to_bytes(8, "big") + chance.randbytes(chance.randrange(size))


def write_until_it_dies(address: str, book: Book, started: threading.Event) -> None:
    """Uploads blobs and results of actions, one after the other."""
    with grpc.insecure_channel(address) as channel:
        calls = Calls(channel)
        try:
            while True:
                data, digest = book.next()
                calls.put(data, digest)
                book.keep(digest)
                started.set()
                action = SHA256.of(data[:8])
                result = reapi.ActionResult(
                    output_files=[{"path": "o", "digest": message_of(digest)}]
                )
                calls.put_result(
                    reapi.UpdateActionResultRequest(
                        action_digest=message_of(action), action_result=result
                    ),
                    timeout=60,
                )
                book.results[action] = digest
        except grpc.RpcError as error:
            if error.code() not in _DEAD:
                raise


def verify(address: str, book: Book, tried_before: int, kept_before: int, seed: int) -> None:
    """What was acknowledged is whole; what was not is whole or not there."""
    chance = random.Random(seed)
    with grpc.insecure_channel(address) as channel:
        calls = Calls(channel)
        assert calls.missing(book.kept) == 0
        new = book.kept[kept_before:]
        old = book.kept[:kept_before]
        for digest in [*new, *chance.sample(old, min(SAMPLE, len(old)))]:
            assert calls.get(digest) == content(book.tried[digest])
        unacknowledged = set(list(book.tried)[tried_before:]) - set(new)
        for digest in unacknowledged:
            assert calls.get(digest) in (None, content(book.tried[digest]))
        actions = list(book.results)
        for action in chance.sample(actions, min(SAMPLE, len(actions))):
            request = reapi.GetActionResultRequest(action_digest=message_of(action))
            (file,) = calls.get_result(request, timeout=60).output_files
            assert file.digest == message_of(book.results[action])


def stored(root: Path) -> set[Digest]:
    """The blobs that a server finds in its folder when it starts."""
    names = (path.name.split("-") for path in (root / "cas/sha256").rglob("*-*") if path.is_file())
    return {Digest(name[0], int(name[1])) for name in names}


def test_after_every_kill_what_was_acknowledged_is_whole_and_nothing_else_is_served(
    tmp_path: Path,
) -> None:
    root, book, chance = tmp_path / "root", Book(), random.Random(4711)
    tried = kept = 0
    for number in range(ROUNDS):
        with ServeProcess(tmp_path / "log", "--root", str(root)) as server:
            verify(server.address, book, tried, kept, number)
            tried, kept = len(book.tried), len(book.kept)
            started = threading.Event()
            writers = [
                threading.Thread(target=write_until_it_dies, args=(server.address, book, started))
                for _ in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            assert started.wait(60)
            threading.Event().wait(chance.random() * LONGEST_ROUND)  # the random moment
            server.kill()
            for writer in writers:
                writer.join()
        assert stored(root) <= book.tried.keys()
    with ServeProcess(tmp_path / "log", "--root", str(root)) as server:
        verify(server.address, book, 0, 0, ROUNDS)  # everything, once more
        assert stored(root) - set(book.kept) <= book.tried.keys()
    lost = len(book.tried) - len(book.kept)
    print(f"{ROUNDS} kills, {len(book.kept)} blobs acknowledged, {lost} cut off")
    assert len(book.kept) >= ROUNDS


def _requests(name: str, data: bytes) -> Iterator[bytestream.WriteRequest]:
    for start in range(0, len(data), 64 << 10):
        piece = data[start : start + (64 << 10)]
        yield bytestream.WriteRequest(
            resource_name=name,
            write_offset=start,
            data=piece,
            finish_write=start + len(piece) == len(data),
        )


def _encode(request: Any) -> bytes:
    encoded: bytes = request.SerializeToString()
    return encoded
