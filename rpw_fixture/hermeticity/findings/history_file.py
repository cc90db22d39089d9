"""The file with the requests of a reproducer: ``history.json`` beside its suite.

A request names an action of the suite, and says how a check changed it. Equal requests in a row stand
once, with their number.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from enum import Enum
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from rpw_fixture.client.inputs import EmptyFolder, Entry, File, Symlink
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction
from rpw_fixture.hermeticity.trials.trial import BASE, RunMode, Step, Variation

NAME = "history.json"
_SCHEMA = 1


class History(NamedTuple):
    """What a reproducer replays: the code of its finding, the requests, the environment, and how."""

    code: str
    steps: tuple[Step, ...]
    variation: Variation = BASE
    mode: RunMode = RunMode.WORKER


def write(folder: Path, history: History, suite: Suite, names: Mapping[str, str]) -> None:
    """Write the file.

    Args:
        folder: the reproducer.
        history: what to replay.
        suite: the suite with the unchanged actions.
        names: names of the actions in the reproducer's suite, by their names in ``suite``.
    """
    requests = [
        {
            "times": len(list(some)),
            **_request(step, suite.action(step.action.name), names[step.action.name]),
        }
        for step, some in groupby(history.steps)
    ]
    document = {
        "schema": _SCHEMA,
        "code": history.code,
        "requests": requests,
        "environment": _variation(history.variation),
        **({"mode": history.mode.name} if history.mode is not RunMode.WORKER else {}),
    }
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
        steps = tuple(
            step for each in document["requests"] for step in (_step(each, suite),) * each["times"]
        )
        mode = RunMode[document.get("mode", RunMode.WORKER.name)]
        return History(document["code"], steps, _read_variation(document["environment"]), mode)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: does not fit the suite beside it: {error!r}") from None


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
