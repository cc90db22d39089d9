"""Conversations between server and worker, written as transcripts.

Each line of a transcript is one step:

    > 1            the server sends request 1
    > cancel 1     the server asks to give up request 1, which writes a cancel
    > nothing 1    the same, but it is too late and nothing is written
    < 1            the worker writes the response to request 1
    < 1 cancelled  the same, with was_cancelled
    < 1 2          both in one piece
    < half 1       the first half of it; `< rest 1` the other one
    < text Hi      the worker prints `Hi`
    = 1 2          what the server has got from the worker's last words: the responses to 1 and 2
    ! some rule    the worker's last words, or the end of its stdout, break that rule
    end            the worker's stdout ends
"""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rpw_fixture.wire.protos import worker
from rpw_fixture.wire.varints import varint
from rpw_fixture.wire.worker.encodings import encoding
from rpw_fixture.wire.worker.messages import FrameError, ProtocolRule, Request, Response
from rpw_fixture.workers.protocol import TRANSITIONS, Connection, RequestEvent, RequestState

LIMIT = 1 << 16
PROTOCOLS = pytest.mark.parametrize("protocol", ["proto", "json"])


def said(protocol: str, request_id: int, *, was_cancelled: bool = False) -> bytes:
    """What a worker writes to answer; the exit code distinguishes the responses."""
    if protocol == "json":
        cancelled = ',"wasCancelled":true' if was_cancelled else ""
        return f'{{"exitCode":{100 + request_id},"requestId":{request_id}{cancelled}}}\n'.encode()
    payload = worker.WorkResponse(
        exit_code=100 + request_id, request_id=request_id, was_cancelled=was_cancelled
    ).SerializeToString()
    return varint(len(payload)) + payload


