"""Compressors: round trips in any pieces, bounded output, and refusal of what is corrupt."""

from __future__ import annotations

import contextlib
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpw_fixture.errors import RequestError
from rpw_fixture.wire.compression import (
    COMPRESSORS,
    PIECE_BYTES,
    available,
    compressor_named,
    compressor_numbered,
)

NAMES = sorted(COMPRESSORS)
contents = st.one_of(
    st.binary(max_size=2000),
    st.builds(lambda data, times: data * times, st.binary(), st.integers(0, 999)),
)


def sliced(data, sizes):
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


def decoded(name, pieces):
    decoder = COMPRESSORS[name].decoder()
    out = [plain for piece in pieces for plain in decoder.feed(piece)]
    decoder.finish()
    return b"".join(out)


@pytest.mark.parametrize("name", NAMES)
@given(data=contents)
def test_what_is_compressed_whole_is_decompressed_whole(name, data):
    compressed = COMPRESSORS[name].compress(data)
    assert COMPRESSORS[name].decompress(compressed, len(data)) == data


@pytest.mark.parametrize("name", NAMES)
@given(data=contents, made=st.lists(st.integers(0, 500)), read=st.lists(st.integers(0, 50)))
def test_pieces_may_be_cut_anywhere_on_both_sides(name, data, made, read):
    compressed = b"".join(COMPRESSORS[name].compress_pieces(sliced(data, made)))
    assert decoded(name, sliced(compressed, read)) == data


@given(parts=st.lists(contents, max_size=4), read=st.lists(st.integers(0, 50)))
def test_zstd_takes_any_number_of_frames(parts, read):
    frames = b"".join(COMPRESSORS["zstd"].compress(part) for part in parts)
    assert decoded("zstd", sliced(frames, read)) == b"".join(parts)


def test_zstd_skips_skippable_frames():
    skippable = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"any"
    frames = skippable + COMPRESSORS["zstd"].compress(b"content") + skippable
    assert decoded("zstd", [frames]) == b"content"


@pytest.mark.parametrize("filler", [0, 1000, 1023, 1024, 3000])
def test_only_so_many_zstd_frames_come_in_few_bytes(filler: int) -> None:
    tiny = COMPRESSORS["zstd"].compress(b"")
    skippable = b"\x50\x2a\x4d\x18" + filler.to_bytes(4, "little") + bytes(filler)
    most = next(
        n for n in range(1000) if n + 2 > 256 + (len(skippable) + (n + 1) * len(tiny)) // 1024
    )
    assert decoded("zstd", [skippable + most * tiny]) == b""
    with pytest.raises(RequestError, match=f"too many tiny zstd frames: {most + 2} in"):
        decoded("zstd", [skippable + (most + 1) * tiny])


@pytest.mark.parametrize("name", NAMES)
def test_output_comes_in_small_pieces_however_much_it_is(name):
    size = 8 * PIECE_BYTES + 17
    compressed = COMPRESSORS[name].compress(bytes(size))
    lengths = [len(piece) for piece in COMPRESSORS[name].decoder().feed(compressed)]
    assert sum(lengths) == size
    assert max(lengths) <= PIECE_BYTES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [99, 101])
def test_another_size_than_expected_is_refused(name, size):
    compressed = COMPRESSORS[name].compress(bytes(100))
    with pytest.raises(RequestError, match=f"{size}"):
        COMPRESSORS[name].decompress(compressed, size)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=200)
@given(data=st.binary(max_size=300), pieces=st.lists(st.integers(0, 50)))
def test_any_bytes_are_content_or_refused(name, data, pieces):
    # Any other exception would be a bug.
    with contextlib.suppress(RequestError):
        content = decoded(name, sliced(data, pieces))
        assert name != "deflate" or not data or content == zlib.decompress(data, wbits=-15)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(min_size=1, max_size=300), cut=st.integers(1, 300))
def test_a_truncated_stream_is_refused(name, data, cut):
    compressed = COMPRESSORS[name].compress(data)
    short = compressed[: -min(cut, len(compressed) - 1)]
    with pytest.raises(RequestError, match="truncated"):
        decoded(name, [short])


@pytest.mark.parametrize("name", NAMES)
def test_bytes_after_the_end_are_refused(name):
    with pytest.raises(RequestError, match="corrupt"):
        decoded(name, [COMPRESSORS[name].compress(b"content"), b"\xffmore"])


def test_compressors_are_found_by_name_and_number():
    for number, compressor in available().items():
        assert compressor_numbered(number) is compressor
        assert compressor_named(compressor.name) is compressor
    for name, number in (("brotli", 3), ("ZSTD", 0), ("", -1)):
        with pytest.raises(RequestError, match="zstd, deflate"):
            compressor_named(name)
        with pytest.raises(RequestError, match="zstd, deflate"):
            compressor_numbered(number)


def test_a_library_in_a_package_that_is_missing_is_not_available():
    known = COMPRESSORS["zstd"]
    assert known.is_available
    for library in ("absent", "absent.package.zstd"):
        assert not known._replace(library=library).is_available
