"""The marker ``rpw_check``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[[str], None]

LEAKY = """
LEAKY = COMPILE.replace(
    arguments=[sys.executable, "tools/leaky.py"],
    tool_inputs={f"tools/{name}": WORKERS / name for name in ("leaky.py", "good.py", "rpw_worker.py")},
)
POLLUTER = LEAKY.with_flagfile("--in", "src/a", "--out", "out/a", "--header", "SECRET").replace(
    target="//pkg:polluter"
)
"""


def test_it_checks_what_a_passing_test_ran(suite: Suite, pytester: pytest.Pytester) -> None:
    suite(
        LEAKY
        + """
@pytest.mark.rpw_check(select="RPW202")
def test_leaky(rpw_server):
    rpw_server.run(POLLUTER)
    rpw_server.run(LEAKY)

@pytest.mark.rpw_check(select="RPW202")
def test_good(rpw_server):
    rpw_server.run(COMPILE)
    rpw_server.run(OTHER)

@pytest.mark.rpw_check(select="RPW202")
def test_that_fails_by_itself(rpw_server):
    rpw_server.run(POLLUTER)
    rpw_server.run(LEAKY)
    assert False, "its own failure"

@pytest.mark.rpw_check
def test_without_a_server():
    pass
"""
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            "*RPW202 state-leak*",
            "*its own failure*",
            "*the marker rpw_check needs the fixture rpw_server*",
        ]
    )
