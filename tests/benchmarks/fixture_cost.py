"""What the pytest plugin costs: a clean server for each test, a reset, and a plugin that no test uses."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rpw_fixture import Action, Server
from tests.server_process import ROOT

from .figures import Effort, Figure, UnavailableError
from .processes import ENVIRONMENT
from .sampling import interleaved, median

_PLUGIN = "rpw_fixture.pytest_plugin"
_TIMES = "times.json"
#: Times every test from outside of all its fixtures, and writes the times down at the end.
_CONFTEST = f"""
import json, time
import pytest

_times = {{"empty": [], "clean": []}}

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    begin = time.perf_counter()
    result = yield
    _times[item.name.split("_")[1]].append((time.perf_counter() - begin) * 1000)
    return result

def pytest_sessionfinish():
    with open("{_TIMES}", "w") as file:
        json.dump(_times, file)
"""
_TESTS = """
def test_empty_{number}():
    pass

def test_clean_{number}(rpw_server):
    pass
"""


def figures(effort: Effort) -> Iterator[Figure]:
    """Reset first; the rest needs the plugin."""
    rounds = effort.pick(smoke=1, quick=50, full=200)
    with Server() as server:
        action = Action(arguments=("/bin/sh", "-c", "echo"))
        _, taken = interleaved(rounds, lambda _: server.run(action), lambda _: server.reset())
    yield Figure(
        name="reset without workers, after one action", ours=median(taken), target=5, samples=rounds
    )
    if importlib.util.find_spec(_PLUGIN) is None:
        raise UnavailableError(f"there is no {_PLUGIN}")
    with tempfile.TemporaryDirectory() as name:
        yield _function_scope(Path(name), rounds)
    with tempfile.TemporaryDirectory() as name:
        yield _unused(Path(name), effort.pick(smoke=1, quick=7, full=25))


def _function_scope(folder: Path, rounds: int) -> Figure:
    (folder / "conftest.py").write_text(_CONFTEST)
    # The first test with a server pays for what a session needs once.
    tests = "".join(_TESTS.format(number=number) for number in range(rounds + 1))
    (folder / "test_cost.py").write_text(tests)
    _pytest(folder, "-p", _PLUGIN)
    times = json.loads((folder / _TIMES).read_text())
    empty, clean = (median(times[name][1:]) for name in ("empty", "clean"))
    return Figure(
        name="function-scoped clean server on top of an empty test",
        ours=clean - empty,
        floor=empty,
        floor_name="the empty test (informative)",
        target=10,
        is_floor_informative=True,
        samples=rounds,
    )


def _unused(folder: Path, rounds: int) -> Figure:
    (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    loaded, absent = interleaved(
        rounds, lambda _: _pytest(folder, "-p", _PLUGIN), lambda _: _pytest(folder), warm_up=1
    )
    return Figure(
        name="plugin loaded but unused, on top of one empty test",
        ours=median([with_it - without for with_it, without in zip(loaded, absent, strict=True)]),
        floor=median(absent),
        floor_name="pytest without it (informative)",
        target=20,
        is_floor_informative=True,
        samples=rounds,
    )


def _pytest(folder: Path, *arguments: str) -> None:
    """A separate pytest, without the plugins that happen to be installed."""
    environment = {
        **ENVIRONMENT,
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "",
    }
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
