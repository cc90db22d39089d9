"""``record``: the same bytes, signals and exit status as without it, and a recording of what passed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites import recording
from rpw_fixture.wire.protos import worker
from rpw_fixture.wire.varints import varint
from tests.waiting import until

Start = Callable[..., "subprocess.Popen[bytes]"]
SAMPLES = Path(__file__).parents[3] / "sample_workers/python"
#: A worker that keeps what it reads in a file, and answers each line of JSON with what the line asks for.
MIRROR = """
import json, os, signal, sys
with open("seen", "wb", 0) as seen:
    for line in sys.stdin.buffer:
        seen.write(line)
        for word in json.loads(line).get("arguments", ()):
            name, _, value = word.partition(":")
            if name == "exit":
                sys.exit(int(value))
            if name == "kill":
                os.kill(os.getpid(), int(value))
            if name == "write":
                open(value, "w").write("made")
            if name == "say":
                sys.stdout.buffer.write(value.encode().decode("unicode_escape").encode("latin-1"))
                sys.stdout.flush()
"""
ANSWER = r"say:{\"exitCode\":0}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/mirror.py").write_text(MIRROR)
    return tmp_path / "work"


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts the tee; without a command, before the mirror."""
    started = []

    def start(*command: str, options: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        worker = command or (sys.executable, "mirror.py", "--persistent_worker")
        process = subprocess.Popen(
            [sys.executable, "-m", "rpw_fixture", "record", *options, "recording", "--", *worker],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for each in started:
        each.kill()
        each.communicate()


def line(*arguments: str, **fields: Any) -> bytes:
    return json.dumps({"arguments": arguments, **fields}).encode() + b"\n"


def lines(folder: Path) -> list[Any]:
    return [
        json.loads(each) for each in (folder / "recording/actions.jsonl").read_text().splitlines()
    ]


def reasons(folder: Path) -> str:
    file = folder / "recording/unrecorded.jsonl"
    return file.read_text() if file.exists() else ""


def ask(process: subprocess.Popen[bytes], *arguments: str, **fields: Any) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line(*arguments, **fields))
    process.stdin.flush()
    return process.stdout.readline()


def test_every_byte_passes_and_eof_ends_both(start: Start, folder: Path) -> None:
    requests = line(ANSWER, "ü \\ {") + line("x" * 200_000, ANSWER) + line("cut")[:-5]
    process = start()
    out, _ = process.communicate(requests, timeout=60)
    assert (folder / "seen").read_bytes() == requests
    assert out == b'{"exitCode":0}\n' * 2
    assert len(lines(folder)) == 2
    assert "last request is incomplete" in reasons(folder)


def test_a_request_in_single_bytes_is_passed_on_and_recorded(start: Start, folder: Path) -> None:
    process = start()
    assert process.stdin is not None
    assert process.stdout is not None
    for byte in line(ANSWER):
        process.stdin.write(bytes((byte,)))
        process.stdin.flush()
    assert process.stdout.readline() == b'{"exitCode":0}\n'
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert [each["protocol"] for each in lines(folder)] == ["json"]


def test_an_input_is_kept_as_it_was_when_the_request_passed(start: Start, folder: Path) -> None:
    (folder / "in.txt").write_text("before")
    process = start()
    ask(process, "write:in.txt", "write:out.txt", ANSWER, inputs=[{"path": "in.txt"}])
    ask(process, "write:out.txt", ANSWER, inputs=[{"path": "in.txt"}])
    process.communicate(timeout=60)
    first, second = recording.load(folder / "recording")
    assert first.action.inputs["in.txt"].content == b"before"  # type: ignore[union-attr]
    assert second.action.inputs["in.txt"].content == b"made"  # type: ignore[union-attr]
    assert [each["made"][0]["path"] for each in lines(folder)] == ["out.txt", "out.txt"]


def test_folders_and_missing_inputs(start: Start, folder: Path) -> None:
    (folder / "tree/sub").mkdir(parents=True)
    (folder / "tree/sub/a").write_text("a")
    (folder / "tree/loop").symlink_to(".")
    paths = ("tree", "missing", "", "/etc/hostname", "../outside", "mirror.py")
    process = start()
    ask(process, ANSWER, inputs=[{"path": each} for each in paths])
    process.communicate(timeout=60)
    (found,) = lines(folder)
    names = {each["path"] for each in found["inputs"]}
    assert {"mirror.py", "tree/sub/a"} <= names
    assert all(each == "mirror.py" or each.startswith("tree/") for each in names)


def test_the_exit_status_is_the_workers(start: Start, folder: Path) -> None:
    process = start()
    process.communicate(line("exit:37"), timeout=60)
    assert process.returncode == 37
    assert "not answered: the worker ended with exit status 37" in reasons(folder)
    with pytest.raises(
        ConfigError, match="no action that ran on a worker: requests were not answered"
    ):
        recording.load(folder / "recording")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_killed_worker_kills_the_tee_in_the_same_way(
    start: Start, folder: Path, number: signal.Signals
) -> None:
    process = start()
    process.communicate(line(f"kill:{number}"), timeout=60)
    assert process.returncode == -number
    assert f"was killed by signal {number}" in reasons(folder)


@pytest.fixture
def heeded_signals() -> Iterator[None]:
    """A process that was started in the background ignores some signals, and so do those it starts."""
    ignored = [
        each
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        if signal.getsignal(each) is signal.SIG_IGN
    ]
    for each in ignored:
        signal.signal(each, signal.SIG_DFL)
    yield
    for each in ignored:
        signal.signal(each, signal.SIG_IGN)


@pytest.mark.usefixtures("heeded_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on(start: Start, folder: Path, number: signal.Signals) -> None:
    program = (
        "import signal, sys, time\n"
        "for each in (1, 2, 15): signal.signal(each, lambda number, _: sys.exit(50 + number))\n"
        "open('ready', 'w')\n"
        "time.sleep(60)\n"
    )
    process = start(sys.executable, "-c", program, "--persistent_worker")
    until((folder / "ready").exists)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 50 + number


def test_a_killed_tee_leaves_a_worker_that_sees_the_end_of_its_stdin(
    start: Start, folder: Path
) -> None:
    program = "import sys; open('ready', 'w'); sys.stdin.read(); open('ended', 'w')"
    process = start(sys.executable, "-c", program, "--persistent_worker")
    until((folder / "ready").exists)
    process.kill()
    until((folder / "ended").exists)


def test_text_on_stdout_passes_and_is_named(start: Start, folder: Path) -> None:
    process = start()
    assert ask(process, r"say:hello\n") == b"hello\n"
    assert ask(process, r"say:world\n") == b"world\n"
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert "text on stdout" in reasons(folder)
    assert not lines(folder)


def test_bytes_that_are_no_request_pass(start: Start, folder: Path) -> None:
    process = start("cat", "--", "--persistent_worker", "-")
    process.communicate(timeout=60)
    (folder / "plain").write_text("")
    program = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    process = start(sys.executable, "-c", program, "--persistent_worker")
    data = bytes(range(255, -1, -1)) * 100
    assert process.communicate(data, timeout=60)[0] == data
    assert "what is no request" in reasons(folder)


def test_all_arguments_reach_the_worker(start: Start, folder: Path) -> None:
    program = "import json, sys; json.dump(sys.argv[1:], open('argv', 'w'))"
    words = ["--persistent_worker", "--", "-x", "--tool-input", "", "ü \n"]
    process = start(sys.executable, "-c", program, *words)
    process.communicate(timeout=60)
    assert json.loads((folder / "argv").read_text()) == words


def test_a_descriptor_for_the_worker_is_passed_on(folder: Path) -> None:
    reader, writer = os.pipe()
    program = f"import os; os.write({writer}, b'here')"
    tee = [sys.executable, "-m", "rpw_fixture", "record", "recording", "--"]
    subprocess.run(
        [*tee, sys.executable, "-c", program, "--persistent_worker"],
        cwd=folder,
        pass_fds=[writer],
        stdin=subprocess.DEVNULL,
        check=True,
    )
    assert os.read(reader, 10) == b"here"
    os.close(reader)
    os.close(writer)


def test_overlapping_requests_are_distinguished(start: Start, folder: Path) -> None:
    process = start()
    assert process.stdin is not None
    process.stdin.write(line("first", requestId=1) + line("second", requestId=2))
    for number in (2, 1):
        text = rf"say:{{\"exitCode\":{number},\"requestId\":{number}}}\n"
        assert ask(process, text, requestId=10 + number)
    assert process.stdin is not None
    process.stdin.write(line(cancel=True, requestId=11))
    process.communicate(timeout=60)
    found = {each["arguments"][0]: each for each in lines(folder)}
    assert {name: each["exit_code"] for name, each in found.items()} == {"first": 1, "second": 2}
    assert found["first"]["abilities"] == ["multiplex"]
    assert "not answered" in reasons(folder)


def test_sandboxed_requests_are_read_below_their_folder(start: Start, folder: Path) -> None:
    (folder / "box/1").mkdir(parents=True)
    (folder / "box/1/in.txt").write_text("boxed")
    process = start()
    fields = {"requestId": 1, "sandboxDir": "box/1", "inputs": [{"path": "in.txt"}]}
    answer = r"say:{\"requestId\":1}\n"
    ask(process, "out.txt", "write:box/1/out.txt", answer, **fields)
    process.communicate(timeout=60)
    (found,) = recording.load(folder / "recording")
    assert found.action.inputs["in.txt"].content == b"boxed"  # type: ignore[union-attr]
    assert found.action.outputs == ("out.txt",)
    assert found.worker.sandbox
    assert found.worker.multiplex


@pytest.mark.parametrize("protocol", ["auto", "proto"])
def test_the_proto_protocol(start: Start, folder: Path, protocol: str) -> None:
    for name in ("good.py", "rpw_worker.py"):
        (folder / name).write_bytes((SAMPLES / name).read_bytes())
    (folder / "in.txt").write_text("text\n")
    tools = ["good.py", "rpw_worker.py"]
    request = worker.WorkRequest(
        arguments=["--in", "in.txt", "--out", "out.txt"],
        inputs=[worker.Input(path=each) for each in ("in.txt", *tools)],
    ).SerializeToString()
    command = (sys.executable, "good.py", "--persistent_worker")
    process = start(*command, options=("--protocol", protocol, "--tool-input", "*.py"))
    out, err = process.communicate(varint(len(request)) + request, timeout=60)
    assert (process.returncode, out) == (0, b"\x00"), err
    (found,) = recording.load(folder / "recording")
    assert found.worker.protocol == "proto"
    assert sorted(found.worker.tool_inputs) == ["good.py", "rpw_worker.py"]
    assert found.worker.command == (sys.executable, "good.py")
    assert found.action.outputs == ("out.txt",)


def test_a_recording_that_breaks_stops_nothing(start: Start, folder: Path) -> None:
    process = start()
    ask(process, ANSWER)
    blobs = folder / "recording/blobs"
    blobs.rename(folder / "elsewhere")
    (folder / "in.txt").write_text("text")
    for _ in range(2):
        assert ask(process, ANSWER, inputs=[{"path": "in.txt"}]) == b'{"exitCode":0}\n'
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err.count(b"what it should have recorded is lost") == 1


def test_what_is_wrong_is_said_before_the_worker_starts(start: Start, folder: Path) -> None:
    missing = start("./missing", "--persistent_worker")
    assert b"./missing cannot be started: No such file" in missing.communicate(timeout=60)[1]
    assert missing.returncode == 2
    once = start("./missing")
    assert b"./missing cannot be started: No such file" in once.communicate(timeout=60)[1]
    assert once.returncode == 2
    nameless = subprocess.run(
        [sys.executable, "-m", "rpw_fixture", "record", "recording"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert nameless.returncode == 2
    assert b"name the worker" in nameless.stderr
    (folder / "recording/actions.jsonl").unlink(missing_ok=True)
    (folder / "file").write_text("")
    blocked = subprocess.run(
        [sys.executable, "-m", "rpw_fixture", "record", "file", "--", "true"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert (blocked.returncode, b"record file: Not a directory" in blocked.stderr) == (3, True)


def test_a_one_shot_run_is_the_tools_own(start: Start, folder: Path) -> None:
    process = start("sh", "-c", "cat; echo error >&2; exit 5")
    out, err = process.communicate(b"text", timeout=60)
    assert (process.returncode, out, err) == (5, b"text", b"error\n")
    assert "sh was started without --persistent_worker" in reasons(folder)


def test_a_worker_without_requests_says_so(start: Start, folder: Path) -> None:
    process = start()
    process.communicate(timeout=60)
    with pytest.raises(ConfigError, match="got no request; it ended with exit status 0"):
        recording.load(folder / "recording")
