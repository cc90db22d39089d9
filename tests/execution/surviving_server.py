"""A server that must come through unharmed, and actions for it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from rpw_fixture.client.action import Action
from rpw_fixture.events.kinds import InternalError, WorkerRetired
from rpw_fixture.server import Server

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers" / "python"


def worker_action(name: str, *, data: bytes = b"text", **inputs: bytes) -> Action:
    """An action for the well-behaved worker."""
    tools = {f"tools/{each}": SAMPLES / each for each in ("good.py", "rpw_worker.py")}
    return Action(
        arguments=[sys.executable, "tools/good.py"],
        flagfile=["--in", "in.txt", "--out", f"{name}.txt"],
        inputs={"in.txt": data, **inputs},
        tool_inputs=tools,
        outputs=[f"{name}.txt"],
        worker_key="good",
    )


@contextlib.contextmanager
def unharmed(**config: object) -> Iterator[Server]:
    """A server whose warm worker must be there still when the block has done its worst."""
    with Server(**config) as server:
        before = server.run(worker_action("before"))
        yield server
        after = server.run(worker_action("after"))
        assert after.worker == before.worker
        assert after.reused
        assert server.events.of(WorkerRetired) == []
        assert server.events.of(InternalError) == []
