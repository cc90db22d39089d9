"""The table of docs/architecture.md lists the modules that an Execute really passes, in their order."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rpw_fixture
from rpw_fixture import Action, Server
from rpw_fixture.execution import outputs
from rpw_fixture.execution.scheduler import Scheduler
from rpw_fixture.testing.sample_workers import python_workers
from rpw_fixture.workers.process_pipes import ProcessPipes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
PACKAGE = Path(rpw_fixture.__file__).parent
MOST_MODULES = 20
TOOLS = python_workers()


def compilation(name: str) -> Action:
    return Action(
        arguments=[sys.executable, "tools/good.py"],
        flagfile=["--in", f"{name}.txt", "--out", f"out/{name}.txt"],
        tool_inputs={f"tools/{each}": TOOLS / each for each in ("good.py", "rpw_worker.py")},
        inputs={f"{name}.txt": f"text of {name}\n"},
        outputs=[f"out/{name}.txt"],
        worker_key="compiler",
    )


def listed() -> list[str]:
    table = PAGE.read_text("utf-8").split("<!-- way of an Execute: begin -->")[1]
    rows = table.split("<!-- way of an Execute: end -->")[0].strip().splitlines()[2:]
    found = [re.search(r"`([\w/]+\.py)`", row.split("|")[2]) for row in rows]
    return [match[1] for match in found if match is not None]


def callers() -> list[str]:
    """Return the modules on the stack of this thread, the outermost first, without `support`."""
    found: list[str] = []
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            found.append(str(path.relative_to(PACKAGE)))
        frame = frame.f_back
    return [each for each in reversed(found) if not each.startswith("support/")]


def test_the_page_lists_the_modules_that_an_execute_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[str] = []

    def watch(owner: Any, name: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)
        home = str(Path(sys.modules[function.__module__].__file__ or "").relative_to(PACKAGE))

        def watched(*args: Any, **kwargs: Any) -> Any:
            passed.extend([*callers(), home])
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, watched)

    with Server() as server:
        server.run(compilation("a"))
        watch(Scheduler, "submit")
        watch(ProcessPipes, "write")
        watch(outputs._Collector, "run")
        assert server.run(compilation("b")).worker is not None

    assert list(dict.fromkeys(passed)) == listed()
    assert len(listed()) <= MOST_MODULES
