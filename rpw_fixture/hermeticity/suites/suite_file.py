"""Reading a suite file: from TOML to a valid `Suite`, or to one message that names the mistake."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rpw_fixture.client.action import checked_path
from rpw_fixture.client.inputs import Entry, read_folder
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites import declared_outputs
from rpw_fixture.hermeticity.suites.suite import (
    USUAL_FLAGFILE,
    Place,
    Suite,
    SuiteAction,
    SuiteWorker,
)
from rpw_fixture.hermeticity.suites.suite_schema import ACTION_KEYS, SCHEMA, WORKER_KEYS
from rpw_fixture.support.paths import join_normalised
from rpw_fixture.support.suggestions import did_you_mean
from rpw_fixture.wire.worker.protocol_names import PERSISTENT_FLAG, WorkerProtocol
from rpw_fixture.workers.key import Ability

#: The longest time limit of a request, seconds: what a server allows an action too.
_LONGEST_TIMEOUT = 86_400.0
#: Allowed names: the flagfile is ``NAME.params``.
_NAME = re.compile(r"[^\s@/\\-][^/\\\0-\x1f]*")


def load(path: Path) -> Suite:
    """Return the suite in a file whose actions have one working directory; see `load_all`.

    Raises:
        ConfigError: as `load_all`, or the actions need several workers.
    """
    suites = load_all(path)
    if len(suites) > 1:
        raise ConfigError(f"{path}: the actions have different working directories")
    return suites[0]


def load_all(path: Path) -> list[Suite]:
    """Return the suite in a file, parted into one for each working directory.

    A process has one working directory, so that servers never send a request to a worker that was
    started in another one.

    Args:
        path: a TOML file; its globs are relative to its folder.

    Raises:
        ConfigError: the message names the file, the line if it is known, and the key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigError(f"{path}: {reason}") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    return _SuiteReader(path, text).suites(document)


