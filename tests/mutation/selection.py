"""Which tests may notice a change of a module, those that concern it first."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from tests.mutation.baseline import Baseline, Measured
from tests.mutation.changes import Change, Kind

#: By the beginning of a module's path, the longest that fits: files and folders of tests, and patterns.
FIRST: Mapping[str, str] = {
    "rpw_fixture/cli/": "cli config plugin",
    "rpw_fixture/client/": "client plugin testing conformance",
    "rpw_fixture/config/": "config cli plugin",
    "rpw_fixture/errors.py": "services wire conformance",
    "rpw_fixture/events/": "test_locks.py events testing",
    "rpw_fixture/execution/": "test_locks.py execution conformance workers",
    "rpw_fixture/execution/recorder.py": "hermeticity/suites/test_recording.py execution",
    "rpw_fixture/execution/staging/": (
        "test_locks.py execution/staging execution workers/test_scenarios_*.py"
    ),
    "rpw_fixture/faults/": "faults services",
    "rpw_fixture/hermeticity/": "hermeticity",
    "rpw_fixture/launching/": "launching isolation",
    "rpw_fixture/plugin/": "plugin",
    "rpw_fixture/processes/": (
        "processes security/test_stopped_spawner.py security/test_process_limit.py cli/test_signals.py"
    ),
    "rpw_fixture/pytest_plugin.py": "plugin",
    "rpw_fixture/report/": "report",
    "rpw_fixture/server/": "test_server.py cli services security workers",
    "rpw_fixture/services/": "services test_locks.py conformance faults security",
    "rpw_fixture/storage/": (
        "storage test_locks.py conformance/test_cas.py conformance/test_action_cache.py "
        "conformance/test_bytestream*.py"
    ),
    "rpw_fixture/summary/": "summary report cli/test_explain.py",
    "rpw_fixture/support/": "support test_locks.py execution/staging security/test_tls.py",
    "rpw_fixture/testing/": "testing plugin client",
    "rpw_fixture/wire/": "wire conformance",
    "rpw_fixture/wire/worker/": "wire/worker workers",
    "rpw_fixture/workers/": "test_locks.py workers",
}
#: Tests that read the code instead of running it, so that no line shows whether they may notice a change.
_READING = ("tests/test_structure.py",)
#: Tests that notice a dropped lock without a race, wherever it is.
GUARDING = ("tests/test_locks.py", "tests/test_locks_of_parts.py")
_Part: TypeAlias = ast.stmt | ast.ExceptHandler | ast.match_case
#: What stands for modules that no entry fits.
_OTHERS = "rpw_fixture/server/"
#: Folders that take minutes, or programs that are not everywhere: only for modules that name them.
_SLOW = frozenset(
    {"benchmarks", "containers", "docs", "hermeticity", "interop", "isolation", "mutation"}
    | {"sample_workers", "soak", "typing"}
)


class Selection:
    """Chooses tests for changes.

    Args:
        root: the checkout.
        baseline: what the tests run and how long they take.
        longest: how long the tests of one change may take in all, seconds.
    """

    def __init__(self, root: Path, baseline: Baseline, longest: float) -> None:
        self._root = root
        self._baseline = baseline
        self._longest = longest

    def tests(self, change: Change) -> list[Measured]:
        """Return the tests that may notice ``change``, those that concern its module first.

        Those are the tests that run the changed line and, of those that concern the module, also the
        tests that run it in a process in which no lines are seen. What is changed outside of functions
        may be noticed by every test.
        """
        concerned = set(self._files(change))
        lines = changed_lines((self._root / change.module).read_bytes(), change)
        if lines is None:
            chosen = self._baseline.tests
        else:
            chosen = self._baseline.running(change.module, lines)
            is_seen = bool(chosen)
            known = {each.id for each in chosen}
            chosen += [
                each
                for each in self._baseline.tests
                if each.file in concerned and each.id not in known
                if each.starts_programs or not is_seen or each.file in _READING
            ]
        return _by_file(self._quick(chosen, concerned), concerned)

    def _quick(self, tests: Iterable[Measured], concerned: Collection[str]) -> Iterator[Measured]:
        """Generate the quickest ones that are run within the time there is."""
        seconds = 0.0
        for each in sorted(tests, key=lambda each: (each.file not in concerned, each.seconds)):
            if seconds + each.seconds <= self._longest:
                seconds += each.seconds
                yield each

    def _files(self, change: Change) -> Iterator[str]:
        yield from _READING
        if change.kind is Kind.LOCK:
            yield from GUARDING
            return
        for entry in FIRST[entry_of(change.module)].split():
            yield from files_of(self._root, entry)


def _by_file(tests: Iterable[Measured], concerned: Collection[str]) -> list[Measured]:
    """Return tests file by file, the quick files of those that concern the module first."""
    files: dict[str, list[Measured]] = defaultdict(list)
    for each in tests:
        files[each.file].append(each)
    groups = sorted(
        files.items(),
        key=lambda item: (item[0] not in concerned, sum(each.seconds for each in item[1])),
    )
    return [each for _, group in groups for each in group]


def changed_lines(content: bytes, change: Change) -> range | None:
    """Return the lines of the statement that is changed, or of its head; None outside of functions."""
    function = statement = None
    for node in ast.walk(ast.parse(content)):  # outer nodes come before inner ones
        if isinstance(node, _Part) and change.line in _head(node):
            statement = node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)
            function = node if change.line in body else function
    return None if function is None or statement is None else _head(statement)


def _head(node: _Part) -> range:
    """Return the lines of a statement without the statements in it."""
    start = _first_line(node)
    inner = [each for name in ("body", "cases") for each in getattr(node, name, [])]
    end = min(map(_first_line, inner), default=getattr(node, "end_lineno", start) + 1)
    return range(start, max(end, start + 1))


def _first_line(node: _Part) -> int:
    return node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno


def entry_of(module: str) -> str:
    """Return the key of `FIRST` that fits a module best."""
    return max(
        (each for each in FIRST if module.startswith(each)),
        key=len,
        default=_OTHERS,
    )


def files_of(root: Path, entry: str) -> Iterator[str]:
    """Generate the test files that an entry of `FIRST` stands for."""
    place = root / "tests" / entry
    found = place.rglob("test_*.py") if place.is_dir() else place.parent.glob(place.name)
    for path in sorted(found):
        yield str(path.relative_to(root))


def ordinary_files(root: Path) -> Iterator[str]:
    """Generate the test files that are not in slow folders."""
    for path in sorted((root / "tests").rglob("test_*.py")):
        inside = path.relative_to(root / "tests")
        if inside.parts[0] not in _SLOW and "examples" not in inside.parts:
            yield str(path.relative_to(root))


def needed_files(root: Path, modules: Iterable[str]) -> list[str]:
    """Return every test file that a change of one of ``modules`` could be tried with."""
    entries = {entry for module in modules for entry in FIRST[entry_of(module)].split()}
    first = (file for entry in entries for file in files_of(root, entry))
    return sorted({*first, *ordinary_files(root)})
