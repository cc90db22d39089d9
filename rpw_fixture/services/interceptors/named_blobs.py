"""Finds the blobs that a request names, for interceptors.

Digests are not validated; the services do that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from rpw_fixture.errors import RequestError
from rpw_fixture.wire.digests import Digest, DigestFunctions, digest_of
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.resource_names import BlobName, parse_read, parse_write

#: RPCs whose requests name blobs, by what they do with the blobs.
READS = frozenset({"Read", "BatchReadBlobs"})
WRITES = frozenset({"Write", "BatchUpdateBlobs"})
FINDS = frozenset({"FindMissingBlobs"})


def named(rpc: str, request: Any, functions: DigestFunctions) -> tuple[Any, Iterable[Digest]]:
    """Return the request for the handler, and the blobs that it names.

    Args:
        rpc: simple name of the RPC; only requests of those above name blobs.
        request: the request, or an iterator of requests, of which the first one is read.
        functions: the server's digest functions, for resource names.
    """
    if rpc == "Read":
        return request, _digest(parse_read, request.resource_name, functions)
    if rpc == "Write":
        first = list(islice(request, 1))
        digests = [_digest(parse_write, each.resource_name, functions) for each in first]
        return chain(first, request), chain(*digests)
    find = _IN_MESSAGE.get(rpc)
    return request, find(request) if find is not None else ()


def _digest(
    parse: Callable[[str, DigestFunctions], BlobName], name: str, functions: DigestFunctions
) -> list[Digest]:
    try:
        return [parse(name, functions).digest]
    except RequestError:  # the service reports it to the client
        return []


def _in_update(request: reapi.BatchUpdateBlobsRequest) -> Iterator[Digest]:
    return (digest_of(entry.digest) for entry in request.requests)


_IN_MESSAGE: Mapping[str, Callable[[Any], Iterable[Digest]]] = {
    "FindMissingBlobs": lambda request: map(digest_of, request.blob_digests),
    "BatchReadBlobs": lambda request: map(digest_of, request.digests),
    "BatchUpdateBlobs": _in_update,
}
