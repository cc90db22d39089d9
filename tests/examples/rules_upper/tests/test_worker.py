"""The worker without Bazel: its results, how it is reused, and what restarts it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from rpw_fixture import Action, Server

TEXTS = ["", "a", "two words\n", "ümläut\n", "ALREADY", "1\n2\n3\n", "tab\there", "ß", "x" * 10_000]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_text_comes_out_in_capitals(rpw_server: Server, action: Action, text: str) -> None:
    outcome = rpw_server.run(action.with_input("example/hello.in", text))
    assert outcome.outputs == {"out/hello.txt": text.upper().encode()}


@pytest.mark.parametrize("text", TEXTS[:5], ids=range(5))
def test_worker_and_one_shot_run_agree(rpw_server: Server, action: Action, text: str) -> None:
    action = action.with_input("example/hello.in", text)
    warm = rpw_server.run(action)
    cold = rpw_server.run(action.with_worker_key(None))
    rpw_server.assert_one_shot(cold, because="persistentWorkerKey")
    assert warm == cold


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_one_worker_serves_all(rpw_server: Server, action: Action, count: int) -> None:
    for number in range(count):
        rpw_server.run(action.with_input("example/hello.in", f"text {number}"))
    rpw_server.assert_worker_reused(rpw_server.actions.with_mnemonic("Upper"))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_many_inputs_are_joined_in_order(rpw_server: Server, action: Action, count: int) -> None:
    paths = [f"in/{number}" for number in range(count)]
    for path in paths:
        action = action.with_input(path, path)
    outcome = rpw_server.run(action.with_flagfile("--out", "out/hello.txt", *paths))
    assert outcome.outputs["out/hello.txt"] == "".join(paths).upper().encode()


def test_an_edited_worker_is_restarted(rpw_server: Server, action: Action) -> None:
    before = rpw_server.run(action)
    source = action.tool_inputs["upper/worker.py"]
    after = rpw_server.run(action.with_tool_input("upper/worker.py", source.content + b"\n"))
    rpw_server.assert_worker_restarted(before, after, because="upper/worker.py")
    assert before == after


def test_another_environment_restarts_it_too(rpw_server: Server, action: Action) -> None:
    before, after = rpw_server.run(action), rpw_server.run(action.with_environment(LANG="C"))
    rpw_server.assert_worker_restarted(before, after, because="environment: LANG")


def test_an_edited_source_does_not_restart_it(rpw_server: Server, action: Action) -> None:
    before = rpw_server.run(action)
    after = rpw_server.run(action.with_input("example/hello.in", "edited"))
    rpw_server.assert_worker_reused(before, after)
    assert after.outputs["out/hello.txt"] == b"EDITED"


def test_the_worker_itself_is_the_only_tool_input(rpw_server: Server, action: Action) -> None:
    rpw_server.run(action)
    rpw_server.assert_tool_inputs(action, ["upper/worker.py"])


def test_without_a_flagfile_it_runs_one_shot(rpw_server: Server, action: Action) -> None:
    arguments = [*action.arguments, "--out", "out/hello.txt", "example/hello.in"]
    outcome = rpw_server.run(action.replace(flagfile=None, arguments=arguments))
    rpw_server.assert_one_shot(outcome, because="flagfile")
    assert outcome.outputs == {"out/hello.txt": b"HELLO\n"}


def test_a_missing_input_is_the_users_error(rpw_server: Server, action: Action) -> None:
    outcome = rpw_server.run(action.without_input("example/hello.in"))
    assert outcome.exit_code == 1
    assert b"upper: [Errno 2]" in outcome.stderr


def test_an_error_does_not_cost_the_worker(rpw_server: Server, action: Action) -> None:
    bad = rpw_server.run(action.with_input("example/hello.in", b"\xff"))
    good = rpw_server.run(action)
    assert (bad.exit_code, good.exit_code) == (1, 0)
    rpw_server.assert_worker_reused(bad, good)


def test_actions_that_come_at_once_are_all_answered(rpw_server: Server, action: Action) -> None:
    actions = [action.with_input("example/hello.in", f"text {number}") for number in range(8)]
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(rpw_server.run, actions))
    assert [each.outputs["out/hello.txt"] for each in outcomes] == [
        f"TEXT {number}".encode() for number in range(8)
    ]


def test_a_result_is_found_again(rpw_server: Server, action: Action) -> None:
    first, second = rpw_server.run(action), rpw_server.run(action)
    assert (first.cached, second.cached) == (False, True)
    assert first == second