class Playbook:
    """Plays one transcript against a fresh connection."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.connection = Connection(encoding(protocol), LIMIT)
        self.given: list[Response] = []
        self.error: FrameError | None = None

    def play(self, transcript: str) -> None:
        for line in filter(None, map(str.strip, transcript.splitlines())):
            step, _, rest = line.partition(" ")
            {
                ">": self.server,
                "<": self.worker,
                "=": self.gives,
                "!": self.breaks,
                "end": self.end,
            }[step](rest)
        assert self.error is None, "the transcript does not expect a violation"
        assert self.given == [], "the transcript does not expect a response"

    def server(self, words: str) -> None:
        verb, _, number = words.rpartition(" ")
        if verb == "":
            wire = self.connection.send(Request(arguments=("a",), request_id=int(number)))
            assert wire == encoding(self.protocol).encode(
                Request(arguments=("a",), request_id=int(number))
            )
        else:
            cancel = Request(request_id=int(number), cancel=True)
            expected = encoding(self.protocol).encode(cancel) if verb == "cancel" else b""
            assert self.connection.cancel(int(number)) == expected

    def worker(self, words: str) -> None:
        self.attempt(lambda: self.given.extend(self.connection.receive(self.bytes_of(words))))

    def bytes_of(self, words: str) -> bytes:
        if words.startswith("text "):
            return words.removeprefix("text ").encode()
        if words.startswith(("half ", "rest ")):
            part, number = words.split()
            data = said(self.protocol, int(number))
            middle = len(data) // 2
            return data[:middle] if part == "half" else data[middle:]
        if words.endswith(" cancelled"):
            return said(self.protocol, int(words.split(maxsplit=1)[0]), was_cancelled=True)
        return b"".join(said(self.protocol, int(number)) for number in words.split())

    def end(self, _words: str) -> None:
        self.attempt(self.connection.end)

    def attempt(self, step) -> None:
        assert self.error is None, "nothing is read after a violation"
        try:
            step()
        except FrameError as error:
            self.error = error

    def gives(self, words: str) -> None:
        assert [each.request_id for each in self.given] == [int(each) for each in words.split()]
        assert all(each.exit_code == 100 + each.request_id for each in self.given)
        self.given.clear()

    def breaks(self, words: str) -> None:
        assert self.error is not None, "no rule was broken"
        assert self.error.rule == words
        self.error = None


def play(protocol: str, transcript: str) -> Playbook:
    playbook = Playbook(protocol)
    playbook.play(transcript)
    return playbook


@PROTOCOLS
@pytest.mark.parametrize(
    "transcript",
    [
        pytest.param(
            """
            > 0
            < 0
            = 0
            > 0
            < half 0
            =
            < rest 0
            = 0
            end
            """,
            id="one request after the other, all with id 0",
        ),
        pytest.param(
            """
            > 1
            > 2
            > 3
            < 2
            = 2
            < 3 1
            = 3 1
            > 2
            < 2
            = 2
            """,
            id="multiplex: answers in any order, an id may be used again",
        ),
        pytest.param(
            """
            > 7
            > cancel 7
            > nothing 7
            < 7 cancelled
            = 7
            > nothing 7
            > 7
            < 7
            = 7
            """,
            id="a cancelled request is asked once, and its id is free afterwards",
        ),
        pytest.param(
            """
            > 1
            > cancel 1
            < 1
            = 1
            """,
            id="a worker may finish what it was asked to give up",
        ),
        pytest.param(
            """
            > nothing 1
            > 1
            < 1
            = 1
            > nothing 1
            """,
            id="nothing is written for a request that is not open",
        ),
        pytest.param(
            """
            > 1
            > 2
            > cancel 2
            < half 1
            < rest 1
            = 1
            < 2 cancelled
            = 2
            """,
            id="a cancel of one request leaves the others alone",
        ),
    ],
)
def test_a_worker_that_keeps_the_rules_is_understood(protocol: str, transcript: str) -> None:
    play(protocol, transcript)


@PROTOCOLS
@pytest.mark.parametrize(
    ("transcript", "broken"),
    [
        pytest.param("< 0", ProtocolRule.UNEXPECTED_RESPONSE, id="a response before any request"),
        pytest.param(
            "> 0 \n < 0 0",
            ProtocolRule.UNEXPECTED_RESPONSE,
            id="two responses to one request at once",
        ),
        pytest.param(
            "> 0 \n < 0 \n = 0 \n < 0",
            ProtocolRule.UNEXPECTED_RESPONSE,
            id="two responses to one request, one later",
        ),
        pytest.param("> 1 \n < 0", ProtocolRule.WRONG_REQUEST_ID, id="id 0 to a multiplex request"),
        pytest.param("> 0 \n < 5", ProtocolRule.WRONG_REQUEST_ID, id="an id that was never sent"),
        pytest.param(
            "> 1 \n > 2 \n < 1 \n = 1 \n < 1",
            ProtocolRule.UNEXPECTED_RESPONSE,
            id="an id answered before",
        ),
        pytest.param(
            "> 1 \n < 1 cancelled",
            ProtocolRule.UNEXPECTED_CANCEL,
            id="was_cancelled without a cancel",
        ),
        pytest.param(
            "> 1 \n > 2 \n > cancel 1 \n < 2 cancelled",
            ProtocolRule.UNEXPECTED_CANCEL,
            id="was_cancelled for another request",
        ),
        pytest.param(
            "> 0 \n < text Hello", ProtocolRule.STDOUT_TEXT, id="text instead of a response"
        ),
        pytest.param("< text Ready.", ProtocolRule.STDOUT_TEXT, id="text before any request"),
        pytest.param(
            "> 0 \n < 0 \n = 0 \n < text W",
            ProtocolRule.STDOUT_TEXT,
            id="a letter after the response",
        ),
        pytest.param(
            "> 0 \n < half 0 \n end", ProtocolRule.TRUNCATED, id="the end amid a response"
        ),
        pytest.param(
            "> 1 \n > 2 \n < 1 \n = 1 \n < half 2 \n end", ProtocolRule.TRUNCATED, id="of many"
        ),
    ],
)
def test_the_broken_rule_is_named(protocol: str, transcript: str, broken: ProtocolRule) -> None:
    play(protocol, f"{transcript} \n ! {broken}")


@PROTOCOLS
def test_half_a_response_too_many_is_refused_at_once(protocol: str) -> None:
    play(protocol, f"> 0 \n < 0 \n = 0 \n < half 0 \n ! {ProtocolRule.UNEXPECTED_RESPONSE}")


@PROTOCOLS
@pytest.mark.parametrize(
    ("transcript", "given"),
    [
        pytest.param("> 0 \n < 5", "0", id="another id"),
        pytest.param("> 3 \n < 0", "3", id="id 0"),
        pytest.param("> 3 \n < 3", "3", id="the right id"),
    ],
)
def test_a_server_that_does_not_check_ids_takes_any_for_its_only_request(
    protocol: str, transcript: str, given: str
) -> None:
    connection = Connection(encoding(protocol), LIMIT, checks_request_id=False)
    asked, answered = (int(line.split()[-1]) for line in transcript.splitlines())
    connection.send(Request(request_id=asked))

    assert [each.request_id for each in connection.receive(said(protocol, answered))] == [
        int(given)
    ]


@PROTOCOLS
def test_a_server_that_does_not_check_ids_still_needs_them_among_many(protocol: str) -> None:
    connection = Connection(encoding(protocol), LIMIT, checks_request_id=False)
    connection.send(Request(request_id=1))
    connection.send(Request(request_id=2))
    with pytest.raises(FrameError, match="wrong request_id"):
        connection.receive(said(protocol, 3))


@PROTOCOLS
def test_a_server_that_does_not_check_was_cancelled_takes_it_unasked(protocol: str) -> None:
    connection = Connection(encoding(protocol), LIMIT, checks_was_cancelled=False)
    connection.send(Request(request_id=1))

    assert connection.receive(said(protocol, 1, was_cancelled=True))[0].was_cancelled


@PROTOCOLS
def test_the_end_of_stdout_between_responses_breaks_no_rule(protocol: str) -> None:
    play(protocol, "end")
    play(protocol, "> 0 \n end")
    play(protocol, "> 0 \n < 0 \n = 0 \n end")


@PROTOCOLS
def test_a_wrong_id_is_reported_with_the_ids_that_are_open(protocol: str) -> None:
    playbook = Playbook(protocol)
    for step in ("3", "11", "2"):
        playbook.server(step)
    playbook.worker("4")

    assert playbook.error is not None
    assert playbook.error.detail == "the response says request_id 4; open: 2, 3, 11"


@PROTOCOLS
def test_a_request_id_that_is_open_can_not_be_sent_again(protocol: str) -> None:
    playbook = Playbook(protocol)
    playbook.server("1")
    with pytest.raises(ValueError, match="request 1 is open already"):
        playbook.server("1")
    playbook.server("cancel 1")
    with pytest.raises(ValueError, match="request 1 is open already"):
        playbook.server("1")

    assert playbook.connection.open_requests == 1


@PROTOCOLS
def test_what_came_before_the_time_was_up_is_described(protocol: str) -> None:
    playbook = Playbook(protocol)
    playbook.server("0")
    assert playbook.connection.describe_delay().startswith("no response within")
    playbook.worker("half 0")

    assert playbook.connection.describe_delay().startswith("no complete response within")


def test_every_state_of_the_table_is_reached_and_the_last_ones_are_final() -> None:
    reached = {RequestState.UNKNOWN}
    for _ in RequestState:
        reached |= {to for (state, _signal), to in TRANSITIONS.items() if state in reached}

    assert reached == set(RequestState)
    assert {state for state, _ in TRANSITIONS} == {
        RequestState.UNKNOWN,
        RequestState.SENT,
        RequestState.CANCELLING,
    }
    assert {signal for _, signal in TRANSITIONS} == set(RequestEvent)


class AnyConversation(RuleBasedStateMachine):
    """A worker that keeps the rules is never refused, whatever the order and the pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol = random.choice(["proto", "json"])  # hypothesis seeds it
        self.connection = Connection(encoding(self.protocol), LIMIT)
        self.open: dict[int, bool] = {}
        self.unread = b""
        self.answered: list[int] = []

    @precondition(lambda self: len(self.open) < 5)
    @rule(number=st.integers(0, 9))
    def send(self, number: int) -> None:
        if number not in self.open and number not in self.answered:
            self.connection.send(Request(request_id=number))
            self.open[number] = False

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        assert bool(self.connection.cancel(number)) == (not self.open[number])
        self.open[number] = True

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        was_cancelled = self.open.pop(number) and data.draw(st.booleans())
        self.unread += said(self.protocol, number, was_cancelled=was_cancelled)
        self.answered.append(number)

    @precondition(lambda self: self.unread)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        length = data.draw(st.integers(1, len(self.unread)))
        for response in self.connection.receive(self.unread[:length]):
            assert response.request_id == self.answered.pop(0)
        self.unread = self.unread[length:]

    @invariant()
    def every_request_is_open_until_its_answer_is_read(self) -> None:
        assert self.connection.open_requests == len(self.open) + len(self.answered)


test_any_conversation = AnyConversation.TestCase
test_any_conversation.settings = settings(max_examples=60)
