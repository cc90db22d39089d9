from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpw_fixture.wire.protos import worker
from rpw_fixture.wire.varints import varint
from rpw_fixture.wire.worker.encodings import encoding
from rpw_fixture.wire.worker.messages import FrameError, ProtocolRule, Response, ResponseDecoder
from rpw_fixture.wire.worker.stray_output import surplus, truncated

LIMIT = 1 << 20
INT32 = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text(max_size=40)
RESPONSES = st.builds(
    Response, exit_code=INT32, output=TEXT, request_id=INT32, was_cancelled=st.booleans()
)
PROTOCOLS = pytest.mark.parametrize("protocol", ["proto", "json"])
# What JSON workers were seen to put around and inside their objects.
BLANKS = st.text(alphabet=" \t\r\n", max_size=3)
UNKNOWN = st.dictionaries(
    st.text(max_size=5).map("x-{}".format),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)


def frame(payload: bytes) -> bytes:
    return varint(len(payload)) + payload


def as_proto(response: Response) -> bytes:
    return frame(
        worker.WorkResponse(
            exit_code=response.exit_code,
            output=response.output,
            request_id=response.request_id,
            was_cancelled=response.was_cancelled,
        ).SerializeToString()
    )


def as_json(response: Response, **layout: object) -> bytes:
    fields = {
        "exitCode": response.exit_code,
        "output": response.output,
        "requestId": response.request_id,
        "wasCancelled": response.was_cancelled,
    }
    return json.dumps(fields, **layout).encode() + b"\n"


def decoder(protocol: str, limit: int = LIMIT) -> ResponseDecoder:
    return encoding(protocol).decoder(limit)


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        yield data[start:end]


def fed(protocol: str, parts: Iterator[bytes] | list[bytes]) -> tuple[list[Response], str | None]:
    """All responses, and the rule broken, if any."""
    target, responses = decoder(protocol), []
    try:
        for part in parts:
            responses += target.feed(part)
    except FrameError as error:
        return responses, error.rule
    return responses, None


def refused(protocol: str, data: bytes, limit: int = LIMIT) -> FrameError:
    with pytest.raises(FrameError) as caught:
        decoder(protocol, limit).feed(data)
    return caught.value


# --- any chunking ---


@given(st.lists(RESPONSES, max_size=5), st.lists(st.integers(0, 10_000), max_size=8))
def test_proto_responses_are_the_same_in_pieces_of_any_size(
    responses: list[Response], cuts: list[int]
) -> None:
    data = b"".join(map(as_proto, responses))

    assert fed("proto", pieces(data, cuts)) == (responses, None)


@given(
    st.lists(st.tuples(RESPONSES, UNKNOWN, BLANKS, st.booleans()), max_size=5),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_json_responses_are_the_same_in_pieces_of_any_size(
    told: list[tuple[Response, dict[str, object], str, bool]], cuts: list[int]
) -> None:
    data = b""
    for response, unknown, blank, is_ascii in told:
        fields = {**json.loads(as_json(response)), **unknown}
        text = json.dumps(fields, indent=blank or None, ensure_ascii=is_ascii)
        data += (blank + text + blank).encode(errors="surrogatepass")

    assert fed("json", pieces(data, cuts)) == ([response for response, *_ in told], None)


@pytest.mark.parametrize(
    "text",
    [
        '{"x": {}, "wasCancelled": true}',
        '{"output": "} \\u00e9 \\\\", "x": {}}',
        '{"output": "} é 🙂"}',
        '{"x": {"y": [{}, "}"]}, "exitCode": -1}',
        '{ \n "output" : "\\"{" }',
    ],
)
def test_json_may_be_cut_after_any_byte(text: str) -> None:
    data = text.encode()
    whole = fed("json", [data])

    assert len(whole[0]) == 1
    assert fed("json", [data[i : i + 1] for i in range(len(data))]) == whole


@PROTOCOLS
@given(data=st.binary(max_size=60), cuts=st.lists(st.integers(0, 100), max_size=5))
def test_any_bytes_end_in_responses_or_a_frame_error_wherever_they_are_cut(
    protocol: str, data: bytes, cuts: list[int]
) -> None:
    whole, rule = fed(protocol, [data])
    in_pieces, rule_in_pieces = fed(protocol, pieces(data, cuts))

    # One piece that holds responses and then rubbish is refused as a whole.
    assert in_pieces[: len(whole)] == whole
    assert (rule is None) == (rule_in_pieces is None)


@given(st.text(alphabet='{}[]":,\\ \n\u00e9ab1tn-.', max_size=40))
@example('{"exitCode": 1e999, "output": "\\ud800"}')
def test_text_like_json_raises_nothing_but_frame_errors(text: str) -> None:
    fed("json", [text.encode()])


@pytest.mark.parametrize(
    "text",
    [
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"exitCode": ' + "9" * 10_000 + "}",
    ],
    ids=["deep lists", "deep objects", "long number"],
)
def test_json_beyond_what_python_parses_is_malformed(text: str) -> None:
    assert refused("json", text.encode()).rule is ProtocolRule.MALFORMED


# --- text never becomes a success ---


PRINTED = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=300)


