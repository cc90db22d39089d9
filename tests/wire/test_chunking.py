"""FastCDC 2020: the same cuts as other implementations make, however the content arrives."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.wire.chunking import AVERAGE_BYTES, FastCdc

SMALL = FastCdc(average=1024)


def noise(size):
    """Bytes that look random and are the same everywhere."""
    count = -(-size // 32)
    blocks = (hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range(count))
    return b"".join(blocks)[:size]


@pytest.mark.parametrize(
    ("average", "seed", "lengths"),
    [
        (1024, 0, [1155, 1088, 1069, 1153, 1438, 1135, 1082, 1607, 274]),
        (16384, 0, [27247, 18376, 4975, 23744, 19422, 20572, 19738, 15926]),
        (16384, 666, [26615, 17401, 17029, 16611, 7472, 18556, 16851, 8043, 17155, 4267]),
        (65536, 0, [86806, 70275, 116729, 26559, 56506, 43126]),
    ],
)
def test_cuts_are_where_pyfastcdc_cuts_at_normalisation_level_2(average, seed, lengths):
    content = noise(sum(lengths))
    chunks = list(FastCdc(average=average, seed=seed).split([content]))
    assert [len(chunk) for chunk in chunks] == lengths
    assert b"".join(chunks) == content


@given(
    content=st.one_of(st.binary(max_size=9000), st.integers(0, 9000).map(noise)),
    sizes=st.lists(st.integers(0, 3000)),
)
def test_cuts_depend_on_content_alone(content, sizes):
    pieces, rest = [], content
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    chunks = list(SMALL.split([*pieces, rest]))
    assert b"".join(chunks) == content
    assert chunks == list(SMALL.split([content]))
    assert all(256 <= len(chunk) <= 4096 for chunk in chunks[:-1])
    assert all(1 <= len(chunk) <= 4096 for chunk in chunks[-1:])


def test_cuts_move_with_the_content_after_an_insertion():
    content = noise(60_000)
    before = set(SMALL.split([content]))
    after = set(SMALL.split([b"inserted" + content]))
    assert len(before & after) > len(before) * 0.9


def test_content_without_variety_is_cut_at_the_longest():
    assert [len(chunk) for chunk in SMALL.split([bytes(10_000)])] == [4096, 4096, 1808]


def test_no_content_has_no_chunks():
    assert list(SMALL.split([])) == []
    assert list(SMALL.split([b"", b""])) == []


def test_the_longest_chunk_can_be_set():
    chunks = list(FastCdc(average=1024, largest=2048).split([bytes(5000)]))
    assert [len(chunk) for chunk in chunks] == [2048, 2048, 904]


@pytest.mark.parametrize("average", [0, 512, 1000, 2 << 20])
def test_an_average_that_clients_ignore_is_refused(average):
    with pytest.raises(ValueError, match="power of two"):
        FastCdc(average=average)


def test_the_announced_average_is_a_valid_one():
    assert FastCdc().average == AVERAGE_BYTES
