"""FindMissingBlobs with ten thousand digests."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.wire.digests import SHA256, Digest, message_of
from rpw_fixture.wire.protos import remote_execution as reapi

from .blobs import random_blobs, update_requests
from .figures import Effort, Figure
from .pair import Pair, pair
from .sampling import interleaved, median
from .wire import BATCH_UPDATE, FIND_MISSING

_DIGESTS = 10_000
_BLOB_BYTES = 64


def figures(effort: Effort) -> Iterator[Figure]:
    """Half of them there, all of them there, none of them there."""
    rounds = effort.pick(smoke=1, quick=15, full=60)
    count = effort.pick(smoke=20, quick=_DIGESTS, full=_DIGESTS)
    present = random_blobs(count, _BLOB_BYTES)
    absent = [SHA256.of(b"absent %d" % number) for number in range(count)]
    there = list(present)
    mixed = [each for pair_ in zip(there, absent, strict=True) for each in pair_][:count]
    with pair(with_peers=True) as servers:
        servers.client.upload(present)
        for peer in servers.peers.values():
            for batch in update_requests(present):
                peer.unary(BATCH_UPDATE, batch)
        servers.bare.unary("/bare/Know", _request(there))
        for name, digests, target in (
            ("half of them there", mixed, 1.5),
            ("all of them there", there, None),
            ("none of them there", absent, None),
        ):
            ours, bare, peers = _measure(servers, _request(digests), rounds)
            yield Figure(
                name=f"find-missing, {count} digests, {name}",
                ours=ours,
                floor=bare,
                floor_name="the same message echoed by bare grpcio with set look-ups",
                target=target,
                peers=peers,
                samples=rounds,
            )


def _measure(servers: Pair, request: bytes, rounds: int) -> tuple[float, float, dict[str, float]]:
    """Medians of both servers, which must agree, and of peers."""
    assert _missing(servers.ours.unary(FIND_MISSING, request)) == _missing(
        servers.bare.unary("/bare/FindMissing", request)
    )
    ours, bare, *others = interleaved(
        rounds,
        lambda _: servers.ours.unary(FIND_MISSING, request),
        lambda _: servers.bare.unary("/bare/FindMissing", request),
        *(
            lambda _, peer=peer: peer.unary(FIND_MISSING, request)
            for peer in servers.peers.values()
        ),
    )
    return median(ours), median(bare), dict(zip(servers.peers, map(median, others), strict=True))


def _request(digests: list[Digest]) -> bytes:
    return reapi.FindMissingBlobsRequest(blob_digests=map(message_of, digests)).SerializeToString()


def _missing(answer: bytes) -> set[str]:
    response = reapi.FindMissingBlobsResponse.FromString(answer)
    return {each.hash for each in response.missing_blob_digests}
