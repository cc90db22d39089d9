"""A checked Command message as a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from rpw_fixture.errors import invalid_argument
from rpw_fixture.support.paths import join_normalised, leads_out
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.node_properties import NODE_PROPERTIES
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.trees import MAX_NAME_BYTES

#: Most folders in the path of the working directory and of an output; real paths have far fewer.
_MAX_DEPTH = 100
#: Longest such path, bytes. Linux accepts 4096, the path of the exec root included.
_MAX_PATH_BYTES = 3584


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A checked Command (remote_execution.proto, Command).

    Attributes:
        digest: of the Command message.
        arguments: the command line; the first one names the program.
        environment: variables by name, sorted.
        platform: the Command's platform properties; those of the Action take precedence.
        working_directory: relative to the input root, normalised, "" for the root itself.
        output_paths: outputs of any kind; None for clients before API 2.1, which send
            ``output_files`` and ``output_directories`` instead.
        output_node_properties: properties that outputs should report, out of `NODE_PROPERTIES`.
        directory_format: the form in which the client wants output directories.
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
    """Return the Command in ``data``.

    Raises:
        RequestError: INVALID_ARGUMENT for bytes that are not a Command, no arguments, a path that is
            absolute, leaves the input root or can't exist, or an unknown node property.
    """
    try:
        message = reapi.Command.FromString(data)
    except DecodeError as error:
        raise invalid_argument(f"blob {digest} is not a Command: {error}") from None
    if not message.arguments:
        raise invalid_argument(f"Command {digest} has no arguments")
    _refuse_nul(digest, message)
    for name in message.output_node_properties:
        if name not in NODE_PROPERTIES:
            raise invalid_argument(
                f"Command {digest} asks for the unknown node property {name[:80]!r}; "
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
    """Return the properties of a Platform as pairs, in their order."""
    return tuple((each.name, each.value) for each in platform.properties)


def property_map(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Return properties by name; of a name used twice, the last value."""
    return dict(pairs)


def inside(path: str, what: str, base: str = "") -> str:
    """Return ``path`` relative to the input root, in its shortest form.

    ``..`` removes the name before it, as clients compute it, even if that name is a symlink on disk.

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
        raise invalid_argument(f"{shown} is absolute; it must be relative")
    if "\0" in path:
        raise invalid_argument(f"{shown} contains NUL")
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
    # The last value of a variable counts; in a canonical Command it is set only once.
    variables = {each.name: each.value for each in message.environment_variables}
    return tuple(sorted(variables.items()))


def _output_paths(paths: Iterable[str], base: str) -> tuple[str, ...]:
    # A path listed twice would be in the result twice, which crashes Bazel 4.
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
