"""Compact execution logs: entries that name each other by number become actions.

The rules are those of the comments in Bazel's spawn.proto: an entry comes after those that it names; of a
set, what other sets hold comes first; a runfiles tree is made of parts, and later parts win.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from rpw_fixture.hermeticity.suites.execution_logs.spawns import LoggedFile, LoggedSpawn
from rpw_fixture.wire.protos import spawn

_EXTERNAL, _OUTPUT = "external/", "bazel-out/"
_MAPPING, _RUNFILE = "_repo_mapping", ".runfile"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """A file, a symlink, or a folder with its files."""

    path: str
    files: tuple[LoggedFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _InputTree:
    """A runfiles tree: its path, and its files by their path in it."""

    path: str
    files: Mapping[str, LoggedFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    """Entries of a set without what other sets hold, and the sets."""

    sets: tuple[int, ...] = ()
    entries: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _LinkSet:
    sets: tuple[int, ...] = ()
    links: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


_Entry = _Files | _InputTree | _Set | _LinkSet


class CompactLog:
    """Reads entries in their order.

    Attributes:
        spawns: the actions so far.
    """

    def __init__(self) -> None:
        self.spawns: list[LoggedSpawn] = []
        self._function = ""
        self._main = ""
        self._has_siblings = False
        self._entries: dict[int, _Entry] = {}
        self._readers: Mapping[str, Callable[[Any], _Entry]] = {
            "file": self._read_file,
            "directory": self._read_directory,
            "unresolved_symlink": self._read_symlink,
            "input_set": self._read_set,
            "symlink_entry_set": self._read_links,
            "runfiles_tree": self._read_tree,
        }

    def add(self, entry: spawn.ExecLogEntry) -> None:
        """Take the next entry.

        Raises:
            ValueError: for an entry that names one which is not there, or is of another kind.
        """
        kind = entry.WhichOneof("type")
        if kind == "spawn":
            self.spawns.append(self._spawn(entry.spawn))
        elif kind == "invocation":
            self._function = entry.invocation.hash_function_name
            self._main = entry.invocation.workspace_runfiles_directory
            self._has_siblings = entry.invocation.sibling_repository_layout
        elif (read := self._readers.get(str(kind))) is not None:
            value = read(getattr(entry, str(kind)))
            if entry.id:
                self._entries[entry.id] = value

    def _file(self, message: spawn.ExecLogEntry.File, folder: str = "") -> LoggedFile:
        digest = message.digest
        return LoggedFile(
            path=folder + message.path,
            digest=f"{digest.hash}/{digest.size_bytes}" if digest.hash else "",
            function=self._function,
        )

    def _read_file(self, message: spawn.ExecLogEntry.File) -> _Files:
        return _Files(path=message.path, files=(self._file(message),))

    def _read_directory(self, message: spawn.ExecLogEntry.Directory) -> _Files:
        files = tuple(self._file(each, f"{message.path}/") for each in message.files)
        return _Files(path=message.path, files=files)

    def _read_symlink(self, message: spawn.ExecLogEntry.UnresolvedSymlink) -> _Files:
        link = LoggedFile(path=message.path, target=message.target_path)
        return _Files(path=message.path, files=(link,))

    def _read_set(self, message: spawn.ExecLogEntry.InputSet) -> _Set:
        return _Set(sets=tuple(message.transitive_set_ids), entries=tuple(message.input_ids))

    def _read_links(self, message: spawn.ExecLogEntry.SymlinkEntrySet) -> _LinkSet:
        links = MappingProxyType(dict(message.direct_entries))
        return _LinkSet(sets=tuple(message.transitive_set_ids), links=links)

    def _read_tree(self, message: spawn.ExecLogEntry.RunfilesTree) -> _InputTree:
        main = f"{self._main}/" if self._main else ""
        files: dict[str, LoggedFile] = {}
        for path, number in self._links(message.symlinks_id):
            files.update(self._linked(main + path, number))
        for each in self._inputs(message.input_set_id):
            for path in self._runfiles_paths(each.path, message.legacy_external_runfiles):
                files[path] = each
        for path in message.empty_files:
            files[main + path] = LoggedFile(path=path, function=self._function)
        for path, number in self._links(message.root_symlinks_id):
            files.update(self._linked(path, number))
        if message.HasField("repo_mapping_manifest"):
            files[_MAPPING] = self._file(message.repo_mapping_manifest)
        if main and not any(path.startswith(main) for path in files):
            files[main + _RUNFILE] = LoggedFile(path=_RUNFILE, function=self._function)
        return _InputTree(path=message.path, files=files)

    def _runfiles_paths(self, path: str, is_legacy: bool) -> Iterator[str]:
        """Yield where a file stands in a runfiles tree: below its repository's name."""
        if path.startswith(_OUTPUT):
            # bazel-out/CONFIGURATION/bin/…, or with the repository before "bin" among siblings.
            parts = path.split("/", 3)
            path = parts[3] if len(parts) == 4 else path
        foreign = "../" if self._has_siblings else _EXTERNAL
        if path.startswith(foreign):
            if is_legacy and self._main:
                yield f"{self._main}/{_EXTERNAL}{path.removeprefix(foreign)}"
            yield path.removeprefix(foreign)
        else:
            yield f"{self._main}/{path}" if self._main else path

    def _linked(self, path: str, number: int) -> Iterator[tuple[str, LoggedFile]]:
        value = self._get(number, _Files)
        for each in value.files:
            # A link to a folder stands for the files in it.
            yield path + each.path.removeprefix(value.path), each

    def _links(self, number: int) -> Iterator[tuple[str, int]]:
        for each in self._ordered(number, _LinkSet):
            yield from each.links.items()

    def _inputs(self, number: int) -> Iterator[LoggedFile]:
        for each in self._ordered(number, _Set):
            for entry in each.entries:
                value = self._get(entry, (_Files, _InputTree))
                if isinstance(value, _InputTree):
                    for path, file in value.files.items():
                        yield replace(file, path=f"{value.path}/{path}", source=file.path)
                else:
                    yield from value.files

    def _ordered(self, number: int, kind: type[Any]) -> Iterator[Any]:
        """Yield a set and those that it names, each once, inner ones first; 0 is the empty set."""
        seen: set[int] = set()
        todo = [(number, False)] if number else []
        while todo:
            each, is_left = todo.pop()
            value = self._get(each, kind)
            if is_left:
                yield value
            elif each not in seen:
                seen.add(each)
                todo.append((each, True))
                todo += [(inner, False) for inner in reversed(value.sets) if inner not in seen]

    def _get(self, number: int, kind: Any) -> Any:
        value = self._entries.get(number)
        if value is None:
            raise ValueError(f"entry {number} is used before it is there")
        if not isinstance(value, kind):
            raise ValueError(f"entry {number} is of another kind than where it is used")  # noqa: TRY004
        return value

    def _spawn(self, message: spawn.ExecLogEntry.Spawn) -> LoggedSpawn:
        tools = {each.path for each in self._inputs(message.tool_set_id)}
        inputs = {each.path: each for each in self._inputs(message.input_set_id)}
        outputs, listed = self._outputs(message.outputs)
        return LoggedSpawn(
            arguments=tuple(message.args),
            environment=tuple(sorted((each.name, each.value) for each in message.env_vars)),
            platform={each.name: each.value for each in message.platform.properties},
            inputs=tuple(replace(inputs[path], is_tool=path in tools) for path in sorted(inputs)),
            outputs=outputs,
            listed_outputs=listed,
            mnemonic=message.mnemonic,
            target=message.target_label,
            runner=message.runner,
            timeout=message.timeout_millis / 1000,
            exit_code=message.exit_code,
            status=message.status,
        )

    def _outputs(
        self, messages: Iterable[spawn.ExecLogEntry.Output]
    ) -> tuple[tuple[LoggedFile, ...], tuple[str, ...]]:
        files: list[LoggedFile] = []
        listed = []
        for each in messages:
            if each.WhichOneof("type") == "invalid_output_path":
                listed.append(each.invalid_output_path)
                continue
            value = self._get(each.output_id, _Files)
            files += value.files
            listed.append(value.path)
        return tuple(files), tuple(listed)
