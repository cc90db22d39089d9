"""Resource names: every name made is read back, nothing else is taken."""

from __future__ import annotations

import contextlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.wire.digests import FUNCTIONS, SHA256, Digest, DigestFunctions
from rpw_fixture.wire.resource_names import (
    COMPRESSORS,
    RESERVED,
    BlobName,
    parse_read,
    parse_write,
)

ALL = DigestFunctions(FUNCTIONS)
segments = st.text(
    st.characters(blacklist_characters="/", blacklist_categories=["Cs"]), min_size=1
).filter(lambda text: text not in RESERVED)


@st.composite
def blob_names(draw):
    function = draw(st.sampled_from(ALL.offered))
    data = draw(st.binary(max_size=10))
    return BlobName(
        instance="/".join(draw(st.lists(segments, max_size=4))),
        function=function,
        digest=Digest(function.of(data).hash, draw(st.integers(0, 10**17))),
        compressor=draw(st.sampled_from(["", *sorted(COMPRESSORS)])),
    )


@given(name=blob_names())
def test_a_name_to_read_by_is_read_back(name):
    assert parse_read(name.for_read(), ALL) == name


@given(
    name=blob_names(),
    upload=st.uuids(),
    metadata=st.lists(st.text(st.characters(blacklist_categories=["Cs"]))),
)
def test_a_name_to_write_by_is_read_back_whatever_follows_it(name, upload, metadata):
    text = "/".join([name.for_write(upload), *metadata])
    assert parse_write(text, ALL, strict=True) == name


@given(
    text=st.lists(
        st.one_of(
            st.sampled_from(
                ["uploads", "blobs", "compressed-blobs", "zstd", "sha1", "a" * 64, "7"]
            ),
            st.text(max_size=5),
        ),
        max_size=8,
    ).map("/".join)
)
def test_any_text_is_a_name_or_refused(text):
    for parse in (parse_read, parse_write):
        # Any other exception would be a bug.
        with contextlib.suppress(RequestError):
            name = parse(text, ALL)
            assert name.digest == name.function.checked(*name.digest)


def test_a_refusal_is_short_however_long_the_name():
    for parse in (parse_read, parse_write):
        with pytest.raises(RequestError) as caught:
            parse("blobs/" + "x" * 100_000, ALL)
        assert caught.value.code is Code.INVALID_ARGUMENT
        assert len(caught.value.message) < 1000


def test_a_name_is_shown_with_what_is_wrong_with_it():
    with pytest.raises(RequestError, match=r"'blobs/abc/1': .* 3 digits"):
        parse_read("blobs/abc/1", DigestFunctions(["SHA256"]))


def test_a_name_to_write_by_is_none_to_read_by():
    name = BlobName(instance="main", function=SHA256, digest=SHA256.of(b"x"))
    upload = UUID(int=1)
    assert (
        name.for_write(upload) == f"main/uploads/{upload}/{name.for_read().removeprefix('main/')}"
    )
    with pytest.raises(RequestError, match="reserved"):
        parse_read(name.for_write(upload), ALL)


@pytest.mark.parametrize("upload", ["1", "not-a-uuid", "{00000000-0000-0000-0000-000000000001}"])
def test_an_upload_id_is_checked_only_if_strict(upload):
    name = f"uploads/{upload}/blobs/{SHA256.of(b'x')}"
    assert parse_write(name, ALL).digest == SHA256.of(b"x")
    with pytest.raises(RequestError, match="UUID"):
        parse_write(name, ALL, strict=True)
