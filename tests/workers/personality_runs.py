"""What each personality does with actions: where they run, and what the worker sees there.

Both are found out once for a personality and used by many tests.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from rpw_fixture.client import ActionOutcome
from rpw_fixture.client.action import Action
from rpw_fixture.client.inputs import File
from rpw_fixture.events.kinds import ActionRouted, WorkerStarted
from rpw_fixture.server import Server
from rpw_fixture.workers.personalities import all_personalities, names

from .worker_actions import probe_action, tools_of

#: What makes every server send an action to a worker.
EVERYWHERE = {"supports-workers": "1"}
EVERY = pytest.mark.parametrize("name", names())


def by_rule(rule: str) -> list[object]:
    """Each personality's name with its value of a rule."""
    return [
        pytest.param(each.name, getattr(each, rule).value, id=each.name)
        for each in all_personalities()
    ]


def probe(*arguments: str, startup: Sequence[str] = (), **others: object) -> Action:
    """An action of the probe, whose launcher bears any first argument, as a JVM's does not."""
    action = probe_action(*arguments, **{"platform": EVERYWHERE, **others})
    launcher = f'#!/bin/sh\nexec {sys.executable} "${{0%/*}}/probe.py" "$@"\n'.encode()
    for entries in ("tool_inputs", "inputs"):
        held = getattr(action, entries)
        folder = next((each.removesuffix("probe.py") for each in held if "probe.py" in each), None)
        if folder is not None:
            path = f"{folder}run"
            action = action.replace(**{entries: {**held, path: File(launcher, is_executable=True)}})
            relative = path.removeprefix(f"{action.working_directory}/")
            return action.with_arguments(relative, *startup)
    raise AssertionError("the action has no probe")


def lame(*arguments: str, **others: object) -> Action:
    """An action whose worker ends at once: enough to see where it is sent, and soon over."""
    return probe(**others).with_arguments("/bin/false", *arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """What a worker of one personality was seen to get, in one life.

    Attributes:
        first, second, failed, last: outcomes of actions of the same key, one after the other.
        argv: the command line that started it.
        workers: how many were started.
    """

    first: ActionOutcome
    second: ActionOutcome
    failed: ActionOutcome
    last: ActionOutcome
    argv: tuple[str, ...]
    workers: int


@functools.cache
def portrait(name: str) -> Portrait:
    """Runs four actions with one key under a personality."""
    environment = {"OWN": "1"}
    with pytest.MonkeyPatch.context() as patch, Server(personality=name) as server:
        patch.setenv("SENTINEL", "the server's")

        def run(*arguments: str, path: str) -> ActionOutcome:
            action = probe(*arguments, environment=environment, inputs={path: "x"})
            outcome = server.run(action)
            outcome.outputs.fetch()  # now, while the server is there
            return dataclasses.replace(outcome, logs=dict(outcome.logs))

        return Portrait(
            first=run("--say", "text", "--noise", "noise", path="src/x"),
            second=run("--leave", "out/left", path="src/old"),
            failed=run("--exit", "3", "--leave", "out/failed", path="src/failed"),
            last=run(path="src/new"),
            argv=tuple(server.events.of(WorkerStarted)[0].startup_arguments),
            workers=len(server.events.of(WorkerStarted)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """Where an action went.

    Attributes:
        mode: ``worker``, ``one-shot``, or the status with which the action was refused.
        reason: of the route, or the status's message.
        key: of its worker.
        argv: the command line that started it.
    """

    mode: str
    reason: str
    key: str | None = None
    argv: tuple[str, ...] = ()


def route_of(server: Server, action: Action) -> Routed:
    """Execute an action; return where it ran."""
    outcome = server.client.run(action, check=False)
    events = server.events.snapshot()
    routes = [e for e in events if getattr(e, "operation", "") == outcome.operation]
    found = next((e for e in routes if isinstance(e, ActionRouted)), None)
    if found is None or found.reason.startswith("refused"):
        return Routed(mode=outcome.status, reason=outcome.message)
    started = [e for e in events if isinstance(e, WorkerStarted) and e.key == found.key]
    argv = tuple(started[0].startup_arguments) if started else ()
    return Routed(mode=found.mode, reason=found.reason, key=found.key, argv=argv)


@functools.cache
def routes(name: str) -> Mapping[str, Routed]:
    """Where the actions of `CASES` go under a personality."""
    with Server(personality=name, jobs=8) as server, ThreadPoolExecutor(8) as threads:
        found = threads.map(lambda action: route_of(server, action), CASES.values())
        return dict(zip(CASES, found, strict=True))


def cases() -> Mapping[str, Action]:
    """Actions that differ in what servers look at, each with a separate key or command line."""
    base = lame(worker_key="base").with_tool_input("tools/extra", b"1")
    late = lame(worker_key="late").replace(
        arguments=("/bin/false", "@action.params", "--late"),
        flagfile=None,
        inputs={"action.params": "--out\nout/seen\n"},
    )
    xml = {"persistentWorkerProtocol": "xml", "requires-worker-protocol": "xml"}
    unmarked = lame(worker_key="unmarked", tool_inputs={}, inputs=tools_of("probe.py"))
    return {
        "base": base,
        "late flagfile": late,
        "no flagfile": lame("--none", worker_key="none").replace(flagfile=None),
        "xml": lame("--xml", worker_key="xml", platform={**EVERYWHERE, **xml}),
        "bare program": lame(environment={"PATH": "/bin"}).with_arguments("false", "--bare"),
        "unmarked": unmarked.with_arguments("/bin/false", "--unmarked"),
        "unmarked program": unmarked.with_arguments("tools/run", "--unmarked"),
        **{name: lame("--trigger", name, **how) for name, (how, _) in TRIGGERED.items()},
        **{name: lame("--split", name, worker_key=name) for name in SPLITS},
        **{name: change(base) for name, (change, _) in CHANGES.items()},
    }


TRIGGERED = {
    "persistentWorkerKey": ({"worker_key": "k", "platform": {}}, {"nativelink"}),
    "supports-workers": (
        {"worker_key": None, "platform": {"supports-workers": "1"}},
        set(names()) - {"nativelink", "buildbarn-adr13"},
    ),
    "persistent-workers": (
        {"worker_key": None, "platform": {"persistent-workers": "true"}},
        set(names()) - {"buildbuddy"},
    ),
}


SPLITS = {
    # arguments between the script and the flagfile → those that start the worker, by personality
    "@@lit": {
        "nativelink": [],
        "buildfarm": [],
        "buildbarn-255": ["@@lit"],
        "buildbarn-adr13": ["@@lit"],
        "else": [],
    },
    "--flagfile=lit": {"nativelink": ["--flagfile=lit"], "else": []},
    "@x//y:z": {"buildbarn-255": ["@x//y:z"], "else": []},
    "@": {"nativelink": [], "buildfarm": [], "else": ["@"]},
}


CHANGES = {
    "client key": (lambda it: it.with_worker_key("other"), "persistentWorkerKey"),
    "tool content": (lambda it: it.with_tool_input("tools/extra", b"2"), "tool input"),
    "environment": (lambda it: it.with_environment(LANG="C"), "environment"),
    "startup": (lambda it: it.with_arguments(*it.arguments, "--more"), "startup argument"),
    "property": (lambda it: it.with_platform(OSFamily="linux"), "platform"),
    "silo": (lambda it: it.with_platform(**{"cache-silo-key": "b"}), "cache-silo-key"),
    "mnemonic": (lambda it: it.replace(mnemonic="Other"), "mnemonic"),
}
CASES = cases()
