"""Actions for the sample workers and a probe, and running them beside the test."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from rpw_fixture.client import ActionOutcome, Client
from rpw_fixture.client.action import Action
from rpw_fixture.errors import RpwError
from rpw_fixture.events.kinds import Event, RequestSent
from rpw_fixture.testing.endpoint import Endpoint
from tests.waiting import PATIENCE, until

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers" / "python"
TOOLS = Path(__file__).resolve().parent / "tools"
MULTIPLEX = MappingProxyType({"persistentWorkerMultiplex": "1"})
SANDBOX = MappingProxyType({**MULTIPLEX, "persistentWorkerSandbox": "1"})
CANCELLATION = MappingProxyType({"persistentWorkerCancellation": "1"})
#: How the probe and the sample know that they are to serve requests that overlap.
MUX = MappingProxyType({"startup": ("--multiplex",)})
E = TypeVar("E", bound=Event)


def tools_of(script: str) -> dict[str, Path]:
    """The files that a worker needs, by their paths in the input root."""
    names = ("rpw_worker.py", "good.py", "multiplex.py")
    files = {f"tools/{name}": SAMPLES / name for name in names}
    folder = TOOLS if (TOOLS / script).exists() else SAMPLES
    return {**files, f"tools/{script}": folder / script}


def action(
    script: str,
    *arguments: str,
    startup: Sequence[str] = (),
    platform: Mapping[str, str] = MappingProxyType({}),
    **others: Any,
) -> Action:
    """An action of a worker, with these arguments in its flagfile."""
    given: dict[str, Any] = {
        "flagfile": arguments,
        "tool_inputs": tools_of(script),
        "worker_key": "key",
        **others,
    }
    command = (sys.executable, f"tools/{script}", *startup)
    return Action(arguments=command, platform=platform, **given)


def compile_action(name: str, *arguments: str, script: str = "good.py", **others: Any) -> Action:
    """An action of the tiny compiler, on a separate input."""
    given = {"inputs": {f"src/{name}": f"text {name}\n"}, "outputs": [f"out/{name}"], **others}
    flags = ("--in", f"src/{name}", "--out", f"out/{name}", *arguments)
    return action(script, *flags, flagfile_path=f"{name}.params", **given)


def probe_action(*arguments: str, **others: Any) -> Action:
    """An action of the probe, which writes what it sees to ``out/seen``."""
    given: dict[str, Any] = {"outputs": ["out/seen"], "do_not_cache": True, **others}
    return action("probe.py", "--out", given["outputs"][0], *arguments, **given)


def held(folder: Path, name: str, **others: Any) -> Action:
    """An action that touches the file ``name`` when it begins, and ends when ``gate`` is there."""
    flags = ("--started", str(folder / name), "--wait-for", str(folder / "gate"))
    return probe_action(*flags, salt=name.encode(), **others)


def seen(outcome: ActionOutcome) -> dict[str, Any]:
    """What the probe saw."""
    assert outcome.ok, (outcome.status, outcome.message, outcome.stderr)
    (content,) = outcome.outputs.values()
    return dict(json.loads(content))


class Running:
    """An action that is executed in a separate thread.

    Args:
        server: executes it.
        action: what to run.
        client: asks for it; the server's own when not given.
    """

    def __init__(self, server: Endpoint, action: Action, client: Client | None = None) -> None:
        self._server = server
        self._client = client or server.client
        self._action = action
        self._named = threading.Event()
        self._name = ""
        self._outcome: ActionOutcome | None = None
        self._error: RpwError | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome = self._client.run(
                self._action, check=False, skip_cache_lookup=True, on_operation=self._tell
            )
        except RpwError as error:
            self._error = error

    def _tell(self, name: str) -> None:
        self._name = name
        self._named.set()

    @property
    def operation(self) -> str:
        """The name of its operation."""
        assert self._named.wait(PATIENCE)
        return self._name

    def wait_until_sent(self) -> RequestSent:
        """Waits until a worker got the request."""
        return wait_for(self._server, RequestSent, lambda each: each.operation == self.operation)

    def cancel(self) -> None:
        """Cancels it."""
        self._client.cancel(self.operation)

    def result(self) -> ActionOutcome:
        """How it ended.

        Raises:
            RpwError: the call failed, as when the server is stopped.
        """
        self._thread.join(PATIENCE)
        if self._error is not None:
            raise self._error
        assert self._outcome is not None
        return self._outcome


def run_all(server: Endpoint, actions: Iterable[Action]) -> list[ActionOutcome]:
    """Executes all at the same time."""
    running = [Running(server, each) for each in actions]
    return [each.result() for each in running]


def begun(server: Endpoint, folder: Path, name: str, **others: Any) -> Running:
    """Runs an action that is `held`; it has begun."""
    running = Running(server, held(folder, name, **others))
    until((folder / name).exists)
    return running


def wait_for(server: Endpoint, kind: type[E], is_it: Callable[[E], bool] = lambda _: True) -> E:
    """Waits until something of that kind has happened."""

    def found(events: list[Event]) -> list[E]:
        return [each for each in events if isinstance(each, kind) and is_it(each)]

    assert server.events.wait_for(lambda events: bool(found(events)), PATIENCE), kind
    return found(server.events.snapshot())[0]
