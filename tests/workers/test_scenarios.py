"""What users of persistent workers have run into, each test named after where it is told.

SCENARIOS.md lists all of them, those too that a server can do nothing about.
"""

from __future__ import annotations

import hashlib
import re
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from rpw_fixture.action import Action
from rpw_fixture.endpoint import Endpoint
from rpw_fixture.events import (
    ActionRouted,
    RequestCancelled,
    WorkerNotReused,
    WorkerRetired,
    WorkerStarted,
)
from rpw_fixture.inputs import Symlink
from rpw_fixture.pytest_plugin import MakeServer

from .support import (
    CANCELLATION,
    MULTIPLEX,
    SANDBOX,
    Running,
    action,
    compile_action,
    probe_action,
    run_all,
    seen,
    tools_of,
    until,
    wait_for,
)

TABLE = Path(__file__).with_name("SCENARIOS.md")
MUX = {"startup": ["--multiplex"]}


def failure_of(server: Endpoint, script: str, *startup: str, timeout: float = 20.0) -> str:
    """What is told of an action whose worker misbehaves."""
    outcome = server.run(
        compile_action("x", script=script, startup=startup, timeout=timeout), check=False
    )
    assert outcome.status in {"FAILED_PRECONDITION", "DEADLINE_EXCEEDED"}, outcome
    return outcome.message


def test_the_table_names_every_test_and_every_test_is_in_the_table() -> None:
    text = TABLE.read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", text, re.MULTILINE)
    named = set(re.findall(r"`(test_\w+)`", text))
    here = {name for name in globals() if name.startswith("test_")}

    assert [int(number) for number, _ in rows] == list(range(1, 44))
    assert all(told.strip() for _, told in rows)
    assert named == here - {"test_the_table_names_every_test_and_every_test_is_in_the_table"}


def test_bazel_10091_two_actions_with_one_key_share_a_process(rpw_server: Endpoint) -> None:
    first, second = (seen(rpw_server.run(probe_action(inputs={n: n}))) for n in "ab")
    assert first["pid"] == second["pid"]


def test_bazel_28493_without_the_flag_the_reason_says_what_is_missing(rpw_server: Endpoint) -> None:
    outcome = rpw_server.run(compile_action("x", worker_key=None))
    rpw_server.assert_one_shot(outcome, because="persistentWorkerKey is not set")


def test_bazel_28405_a_json_worker_that_gets_proto_is_told_what_it_needs(
    rpw_server: Endpoint, make_rpw_server: MakeServer
) -> None:
    says_json = (
        "import sys; sys.stdin.buffer.read(1); print('{\"exitCode\": 0}', flush=True); "
        "sys.stdin.read()"
    )
    only_json = action("json.py", tool_inputs={"tools/json.py": says_json}, do_not_cache=True)
    outcome = rpw_server.run(only_json, check=False)
    assert outcome.status == "FAILED_PRECONDITION"
    assert "needs persistentWorkerProtocol=json" in outcome.message
    assert make_rpw_server(default_protocol="json").run(only_json).ok


def test_bazel_29267_and_bazel_29276_a_property_that_nobody_knows_is_no_obstacle(
    rpw_server: Endpoint,
) -> None:
    unknown = {"persistentWorkerSomething": "1", "Arch": "any"}
    assert rpw_server.run(compile_action("x", platform=unknown)).worker == 1


def test_rules_img_452_the_protocol_property_on_a_plain_action_is_harmless(
    rpw_server: Endpoint,
) -> None:
    outcome = rpw_server.run(compile_action("x", worker_key=None, protocol="json"))
    assert outcome.ok
    rpw_server.assert_one_shot(outcome, because="persistentWorkerKey")


