"""A store, and input trees and actions to put there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from rpw_fixture.config import Config
from rpw_fixture.execution.resolve import ResolvedAction, Resolver
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import SHA256, Digest, DigestFunctions
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.trees import Folder, FolderDecoder


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a tree that is more than its content."""

    content: bytes
    is_executable: bool = False
    is_tool: bool = False


@dataclass(frozen=True, kw_only=True)
class Link:
    """A symlink of a tree."""

    target: str
    is_tool: bool = False


class Inputs:
    """Puts trees, given as nested dicts, into a store.

    In a dict, bytes are a file, another dict is a folder.
    """

    File = File
    Link = Link

    def __init__(self, store: BlobStore) -> None:
        self.store = store

    def put(self, tree: Mapping[str, object]) -> Digest:
        """Uploads everything; the root's digest."""
        return self.store.put(self.directory(tree).SerializeToString(deterministic=True))

    def directory(self, tree: Mapping[str, object]) -> reapi.Directory:
        """Uploads everything but the root, which is returned."""
        message = reapi.Directory()
        for name, node in sorted(tree.items()):
            match node:
                case bytes():
                    message.files.add(name=name, digest=self.message_of(self.store.put(node)))
                case File():
                    added = message.files.add(
                        name=name,
                        digest=self.message_of(self.store.put(node.content)),
                        is_executable=node.is_executable,
                    )
                    if node.is_tool:
                        added.node_properties.properties.add(name="bazel_tool_input")
                case Link():
                    link = message.symlinks.add(name=name, target=node.target)
                    if node.is_tool:
                        link.node_properties.properties.add(name="bazel_tool_input")
                case Mapping():
                    message.directories.add(name=name, digest=self.message_of(self.put(node)))
        return message

    def folder(self, tree: Mapping[str, object]) -> Folder:
        """Uploads everything; the root as the server sees it."""
        return self.load(self.put(tree))

    def load(self, digest: Digest) -> Folder:
        """What the store has under a digest, decoded afresh."""
        return FolderDecoder(self.store.function).decode(digest, self.store.get(digest), self.load)

    def action(
        self,
        tree: Mapping[str, object] | None = None,
        *,
        arguments: tuple[str, ...] = ("tool",),
        properties: Mapping[str, str] | None = None,
        **command: object,
    ) -> reapi.Action:
        """Uploads a tree and a command; an action of both, with these platform properties."""
        message = reapi.Command(arguments=arguments, **command)
        action = reapi.Action(
            command_digest=self.message_of(self.store.put(message.SerializeToString())),
            input_root_digest=self.message_of(self.put(tree or {})),
        )
        for name, value in (properties or {}).items():
            action.platform.properties.add(name=name, value=value)
        return action

    def resolved(
        self, action: reapi.Action, config: Config | None = None, instance_name: str = ""
    ) -> ResolvedAction:
        """The action as a fresh resolver sees it."""
        digest = self.store.put(action.SerializeToString())
        return Resolver(config or Config()).resolve(digest, action, self.store, instance_name)

    @staticmethod
    def message_of(digest: Digest) -> reapi.Digest:
        return reapi.Digest(hash=digest.hash, size_bytes=digest.size)


@pytest.fixture
def cas(tmp_path: Path) -> Cas:
    """An empty CAS."""
    return Cas(
        DigestFunctions(["SHA256"]),
        folder=tmp_path / "cas",
        memory_bytes=1 << 26,
        spill_threshold=1 << 20,
        max_bytes=1 << 30,
        durable=False,
    )


@pytest.fixture
def store(cas: Cas) -> BlobStore:
    """Its blobs under SHA256."""
    return cas.store(SHA256)


@pytest.fixture
def inputs(store: BlobStore) -> Inputs:
    """Puts trees into the store."""
    return Inputs(store)