@given(PRINTED, st.lists(st.integers(0, 1_000), max_size=5))
@example("A " + "x" * 63, [])  # the space is the tag of was_cancelled
@example("\n 123456789", [])
@example("Hé", [2])
@example("\x1b[31mred\x1b[0m", [1])
@example("nbsp:\xa0", [])
def test_text_is_never_a_response_but_text_on_stdout_to_a_proto_server(
    text: str, cuts: list[int]
) -> None:
    target = decoder("proto")
    try:
        for part in pieces(text.encode(), cuts):
            assert target.feed(part) == []
        error = truncated(target.pending)  # as when the time is up
    except FrameError as caught:
        error = caught

    assert error.rule is ProtocolRule.STDOUT_TEXT


@given(PRINTED.filter(lambda text: text.strip(" ") and not text.strip(" ").startswith("{")))
def test_text_is_text_on_stdout_to_a_json_server(text: str) -> None:
    assert refused("json", text.encode()).rule is ProtocolRule.STDOUT_TEXT


@pytest.mark.parametrize("text", ["{DEBUG} started", "{oops", "[]", "null", "0"])
def test_text_that_begins_like_json_is_refused_at_once(text: str) -> None:
    assert refused("json", text.encode()).rule is ProtocolRule.STDOUT_TEXT


@pytest.mark.parametrize(
    "text", ["{'exitCode': 0}", "{exitCode: 0}", "{nope}\n", '{"exitCode": 0}}']
)
def test_a_broken_object_is_malformed(text: str) -> None:
    assert refused("json", text.encode()).rule is ProtocolRule.MALFORMED


@pytest.mark.parametrize("data", [b'{"exit_code": 1, "extra": [2]}\n', b'{"was_cancelled":null}'])
def test_misspelt_fields_are_ignored_and_kept_as_evidence(data: bytes) -> None:
    (response,) = decoder("json").feed(data)
    assert response == Response()
    assert [name for name, _ in response.ignored] in (["exit_code", "extra"], ["was_cancelled"])


@pytest.mark.parametrize(
    ("data", "unterminated"),
    [
        (b"", 0),
        (b'{"exitCode":1}\n', 0),
        (b'{"exitCode":1}\r\n {"exitCode":1}\n', 0),
        (b'{"exitCode":1}', 1),
        (b'{"exitCode":1}  ', 1),
        (b'{"exitCode":1}{"exitCode":1}\n', 1),
        (b'{"exitCode":1} {"exitCode":1}', 2),
    ],
)
def test_responses_without_a_newline_are_counted(data: bytes, unterminated: int) -> None:
    whole, in_bytes = decoder("json"), decoder("json")
    whole.feed(data)
    for byte in data:
        in_bytes.feed(bytes([byte]))
    assert (whole.unterminated, in_bytes.unterminated) == (unterminated, unterminated)


def test_a_line_of_a_json_log_is_no_response() -> None:
    error = refused("json", b'{"level": "info", "msg": "ready"}\n')

    assert error.rule is ProtocolRule.STDOUT_TEXT
    assert "ready" in error.detail


def test_text_before_a_proper_response_is_shown() -> None:
    error = refused("proto", b"Picked up JAVA_TOOL_OPTIONS\n" + as_proto(Response(output="ok")))

    assert error.rule is ProtocolRule.STDOUT_TEXT
    assert "JAVA_TOOL_OPTIONS" in error.detail


def test_a_json_worker_on_a_proto_server_gets_a_message_with_the_missing_property() -> None:
    error = refused("proto", as_json(Response(exit_code=1)))

    assert error.rule is ProtocolRule.STDOUT_TEXT
    assert "persistentWorkerProtocol=json" in error.detail


def test_a_proto_worker_on_a_json_server_is_malformed_not_text() -> None:
    assert refused("json", as_proto(Response(exit_code=1))).rule is ProtocolRule.MALFORMED


# --- limits ---


