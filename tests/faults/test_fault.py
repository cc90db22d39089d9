"""How faults are written, and what is said of one that can't be read."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture import Config, ConfigError
from rpw_fixture.errors import Code
from rpw_fixture.faults.fault import NAMING_BLOBS, Effect, Fault
from rpw_fixture.wire.rpcs import SERVED

from .bare_calls import RPCS


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "Execute:UNAVAILABLE:first=2",
            Fault(target="Execution.Execute", effect=Effect.FAIL, code=Code.UNAVAILABLE, first=2),
        ),
        (
            "ByteStream.Read:UNAVAILABLE:after=1",
            Fault(target="ByteStream.Read", effect=Effect.FAIL, code=Code.UNAVAILABLE, after=1),
        ),
        (
            "/google.bytestream.ByteStream/Write:DATA_LOSS:every=3:message=a bad disk",
            Fault(
                target="ByteStream.Write",
                effect=Effect.FAIL,
                code=Code.DATA_LOSS,
                every=3,
                message="a bad disk",
            ),
        ),
        ("*:delay=0.5", Fault(target="*", delay=0.5)),
        ("Execute:half-close", Fault(target="Execute", effect=Effect.HALF_CLOSE, after=1)),
        ("GetActionResult:evict", Fault(target="GetActionResult", effect=Effect.EVICT)),
        ("Execute:evict-all:first=1", Fault(target="Execute", effect=Effect.EVICT_ALL, first=1)),
        ("worker:die-in-request", Fault(target="worker", effect=Effect.DIE_IN_REQUEST)),
    ],
)
def test_a_written_fault_is_read(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault
    assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "unknown target"),
        ("Exekute:UNAVAILABLE", "unknown target; use GetCapabilities, "),
        ("Execute", "neither an effect nor a delay"),
        ("Execute:UNAVAIL", "neither a status code such as UNAVAILABLE nor one of half-close"),
        ("Execute:OK", "status code other than OK"),
        ("Execute:fail", "neither a status code"),
        ("Execute:UNAVAILABLE:first", "'first' is not of the form OPTION=VALUE"),
        ("Execute:UNAVAILABLE:first=two", "first='two' is not a number"),
        ("Execute:UNAVAILABLE:first=-1", "must not be negative"),
        ("Execute:UNAVAILABLE:first=1:first=2", "'first' is given twice"),
        ("Execute:UNAVAILABLE:first=1:every=2", "exclude each other"),
        ("Execute:UNAVAILABLE:target=Read", "option 'target' is unknown; use first, every"),
        ("Execute:delay=nan", "number of seconds"),
        ("Execute:delay=-1", "number of seconds"),
        ("Execute:half-close:message=x", "message is only for calls that fail"),
        ("FindMissingBlobs:UNAVAILABLE:after=1", "the target has no stream"),
        ("FindMissingBlobs:half-close", "whose response is a stream"),
        ("Read:evict:after=1", "after goes with"),
        ("GetCapabilities:evict", "an RPC that names blobs"),
        ("worker:UNAVAILABLE", "go with the target worker"),
        ("Execute:die-in-request", "go with the target worker"),
    ],
)
def test_what_is_wrong_with_a_fault_is_said(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Fault.parse(text)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"fault {text!r}: ")
    with pytest.raises(ConfigError):
        Config(faults=(text,))


@given(st.text(alphabet=":=*.,/0123456789-eExcutRadfirsnoUNAVILB", max_size=60))
def test_a_text_is_a_fault_or_refused_and_a_fault_is_read_back(text: str) -> None:
    try:
        fault = Fault.parse(text)
    except ConfigError:
        return
    assert Fault.parse(str(fault)) == fault


def test_a_fault_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Fault.parse("Execute:UNAVAILABLE").first = 3  # type: ignore[misc]  # that is the point


def test_every_rpc_of_the_server_can_be_a_target() -> None:
    served = {name.partition(".")[2]: streams for name, streams in SERVED.items()}
    unimplemented = {"ListOperations", "DeleteOperation", "WaitOperation"}
    assert served == {
        name: (method.client_streaming, method.server_streaming)
        for name, method in RPCS.items()
        if name not in unimplemented
    }
    assert SERVED.keys() > NAMING_BLOBS
