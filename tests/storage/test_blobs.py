"""Blob stores: verified in, whole out, within a budget, from any thread."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.errors import BlobMissingError, Code, RequestError, RpwError
from rpw_fixture.storage.batches import DigestBatches
from rpw_fixture.storage.file_intake import put_file
from rpw_fixture.storage.writer import BlobWriter
from rpw_fixture.wire.digests import FUNCTIONS, SHA256, Digest
from rpw_fixture.wire.protos import remote_execution as reapi

from .small_stores import SIZES, files_below, make_cas, write_whole


@pytest.fixture
def cas(tmp_path):
    return make_cas(tmp_path)


@pytest.fixture
def store(cas):
    return cas.store(SHA256)


# --- in and out ---


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_comes_out_whole(store, tmp_path, size):
    data = os.urandom(size)
    digest = store.put(data)
    assert digest == SHA256.of(data)
    assert store.contains(digest)
    assert store.get(digest) == data
    assert store.get_or_none(digest) == data
    assert b"".join(store.read(digest, chunk=700)) == data
    store.materialise(digest, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [1, 999, 100_000])
def test_a_blob_written_in_pieces_comes_out_whole(store, size, piece):
    data = os.urandom(size)
    with BlobWriter(store, SHA256.of(data)) as writer:
        for start in range(0, size, piece):
            writer.write(memoryview(data)[start : start + piece])
        assert writer.written == size
        assert not store.contains(SHA256.of(data)) or size == 0
        writer.commit()
    assert store.get(SHA256.of(data)) == data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("by_descriptor", [False, True])
def test_a_file_is_kept_by_what_was_read_of_it(store, tmp_path, size, by_descriptor):
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    if by_descriptor:
        with path.open("rb") as file:
            digest = put_file(store, file.fileno())
    else:
        digest = put_file(store, str(path))
    assert digest == SHA256.of(data)
    path.write_bytes(b"changed")
    assert store.get(digest) == data


def test_neither_links_nor_pipes_are_read_as_files(store, tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        put_file(store, str(tmp_path / "link"))
    os.mkfifo(tmp_path / "fifo")
    assert put_file(store, str(tmp_path / "fifo")) == store.empty


@pytest.mark.parametrize("size", [5, 5000])
@given(offset=st.integers(0, 5000), limit=st.integers(0, 6000), chunk=st.integers(1, 6000))
def test_any_part_can_be_read(tmp_path_factory, size, offset, limit, chunk):
    data = bytes(range(256)) * 20
    data, offset = data[:size], min(offset, size)
    store = make_cas(tmp_path_factory.mktemp("cas")).store(SHA256)
    pieces = list(store.read(store.put(data), offset, limit, chunk))
    assert b"".join(pieces) == data[offset:][: limit or None]
    assert all(0 < len(piece) <= chunk for piece in pieces)


@pytest.mark.parametrize("size", [5, 5000])
@pytest.mark.parametrize("mode", [0o444, 0o555, 0o644, 0o777])
def test_a_materialised_file_has_just_its_mode_and_never_follows_or_replaces(
    store, tmp_path, size, mode
):
    digest = store.put(os.urandom(size))
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        store.materialise(digest, "file", mode=mode, dir_fd=folder)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
        (tmp_path / "link").symlink_to("elsewhere")
        for taken in ("file", "link"):
            with pytest.raises(FileExistsError):
                store.materialise(digest, taken, dir_fd=folder)
        assert not (tmp_path / "elsewhere").exists()
    finally:
        os.close(folder)


def test_a_missing_blob_is_named(store):
    gone = SHA256.of(b"gone")
    for call in (
        lambda: store.get(gone),
        lambda: list(store.read(gone)),
        lambda: store.materialise(gone, "/nowhere/at/all"),
        lambda: store.require([gone]),
    ):
        with pytest.raises(BlobMissingError) as caught:
            call()
        assert caught.value.missing == (f"blobs/{gone}",)
    assert store.get_or_none(gone) is None


@pytest.mark.parametrize("size", [5, 5000])
def test_content_that_is_not_what_it_is_called_is_refused_and_not_kept(cas, store, tmp_path, size):
    data = os.urandom(size)
    other = SHA256.of(os.urandom(size))
    for wrong in (other, Digest(SHA256.of(data).hash, size + 1), Digest(other.hash, size - 1)):
        with pytest.raises(RequestError, match=wrong.hash) as caught:
            store.put(data, wrong)
        assert caught.value.code is Code.INVALID_ARGUMENT
        with pytest.raises(RequestError, match=wrong.hash):
            write_whole(store, wrong, data)
    assert len(store) == 1
    assert cas.used == 0
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("size", [5, 5000])
def test_a_writer_that_is_left_or_used_up_takes_no_more(store, tmp_path, size):
    data = os.urandom(size)
    with BlobWriter(store, SHA256.of(data)) as writer:
        writer.write(data[:3])
    with pytest.raises(RpwError, match="open a new writer"):
        writer.write(data[3:])
    writer.abort()
    assert files_below(tmp_path) == []
    assert not store.contains(SHA256.of(data))


@pytest.mark.parametrize("size", [5, 5000])
def test_a_writer_refuses_the_first_byte_too_many(store, tmp_path, size):
    with BlobWriter(store, SHA256.of(bytes(size))) as writer:
        writer.write(bytes(size))
        with pytest.raises(RequestError, match=f"{size + 1} bytes or more"):
            writer.write(b"!")
    assert files_below(tmp_path) == []


def test_functions_have_separate_stores(cas):
    sha1 = FUNCTIONS["SHA1"]
    digest = cas.store(sha1).put(b"content")
    assert digest == sha1.of(b"content")
    assert not cas.store(SHA256).contains(SHA256.of(b"content"))


# --- what is missing ---


def test_missing_digests_come_once_and_in_order(store):
    here = store.put(b"here")
    one, two = SHA256.of(b"one"), SHA256.of(b"two")
    wrong_size = Digest(here.hash, 99)
    assert store.missing([two, here, one, two, wrong_size]) == [two, one, wrong_size]


@pytest.mark.parametrize(
    ("hash_", "size"), [("A" * 64, 1), ("a" * 63, 1), ("", 0), ("a" * 64, -1), ("é" * 64, 1)]
)
def test_absent_digests_of_a_message_are_validated(store, hash_, size):
    here = store.put(b"here")
    messages = [
        reapi.Digest(hash=here.hash, size_bytes=here.size),
        reapi.Digest(hash=SHA256.of(b"gone").hash, size_bytes=4),
    ]
    assert DigestBatches(store).missing(messages) == messages[1:]
    with pytest.raises(RequestError) as caught:
        DigestBatches(store).missing([*messages, reapi.Digest(hash=hash_, size_bytes=size)])
    assert caught.value.code is Code.INVALID_ARGUMENT


# --- the budget ---


def test_the_least_recently_used_blobs_leave_first(tmp_path):
    cas = make_cas(tmp_path, max_bytes=1000)
    store = cas.store(SHA256)
    first, second, third = (store.put(bytes([number]) * 300) for number in range(3))
    assert store.contains(first)
    fourth = store.put(b"3" * 300)
    assert store.missing([first, second, third, fourth]) == [second]
    assert cas.evictions == store.evictions == 1
    assert cas.used == 900


def test_use_is_counted_by_every_way_of_asking(store):
    digest = store.put(b"content")
    ways = [
        lambda: store.contains(digest),
        lambda: store.missing([digest]),
        lambda: DigestBatches(store).missing(
            [reapi.Digest(hash=digest.hash, size_bytes=digest.size)]
        ),
        lambda: store.get(digest),
        lambda: list(store.read(digest)),
        lambda: store.put(b"content"),
        lambda: store.pin([digest]).release(),
        lambda: store.touch(store.entries([digest])),
    ]
    for way in ways:
        before = store.last_used(digest)
        way()
        assert store.last_used(digest) > before
    assert store.last_used(SHA256.of(b"gone")) == 0


def test_pinned_blobs_stay_until_the_last_pin_is_released(tmp_path):
    cas = make_cas(tmp_path, max_bytes=1000)
    store = cas.store(SHA256)
    kept, gone = store.put(b"a" * 600), SHA256.of(b"gone")
    with store.pin([kept, gone]) as pins:
        assert pins.absent == [gone]
        again = store.pin([kept])
        store.put(b"b" * 600)
        assert store.contains(kept)
    store.put(b"c" * 600)
    assert store.contains(kept)
    again.release()
    again.release()
    store.put(b"d" * 600)
    assert not store.contains(kept)


def test_a_blob_that_can_never_fit_is_refused(tmp_path):
    store = make_cas(tmp_path, max_bytes=100).store(SHA256)
    for size in (101, 5000):
        with pytest.raises(RequestError, match="cas_max_bytes") as caught:
            store.put(bytes(size))
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert files_below(tmp_path) == []


def test_over_the_memory_budget_blobs_move_to_files_and_back_when_used(tmp_path):
    cas = make_cas(tmp_path, memory_bytes=2000)
    store = cas.store(SHA256)
    blobs = [bytes([number]) * 500 for number in range(12)]
    digests = [store.put(blob) for blob in blobs]
    assert cas.memory_used <= 2000
    assert cas.used == 6000
    assert cas.evictions == 0
    assert len(files_below(tmp_path)) >= 8
    assert [store.get(digest) for digest in digests] == blobs
    assert cas.memory_used <= 2000


def test_large_blobs_take_no_memory(cas, store, tmp_path):
    store.put(bytes(100_000))
    store.get(SHA256.of(bytes(100_000)))
    assert cas.memory_used == 0
    assert [path.stat().st_size for path in files_below(tmp_path)] == [100_000]


def test_a_blob_being_read_is_read_to_its_end_though_it_is_evicted(cas, store, tmp_path):
    data = os.urandom(5000)
    pieces = store.read(store.put(data), chunk=1000)
    first = next(pieces)
    assert cas.clear() == 1
    assert files_below(tmp_path) == []
    assert first + b"".join(pieces) == data


def test_evicting_takes_what_the_predicate_says_but_not_the_empty_blob(cas, store):
    small, large = store.put(b"small"), store.put(bytes(5000))
    pins = store.pin([small])
    assert cas.evict(lambda function, digest: function is SHA256 and digest.size < 100) == 1
    assert store.missing([small, large, store.empty]) == [small]
    pins.release()
    assert cas.clear() == 1
    assert store.digests() == [store.empty]
    assert (cas.used, cas.memory_used, cas.evictions) == (0, 0, 2)


def test_a_blob_whose_file_was_deleted_is_missing(cas, store, tmp_path):
    digest = store.put(bytes(5000))
    for path in files_below(tmp_path):
        path.unlink()
    assert store.get_or_none(digest) is None
    assert not store.contains(digest)
    assert cas.used == 0


# --- full disks ---


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_nothing_torn_is_left(cas, store, tmp_path, monkeypatch, number):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(5000))
    data = os.urandom(5000)
    real = os.write

    def write(fd, piece):
        if len(piece) > 100:
            return real(fd, piece[:100])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", write)
    with BlobWriter(store, SHA256.of(data)) as writer:
        for call in (
            lambda: store.put(data),
            lambda: writer.write(data),
            lambda: put_file(store, str(source)),
        ):
            with pytest.raises(RequestError, match=f"no space .* {tmp_path}") as caught:
                call()
            assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert files_below(tmp_path) == [source]
    assert cas.used == 0
