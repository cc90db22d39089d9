"""ByteStream.Write and QueryWriteStatus: points 52 to 78, and decision 1.3 a."""

from __future__ import annotations

import os
import threading

import grpc
import pytest

from rpw_fixture.config import Config
from rpw_fixture.wire.compression import COMPRESSORS

from .client import bs, read_name, refused, sha256, slices, upload_name, writes
from .serving import serving

INVALID = grpc.StatusCode.INVALID_ARGUMENT
ZSTD = COMPRESSORS["zstd"]
DATA = b"some content"


def status(client, name):
    response = client.bytestream.QueryWriteStatus(bs.QueryWriteStatusRequest(resource_name=name))
    return response.committed_size, response.complete


class OpenWrite:
    """A write whose messages are sent one by one."""

    def __init__(self, client):
        self._messages = []
        self._more = threading.Semaphore(0)
        self._is_over = False
        self.call = client.bytestream.Write.future(iter(self._next, None))

    def _next(self):
        self._more.acquire()
        return self._messages.pop(0) if self._messages else None

    def send(self, message):
        self._messages.append(message)
        self._more.release()

    def half_close(self):
        self._more.release()


@pytest.fixture
def open_write(client):
    """Starts writes, and ends those that a test left open."""
    started = []

    def start(*messages):
        write = OpenWrite(client)
        started.append(write)
        for message in messages:
            write.send(message)
        return write

    yield start
    for write in started:
        write.call.cancel()
        write.half_close()


# --- names ---


@pytest.mark.point(52)
@pytest.mark.point(53)
@pytest.mark.parametrize("instance", ["", "main", "projects/p/instances/i"])
@pytest.mark.parametrize("metadata", ["", "/bazel-out/k8/bin/a.o", "/blobs/uploads"])
def test_a_blob_is_written_under_any_instance_and_with_metadata(client, instance, metadata):
    name = upload_name(DATA, instance=instance) + metadata
    assert client.write(name, DATA) == len(DATA)
    assert client.read(read_name(DATA)) == DATA


@pytest.mark.point(54)
def test_the_digest_function_may_be_named_even_where_it_need_not(client):
    client.write(f"uploads/u/blobs/sha256/{sha256(DATA).hash}/{len(DATA)}", DATA)
    assert client.missing(sha256(DATA)) == []


@pytest.mark.point(54)
def test_blake3_is_written_under_its_own_segment(serve):
    blake3 = pytest.importorskip("blake3").blake3
    client = serve(digest_functions=("SHA256", "BLAKE3")).client
    name = f"blobs/blake3/{blake3(DATA).hexdigest()}/{len(DATA)}"
    assert client.write(f"uploads/u/{name}", DATA) == len(DATA)
    assert client.read(name) == DATA


@pytest.mark.point(55)
@pytest.mark.parametrize("compressor", ["brotli", "lzma", "ZSTD", ""])
def test_a_compressor_that_is_not_offered_is_refused(client, compressor):
    with refused(INVALID, "compressor"):
        client.write(upload_name(DATA, kind=f"compressed-blobs/{compressor}"), DATA)


@pytest.mark.point(56)
def test_an_upload_id_that_is_no_uuid_is_refused_only_if_strict(serve):
    name = f"uploads/no-uuid/{read_name(DATA)}"
    client = serve(strict=True).client
    with refused(INVALID, "UUID"):
        client.write(name, DATA)
    assert client.write(upload_name(DATA), DATA) == len(DATA)


@pytest.mark.point(56)
def test_one_upload_id_may_serve_different_blobs(client):
    for data in (b"one", b"another"):
        client.write(f"uploads/no-uuid/{read_name(data)}", data)
    assert client.missing(sha256(b"one"), sha256(b"another")) == []


@pytest.mark.point(57)
@pytest.mark.parametrize(
    "name",
    [
        "",
        "blobs/{hash}/12",
        "uploads",
        "uploads/u",
        "uploads//blobs/{hash}/12",
        "uploads/u/blobs",
        "uploads/u/blobs/{hash}",
        "uploads/u/blobs/{hash}/",
        "uploads/u/blobs/{hash}/-12",
        "uploads/u/blobs/{hash}/twelve",
        "uploads/u/blobs/{hash}/١٢",
        "uploads/u/blobs/{hash}/9999999999999999999999",
        "uploads/u/blobs/short/12",
        "uploads/u/blobs/md4/{hash}/12",
        "uploads/u/other/{hash}/12",
        "a/blobs/b/uploads/u/blobs/{hash}/12",
        "uploads/u/compressed-blobs/{hash}/12",
    ],
)
def test_a_malformed_name_is_refused(client, name):
    with refused(INVALID):
        client.write(name.format(hash=sha256(DATA).hash), DATA)
    assert client.missing(sha256(DATA))


