"""Content inside of a result: what was wanted, as long as there is room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.execution.inline import ROOM, InlineHints
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.digests import SHA256, Digest, message_of
from rpw_fixture.wire.protos import remote_execution as reapi

NOTHING = reapi.Digest()


def test_nothing_is_wanted_unless_it_is_said_and_responses_stay_below_four_mebibytes() -> None:
    assert InlineHints() == (False, False, frozenset())
    assert ROOM == 3 << 20


def stored(store: BlobStore, data: bytes) -> reapi.Digest:
    return message_of(store.put(data))


@pytest.mark.parametrize(("room", "expected"), [(4, b""), (5, b"12345"), (6, b"12345")])
def test_content_is_given_out_to_the_last_byte_of_room(
    room: int, expected: bytes, store: BlobStore
) -> None:
    result = reapi.ActionResult(stdout_digest=stored(store, b"12345"))
    InlineHints(stdout=True).fill(result, store, room)
    assert result.stdout_raw == expected
    assert result.stdout_digest.size_bytes == 5


def test_each_content_leaves_less_room_for_the_next(store: BlobStore) -> None:
    result = reapi.ActionResult(
        stdout_digest=stored(store, b"123"), stderr_digest=stored(store, b"456")
    )
    result.output_files.add(path="long", digest=stored(store, b"789"))
    result.output_files.add(path="short", digest=stored(store, b"0"))
    hints = InlineHints(stdout=True, stderr=True, files=frozenset({"long", "short"}))
    hints.fill(result, store, 7)
    assert (result.stdout_raw, result.stderr_raw) == (b"123", b"456")
    assert [each.contents for each in result.output_files] == [b"", b"0"]


@pytest.mark.parametrize(
    "digest",
    [
        reapi.Digest(hash="no hash", size_bytes=5),
        reapi.Digest(hash="a" * 64, size_bytes=-1),
        message_of(SHA256.of(b"evicted")),
        NOTHING,
    ],
)
def test_what_is_no_stored_blob_is_left_out(digest: reapi.Digest, store: BlobStore) -> None:
    result = reapi.ActionResult(stdout_digest=digest, stderr_digest=stored(store, b"there"))
    InlineHints(stdout=True, stderr=True).fill(result, store, ROOM)
    assert (result.stdout_raw, result.stderr_raw) == (b"", b"there")


@pytest.mark.parametrize("stdout", [False, True])
@pytest.mark.parametrize("stderr", [False, True])
@pytest.mark.parametrize("files", [frozenset(), frozenset({"a"}), frozenset({"a", "b"})])
def test_only_what_is_wanted_comes(
    stdout: bool, stderr: bool, files: frozenset[str], store: BlobStore
) -> None:
    request = reapi.ExecuteRequest(
        inline_stdout=stdout, inline_stderr=stderr, inline_output_files=files
    )
    hints = InlineHints.of(request)
    assert hints == (stdout, stderr, files)
    assert bool(hints) == bool(stdout or stderr or files)

    digest = stored(store, b"content")
    result = reapi.ActionResult(stdout_digest=digest, stderr_digest=digest)
    for path in "abc":
        result.output_files.add(path=path, digest=digest)
    response = reapi.ExecuteResponse(result=result).SerializeToString()
    filled = reapi.ExecuteResponse.FromString(hints.added_to(response, store)).result
    assert filled.stdout_raw == (b"content" if stdout else b"")
    assert filled.stderr_raw == (b"content" if stderr else b"")
    assert {each.path for each in filled.output_files if each.contents} == files


def test_what_is_there_already_takes_no_room(store: BlobStore) -> None:
    result = reapi.ActionResult(
        stdout_raw=b"own", stderr_raw=b"own", stdout_digest=stored(store, b"123")
    )
    result.stderr_digest.CopyFrom(result.stdout_digest)
    result.output_files.add(path="a", digest=stored(store, b"123"), contents=b"own")
    result.output_files.add(path="b", digest=stored(store, b"123"))
    hints = InlineHints(stdout=True, stderr=True, files=frozenset({"a", "b"}))
    hints.fill(result, store, 3)
    assert (result.stdout_raw, result.stderr_raw) == (b"own", b"own")
    assert [each.contents for each in result.output_files] == [b"own", b"123"]


class _Contents:
    """A store that has everything, as zeros."""

    function = SHA256

    @staticmethod
    def get_or_none(digest: Digest) -> bytes:
        return bytes(digest.size)


@given(sizes=st.lists(st.integers(0, 9)), room=st.integers(-1, 30))
def test_content_is_given_out_in_order_where_it_fits(sizes: list[int], room: int) -> None:
    result = reapi.ActionResult()
    for number, size in enumerate(sizes):
        result.output_files.add(path=str(number), digest=message_of(SHA256.of(bytes(size))))
    wanted = frozenset(map(str, range(len(sizes))))
    InlineHints(files=wanted).fill(result, _Contents(), room)  # type: ignore[arg-type]
    for size, file in zip(sizes, result.output_files, strict=True):
        fits = size <= room
        assert file.contents == (bytes(size) if fits else b"")
        room -= size if fits else 0