def test_bazel_29447_a_multiplex_worker_is_replaced_when_its_tool_changes(
    rpw_server: Endpoint,
) -> None:
    before = probe_action(platform=MULTIPLEX, **MUX)
    after = before.with_tool_input("tools/good.py", b"# changed\n" + tool("good.py"))
    one, other = rpw_server.run(before), rpw_server.run(after)

    assert seen(one)["pid"] != seen(other)["pid"]
    rpw_server.assert_worker_restarted(one, other, because="tools/good.py")


def tool(name: str) -> bytes:
    return tools_of(name)[f"tools/{name}"].read_bytes()


def with_plugin(text: str) -> Action:
    """A worker that imports a module which is an ordinary input."""
    main = (
        "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, 'lib')\n"
        "import plugin, rpw_worker\n"
        "sys.exit(rpw_worker.main(lambda request: rpw_worker.WorkResponse(0, plugin.TEXT)))\n"
    )
    tools = {"tools/main.py": main, "tools/rpw_worker.py": tool("rpw_worker.py")}
    plugin = f"TEXT = {text!r}"
    return action("main.py", tool_inputs=tools, inputs={"lib/plugin.py": plugin})


def test_bazel_10498_code_that_is_no_tool_input_goes_stale(rpw_server: Endpoint) -> None:
    first, second = rpw_server.run(with_plugin("old")), rpw_server.run(with_plugin("new"))
    rpw_server.assert_worker_reused(first, second)
    assert second.stderr == b"old", "the bug of such a rule, and here is how it is seen"

    marked = [
        rpw_server.run(with_plugin(t).with_tool_input("lib/plugin.py")) for t in ("old", "new")
    ]
    assert [each.stderr for each in marked] == [b"old", b"new"]


def test_buildfarm_2228_two_tools_under_one_key_have_two_workers(rpw_server: Endpoint) -> None:
    branch = probe_action().with_tool_input("tools/good.py", b"# branch\n" + tool("good.py"))
    with rpw_server.connect() as other:
        workers = [
            client.run(each, skip_cache_lookup=True).worker_name
            for client, each in [
                (rpw_server.client, probe_action()),
                (other, branch),
                (rpw_server.client, probe_action()),
                (other, branch),
            ]
        ]
    assert workers[0] == workers[2] != workers[1] == workers[3]


def test_buildfarm_2615_files_and_folders_of_output_paths_are_collected(
    rpw_server: Endpoint,
) -> None:
    script = (
        "import os, sys; sys.dont_write_bytecode = True; import rpw_worker\n"
        "def handle(request):\n"
        "    os.makedirs('tree/deep')\n"
        "    for path in ('file', 'tree/one', 'tree/deep/two'):\n"
        "        open(path, 'w').write(path)\n"
        "    return rpw_worker.WorkResponse()\n"
        "sys.exit(rpw_worker.main(handle))\n"
    )
    tools = {"tools/t.py": script, "tools/rpw_worker.py": tool("rpw_worker.py")}
    outcome = rpw_server.run(action("t.py", tool_inputs=tools, outputs=["file", "tree"]))
    assert outcome.outputs == {
        path: path.encode() for path in ("file", "tree/one", "tree/deep/two")
    }