@PROTOCOLS
def test_a_response_of_just_the_limit_is_accepted(protocol: str) -> None:
    response = Response(output="x" * 100)
    data = as_proto(response) if protocol == "proto" else as_json(response).strip()
    size = len(data) - (1 if protocol == "proto" else 0)

    assert decoder(protocol, size).feed(data) == [response]
    assert refused(protocol, data, size - 1).rule is ProtocolRule.OVERSIZED


def test_a_huge_announced_length_is_refused_before_its_payload_comes() -> None:
    assert refused("proto", varint(LIMIT + 1)).rule is ProtocolRule.OVERSIZED
    assert refused("proto", b"\xff\xff\xff\xff\x7f\x08").rule is ProtocolRule.OVERSIZED
    assert refused("proto", b"\xff" * 5).rule is ProtocolRule.OVERSIZED


def test_an_endless_json_object_is_refused_at_the_limit() -> None:
    target = decoder("json", 1000)
    target.feed(b'{"output": "' + b"x" * 900)
    with pytest.raises(FrameError, match="oversized"):
        target.feed(b"x" * 100)


def test_many_small_json_responses_in_one_piece_are_not_one_large_one() -> None:
    data = b'{"exitCode":1}' * 100

    assert len(decoder("json", 20).feed(data)) == 100


# --- the shape of frames ---


@pytest.mark.parametrize("length", range(2, 12))
def test_half_a_proto_frame_stays_pending(length: int) -> None:
    data = as_proto(Response(exit_code=3, output="hello", request_id=1))[:length]
    target = decoder("proto")

    assert target.feed(data) == []
    assert target.pending == data
    assert truncated(target.pending).rule is ProtocolRule.TRUNCATED


def test_an_empty_proto_frame_is_a_response_of_all_defaults() -> None:
    assert decoder("proto").feed(b"\0\0") == [Response(), Response()]


def test_fields_of_later_versions_are_skipped_in_proto() -> None:
    payload = worker.WorkResponse(exit_code=2).SerializeToString() + b"\x2a\x03new"

    assert decoder("proto").feed(frame(payload)) == [Response(exit_code=2)]


LATER_FIELDS = {
    "varint": b"\x28\x01",
    "8 bytes": b"\x31" + bytes(8),
    "bytes": b"\x3a\x03new",
    "4 bytes": b"\x6d\x01\x02\x03\x04",
    "field 100": b"\xa2\x06\x03new",
    "field 2^29 - 1": b"\xf8\xff\xff\xff\x0f\x07",
    "long": b"\x2a\x96\x01" + b"x" * 150,
}


@pytest.mark.parametrize("later", LATER_FIELDS.values(), ids=LATER_FIELDS)
@pytest.mark.parametrize("cut", [1, 2, 3, 5, None])
def test_a_response_may_begin_with_fields_of_later_versions(later: bytes, cut: int | None) -> None:
    known = worker.WorkResponse(exit_code=2, output="told").SerializeToString()
    data = frame(later + known) + frame(later) + frame(known)
    step = cut or len(data)
    found = fed("proto", [data[i : i + step] for i in range(0, len(data), step)])

    told = Response(exit_code=2, output="told")
    assert found == ([told, Response(), told], None)


@pytest.mark.parametrize("first", [0x00, 0x07, 0x0A, 0x22, 0x2B, 0x2C, 0x2E, 0x2F])
def test_a_response_may_not_begin_with_what_no_reader_can_skip(first: int) -> None:
    assert refused("proto", bytes([9, first, 1])).rule is ProtocolRule.MALFORMED


@pytest.mark.parametrize("text", ["Welcome!\n", "Hi there", "ready to go", "java.io.IOException"])
def test_text_that_could_begin_with_a_later_field_is_refused_at_once(text: str) -> None:
    assert refused("proto", text.encode()).rule is ProtocolRule.STDOUT_TEXT


@pytest.mark.parametrize(
    "payload",
    [b"\x08", b"\x12\x05abc", b"\x12\x01\xff", b"\x08\x01\x07", b"\x0d\0\0\0\0", b"\x20\x02"],
    ids=["no value", "short string", "no UTF-8", "group", "fixed32", "bool of 2"],
)
def test_a_whole_frame_that_is_no_message_is_malformed(payload: bytes) -> None:
    assert refused("proto", frame(payload)).rule is ProtocolRule.MALFORMED


# --- the shape of JSON ---


