"""The Node.js observer alone: every kind of state is named, and right again once it is put back."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sample_workers.requirements import require_program

from .observed_worker import OBSERVERS, ObservedWorker, leaks, located, observed

FILE = OBSERVERS / "node" / "observer.js"
LEAKS = Path(__file__).parent / "leaks"
Start = Callable[[str], contextlib.AbstractContextManager[ObservedWorker]]

#: For each kind of leak: what kind of place it is, its name, and the line that defines it.
IN_COMMONJS = {
    "array": ("module global", "seen", "leaks.js:7"),
    "text": ("module global", "header", "leaks.js:8"),
    "table": ("module global", "table", "leaks.js:9"),
    "map": ("module global", "byName", "leaks.js:10"),
    "set": ("module global", "names", "leaks.js:11"),
    "buffer": ("module global", "scratch", "leaks.js:12"),
    "expression": ("module global", "pattern.lastIndex", "leaks.js:13"),
    "nested": ("module global", "settings.level.header", "leaks.js:14"),
    "static": ("class attribute", "Compiler.last", "leaks.js:17"),
    "privateArray": ("module global", "compiler.#notes", "leaks.js:18"),
    "privateText": ("module global", "compiler.#header", "leaks.js:19"),
    "field": ("module global", "compiler.options", "leaks.js:20"),
    "closureText": ("closure", "remembered", "leaks.js:43"),
    "closureArray": ("closure", "all", "leaks.js:44"),
    "environment": ("environment", "LEAK", ""),
    "global": ("global", "globalThis.leak", ""),
    "prototype": ("global", "String.prototype.leak", ""),
    "replaced": ("global", "fs.existsSync", ""),
    "listener": ("listener", "process listeners of leak", ""),
    "folder": ("working directory", "cwd", ""),
    "umask": ("umask", "umask", ""),
    "lazy": ("module global", "late", "lazy.js:3"),
}
IN_MODULES = {
    "variable": ("module global", "count", "modules.mjs:3"),
    "items": ("module global", "text", "modules.mjs:4"),
    "imported": ("module global", "shared.value", "shared.mjs:1"),
    "hidden": ("module global", "hidden", "shared.mjs:2"),
}
IN_WAITING = {
    "local": ("local variable", "last", "waits.js:14"),
    "list": ("closure", "all", "waits.js:15"),
    "module": ("module global", "cache", "waits.js:4"),
}


@pytest.fixture
def start(tmp_path: Path) -> Start:
    node = require_program("node")
    shutil.copytree(LEAKS, tmp_path / "tool")

    @contextlib.contextmanager
    def started(name: str, **variables: str) -> Iterator[ObservedWorker]:
        variables = {"NODE_OPTIONS": f"--require {FILE}", **variables}
        with observed([node, name], variables, tmp_path / "tool") as worker:
            yield worker

    return started


@pytest.mark.parametrize(
    ("name", "expected"),
    [("leaks.js", IN_COMMONJS), ("modules.mjs", IN_MODULES), ("waits.js", IN_WAITING)],
)
def test_each_kind_of_state_is_named_and_put_back(
    start: Start, name: str, expected: dict[str, tuple[str, str, str]]
) -> None:
    with start(name) as worker:
        assert worker.greeting["runtime"] == "node"
        assert worker.greeting["pid"] == worker.process.pid
        for kind, (place_kind, place_name, place) in expected.items():
            change = located(worker, kind, place_name)
            assert (change["kind"], change["place"]) == (place_kind, place), kind


def test_without_putting_back_each_of_them_leaks(start: Start) -> None:
    with start("leaks.js") as worker:
        answers = {kind: leaks(worker, kind) for kind in IN_COMMONJS}
    assert [kind for kind, answer in answers.items() if answer == "two"] == []


def test_the_tool_and_its_children_do_not_see_the_observer(start: Start) -> None:
    with start("leaks.js") as worker:
        assert worker.request("variables", "none") == "none"


def test_variables_of_the_tool_stay(start: Start) -> None:
    options = f"--no-warnings --require {FILE}"
    with start("leaks.js", NODE_OPTIONS=options) as worker:
        assert worker.request("variables", "some") == "some after --no-warnings"


def test_a_value_is_shown_before_and_after(start: Start) -> None:
    with start("leaks.js") as worker:
        worker.ask(do="mark")
        worker.request("map", "one")
        worker.request("text", "one")
        changes = worker.changes()
    shown = {name: (each["before"], each["after"]) for name, each in changes.items()}
    assert shown == {"byName": ("Map(0) {}", 'Map(1) {"one" => 1}'), "header": ('""', '"one"')}


def test_ids_are_the_same_in_every_run(start: Start) -> None:
    def ids() -> list[str]:
        with start("leaks.js") as worker:
            worker.ask(do="mark")
            for kind in IN_COMMONJS:
                worker.request(kind, "one")
            return [each["id"] for each in worker.changes().values()]

    assert ids() == ids()


def test_what_grows_is_named(start: Start) -> None:
    with start("leaks.js") as worker:
        worker.ask(do="mark", growth=True)
        for number in range(5):
            worker.request("array", f"text{number}")
            worker.request("closureArray", f"text{number}")
        growing = {each["name"]: each for each in worker.ask(do="growth")["growing"]}
    assert growing["seen"]["after"] - growing["seen"]["before"] == 5
    assert growing["seen"]["place"] == "leaks.js:7"
    assert growing["all"]["unit"] == "entries"


def test_bad_commands_are_answered(start: Start) -> None:
    with start("leaks.js") as worker:
        assert "unknown command" in worker.ask(do="dance")["error"]
        assert worker.ask(do="changes")["changes"] == []
        assert worker.ask(do="restore", ids=["no"])["failed"] == {"no": "no such change"}
        assert worker.request("array", "one") == "one"
