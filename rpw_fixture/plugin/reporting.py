"""Additions to pytest's output: sections in reports of failed tests, comparisons, a summary."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rpw_fixture.client.outcome import ActionOutcome, OutputFiles
    from rpw_fixture.plugin.bazel_workspace import BazelWorkspace
    from rpw_fixture.testing.endpoint import Endpoint

TIMELINE = "rpw timeline"
STDERR = "rpw worker stderr"
BAZEL = "rpw bazel"
#: Attribute of a report with the failures of workers; xdist sends it to the main process.
FAILURES = "rpw_worker_failures"
#: Abnormal ends of workers that are not protocol violations.
_BAD_ENDS = {"crash", "start failed", "timeout", "ended between requests"}
_MOST_DIFF_LINES = 20
_MOST_DIFF_BYTES = 64 << 10

Section = tuple[str, str]


def sections_of(servers: Sequence[Endpoint]) -> list[Section]:
    """Return report sections about what happened on a test's servers; empty if nothing did."""
    from rpw_fixture.testing import explain  # noqa: PLC0415 - only failures need it

    sections: list[Section] = []
    for number, server in enumerate(servers, 1):
        suffix = f" (server {number})" if len(servers) > 1 else ""
        texts = (
            (TIMELINE, explain.timeline(server.events.snapshot())),
            (STDERR, explain.stderr_of(server.worker_stderr())),
        )
        sections += [(title + suffix, text) for title, text in texts if text]
    return sections


def bazel_sections(workspace: BazelWorkspace | None) -> list[Section]:
    """Return a section with Bazel's output; after one-shot runs also what workers need."""
    if workspace is None or not workspace.results:
        return []
    texts = [
        f"$ bazel {' '.join(each.command)}\n{each.stderr.rstrip()}\nexit code {each.exit_code}"
        for each in workspace.results
    ]
    if workspace.has_one_shot_runs():
        texts.append(workspace.advice)
    return [(BAZEL, "\n".join(texts))]


def failures_of(servers: Iterable[Endpoint]) -> list[str]:
    """Return how workers failed in a test: protocol violations and abnormal ends, each once."""
    failures: dict[str, None] = {}
    for server in servers:
        for worker in server.workers:
            # Plain texts, not members of an enumeration: xdist can send only these.
            failures.update({str(each.rule): None for each in worker.violations})
            if worker.retired in _BAD_ENDS:
                failures[str(worker.retired)] = None
    return list(failures)


class Summary:
    """A pytest plugin that collects the failures of workers from all reports, also with xdist."""

    def __init__(self) -> None:
        self._tests: dict[str, list[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the failures in a report."""
        for failure in getattr(report, FAILURES, ()):
            tests = self._tests.setdefault(failure, [])
            if report.nodeid not in tests:
                tests.append(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print each failure with its tests, if there was any."""
        if not self._tests:
            return
        terminalreporter.section("rpw_fixture: workers that failed in failed tests")
        for failure, tests in sorted(self._tests.items()):
            terminalreporter.line(f"{failure}:")
            for test in tests:
                terminalreporter.line(f"  {test}")


def compared(operator: str, left: object, right: object) -> list[str] | None:
    """Explain why two outcomes or outputs are not equal; return None for other values."""
    module: Any = sys.modules.get("rpw_fixture.client.outcome")
    if module is None or operator != "==":
        return None  # without the module, no value can be an outcome
    if isinstance(left, module.ActionOutcome) and isinstance(right, module.ActionOutcome):
        return ["outcomes are equal", *_outcome_lines(left, right)]
    if isinstance(left, module.OutputFiles) and isinstance(right, module.OutputFiles | Mapping):
        return ["outputs are equal", *_output_lines(left, right)]
    return None


def _outcome_lines(left: ActionOutcome, right: ActionOutcome) -> Iterator[str]:
    for name in ("status", "exit_code"):
        was, now = getattr(left, name), getattr(right, name)
        if was != now:
            yield f"{name}: {was!r} != {now!r}"
    for outcome in (left, right):
        if outcome.status != "OK":
            yield f"  {outcome.status}: {outcome.message}"
    for name in ("stdout", "stderr"):
        yield from _content_lines(name, getattr(left, name), getattr(right, name))
    yield from _output_lines(left.outputs, right.outputs)


def _output_lines(left: OutputFiles, right: OutputFiles | Mapping[str, bytes]) -> Iterator[str]:
    for path in sorted(left.keys() | right.keys()):
        if path not in left or path not in right:
            yield f"{path}: only {'right' if path in right else 'left'}"
        else:
            yield from _content_lines(path, left[path], right[path])
    for name in ("files", "symlinks", "folders"):
        was, now = getattr(left, name), getattr(right, name, None)
        if now is not None and was != now:
            yield from _detail_lines(name, was, now)


def _detail_lines(name: str, left: Any, right: Any) -> Iterator[str]:
    if name == "folders":
        yield f"folders: {list(left)} != {list(right)}"
        return
    for path in sorted(left.keys() & right.keys()):
        was, now = left[path], right[path]
        if name == "symlinks" and was != now:
            yield f"{path}: link to {was!r} != link to {now!r}"
        elif name == "files" and was.is_executable != now.is_executable:
            yield f"{path}: executable only {'left' if was.is_executable else 'right'}"
    if name == "symlinks":
        for path in sorted(left.keys() ^ right.keys()):
            yield f"{path}: link only {'left' if path in left else 'right'}"


def _content_lines(name: str, left: bytes, right: bytes) -> Iterator[str]:
    if left == right:
        return
    pairs = enumerate(zip(left, right, strict=False))
    offset = next(
        (at for at, (one, other) in pairs if one != other),
        min(len(left), len(right)),
    )
    yield f"{name}: {len(left)} and {len(right)} bytes, first difference at byte {offset}"
    if max(len(left), len(right)) > _MOST_DIFF_BYTES or b"\0" in left + right:
        yield f"  {left[offset : offset + 16]!r} != {right[offset : offset + 16]!r}"
        return
    import difflib  # noqa: PLC0415 - slow to load, and only failures need it

    was, now = (each.decode(errors="backslashreplace").splitlines() for each in (left, right))
    lines = list(difflib.unified_diff(was, now, "left", "right", lineterm="", n=1))
    yield from (f"  {line}" for line in lines[:_MOST_DIFF_LINES])
    if len(lines) > _MOST_DIFF_LINES:
        yield f"  … {len(lines) - _MOST_DIFF_LINES} more lines"
