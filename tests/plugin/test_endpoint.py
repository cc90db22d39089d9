"""The same tests against a server that was there before: what can be judged is, the rest is skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.server_process import ServerProcess

Suite = Callable[[str], None]


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A server in another process."""
    with ServerProcess() as server:
        yield server.endpoint
        assert server.stop() == 0


def test_what_results_show_is_judged_and_the_rest_is_skipped(
    suite: Suite, pytester: pytest.Pytester, endpoint: str
) -> None:
    suite("""
def test_reuse(rpw_server):
    first, second = rpw_server.run(COMPILE), rpw_server.run(OTHER)
    rpw_server.assert_worker_reused(first, second)
    rpw_server.assert_worker_reused(COMPILE, OTHER)

def test_no_reuse(rpw_server):
    rpw_server.run(COMPILE), rpw_server.run(EDITED)
    with pytest.raises(AssertionError, match="Expected one worker for 2 actions"):
        rpw_server.assert_worker_reused(COMPILE, EDITED)

def test_restart(rpw_server):
    before, after = rpw_server.run(COMPILE), rpw_server.run(EDITED)
    rpw_server.assert_worker_restarted(before, after)

def test_one_shot(rpw_server):
    rpw_server.run(ECHO)
    rpw_server.assert_one_shot(ECHO)
    with pytest.raises(AssertionError, match="Expected a worker to serve action"):
        rpw_server.assert_worker_reused(ECHO)

def test_skips_reason_of_restart(rpw_server):
    before, after = rpw_server.run(COMPILE), rpw_server.run(EDITED)
    rpw_server.assert_worker_restarted(before, after, because="rpw_worker.py")

def test_skips_reason_of_one_shot(rpw_server):
    rpw_server.run(ECHO)
    rpw_server.assert_one_shot(ECHO, because="persistentWorkerKey")

def test_skips_reuse_from_before(rpw_server):
    rpw_server.assert_worker_reused(rpw_server.run(COMPILE))

def test_skips_tool_inputs(rpw_server):
    rpw_server.run(COMPILE)
    rpw_server.assert_tool_inputs(COMPILE, ["tools/*"])

@pytest.mark.rpw(max_workers=1)
def test_skips_settings(rpw_server):
    pass

def test_skips_settings_of_made(make_rpw_server):
    make_rpw_server(max_workers=1)

@pytest.mark.parametrize("round", range(2))
def test_clean_state(make_rpw_server, rpw_server, round):
    assert not make_rpw_server().run(ECHO).cached
""")
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-rs", "--rpw-endpoint", endpoint)
    result.assert_outcomes(passed=6, skipped=6)
    result.stdout.fnmatch_lines([f"rpw-fixture *: endpoint={endpoint}"])
    output = result.stdout.str()
    for reason in (
        "not embedded in the test; its result does not show why worker",
        "does not show why it ran one-shot",
        "had served before",
        "does not show what its tool inputs were",
        "needs a server with max_workers, but --rpw-endpoint has other settings",
    ):
        assert reason in output


def test_the_endpoint_can_come_from_the_environment_or_the_ini_file(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite("def test_it(rpw_server): assert rpw_server.endpoint == 'grpc://other:1'")
    pytester.makeini("[pytest]\nrpw_endpoint = grpc://other:1\n")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)
    pytester.makeini("[pytest]\nrpw_endpoint = grpc://ini:1\n")
    monkeypatch.setenv("RPW_FIXTURE_ENDPOINT", "grpc://other:1")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_an_assertion_takes_in_no_action_of_an_earlier_test(
    suite: Suite, pytester: pytest.Pytester, endpoint: str
) -> None:
    suite("""
from rpw_fixture import ConfigError

def test_noisy(rpw_server):
    rpw_server.run(COMPILE)
    rpw_server.run(OTHER)

def test_nothing_ran(rpw_server):
    with pytest.raises(ConfigError, match="no action to check"):
        rpw_server.assert_hermetic(select="RPW101")

def test_another_server_of_the_test_is_another(rpw_server, make_rpw_server):
    rpw_server.run(COMPILE)
    other = make_rpw_server()
    assert not other.actions
    with pytest.raises(ConfigError, match="no action to check"):
        other.assert_hermetic(select="RPW101")
    other.run(OTHER)
    assert [each.mnemonic for each in rpw_server.actions] == ["Compile"]
    rpw_server.assert_hermetic(select="RPW101")
""")
    result = pytester.runpytest_inprocess("-p", "no:randomly", "--rpw-endpoint", endpoint)
    result.assert_outcomes(passed=3)


def test_a_strict_cluster_gets_no_property_of_ours(suite: Suite, pytester: pytest.Pytester) -> None:
    suite("""
def test_reuse(rpw_server):
    rpw_server.assert_worker_reused(rpw_server.run(COMPILE), rpw_server.run(OTHER))
    rpw_server.assert_hermetic(select="RPW101")

def test_a_property_too_many(rpw_server):
    outcome = rpw_server.run(COMPILE.replace(protocol="proto"), check=False)
    assert outcome.status == "FAILED_PRECONDITION"
    assert "unregistered platform property 'persistentWorkerProtocol'" in outcome.message
""")
    with ServerProcess("--known-property", "persistentWorkerKey") as server:
        result = pytester.runpytest_inprocess("--rpw-endpoint", server.endpoint)
    result.assert_outcomes(passed=2)


def test_headers_and_names_reach_the_server(
    suite: Suite, pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from rpw_fixture import Server

    suite("def test_it(rpw_server): assert rpw_server.run(ECHO).ok")
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text("secret")
    with Server(auth_token_file=str(token)) as server:
        options = ("--rpw-endpoint", server.endpoint, "--rpw-endpoint-instance=some/name")
        header = "--rpw-endpoint-header=Authorization=Bearer secret"
        pytester.runpytest_inprocess(*options, header).assert_outcomes(passed=1)
        without = pytester.runpytest_inprocess(*options)
    without.assert_outcomes(failed=1)
    without.stdout.fnmatch_lines(["*UNAUTHENTICATED*"])


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("secret", "*rpw_fixture: --rpw-endpoint-header: write NAME=VALUE*"),
        ("bad name=secret", "*--rpw-endpoint-header bad name=…: no name of a text header*"),
    ],
)
def test_a_header_that_can_not_be_sent_is_refused(
    suite: Suite, pytester: pytest.Pytester, header: str, problem: str
) -> None:
    suite("def test_it(rpw_server): pass")
    option = f"--rpw-endpoint-header={header}"
    result = pytester.runpytest_inprocess("--rpw-endpoint=grpc://x:1", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([problem])
    result.stderr.no_fnmatch_line("*secret*")


def test_an_endpoint_without_a_server_fails_with_that_reason(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite("def test_it(rpw_server): rpw_server.run(ECHO)")
    from rpw_fixture import Server

    with Server() as server:
        gone = server.endpoint
    result = pytester.runpytest_inprocess("--rpw-endpoint", gone)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*EnvironmentLacksError: no REAPI server answers*"])
