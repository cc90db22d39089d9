"""The JSON schema of suite files; `suite_file` takes its known keys from it.

A TOML file is validated as the JSON value that it stands for.
"""

from __future__ import annotations

from typing import Any

from rpw_fixture.hermeticity.suites.suite import USUAL_FLAGFILE

_GLOBS = "globs, relative to the suite's folder, or to root"


def _texts(meaning: str, **more: object) -> dict[str, Any]:
    return {"description": meaning, "type": "array", "items": {"type": "string"}, **more}


def _text(meaning: str, **more: object) -> dict[str, Any]:
    return {"description": meaning, "type": "string", **more}


def _flag(meaning: str, *, default: bool = False) -> dict[str, Any]:
    return {"description": meaning, "type": "boolean", "default": default}


_ROOT = _text("a folder that stands for the input root: globs and their matches are relative to it")
_WORKING_DIRECTORY = _text("working directory, relative to the input root", default="")

#: The keys of [worker].
WORKER_KEYS: dict[str, Any] = {
    "command": _texts("startup arguments, without --persistent_worker", minItems=1),
    "tool_inputs": _texts(f"the files of the tool: {_GLOBS}"),
    "protocol": _text("the worker protocol", enum=["proto", "json"], default="proto"),
    "multiplex": _flag("requests may overlap"),
    "sandbox": _flag("the worker supports sandbox_dir"),
    "cancellation": _flag("the worker supports cancel requests"),
    "timeout": {
        "description": "time limit for one request, seconds",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 10,
    },
    "env": {
        "description": "environment variables; PATH, HOME and TMPDIR are set in any case",
        "type": "object",
        "propertyNames": {"pattern": "^[^=\\u0000]+$"},
        "additionalProperties": {"type": "string"},
    },
    "root": _ROOT,
    "working_directory": _WORKING_DIRECTORY,
    "flagfile": _text(
        "how the tool takes its flagfile; {} stands for the path. As with Bazel, a request has the "
        "lines of the file for @{}, and the argument itself otherwise",
        pattern=r"^[^{}]*\{\}[^{}]*$",
        default=USUAL_FLAGFILE,
    ),
    "one_shot": _flag("the tool also works without --persistent_worker", default=True),
    "readable": _texts("files and folders outside that belong to the tool, such as node_modules"),
}
#: The keys of [[action]].
ACTION_KEYS: dict[str, Any] = {
    "name": _text(
        "its name in findings, and the name of its flagfile NAME.params",
        pattern=r"^[^\s@/\\-][^/\\\u0000-\u001f]*$",
    ),
    "arguments": {
        "description": "the lines of the flagfile",
        "type": "array",
        "items": {"type": "string", "pattern": r"^[^\r\n]*$"},
    },
    "inputs": _texts(f"the inputs: {_GLOBS}"),
    "outputs": _texts("paths of files and folders, relative to the working directory"),
    "exit_code": {"description": "the expected exit code", "type": "integer", "default": 0},
    "root": _ROOT,
    "working_directory": _text(
        "working directory, relative to the input root; default: the worker's. Actions with "
        "different working directories run on different workers"
    ),
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "suite of rpw_fixture check",
    "type": "object",
    "properties": {
        "worker": {
            "description": "the worker under test",
            "type": "object",
            "properties": WORKER_KEYS,
            "required": ["command"],
            "additionalProperties": False,
        },
        "action": {
            "description": "the actions that it is checked with",
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": ACTION_KEYS,
                "required": ["name"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["worker", "action"],
    "additionalProperties": False,
}
