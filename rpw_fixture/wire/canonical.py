"""Checks that messages are canonical: names in order, none of them twice, paths in shortest form.

Equal actions have equal digests only if every client encodes them in the same, canonical form
(remote_execution.proto, Action, Command, Directory, Tree). A server may check that; this one does so in
strict mode. All functions here are pure. Dangerous content, such as a name that leads out of the input
root, is refused elsewhere, in every mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import dropwhile, pairwise
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from rpw_fixture.errors import RequestError, invalid_argument
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.trees import check_name

#: Problems named in one error; there may be thousands.
_SHOWN = 5
M = TypeVar("M", bound=Message)


def require_action(name: str, data: bytes) -> None:
    """Raise if ``data`` is an Action that is not canonical.

    Bytes that are not an Action at all pass: the code that decodes them reports that.

    Args:
        name: names the message in the error, in this function and the next ones.

    Raises:
        RequestError: INVALID_ARGUMENT that lists the first problems.
    """
    _require(name, data, reapi.Action, action_problems)


def require_command(name: str, data: bytes) -> None:
    """Raise if ``data`` is a Command that is not canonical; see `require_action`."""
    _require(name, data, reapi.Command, command_problems)


def require_directory(name: str, data: bytes) -> None:
    """Raise if ``data`` is a Directory that is not canonical; see `require_action`."""
    _require(name, data, reapi.Directory, directory_problems)


def require_tree(name: str, data: bytes) -> None:
    """Raise if ``data`` is a Tree that is not canonical; see `require_action`."""
    _require(name, data, reapi.Tree, tree_problems)


def action_problems(action: reapi.Action) -> Iterator[str]:
    """Yield what makes an Action not canonical, one sentence for each problem."""
    for field in ("command_digest", "input_root_digest"):
        if not action.HasField(field):
            yield f"{field} is not set"
    yield from _platform_problems(action.platform)


def command_problems(command: reapi.Command) -> Iterator[str]:
    """Yield what makes a Command not canonical, one sentence for each problem."""
    names = [variable.name for variable in command.environment_variables]
    yield from _order_problems("environment variable", names)
    yield from _platform_problems(command.platform)
    yield from _order_problems("output node property", command.output_node_properties)
    for what, paths in (
        ("output path", command.output_paths),
        ("output file", command.output_files),
        ("output directory", command.output_directories),
    ):
        yield from _order_problems(what, paths)
        for path in paths:
            may_be_empty = what != "output file"
            yield from _path_problems(what, path, may_be_empty=may_be_empty, may_climb=True)
    yield from _clash_problems(command.output_files, command.output_directories)
    yield from _path_problems("working directory", command.working_directory, may_be_empty=True)


def directory_problems(directory: reapi.Directory) -> Iterator[str]:
    """Yield what makes a Directory not canonical, one sentence for each problem."""
    groups = (
        ("file", directory.files),
        ("directory", directory.directories),
        ("symlink", directory.symlinks),
    )
    kinds: dict[str, str] = {}
    for kind, nodes in groups:
        yield from _order_problems(kind, [node.name for node in nodes])
        for node in nodes:
            yield from _name_problems(kind, node.name)
            other = kinds.setdefault(node.name, kind)
            if other != kind:
                yield f"{node.name!r} is both a {other} and a {kind}"
    yield from _property_problems("the directory itself", directory.node_properties)
    for leaf in _leaves(directory):
        yield from _property_problems(_quoted(leaf.name), leaf.node_properties)


def tree_problems(tree: reapi.Tree) -> Iterator[str]:
    """Yield what makes a Tree not canonical, one sentence for each problem."""
    if not tree.HasField("root"):
        yield "root is not set"
    seen: dict[bytes, int] = {}
    for position, child in enumerate(tree.children):
        first = seen.setdefault(child.SerializeToString(deterministic=True), position)
        if first != position:
            yield f"child {position} repeats child {first}"
    yield from (f"root: {problem}" for problem in directory_problems(tree.root))
    for position, child in enumerate(tree.children):
        yield from (f"child {position}: {problem}" for problem in directory_problems(child))


def encoding_problems(message: M, data: bytes) -> Iterator[str]:
    """Yield why ``data`` is not the canonical encoding of ``message``."""
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    if known.ByteSize() != message.ByteSize():
        yield "it has fields that the protocol does not define"
    elif message.SerializeToString(deterministic=True) != data:
        yield "its encoding is not canonical: write fields in order, each once, without default values"


def _require(
    name: str, data: bytes, kind: type[M], problems_of: Callable[[M], Iterator[str]]
) -> None:
    try:
        message = kind.FromString(data)
    except DecodeError:
        return
    problems = [*problems_of(message), *encoding_problems(message, data)]
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        text = "; ".join(problems[:_SHOWN])
        raise invalid_argument(f"{kind.DESCRIPTOR.name} {name} is not canonical: {text}{more}")


def _order_problems(what: str, names: Sequence[str]) -> Iterator[str]:
    yield from _sorting_problems(what, [(name, _quoted(name)) for name in names], "by name")


def _platform_problems(platform: reapi.Platform) -> Iterator[str]:
    properties = [
        ((each.name, each.value), f"{_quoted(each.name)} = {_quoted(each.value)}")
        for each in platform.properties
    ]
    yield from _sorting_problems("platform property", properties, "by name, then by value")


def _sorting_problems(what: str, values: Sequence[tuple[Any, str]], how: str) -> Iterator[str]:
    """Yield which values are listed twice or out of order.

    Args:
        what: names the kind of value.
        values: each with its text for messages.
        how: names the order.
    """
    # Python compares code points, and so does UTF-8, byte by byte.
    seen = {values[0][0]} if values else set()
    for (before, before_shown), (value, shown) in pairwise(values):
        if value in seen:
            yield f"{what} {shown} is listed twice"
        elif value < before:
            yield f"{what} {shown} comes after {before_shown}; sort them {how}"
        seen.add(value)


def _property_problems(where: str, properties: reapi.NodeProperties) -> Iterator[str]:
    names = [each.name for each in properties.properties]
    for problem in _order_problems("node property", names):
        yield f"of {where}, {problem}"


def _path_problems(
    what: str, path: str, *, may_be_empty: bool, may_climb: bool = False
) -> Iterator[str]:
    """Yield why ``path`` is not in its shortest form; ``may_climb`` allows ``..`` at its start."""
    if path.startswith("/"):
        yield f"{what} {_quoted(path)} is absolute"
    elif path.endswith("/"):
        yield f"{what} {_quoted(path)} ends in a slash"
    elif path:
        names: Iterable[str] = path.split("/")
        if may_climb:
            names = dropwhile(lambda name: name == "..", names)
        odd = next((name for name in names if name in {"", ".", ".."}), None)
        if odd is not None:
            yield f"{what} {_quoted(path)} has the part {odd!r}"
    elif not may_be_empty:
        yield f"{what} '' is empty"


def _clash_problems(files: Iterable[str], directories: Iterable[str]) -> Iterator[str]:
    known = set(files)
    for path in sorted(known.intersection(directories)):
        yield f"{_quoted(path)} is both an output file and an output directory"
    for path in sorted(known):
        parents = path.split("/")[:-1]
        for depth in range(len(parents)):
            parent = "/".join(parents[: depth + 1])
            if parent in known:
                yield f"output file {_quoted(parent)} is a parent of {_quoted(path)}"


def _leaves(directory: reapi.Directory) -> list[reapi.FileNode | reapi.SymlinkNode]:
    return [*directory.files, *directory.symlinks]


def _name_problems(kind: str, name: str) -> Iterator[str]:
    try:
        check_name(name, f"the list of {kind} nodes")
    except RequestError as error:
        yield error.message


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
