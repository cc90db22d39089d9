"""``--rpw-report``: one page of all tests, also with xdist, with links from failed ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

TESTS = """
    import pytest
    from rpw_fixture import Action

    def action(text):
        command = ["/bin/sh", "-c", f"echo {text} > out"]
        return Action(arguments=command, outputs=["out"], environment={"PATH": "/bin"})

    def test_passes(rpw_server):
        rpw_server.run(action("one"))

    def test_fails(rpw_server):
        rpw_server.run(action("two"))
        assert False

    def test_with_two_servers(rpw_server, make_rpw_server):
        make_rpw_server().run(action("three"))
        rpw_server.run(action("four"))

    def test_without_server():
        pass
"""


def runs_in(page: Path) -> list[dict[str, Any]]:
    text = page.read_text()
    found = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    runs: list[dict[str, Any]] = json.loads(found[1])["runs"]
    return runs


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_the_page_has_the_runs_of_all_tests(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("--rpw-report", "report.html", *options)
    assert result.ret == 1
    runs = {
        each["name"].partition("::")[2]: each for each in runs_in(pytester.path / "report.html")
    }
    assert set(runs) == {
        "test_passes",
        "test_fails",
        "test_with_two_servers",
        "test_with_two_servers (server 2)",
    }
    assert [name for name, each in runs.items() if each["failed"]] == ["test_fails"]
    assert all(each["summary"]["actions"] == 1 for each in runs.values())
    link = "report.html#lanes/run/test_the_page_has_the_runs_of_all_tests.py%3A%3Atest_fails"
    assert link in result.stdout.str()
    assert "what the workers did: " in result.stdout.str()


def test_without_the_option_nothing_is_written(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-k", "passes")
    assert "rpw report" not in result.stdout.str()
    assert not list(pytester.path.glob("*.html"))


def test_a_page_that_can_no_longer_be_written_is_reported(pytester: pytest.Pytester) -> None:
    pytester.mkdir("folder")
    pytester.makepyfile("def test_it(): __import__('os').rmdir('folder')")
    result = pytester.runpytest_subprocess("--rpw-report", "folder/report.html")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*--rpw-report*No such file*"])


def test_a_session_without_servers_writes_a_page_that_says_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    pytester.runpytest_subprocess("-k", "test_without_server", "--rpw-report", "report.html")
    assert "no test ran an action" in (pytester.path / "report.html").read_text()


def test_the_report_of_pytest_html_has_the_link(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_html", reason="pytest-html is not installed")
    pytester.makepyfile(TESTS)
    pytester.runpytest_subprocess(
        "-k", "fails", "--rpw-report", "report.html", "--html", "other.html"
    )
    assert "rpw lanes" in (pytester.path / "other.html").read_text()
