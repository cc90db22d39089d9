"""What every well-behaved sample worker does, whatever its language and encoding."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from .encodings import Json, Proto, Request, Response
from .requirements import require_program
from .workspace import ENCODINGS, Workspace, compiled, stage_node, stage_python

if TYPE_CHECKING:
    from pathlib import Path

HELLO = ("--in", "src/hello", "--out", "out/hello")


@pytest.fixture(
    params=["good-proto", "good-json", "multiplex-proto", "multiplex-json", "node-json"],
)
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    worker, encoding = request.param.split("-")
    if worker == "node":
        staged = stage_node(tmp_path, require_program("node"))
    else:
        staged = stage_python(tmp_path, f"{worker}.py", ENCODINGS[encoding]())
    staged.write("src/hello", "hello\n")
    return staged


def test_a_request_writes_the_output_and_is_answered_with_its_own_id(workspace: Workspace) -> None:
    workspace.write("src/other", "more\n")
    with workspace.start() as worker:
        arguments = ("--header", "-- top", *HELLO, "--in", "src/other")
        assert worker.ask(*arguments, request_id=7) == Response(request_id=7)
        assert workspace.read("out/hello") == compiled("-- top", "HELLO", "MORE")


def test_the_end_of_stdin_ends_the_worker_with_status_zero(workspace: Workspace) -> None:
    with workspace.start() as worker:
        worker.ask(*HELLO)
        assert worker.finish() == 0


def test_the_end_of_stdin_before_any_request_is_no_error(workspace: Workspace) -> None:
    with workspace.start() as worker:
        assert worker.finish() == 0
        assert worker.receive_bytes(1) == b""


def test_stdin_that_ends_inside_a_request_is_an_error(workspace: Workspace) -> None:
    with workspace.start() as worker:
        worker.send_bytes(workspace.encoding.encode(Request(arguments=HELLO))[:-5])
        assert worker.finish() == 1
        assert "stdin ended" in worker.stderr


def test_a_run_without_the_flag_gives_the_same_output(workspace: Workspace) -> None:
    workspace.write("p", "".join(f"{line}\n" for line in HELLO))
    assert workspace.run_once("@p") == (0, "")
    cold = workspace.read("out/hello")
    with workspace.start() as worker:
        assert worker.ask(*HELLO).exit_code == 0
        assert workspace.read("out/hello") == cold


def test_a_failure_reads_the_same_in_both_modes(workspace: Workspace) -> None:
    arguments = ("--fail", "line 3: no such type é", "--out", "out/x")
    with workspace.start() as worker:
        response = worker.ask(*arguments)
    assert response == Response(exit_code=1, output="line 3: no such type é\n")
    assert workspace.run_once(*arguments) == (1, response.output)


def test_flagfiles_that_a_server_did_not_expand_are_expanded(workspace: Workspace) -> None:
    workspace.write("inner", "--out\r\nout/hello\r\n")
    workspace.write("outer", "--in\nsrc/hello\n--header\n@@literal\n@inner")
    with workspace.start() as worker:
        assert worker.ask("@outer") == Response()
        assert workspace.read("out/hello") == compiled("@@literal", "HELLO")


def test_a_flagfile_that_includes_itself_fails_the_request_alone(workspace: Workspace) -> None:
    workspace.write("loop", "@loop\n")
    with workspace.start() as worker:
        response = worker.ask("@loop")
        assert (response.exit_code, response.output) == (
            1,
            "@loop: flagfiles are nested too deeply\n",
        )
        assert worker.ask(*HELLO).exit_code == 0


def test_unknown_fields_are_ignored(workspace: Workspace) -> None:
    with workspace.start() as worker:
        inputs = {"src/hello": b"ab12", "none": b""}
        response = worker.ask(*HELLO, request_id=3, inputs=inputs, unknown=True)
        assert response == Response(request_id=3)


def test_a_good_request_after_a_failing_one_is_answered_as_if_cold(workspace: Workspace) -> None:
    with workspace.start() as worker:
        worker.ask("--header", "polluter", "--fail", "broken", *HELLO)
        worker.ask("--nonsense")
        assert worker.ask(*HELLO) == Response()
        assert workspace.read("out/hello") == compiled("HELLO")


def test_a_request_may_come_one_byte_at_a_time(workspace: Workspace) -> None:
    with workspace.start() as worker:
        for byte in workspace.encoding.encode(Request(arguments=HELLO, unknown=True, request_id=1)):
            worker.send_bytes(bytes([byte]))
        assert worker.receive() == Response(request_id=1)


def test_several_requests_may_come_in_one_write(workspace: Workspace) -> None:
    frames = [
        workspace.encoding.encode(Request(arguments=HELLO, request_id=id_)) for id_ in (1, 2, 3)
    ]
    with workspace.start() as worker:
        worker.send_bytes(b"".join(frames))
        assert sorted(worker.receive().request_id for _ in frames) == [1, 2, 3]


def test_long_messages_go_through(workspace: Workspace) -> None:
    message = "x" * 300_000
    with workspace.start() as worker:
        assert worker.ask("--fail", message, "--out", "out/x").output == f"{message}\n"


def test_new_content_at_the_same_path_size_and_time_is_seen(workspace: Workspace) -> None:
    source = workspace.root / "src/hello"
    os.utime(source, (0, 0))
    with workspace.start() as worker:
        worker.ask(*HELLO, inputs={"src/hello": b"same"})
        source.write_text("jello\n")
        os.utime(source, (0, 0))
        worker.ask(*HELLO, inputs={"src/hello": b"same"})
        assert workspace.read("out/hello") == compiled("JELLO")


def test_an_input_that_went_away_is_missed(workspace: Workspace) -> None:
    with workspace.start() as worker:
        worker.ask(*HELLO)
        (workspace.root / "src/hello").unlink()
        response = worker.ask(*HELLO)
        assert response.exit_code == 1
        assert response.output.startswith("src/hello: ")


def test_a_failing_request_leaves_no_old_output(workspace: Workspace) -> None:
    workspace.write("out/hello", "of an earlier build")
    with workspace.start() as worker:
        assert worker.ask("--fail", "no", *HELLO).exit_code == 1
        assert not (workspace.root / "out/hello").exists()


def test_writing_never_goes_through_a_hard_link(workspace: Workspace) -> None:
    shared = workspace.root / "shared"
    shared.write_text("precious")
    os.link(shared, workspace.root / "out/hello")
    with workspace.start() as worker:
        assert worker.ask(*HELLO).exit_code == 0
    assert shared.read_text() == "precious"


def test_nothing_but_the_output_is_written(workspace: Workspace) -> None:
    before = workspace.files()
    with workspace.start() as worker:
        worker.ask(*HELLO)
        worker.finish()
    assert workspace.files() - before == {"out/hello"}


def test_start_up_arguments_apply_in_both_modes(workspace: Workspace) -> None:
    assert workspace.run_once("--header", "top", *HELLO) == (0, "")
    cold = workspace.read("out/hello")
    with workspace.start("--header", "top") as worker:
        assert worker.ask(*HELLO) == worker.ask(*HELLO) == Response()
    assert workspace.read("out/hello") == cold == compiled("top", "HELLO")


def test_files_are_looked_for_below_the_sandbox_folder(workspace: Workspace) -> None:
    for folder in ("box/src", "box/out"):
        (workspace.root / folder).mkdir(parents=True)
    workspace.write("box/src/hello", "boxed\n")
    workspace.write("box/p", "".join(f"{line}\n" for line in HELLO))
    with workspace.start() as worker:
        assert worker.ask("@p", sandbox_dir="box") == Response()
        assert workspace.read("box/out/hello") == compiled("BOXED")
        assert "box" not in worker.ask("--in", "none", "--out", "x", sandbox_dir="box").output
    assert not (workspace.root / "out/hello").exists()


def test_a_cancel_for_an_answered_request_is_ignored(workspace: Workspace) -> None:
    with workspace.start() as worker:
        worker.ask(*HELLO, request_id=5)
        worker.send(request_id=5, cancel=True)
        assert worker.ask(*HELLO, request_id=6) == Response(request_id=6)


@pytest.mark.parametrize("script", ["good.py", "multiplex.py"])
def test_what_the_tool_prints_goes_to_stderr_and_not_into_the_protocol(
    tmp_path: Path, script: str
) -> None:
    workspace = stage_python(tmp_path, script, Proto())
    workspace.write("src/hello", "hello\n")
    with workspace.start() as worker:
        assert worker.ask(*HELLO, verbosity=10) == Response()
        assert worker.ask(*HELLO, verbosity=10) == Response()
        worker.finish()
        found = re.findall(r"src/hello: (\w+) content", worker.stderr)
    assert found == ["new", "known"]


@pytest.mark.parametrize("script", ["good.py", "node"])
@pytest.mark.parametrize("terminator", [b"", b"\r\n", b" \n\n\t"], ids=["none", "crlf", "blank"])
def test_json_requests_need_no_newline_between_them(
    tmp_path: Path, script: str, terminator: bytes
) -> None:
    encoding = Json(terminator)
    if script == "node":
        workspace = stage_node(tmp_path, require_program("node"))
    else:
        workspace = stage_python(tmp_path, script, encoding)
    workspace.write("src/hello", "hello\n")
    with workspace.start() as worker:
        worker.encoding = encoding
        for id_ in (1, 2):
            assert worker.ask(*HELLO, request_id=id_, unknown=True) == Response(request_id=id_)
        assert worker.finish() == 0
