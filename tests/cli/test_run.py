"""``run``: a server around a command. With real Bazel: tests/interop/test_bazel_run.py."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rpw_fixture.testing import bazel_flags
from tests.cli.terminal import Terminal
from tests.server_process import ROOT
from tests.waiting import until

RUN = (sys.executable, "-m", "rpw_fixture", "run")
#: A test program that only knows RPW_ENDPOINT: two actions on one worker, one that runs one-shot.
PROGRAM = (
    sys.executable,
    "-c",
    """
import os, sys
from rpw_fixture import Action
from rpw_fixture.client import Client
from tests.workers.worker_actions import compile_action
with Client(os.environ["RPW_ENDPOINT"]) as client:
    for name in sys.argv[1:] or "ab":
        client.run(compile_action(name, mnemonic="Upper", target=f"//:{name}"))
    client.run(Action(arguments=["/bin/true"], mnemonic="Plain"))
""",
)


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run ``run`` in the checkout."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [*RUN, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def started(*arguments: str, temporary: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*RUN, *arguments],
        cwd=ROOT,
        env=os.environ | ({} if temporary is None else {"TMPDIR": str(temporary)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as terminal:
        yield terminal


# --- the command ---


def test_a_command_gets_the_endpoint_and_a_bazelrc_which_is_gone_afterwards() -> None:
    done = run(
        "--", "sh", "-c", 'echo "$RPW_ENDPOINT {endpoint}"; cat {bazelrc}; echo $RPW_BAZELRC'
    )
    endpoint, *flags, rc = done.stdout.splitlines()
    first, second = endpoint.split()

    assert done.returncode == 0
    assert first == second
    assert first.startswith("grpc://127.0.0.1:")
    assert f"build --remote_executor={first}" in flags
    assert "build --remote_local_fallback=false" in flags
    assert not Path(rc).exists()
    assert not Path(rc).parent.exists()


def test_stdout_and_stdin_are_those_of_the_command() -> None:
    done = subprocess.run(
        [*RUN, "--no-summary", "--", "cat"],
        cwd=ROOT,
        input=b"piped",
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"piped", b"")


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("exit 0", 0)])
def test_the_exit_code_is_that_of_the_command(script: str, code: int) -> None:
    done = run("--expect", "no-violations", "--", "sh", "-c", script)
    assert done.returncode == code
    assert "no action reached the server" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 2, "no COMMAND; write it behind --"),
        (("--jobs", "x", "--", "true"), 2, "--jobs"),
        (("--expect", "reusd", "--", "true"), 2, "did you mean 'reused'"),
        (("--expect", "worker-starts", "--", "true"), 2, "worker-starts<=N"),
        (("--expect", "reused<=1", "--", "true"), 2, "known are"),
        (("--", "no-such-program"), 3, "no-such-program: not on PATH"),
        (("--", "/no/such/program"), 3, "/no/such/program: no such file"),
        (("--", "/etc/passwd"), 3, "/etc/passwd: not an executable file"),
        (("--listen", "127.0.0.1:1", "--tls-cert", "x", "--", "true"), 2, "--tls-key"),
        (("--events", "/no/such/folder/events", "--", "true"), 3, "No such file"),
    ],
)
def test_wrong_use_and_what_is_lacking(arguments: tuple[str, ...], code: int, text: str) -> None:
    done = run(*arguments)
    assert done.returncode == code
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_can_not_be_executed_is_named(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    done = run("--", str(program))
    assert done.returncode == 3
    assert f"{program}: Exec format error" in done.stderr


def test_options_of_the_command_are_not_ours() -> None:
    done = run("--no-summary", "--", "echo", "--jobs", "--", "--expect", "x")
    assert done.stdout == "--jobs -- --expect x\n"


# --- signals ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_is_passed_on(number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; kill -9 $!; exit 5' {name}; sleep 60 & echo ready; wait"
    process = started("--", "sh", "-c", script)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert output == f"got {name}\n"
    assert process.returncode == 5
    assert "no action reached the server" in errors


def test_every_signal_is_passed_on_not_only_the_first() -> None:
    count = "n=0; trap 'n=$((n+1)); echo $n' TERM; echo ready"
    script = f"{count}; while [ $n -lt 3 ]; do sleep 0.05; done; exit 6"
    with started("--no-summary", "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        for expected in ("ready", "1", "2"):
            assert process.stdout.readline().strip() == expected
            process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "3\n"
        assert process.wait(60) == 6


def test_ctrl_c_reaches_the_command_once(terminal: Terminal) -> None:
    """The terminal sends it to the command too, so that passing it on would double it."""
    wait = "for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done"
    script = f"n=0; trap 'n=$((n+1))' INT; echo ready; {wait}; echo count $n"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.on_terminal", *RUN, "--", "sh", "-c", script],
        cwd=ROOT,
        stdin=terminal.program_side,
        stdout=terminal.program_side,
        stderr=terminal.program_side,
        start_new_session=True,
    )
    with process:
        terminal.wait_for("ready")
        terminal.type(b"\x03")
        assert process.wait(60) == 0
    assert "count 1\n" in terminal.text
    assert "no action reached the server" in terminal.text


# --- what is expected ---


def test_the_summary_and_expectations_that_hold() -> None:
    names = (
        "reused",
        "reused@Upper",
        "worker-starts<=1",
        "worker-starts<=1@Upper",
        "no-one-shot@Upper",
        "no-violations",
    )
    done = run(*(part for name in names for part in ("--expect", name)), "--", *PROGRAM)

    assert done.returncode == 0, done.stderr
    assert "3 actions: 2 on workers (1 reused, 50%), 1 one-shot" in done.stderr
    for name in names:
        assert f"expect {name}: holds\n" in done.stderr


def test_each_expectation_that_does_not_hold_has_its_evidence() -> None:
    wrong = (
        "reused@Plain",
        "no-one-shot",
        "worker-starts<=0",
        "reused@Uper",
        "worker-starts<=9@Nobody",
    )
    done = run(*(part for name in wrong for part in ("--expect", name)), "--", *PROGRAM)

    assert done.returncode == 1
    for name in wrong:
        assert f"expect {name}: does not hold\n" in done.stderr
    verdicts = done.stderr.partition("expect reused@Plain")[2]
    assert "no action ran on a worker" in verdicts
    assert "1 action ran one-shot: persistentWorkerKey is not set" in verdicts
    assert "worker 1, for Upper //:a: the first worker" in verdicts
    assert "did you mean 'Upper'" in verdicts
    assert "no action with the mnemonic Nobody reached the server" in verdicts


def test_a_command_that_fails_decides_the_exit_code_and_expectations_are_judged_still() -> None:
    done = run("--expect", "reused", "--", "sh", "-c", "exit 9")
    assert done.returncode == 9
    assert "expect reused: does not hold\n  no action reached the server" in done.stderr


def test_violations_are_found(tmp_path: Path) -> None:
    noisy = tmp_path / "noisy.py"
    noisy.write_text("print('hello', flush=True)\nimport time\ntime.sleep(60)\n")
    code = (
        "import os, sys\n"
        "from rpw_fixture import Action\n"
        "from rpw_fixture.client import Client\n"
        "action = Action(arguments=[sys.executable, 'noisy.py'], flagfile=['x'], worker_key='k',\n"
        f"    mnemonic='Noisy', tool_inputs={{'noisy.py': open({str(noisy)!r}, 'rb').read()}})\n"
        "with Client(os.environ['RPW_ENDPOINT']) as client:\n"
        "    client.run(action, check=False)\n"
    )
    expect = (
        "--expect",
        "no-violations",
        "--expect",
        "no-violations@Noisy",
        "--default-protocol",
        "proto",
    )
    done = run(*expect, "--", sys.executable, "-c", code)
    assert done.returncode == 1
    assert done.stderr.count("does not hold\n  worker 1: text on stdout") == 2
    assert "Violations of the worker protocol:" in done.stderr


@pytest.mark.slow
def test_a_worker_that_leaks_is_not_hermetic_and_a_good_one_is() -> None:
    good = run("--expect", "hermetic@Upper", "--", *PROGRAM)
    assert good.returncode == 0, good.stderr
    call = 'compile_action(name, "--header", name, script="leaky.py",'
    leaking = PROGRAM[2].replace("compile_action(name,", call)
    bad = run("--expect", "hermetic", "--no-summary", "--", *PROGRAM[:2], leaking)
    assert bad.returncode == 1, bad.stderr
    assert "RPW202" in bad.stderr


def test_nothing_on_workers_is_nothing_to_check() -> None:
    done = run("--expect", "hermetic", "--", "true")
    assert done.returncode == 1
    assert "nothing to check: no action ran on a worker" in done.stderr


def test_events_and_recording_are_written_as_by_serve(tmp_path: Path) -> None:
    events, record = tmp_path / "events", tmp_path / "recording"
    done = run("--events", str(events), "--record", str(record), "--no-summary", "--", *PROGRAM)
    assert (done.returncode, done.stderr) == (0, "")
    kinds = [json.loads(line)["event"] for line in events.read_text().splitlines()]
    assert kinds[0] == "server_started"
    assert kinds.count("action_completed") == 3
    assert len((record / "actions.jsonl").read_text().splitlines()) == 2


def test_no_process_of_the_server_is_left_when_the_command_leaves_a_build_behind() -> None:
    with started("--no-summary", "--", *PROGRAM) as process:
        children = psutil.Process(process.pid)
        assert process.wait(60) == 0
    until(lambda: not children.is_running())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pidfd_open")
def test_a_run_that_is_killed_takes_its_command_along_but_no_daemon_of_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = "setsid sleep 600 & daemon=$!; sleep 600 & child=$!; "
    script += f"echo $$ $child $daemon >{pids}.new; mv {pids}.new {pids}; wait"
    with started("--no-summary", "--", "sh", "-c", f"exec >&- 2>&-; {script}") as process:
        try:
            until(pids.exists)
            *ours, daemon = [psutil.Process(int(pid)) for pid in pids.read_text().split()]
            until(lambda: daemon.name() == "sleep")  # it is in its own session by then
        finally:
            process.kill()
    try:
        until(lambda: not any(each.is_running() for each in ours))
        assert daemon.is_running()
    finally:
        for each in (*ours, daemon):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def test_what_a_killed_run_leaves_is_removed_by_the_next_one(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    os.mkfifo(tmp_path / "fifo")
    end = os.open(tmp_path / "fifo", os.O_RDWR)  # the command ends when this is closed
    script = f"exec 3<{tmp_path}/fifo; echo $$ {{bazelrc}}; exec cat <&3 >&- 2>&-"
    try:
        with started("--", "sh", "-c", script, temporary=temporary) as process:
            assert process.stdout is not None
            pid, path = process.stdout.readline().split()
            process.kill()
    finally:
        os.close(end)
    until(lambda: not psutil.pid_exists(int(pid)))
    bazelrc = Path(path)
    assert bazelrc.exists()  # it may hold a token
    with started("--", "true", temporary=temporary) as process:
        assert process.wait(60) == 0
    assert not bazelrc.exists()
    assert list(temporary.iterdir()) == []


# --- Bazel's command line ---

FLAGS = ("--x", "--y=1")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("bazel build //a", "bazel build --x --y=1 //a"),
        ("bazel test -- //a", "bazel test --x --y=1 -- //a"),
        ("bazel --output_base build build //a", "bazel --output_base build build --x --y=1 //a"),
        (
            "bazel --output_base=/b --batch run //a",
            "bazel --output_base=/b --batch run --x --y=1 //a",
        ),
        (
            "bazel --host_jvm_args -Xmx1g coverage",
            "bazel --host_jvm_args -Xmx1g coverage --x --y=1",
        ),
        ("bazel --bazelrc rc --nohome_rc build", "bazel --bazelrc rc --nohome_rc build --x --y=1"),
        ("bazel query build", "bazel query build"),
        ("bazel shutdown", "bazel shutdown"),
        ("bazel --version", "bazel --version"),
        ("bazel", "bazel"),
        ("bazel --output_base", "bazel --output_base"),
    ],
)
def test_flags_go_behind_the_command_word(command: str, expected: str) -> None:
    assert bazel_flags.with_flags(command.split(), FLAGS) == expected.split()


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("bazel", True),
        ("/usr/bin/bazelisk", True),
        ("bazel-4.2.3", True),
        ("bazelisk-linux-amd64", True),
        ("mybazel", False),
        ("bazels", False),
        ("/bazel/tool", False),
    ],
)
def test_bazel_is_known_by_its_name(program: str, expected: bool) -> None:
    assert bazel_flags.is_bazel(program) is expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("bazel 4.2.3", False),
        ("bazel 6.0.0", True),
        ("bazel 10.1", True),
        ("bazel no_version", False),
        ("", False),
    ],
)
def test_a_bazel_that_marks_tool_inputs_is_known_by_its_version(
    version: str, expected: bool
) -> None:
    assert bazel_flags.marks_tool_inputs(version, lambda: False) is expected


def test_a_new_bazel_gets_the_flag_that_marks_tool_inputs(tmp_path: Path) -> None:
    program = tmp_path / "bazel"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo bazel 8.1.0 && exit\necho "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = run("--no-summary", "--", "bazel", "build", "//a", env=environment)
    assert done.stdout.split()[0] == "build"
    assert done.stdout.split()[-2:] == [bazel_flags.MARK_FLAG, "//a"]


def test_a_value_with_spaces_stays_one_flag_in_a_bazelrc() -> None:
    assert bazel_flags.bazelrc(["--remote_header=a=Bearer x"]) == (
        "build '--remote_header=a=Bearer x'\n"
    )
