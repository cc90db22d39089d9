"""Suites from `Action` values, for assertions in tests."""

from __future__ import annotations

from collections.abc import Iterable

from rpw_fixture.client.action import Action
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.recording import worker_identity
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction, SuiteWorker
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.key import Ability

_DEFAULT_TIMEOUT = 10.0


def suites(actions: Iterable[Action]) -> list[Suite]:
    """Return a suite for each worker that the actions need, in their order; equal actions count once.

    Every action is expected to end with exit code 0. Its name is its target, else its first output.

    Raises:
        ConfigError: no worker can run an action: it has no flagfile, or an unknown protocol.
    """
    groups: dict[object, tuple[SuiteWorker, list[SuiteAction]]] = {}
    names: dict[str, int] = {}
    for number, action in enumerate(dict.fromkeys(actions), start=1):
        worker = _worker(action, number)
        _, members = groups.setdefault(worker_identity(worker), (worker, []))
        members.append(_action(action, number, names))
    return [Suite(worker=worker, actions=tuple(members)) for worker, members in groups.values()]


def _worker(action: Action, number: int) -> SuiteWorker:
    has = {
        ability.value: action.platform.get(f"persistentWorker{ability.capitalize()}") == "1"
        for ability in Ability
    }
    return SuiteWorker(
        command=action.arguments,
        tool_inputs=action.tool_inputs,
        protocol=_protocol(action, number),
        timeout=action.timeout or _DEFAULT_TIMEOUT,
        environment=tuple(action.environment.items()),
        working_directory=action.working_directory,
        multiplex=has["multiplex"],
        sandbox=has["sandbox"],
        cancellation=has["cancellation"],
    )


def _protocol(action: Action, number: int) -> WorkerProtocol:
    protocol = action.protocol or WorkerProtocol.PROTO
    if protocol not in set(WorkerProtocol):
        known = " and ".join(WorkerProtocol)
        raise ConfigError(f"action {number}: protocol is {protocol!r}; allowed: {known}")
    return WorkerProtocol(protocol)


def _action(action: Action, number: int, names: dict[str, int]) -> SuiteAction:
    if action.flagfile is None:
        raise ConfigError(f"action {number} has no flagfile, so no worker can run it")
    name = action.target or (action.outputs[0] if action.outputs else f"action {number}")
    names[name] = names.get(name, 0) + 1
    return SuiteAction(
        name=name if names[name] == 1 else f"{name} #{names[name]}",
        arguments=action.flagfile,
        inputs=action.inputs,
        outputs=action.outputs,
        flagfile=action.flagfile_path,
    )
