"""The page: what was found, and what reading the worker said of it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rpw_fixture._version import __version__
from tests.real_workers.checking import Report
from tests.real_workers.published import PublishedWorker, Reading

_HEAD = """\
# Published workers under `check`

What `check` says of workers that others published and use. `python -m tests.real_workers --page
docs/real-workers.md` gets them from npm, PyPI and Debian, checks them, and writes this page; `--only
NAME` takes one. Each finding was judged by reading the worker. The script looks for the line that shows
it: a finding that nobody has read, or a line that is not there, makes the script fail.

The findings are about versions, not about the quality of a project: these workers do what their authors
use them for, with the clients that they know. Bazel writes a short request at once and finds the end of
JSON by its braces. Some of these bugs show only with large requests, on a loaded machine, or with another
server.
"""


_MACHINE = f"""\
Made with rpw_fixture {__version__} and Python {platform.python_version()}, on {os.cpu_count()} processors
with a load of {os.getloadavg()[0]:.0f}. The seconds depend on that; the processor seconds, of `check` and
the workers together, hardly do.
"""

_WITHOUT = """\
## Packages without a worker

They were looked through for `--persistent_worker` and for calls of `@bazel/worker`.

"""


def render(
    reports: Mapping[str, Report | str],
    workers: Sequence[PublishedWorker],
    versions: Mapping[str, str],
    without: Mapping[str, str],
) -> str:
    """Return the page.

    Args:
        reports: by the worker's name: what `check` said, or why it could not be asked.
        workers: in the order of the page.
        versions: packages and versions, by the worker's name.
        without: of packages that were looked through for a worker, what was found.
    """
    parts = [_HEAD, _overview(reports, workers), _MACHINE]
    parts += [_section(worker, reports[worker.name], versions[worker.name]) for worker in workers]
    if without:
        rows = [f"| `{name}` | {text} |" for name, text in without.items()]
        parts.append(_WITHOUT + "\n".join(["| package | |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def unconfirmed(worker: PublishedWorker, report: Report) -> list[str]:
    """Return what is wrong with the readings of a worker: findings without one, lines not found."""
    known = {each.code for each in worker.readings}
    wrong = [
        f"{worker.name}: {code} was not judged" for code in report.findings if code not in known
    ]
    wrong += [
        f"{worker.name}: {each.code}: no line of {each.file} has {each.text!r}"
        for each in worker.readings
        if each.file and line_number(each, report.packages) is None
    ]
    return wrong


def line_number(reading: Reading, packages: Path) -> int | None:
    """Return the line that a reading is about, None if it is not there."""
    path = packages / reading.file
    if not path.exists():
        return None
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        if reading.text in line:
            return number
    return None


def _overview(reports: Mapping[str, Report | str], workers: Sequence[PublishedWorker]) -> str:
    lines = [
        "| worker | errors | warnings | passed | starts | requests | seconds | processor seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for worker in workers:
        report = reports[worker.name]
        if isinstance(report, str):
            lines.append(f"| {worker.title} | not checked: {report} | | | | | | |")
            continue
        codes = _severities(report)
        counts = [_codes(codes, "error"), _codes(codes, "warning"), str(report.count("passed"))]
        figures = [report.result["worker_starts"], report.result["requests"]]
        seconds = [f"{report.seconds:.0f}", f"{report.processor_seconds:.0f}"]
        lines.append(f"| {' | '.join([worker.title, *counts, *map(str, figures), *seconds])} |")
    return "\n".join(lines) + "\n"


def _severities(report: Report) -> dict[str, str]:
    """Return the most severe finding of each code."""
    order = ("error", "warning", "info")
    return {
        code: min((each["severity"] for each in found), key=order.index)
        for code, found in report.findings.items()
    }


def _codes(severities: Mapping[str, str], severity: str) -> str:
    return ", ".join(code for code, each in severities.items() if each == severity) or "none"


def _section(worker: PublishedWorker, report: Report | str, versions: str) -> str:
    lines = [f"## {worker.title}", "", worker.description, "", f"Version: {versions}.", ""]
    if isinstance(report, str):
        return "\n".join([*lines, f"Not checked: {report}.", ""])
    if not report.findings:
        lines += [f"No findings; {report.count('passed')} checks passed.", ""]
    else:
        lines += ["| code | found | true? | what the worker does |", "|---|---|---|---|"]
        lines += [_row(worker, report, code, found) for code, found in report.findings.items()]
        lines.append("")
    absent = [each for each in worker.readings if each.code not in report.findings]
    if absent:
        lines += ["Other runs also found:", ""]
        lines += [f"- {each.code}: {_told(each, report.packages)}" for each in absent]
        lines.append("")
    return "\n".join(lines)


def _row(
    worker: PublishedWorker, report: Report, code: str, found: Sequence[Mapping[str, Any]]
) -> str:
    summary = str(found[0]["summary"])
    if len(found) > 1:
        summary += f" (and {len(found) - 1} more)"
    link = f"[{code}](checks/{code}.md)"
    readings = [each for each in worker.readings if each.code == code]
    verdict = ", ".join(dict.fromkeys(each.verdict for each in readings)) or "not judged"
    told = " ".join(_told(each, report.packages) for each in readings)
    return f"| {link} {found[0]['severity']} | {_cell(summary)} | {verdict} | {_cell(told)} |"


def _told(reading: Reading, packages: Path) -> str:
    if not reading.file:
        return reading.because
    number = line_number(reading, packages)
    place = reading.file.removeprefix("node_modules/").removeprefix("python/")
    place = place.rpartition("/lib/")[2] if place.startswith("bazel/") else place
    return f"{reading.because} (`{place}:{number or '?'}`)"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
