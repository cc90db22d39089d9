"""Starting and killing processes through the spawner.

A tree counts as gone when its output pipe is at end of file: every member holds the write end.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest

from rpw_fixture.processes.client import (
    Exit,
    Process,
    Setup,
    SetupStep,
    Spawner,
    StartError,
)

PYTHON = [sys.executable, "-I", "-S", "-c"]
DEADLINE = 30.0  # seconds; only ever reached by a failure

# A daemon by the book: its own session, its parent gone, every signal but SIGKILL ignored.
DAEMON = """
import os, signal
ready, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            try:
                signal.signal(number, signal.SIG_IGN)
            except OSError:
                pass
        os.write(1, b"daemon\\n")
        os.write(tell, b".")
        while True:
            signal.pause()
    os._exit(0)
os.wait()
os.read(ready, 1)
"""

# 300 processes that each replace themselves by a fork again and again, some in a new session.
BOMB = """
import os, signal, time
waiting, go = os.pipe()
for number in range(300):
    if os.fork() == 0:
        os.close(go)
        os.read(waiting, 1)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            os.write(1, b".")
            if os.fork():
                os._exit(0)
            if number % 3 == 0:
                os.setsid()
        os._exit(0)
os.close(go)
"""


class Running:
    """A process with its output pipe, and its input at end of file."""

    def __init__(self, spawner: Spawner, argv: list[str], **options: Any) -> None:
        self.output, writing = os.pipe()
        silence = os.open(os.devnull, os.O_RDONLY)
        defaults: dict[str, Any] = {"env": {}, "cwd": "/", "executable": argv[0]}
        try:
            self.process: Process = spawner.spawn(
                argv=argv,
                stdin=silence,
                stdout=writing,
                **{"stderr": writing, **defaults, **options},
            )
        except BaseException:
            os.close(self.output)
            raise
        finally:
            os.close(writing)
            os.close(silence)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close()
        os.close(self.output)

    def read(self, size: int = 65536) -> bytes:
        assert readable(self.output), "no output in time"
        return os.read(self.output, size)

    def read_until(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (more := self.read()):
            data += more
        return data

    def read_all(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def ended(self) -> Exit:
        ended = self.process.wait(DEADLINE)
        assert ended is not None, "still running"
        return ended

    def assert_tree_gone(self) -> None:
        """Everything was gone when the exit was reported: end of file without waiting."""
        while select.select([self.output], [], [], 0)[0]:
            if not os.read(self.output, 65536):
                return
        pytest.fail("a descendant still holds the output pipe")


def readable(descriptor: int, seconds: float = DEADLINE) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def await_end(pid: int) -> None:
    """Wait for the end of a process that is not our child."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            assert readable(descriptor), f"{pid} is still alive"
        finally:
            os.close(descriptor)


def run(spawner: Spawner, argv: list[str], **options: Any) -> tuple[bytes, Exit]:
    with Running(spawner, argv, **options) as running:
        return running.read_all(), running.ended()


def open_descriptors(pid: int | str | None = "self") -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    gc.collect()
    before = open_descriptors()
    with Spawner() as spawner:
        yield spawner
    assert open_descriptors() == before


def test_nothing_runs_before_the_first_spawn() -> None:
    spawner = Spawner()
    assert spawner.pid is None
    spawner.close()


def test_a_process_gets_its_environment_and_nothing_else(spawner: Spawner) -> None:
    environment = {"A": "1", "EMPTY": "", "PATH": "/nowhere", "NON_UTF8": "caf\udce9"}
    output, _ = run(spawner, ["/usr/bin/env", "-0"], env=environment)
    assert output == b"A=1\0EMPTY=\0PATH=/nowhere\0NON_UTF8=caf\xe9\0"


def test_arguments_arrive_as_they_are(spawner: Spawner) -> None:
    arguments = ["", "two words", "new\nline", "\udcff", "-x"]
    program = "import os, sys; print([os.fsencode(a) for a in sys.argv[1:]])"
    output, _ = run(spawner, [*PYTHON, program, *arguments])
    assert output == repr([os.fsencode(argument) for argument in arguments]).encode() + b"\n"


def test_the_program_may_differ_from_the_first_argument(spawner: Spawner) -> None:
    output, _ = run(spawner, ["busy", "-c", "echo $0"], executable="/bin/sh")
    assert output == b"busy\n"


def test_a_process_runs_in_its_working_directory(spawner: Spawner, tmp_path: Path) -> None:
    output, _ = run(spawner, ["/bin/pwd"], cwd=str(tmp_path))
    assert output == os.fsencode(tmp_path) + b"\n"


