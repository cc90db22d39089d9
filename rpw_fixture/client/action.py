"""`Action`: an immutable description of one action, and methods that return changed copies.

Here is what a test author writes: the command line, inputs, outputs and properties.
`rpw_fixture.client.encoding` makes protocol messages of it; nothing here talks to a server.
"""

from __future__ import annotations

import dataclasses
import math
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

from rpw_fixture.client.inputs import Content, EmptyFolder, Entry, File, read_entries, read_folder
from rpw_fixture.errors import ConfigError
from rpw_fixture.support.paths import join_normalised, leads_out, parents_of

#: The platform properties behind `Action.worker_key` and `Action.protocol`.
WORKER_KEY_PROPERTY = "persistentWorkerKey"
PROTOCOL_PROPERTY = "persistentWorkerProtocol"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Action:
    """One action, as a value: equal actions have equal digests.

    Content given as a `Path` is read when the action is made; later changes on disk have no effect.
    A path to a folder stands for everything in it. Paths are relative to the input root, except for
    ``outputs`` and ``flagfile_path``, which are relative to the working directory and may leave it
    with ``..`` as long as they stay inside the input root.

    Args:
        arguments: the command line; for a worker, its startup arguments.
        flagfile: arguments of the request, one per line in a flagfile, whose name ends the command
            line.
        flagfile_path: path of that flagfile.
        inputs: content by path: bytes, text, a `Path`, a `File`, a `Symlink` or an `EmptyFolder`.
        tool_inputs: inputs that are marked ``bazel_tool_input``.
        outputs: paths to collect; a slash at the end means a folder, which servers before API 2.1
            need to know.
        environment: variables of the command.
        platform: platform properties.
        worker_key: short for the platform property ``persistentWorkerKey``.
        protocol: short for ``persistentWorkerProtocol``: ``proto`` or ``json``.
        working_directory: where the command runs.
        timeout: seconds; None means the server's default.
        do_not_cache: do not cache the result, and do not merge with an equal action that is running.
        salt: any bytes that make this action differ from one that is otherwise equal.
        mnemonic: kind of the action, such as ``Javac``, for the server's records.
        target: label of the action, such as ``//a:b``, for the server's records.

    Raises:
        ConfigError: for a path that cannot be used, or that is used twice.
        OSError: for a file or folder that cannot be read.
    """

    arguments: tuple[str, ...]
    flagfile: tuple[str, ...] | None
    flagfile_path: str
    inputs: Mapping[str, Entry]
    tool_inputs: Mapping[str, Entry]
    outputs: tuple[str, ...]
    environment: Mapping[str, str]
    platform: Mapping[str, str]
    working_directory: str
    timeout: float | None
    do_not_cache: bool
    salt: bytes
    mnemonic: str
    target: str

    def __init__(
        self,
        *,
        arguments: Sequence[str],
        flagfile: Sequence[str] | None = None,
        flagfile_path: str = "action.params",
        inputs: Mapping[str, Content] = MappingProxyType({}),
        tool_inputs: Mapping[str, Content] = MappingProxyType({}),
        outputs: Sequence[str] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
        platform: Mapping[str, str] = MappingProxyType({}),
        worker_key: str | None = None,
        protocol: str | None = None,
        working_directory: str = "",
        timeout: float | None = None,
        do_not_cache: bool = False,
        salt: bytes = b"",
        mnemonic: str = "",
        target: str = "",
    ) -> None:
        base = checked_path(working_directory, "working directory", or_root=True)
        values: dict[str, object] = {
            "arguments": _texts(arguments, "arguments"),
            "flagfile": None if flagfile is None else _texts(flagfile, "flagfile"),
            "flagfile_path": checked_path(flagfile_path, "flagfile", base=base),
            "inputs": _sorted(read_entries(_checked_keys(inputs, "input"))),
            "tool_inputs": _sorted(read_entries(_checked_keys(tool_inputs, "tool input"))),
            "outputs": _checked_outputs(_texts(outputs, "outputs"), base),
            "environment": _sorted(_text_by_name(environment, "environment")),
            "platform": _sorted(_properties(platform, worker_key, protocol)),
            "working_directory": base,
            "timeout": timeout,
            "do_not_cache": do_not_cache,
            "salt": salt,
            "mnemonic": _text(mnemonic, "mnemonic"),
            "target": _text(target, "target"),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()

    @classmethod
    def from_folder(
        cls,
        root: str | Path,
        *,
        inputs: Iterable[str] = ("**",),
        tool_inputs: Iterable[str] = (),
        **others: Any,
    ) -> Self:
        """Return an action whose inputs are files below ``root``, at the same relative paths.

        Args:
            root: a folder.
            inputs: globs of inputs; files that ``tool_inputs`` matches are left out.
            tool_inputs: globs of tool inputs.
            others: all other arguments of `Action`.

        Raises:
            ConfigError: if a glob matches nothing.
            OSError: for a file or folder that cannot be read.
        """
        tools = read_folder(Path(root), tool_inputs)
        plain = read_folder(Path(root), inputs)
        ordinary = {path: entry for path, entry in plain.items() if path not in tools}
        return cls(inputs=ordinary, tool_inputs=tools, **others)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other values, by the names of the constructor's arguments."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return type(self)(**{**values, **changes})

    def with_input(self, path: str, content: Content) -> Self:
        """Return a copy with this input; it replaces an input or tool input at ``path``."""
        rest = self.without_input(path)
        return rest.replace(inputs={**rest.inputs, path: content})

    def with_tool_input(self, path: str, content: Content | None = None) -> Self:
        """Return a copy with this tool input; without ``content``, the input at ``path`` becomes one.

        Raises:
            ConfigError: if ``content`` is not given and there is no input at ``path``.
        """
        if content is None:
            content = self.entry(path)
        rest = self.without_input(path)
        return rest.replace(tool_inputs={**rest.tool_inputs, path: content})

    def with_files(
        self, root: str | Path, globs: Iterable[str] = ("**",), *, as_tools: bool = False
    ) -> Self:
        """Return a copy with the files below ``root`` that match ``globs``, at the same relative paths.

        Raises:
            ConfigError: if a glob matches nothing.
            OSError: for a file or folder that cannot be read.
        """
        changed = self
        entries = read_folder(Path(root), globs)
        for path in entries:
            changed = changed.without_input(path)
        name = "tool_inputs" if as_tools else "inputs"
        return changed.replace(**{name: {**getattr(changed, name), **entries}})

    def without_input(self, path: str) -> Self:
        """Return a copy without the input or tool input at ``path``, and without what is below it."""
        path = checked_path(path, "input")
        changes = {}
        for name in ("inputs", "tool_inputs"):
            entries = getattr(self, name)
            kept = {each: entry for each, entry in entries.items() if not _is_below(each, path)}
            if len(kept) < len(entries):
                changes[name] = kept
        return self.replace(**changes) if changes else self

    def with_arguments(self, *arguments: str) -> Self:
        """Return a copy with this command line, to which the flagfile's argument is added."""
        return self.replace(arguments=arguments)

    def with_flagfile(self, *lines: str) -> Self:
        """Return a copy with these arguments in the flagfile."""
        return self.replace(flagfile=lines)

    def with_outputs(self, *outputs: str) -> Self:
        """Return a copy with these outputs."""
        return self.replace(outputs=outputs)

    def with_environment(self, **variables: str | None) -> Self:
        """Return a copy with these variables added or replaced; None removes one."""
        return self.replace(environment=_merged(self.environment, variables))

    def with_platform(self, **properties: str | None) -> Self:
        """Return a copy with these platform properties added or replaced; None removes one."""
        return self.replace(platform=_merged(self.platform, properties))

    def with_worker_key(self, key: str | None) -> Self:
        """Return a copy with this ``persistentWorkerKey``; None makes it a one-shot action."""
        return self.with_platform(**{WORKER_KEY_PROPERTY: key})

    @property
    def worker_key(self) -> str | None:
        """The platform property ``persistentWorkerKey``."""
        return self.platform.get(WORKER_KEY_PROPERTY)

    @property
    def protocol(self) -> str | None:
        """The platform property ``persistentWorkerProtocol``."""
        return self.platform.get(PROTOCOL_PROPERTY)

    @property
    def command_line(self) -> tuple[str, ...]:
        """The whole command line, the flagfile's argument included."""
        return self.arguments + (() if self.flagfile is None else (f"@{self.flagfile_path}",))

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The whole input root by path, tool inputs and the flagfile included."""
        return {**self.inputs, **self.tool_inputs, **self._flagfile_entry()}

    def entry(self, path: str) -> Entry:
        """Return the input or tool input at ``path``.

        Raises:
            ConfigError: if there is none.
        """
        path = checked_path(path, "input")
        entry = self.tool_inputs.get(path) or self.inputs.get(path)
        if entry is None:
            raise ConfigError(f"the action has no input {path!r}")
        return entry

    def __hash__(self) -> int:
        maps = (self.inputs, self.tool_inputs, self.environment, self.platform)
        rest = (self.arguments, self.flagfile, self.outputs, self.working_directory, self.salt)
        return hash((rest, *(tuple(each.items()) for each in maps)))

    def _flagfile_entry(self) -> Mapping[str, Entry]:
        if self.flagfile is None:
            return {}
        path = join_normalised(self.working_directory, self.flagfile_path)
        return {path: File("".join(f"{line}\n" for line in self.flagfile).encode())}

    def _check(self) -> None:
        if not self.arguments:
            raise ConfigError("an action needs arguments; the first one names the program")
        twice = sorted(self.inputs.keys() & self.tool_inputs.keys())
        if twice:
            raise ConfigError(f"{twice[0]!r} is both an input and a tool input")
        given = self.inputs.keys() | self.tool_inputs.keys()
        if not given.isdisjoint(self._flagfile_entry()):
            raise ConfigError(
                f"flagfile {self.flagfile_path!r} is also an input; give another flagfile_path"
            )
        if any("\n" in line or "\r" in line for line in self.flagfile or ()):
            raise ConfigError("an argument in a flagfile is one line and cannot contain a line end")
        if self.timeout is not None and not _is_timeout(self.timeout):
            raise ConfigError(f"timeout {self.timeout!r} must be a number of seconds from 0 on")
        files = {path for path, entry in self.entries.items() if not isinstance(entry, EmptyFolder)}
        for path in self.entries:
            for parent in parents_of(path):
                if parent in files:
                    raise ConfigError(f"input {path!r} is below {parent!r}, which is not a folder")


def checked_path(path: str, what: str, *, or_root: bool = False, base: str = "") -> str:
    """Return ``path`` in its shortest form, relative to ``base``.

    Args:
        path: relative to ``base``.
        what: names the path in messages.
        or_root: whether ``path`` may be ``base`` itself.
        base: the folder it starts in, relative to the input root; "" for the root itself.

    Raises:
        ConfigError: if it is absolute, leads out of the input root, or is the root and must not be.
    """
    normal = posixpath.normpath(path) if path else "."
    if leads_out(join_normalised(base, normal)):
        start = f", also when it starts in {base!r}" if base else ""
        raise ConfigError(f"{what} {path!r} must be a path inside the input root{start}")
    if normal == "." and not or_root:
        raise ConfigError(f"{what} {path!r} does not name a file")
    return "" if normal == "." else normal


def _properties(
    platform: Mapping[str, str], worker_key: str | None, protocol: str | None
) -> Mapping[str, str]:
    given = {WORKER_KEY_PROPERTY: worker_key, PROTOCOL_PROPERTY: protocol}
    named = {name: value for name, value in given.items() if value}
    return _text_by_name({**_mapping(platform, "platform"), **named}, "platform")


def _checked_keys(entries: Mapping[str, Content], what: str) -> dict[str, Content]:
    checked: dict[str, Content] = {}
    for path, content in _mapping(entries, f"{what}s").items():
        normal = checked_path(path, what, or_root=isinstance(content, Path))
        if normal in checked:
            raise ConfigError(f"{what} {normal!r} is given twice")
        checked[normal] = content
    return checked


def _checked_outputs(paths: tuple[str, ...], base: str) -> tuple[str, ...]:
    checked = (checked_path(each, "output", base=base) + "/" * each.endswith("/") for each in paths)
    return tuple(sorted(dict.fromkeys(checked)))


def _texts(values: Sequence[str], what: str) -> tuple[str, ...]:
    if isinstance(values, str):
        raise ConfigError(f"{what} must be a list of texts, not the text {values!r}")
    return tuple(_text(each, f"each of {what}") for each in values)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{what} must be a text, not {value!r}")
    return value


def _text_by_name(values: Mapping[str, str], what: str) -> Mapping[str, str]:
    for name, value in _mapping(values, what).items():
        _text(name, f"a name in {what}")
        _text(value, f"{name} in {what}")
    return values


def _mapping(values: Mapping[str, _T], what: str) -> Mapping[str, _T]:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{what} must be a mapping, such as a dict, not {values!r}")
    return values


def _is_timeout(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < math.inf


def _sorted(values: Mapping[str, _T]) -> Mapping[str, _T]:
    return MappingProxyType({name: values[name] for name in sorted(values)})


def _merged(old: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**old, **changes}.items() if value is not None}


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
