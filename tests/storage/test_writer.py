"""What a blob that can't be written leaves: nothing, and at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture.errors import Code, RequestError, RpwError
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.file_intake import put_file
from rpw_fixture.storage.writer import BlobWriter
from rpw_fixture.wire.digests import SHA256, Digest

from .small_stores import SPILL, files_below, make_cas

DATA = b"x" * (3 * SPILL)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    cas = make_cas(tmp_path / "cas")
    yield cas.store(SHA256)
    cas.close()


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "write", refuse)


def test_a_full_disk_aborts_the_writer(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = BlobWriter(store, SHA256.of(DATA))
    with monkeypatch.context() as patched:
        fill_disk(patched)
        with pytest.raises(RequestError) as full:
            writer.write(DATA)
    assert full.value.code is Code.RESOURCE_EXHAUSTED
    assert files_below(tmp_path) == []
    with pytest.raises(RpwError, match="open a new writer"):
        writer.write(DATA)


def test_a_full_disk_leaves_nothing_of_a_file_that_is_taken_in(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").write_bytes(DATA)
    before = files_below(tmp_path)
    with monkeypatch.context() as patched:
        fill_disk(patched)
        with pytest.raises(RequestError, match="no space"):
            put_file(store, str(tmp_path / "source"), len(DATA))
    assert files_below(tmp_path) == before
    assert put_file(store, str(tmp_path / "source"), len(DATA)) == SHA256.of(DATA)


@pytest.mark.parametrize("size", [SPILL - 1, SPILL])
@pytest.mark.parametrize("more", [0, 1])
def test_content_of_another_size_or_digest_aborts_the_writer(
    more: int, size: int, store: BlobStore, tmp_path: Path
) -> None:
    writer = BlobWriter(store, SHA256.of(b"x" * size))
    if not more:
        writer.write(b"y" * size)
    with pytest.raises(RequestError, match="does not match the content"):
        writer.write(b"x" * (size + 1)) if more else writer.commit()
    assert files_below(tmp_path) == []
    writer.abort()


def test_a_blob_larger_than_the_store_is_refused_and_its_file_removed(tmp_path: Path) -> None:
    cas = make_cas(tmp_path / "cas", max_bytes=len(DATA) - 1)
    writer = BlobWriter(cas.store(SHA256), SHA256.of(DATA))
    writer.write(DATA)
    with pytest.raises(RequestError) as full:
        writer.commit()
    assert full.value.code is Code.RESOURCE_EXHAUSTED
    assert files_below(tmp_path) == []
    cas.close()


def test_a_blob_that_is_there_already_needs_no_second_file(
    store: BlobStore, tmp_path: Path
) -> None:
    store.put(DATA)
    before = files_below(tmp_path)
    writer = BlobWriter(store, SHA256.of(DATA))
    writer.write(memoryview(DATA)[:SPILL])
    writer.write(memoryview(DATA)[SPILL:])
    assert writer.written == len(DATA)
    writer.commit()
    assert files_below(tmp_path) == before
    assert store.get(SHA256.of(DATA)) == DATA
    assert isinstance(writer.digest, Digest)


def test_files_have_exact_modes_whatever_the_umask(store: BlobStore, tmp_path: Path) -> None:
    digest = store.put(b"x" * SPILL)
    before = os.umask(0o077)
    try:
        assert store.materialise(digest, str(tmp_path / "plain")).st_mode & 0o7777 == 0o444
        made = store.materialise(digest, str(tmp_path / "tool"), mode=0o555, mtime_ns=7)
        assert (made.st_mode & 0o7777, made.st_mtime_ns) == (0o555, 7)
        fd, path = store.new_file()
        os.close(fd)
        assert Path(path).stat().st_mode & 0o7777 == 0o600
        Path(path).unlink()
    finally:
        os.umask(before)
    blobs = [each for each in files_below(tmp_path) if each.parent != tmp_path]
    assert {each.stat().st_mode & 0o7777 for each in blobs} == {0o600}
