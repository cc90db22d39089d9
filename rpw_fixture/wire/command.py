"""A Command message, checked once and kept as a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from rpw_fixture.errors import invalid_argument
from rpw_fixture.support.paths import join_normalised, leads_out
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.trees import MAX_NAME_BYTES, NODE_PROPERTIES

#: Deepest working directory, and deepest output below it; nothing that people write comes near.
_MAX_DEPTH = 100
#: Longest such path, bytes. Linux takes 4096 with that of the folder in which the action runs.
_MAX_PATH_BYTES = 3584


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """What a Command asks for (remote_execution.proto, Command).

    Attributes:
        digest: of the Command message.
        arguments: the command line; the first names the program.
        environment: variables by name, sorted.
        platform: the Command's platform properties; an Action's own come before them.
        working_directory: relative to the input root, normalised, "" for the root itself.
        output_paths: what to collect, whatever it turns out to be; None for clients before API 2.1,
            which say ``output_files`` and ``output_directories`` instead.
        output_node_properties: names asked for on outputs, out of `trees.NODE_PROPERTIES`.
        directory_format: in which form output directories are wanted.
    """

    digest: Digest
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    platform: tuple[tuple[str, str], ...]
    working_directory: str
    output_paths: tuple[str, ...] | None
    output_files: tuple[str, ...]
    output_directories: tuple[str, ...]
    output_node_properties: tuple[str, ...]
    directory_format: int

    @property
    def outputs(self) -> tuple[str, ...]:
        """All declared outputs, relative to the working directory."""
        if self.output_paths is not None:
            return self.output_paths
        return self.output_files + self.output_directories


def decode_command(digest: Digest, data: bytes) -> CommandSpec:
    """The Command in ``data``.

    Raises:
        RequestError: INVALID_ARGUMENT for bytes that are no Command, no arguments, a path that is
            absolute, leaves the input root or can't exist, or a node property that is unknown here.
    """
    try:
        message = reapi.Command.FromString(data)
    except DecodeError as error:
        raise invalid_argument(f"blob {digest} is no Command: {error}") from None
    if not message.arguments:
        raise invalid_argument(f"Command {digest} has no arguments")
    _refuse_nul(digest, message)
    for name in message.output_node_properties:
        if name not in NODE_PROPERTIES:
            raise invalid_argument(
                f"Command {digest} wants the node property {name[:80]!r} of its outputs; "
                f"known are {', '.join(NODE_PROPERTIES)}"
            )
    folder = inside(message.working_directory, "working directory")
    paths = tuple(message.output_paths)
    return CommandSpec(
        digest=digest,
        arguments=tuple(message.arguments),
        environment=_environment(message),
        platform=platform_properties(message.platform),
        working_directory=folder,
        output_paths=_output_paths(paths, folder) if paths else None,
        output_files=_output_paths(message.output_files, folder),
        output_directories=_output_paths(message.output_directories, folder),
        output_node_properties=tuple(message.output_node_properties),
        directory_format=message.output_directory_format,
    )


def platform_properties(platform: reapi.Platform) -> tuple[tuple[str, str], ...]:
    """The properties of a Platform as pairs, in their order."""
    return tuple((each.name, each.value) for each in platform.properties)


def property_map(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Properties by name; of a name used twice, the last value."""
    return dict(pairs)


def inside(path: str, what: str, base: str = "") -> str:
    """Return ``path`` as seen from the input root, once it is clear that it stays inside.

    ``..`` is taken by name, as clients compute it, and never through a symlink on disk.

    Args:
        path: relative to ``base``.
        what: names the path in messages.
        base: the folder it starts in, relative to the input root; "" for the root itself.

    Raises:
        RequestError: INVALID_ARGUMENT for absolute paths, ``..`` that leads out of the input root, NUL,
            and names or paths too long to exist.
    """
    shown = f"{what} {path if len(path) <= 200 else path[:200] + '…'!r}"
    if path.startswith("/"):
        raise invalid_argument(f"{shown} is absolute, and must be relative")
    if "\0" in path:
        raise invalid_argument(f"{shown} holds NUL, which no path can")
    normal = join_normalised(base, path)
    if leads_out(normal):
        start = f" from the working directory {base!r}" if base else ""
        raise invalid_argument(f"{shown} leads out of the input root{start}")
    names = normal.split("/")
    if any(len(name.encode()) > MAX_NAME_BYTES for name in names):
        raise invalid_argument(f"{shown} has a name of over {MAX_NAME_BYTES} bytes")
    if len(names) > _MAX_DEPTH:
        raise invalid_argument(f"{shown} is over {_MAX_DEPTH} folders deep")
    if len(normal.encode()) > _MAX_PATH_BYTES:
        raise invalid_argument(f"{shown} is over {_MAX_PATH_BYTES} bytes long")
    return "" if normal == "." else normal


def _environment(message: reapi.Command) -> tuple[tuple[str, str], ...]:
    # Of a variable set twice, which no canonical Command does, the last value is the one.
    variables = {each.name: each.value for each in message.environment_variables}
    return tuple(sorted(variables.items()))


def _output_paths(paths: Iterable[str], base: str) -> tuple[str, ...]:
    # A path listed twice would be answered twice, which crashes Bazel 4.
    unique = tuple(dict.fromkeys(paths))
    for each in unique:
        inside(each, "output path", base)
    return unique


def _refuse_nul(digest: Digest, message: reapi.Command) -> None:
    for argument in message.arguments:
        if "\0" in argument:
            raise invalid_argument(f"Command {digest} has an argument with NUL: {argument[:80]!r}")
    for variable in message.environment_variables:
        if "\0" in variable.name + variable.value or "=" in variable.name or not variable.name:
            raise invalid_argument(
                f"Command {digest} has the impossible variable {variable.name[:80]!r}"
            )
