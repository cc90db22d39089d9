"""An action's folder after its run, what is collected of it, and what is promised of that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.execution.outputs import Outputs, collect
from rpw_fixture.execution.results import Timeline
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.beneath import OwnFolder
from rpw_fixture.wire.command import CommandSpec, decode_command
from rpw_fixture.wire.digests import SHA256, Digest
from rpw_fixture.wire.protos import remote_execution as reapi


class Work:
    """An action's folder after its run, and what is collected of it."""

    def __init__(self, path: Path, store: BlobStore) -> None:
        self.own = OwnFolder(str(path))
        self.root = path / "root"
        self.root.mkdir()
        self.outside = path / "outside"
        (self.outside / "folder").mkdir(parents=True)
        (self.outside / "file").write_text("secret")
        self.store = store

    def write(self, path: str, content: str = "", mode: int = 0o644) -> Path:
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(content)
        full.chmod(mode)
        return full

    def link(self, path: str, target: object) -> None:
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.symlink_to(str(target))

    def collect(self, *paths: str, working_directory: str = "", **fields: object) -> Outputs:
        """Collects ``output_paths``, or what else a command may declare."""
        message = reapi.Command(
            arguments=["x"],
            output_paths=paths,
            working_directory=working_directory,
            **fields,
        )
        return collect(self.own.at("root"), spec(message), self.store, timeline=Timeline())

    def refused(self, *paths: str, **fields: object) -> str:
        with pytest.raises(RequestError) as caught:
            self.collect(*paths, **fields)
        assert caught.value.code is Code.FAILED_PRECONDITION
        assert not caught.value.missing
        return caught.value.message

    def tree(self, path: str = "out", **fields: object) -> reapi.Tree:
        """The Tree of the only output, a folder; what is promised of its bytes is checked."""
        (output,) = self.collect(path, **fields).result.output_directories
        assert output.path == path
        data = self.store.get(SHA256.validate(output.tree_digest))
        assert output.is_topologically_sorted
        assert_topologically_sorted(data)
        tree = reapi.Tree.FromString(data)
        assert digest_of(tree.root) == SHA256.validate(output.root_directory_digest)
        for message in (tree.root, *tree.children):
            assert self.store.contains(digest_of(message))
            assert_canonical(message)
        return tree


def spec(message: reapi.Command) -> CommandSpec:
    data = message.SerializeToString()
    return decode_command(SHA256.of(data), data)


def digest_of(message: reapi.Directory) -> Digest:
    return SHA256.of(message.SerializeToString(deterministic=True))


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message, read without protobuf: tag byte and content."""
    at = 0
    while at < len(data):
        tag, length, shift, at = data[at], 0, 0, at + 1
        while True:
            byte = data[at]
            length |= (byte & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if byte < 0x80:
                break
        yield tag, data[at : at + length]
        at += length
    assert at == len(data)


def assert_topologically_sorted(data: bytes) -> None:
    """The promises of OutputDirectory.is_topologically_sorted, one after the other."""
    (root_tag, root), *children = records(data)
    assert root_tag == 0x0A
    assert all(tag == 0x12 for tag, _ in children)
    named = [SHA256.of(content) for _, content in children]
    assert len(set(named)) == len(named), "a folder stands twice"
    expected: set[Digest] = set()
    for position, content in enumerate([root, *(content for _, content in children)]):
        if position:
            assert SHA256.of(content) in expected, "a folder stands before its parent"
        message = reapi.Directory.FromString(content)
        expected |= {SHA256.validate(each.digest) for each in message.directories}
    assert expected == set(named)


def assert_canonical(message: reapi.Directory) -> None:
    for nodes in (message.files, message.directories, message.symlinks):
        names = [node.name.encode() for node in nodes]
        assert names == sorted(set(names))
