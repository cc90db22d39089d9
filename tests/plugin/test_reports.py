"""What is printed: nothing for tests that pass, everything that happened for those that fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[[str], None]


def test_a_test_that_passes_prints_nothing(suite: Suite, pytester: pytest.Pytester) -> None:
    suite("""
def test_it(rpw_server):
    rpw_server.run(NOISY, check=False)
""")
    result = pytester.runpytest_inprocess("-rA")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*rpw*timeline*")
    result.stdout.no_fnmatch_line("*workers that failed*")


def test_a_test_that_fails_shows_the_timeline_of_its_actions_and_workers(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
def test_it(rpw_server):
    rpw_server.run(COMPILE)
    rpw_server.run(ECHO)
    assert False
""")
    pytester.runpytest_inprocess().stdout.re_match_lines(
        [
            r"-+ rpw timeline -+",
            r"    0.000 s  Compile //pkg:a \(\w{8}…\): worker, persistentWorkerKey, 2 tool input.*",
            r" +\d+\.\d{3} s  worker 1 started, process \d+",
            r" +\d+\.\d{3} s  worker 1 gets request \d+: Compile //pkg:a \(\w{8}…\)",
            r" +\d+\.\d{3} s  worker 1 answers: exit code 0 after \d+\.\d{3} s",
            r" +\d+\.\d{3} s  Compile //pkg:a \(\w{8}…\): OK, exit code 0, 1 output, \d+\.\d{3} s",
            r" +\d+\.\d{3} s  action \(\w{8}…\): one-shot, persistentWorkerKey is not set",
            r" +\d+\.\d{3} s  action \(\w{8}…\): OK, exit code 0, 0 outputs, \d+\.\d{3} s",
        ]
    )