@pytest.mark.point(58)
def test_the_name_may_be_repeated_but_not_changed(client):
    name = upload_name(DATA)
    messages = list(writes(name, DATA[:5], DATA[5:]))
    messages[1].resource_name = name
    assert client.bytestream.Write(iter(messages)).committed_size == len(DATA)
    other = upload_name(b"other data!!")
    messages = list(writes(other, b"other ", b"data!!"))
    messages[1].resource_name = name
    with refused(INVALID, "resource_name"):
        client.bytestream.Write(iter(messages))


@pytest.mark.point(59)
@pytest.mark.point(60)
def test_a_message_larger_than_the_batch_limit_is_taken(client):
    data = os.urandom(5 << 20)
    assert client.write(upload_name(data), data) == len(data)
    assert client.read(read_name(data)) == data


# --- offsets and the end ---


@pytest.mark.point(61)
def test_offsets_have_to_follow_each_other(client):
    for wrong in (4, 6, 0, -1):
        messages = list(writes(upload_name(DATA), DATA[:5], DATA[5:]))
        messages[1].write_offset = wrong
        with refused(INVALID, "write_offset"):
            client.bytestream.Write(iter(messages))
    with refused(INVALID, "write_offset 3"):
        client.write(upload_name(DATA), DATA[3:], offset=3)
    assert client.missing(sha256(DATA))


@pytest.mark.point(62)
@pytest.mark.point(65)
def test_an_upload_can_start_again_under_the_same_name(client):
    name = upload_name(DATA)
    assert client.write(name, DATA[:5], finish=False) == 5
    assert client.write(name, DATA) == len(DATA)
    assert client.read(read_name(DATA)) == DATA


@pytest.mark.point(61)
@pytest.mark.point(65)
@pytest.mark.point(76)
def test_a_half_closed_upload_is_resumed_where_it_ended(client):
    name = upload_name(DATA)
    assert client.write(name, DATA[:5], finish=False) == 5
    assert status(client, name) == (5, False)
    with refused(INVALID, "committed size is 5"):
        client.write(name, DATA[4:], offset=4)
    assert client.write(name, DATA[5:8], offset=5, finish=False) == 8
    assert client.write(name, DATA[8:], offset=8) == len(DATA)
    assert status(client, name) == (len(DATA), True)


@pytest.mark.point(63)
def test_nothing_may_follow_finish_write(client):
    messages = [*writes(upload_name(DATA), DATA), bs.WriteRequest(write_offset=len(DATA))]
    with refused(INVALID, "finish_write"):
        client.bytestream.Write(iter(messages))


@pytest.mark.point(64)
def test_the_last_message_may_be_empty(client):
    assert client.write(upload_name(DATA), DATA, b"") == len(DATA)
    assert client.read(read_name(DATA)) == DATA


@pytest.mark.point(65)
def test_a_write_without_messages_is_refused(client):
    with refused(INVALID):
        client.bytestream.Write(iter([]))


@pytest.mark.point(66)
@pytest.mark.parametrize("size", [12, 3 << 20])
def test_more_bytes_than_named_are_refused_before_the_end(open_write, client, size):
    data = os.urandom(size)
    first, *_rest = writes(upload_name(data), data + b"!", finish=False)
    write = open_write(first)
    with refused(INVALID, sha256(data).hash):
        write.call.result()
    assert client.missing(sha256(data))


@pytest.mark.point(67)
@pytest.mark.parametrize("size", [12, 3 << 20])
def test_other_content_than_named_is_refused_and_not_kept(served, size):
    data, other = os.urandom(size), os.urandom(size)
    for wrong in (other, data[:-1]):
        with refused(INVALID, sha256(data).hash):
            served.client.write(upload_name(data), *slices(wrong, 1 << 20))
    assert len(served.client.missing(sha256(data), sha256(other), sha256(data[:-1]))) == 3
    assert served.cas.used == 0


