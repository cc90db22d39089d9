"""A hit in the action cache."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.wire.digests import message_of
from rpw_fixture.wire.protos import remote_execution as reapi

from .figures import Effort, Figure
from .pair import pair
from .sampling import interleaved, median
from .wire import ACTION_RESULT
from .workload import check, upload, worker_action


def figures(effort: Effort) -> Iterator[Figure]:
    """GetActionResult of an action with one output."""
    rounds = effort.pick(smoke=1, quick=300, full=2000)
    with pair() as servers:
        (ready,) = upload(servers.client, [worker_action()], is_cached=True)
        check([servers.execute(ready)])
        request = reapi.GetActionResultRequest(
            action_digest=message_of(ready.digest)
        ).SerializeToString()
        answer = servers.ours.unary(ACTION_RESULT, request)
        assert len(reapi.ActionResult.FromString(answer).output_files) == 1
        servers.bare.configure([len(answer)])
        ours, bare = interleaved(
            rounds,
            lambda _: servers.ours.unary(ACTION_RESULT, request),
            lambda _: servers.bare.unary("/bare/Unary", request),
            warm_up=20,
        )
    yield Figure(
        name="action-cache hit",
        ours=median(ours),
        floor=median(bare),
        floor_name="no-op unary call",
        target=1.3,
        samples=rounds,
    )
