"""Digests as values, and how the digest function of a request is found."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.errors import Code, ConfigError, RequestError
from rpw_fixture.wire.digests import (
    FUNCTIONS,
    SHA256,
    Digest,
    DigestFunctions,
    digest_of,
    message_of,
)
from rpw_fixture.wire.protos import remote_execution as reapi


@pytest.mark.parametrize("name", ["SHA1", "SHA256", "SHA384", "SHA512"])
@given(data=st.binary(max_size=200))
def test_a_digest_is_the_hash_and_the_size(name, data):
    digest = FUNCTIONS[name].of(data)
    assert digest == Digest(hashlib.new(name, data).hexdigest(), len(data))
    assert (
        FUNCTIONS[name].validate(reapi.Digest(hash=digest.hash, size_bytes=digest.size)) == digest
    )


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda function: function.name)
def test_the_empty_digest_is_that_of_no_bytes(function):
    assert function.empty == function.of(b"")
    assert len(function.empty.hash) == function.hex_length


@given(hash_=st.text(max_size=70))
def test_only_lowercase_hex_of_the_right_length_is_a_hash(hash_):
    is_valid = len(hash_) == 64 and set(hash_) <= set("0123456789abcdef")
    if is_valid:
        assert SHA256.checked(hash_, 1) == Digest(hash_, 1)
        return
    with pytest.raises(RequestError) as caught:
        SHA256.checked(hash_, 1)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_long_hash_is_shortened_in_the_message():
    with pytest.raises(RequestError) as caught:
        SHA256.checked("a" * 100_000, 1)
    assert len(caught.value.message) < 500


def test_a_negative_size_is_refused_by_what_it_is_of():
    with pytest.raises(RequestError, match=r"root .* negative"):
        SHA256.checked("a" * 64, -1, what="root")


def test_a_named_function_has_a_separate_segment():
    assert SHA256.subject(Digest("ab", 3)) == "blobs/ab/3"
    if "BLAKE3" in FUNCTIONS:
        assert FUNCTIONS["BLAKE3"].subject(Digest("ab", 3)) == "blobs/blake3/ab/3"


def test_the_first_function_is_the_default_and_duplicates_count_once():
    functions = DigestFunctions(["sha1", "SHA256", "SHA1"])
    assert [function.name for function in functions.offered] == ["SHA1", "SHA256"]
    assert functions.default.name == "SHA1"
    assert functions.of_request(0) is functions.default


@pytest.mark.parametrize("names", [[], ["MD4"], ["SHA256", "nonsense"]])
def test_functions_that_can_not_be_computed_are_a_wrong_setting(names):
    with pytest.raises(ConfigError, match=r"SHA256|nonsense"):
        DigestFunctions(names)


def test_a_number_or_a_length_that_is_not_offered_is_refused():
    functions = DigestFunctions(["SHA256"])
    assert functions.of_request(1, "whatever") is SHA256
    for number, hash_ in ((6, ""), (99, "a" * 64), (0, "a" * 40)):
        with pytest.raises(RequestError, match="offers SHA256"):
            functions.of_request(number, hash_)


def test_a_length_shared_with_a_named_function_means_the_other_one():
    pytest.importorskip("blake3")
    assert DigestFunctions(["BLAKE3", "SHA256"]).of_request(0, "a" * 64) is SHA256
    assert DigestFunctions(["BLAKE3"]).of_request(0, "a" * 64) is FUNCTIONS["BLAKE3"]


def test_segments_name_functions():
    functions = DigestFunctions(["SHA256"])
    assert functions.of_segment("sha256") is SHA256
    assert functions.of_segment("SHA256") is None
    assert functions.of_segment("sha1") is None


def test_a_digest_becomes_a_message_and_back():
    digest = SHA256.of(b"content")
    message = message_of(digest)
    assert (message.hash, message.size_bytes) == digest
    assert digest_of(message) == digest


def test_a_message_becomes_a_value_unchecked():
    assert digest_of(reapi.Digest(hash="none", size_bytes=-1)) == Digest("none", -1)
