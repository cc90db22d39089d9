"""``--rpw-report``: one page with the runs of all servers of a session, those of xdist's workers too."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.support import output_files

if TYPE_CHECKING:
    from rpw_fixture.testing.endpoint import Endpoint

SECTION: Final = "rpw report"
#: Attribute of a test's last report with its runs as JSON; xdist sends texts to the main process.
RUNS: Final = "rpw_runs"
_OPTION: Final = "--rpw-report"
_DESTINATION: Final = "rpw_report_file"


def add_option(group: pytest.OptionGroup) -> None:
    """Add ``--rpw-report``."""
    group.addoption(
        _OPTION,
        dest=_DESTINATION,
        metavar="FILE",
        help="write a page to FILE (HTML) that shows what the workers of each test did",
    )


def path_of(config: pytest.Config) -> Path | None:
    """Return where the page is written; None if it is not wanted."""
    given = config.getoption(_DESTINATION)
    return Path(config.invocation_params.dir, given) if given else None


def require_room(path: Path) -> None:
    """Refuse before the tests a page that could not be written after them.

    Raises:
        pytest.UsageError: with the reason.
    """
    try:
        output_files.require_room(f"{_OPTION} {path}", path)
    except EnvironmentLacksError as error:
        raise pytest.UsageError(f"rpw_fixture: {error}") from None


def add_run(runs: list[str], server: Endpoint, name: str) -> None:
    """Add what happened on a test's server, as JSON; nothing if it ran no action."""
    from rpw_fixture.report.inputs import row_of  # noqa: PLC0415 - only when a report is wanted

    events = server.events.snapshot()
    if events:
        title = f"{name} (server {len(runs) + 1})" if runs else name
        runs.append(json.dumps(row_of(events, title)))


def link_to(path: Path, name: str) -> str:
    """Return the address of a test's lanes on the page."""
    return f"{path.absolute().as_uri()}#lanes/run/{quote(name, safe='')}"


def add_link(report: pytest.TestReport, path: Path, name: str) -> None:
    """Add a link to the lanes of a test to its report, also to the one of pytest-html."""
    link = link_to(path, name)
    report.sections.append((SECTION, link))
    if importlib.util.find_spec("pytest_html") is not None:
        from pytest_html import extras  # noqa: PLC0415 - only where it is installed

        known: list[Any] = getattr(report, "extras", [])
        report.extras = [*known, extras.url(link, name="rpw lanes")]  # type: ignore[attr-defined]


class SessionReport:
    """A pytest plugin that collects the runs of all tests, and writes the page when the session ends.

    Args:
        path: the page.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._runs: list[tuple[str, dict[str, Any]]] = []
        self._failed: set[str] = set()
        self._error = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the runs that a report brings, and whether the test failed."""
        texts: Sequence[str] = getattr(report, RUNS, ())
        self._runs += [(report.nodeid, json.loads(text)) for text in texts]
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        from rpw_fixture.report import inputs, write  # noqa: PLC0415 - only when a report is wanted

        for name, run in self._runs:
            run["failed"] = name in self._failed
        runs = [run for _, run in self._runs]
        problems = [] if runs else ["no test ran an action on a server that the session started"]
        try:
            write.write(inputs.Inputs(runs=runs, problems=problems), self._path, option=_OPTION)
        except EnvironmentLacksError as error:
            self._error = str(error)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the page is, or why there is none."""
        if self._error:
            terminalreporter.write_line(f"rpw_fixture: {self._error}", red=True)
        else:
            terminalreporter.write_line(f"rpw_fixture: what the workers did: {self._path}")