def test_missing_and_null_fields_have_their_defaults_in_json() -> None:
    told = b'{} {"exitCode": 4} {"output": null, "requestId": 7} {"wasCancelled": false}'

    assert decoder("json").feed(told) == [
        Response(),
        Response(exit_code=4),
        Response(request_id=7),
        Response(),
    ]


def test_an_object_over_several_lines_and_two_on_one_are_accepted() -> None:
    told = as_json(Response(exit_code=1), indent=2) + as_json(Response()).strip() * 2

    assert len(decoder("json").feed(told)) == 3


def test_blank_lines_between_json_responses_are_not_pending() -> None:
    target = decoder("json")
    target.feed(b"\n\n{}\r\n \n")

    assert target.pending == b""


@pytest.mark.parametrize(
    "text",
    [
        '{"exitCode": true}',
        '{"exitCode": 1.0}',
        '{"exitCode": "0"}',
        '{"exitCode": 2147483648}',
        '{"requestId": -2147483649}',
        '{"wasCancelled": 0}',
        '{"output": 1}',
        '{"output": {}}',
        '{"output": ["a"]}',
        '{"exitCode": 0, "exitCode": 1}',
        '{"exitCode": 0,}',
        '{"exitCode" 0}',
        '{"output": "a\nb"}',
        '{"exitCode": 0]}',
    ],
)
def test_json_that_can_be_no_work_response_is_malformed(text: str) -> None:
    assert refused("json", text.encode()).rule is ProtocolRule.MALFORMED


def test_json_that_is_no_utf8_is_malformed() -> None:
    assert refused("json", b'{"output": "\xff"}').rule is ProtocolRule.MALFORMED


def test_half_a_surrogate_pair_is_replaced_so_that_the_output_can_be_stored() -> None:
    told = b'{"output": "a\\ud800b \\ud83d\\ude42"}'

    assert decoder("json").feed(told) == [Response(output="a\ufffdb 🙂")]


def test_a_large_json_output_full_of_braces_and_escapes_is_parsed_once() -> None:
    output = '} "quoted" \\ \n é' * 50_000
    data = json.dumps({"output": output}).encode()
    target, responses = decoder("json", 1 << 30), []
    for start in range(0, len(data), 1024):  # a thousand pieces: any rescanning would show
        responses += target.feed(data[start : start + 1024])

    assert responses == [Response(output=output)]


# --- bytes without a request ---


def test_surplus_is_reported_as_text_or_as_an_unexpected_response() -> None:
    assert surplus(b"bye\n").rule is ProtocolRule.STDOUT_TEXT
    assert surplus(as_proto(Response(exit_code=1))).rule is ProtocolRule.UNEXPECTED_RESPONSE


# --- JSON that ends with its line ---


def by_line(limit: int = LIMIT) -> ResponseDecoder:
    return encoding("json", json_by_line=True).decoder(limit)


@given(st.lists(RESPONSES, max_size=5), st.lists(st.integers(0, 10_000), max_size=8))
def test_lines_are_the_same_in_pieces_of_any_size(
    responses: list[Response], cuts: list[int]
) -> None:
    data = b"".join(b"\n" + as_json(each) for each in responses)
    target, found = by_line(), []
    for part in pieces(data, cuts):
        found += target.feed(part)

    assert found == responses
    assert target.pending == b""


def test_a_line_is_waited_for_and_what_it_lacks_is_reported() -> None:
    target, response = by_line(), as_json(Response(exit_code=3))

    assert target.feed(response[:-3]) == []
    assert target.lacks == ""
    assert target.feed(response[-3:-1]) == []
    assert target.lacks == "a newline"
    assert target.pending == response[:-1]
    assert target.feed(b"\n") == [Response(exit_code=3)]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (as_json(Response(), indent=1), ProtocolRule.MALFORMED),
        (as_json(Response())[:-1] * 2 + b"\n", ProtocolRule.MALFORMED),
        (b"Compiling 3 files\n", ProtocolRule.STDOUT_TEXT),
        (b"\0\1\n", ProtocolRule.MALFORMED),
        (b'{"output": "' + b"x" * LIMIT, ProtocolRule.OVERSIZED),
        (b'{"output": "' + b"x" * LIMIT + b'"}\n', ProtocolRule.OVERSIZED),
    ],
)
def test_a_line_that_is_no_response_is_refused(data: bytes, rule: ProtocolRule) -> None:
    with pytest.raises(FrameError) as caught:
        by_line().feed(data)
    assert caught.value.rule is rule


def test_windows_line_ends_are_read() -> None:
    assert by_line().feed(as_json(Response())[:-1] + b"\r\n") == [Response()]
