"""Starting processes through the spawner: what they get, what is reported of them, and how many at once."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rpw_fixture.processes.spawner import Exit, Setup, SetupStep, Spawner, StartError
from tests.waiting import until
from tests.watched_process import DEADLINE, readable

from .programs import PYTHON, Running, open_descriptors, run


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


def test_a_missing_interpreter_is_distinguished_from_a_missing_program(
    spawner: Spawner, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    with pytest.raises(StartError, match="its interpreter does not"):
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
    # The spawner closes a process's pipes just after its last record has left.
    until(lambda: open_descriptors(spawner.pid) <= theirs, "the spawner kept descriptors")
    until(lambda: open_descriptors() <= ours, "this process kept descriptors")


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


def test_a_limit_is_raised_before_a_step_gives_up_the_right_to(
    spawner: Spawner, tmp_path: Path
) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        pytest.skip("the limit of open files can't be raised any more")
    (tmp_path / "step.py").write_text(
        "import os, resource\ndef say(path):\n"
        "    with open(path, 'w') as file:\n"
        "        file.write(str(resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
    )
    seen = tmp_path / "seen"
    step = SetupStep(file=str(tmp_path / "step.py"), function="say", argument=str(seen))
    limits = {"RLIMIT_NOFILE": (hard, hard + 1)}
    stage = ""
    try:
        run(spawner, ["/bin/true"], limits=limits, setup=Setup(steps=(step,)))
    except StartError as error:  # who has no right to raise it never comes to the step
        stage = error.stage
    found = seen.read_text() if seen.exists() else ""
    assert (stage, found) in {("limits", ""), ("", str(hard + 1))}


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
