"""Files below --root that were changed behind the server: never served, removed, reported."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rpw_fixture import Server
from rpw_fixture.client.action import Action
from rpw_fixture.client.inputs import File
from rpw_fixture.errors import BlobMissingError
from rpw_fixture.events.kinds import BlobCorrupted
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.storage import blobs as module
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import SHA256, Digest
from tests.waiting import until

from .small_stores import SIZES, SPILL, make_cas

WAYS = {
    "get": lambda store, digest, _: store.get(digest),
    "read": lambda store, digest, _: b"".join(store.read(digest)),
    "a part": lambda store, digest, _: b"".join(store.read(digest, offset=1, limit=1)),
    "materialise": lambda store, digest, path: store.materialise(digest, str(path / "out")),
}


def file_of(root: Path, digest: Digest) -> Path:
    (found,) = (path for path in root.rglob(f"{digest.hash}-*") if path.is_file())
    return found


def flip(path: Path, position: int = -1) -> None:
    """Flip a bit, and wait until the file's times show it."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[position] ^= 1

    def write() -> bool:
        with path.open("r+b") as file:
            file.write(content)
        return path.stat().st_mtime_ns != before.st_mtime_ns

    until(write)


def stored(root: Path, data: bytes) -> Digest:
    """Keeps a blob with a server that has ended."""
    cas = make_cas(root, durable=True)
    digest = cas.store(SHA256).put(data)
    cas.close()
    return digest


@pytest.fixture
def reported() -> list[tuple[str, Digest, str]]:
    return []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def reopened(root: Path, reported: list[tuple[str, Digest, str]]) -> Cas:
    return make_cas(
        root,
        durable=True,
        on_corrupt=lambda function, digest, path: reported.append((function.name, digest, path)),
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [size for size in SIZES if size])
def test_a_flipped_bit_is_noticed_before_it_is_served_and_the_blob_is_missing_then(
    root: Path, reported: list[tuple[str, Digest, str]], tmp_path: Path, way: str, size: int
) -> None:
    data = os.urandom(size)
    digest = stored(root, data)
    path = file_of(root, digest)
    flip(path)
    cas = reopened(root, reported)
    store = cas.store(SHA256)
    assert store.contains(digest)
    with pytest.raises(BlobMissingError):
        WAYS[way](store, digest, tmp_path)

    assert not store.contains(digest)
    assert store.missing([digest]) == [digest]
    assert not path.exists()
    assert not (tmp_path / "out").exists()
    assert reported == [("SHA256", digest, str(path))]
    store.put(data)
    assert store.get(digest) == data
    cas.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_changed_while_the_server_runs_is_noticed(
    root: Path, reported: list[tuple[str, Digest, str]], tmp_path: Path, way: str
) -> None:
    cas = reopened(root, reported)
    store = cas.store(SHA256)
    digest = store.put(os.urandom(SPILL))
    WAYS[way](store, digest, tmp_path)
    (tmp_path / "out").unlink(missing_ok=True)
    flip(file_of(root, digest), 0)
    with pytest.raises(BlobMissingError):
        WAYS[way](store, digest, tmp_path)

    assert len(reported) == 1
    cas.close()


@pytest.mark.parametrize("change", ["cut", "longer", "empty"])
def test_a_file_of_another_size_is_noticed(
    root: Path, reported: list[tuple[str, Digest, str]], change: str
) -> None:
    cas = reopened(root, reported)
    store = cas.store(SHA256)
    digest = store.put(os.urandom(SPILL))
    size = {"cut": SPILL - 1, "longer": SPILL + 1, "empty": 0}[change]
    os.truncate(file_of(root, digest), size)
    with pytest.raises(BlobMissingError):
        b"".join(store.read(digest))

    assert len(reported) == 1
    cas.close()


def test_a_file_is_hashed_once_and_again_only_when_it_may_have_changed(
    root: Path, reported: list[tuple[str, Digest, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(SPILL)
    digest = stored(root, data)
    hashed: list[int] = []
    hash_of = module.hash_of

    def counting(fd: int, function: object) -> Digest:
        hashed.append(fd)
        return hash_of(fd, function)

    monkeypatch.setattr(module, "hash_of", counting)
    cas = reopened(root, reported)
    store: BlobStore = cas.store(SHA256)
    for _ in range(5):
        assert b"".join(store.read(digest)) == data
    assert len(hashed) == 1
    other = store.put(os.urandom(SPILL + 1))
    b"".join(store.read(other))
    assert len(hashed) == 1  # it was hashed when it came in
    os.utime(file_of(root, digest), ns=(1, 1))
    assert b"".join(store.read(digest)) == data
    assert len(hashed) == 2
    assert reported == []
    cas.close()


def test_blobs_that_memory_had_no_room_for_are_noticed_too(
    tmp_path: Path, reported: list[tuple[str, Digest, str]]
) -> None:
    cas = make_cas(tmp_path, memory_bytes=SPILL)
    store = cas.store(SHA256)
    first = store.put(os.urandom(SPILL - 1))
    store.put(os.urandom(SPILL - 2))
    (spilled,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert len(store.get(first)) == SPILL - 1
    flip(spilled)
    with pytest.raises(BlobMissingError):
        b"".join(store.read(first))
    cas.close()


@pytest.mark.parametrize("is_tool", [False, True])
def test_an_action_does_not_run_on_a_flipped_input_and_runs_once_it_was_uploaded_again(
    make_rpw_server: MakeServer, root: Path, is_tool: bool
) -> None:
    content = os.urandom(2 << 20)
    inputs = {"tool_inputs" if is_tool else "inputs": {"src/large": File(content)}}
    action = Action(
        arguments=["/bin/cp", "src/large", "out"], outputs=["out"], do_not_cache=True, **inputs
    )
    with Server(root=str(root)) as server:
        assert server.run(action).outputs["out"] == content
    flip(file_of(root / "cas", SHA256.of(content)))
    server = make_rpw_server(root=str(root))
    outcome = server.run(action, check=False)

    assert outcome.ok, outcome  # our client uploads again what is missing
    assert outcome.outputs["out"] == content
    (corrupt,) = server.events.of(BlobCorrupted)
    assert corrupt.digest == str(SHA256.of(content))


def test_a_flipped_result_of_an_action_is_not_served(root: Path) -> None:
    action = Action(arguments=["/bin/sh", "-c", "echo said > out"], outputs=["out"])
    with Server(root=str(root)) as server:
        assert not server.run(action).cached
        assert server.run(action).cached
    for path in (root / "ac" / "results").rglob("*"):
        if path.is_file():
            flip(path)
    with Server(root=str(root)) as server:
        again = server.run(action)
        assert not again.cached
        assert again.outputs["out"] == b"said\n"


def test_a_file_whose_state_is_unknown_is_closed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, "output error")

    cas = make_cas(tmp_path, spill_threshold=10)
    store = cas.store(SHA256)
    digest = store.put(b"x" * 100)
    monkeypatch.setattr(module, "state_of", fail)
    with pytest.raises(OSError, match="output error"):
        store.get(digest)
    cas.close()
