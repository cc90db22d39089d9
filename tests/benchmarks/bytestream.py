"""ByteStream: one large blob, and many small ones."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from rpw_fixture.wire.digests import SHA256, Digest
from rpw_fixture.wire.protos import bytestream

from .bare_server import MESSAGE
from .blobs import random_blobs, read_request, write_requests
from .figures import Effort, Figure
from .pair import Pair, pair
from .sampling import interleaved, median
from .wire import READ, WRITE, Wire

_MIB = 1 << 20
_FLOOR = "bare grpcio streaming the same bytes, and hashlib"


def figures(effort: Effort) -> Iterator[Figure]:
    """Large ones written and read, then small ones."""
    rounds = effort.pick(smoke=1, quick=3, full=7)
    size = effort.pick(smoke=2, quick=256, full=256)
    with pair(with_peers=True) as servers:
        before, before_floor = servers.server.resident_mib, servers.floor.resident_mib
        written, last = _write_large(servers, rounds, size)
        yield from written
        yield _read_large(servers, rounds, size, last)
        yield Figure(
            name=f"memory growth, {rounds + 1} writes and {rounds + 1} reads of {size} MiB",
            ours=servers.server.resident_mib - before,
            unit="MiB",
            floor=servers.floor.resident_mib - before_floor,
            floor_name="growth of the bare server (informative)",
            target=32,
            is_floor_informative=True,
        )
    with pair() as servers:
        small = effort.pick(smoke=4, quick=500, full=500)
        for in_flight in (1, 8):
            yield _write_small(servers, rounds, small, in_flight)


def _write_large(servers: Pair, rounds: int, size: int) -> tuple[list[Figure], Digest]:
    """The figures, and the digest of the last blob."""
    content = bytearray(os.urandom(size * _MIB))
    digest = SHA256.empty
    requests: list[bytes] = []
    answers: list[tuple[int, bytes]] = []

    def renew(number: int) -> None:
        nonlocal digest, requests
        content[:8] = number.to_bytes(8)
        data = bytes(content)
        digest = SHA256.of(data)
        requests = write_requests(digest, data, upload=str(uuid.uuid4()), size=MESSAGE)

    def write(wire: Wire, _number: int) -> None:
        answers.append((digest.size, wire.collect(WRITE, requests)))

    _, bare, kept, ours, *others = interleaved(
        rounds,
        renew,
        lambda _: servers.bare.collect("/bare/Collect", requests),
        lambda _: servers.bare.collect("/bare/Store", requests),
        *(partial(write, wire) for wire in (servers.ours, *servers.peers.values())),
        warm_up=1,
    )
    for expected, answer in answers:
        assert bytestream.WriteResponse.FromString(answer).committed_size == expected
    figure = Figure(
        name=f"ByteStream write, {size} MiB",
        ours=median(ours),
        floor=median(bare),
        floor_name=_FLOOR,
        target=1.2,
        peers=dict(zip(servers.peers, map(median, others), strict=True)),
        samples=rounds,
    )
    beside = replace(
        figure, floor=median(kept), floor_name=f"{_FLOOR}, and a file that is kept", target=None
    )
    return [figure, beside], digest


def _read_large(servers: Pair, rounds: int, size: int, digest: Digest) -> Figure:
    request = read_request(digest)
    sizes = [len(message) for message in servers.ours.open(READ, request)]
    assert sum(sizes) >= digest.size
    servers.bare.configure(sizes)

    def read(wire: Wire, path: str, _number: int) -> None:
        hashed = hashlib.sha256()
        for each in wire.open(path, request):
            hashed.update(each)

    bare, ours, *others = interleaved(
        rounds,
        partial(read, servers.bare, "/bare/Stream"),
        *(partial(read, wire, READ) for wire in (servers.ours, *servers.peers.values())),
        warm_up=1,
    )
    return Figure(
        name=f"ByteStream read, {size} MiB",
        ours=median(ours),
        floor=median(bare),
        floor_name=f"{_FLOOR}, in the client for both",
        target=1.2,
        peers=dict(zip(servers.peers, map(median, others), strict=True)),
        samples=rounds,
    )


def _write_small(servers: Pair, rounds: int, count: int, in_flight: int) -> Figure:
    writes = [_small_writes(count) for _ in range(rounds + 1)]
    with ThreadPoolExecutor(in_flight) as threads:

        def all_of(wire: Wire, path: str, number: int) -> list[bytes]:
            return list(threads.map(lambda each: wire.collect(path, each), writes[number]))

        ours, bare = interleaved(
            rounds,
            lambda number: all_of(servers.ours, WRITE, number),
            lambda number: all_of(servers.bare, "/bare/Collect", number),
            warm_up=1,
        )
    return Figure(
        name=f"{count} small ByteStream writes, {in_flight} in flight",
        ours=median(ours),
        floor=median(bare),
        floor_name="bare grpcio client-streams of the same bytes, and hashlib",
        target=1.5,
        samples=rounds,
    )


def _small_writes(count: int) -> Sequence[list[bytes]]:
    return [
        write_requests(digest, data, upload=str(uuid.uuid4()), size=MESSAGE)
        for digest, data in random_blobs(count, 400).items()
    ]
