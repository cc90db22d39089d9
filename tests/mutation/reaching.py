"""A pytest plugin that writes down which lines of the package each test runs, and how long it takes.

It is loaded where the tests are measured without a change: ``-p tests.mutation.reaching``. What a test does
in other processes is not seen, so a test that starts the program or pytest is marked as such. So that tests
stay quick, only the first calls of each function in each test are watched.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

#: The variable that names the file to write.
VARIABLE = "RPW_MUTATION_REACHED"
_PACKAGE = str(Path(__file__).resolve().parents[2] / "rpw_fixture") + os.sep
_WATCHED_CALLS = 20
_PROGRAMS = ("rpw_fixture", "rpw-fixture", "pytest")
_KEPT_SERVERS = "rpw_fixture.pytest_plugin"


class Reached:
    """What each test runs; a plugin of pytest.

    Args:
        path: written when the session ends.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tests: list[dict[str, Any]] = []
        self._test: dict[str, Any] = {}
        self._lines: set[tuple[CodeType, int]] = set()
        #: By file and line, one bit for each test.
        self._masks: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        self._is_ours: dict[CodeType, bool] = {}
        self._calls: Counter[CodeType] = Counter()

    def start(self) -> None:
        """Watch processes that start, and the threads that start from now on."""
        sys.addaudithook(self._note_process)
        threading.settrace(self._enter)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Attribute what runs to ``item``; nothing is kept for the next test, which shall run it again."""
        self._test = {"id": item.nodeid, "outcome": "passed", "starts_programs": False}
        self._lines.clear()
        self._calls.clear()
        sys.settrace(self._enter)
        began = time.monotonic()
        result = yield
        self._test["seconds"] = round(time.monotonic() - began, 3)
        importlib.import_module(_KEPT_SERVERS).close_servers(item.config)
        bit = 1 << len(self._tests)
        for code, line in tuple(self._lines):
            self._masks[code.co_filename][line] |= bit
        self._tests.append(self._test)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of a test's phases."""
        if report.outcome != "passed" and self._test["outcome"] != "failed":
            self._test["outcome"] = report.outcome

    def pytest_sessionfinish(self) -> None:
        """Stop watching, and write the file."""
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        root = len(_PACKAGE) - len("rpw_fixture") - 1
        lines = {
            file[root:]: {str(line): f"{mask:x}" for line, mask in masks.items()}
            for file, masks in self._masks.items()
        }
        self._path.write_text(json.dumps({"tests": self._tests, "lines": lines}))

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Any:
        code = frame.f_code
        is_ours = self._is_ours.get(code)
        if is_ours is None:
            is_ours = self._is_ours[code] = code.co_filename.startswith(_PACKAGE)
        if not is_ours:
            return None
        self._calls[code] += 1
        return self._step if self._calls[code] <= _WATCHED_CALLS else None

    def _step(self, frame: FrameType, _event: str, _argument: object) -> Any:
        self._lines.add((frame.f_code, frame.f_lineno))
        return self._step

    def _note_process(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            words = (str(each) for each in arguments[1] or ())
            if any(name in word for word in words for name in _PROGRAMS):
                self._test["starts_programs"] = True


def pytest_configure(config: pytest.Config) -> None:
    """Begin, once, where a file is named."""
    path = os.environ.pop(VARIABLE, None)
    if path is not None:
        reached = Reached(Path(path))
        config.pluginmanager.register(reached)
        reached.start()
