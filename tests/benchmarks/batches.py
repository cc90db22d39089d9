"""Thousands of small blobs, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import remote_execution as reapi

from .bare_server import PIECE, hash_pieces
from .blobs import random_blobs, read_requests, update_requests
from .figures import Effort, Figure
from .pair import Pair, pair
from .sampling import interleaved, median
from .wire import BATCH_READ, BATCH_UPDATE, Wire

_BLOBS = 2000


def figures(effort: Effort) -> Iterator[Figure]:
    """Updates of blobs that are new each time, and reads of them."""
    rounds = effort.pick(smoke=1, quick=5, full=25)
    count = effort.pick(smoke=10, quick=_BLOBS, full=_BLOBS)
    warm_up = 1
    with pair(with_peers=True) as servers:
        fresh = [random_blobs(count, PIECE) for _ in range(rounds + warm_up)]
        yield from _update(servers, [update_requests(blobs) for blobs in fresh], rounds, count)
        yield _read(servers, list(fresh[-1]), rounds, count)


def _update(
    servers: Pair, requests: list[list[bytes]], rounds: int, count: int
) -> Iterator[Figure]:
    answers: list[bytes] = []

    def update(wire: Wire, number: int) -> None:
        answers.extend(wire.unary(BATCH_UPDATE, each) for each in requests[number])

    def bare(path: str, number: int) -> None:
        for each in requests[number]:
            servers.bare.unary(path, each)

    servers.bare.configure([80 * count // len(requests[0])])
    updates = [partial(update, wire) for wire in (servers.ours, *servers.peers.values())]
    floors = [partial(bare, "/bare/HashPieces"), partial(bare, "/bare/KeepPieces")]
    hashed, kept, taken, *others = interleaved(
        rounds, *floors, *updates, warm_up=len(requests) - rounds
    )
    for answer in answers:
        entries = reapi.BatchUpdateBlobsResponse.FromString(answer).responses
        assert not any(each.status.code for each in entries)
    figure = Figure(
        name=f"batch update, {count} blobs of 4 KiB",
        ours=median(taken),
        floor=median(hashed),
        floor_name="bare grpcio moving the same bytes, and hashlib",
        target=1.5,
        peers=dict(zip(servers.peers, map(median, others), strict=True)),
        samples=rounds,
    )
    yield figure
    yield replace(
        figure,
        floor=median(kept),
        floor_name="bare grpcio moving the same bytes, and hashlib, and a dict that keeps them",
        target=None,
    )


def _read(servers: Pair, digests: list[Digest], rounds: int, count: int) -> Figure:
    requests = read_requests(digests)
    answers = [servers.ours.unary(BATCH_READ, each) for each in requests]
    for answer in answers:
        entries = reapi.BatchReadBlobsResponse.FromString(answer).responses
        assert all(len(each.data) == PIECE for each in entries)
    servers.bare.configure([max(map(len, answers))])
    sizes = [len(each) for each in answers]

    def read(wire: Wire, _number: int) -> None:
        for each in requests:
            hash_pieces(wire.unary(BATCH_READ, each))

    def bare(_number: int) -> None:
        for each, size in zip(requests, sizes, strict=True):
            hash_pieces(servers.bare.unary("/bare/Unary", each)[:size])

    reads = [partial(read, wire) for wire in (servers.ours, *servers.peers.values())]
    floor, taken, *others = interleaved(rounds, bare, *reads, warm_up=1)
    return Figure(
        name=f"batch read, {count} blobs of 4 KiB",
        ours=median(taken),
        floor=median(floor),
        floor_name="bare grpcio moving the same bytes, and hashlib, in the client for both",
        target=1.5,
        peers=dict(zip(servers.peers, map(median, others), strict=True)),
        samples=rounds,
    )
