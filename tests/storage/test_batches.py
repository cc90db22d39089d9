"""What clients say of blobs, thousands in a call: each is judged by itself."""

from __future__ import annotations

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.storage.batches import DigestBatches
from rpw_fixture.wire.digests import SHA256, message_of
from rpw_fixture.wire.protos import remote_execution as reapi

from .small_stores import SIZES, files_below, make_cas


def claims_of(*blobs: bytes) -> dict[int, tuple[bytes, reapi.Digest]]:
    return {number: (data, message_of(SHA256.of(data))) for number, data in enumerate(blobs)}


def put(store, claims):
    """Those that are refused, and why."""
    refused = {}
    DigestBatches(store).put(claims, refused.__setitem__)
    return refused


@pytest.mark.parametrize("durable", [False, True])
def test_blobs_of_every_size_come_out_as_they_were_put(tmp_path, durable):
    cas = make_cas(tmp_path, durable=durable)
    store = cas.store(SHA256)
    blobs = [bytes([number]) * size for number, size in enumerate(SIZES)]
    assert put(store, claims_of(*blobs)) == {}
    for data in blobs:
        assert DigestBatches(store).get(message_of(SHA256.of(data))) == data
    cas.close()


def test_the_same_blob_twice_in_one_call_is_kept_once(tmp_path):
    cas = make_cas(tmp_path)
    assert put(cas.store(SHA256), claims_of(b"twin" * 9, b"twin" * 9)) == {}
    assert (cas.used, cas.memory_used) == (36, 36)


def test_a_wrong_claim_is_refused_and_the_others_are_kept(tmp_path):
    store = make_cas(tmp_path).store(SHA256)
    lie, malformed = SHA256.of(b"another"), reapi.Digest(hash="A" * 64, size_bytes=1)
    refused = put(
        store,
        {
            4: (b"one", message_of(SHA256.of(b"one"))),
            7: (b"two", message_of(lie)),
            9: (b"x", malformed),
            11: (b"short", reapi.Digest(hash=SHA256.of(b"short").hash, size_bytes=4)),
        },
    )
    assert {number: error.code for number, error in refused.items()} == dict.fromkeys(
        (7, 9, 11), Code.INVALID_ARGUMENT
    )
    assert str(lie) in refused[7].message
    assert "not a SHA256 hash" in refused[9].message
    assert store.contains(SHA256.of(b"one"))
    assert not store.contains(lie)


def test_of_blobs_that_do_not_fit_together_those_that_fit_are_kept(tmp_path):
    cas = make_cas(tmp_path, max_bytes=1000)
    store = cas.store(SHA256)
    refused = put(store, claims_of(b"a" * 400, b"b" * 400, b"c" * 1001, b"d" * 400))
    assert {number: error.code for number, error in refused.items()} == {2: Code.RESOURCE_EXHAUSTED}
    assert store.contains(SHA256.of(b"d" * 400))
    assert cas.used <= 1000
    assert files_below(tmp_path) == []


def test_pinned_blobs_stay_when_a_batch_needs_their_room(tmp_path):
    store = make_cas(tmp_path, max_bytes=1000).store(SHA256)
    kept = store.put(b"k" * 300)
    with store.pin([kept]):
        put(store, claims_of(b"a" * 300, b"b" * 300, b"c" * 300))
        assert store.contains(kept)


def test_what_is_put_again_counts_as_used(tmp_path):
    store = make_cas(tmp_path).store(SHA256)
    digest = store.put(b"content")
    before = store.last_used(digest)
    assert put(store, claims_of(b"content")) == {}
    assert store.last_used(digest) > before


def test_reading_what_is_absent_tells_malformed_digests(tmp_path):
    store = make_cas(tmp_path).store(SHA256)
    assert DigestBatches(store).get(message_of(SHA256.of(b"gone"))) is None
    with pytest.raises(RequestError, match="not a SHA256 hash"):
        DigestBatches(store).get(reapi.Digest(hash="xyz", size_bytes=3))


def test_blobs_that_do_not_fit_together_are_stored_as_far_as_they_fit(tmp_path):
    cas = make_cas(tmp_path, memory_bytes=100_000, max_bytes=1500, spill_threshold=100_000)
    blobs = [bytes([number]) * size for number, size in enumerate((700, 2000, 700))]
    refused = put(cas.store(SHA256), claims_of(*blobs))
    assert {position: error.code for position, error in refused.items()} == {
        1: Code.RESOURCE_EXHAUSTED
    }
    assert [cas.store(SHA256).contains(SHA256.of(blob)) for blob in blobs] == [True, False, True]
    cas.close()
