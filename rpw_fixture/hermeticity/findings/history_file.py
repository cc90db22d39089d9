"""The file with the requests of a reproducer: ``history.json`` beside its suite.

A request names an action of the suite, and says how a check changed it. Equal requests in a row stand
once, with their number. Requests to workers that ended in the same place before stand apart.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from rpw_fixture.client.inputs import EmptyFolder, Entry, File, Symlink
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction
from rpw_fixture.hermeticity.trials.trial import (
    BASE,
    Interruption,
    Predecessor,
    RunMode,
    Step,
    Variation,
)

NAME = "history.json"
_SCHEMA = 1


class History(NamedTuple):
    """The content of the file: the code of a finding, its requests, their environment, and the mode.

    Attributes:
        code: the code.
        steps: the requests.
        variation: the environment.
        mode: how the requests are run.
        predecessors: workers that run and end in the same place before.
        started_with: the action whose inputs are there when the worker starts, if not the first one.
    """

    code: str
    steps: tuple[Step, ...]
    variation: Variation = BASE
    mode: RunMode = RunMode.WORKER
    predecessors: tuple[Predecessor, ...] = ()
    started_with: SuiteAction | None = None

    @classmethod
    def of(cls, finding: Finding) -> History:
        """Return what shows a finding."""
        shown = finding.trial
        if shown is None:
            return cls(finding.code, finding.history, finding.variation, finding.mode)
        return cls(
            finding.code,
            shown.history,
            shown.variation,
            shown.mode,
            shown.predecessors,
            shown.started_with,
        )

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """The requests to all workers, in their order."""
        earlier = (step for each in self.predecessors for step in each.history)
        return (*earlier, *self.steps)


def write(folder: Path, history: History, suite: Suite, names: Mapping[str, str]) -> None:
    """Write the file.

    Args:
        folder: the reproducer.
        history: what to replay.
        suite: the suite with the unchanged actions.
        names: names of the actions in the reproducer's suite, by their names in ``suite``.
    """
    writer = _Writer(suite, names)
    document: dict[str, Any] = {
        "schema": _SCHEMA,
        "code": history.code,
        "requests": writer.requests(history.steps),
        "environment": _variation(history.variation),
    }
    if history.mode is not RunMode.WORKER:
        document["mode"] = history.mode.name
    if history.predecessors:
        document["earlier_workers"] = [writer.earlier(each) for each in history.predecessors]
    if history.started_with is not None:
        document["started_with"] = writer.request(Step(action=history.started_with))
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (folder / NAME).write_text(text, encoding="utf-8")


def read(folder: Path, suite: Suite) -> History:
    """Return what a reproducer replays.

    Raises:
        ConfigError: the file can't be read, or does not fit the suite.
    """
    path = folder / NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        steps = _steps(document["requests"], suite)
        started_with = document.get("started_with")
        return History(
            code=document["code"],
            steps=steps,
            variation=_read_variation(document["environment"]),
            mode=RunMode[document.get("mode", RunMode.WORKER.name)],
            predecessors=tuple(
                _earlier(each, suite) for each in document.get("earlier_workers", ())
            ),
            started_with=None if started_with is None else _step(started_with, suite).action,
        )
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: does not fit the suite beside it: {error!r}") from None


class _Writer(NamedTuple):
    """Writes requests for actions of a suite, which have other names in the reproducer's suite."""

    suite: Suite
    names: Mapping[str, str]

    def requests(self, steps: tuple[Step, ...]) -> list[dict[str, Any]]:
        return [{"times": len(list(some)), **self.request(step)} for step, some in groupby(steps)]

    def request(self, step: Step) -> dict[str, Any]:
        name = step.action.name
        return _request(step, self.suite.action(name), self.names[name])

    def earlier(self, worker: Predecessor) -> dict[str, Any]:
        fields: dict[str, Any] = {"requests": self.requests(worker.history)}
        if worker.interruption is not Interruption.NEVER:
            fields |= {"killed": worker.interruption.name, "delay": worker.delay}
        return fields


def _earlier(fields: Mapping[str, Any], suite: Suite) -> Predecessor:
    interruption = Interruption[fields.get("killed", Interruption.NEVER.name)]
    history = _steps(fields["requests"], suite)
    return Predecessor(history=history, interruption=interruption, delay=fields.get("delay", 0.0))


def _steps(requests: Iterable[Mapping[str, Any]], suite: Suite) -> tuple[Step, ...]:
    """Return the requests of one worker, each as often as it was sent."""
    return tuple(step for each in requests for step in (_step(each, suite),) * each["times"])


def _request(step: Step, plain: SuiteAction, name: str) -> dict[str, Any]:
    action = step.action
    fields: dict[str, Any] = {"action": name}
    if action.variant:
        fields["changed"] = action.variant
        if action.arguments != plain.arguments:
            fields["arguments"] = list(action.arguments)
        paths = [*plain.inputs, *(path for path in action.inputs if path not in plain.inputs)]
        fields["inputs"] = {
            path: _as_json(action.inputs.get(path))
            for path in paths
            if action.inputs.get(path) != plain.inputs.get(path)
        }
    for each in _step_fields():
        value = getattr(step, each.name)
        if value != each.default:
            fields[each.name] = _plain(value)
    return fields


def _step_fields() -> list[dataclasses.Field[Any]]:
    """Return the fields of a step that say how an action is requested."""
    return [each for each in dataclasses.fields(Step) if each.name != "action"]


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    return {path: _encoded(content) for path, content in value} if _is_files(value) else value


def _is_files(value: Any) -> bool:
    return isinstance(value, tuple)


def _read_field(field: dataclasses.Field[Any], value: Any) -> Any:
    if isinstance(field.default, Enum):
        return type(field.default)[value]
    if _is_files(field.default):
        return tuple((path, _decoded(content)) for path, content in value.items())
    return value


def _step(fields: Mapping[str, Any], suite: Suite) -> Step:
    action = suite.action(fields["action"])
    if "changed" in fields:
        inputs = dict(action.inputs)
        for path, entry in fields["inputs"].items():
            if entry is None:
                inputs.pop(path, None)
            else:
                inputs[path] = _from_json(entry)
        arguments = tuple(fields.get("arguments", action.arguments))
        action = action.changed(
            fields["changed"], arguments=arguments, inputs=MappingProxyType(inputs)
        )
    more = {
        each.name: _read_field(each, fields[each.name])
        for each in _step_fields()
        if each.name in fields
    }
    return Step(action=action, **more)


def _as_json(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    if isinstance(entry, File):
        return {"content": _encoded(entry.content), "executable": entry.is_executable}
    return {"target": entry.target} if isinstance(entry, Symlink) else {}


def _from_json(fields: Mapping[str, Any]) -> Entry:
    if "content" in fields:
        return File(_decoded(fields["content"]), fields["executable"])
    return Symlink(fields["target"]) if "target" in fields else EmptyFolder()


def _encoded(content: bytes) -> str | dict[str, str]:
    """Return content as text if it is text, because people read these files."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _decoded(value: str | Mapping[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


def _variation(variation: Variation) -> dict[str, Any]:
    """Return what differs from the usual environment."""
    return {
        each.name: getattr(variation, each.name)
        for each in dataclasses.fields(variation)
        if getattr(variation, each.name) != each.default
    }


def _read_variation(fields: Mapping[str, Any]) -> Variation:
    return Variation(**{name: _tuples(value) for name, value in fields.items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