class _SuiteReader:
    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._folder = path.resolve().parent

    def suites(self, document: dict[str, Any]) -> list[Suite]:
        self.refuse_unknown(document, SCHEMA["properties"], "", 0)
        worker = document.get("worker")
        actions = document.get("action")
        if not isinstance(worker, dict):
            raise self._error("worker", "a [worker] table is needed")
        if not isinstance(actions, list) or not actions:
            raise self._error("action", "at least one [[action]] table is needed")
        if not all(isinstance(each, dict) for each in actions):
            raise self._error("action", "must be tables, each written as [[action]]")
        tool = self._worker(worker)
        read = [self._action(table, number, tool) for number, table in enumerate(actions)]
        names = [action.name for action, _ in read]
        self._refuse_equal_names(names)
        places = self._places(names)
        return [
            Suite(
                worker=replace(tool, working_directory=folder),
                actions=tuple(action for action, wanted in read if wanted == folder),
                places=places,
            )
            for folder in dict.fromkeys(folder for _, folder in read)
        ]

    def _places(self, names: list[str]) -> Mapping[str, Place]:
        found = {"": Place(str(self._path), self._line_of("worker", 0, "") or 1)}
        for number, name in enumerate(names):
            found[name] = Place(str(self._path), self._line_of("action", number, "") or 1)
        return MappingProxyType(found)

    def _worker(self, table: dict[str, Any]) -> SuiteWorker:
        where = _Table(self, table, "worker", 0)
        where.refuse_unknown(WORKER_KEYS)
        protocol = where.text("protocol", WorkerProtocol.PROTO)
        if protocol not in set(WorkerProtocol):
            raise where.error("protocol", f"is {protocol!r}; allowed: 'proto' and 'json'")
        timeout = where.number("timeout", 10.0)
        if not 0 < timeout <= _LONGEST_TIMEOUT:
            allowed = f"more than 0 seconds, and at most {_LONGEST_TIMEOUT:.0f}"
            raise where.error("timeout", f"is {timeout:g}, but must be {allowed}")
        command = where.texts("command", is_needed=True)
        if not command:
            raise where.error("command", "must name a program")
        if PERSISTENT_FLAG in command:
            problem = (
                f"contains {PERSISTENT_FLAG}, which check adds where it is needed; leave it out"
            )
            raise where.error("command", problem)
        return SuiteWorker(
            command=command,
            tool_inputs=where.files("tool_inputs"),
            protocol=WorkerProtocol(protocol),
            multiplex=where.flag(Ability.MULTIPLEX),
            sandbox=where.flag(Ability.SANDBOX),
            cancellation=where.flag(Ability.CANCELLATION),
            timeout=timeout,
            environment=where.variables("env"),
            working_directory=where.folder("working_directory"),
            flagfile=self._flagfile(where),
            one_shot=where.flag("one_shot", default=True),
            readable=tuple(self._readable(where)),
        )

    def _flagfile(self, where: _Table) -> str:
        given = where.text("flagfile", USUAL_FLAGFILE)
        if given.count("{}") != 1 or len(re.findall(r"[{}]", given)) > 2:
            raise where.error(
                "flagfile",
                f"is {given!r}, but must contain {{}} once, in place of the path, such as '@{{}}'",
            )
        return given

    def _readable(self, where: _Table) -> Iterator[str]:
        for each in where.texts("readable"):
            path = self._folder / each
            if not path.exists():
                raise where.error("readable", f"{path} does not exist")
            yield str(path)

    def _action(
        self, table: dict[str, Any], number: int, tool: SuiteWorker
    ) -> tuple[SuiteAction, str]:
        """Return an action and its working directory."""
        where = _Table(self, table, "action", number)
        where.refuse_unknown(ACTION_KEYS)
        name = where.text("name", None)
        if not _NAME.fullmatch(name):
            raise where.error("name", f"{name!r} can't be part of a file name (NAME.params)")
        base = where.folder("working_directory", tool.working_directory)
        outputs = where.texts("outputs")
        for each in outputs:
            try:
                checked_path(each, "output", base=base)
            except ConfigError as error:
                raise where.error("outputs", str(error)) from None
        arguments = where.texts("arguments")
        for each in arguments:
            if "\n" in each or "\r" in each:
                raise where.error(
                    "arguments", f"{each!r} contains a line break, which a line of a flagfile can't"
                )
        exit_code = where.value("exit_code", int, "a whole number", 0)
        action = SuiteAction(
            name=name,
            arguments=arguments,
            inputs=where.files("inputs"),
            outputs=outputs,
            exit_code=exit_code,
        )
        taken = {
            "an input of the action": action.inputs,
            "a tool input": tool.tool_inputs,
            "the flagfile of the action": [join_normalised(base, action.flagfile)],
        }
        if problem := declared_outputs.conflict(outputs, taken, base):
            raise where.error("outputs", problem)
        return action, base

    def files(self, patterns: tuple[str, ...], root: str) -> Mapping[str, Entry]:
        found = read_folder(self._folder / root, [each.removeprefix("./") for each in patterns])
        return MappingProxyType(dict(sorted(found.items())))

    def _refuse_equal_names(self, names: list[str]) -> None:
        for number, name in enumerate(names):
            if name in names[:number]:
                raise self.error("action", number, "name", f"{name!r} is used twice")

    def refuse_unknown(
        self, table: dict[str, Any], known: Collection[str], section: str, number: int
    ) -> None:
        for key in table:
            if key not in known:
                hint = did_you_mean(key, known) or f"; known keys: {', '.join(known)}"
                raise self.error(section, number, key, f"unknown key{hint}")

    def error(self, section: str, number: int, key: str, problem: str) -> ConfigError:
        line = self._line_of(section, number, key)
        full = f"{section}[{number}].{key}" if section == "action" else f"{section}.{key}"
        place = f"{self._path}:{line}" if line else f"{self._path}"
        return ConfigError(f"{place}: {full.lstrip('.')}: {problem}")

    def _error(self, key: str, problem: str) -> ConfigError:
        return self.error("", 0, key, problem)

    def _line_of(self, section: str, number: int, key: str) -> int:
        """Return the line number of a key, from 1; else that of its table; 0 if neither is found.

        Without a key, return the line of the table.
        """
        header = {"worker": "[worker]", "action": "[[action]]"}.get(section)
        key_line = re.compile(rf"\s*(?:\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
        seen, found = -1, 0
        inside = header is None
        for index, line in enumerate(self._lines, start=1):
            bare = line.split("#")[0].strip()
            if bare.startswith("[") and header is not None and "=" not in bare:
                seen += bare.replace(" ", "") == header
                was_inside, inside = inside, bare.replace(" ", "") == header and seen == number
                inside = inside or (was_inside and bare.startswith(f"[{section}."))
                found = index if inside and not found else found
            if inside and key and key_line.match(line):
                return index
        return found


class _Table:
    """One table of the file; its values are read with their types checked."""

    def __init__(
        self, reader: _SuiteReader, table: dict[str, Any], section: str, number: int
    ) -> None:
        self._reader = reader
        self._table = table
        self._section = section
        self._number = number

    def error(self, key: str, problem: str) -> ConfigError:
        return self._reader.error(self._section, self._number, key, problem)

    def refuse_unknown(self, known: Collection[str]) -> None:
        self._reader.refuse_unknown(self._table, known, self._section, self._number)

    def value(self, key: str, kind: type, expected: str, default: Any) -> Any:
        if key not in self._table:
            if default is None:
                raise self.error(key, f"is missing; it must be {expected}")
            return default
        value = self._table[key]
        if type(value) is not kind:
            raise self.error(key, f"is {value!r}, but must be {expected}")
        return value

    def text(self, key: str, default: str | None) -> str:
        return str(self.value(key, str, "text", default))

    def flag(self, key: str, *, default: bool = False) -> bool:
        return bool(self.value(key, bool, "true or false", default=default))

    def number(self, key: str, default: float) -> float:
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, f"is {value!r}, but must be a number")
        return float(value)

    def texts(self, key: str, *, is_needed: bool = False) -> tuple[str, ...]:
        given = self.value(key, list, "a list of texts", None if is_needed else [])
        for each in given:
            if not isinstance(each, str) or "\0" in each:
                raise self.error(key, f"contains {each!r}, but must be a list of texts")
        return tuple(given)

    def variables(self, key: str) -> tuple[tuple[str, str], ...]:
        given = self.value(key, dict, "a table of texts", {})
        for name, value in given.items():
            if not name or "=" in name or "\0" in name:
                raise self.error(key, f"{name!r} is no name of an environment variable")
            if not isinstance(value, str) or "\0" in value:
                raise self.error(key, f"{name} is {value!r}, but must be a text")
        return tuple(sorted(given.items()))

    def folder(self, key: str, default: str = "") -> str:
        text = self.text(key, default)
        try:
            return checked_path(text, key, or_root=True)
        except ConfigError as error:
            raise self.error(key, str(error)) from None

    def files(self, key: str) -> Mapping[str, Entry]:
        """Return what globs match below ``root``, a folder that stands for the input root."""
        patterns, root = self.texts(key), self.folder("root")
        try:
            return self._reader.files(patterns, root)
        except ConfigError as error:
            raise self.error(key, str(error)) from None
        except OSError as error:
            raise self.error(key, f"{error.filename}: {error.strerror}") from None
