"""What users of persistent workers have run into, each test named after the issue that reports it.

SCENARIOS.md lists all of them, those too that a server can do nothing about. Here stands where
actions go and when workers are shared; of files and of failures other modules tell.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from pathlib import Path

import pytest

from rpw_fixture.client.action import Action
from rpw_fixture.events.kinds import ActionRouted, WorkerNotReused, WorkerRetired, WorkerStarted
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.testing.endpoint import Endpoint
from tests.waiting import until

from .worker_actions import (
    MULTIPLEX,
    MUX,
    SAMPLES,
    action,
    compile_action,
    probe_action,
    run_all,
    seen,
    tools_of,
)

HERE = Path(__file__).parent
GOOD = (SAMPLES / "good.py").read_bytes()


def test_the_table_names_every_test_and_every_test_is_in_the_table() -> None:
    text = (HERE / "SCENARIOS.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", text, re.MULTILINE)
    named = set(re.findall(r"`(test_\w+)`", text))
    here = {
        name
        for module in HERE.glob("test_scenarios*.py")
        for name in re.findall(r"^def (test_\w+)", module.read_text("utf-8"), re.MULTILINE)
    }

    assert [int(number) for number, _ in rows] == list(range(1, 44))
    assert all(test.strip() for _, test in rows)
    assert named == here - {"test_the_table_names_every_test_and_every_test_is_in_the_table"}


def test_bazel_10091_two_actions_with_one_key_share_a_process(rpw_server: Endpoint) -> None:
    first, second = (seen(rpw_server.run(probe_action(inputs={n: n}))) for n in "ab")
    assert first["pid"] == second["pid"]


def test_bazel_28493_without_the_flag_the_reason_says_what_is_missing(rpw_server: Endpoint) -> None:
    outcome = rpw_server.run(compile_action("x", worker_key=None))
    rpw_server.assert_one_shot(outcome, because="persistentWorkerKey is not set")


def test_bazel_28405_the_error_of_a_json_worker_that_gets_proto_says_how_to_ask_for_json(
    make_rpw_server: MakeServer,
) -> None:
    says_json = (
        "import sys; sys.stdin.buffer.read(1); print('{\"exitCode\": 0}', flush=True); "
        "sys.stdin.read()"
    )
    only_json = action("json.py", tool_inputs={"tools/json.py": says_json}, do_not_cache=True)
    outcome = make_rpw_server(default_protocol="proto").run(only_json, check=False)
    assert outcome.status == "FAILED_PRECONDITION"
    assert "set persistentWorkerProtocol=json" in outcome.message
    for default in ("json", "auto"):
        assert make_rpw_server(default_protocol=default).run(only_json).ok


def test_bazel_29267_and_bazel_29276_an_unknown_property_is_accepted(
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
    after = before.with_tool_input("tools/good.py", b"# changed\n" + GOOD)
    one, other = rpw_server.run(before), rpw_server.run(after)

    assert seen(one)["pid"] != seen(other)["pid"]
    rpw_server.assert_worker_restarted(one, other, because="tools/good.py")


def with_plugin(text: str) -> Action:
    """A worker that imports a module which is an ordinary input."""
    main = (
        "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, 'lib')\n"
        "import plugin, rpw_worker\n"
        "sys.exit(rpw_worker.main(lambda request: rpw_worker.WorkResponse(0, plugin.TEXT)))\n"
    )
    tools = {"tools/main.py": main, "tools/rpw_worker.py": SAMPLES / "rpw_worker.py"}
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
    branch = probe_action().with_tool_input("tools/good.py", b"# branch\n" + GOOD)
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
    # An action's folder is removed, by descriptors, when its answer is on the way already; and a
    # thread may be added whenever the next call comes before the last one's has come back.
    until(lambda: held()[0] <= before[0] + 2, "descriptors were left")
    until(lambda: held()[1] <= before[1] + 10, "threads were left")


def test_buildbuddy_9777_and_9474_the_reason_for_a_new_worker_is_recorded(
    rpw_server: Endpoint,
) -> None:
    rpw_server.run(probe_action(environment={"LANG": "C"}))
    rpw_server.run(probe_action(environment={"LANG": "en"}))
    (record,) = rpw_server.events.of(WorkerNotReused)
    assert record.differences == ("environment: LANG 'C' → 'en'",)


def test_buildbuddy_10480_times_of_a_worker_action_are_in_order(rpw_server: Endpoint) -> None:
    times = rpw_server.run(probe_action()).timestamps
    order = ("queued", "worker_start", "input_fetch_start", "execution_start")
    order += ("execution_completed", "output_upload_completed", "worker_completed")
    stamps = [times[name] for name in order]
    assert stamps == sorted(stamps)
    assert stamps[-1] - stamps[0] < 60


@pytest.mark.parametrize("personality", ["reference", "buildbuddy"])
def test_bazel_14293_json_requests_with_and_without_zeros_are_the_same_to_a_worker(
    make_rpw_server: MakeServer, personality: str
) -> None:
    server = make_rpw_server(personality=personality)
    view = seen(server.run(probe_action(protocol="json", worker_key=personality)))
    assert ("requestId" in view["raw"]) == (personality == "buildbuddy")
    assert (view["request_id"], view["verbosity"], view["sandbox_dir"]) == (0, 0, "")


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


def test_buck2_776_787_and_851_an_action_as_buck2_sends_it_is_served_without_any_cloud(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server(tool_inputs=("tools/**",))
    plain = probe_action(tool_inputs={}, inputs=tools_of("probe.py"))
    server.assert_worker_reused(server.run(plain), server.run(plain))


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
