"""Logged actions become recorded ones, which `check` runs; without contents, their keys can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from rpw_fixture.client.inputs import Entry, File, Symlink
from rpw_fixture.errors import RequestError
from rpw_fixture.hermeticity.suites.execution_logs.contents import Contents
from rpw_fixture.hermeticity.suites.execution_logs.selection import Selection
from rpw_fixture.hermeticity.suites.execution_logs.spawns import LoggedFile, LoggedSpawn
from rpw_fixture.hermeticity.suites.recording import RecordedAction
from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.wire.flagfiles import expand

EntryOf = Callable[[LoggedFile, bool], Entry]
#: Time limit of actions that have none, seconds.
_TIMEOUT = 60.0


class UnresolvedError(Exception):
    """The content of a file is missing; says of which, and why."""


class Conversion:
    """Converts the actions of a log.

    Args:
        selection: says what their workers are like.
        contents: has the contents of their inputs.
    """

    def __init__(self, selection: Selection, contents: Contents) -> None:
        self._selection = selection
        self._contents = contents
        self._names: dict[str, int] = {}

    def outlines(self, spawns: Iterable[LoggedSpawn]) -> list[RecordedAction]:
        """Return actions whose files have digests in place of contents: to compare, not to run."""
        self._names.clear()
        return [self._action(each, _outline, ()) for each in spawns]

    def actions(
        self, spawns: Sequence[LoggedSpawn]
    ) -> tuple[list[RecordedAction], Mapping[str, str]]:
        """Return the actions that can be run, and why the others can't, by name."""
        self._names.clear()
        self._contents.find(file for each in spawns for file in each.inputs if not file.target)
        found, skipped = [], {}
        for each in spawns:
            try:
                arguments, flagfiles = self._arguments(each)
                found.append(self._action(each, self._entry, arguments, flagfiles))
            except UnresolvedError as error:
                skipped[each.name] = str(error)
        return found, skipped

    def _action(
        self,
        spawn: LoggedSpawn,
        entry: EntryOf,
        arguments: Sequence[str],
        flagfiles: frozenset[str] = frozenset(),
    ) -> RecordedAction:
        tools = self._selection.tools(spawn)
        kept = [each for each in spawn.inputs if each.path not in flagfiles]
        worker = SuiteWorker(
            command=spawn.split.startup,
            tool_inputs=_entries(
                entry, [each for each in kept if each.path in tools], is_tool=True
            ),
            protocol=self._selection.protocol(spawn),
            multiplex="multiplex" in self._selection.abilities(spawn),
            sandbox="sandbox" in self._selection.abilities(spawn),
            cancellation="cancellation" in self._selection.abilities(spawn),
            timeout=spawn.timeout or _TIMEOUT,
            environment=spawn.environment,
        )
        inputs = [each for each in kept if each.path not in tools]
        name = self._name(spawn)
        action = SuiteAction(
            name=name,
            arguments=tuple(arguments),
            inputs=_entries(entry, inputs, is_tool=False),
            outputs=spawn.listed_outputs,
            exit_code=spawn.exit_code,
            flagfile=f"logged-{len(self._names)}-{self._names[spawn.name]}.params",
        )
        pool = _pool(spawn, tools)
        return RecordedAction(
            mnemonic=spawn.mnemonic,
            target=spawn.target,
            key=spawn.key or pool,
            pool=pool,
            worker=worker,
            action=action,
        )

    def _arguments(self, spawn: LoggedSpawn) -> tuple[list[str], frozenset[str]]:
        files = {each.path: each for each in spawn.inputs}
        read: set[str] = set()

        def content(path: str) -> bytes:
            file = files.get(path)
            if file is None:
                raise UnresolvedError(f"its flagfile {path} is no input in the log")
            read.add(path)
            return _content(self._contents, file)[0]

        try:
            return expand(spawn.split.flagfiles, content), frozenset(read)
        except RequestError as error:
            raise UnresolvedError(error.message) from None

    def _entry(self, file: LoggedFile, is_tool: bool) -> Entry:
        if file.target:
            return Symlink(file.target)
        content, is_executable = _content(self._contents, file)
        # Neither logs nor a CAS know it; a tool that is not a program does not mind.
        return File(content, is_executable or is_tool)

    def _name(self, spawn: LoggedSpawn) -> str:
        count = self._names[spawn.name] = self._names.get(spawn.name, 0) + 1
        return spawn.name if count == 1 else f"{spawn.name} #{count}"


def _content(contents: Contents, file: LoggedFile) -> tuple[bytes, bool]:
    found = contents.get(file)
    if isinstance(found, str):
        raise UnresolvedError(f"its input {file.path} {found}")
    return found


def _outline(file: LoggedFile, is_tool: bool) -> Entry:
    return Symlink(file.target) if file.target else File(file.digest.encode(), is_tool)


def _entries(entry: EntryOf, files: Iterable[LoggedFile], *, is_tool: bool) -> Mapping[str, Entry]:
    return MappingProxyType({each.path: entry(each, is_tool) for each in files})


def _pool(spawn: LoggedSpawn, tools: frozenset[str]) -> str:
    """Return a digest of what Bazel's own worker key has."""
    digests = [(each.path, each.digest, each.target) for each in spawn.inputs if each.path in tools]
    parts = (spawn.mnemonic, spawn.split.startup, spawn.environment, digests)
    return hashlib.sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()
