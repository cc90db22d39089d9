"""Messages taken apart by hand mean what protobuf says they mean."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.wire.protos import bytestream
from rpw_fixture.wire.raw_messages import encode_read_response, parse_write_request

LARGE = bytes(range(256)) * 256


def fields(message):
    return message.resource_name, message.write_offset, message.finish_write, bytes(message.data)


@given(
    name=st.text(max_size=20),
    offset=st.integers(-(1 << 63), (1 << 63) - 1),
    finish=st.booleans(),
    data=st.sampled_from([b"", b"small", LARGE]),
)
def test_a_write_request_is_read_as_protobuf_reads_it(name, offset, finish, data):
    message = bytestream.WriteRequest(
        resource_name=name, write_offset=offset, finish_write=finish, data=data
    )
    parsed = parse_write_request(message.SerializeToString())
    assert fields(parsed) == (name, offset, finish, data)


@given(
    head=st.binary(max_size=30),
    tail=st.binary(max_size=30),
)
def test_spoilt_messages_are_read_or_refused_as_by_protobuf(head, tail):
    raw = head + bytestream.WriteRequest(write_offset=5, data=LARGE).SerializeToString() + tail
    try:
        expected = fields(bytestream.WriteRequest.FromString(raw))
    except DecodeError:
        with pytest.raises(DecodeError):
            parse_write_request(raw)
    else:
        assert fields(parse_write_request(raw)) == expected


@given(cut=st.integers(1, len(LARGE)))
def test_a_truncated_message_is_refused(cut):
    raw = bytestream.WriteRequest(resource_name="name", data=LARGE).SerializeToString()
    with pytest.raises(DecodeError):
        parse_write_request(raw[:-cut] if cut < len(raw) - 8 else raw[:-5])


@given(size=st.sampled_from([1, 127, 128, 300, 1 << 14, 1 << 20]))
def test_a_read_response_is_what_protobuf_makes(size):
    expected = bytestream.ReadResponse(data=bytes(size)).SerializeToString()
    assert encode_read_response(bytes(size)) == expected
