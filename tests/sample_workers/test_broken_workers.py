"""Each broken sample has the bug it is there for, and no other."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from .encodings import Json, Proto, Request, Response, varint
from .workspace import ENCODINGS, Workspace, compiled, stage_python

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HELLO = ("--in", "src/hello", "--out", "out/hello")
BROKEN = ("leaky.py", "noisy.py", "crashing.py", "hanging.py", "wrong_answers.py")
SHORT = 0.2  # seconds to see that nothing happens


@pytest.fixture(params=["proto", "json"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Workspace]:
    def staged(script: str) -> Workspace:
        workspace = stage_python(tmp_path, script, ENCODINGS[request.param]())
        workspace.write("src/hello", "hello\n")
        return workspace

    return staged


@pytest.fixture
def wrong(stage: Callable[[str], Workspace]) -> Workspace:
    return stage("wrong_answers.py")


def test_leaky_is_right_until_an_earlier_request_had_a_header(
    stage: Callable[[str], Workspace],
) -> None:
    workspace = stage("leaky.py")
    with workspace.start() as worker:
        assert worker.ask(*HELLO) == Response()
        assert workspace.read("out/hello") == compiled("HELLO")
        worker.ask("--header", "polluter", *HELLO)
        assert workspace.read("out/hello") == compiled("polluter", "HELLO")
        assert worker.ask(*HELLO) == Response()
        assert workspace.read("out/hello") == compiled("polluter", "HELLO")


@pytest.mark.parametrize("script", BROKEN)
def test_run_once_a_broken_worker_compiles_like_the_good_one(tmp_path: Path, script: str) -> None:
    workspace = stage_python(tmp_path, script, Proto())
    workspace.write("src/hello", "hello\n")
    startup = ["--between"] if script == "noisy.py" else []  # its banner is no bug here
    assert workspace.run_once(*startup, "--header", "top", *HELLO) == (0, "")
    assert workspace.read("out/hello") == compiled("top", "HELLO")


def test_noisy_prints_a_banner_before_its_first_response(
    stage: Callable[[str], Workspace],
) -> None:
    with stage("noisy.py").start() as worker:
        banner = b"Welcome to the tiny compiler\n"
        assert worker.receive_bytes(len(banner)) == banner
        assert worker.ask(*HELLO) == Response()


def test_noisy_may_print_between_responses_instead(stage: Callable[[str], Workspace]) -> None:
    with stage("noisy.py").start("--between") as worker:
        assert worker.ask(*HELLO) == Response()
        worker.send(*HELLO)
        warning = b"warning: the tiny compiler is up\n"
        assert worker.receive_bytes(len(warning)).startswith(warning)


@pytest.mark.parametrize("status", [0, 1, 70, -signal.SIGKILL, -signal.SIGSEGV])
def test_crashing_ends_unanswered_with_the_status_it_was_given(
    stage: Callable[[str], Workspace], status: int
) -> None:
    with stage("crashing.py").start(f"--exit-status={status}") as worker:
        worker.send(*HELLO)
        assert worker.receive_bytes(1) == b""
        assert worker.wait() == status
        assert "the native library gave up" in worker.stderr


def test_crashing_works_for_as_many_requests_as_the_option_says(
    stage: Callable[[str], Workspace],
) -> None:
    with stage("crashing.py").start("--after=2") as worker:
        assert worker.ask(*HELLO) == worker.ask(*HELLO) == Response()
        worker.send(*HELLO)
        assert worker.wait() == 1


def test_crashing_may_stop_in_the_middle_of_a_response(stage: Callable[[str], Workspace]) -> None:
    with stage("crashing.py").start("--half-frame") as worker:
        worker.send(*HELLO)
        assert worker.wait() == 1
        data = worker.receive_bytes(1 << 16)
        assert data
        assert worker.encoding.cut(data) == (None, data)


def test_hanging_never_answers_and_survives_the_end_of_stdin(
    stage: Callable[[str], Workspace],
) -> None:
    with stage("hanging.py").start("--after=1") as worker:
        assert worker.ask(*HELLO) == Response()
        worker.send(*HELLO)
        worker.close_stdin()
        assert worker.silent_for(SHORT)
        worker.process.terminate()
        assert worker.wait() == -signal.SIGTERM


def test_hanging_may_ignore_sigterm(stage: Callable[[str], Workspace]) -> None:
    with stage("hanging.py").start("--after=1", "--ignore-sigterm") as worker:
        assert worker.ask(*HELLO) == Response()
        worker.send(*HELLO)
        worker.process.terminate()
        assert worker.silent_for(SHORT)
        assert worker.process.poll() is None


def test_wrong_answers_carry_another_request_id(wrong: Workspace) -> None:
    with wrong.start("--wrong=request-id") as worker:
        assert worker.ask(*HELLO) == Response(request_id=41)
        assert worker.ask(*HELLO, request_id=2) == Response(request_id=43)


def test_wrong_answers_come_twice(wrong: Workspace) -> None:
    with wrong.start("--wrong=two-responses") as worker:
        assert worker.ask(*HELLO) == worker.receive() == Response()
        assert worker.finish() == 0


def test_wrong_answers_come_before_any_request(wrong: Workspace) -> None:
    with wrong.start("--wrong=early-response") as worker:
        assert worker.receive() == Response(output="ready\n")
        assert worker.ask(*HELLO) == Response()


def test_wrong_answers_claim_a_cancellation(wrong: Workspace) -> None:
    with wrong.start("--wrong=was-cancelled") as worker:
        assert worker.ask(*HELLO) == Response(was_cancelled=True)


def test_wrong_answers_are_garbage(wrong: Workspace) -> None:
    with wrong.start("--wrong=garbage") as worker:
        worker.send(*HELLO)
        data = worker.receive_bytes(4)
        if isinstance(wrong.encoding, Json):
            with pytest.raises(json.JSONDecodeError):
                wrong.encoding.cut(data)
        else:
            assert data == b"\x03\xff\xff\xff"


def test_wrong_answers_have_no_end(wrong: Workspace) -> None:
    with wrong.start("--wrong=huge-length") as worker:
        worker.send_bytes(wrong.encoding.encode(Request(arguments=HELLO)))
        expected = b'{"output": "xxxx' if isinstance(wrong.encoding, Json) else varint(1 << 40)
        assert worker.receive_bytes(len(expected)).startswith(expected)