def test_output_and_input_go_through_the_given_descriptors(
    spawner: Spawner, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"text")
    with (
        (tmp_path / "in").open("rb") as stdin,
        (tmp_path / "out").open("wb") as stdout,
        (tmp_path / "err").open("wb") as stderr,
        spawner.spawn(
            executable="/bin/sh",
            argv=["sh", "-c", "cat; echo problem >&2"],
            env={"PATH": "/usr/bin:/bin"},
            cwd="/",
            stdin=stdin.fileno(),
            stdout=stdout.fileno(),
            stderr=stderr.fileno(),
        ) as process,
    ):
        assert process.wait(DEADLINE) is not None
    assert (tmp_path / "out").read_bytes() == b"text"
    assert (tmp_path / "err").read_bytes() == b"problem\n"


@pytest.mark.parametrize("setup", [None, Setup()], ids=["posix_spawn", "fork"])
def test_a_process_starts_with_three_descriptors_default_signals_and_its_own_session(
    spawner: Spawner, setup: Setup | None
) -> None:
    program = (
        "import os\n"
        "status = open('/proc/self/status').read().split()\n"
        "print([int(fd) for fd in os.listdir('/proc/self/fd') if int(fd) < 3 or "
        "os.path.exists('/proc/self/fd/' + fd)])\n"
        "print(os.getsid(0) == os.getpid())\n"
        "print(*(status[status.index(key) + 1] for key in ('SigBlk:', 'SigIgn:')))\n"
    )
    output, _ = run(spawner, [*PYTHON, program], setup=setup)
    descriptors, session, masks = output.decode().splitlines()
    assert (descriptors, session) == ("[0, 1, 2]", "True")
    blocked, ignored = (int(mask, 16) for mask in masks.split())
    assert blocked == 0
    # The interpreter ignores SIGPIPE and SIGXFSZ, and posix_spawn of glibc its own 32 and 33.
    assert {n for n in range(1, 65) if ignored >> (n - 1) & 1} - {32, 33} == {13, 25}


def test_a_missing_program_is_named(spawner: Spawner) -> None:
    with pytest.raises(StartError, match="cannot start /no/such/tool: No such file") as caught:
        run(spawner, ["/no/such/tool"])
    assert (caught.value.errno, caught.value.stage) == (errno.ENOENT, "executable")


