"""Encode an `Action` as protocol messages in canonical form: equal actions give equal bytes.

remote_execution.proto (Command, Directory, Platform) defines the order of repeated fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import Message

from rpw_fixture.client.action import Action
from rpw_fixture.client.inputs import Entry, File, Symlink
from rpw_fixture.wire.digests import Digest, DigestFunction, digest_of, message_of
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.trees import TOOL_INPUT_PROPERTY


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedAction:
    """The messages and files that a server needs to run an action.

    Attributes:
        digest: of the Action message.
        blobs: the Action message and all that it refers to, by digest.
    """

    digest: Digest
    blobs: Mapping[Digest, bytes]


def encode(action: Action, function: DigestFunction, *, is_legacy: bool = False) -> EncodedAction:
    """Return the messages of an action.

    Args:
        function: computes the digests.
        is_legacy: for servers before API 2.1, which do not know ``Command.output_paths``.
    """
    encoder = _Encoder(function)
    platform = reapi.Platform(
        properties=[
            reapi.Platform.Property(name=name, value=value)
            for name, value in action.platform.items()
        ]
    )
    command = reapi.Command(
        arguments=action.command_line,
        environment_variables=[
            reapi.Command.EnvironmentVariable(name=name, value=value)
            for name, value in action.environment.items()
        ],
        platform=platform,
        working_directory=action.working_directory,
    )
    _add_outputs(command, action, is_legacy=is_legacy)
    message = reapi.Action(
        command_digest=encoder.add(command),
        input_root_digest=encoder.add_folder(_tree(action)),
        do_not_cache=action.do_not_cache,
        salt=action.salt,
        platform=None if is_legacy else platform,
    )
    if action.timeout is not None:
        message.timeout.FromNanoseconds(round(action.timeout * 1e9))
    digest = encoder.add(message)
    return EncodedAction(digest=digest_of(digest), blobs=encoder.blobs)


@dataclass(slots=True)
class _Folder:
    entries: dict[str, tuple[Entry, bool]] = field(default_factory=dict)
    folders: dict[str, _Folder] = field(default_factory=dict)


class _Encoder:
    def __init__(self, function: DigestFunction) -> None:
        self._function = function
        self.blobs: dict[Digest, bytes] = {}

    def add(self, message: Message) -> reapi.Digest:
        return self._add_bytes(message.SerializeToString(deterministic=True))

    def add_folder(self, folder: _Folder) -> reapi.Digest:
        message = reapi.Directory()
        for name, child in sorted(folder.folders.items()):
            message.directories.add(name=name, digest=self.add_folder(child))
        for name, (entry, is_tool) in sorted(folder.entries.items()):
            marks = _marks() if is_tool else None
            if isinstance(entry, File):
                message.files.add(
                    name=name,
                    digest=self._add_bytes(entry.content),
                    is_executable=entry.is_executable,
                    node_properties=marks,
                )
            elif isinstance(entry, Symlink):
                message.symlinks.add(name=name, target=entry.target, node_properties=marks)
        return self.add(message)

    def _add_bytes(self, data: bytes) -> reapi.Digest:
        digest = self._function.of(data)
        self.blobs[digest] = data
        return message_of(digest)


def _tree(action: Action) -> _Folder:
    root = _Folder()
    for path, entry in action.entries.items():
        *parents, name = path.split("/")
        here = root
        for each in parents:
            here = here.folders.setdefault(each, _Folder())
        if isinstance(entry, File | Symlink):
            here.entries[name] = (entry, path in action.tool_inputs)
        else:
            here.folders.setdefault(name, _Folder())
    return root


def _marks() -> reapi.NodeProperties:
    return reapi.NodeProperties(properties=[reapi.NodeProperty(name=TOOL_INPUT_PROPERTY)])


def _add_outputs(command: reapi.Command, action: Action, *, is_legacy: bool) -> None:
    if not is_legacy:
        command.output_paths.extend(sorted(each.rstrip("/") for each in action.outputs))
        return
    for each in action.outputs:
        is_folder = each.endswith("/")
        (command.output_directories if is_folder else command.output_files).append(each.rstrip("/"))
