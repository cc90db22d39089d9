"""Small calls while hundreds of clients wait for their actions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rpw_fixture import Action
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi

from .figures import Effort, Figure
from .pair import Pair, pair
from .sampling import interleaved, percentile
from .wire import CANCEL, EXECUTE, FIND_MISSING
from .workload import upload

_STREAMS = 200
#: It waits for input that never comes, and costs nothing while it does.
_WAITING = ("/bin/sh", "-c", "sleep 600")


def figures(effort: Effort) -> Iterator[Figure]:
    """The slowest hundredth of find-missing calls to a busy server, and to a calm one beside it."""
    rounds = effort.pick(smoke=3, quick=500, full=3000)
    count = effort.pick(smoke=6, quick=_STREAMS, full=_STREAMS)
    request = reapi.FindMissingBlobsRequest(
        blob_digests=[reapi.Digest(hash=f"{number:064x}", size_bytes=1) for number in range(20)]
    ).SerializeToString()
    with pair() as calm, pair() as busy:
        streams = _open(busy, count)
        names = [longrunning.Operation.FromString(next(each)).name for each in streams]
        quiet, beside = interleaved(
            rounds,
            lambda _: calm.ours.unary(FIND_MISSING, request),
            lambda _: busy.ours.unary(FIND_MISSING, request),
            warm_up=20,
        )
        for name in names:
            cancel = longrunning.CancelOperationRequest(name=name)
            busy.ours.unary(CANCEL, cancel.SerializeToString())
        ends = [longrunning.Operation.FromString(list(each)[-1]) for each in streams]
    assert all(each.done for each in ends)
    yield Figure(
        name=f"unary p99 beside {count} open Execute streams",
        ours=percentile(beside, 99),
        floor=percentile(quiet, 99),
        floor_name="the same beside none, on a second server of ours",
        target=2,
        samples=rounds,
    )


def _open(servers: Pair, count: int) -> list[Any]:
    actions = [Action(arguments=_WAITING, salt=b"%d" % number) for number in range(count)]
    ready = upload(servers.client, actions)
    return [servers.ours.open(EXECUTE, each.request) for each in ready]
