"""Work requests as workers read them, by protobuf's own reading and by that of JSON."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.wire.protos import worker
from rpw_fixture.wire.varints import varint
from rpw_fixture.wire.worker.encodings import encoding
from rpw_fixture.wire.worker.messages import Request

INT32 = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text(max_size=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request says, its inputs in the groups in which they are encoded."""

    arguments: tuple[str, ...]
    groups: list[list[tuple[str, bytes]]]
    request_id: int
    cancel: bool
    verbosity: int
    sandbox_dir: str

    def encoded(self, protocol: str) -> bytes:
        wire = encoding(protocol)
        return wire.encode(
            Request(
                arguments=self.arguments,
                inputs=wire.join_inputs(map(wire.encode_inputs, self.groups)),
                request_id=self.request_id,
                cancel=self.cancel,
                verbosity=self.verbosity,
                sandbox_dir=self.sandbox_dir,
            )
        )

    @property
    def inputs(self) -> list[tuple[str, bytes]]:
        return [each for group in self.groups for each in group]


REQUESTS = st.builds(
    Asked,
    arguments=st.lists(TEXT, max_size=4).map(tuple),
    groups=st.lists(st.lists(st.tuples(TEXT, st.binary(max_size=70)), max_size=4), max_size=3),
    request_id=INT32,
    cancel=st.booleans(),
    verbosity=INT32,
    sandbox_dir=TEXT,
)


@pytest.mark.parametrize("length", [*range(56, 70), *range(120, 134), *range(16_300, 16_390)])
def test_inputs_of_all_lengths_read_as_they_were_meant(length: int) -> None:
    given = ("p" * length, b"d" * 64)
    encoded = encoding("proto").encode_inputs([given, given])
    read = worker.WorkRequest.FromString(encoded).inputs
    assert [(each.path, each.digest) for each in read] == [given, given]


@given(REQUESTS)
def test_proto_requests_read_as_protobuf_reads_them(asked: Asked) -> None:
    data = asked.encoded("proto")
    expected = worker.WorkRequest(
        arguments=asked.arguments,
        request_id=asked.request_id,
        cancel=asked.cancel,
        verbosity=asked.verbosity,
        sandbox_dir=asked.sandbox_dir,
    )
    for path, digest in asked.inputs:
        expected.inputs.add(path=path, digest=digest)
    payload = next(data[n:] for n in range(1, 6) if data[:n] == varint(len(data) - n))

    assert worker.WorkRequest.FromString(payload) == expected


@given(REQUESTS)
def test_json_requests_are_one_line_with_base64_digests_and_without_defaults(asked: Asked) -> None:
    data = asked.encoded("json")
    optional = {
        "requestId": asked.request_id,
        "cancel": asked.cancel,
        "verbosity": asked.verbosity,
        "sandboxDir": asked.sandbox_dir,
    }

    assert data.count(b"\n") == 1
    assert data.endswith(b"\n")
    assert json.loads(data) == {
        "arguments": list(asked.arguments),
        "inputs": [
            {"path": path, "digest": base64.b64encode(digest).decode()}
            for path, digest in asked.inputs
        ],
        **{name: value for name, value in optional.items() if value},
    }


@given(st.integers(0, 2**63 - 1))
def test_a_varint_has_seven_bits_a_byte_lowest_first(number: int) -> None:
    value, shift = 0, 0
    for byte in (data := varint(number)):
        value |= (byte & 0x7F) << shift
        shift += 7

    assert value == number
    assert all(byte & 0x80 for byte in data[:-1])
    assert not data[-1] & 0x80