def test_a_missing_interpreter_is_told_from_a_missing_program(
    spawner: Spawner, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    with pytest.raises(StartError, match="its interpreter is not"):
        run(spawner, [str(script)])


def test_a_file_that_is_not_executable_is_refused(spawner: Spawner, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("text")
    with pytest.raises(StartError, match="Permission denied") as caught:
        run(spawner, [str(tmp_path / "plain")])
    assert caught.value.errno == errno.EACCES


def test_a_missing_working_directory_is_named(spawner: Spawner) -> None:
    with pytest.raises(StartError, match="working directory /no/such/place") as caught:
        run(spawner, ["/bin/true"], cwd="/no/such/place")
    assert (caught.value.errno, caught.value.stage) == (errno.ENOENT, "working directory")


def test_an_argument_with_a_null_byte_is_a_start_error(spawner: Spawner) -> None:
    with pytest.raises(StartError, match="null byte"):
        run(spawner, ["/bin/true", "a\0b"])


@pytest.mark.parametrize(
    ("command", "status", "description"),
    [
        ("exit 0", 0, "exit status 0"),
        ("exit 3", 3, "exit status 3"),
        ("kill -KILL $$", -signal.SIGKILL, "killed by SIGKILL"),
        ("kill -36 $$", -36, "killed by signal 36"),
    ],
)
def test_the_exit_tells_status_or_signal(
    spawner: Spawner, command: str, status: int, description: str
) -> None:
    _, ended = run(spawner, ["/bin/sh", "-c", command])
    assert (ended.status, ended.description) == (status, description)
    assert (ended.leftovers_killed, ended.survivors, ended.lost) == (0, 0, False)


def test_the_exit_tells_processor_time_and_memory(spawner: Spawner) -> None:
    program = (
        "import time\n"
        "block = bytearray(64 << 20)\n"
        "block[::4096] = b'x' * len(block[::4096])\n"
        "while time.process_time() < 0.2: pass\n"
    )
    _, ended = run(spawner, [*PYTHON, program])
    assert ended.user_seconds + ended.system_seconds >= 0.2
    assert 64 << 20 <= ended.max_rss_bytes < 256 << 20


def test_a_running_process_has_no_exit_yet(spawner: Spawner) -> None:
    with Running(spawner, ["/bin/sleep", "60"]) as running:
        assert running.process.poll() is None
        assert running.process.wait(0.01) is None
        assert not readable(running.process.status_fd, 0)
        running.process.kill_tree()
        assert readable(running.process.status_fd)
        assert running.process.poll() == running.process.wait(0)


def test_a_background_child_ends_with_its_leader(spawner: Spawner) -> None:
    with Running(spawner, ["/bin/sh", "-c", "/bin/sleep 60 & exit 4"]) as running:
        ended = running.ended()
        running.assert_tree_gone()
    assert (ended.status, ended.leftovers_killed) == (4, 1)


def test_a_daemon_in_a_session_of_its_own_ends_with_its_leader(spawner: Spawner) -> None:
    with Running(spawner, [*PYTHON, DAEMON]) as running:
        assert running.read_until(7) == b"daemon\n"
        ended = running.ended()
        running.assert_tree_gone()
    assert (ended.status, ended.leftovers_killed) == (0, 1)


def test_a_daemon_survives_the_end_of_another_process(spawner: Spawner) -> None:
    with Running(spawner, [*PYTHON, DAEMON + "signal.pause()"]) as running:
        running.read_until(7)
        run(spawner, ["/bin/true"])
        assert running.process.poll() is None
        running.process.kill_tree()
        assert running.ended().leftovers_killed == 1
        running.assert_tree_gone()


def test_terminate_reaches_the_group_and_a_stubborn_tree_needs_kill_tree(spawner: Spawner) -> None:
    program = "trap '' TERM; (echo a; while :; do /bin/sleep 60; done) & echo b; wait; wait"
    with Running(spawner, ["/bin/sh", "-c", program]) as running:
        running.read_until(4)
        running.process.terminate()
        assert running.process.wait(0.05) is None
        running.process.kill_tree()
        ended = running.ended()
        running.assert_tree_gone()
    assert ended.status == -signal.SIGKILL
    assert ended.leftovers_killed >= 1


def test_terminate_lets_a_process_end_by_itself(spawner: Spawner) -> None:
    program = "trap 'echo bye; exit 7' TERM; echo up; while :; do /bin/sleep 60 & wait; done"
    with Running(spawner, ["/bin/sh", "-c", program]) as running:
        running.read_until(3)
        running.process.terminate()
        assert running.ended().status == 7


def test_closing_a_process_that_runs_kills_its_tree(spawner: Spawner) -> None:
    with Running(spawner, [*PYTHON, DAEMON + "signal.pause()"]) as running:
        running.read_until(7)
        running.process.close()
        assert running.read() == b""
        assert running.process.poll() is None


@pytest.mark.parametrize("ending", ["signal.pause()", ""], ids=["killed", "leader exits"])
def test_three_hundred_processes_that_keep_forking_die(spawner: Spawner, ending: str) -> None:
    with Running(spawner, [*PYTHON, BOMB + ending]) as running:
        running.read_until(1000)
        running.process.kill_tree()
        assert running.ended().survivors == 0
        running.assert_tree_gone()


def test_close_kills_everything_and_ends_the_spawner() -> None:
    with Spawner() as spawner, contextlib.ExitStack() as stack:
        trees = [
            stack.enter_context(Running(spawner, [*PYTHON, DAEMON + "signal.pause()"]))
            for _ in range(5)
        ]
        for running in trees:
            running.read_until(7)
        pid = spawner.pid
        spawner.close()
        assert pid is not None
        assert not Path(f"/proc/{pid}").exists()
        for running in trees:
            running.assert_tree_gone()
            assert running.ended().status == -signal.SIGKILL
        spawner.close()


def test_a_closed_spawner_refuses_to_start_anything() -> None:
    spawner = Spawner()
    spawner.close()
    with pytest.raises(StartError, match="the spawner is closed"):
        run(spawner, ["/bin/true"])


SERVER = """
import os, signal, sys, threading
sys.path.insert(0, sys.argv[1])
from rpw_fixture.processes.client import Spawner
spawner = Spawner()
process = spawner.spawn(
    executable=sys.executable, argv=[sys.executable, "-I", "-S", "-c", sys.argv[2]],
    env={}, cwd="/", stdin=0, stdout=1, stderr=2,
)
if sys.argv[3] == "copy" and os.fork() == 0:
    os.close(1)
    os.read(0, 1)
    os._exit(0)
signal.pause()
"""


@pytest.mark.parametrize("copy", ["", "copy"], ids=["alone", "with a forked copy of the server"])
def test_killing_the_server_leaves_nobody_alive(copy: str) -> None:
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, root, DAEMON + "signal.pause()", copy],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdout is not None
        assert readable(server.stdout.fileno())
        assert os.read(server.stdout.fileno(), 100) == b"daemon\n"
        server.kill()
        # The worker and its daemon hold the pipe.
        assert readable(server.stdout.fileno(), 2.0)
        assert os.read(server.stdout.fileno(), 1) == b""


def test_after_a_stranger_killed_the_spawner_its_trees_are_killed_and_lost(
    spawner: Spawner,
) -> None:
    with (
        Running(spawner, [*PYTHON, DAEMON + "signal.pause()"]) as first,
        Running(spawner, [*PYTHON, DAEMON + "signal.pause()"]) as second,
    ):
        first.read_until(7)
        second.read_until(7)
        killed = spawner.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        ended = first.ended()
        assert ended.lost
        assert "spawner died" in ended.description
        for running in (first, second):
            assert running.read() == b""
        assert second.ended().lost
        first.process.kill_tree()
        assert run(spawner, ["/bin/echo", "again"])[0] == b"again\n"
        assert spawner.pid != killed


def test_a_spawn_right_after_the_spawner_was_killed_works(spawner: Spawner) -> None:
    for _ in range(5):
        run(spawner, ["/bin/true"])
        assert spawner.pid is not None
        os.kill(spawner.pid, signal.SIGKILL)
        assert run(spawner, ["/bin/echo", "again"])[0] == b"again\n"


def test_signals_of_a_terminal_do_not_end_the_spawner(spawner: Spawner) -> None:
    run(spawner, ["/bin/true"])
    pid = spawner.pid
    assert pid is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert run(spawner, ["/bin/echo", "fine"])[0] == b"fine\n"
    assert spawner.pid == pid


def test_many_threads_start_processes_at_once(spawner: Spawner) -> None:
    def start_twenty(number: int) -> list[bytes]:
        return [run(spawner, ["/bin/echo", f"{number}.{turn}"])[0] for turn in range(20)]

    with ThreadPoolExecutor(64) as pool:
        outputs = list(pool.map(start_twenty, range(64)))
    expected = [[f"{number}.{turn}\n".encode() for turn in range(20)] for number in range(64)]
    assert outputs == expected


def test_processes_run_side_by_side(spawner: Spawner) -> None:
    with contextlib.ExitStack() as stack:
        many = [
            stack.enter_context(Running(spawner, ["/bin/sh", "-c", "echo; exec /bin/sleep 60"]))
            for _ in range(100)
        ]
        for running in many:
            assert running.read() == b"\n"
        for running in many:
            running.process.kill_tree()
        assert {running.ended().status for running in many} == {-signal.SIGKILL}


def test_closing_a_process_wakes_the_thread_that_waits_for_it(spawner: Spawner) -> None:
    with Running(spawner, ["/bin/sleep", "60"]) as running, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(running.process.wait, None)
        running.process.close()
        assert waiting.result(DEADLINE) is None
        running.assert_tree_gone() if readable(running.output) else pytest.fail("still running")


def test_more_processes_run_than_the_servers_open_file_limit_and_each_inherits_it(
    spawner: Spawner,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        spawner.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with contextlib.ExitStack() as stack:
        for _ in range(80):
            stack.enter_context(Running(spawner, ["/bin/sleep", "60"]))
        for setup in (None, Setup()):
            show = ["/bin/sh", "-c", "ulimit -Sn; ulimit -Hn"]
            assert run(spawner, show, setup=setup)[0] == f"64\n{hard}\n".encode()


def test_several_threads_may_wait_for_one_process(spawner: Spawner) -> None:
    with Running(spawner, ["/bin/sleep", "60"]) as running, ThreadPoolExecutor(4) as pool:
        barrier = threading.Barrier(5)

        def wait() -> Exit | None:
            barrier.wait()
            return running.process.wait(DEADLINE)

        waiting = [pool.submit(wait) for _ in range(4)]
        barrier.wait()
        running.process.kill_tree()
        assert {future.result() for future in waiting} == {running.ended()}


def test_a_megabyte_of_environment_arrives(spawner: Spawner) -> None:
    environment = {f"VARIABLE_{number}": "x" * 1000 for number in range(1024)}
    output, _ = run(spawner, ["/usr/bin/env"], env=environment)
    assert len(output.splitlines()) == 1024


def test_an_argument_list_too_long_is_a_start_error(spawner: Spawner) -> None:
    with pytest.raises(StartError) as caught:
        run(spawner, ["/bin/true", "x" * (1 << 20)])
    assert caught.value.errno == errno.E2BIG


def test_five_hundred_spawns_leak_no_descriptor_on_either_side(spawner: Spawner) -> None:
    run(spawner, ["/bin/true"])
    ours, theirs = open_descriptors(), open_descriptors(spawner.pid)
    for number in range(500):
        if number % 5:
            run(spawner, ["/bin/true"], setup=Setup() if number % 7 == 0 else None)
        else:
            with pytest.raises(StartError):
                run(spawner, ["/missing"])
    assert open_descriptors() == ours
    # The spawner closes a status pipe just after the last record has left.
    assert abs(open_descriptors(spawner.pid) - theirs) <= 1


def test_running_out_of_descriptors_is_a_start_error(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(spawner, ["/bin/true"])

    def no_pipe() -> tuple[int, int]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    silence = os.open(os.devnull, os.O_RDWR)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pipe", no_pipe)
        with pytest.raises(StartError, match="Too many open files") as caught:
            spawner.spawn(
                executable="/bin/true",
                argv=["true"],
                env={},
                cwd="/",
                stdin=silence,
                stdout=silence,
                stderr=silence,
            )
    os.close(silence)
    assert caught.value.stage == "descriptors"


def test_a_closed_descriptor_is_a_start_error(spawner: Spawner) -> None:
    with pytest.raises(StartError, match="Bad file descriptor"):
        run(spawner, ["/bin/true"], stderr=100_000)


def test_limits_apply_to_the_process_alone(spawner: Spawner) -> None:
    limits = {"RLIMIT_NOFILE": (64, 128), "RLIMIT_CORE": (0, 0)}
    show = ["/bin/sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c"]
    assert run(spawner, show, limits=limits)[0] == b"64\n128\n0\n"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert run(spawner, show)[0].startswith(f"{soft}\n{hard}\n".encode())


def test_an_impossible_limit_is_a_start_error(spawner: Spawner) -> None:
    with pytest.raises(StartError, match="limits: ") as caught:
        run(spawner, ["/bin/true"], limits={"RLIMIT_NOFILE": (20, 10)})
    assert caught.value.stage == "limits"


def test_an_unknown_limit_is_named(spawner: Spawner) -> None:
    with pytest.raises(ValueError, match="RLIMIT_FUN"):
        run(spawner, ["/bin/true"], limits={"RLIMIT_FUN": (1, 1)})


def test_the_umask_applies_to_the_process(spawner: Spawner) -> None:
    output, _ = run(spawner, ["/bin/sh", "-c", "umask"], setup=Setup(umask=0o027))
    assert output == b"0027\n"


def test_setup_steps_run_in_the_new_process_in_order(spawner: Spawner, tmp_path: Path) -> None:
    file = tmp_path / "steps.py"
    file.write_text(
        "import os\ndef say(text):\n    os.write(1, f'{text} {os.getcwd()};'.encode())\n"
    )
    steps = tuple(SetupStep(file=str(file), function="say", argument=word) for word in "ab")
    output, _ = run(spawner, ["/bin/echo", "c"], setup=Setup(steps=steps), cwd=str(tmp_path))
    assert output.decode() == f"a {tmp_path};b {tmp_path};c\n"


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ("raise ValueError('no good')", errno.EINVAL, "ValueError: no good"),
        ("open('/no/such/file')", errno.ENOENT, "No such file"),
        ("raise SystemExit", errno.EINVAL, "SystemExit"),
    ],
)
def test_a_failing_setup_step_is_a_start_error(
    spawner: Spawner, tmp_path: Path, body: str, code: int, text: str
) -> None:
    file = tmp_path / "steps.py"
    file.write_text(f"def confine(argument):\n    {body}\n")
    step = SetupStep(file=str(file), function="confine")
    with pytest.raises(StartError, match=f"setup step confine: {text}") as caught:
        run(spawner, ["/bin/true"], setup=Setup(steps=(step,)))
    assert (caught.value.errno, caught.value.stage) == (code, "setup step confine")


def test_a_missing_setup_file_is_a_start_error(spawner: Spawner) -> None:
    step = SetupStep(file="/no/such/steps.py", function="confine")
    with pytest.raises(StartError, match="setup step confine: No such file"):
        run(spawner, ["/bin/true"], setup=Setup(steps=(step,)))


def test_a_forgotten_process_is_reported_and_killed(spawner: Spawner) -> None:
    def forget(running: Running) -> None:
        del running.process
        gc.collect()

    running = Running(spawner, ["/bin/sleep", "60"])
    with pytest.warns(ResourceWarning, match="unclosed process"):
        forget(running)
    assert running.read() == b""
    os.close(running.output)
