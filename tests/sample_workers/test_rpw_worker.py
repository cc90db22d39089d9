"""The protocol module that the Python samples share: codecs on any bytes, and start-up cost."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from .encodings import ENCODERS, Encoding, Request, delimited, varint
from .workspace import SAMPLES

if TYPE_CHECKING:
    from types import ModuleType

FOLDER = SAMPLES / "python"
SLOW = {
    "argparse",
    "dataclasses",
    "inspect",
    "json",
    "pathlib",
    "subprocess",
    "threading",
    "typing",
}

INT32 = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
REQUESTS = st.builds(
    Request,
    arguments=st.lists(TEXT, max_size=4).map(tuple),
    inputs=st.dictionaries(TEXT, st.binary(max_size=40), max_size=4),
    request_id=st.integers(0, 2**31 - 1),
    cancel=st.booleans(),
    verbosity=st.integers(0, 20),
    sandbox_dir=TEXT,
    unknown=st.booleans(),
)


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rpw_worker", FOLDER / "rpw_worker.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rpw_worker = load()


def codec(name: str) -> Any:
    return {"proto": rpw_worker.ProtoCodec, "json": rpw_worker.JsonCodec}[name]()


class Dribble(io.RawIOBase):
    """A stream that returns at most a few bytes for each read."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._data.read(min(self._step, len(buffer)))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def dribble(data: bytes, step: int) -> io.BufferedReader:
    return io.BufferedReader(Dribble(data, step), buffer_size=step)


@pytest.mark.parametrize("encoding", ENCODERS, ids=lambda encoding: encoding.name)
@given(requests=st.lists(REQUESTS, max_size=4), step=st.integers(1, 64))
def test_any_requests_in_pieces_of_any_size_are_read_as_sent(
    encoding: Encoding, requests: list[Request], step: int
) -> None:
    data = b"".join(map(encoding.encode, requests))
    stream, reader = dribble(data, step), codec(encoding.name)
    for sent in requests:
        read = reader.read(stream)
        assert (tuple(read.arguments), read.inputs) == (sent.arguments, sent.inputs)
        assert (read.request_id, read.cancel) == (sent.request_id, sent.cancel)
        assert (read.verbosity, read.sandbox_dir) == (sent.verbosity, sent.sandbox_dir)
    assert reader.read(stream) is None


@pytest.mark.parametrize("encoding", ENCODERS, ids=lambda encoding: encoding.name)
@given(exit_code=INT32, output=TEXT, request_id=INT32, was_cancelled=st.booleans())
def test_any_response_is_written_as_a_build_tool_reads_it(
    encoding: Encoding, exit_code: int, output: str, request_id: int, was_cancelled: bool
) -> None:
    fields = {"request_id": request_id, "was_cancelled": was_cancelled}
    data = codec(encoding.name).encode(rpw_worker.WorkResponse(exit_code, output, **fields))
    read, rest = encoding.cut(data)
    assert rest == b""
    assert read is not None
    assert (read.exit_code, read.output) == (exit_code, output)
    assert (read.request_id, read.was_cancelled) == (request_id, was_cancelled)


@given(payload=st.binary(max_size=60))
@example(payload=b"\x18" + b"\xff" * 12)
@example(payload=b"\x0a\x7f")
@example(payload=b"\x08\x01")
@example(payload=b"\x1a\x00")
@example(payload=b"\x0b")
def test_bytes_that_are_no_work_request_raise_value_error_or_type_error(payload: bytes) -> None:
    try:
        request = codec("proto").decode(payload)
    except (ValueError, TypeError):
        return
    assert all(isinstance(argument, str) for argument in request.arguments)


@pytest.mark.parametrize("text", [b"}", b"{]}", b'{"inputs": 3}', b'{"requestId": "x"}'])
def test_json_that_is_no_work_request_raises_value_error_or_type_error(text: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        codec("json").read(dribble(text, 8))


@pytest.mark.parametrize(
    ("name", "data"),
    [("proto", b"\x80"), ("proto", b"\x05ab"), ("json", b'{"arguments": ["}"]'), ("json", b"x")],
)
def test_a_stream_that_ends_inside_a_request_raises_eof_error(name: str, data: bytes) -> None:
    with pytest.raises(EOFError, match="stdin ended"):
        codec(name).read(dribble(data, 1))


def test_an_overlong_length_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="length prefix"):
        codec("proto").read(dribble(b"\x80" * 11, 64))


def test_zeros_and_nulls_that_some_servers_send_are_the_defaults() -> None:
    text = b'{"arguments": null, "inputs": [], "requestId": 0, "cancel": false, "sandboxDir": null}'
    request = codec("json").read(dribble(text, 64))
    assert (request.arguments, request.inputs, request.request_id) == ([], {}, 0)
    assert (request.cancel, request.sandbox_dir) == (False, "")


def test_the_last_value_of_a_repeated_number_counts() -> None:
    request = codec("proto").decode(varint(3 << 3) + b"\x01" + varint(3 << 3) + b"\x02")
    assert request.request_id == 2


def test_a_negative_request_id_is_sign_extended() -> None:
    assert codec("proto").decode(varint(3 << 3) + varint(2**64 - 5)).request_id == -5


def test_an_input_without_a_digest_has_an_empty_one() -> None:
    assert codec("proto").decode(delimited(2, delimited(1, b"a"))).inputs == {"a": b""}


@pytest.mark.parametrize(
    ("raised", "exit_code", "output"),
    [
        (SystemExit(3), 3, ""),
        (SystemExit(), 0, ""),
        (SystemExit("usage"), 1, "usage\n"),
        (rpw_worker.ToolError("src/a: gone"), 1, "src/a: gone\n"),
    ],
)
def test_what_a_tool_raises_becomes_its_response(
    raised: BaseException, exit_code: int, output: str
) -> None:
    def handle(request: Any) -> Any:
        raise raised

    response = rpw_worker.answer(handle, rpw_worker.WorkRequest(request_id=4))
    assert (response.exit_code, response.output, response.request_id) == (exit_code, output, 4)


def test_a_bug_in_a_tool_becomes_a_traceback_in_the_response() -> None:
    def handle(request: Any) -> Any:
        return request.no_such_field

    response = rpw_worker.answer(handle, rpw_worker.WorkRequest())
    assert response.exit_code == 1
    assert "no_such_field" in response.output


def test_a_proto_worker_loads_nothing_slow_before_its_first_response() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import good; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-B", "-c", code, str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not SLOW & set(done.stdout.split())


@pytest.mark.parametrize("protocol", ["xml", ""])
def test_an_unknown_encoding_is_refused(protocol: str) -> None:
    command = [sys.executable, str(FOLDER / "good.py"), f"--worker_protocol={protocol}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "must be proto or json" in done.stderr
