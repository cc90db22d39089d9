"""What a running command finds around it, and how it ends: points 128 to 143."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import grpc
import psutil
import pytest

from .executing import File, Link, own, re

DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
SCRIPT = File(data=b"#!/bin/sh\necho tool ran\n", is_executable=True)


@pytest.mark.point(128)
@pytest.mark.parametrize("name", ["./tool", "../bin/tool", "bin/../tool"])
def test_a_program_with_a_slash_is_relative_to_the_working_directory(executor, name):
    inputs = {"work/tool": SCRIPT, "bin/tool": SCRIPT, "work/bin/": None}
    command = executor.command(name, working_directory="work")
    assert executor.stdout(executor.run(executor.action(command, inputs))) == b"tool ran\n"


@pytest.mark.point(128)
def test_a_bare_program_is_looked_up_in_the_commands_own_path(executor, tmp_path):
    tool = tmp_path / "tool"
    tool.write_bytes(SCRIPT.data)
    tool.chmod(0o755)
    command = executor.command("tool", env={"PATH": f"/nowhere:{tmp_path}"})
    assert executor.stdout(executor.run(executor.action(command))) == b"tool ran\n"


@pytest.mark.point(129)
def test_the_environment_is_the_commands_and_nothing_else(executor, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "1")
    command = executor.command("/usr/bin/env", env={"B": "two words", "A": "", "Ü": "ä=ö"})
    printed = executor.stdout(executor.run(executor.action(command)))
    assert sorted(printed.decode().splitlines()) == ["A=", "B=two words", "Ü=ä=ö"]


@pytest.mark.point(130)
def test_only_executable_inputs_have_the_bit(executor):
    inputs = {"plain": File(data=b"1"), "tool": SCRIPT}
    response = executor.run_shell("stat -c '%a' plain tool", inputs)
    assert executor.stdout(response) == b"444\n555\n"


@pytest.mark.point(130)
def test_one_blob_can_be_an_executable_and_a_plain_file_at_once(executor):
    inputs = {"plain": File(data=SCRIPT.data), "tool": SCRIPT}
    response = executor.run_shell("./tool; ./plain; echo $?", inputs)
    assert executor.stdout(response) == b"tool ran\n126\n"


@pytest.mark.point(131)
def test_writing_to_an_input_never_changes_the_stored_blob(executor):
    script = "chmod 644 in; echo changed > in; cat in"
    first = executor.run_shell(script, {"in": b"original"}, do_not_cache=True)
    assert executor.stdout(first) == b"changed\n"
    assert executor.stdout(executor.run_shell("cat in", {"in": b"original"})) == b"original"


@pytest.mark.point(132)
def test_input_symlinks_are_placed_with_their_target_verbatim(executor):
    inputs = {
        "a/up": Link(target="../b/file"),
        "a/odd": Link(target=".//x/../x"),
        "b/file": b"content",
        "dir": Link(target="b"),
    }
    response = executor.run_shell("readlink a/up a/odd dir; cat a/up dir/file", inputs)
    assert executor.stdout(response) == b"../b/file\n.//x/../x\nb\ncontentcontent"


@pytest.mark.point(133)
def test_empty_input_folders_exist_even_when_they_are_outputs(executor):
    script = "[ -d out ] && [ -d deep/er ] && echo x > out/file"
    response = executor.run_shell(script, {"out/": None, "deep/er/": None}, folders=["out"])
    assert response.result.exit_code == 0
    (tree,) = executor.trees(response).values()
    assert [file.name for file in tree.root.files] == ["file"]


@pytest.mark.point(134)
def test_parents_of_outputs_exist_and_the_outputs_do_not(executor):
    script = "ls -d a/b c; [ ! -e a/b/file ] && [ ! -e c/folder ] && echo absent"
    response = executor.run_shell(script, files=["a/b/file"], folders=["c/folder"])
    assert executor.stdout(response) == b"a/b\nc\nabsent\n"


@pytest.mark.point(135)
def test_an_output_that_is_an_input_as_well_is_collected_as_it_is_then(executor):
    inputs = {"same": b"same", "changed": b"old"}
    script = "rm changed; echo new > changed"
    response = executor.run_shell(script, inputs, files=["same", "changed"])
    assert executor.files(response) == {"same": b"same", "changed": b"new\n"}


@pytest.mark.point(136)
def test_inputs_have_one_fixed_time_of_change(executor):
    response = executor.run_shell("stat -c %Y a b/c", {"a": b"1", "b/c": b"2"})
    first, second = executor.stdout(response).split()
    assert first == second
    assert int(first) < time.time() - 86_400


def root_with(executor, **properties):
    node = re.FileNode(name="file", digest=executor.put(b"content"))
    node.node_properties.CopyFrom(re.NodeProperties(**properties))
    return executor.put(re.Directory(files=[node]))


@pytest.mark.point(136)
def test_time_and_mode_of_inputs_are_as_their_properties_say(executor):
    command = executor.command("/bin/sh", "-c", "stat -c '%.Y %a' file")
    for seconds, mode in ((86_400, 0o640), (0, 0o777), (86_400, 0o600)):
        fields = {"mtime": {"seconds": seconds, "nanos": 500_000_000}, "unix_mode": {"value": mode}}
        root = root_with(executor, **fields)
        printed = executor.stdout(executor.run(executor.action(command, input_root_digest=root)))
        seconds_told, mode_told = printed.decode().split()
        assert float(seconds_told) == seconds + 0.5
        assert int(mode_told, 8) == mode


@pytest.mark.point(136)
@pytest.mark.parametrize(("seconds", "nanos"), [(-1, 0), (1 << 60, 0), (0, -1), (0, 1 << 30)])
def test_a_time_that_no_file_can_have_is_an_invalid_argument(executor, seconds, nanos):
    root = root_with(executor, mtime={"seconds": seconds, "nanos": nanos})
    response = executor.run(executor.action(executor.command("x"), input_root_digest=root))
    assert response.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "'file'" in response.status.message


@pytest.mark.point(137)
def test_stdin_is_empty_and_both_streams_carry_any_bytes(executor):
    script = r"wc -c; printf '\000\377\n' ; printf 'e\200' >&2"
    response = executor.run_shell(script)
    assert executor.stdout(response) == b"0\n\x00\xff\n"
    assert executor.stderr(response) == b"e\x80"


@pytest.mark.point(137)
def test_streams_larger_than_any_pipe_arrive_whole(executor):
    response = executor.run_shell("head -c 3000000 /dev/zero; head -c 2000000 /dev/zero >&2")
    assert response.result.stdout_digest.size_bytes == 3_000_000
    assert response.result.stderr_digest.size_bytes == 2_000_000


@pytest.mark.point(137)
def test_of_endless_output_the_beginning_is_kept_and_the_rest_counted(make_executor):
    executor = make_executor(max_output_bytes=1000)
    printed = executor.stdout(executor.run_shell("head -c 5000 /dev/zero"))
    assert printed[:1000] == bytes(1000)
    assert b"4000 more bytes" in printed[1000:]


@pytest.mark.point(138)
@pytest.mark.point(139)
@pytest.mark.point(140)
def test_a_timeout_is_reported_in_the_response_with_what_was_said_so_far(executor):
    digest = executor.shell("echo begun; echo why >&2; sleep 60", timeout=0.5)
    response = executor.run(digest)
    assert response.status.code == DEADLINE_EXCEEDED
    assert "0.5 s" in response.message
    assert executor.stdout(response) == b"begun\n"
    assert executor.stderr(response).startswith(b"why\n")
    assert response.result.stderr_raw.endswith(b"timeout of 0.5 s\n")
    assert not executor.run(digest).cached_result


@pytest.mark.point(138)
def test_a_timeout_kills_the_whole_tree_other_sessions_included(executor, tmp_path):
    pids = tmp_path / "pids"
    script = f"sleep 61 & setsid sleep 62 & echo $! >> {pids}; echo $$ >> {pids}; wait"
    executor.run(executor.shell(script, timeout=0.5))
    assert [int(pid) for pid in pids.read_text().split() if psutil.pid_exists(int(pid))] == []


@pytest.mark.point(138)
@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_command_that_never_stops_talking_is_timed_out_too(executor, stream):
    response = executor.run(executor.shell(f"exec yes >&{stream}", timeout=0.3))
    assert response.status.code == DEADLINE_EXCEEDED


@pytest.mark.point(138)
def test_waiting_in_the_queue_does_not_count_as_running(make_executor, gate, tmp_path):
    executor = make_executor(jobs=1)
    first = executor.execute(executor.shell(gate.script))
    next(first)
    gate.wait_until_reached()
    second = executor.execute(executor.shell("echo quick", timeout=5))
    name = next(second).name
    assert not executor.get(name).done
    gate.open()
    (*_, last) = second
    response = re.ExecuteResponse()
    last.response.Unpack(response)
    assert response.status.code == 0
    metadata = response.result.execution_metadata
    waited = metadata.worker_start_timestamp.ToNanoseconds()
    assert waited > metadata.queued_timestamp.ToNanoseconds()
    list(first)


@pytest.mark.point(141)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_signal_is_128_plus_its_number(executor, number):
    response = executor.run_shell(f"kill -{int(number)} $$", do_not_cache=True)
    assert response.status.code == 0
    assert response.result.exit_code == 128 + number
    assert number.name in response.message


@pytest.mark.point(141)
@pytest.mark.parametrize("code", [1, 42, 255])
def test_an_exit_status_is_reported_as_it_is(executor, code):
    assert executor.run_shell(f"exit {code}").result.exit_code == code


@pytest.mark.point(142)
@pytest.mark.point(140)
@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("no-such-program", 127),
        ("/no/such/program", 127),
        ("sub/none", 127),
        ("plain", 127),
        ("./plain", 126),
        ("./sub", 126),
        ("./binary", 126),
    ],
)
def test_a_program_that_can_not_start_ends_as_a_shell_would_say_it(executor, program, code):
    inputs = {
        "plain": b"text",
        "sub/x": b"",
        "binary": File(data=b"\x7fELF nonsense", is_executable=True),
    }
    response = executor.run(executor.action(executor.command(program), inputs))
    assert response.status.code == 0
    assert response.result.exit_code == code
    assert program.encode() in executor.stderr(response)
    assert program in response.message


@pytest.mark.point(143)
def test_background_children_are_gone_before_outputs_are_read(executor, tmp_path):
    pid_file = tmp_path / "pid"
    script = f"(while :; do echo x >> out; done) & echo $! > {pid_file}; echo kept > other"
    response = executor.run_shell(script, files=["out", "other"], do_not_cache=True)
    assert not psutil.pid_exists(int(pid_file.read_text()))
    assert executor.files(response)["other"] == b"kept\n"


@pytest.mark.point(143)
def test_a_daemon_that_holds_the_streams_does_not_delay_the_end(executor):
    response = executor.run_shell("setsid sleep 60 & echo done", timeout=20)
    assert response.status.code == 0
    assert executor.stdout(response) == b"done\n"


@pytest.mark.point(129)
def test_arguments_arrive_as_they_were_sent(executor):
    arguments = ["", "two words", "ünï", "new\nline", "$HOME", "*", "-"]
    code = "import sys; print(sys.argv[1:])"
    command = executor.command(
        sys.executable, "-S", "-c", code, *arguments, env={"LANG": "C.UTF-8"}
    )
    printed = executor.stdout(executor.run(executor.action(command)))
    assert printed.decode().strip() == str(arguments)


@pytest.mark.point(165)
def test_the_virtual_duration_is_the_commands_own(executor):
    response = executor.run_shell("sleep 0.3")
    newest = own.ExecuteResponse.FromString(response.SerializeToString())
    seconds = newest.result.execution_metadata.virtual_execution_duration.ToNanoseconds() / 1e9
    assert 0.3 <= seconds < 20


@pytest.mark.point(134)
def test_the_folder_of_an_action_is_gone_after_it(executor):
    where = executor.stdout(executor.run_shell("pwd")).decode().strip()
    executor.server.stop()
    assert not Path(where).exists()


@pytest.mark.point(131)
def test_folders_an_action_locked_are_removed_all_the_same(executor):
    response = executor.run_shell(
        "pwd; mkdir -p a/b; touch a/b/c; chmod 0 a/b a", do_not_cache=True
    )
    where = executor.stdout(response).decode().strip()
    executor.server.stop()
    assert not Path(where).exists()


@pytest.mark.point(137)
def test_stdin_is_the_null_device(executor):
    response = executor.run_shell("stat -L -c '%t %T' /dev/fd/0")
    major, minor = executor.stdout(response).split()
    null = Path("/dev/null").stat().st_rdev
    assert (int(major, 16), int(minor, 16)) == (os.major(null), os.minor(null))


@pytest.mark.point(137)
def test_a_command_has_no_other_descriptor(executor):
    printed = executor.stdout(executor.run_shell("exec ls /proc/self/fd"))
    assert set(printed.split()) <= {b"0", b"1", b"2", b"3"}  # 3 is ls looking


@pytest.mark.point(128)
def test_a_command_without_arguments_is_an_invalid_argument(executor):
    response = executor.run(executor.action(executor.command(), {"a": b""}))
    assert response.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "no arguments" in response.status.message