def test_buildfarm_2066_no_variable_of_the_host_reaches_a_worker(
    make_rpw_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL", "of the host")
    view = seen(make_rpw_server().run(probe_action(environment={"LANG": "C.UTF-8"})))
    # What the interpreter itself sets under the C locale, and the kernel never.
    assert set(view["env"]) - {"LC_CTYPE"} == {"LANG"}


def test_buildfarm_2325_many_requests_leave_nothing_behind_in_the_server(
    rpw_server: Endpoint,
) -> None:
    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    request = probe_action("--say", "x")
    for _ in range(20):
        rpw_server.run(request)
    before = held()
    for _ in range(100):
        rpw_server.run(request)
    descriptors, threads = held()
    assert descriptors <= before[0] + 2
    assert threads <= before[1] + 2


def test_buildbuddy_2132_the_error_carries_the_end_of_stderr(rpw_server: Endpoint) -> None:
    message = failure_of(rpw_server, "crashing.py")
    assert "worker's stderr ends with:\ncrashing.py: the native library gave up" in message


def test_buildbuddy_9777_and_9474_why_a_worker_is_not_reused_is_told(rpw_server: Endpoint) -> None:
    rpw_server.run(probe_action(environment={"LANG": "C"}))
    rpw_server.run(probe_action(environment={"LANG": "en"}))
    (told,) = rpw_server.events.of(WorkerNotReused)
    assert told.differences == ("environment: LANG 'C' → 'en'",)


def test_buildbuddy_10480_times_of_a_worker_action_are_in_order(rpw_server: Endpoint) -> None:
    times = rpw_server.run(probe_action()).timestamps
    order = ("queued", "worker_start", "input_fetch_start", "execution_start")
    order += ("execution_completed", "output_upload_completed", "worker_completed")
    stamps = [times[name] for name in order]
    assert stamps == sorted(stamps)
    assert stamps[-1] - stamps[0] < 60


def test_bazel_4897_text_on_stdout_is_diagnosed(rpw_server: Endpoint) -> None:
    prints = "print('console.log was here', flush=True); import sys; sys.stdin.read()"
    outcome = rpw_server.run(action("p.py", tool_inputs={"tools/p.py": prints}), check=False)
    assert "text on stdout: 'console.log was here" in outcome.message
    assert "print to stderr" in outcome.message


def test_bazel_8505_a_warning_between_responses_is_diagnosed(rpw_server: Endpoint) -> None:
    noisy = {"script": "noisy.py", "startup": ["--between"]}
    assert rpw_server.run(compile_action("a", **noisy)).ok
    outcome = rpw_server.run(compile_action("b", **noisy), check=False)
    assert outcome.status == "FAILED_PRECONDITION"
    assert "text on stdout: 'warning: the tiny compiler is up" in outcome.message


def test_rules_java_158_a_banner_before_the_first_response_is_diagnosed(
    rpw_server: Endpoint,
) -> None:
    assert "text on stdout: 'Welcome to the tiny compiler" in failure_of(rpw_server, "noisy.py")


def test_bazel_6009_and_5767_half_a_frame_and_then_nothing_is_told_as_such(
    rpw_server: Endpoint,
) -> None:
    message = failure_of(rpw_server, "crashing.py", "--half-frame", "--exit-status=-9")
    assert "truncated frame: only " in message
    assert "killed by SIGKILL" in message
    assert "the native library gave up" in message


@pytest.mark.parametrize("status", [0, 7])
def test_bazel_11285_and_15699_an_exit_inside_a_request_says_its_status(
    rpw_server: Endpoint, status: int
) -> None:
    message = failure_of(rpw_server, "crashing.py", f"--exit-status={status}")
    assert "crash: it " in message
    assert f"before its response was complete (exit status {status})" in message


def test_rules_scala_1839_an_end_without_a_word_is_told_too(rpw_server: Endpoint) -> None:
    silent = "import os, sys; sys.stdin.buffer.read(1); os._exit(1)"
    outcome = rpw_server.run(action("s.py", tool_inputs={"tools/s.py": silent}), check=False)
    assert "crash" in outcome.message
    assert "worker's stderr is empty" in outcome.message


def test_bazel_10288_a_worker_that_never_answers_is_killed_when_the_time_is_up(
    rpw_server: Endpoint,
) -> None:
    message = failure_of(rpw_server, "hanging.py", "--ignore-sigterm", timeout=0.5)
    assert "timeout: no response within the action's timeout" in message
    retired = wait_for(rpw_server, WorkerRetired)
    assert (retired.reason, retired.exit_status) == ("timeout", -signal.SIGKILL)


def held(folder: Path, name: str, **others: object) -> Action:
    flags = ("--started", str(folder / name), "--wait-for", str(folder / "gate"))
    return probe_action(*flags, salt=name.encode(), **others)


def test_bazel_26292_and_26311_slots_of_cancelled_requests_come_back(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=8, max_multiplex=4, cancel_grace=30.0)
    platform = {**SANDBOX, **CANCELLATION}
    running = [Running(server, held(tmp_path, f"{n}", platform=platform, **MUX)) for n in range(4)]
    for number in range(4):
        until((tmp_path / f"{number}").exists)
    for each in running:
        each.cancel()
    wait_for(server, RequestCancelled)
    again = [probe_action(platform=platform, salt=bytes([n]), **MUX) for n in range(8)]

    assert {each.result().status for each in running} == {"CANCELLED"}
    assert {each.worker_name for each in run_all(server, again)} == {"rpw_fixture/worker-1"}


def test_bazel_614_and_9975_a_cancelled_action_does_not_wait_for_its_worker(
    rpw_server: Endpoint, tmp_path: Path
) -> None:
    running = Running(rpw_server, held(tmp_path, "x"))
    until((tmp_path / "x").exists)
    running.cancel()
    assert running.result().status == "CANCELLED"
    assert wait_for(rpw_server, WorkerRetired).reason == "cancelled"


def test_bazel_22589_and_25400_parallel_requests_have_sandboxes_of_their_own(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=8)
    running = [
        Running(server, held(tmp_path, f"{n}", platform=SANDBOX, inputs={f"in{n}": "x"}, **MUX))
        for n in range(6)
    ]
    for number in range(6):
        until((tmp_path / f"{number}").exists)
    (tmp_path / "gate").touch()
    views = [seen(each.result()) for each in running]

    assert len({each["sandbox_dir"] for each in views}) == 6
    for number, view in enumerate(views):
        assert [each for each in view["files"] if each.startswith("in")] == [f"in{number}"]


def test_bazel_23990_a_tool_at_a_mapped_path_is_found_beside_sandboxes(
    rpw_server: Endpoint,
) -> None:
    mapped = "bazel-out/cfg/bin/"
    tools = {f"{mapped}{path}": file for path, file in tools_of("probe.py").items()}
    base = probe_action(platform=SANDBOX, tool_inputs=tools)
    arguments = (sys.executable, f"{mapped}tools/probe.py", "--multiplex")
    view = seen(rpw_server.run(base.replace(arguments=arguments)))
    assert f"{mapped}tools/probe.py" in view["inputs"]


@pytest.mark.parametrize("personality", ["reference", "buildbuddy"])
def test_bazel_14293_json_requests_with_and_without_zeros_are_the_same_to_a_worker(
    make_rpw_server: MakeServer, personality: str
) -> None:
    server = make_rpw_server(personality=personality)
    view = seen(server.run(probe_action(protocol="json", worker_key=personality)))
    assert ("requestId" in view["raw"]) == (personality == "buildbuddy")
    assert (view["request_id"], view["verbosity"], view["sandbox_dir"]) == (0, 0, "")


def test_bazel_2769_the_working_directory_stays_the_same_folder(rpw_server: Endpoint) -> None:
    script = (
        "import os, sys; sys.dont_write_bytecode = True; import rpw_worker\n"
        "def handle(request):\n"
        "    is_there = os.stat('.').st_ino == os.stat(os.getcwd()).st_ino\n"
        "    return rpw_worker.WorkResponse(0, f'{os.stat(\".\").st_ino} {is_there}')\n"
        "sys.exit(rpw_worker.main(handle))\n"
    )
    tools = {"tools/cwd.py": script, "tools/rpw_worker.py": tool("rpw_worker.py")}
    said = {
        rpw_server.run(action("cwd.py", tool_inputs=tools, inputs={f"d{n}/x": "x"})).stderr
        for n in range(3)
    }
    assert len(said) == 1
    assert said.pop().endswith(b" True")


def test_rules_nodejs_2975_what_a_worker_made_at_its_start_is_gone_at_the_next_request(
    rpw_server: Endpoint,
) -> None:
    script = (
        "import os, sys; sys.dont_write_bytecode = True; import rpw_worker\n"
        "os.symlink('tools', 'node_modules')\n"
        "def handle(request):\n"
        "    return rpw_worker.WorkResponse(0, str(os.path.lexists('node_modules')))\n"
        "sys.exit(rpw_worker.main(handle))\n"
    )
    tools = {"tools/link.py": script, "tools/rpw_worker.py": tool("rpw_worker.py")}
    rpw_server.run(action("link.py", tool_inputs=tools, inputs={"a": "1"}))
    second = rpw_server.run(action("link.py", tool_inputs=tools, inputs={"b": "1"}))
    assert second.stderr == b"False"

    declared = {"inputs": {"node_modules": Symlink("tools"), "c": "1"}}
    kept = action(
        "late.py",
        tool_inputs={
            **tools,
            "tools/late.py": script.replace("os.symlink('tools', 'node_modules')", ""),
        },
        **declared,
    )
    assert rpw_server.run(kept).stderr == b"True", "what it needs has to be an input"


def test_rules_nodejs_2437_inputs_change_from_request_to_request(rpw_server: Endpoint) -> None:
    for names in (("a", "b"), ("b", "c"), ("c",), ("a", "c")):
        view = seen(rpw_server.run(probe_action(inputs={f"src/{n}": n for n in names})))
        assert [each for each in view["files"] if each.startswith("src/")] == [
            f"src/{n}" for n in names
        ]


def test_rules_kotlin_531_and_559_new_content_of_the_same_size_and_time_is_seen(
    rpw_server: Endpoint,
) -> None:
    digests = []
    for content in (b"aaaa", b"bbbb"):
        outcome = rpw_server.run(compile_action("x", inputs={"src/x": content}))
        assert outcome.outputs["out/x"].startswith(content.upper())
        view = seen(rpw_server.run(probe_action(inputs={"src/x": content})))
        digests.append(bytes.fromhex(view["inputs"]["src/x"]).decode())
    assert digests == [hashlib.sha256(content).hexdigest() for content in (b"aaaa", b"bbbb")]


def test_rules_ts_128_an_output_that_is_not_written_again_is_missing_and_not_stale(
    rpw_server: Endpoint,
) -> None:
    script = (
        "import os, sys; sys.dont_write_bytecode = True; import rpw_worker\n"
        "done = set()\n"
        "def handle(request):\n"
        "    if 'x' not in done:\n"
        "        open('out', 'w').write('emitted')\n"
        "    done.add('x')\n"
        "    return rpw_worker.WorkResponse()\n"
        "sys.exit(rpw_worker.main(handle))\n"
    )
    tools = {"tools/ts.py": script, "tools/rpw_worker.py": tool("rpw_worker.py")}
    once, twice = (
        rpw_server.run(action("ts.py", tool_inputs=tools, inputs={n: n}, outputs=["out"]))
        for n in "ab"
    )
    assert dict(once.outputs) == {"out": b"emitted"}
    assert dict(twice.outputs) == {}


def test_rules_typescript_300_a_tool_that_writes_beside_itself_stays_warm(
    rpw_server: Endpoint,
) -> None:
    outcomes = [
        rpw_server.run(
            probe_action("--leave", f"tools/__cache__{n}", "--overwrite", "tools/good.py")
        )
        for n in range(3)
    ]
    rpw_server.assert_worker_reused(*outcomes)
    files = seen(rpw_server.run(probe_action()))["files"]
    assert not [each for each in files if "__cache__" in each]


def test_rules_kotlin_325_and_337_a_worker_that_closed_its_stdin_fails_with_its_own_words(
    rpw_server: Endpoint,
) -> None:
    script = (
        "import os, sys\nos.close(0)\n"
        "print('the real error', file=sys.stderr, flush=True)\nsys.exit(4)\n"
    )
    outcome = rpw_server.run(
        action("c.py", *("x" * 1000 for _ in range(300)), tool_inputs={"tools/c.py": script}),
        check=False,
    )
    assert outcome.status == "FAILED_PRECONDITION"
    assert "exit status 4" in outcome.message
    assert "the real error" in outcome.message


def test_bazel_18156_and_6526_an_undeclared_flagfile_is_an_error_that_names_it(
    rpw_server: Endpoint,
) -> None:
    base = probe_action()
    missing = base.with_arguments(*base.arguments, "@/etc/hostname")
    outcome = rpw_server.run(missing, check=False)
    assert outcome.status == "INVALID_ARGUMENT"
    assert "'/etc/hostname' is not a declared input" in outcome.message


def test_bazel_6103_12165_and_8586_many_keys_do_not_mean_many_processes(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server(max_workers=2, jobs=8)
    actions = [compile_action(f"n{n}", worker_key=f"key {n % 5}") for n in range(15)]
    assert all(each.ok for each in run_all(server, actions))

    alive = most = 0
    for event in server.events.snapshot():
        alive += isinstance(event, WorkerStarted) - isinstance(event, WorkerRetired)
        most = max(most, alive)
    assert most <= 2


def test_bazel_18319_a_dead_worker_is_no_exit_code_and_an_exit_code_no_dead_worker(
    rpw_server: Endpoint,
) -> None:
    failed = rpw_server.run(compile_action("a", "--fail", "type error"))
    assert (failed.status, failed.exit_code, failed.stderr) == ("OK", 1, b"type error\n")
    dead = rpw_server.run(compile_action("a", script="crashing.py"), check=False)
    assert dead.status == "FAILED_PRECONDITION"


def test_bazel_worker_86_a_worker_that_can_not_start_fails_at_once(rpw_server: Endpoint) -> None:
    missing = probe_action(timeout=60.0).with_arguments("tools/nowhere")
    outcome = rpw_server.run(missing, check=False)
    assert outcome.status == "FAILED_PRECONDITION"
    assert "start failed" in outcome.message
    assert "tools/nowhere" in outcome.message


def test_buck2_776_787_and_851_an_action_as_buck2_sends_it_is_served_without_any_cloud(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server(tool_inputs=("tools/**",))
    plain = probe_action(tool_inputs={}, inputs=tools_of("probe.py"))
    server.assert_worker_reused(server.run(plain), server.run(plain))


def test_bb_remote_execution_254_files_of_the_tool_are_there_at_the_second_request(
    rpw_server: Endpoint,
) -> None:
    script = (
        "import sys; sys.dont_write_bytecode = True; import rpw_worker\n"
        "def handle(request):\n"
        "    return rpw_worker.WorkResponse(0, open(sys.path[0] + '/lib/data').read())\n"
        "sys.exit(rpw_worker.main(handle))\n"
    )
    tools = {"tools/t.py": script, "tools/rpw_worker.py": tool("rpw_worker.py")}
    for data, how in ((Symlink("real"), "tool_inputs"), ("there", "inputs")):
        extra = {"tools/lib/data": data, "tools/lib/real": "there"}
        for name in "ab":
            given = {"tool_inputs": tools, "inputs": {name: name}}
            given[how] = {**given[how], **extra}
            assert rpw_server.run(action("t.py", **given)).stderr == b"there"


def test_the_proposal_warm_cold_and_one_shot_runs_of_a_good_tool_are_equal(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server()
    target = compile_action("x")
    cold = server.run(target, skip_cache_lookup=True)
    server.run(compile_action("other", "--header", "not mine"))
    warm = server.run(target, skip_cache_lookup=True)
    one_shot = server.run(target.with_worker_key(None))

    assert cold.outputs == warm.outputs == one_shot.outputs
    modes = Counter(each.mode for each in server.events.of(ActionRouted))
    assert modes == {"worker": 3, "one-shot": 1}
