"""A worker's stdin, split where requests end, in pieces of any size."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.wire.protos import worker
from rpw_fixture.wire.varints import varint
from rpw_fixture.wire.worker.requests import ReceivedRequest, RequestStream

REQUESTS = [
    {},
    {"arguments": ["--in", 'a "quoted" {text} \\ \\" ü\n'], "requestId": 3},
    {"arguments": ["x" * 300], "inputs": [{"path": "a/b", "digest": ""}, {"path": "{"}]},
    {"cancel": True, "requestId": 3},
    {"sandboxDir": "__sandbox/1", "arguments": ["y" * 119]},
    {"arguments": ["z" * (123 - 2)]},  # 123 bytes of protobuf: its length looks like a brace
]
EXPECTED = [
    ReceivedRequest(
        arguments=tuple(each.get("arguments", ())),
        paths=tuple(entry["path"] for entry in each.get("inputs", ())),
        request_id=each.get("requestId", 0),
        cancel=each.get("cancel", False),
        sandbox_dir=each.get("sandboxDir", ""),
    )
    for each in REQUESTS
]


def as_proto(request: dict[str, object]) -> bytes:
    inputs = [worker.Input(path=each["path"]) for each in request.get("inputs", ())]
    message = worker.WorkRequest(
        arguments=request.get("arguments", ()),
        inputs=inputs,
        request_id=request.get("requestId", 0),
        cancel=request.get("cancel", False),
        sandbox_dir=request.get("sandboxDir", ""),
    ).SerializeToString()
    return varint(len(message)) + message


STREAMS = {
    "proto": b"".join(map(as_proto, REQUESTS)),
    "json": b"".join(json.dumps(each).encode() + b"\n" for each in REQUESTS),
    "json without newlines": b"".join(json.dumps(each).encode() for each in REQUESTS),
    "pretty json": b"".join(json.dumps(each, indent=2).encode() + b"\n" for each in REQUESTS),
}


def fed(stream: RequestStream, pieces: list[bytes]) -> tuple[bytes, list[ReceivedRequest]]:
    out, found = b"", []
    for data in pieces:
        for piece, request in stream.feed(data):
            if request is not None:
                assert len(piece) == 1
                found.append(request)
            out += piece
    return out, found


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.integers(0, 2000), max_size=8))
def test_no_byte_is_changed_and_every_request_is_seen(name: str, cuts: list[int]) -> None:
    data = STREAMS[name]
    edges = sorted({0, len(data), *(min(each, len(data)) for each in cuts)})
    stream = RequestStream()
    out, found = fed(stream, [data[begin:end] for begin, end in pairwise(edges)])
    assert out == data
    assert found == EXPECTED
    assert stream.protocol == name.rpartition(" ")[2].replace("newlines", "json")
    assert not stream.is_within_request


@pytest.mark.parametrize("name", STREAMS)
def test_a_request_is_seen_with_its_last_byte_and_not_before(name: str) -> None:
    data = STREAMS[name]
    out, found = fed(RequestStream(), [data[at : at + 1] for at in range(len(data))])
    assert (out, found) == (data, EXPECTED)


@pytest.mark.parametrize("at", range(123))
def test_a_length_that_looks_like_a_brace_is_protobuf(at: int) -> None:
    data = as_proto(REQUESTS[-1])
    assert data.startswith(b"{\n")
    stream = RequestStream()
    assert fed(stream, [data[:at], data[at:]]) == (data, [EXPECTED[-1]])
    assert stream.protocol == "proto"


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff\xff\xff\xff", b"\x03\xff\xff\xff", b'{"arguments": }', b'{"a": 1]}']
)
def test_bytes_that_are_no_request_raise(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        fed(RequestStream(), [data])


def test_a_request_that_is_cut_short_is_noticed() -> None:
    stream = RequestStream()
    data = STREAMS["proto"][:50]
    assert fed(stream, [data])[0] == data
    assert stream.is_within_request


def test_a_protocol_that_is_given_is_not_guessed() -> None:
    stream = RequestStream("proto")
    with pytest.raises(ValueError, match="no WorkRequest"):
        fed(stream, [b'{"' + b"x" * 200])