def test_a_test_that_fails_shows_what_its_workers_wrote_to_stderr(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
CHATTY = COMPILE.with_tool_input(
    "tools/good.py", b"import sys; print('a word', file=sys.stderr, flush=True)\\n"
    + (WORKERS / "good.py").read_bytes().replace(b"from __future__ import annotations", b"")
)

def test_alive(rpw_server):
    rpw_server.run(CHATTY)
    assert False

def test_two_servers(make_rpw_server):
    for server in (make_rpw_server(), make_rpw_server()):
        server.run(CHATTY)
    assert False
""")
    pytester.runpytest_inprocess("-p", "no:randomly").stdout.re_match_lines(
        [
            r"-+ rpw worker stderr -+",
            "worker 1:",
            "a word",
            r"-+ rpw timeline \(server 1\) -+",
            r"-+ rpw worker stderr \(server 1\) -+",
            r"-+ rpw timeline \(server 2\) -+",
            r"-+ rpw worker stderr \(server 2\) -+",
        ]
    )


def test_a_long_timeline_is_cut_in_the_middle(suite: Suite, pytester: pytest.Pytester) -> None:
    suite("""
from rpw_fixture.events.kinds import InternalError

def test_it(rpw_server):
    for number in range(200):
        rpw_server.events.append(InternalError(where=f"place{number}", detail="x"))
    assert False
""")
    result = pytester.runpytest_inprocess()
    result.stdout.fnmatch_lines(
        ["*INTERNAL ERROR in place19: x", "… 120 more …", "*INTERNAL ERROR in place140: x"]
    )


def test_the_traceback_ends_in_the_test(suite: Suite, pytester: pytest.Pytester) -> None:
    suite("""
def test_it(rpw_server):
    first, second = rpw_server.run(COMPILE), rpw_server.run(EDITED)
    rpw_server.assert_worker_reused(first, second)
""")
    result = pytester.runpytest_inprocess()
    result.stdout.fnmatch_lines(
        [
            ">*rpw_server.assert_worker_reused(first, second)",
            "E*AssertionError: Expected one worker for 2 actions, but workers 1 and 2 served them.",
            "E*Cause: the worker keys differ:",
            "E*  tool input tools/rpw_worker.py: ????????… → ????????…",
            "E*Fix: files that differ between actions must not be tool inputs*",
            "E*Worker keys (! marks a difference):",
            "test_suite.py:*: AssertionError",
        ]
    )
    result.stdout.no_fnmatch_line("*assertions.py*")


def test_errors_have_their_public_names(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # or pytest shortens its summary
    suite("""
import pickle
from rpw_fixture import BazelFailedError, ConfigError, EnvironmentLacksError, RequestError, RpwError

def test_failed_action(rpw_server):
    rpw_server.run(NOISY)

def test_config(rpw_server):
    rpw_server.config.replace(jobs=-1)

def test_no_server_listens(make_rpw_server):
    server = make_rpw_server()
    client = server.connect()
    server.stop()
    client.run(ECHO)

@pytest.mark.parametrize("error", [BazelFailedError, ConfigError, RequestError, RpwError])
def test_names(error):
    assert pickle.loads(pickle.dumps(error)) is error
    assert f"{error.__module__}.{error.__name__}" == f"rpw_fixture.{error.__name__}"
""")
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-rf")
    result.assert_outcomes(failed=3, passed=4)
    result.stdout.fnmatch_lines(
        [
            "E*rpw_fixture.ActionFailedError: Compile //pkg:a (????????????…): FAILED_PRECONDITION: *",
            "FAILED *test_failed_action - rpw_fixture.ActionFailedError: Compile //pkg:a (*",
            "FAILED *test_config - rpw_fixture.ConfigError: --jobs must be*",
            "FAILED *test_no_server_listens - rpw_fixture.EnvironmentLacksError: no REAPI server*",
        ]
    )


def test_outcomes_that_differ_are_compared_where_they_differ(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
def test_it(rpw_server):
    script = "echo {0}; mkdir d; echo {0} >d/a; >b; chmod +x b; ln -s {0} l; [ {0} = 1 ] || chmod -x b"
    one, two = (
        Action(arguments=["/bin/sh", "-c", script.format(n)], outputs=["d", "b", "l"],
               environment={"PATH": "/bin:/usr/bin"})
        for n in (1, 2)
    )
    assert rpw_server.run(one) == rpw_server.run(two)
""")
    result = pytester.runpytest_inprocess("-vv")
    lines = [line[1:].strip() for line in result.outlines if line.startswith("E ")]
    assert lines == [
        "AssertionError: assert outcomes are equal",
        "stdout: 2 and 2 bytes, first difference at byte 0",
        "--- left",
        "+++ right",
        "@@ -1 +1 @@",
        "-1",
        "+2",
        "d/a: 2 and 2 bytes, first difference at byte 0",
        "--- left",
        "+++ right",
        "@@ -1 +1 @@",
        "-1",
        "+2",
        "b: executable only left",
        "l: link to '1' != link to '2'",
    ]


def test_outputs_are_compared_with_plain_mappings_too(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
def test_it(rpw_server):
    assert rpw_server.run(COMPILE).outputs == {"out/a": b"HELLO\\0", "out/b": b""}
""")
    result = pytester.runpytest_inprocess()
    result.stdout.fnmatch_lines(
        [
            "E*assert outputs are equal",
            "E*out/a: 78 and 6 bytes, first difference at byte 5",
            "E*out/b: only right",
        ]
    )


def test_workers_that_failed_in_failed_tests_are_summed_up(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("""
@pytest.mark.parametrize("round", range(2))
def test_noisy(rpw_server, round):
    rpw_server.run(NOISY)

def test_crash(rpw_server):
    code = "import sys; sys.stdin.buffer.read(1); sys.exit(3)"
    rpw_server.run(COMPILE.with_tool_input("tools/good.py", code))

def test_other():
    assert False
""")
    for distribution in ([], ["-n", "2"]):
        result = pytester.runpytest_subprocess("-p", "no:randomly", *distribution)
        result.assert_outcomes(failed=4)
        result.stdout.fnmatch_lines(
            [
                "*= rpw_fixture: workers that failed in failed tests =*",
                "crash:",
                "  test_suite.py::test_crash",
                "text on stdout:",
                "  test_suite.py::test_noisy[[]0[]]",
                "  test_suite.py::test_noisy[[]1[]]",
            ]
        )
