"""Where settings come from, which source wins, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[[str], None]

SHOW = """
def test_it(rpw_server):
    print("workers", rpw_server.config.max_workers, "globs", rpw_server.config.tool_inputs,
          "strict", rpw_server.config.strict)
    assert False
"""


def settings_line(pytester: pytest.Pytester, *arguments: str) -> str:
    result = pytester.runpytest_inprocess(*arguments)
    result.assert_outcomes(failed=1)
    (line,) = [line for line in result.outlines if line.startswith("workers ")]
    return line


def test_defaults_hold_when_nothing_is_said(suite: Suite, pytester: pytest.Pytester) -> None:
    suite(SHOW)
    assert settings_line(pytester) == "workers 32 globs () strict False"


def test_call_beats_marker_beats_option_beats_environment_beats_ini(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite(SHOW)
    pytester.makeini("[pytest]\nrpw_max_workers = 2\nrpw_tool_input = a/** b/*\nrpw_strict = 1\n")
    assert settings_line(pytester) == "workers 2 globs ('a/**', 'b/*') strict True"
    monkeypatch.setenv("RPW_FIXTURE_MAX_WORKERS", "3")
    assert settings_line(pytester).startswith("workers 3 ")
    options = ("--rpw-max-workers=4", "--rpw-tool-input=c", "--rpw-tool-input=d", "--no-rpw-strict")
    assert settings_line(pytester, *options) == "workers 4 globs ('c', 'd') strict False"
    suite("@pytest.mark.rpw(max_workers=5)" + SHOW)
    assert settings_line(pytester, *options).startswith("workers 5 globs ('c', 'd')")


def test_the_closest_marker_wins(suite: Suite, pytester: pytest.Pytester) -> None:
    suite("""
pytestmark = pytest.mark.rpw(max_workers=5, jobs=1)

@pytest.mark.rpw(max_workers=6)
def test_it(rpw_server):
    assert (rpw_server.config.max_workers, rpw_server.config.jobs) == (6, 1)
""")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "problem"),
    [
        (
            "max_wokers=1",
            "*test_it: marker rpw: unknown setting 'max_wokers'; did you mean 'max_workers'?",
        ),
        ("committed_size='wrie'", "*marker rpw: committed_size is 'wrie', not one of *'wire'*"),
        ("cancel_grace=float('nan')", "*marker rpw: cancel_grace must be at least 0, not nan"),
        ("max_workers=0", "*test_it: marker rpw: --max-workers must be at least 1*"),
        ("1", "*test_it: rpw takes keyword arguments only*"),
    ],
)
def test_a_marker_that_can_not_be_used_stops_the_session(
    suite: Suite, pytester: pytest.Pytester, marker: str, problem: str
) -> None:
    suite(f"""
@pytest.mark.rpw({marker})
def test_it(rpw_server):
    pass
""")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([problem])


def test_an_override_of_the_fixture_that_returns_no_config_says_what_to_return(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite(
        """
@pytest.fixture
def rpw_config():
    return {"strict": True}
"""
        + SHOW
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*rpw_config returned a dict, not a Config. Fix: *"])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--rpw-endpoint", "localhost"], "*endpoint 'localhost' is neither grpc://HOST:PORT*"),
        (["--rpw-endpoint-header", "a=b"], "*-endpoint-header is of no use without --rpw-endpoint"),
        (["--rpw-report", "absent/a"], "*--rpw-report */absent/a: No such file or directory"),
    ],
)
def test_an_option_that_can_not_be_used_stops_the_session(
    suite: Suite, pytester: pytest.Pytester, arguments: list[str], problem: str
) -> None:
    suite("def test_it(): pass")
    result = pytester.runpytest_inprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([problem])


@pytest.mark.parametrize(
    ("ini", "problem"),
    [
        ("rpw_max_workers = many", "*rpw_fixture: rpw_max_workers='many' is not a whole number*"),
        ("rpw_max_workers = 0", "*rpw_fixture: rpw_max_workers must be at least 1*"),
        (
            "rpw_max_wokers = 1",
            "*unknown ini option 'rpw_max_wokers'; did you mean 'rpw_max_workers'*",
        ),
        ("rpw_isolation = landlok", "*rpw_isolation is 'landlok', *; did you mean 'landlock'*"),
        ("rpw_strict = perhaps", "*rpw_fixture: rpw_strict='perhaps': write 1 or 0*"),
    ],
)
def test_an_ini_value_that_can_not_be_used_stops_the_session(
    suite: Suite, pytester: pytest.Pytester, ini: str, problem: str
) -> None:
    suite(SHOW)
    pytester.makeini(f"[pytest]\n{ini}\n")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([problem])


def test_help_lists_options_with_their_environment_variables(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite(SHOW)
    result = pytester.runpytest_inprocess("--help")
    result.stdout.fnmatch_lines(
        [
            "server with persistent workers (rpw_fixture):",
            "*--rpw-endpoint=ENDPOINT*",
            "*--rpw-max-workers-per-key=N",
            "*RPW_FIXTURE_MAX_WORKERS_PER_KEY*",
        ]
    )
    assert "--rpw-listen" not in result.stdout.str()


def test_pytest_lists_the_marker(suite: Suite, pytester: pytest.Pytester) -> None:
    suite(SHOW)
    result = pytester.runpytest_inprocess("--markers", "--strict-markers")
    result.stdout.fnmatch_lines(["@pytest.mark.rpw([*][*]settings): settings of the server*"])


def test_the_header_shows_what_was_set(suite: Suite, pytester: pytest.Pytester) -> None:
    suite("def test_it(): pass")
    silent = pytester.runpytest_inprocess()
    silent.stdout.no_fnmatch_line("rpw-fixture*")
    verbose = pytester.runpytest_inprocess("-v")
    verbose.stdout.fnmatch_lines(["rpw-fixture *: default settings"])
    changed = pytester.runpytest_inprocess("--rpw-max-workers=4", "--rpw-strict")
    changed.stdout.fnmatch_lines(["rpw-fixture *: max_workers=4, strict=True"])