@pytest.mark.point(16)
@pytest.mark.parametrize("kind", ["blobs", "compressed-blobs/zstd"])
def test_a_blob_larger_than_announced_is_refused(serve, kind):
    client = serve(max_blob_bytes=len(DATA) - 1).client
    with refused(INVALID, "largest"):
        client.write(upload_name(DATA, kind=kind), DATA)


# --- what is there already ---


@pytest.mark.point(68)
@pytest.mark.point(70)
def test_a_blob_that_is_there_is_answered_without_reading_on(open_write, client):
    client.upload(DATA)
    write = open_write(bs.WriteRequest(resource_name=upload_name(DATA), data=DATA[:3]))
    assert write.call.result().committed_size == len(DATA)


@pytest.mark.point(69)
@pytest.mark.parametrize("kind", ["compressed-blobs/zstd", "compressed-blobs/deflate"])
def test_a_compressed_upload_of_what_is_there_is_answered_with_minus_one(open_write, client, kind):
    client.upload(DATA)
    write = open_write(bs.WriteRequest(resource_name=upload_name(DATA, kind=kind), data=b"x"))
    assert write.call.result().committed_size == -1


@pytest.mark.point(72)
@pytest.mark.parametrize("kind", ["blobs", "compressed-blobs/zstd"])
def test_the_slower_of_two_uploads_is_cut_short(open_write, client, kind):
    data = os.urandom(3 << 20)
    encoded = data if kind == "blobs" else ZSTD.compress(data)
    first, second, *_rest = writes(upload_name(data, kind=kind), *slices(encoded, 1 << 20))
    slow = open_write(first)
    assert client.write(upload_name(data), data) == len(data)
    slow.send(second)
    assert slow.call.result().committed_size == (len(data) if kind == "blobs" else -1)
    assert client.read(read_name(data)) == data


@pytest.mark.point(72)
def test_many_uploads_of_one_blob_at_once_all_succeed(client):
    data = os.urandom(2 << 20)
    compressed = ZSTD.compress(data)
    calls = []
    for number in range(8):
        kind, content = [("blobs", data), ("compressed-blobs/zstd", compressed)][number % 2]
        messages = writes(upload_name(data, kind=kind), *slices(content, 100_000))
        calls.append(client.bytestream.Write.future(messages))
    sizes = {call.result().committed_size for call in calls}
    assert sizes <= {len(data), len(compressed), -1}
    assert client.read(read_name(data)) == data


# --- broken streams, and asking ---


@pytest.mark.point(75)
@pytest.mark.parametrize("kind", ["blobs", "compressed-blobs/zstd"])
def test_a_cancelled_upload_leaves_nothing(tmp_path, kind):
    data = os.urandom(3 << 20)
    encoded = data if kind == "blobs" else ZSTD.compress(data)
    taken, finished = threading.Event(), threading.Event()

    def messages():
        yield from writes(upload_name(data, kind=kind), *slices(encoded, 1 << 20)[:2], finish=False)
        taken.set()
        finished.wait()

    with serving(tmp_path, Config()) as served:
        call = served.client.bytestream.Write.future(messages())
        taken.wait()
        call.cancel()
        finished.set()
        assert served.client.missing(sha256(data))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.point(76)
@pytest.mark.parametrize("kind", ["blobs", "compressed-blobs/zstd"])
def test_the_status_of_an_upload_never_heard_of_is_0_and_of_a_known_blob_complete(client, kind):
    name = upload_name(DATA, kind=kind)
    assert status(client, name) == (0, False)
    client.upload(DATA)
    assert status(client, name) == (len(DATA), True)
    with refused(INVALID):
        status(client, "nonsense")


@pytest.mark.point(76)
def test_the_committed_size_never_shrinks(client):
    name = upload_name(DATA)
    client.write(name, DATA[:8], finish=False)
    client.write(name, DATA[:3], finish=False)
    assert status(client, name) == (8, False)
    client.write(name, DATA[:9], finish=False)
    assert status(client, name) == (9, False)


@pytest.mark.point(67)
def test_a_resumed_upload_of_wrong_content_is_forgotten(client):
    name = upload_name(DATA)
    client.write(name, b"SOME", finish=False)
    with refused(INVALID, sha256(DATA).hash):
        client.write(name, DATA[4:], offset=4)
    assert status(client, name) == (0, False)
    assert client.write(name, DATA) == len(DATA)
