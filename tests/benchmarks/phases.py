"""Where the time of an action goes: between which of its timestamps, as the server reports them.

The clocks of client and server are the same here, so the way to the server and back counts too.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi

from .figures import Effort, Figure
from .one_shot import action as one_shot_action
from .pair import Pair, pair
from .sampling import median
from .workload import Ready, changed, check, upload, worker_action

_POINTS = (
    "queued",
    "worker_start",
    "input_fetch_start",
    "input_fetch_completed",
    "execution_start",
    "execution_completed",
    "output_upload_start",
    "output_upload_completed",
    "worker_completed",
)
_NAMES = ("sent", *_POINTS, "received")
_WARM_UP = 10
_MS = 1000


def figures(effort: Effort) -> Iterator[Figure]:
    """The same actions as in `warm_actions` and `one_shot`, taken apart; no targets."""
    count = effort.pick(smoke=1, quick=100, full=400) + _WARM_UP
    with pair() as servers:
        for name, actions in (
            ("warm action, 20 inputs", changed(worker_action(), count)),
            ("warm action, 2000 inputs", changed(worker_action(files=2000), count)),
            ("one-shot action", [one_shot_action(number) for number in range(count)]),
        ):
            runs = [_run(servers, each) for each in upload(servers.client, actions)][_WARM_UP:]
            for begin, end in itertools.pairwise(range(len(_NAMES))):
                yield Figure(
                    name=f"{name}: {_NAMES[begin]} → {_NAMES[end]}",
                    ours=median([run[end] - run[begin] for run in runs]),
                    samples=len(runs),
                )


def _run(servers: Pair, action: Ready) -> list[float]:
    """When one action was at each of `_NAMES`, milliseconds since the epoch."""
    sent = time.time() * _MS
    answer = servers.execute(action)
    received = time.time() * _MS
    check([answer])
    response = reapi.ExecuteResponse()
    longrunning.Operation.FromString(answer[-1]).response.Unpack(response)
    metadata = response.result.execution_metadata
    points = [getattr(metadata, f"{each}_timestamp").ToNanoseconds() / 1e6 for each in _POINTS]
    return [sent, *points, received]
