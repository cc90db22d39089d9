"""The file with the requests of a reproducer: ``history.json`` beside its suite.

A request names an action of the suite, and says how a check changed it. Equal requests in a row stand
once, with their number.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from rpw_fixture.client.inputs import EmptyFolder, Entry, File, Symlink
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction
from rpw_fixture.hermeticity.trials.trial import BASE, Delivery, Listing, Step, Variation

NAME = "history.json"
_SCHEMA = 1


class History(NamedTuple):
    """What a reproducer replays: the code of its finding, the requests, the environment."""

    code: str
    steps: tuple[Step, ...]
    variation: Variation = BASE


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
        return History(document["code"], steps, _read_variation(document["environment"]))
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
    if step.planted:
        fields["planted"] = {path: _encoded(content) for path, content in step.planted}
    if step.listing is not Listing.HEX:
        fields["listing"] = step.listing.name
    if step.delivery is not Delivery.WHOLE:
        fields["delivery"] = step.delivery.name
    if step.is_extended:
        fields["extended"] = True
    return fields


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
    return Step(
        action=action,
        listing=Listing[fields.get("listing", Listing.HEX.name)],
        planted=tuple((path, _decoded(each)) for path, each in fields.get("planted", {}).items()),
        is_extended=fields.get("extended", False),
        delivery=Delivery[fields.get("delivery", Delivery.WHOLE.name)],
    )


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
