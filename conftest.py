"""Loads the plugin also where the package is not installed, and looks for leaks after every test.

It also marks slow tests, and has fixtures and settings that many tests share.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
import pytest
from hypothesis import HealthCheck, settings

if importlib.util.find_spec("rpw_fixture") is None:
    sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["pytester"]
# Tests neither read nor write the user's cache folder, except those that set the variable.
os.environ["RPW_FIXTURE_CACHE"] = "none"
# Some thousand processes are started, and each would compile the package again: half their time. The
# processes of pytest-xdist inherit this.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
PLUGIN = "rpw_fixture.pytest_plugin"
_TESTS = Path(__file__).parent / "tests"
#: A wrapper with which Bazel starts faster; used where Bazel is installed.
_PROGRAMS = _TESTS / "programs"
if str(_PROGRAMS) not in os.environ["PATH"].split(os.pathsep) and shutil.which("bazel"):
    os.environ["PATH"] = f"{_PROGRAMS}{os.pathsep}{os.environ['PATH']}"
#: Folders and modules whose tests are all slow. Other slow tests have the marker themselves.
_SLOW = (
    "benchmarks",  # each family of figures once
    "binary",  # some forms of the program are installed, others run in containers
    "cli",  # each starts the program
    "conformance/test_execution_canonical.py",  # hundreds of trees, each executed
    "conformance/test_execution_environment.py",  # each executes an action
    "conformance/test_execution_requests.py",  # each executes an action
    "conformance/test_operations.py",  # actions that run for some time
    "containers",  # images and their engines
    "examples",  # with a real Bazel
    "docs/test_check_page.py",  # the commands of the page are checks of whole suites
    "docs/test_installed.py",  # the package is installed first
    "execution/test_bad_input.py",  # each executes an action
    "execution/test_lacking_machines.py",  # each starts the program
    "hermeticity/carriers",  # most check a worker, some under Node.js or on a JVM
    "hermeticity/checks",  # most check a worker for some codes
    "hermeticity/findings/test_reproducers.py",  # reproducers are run
    "hermeticity/suites/test_from_actions.py",  # checks of whole suites
    "hermeticity/suites/test_recording.py",  # recorded, then checked
    "hermeticity/test_assertion.py",  # checks of whole suites
    "hermeticity/test_check_list.py",  # each check, on a worker
    "hermeticity/trials",  # each starts workers, some on a second server
    "hermeticity/unseen",  # checks of whole suites
    "hermeticity/whole_checks",  # each starts dozens of workers
    "interop",  # real Bazel, BuildStream and buildbox
    "isolation",  # some six hundred attempts, each in separate processes
    "mutation",  # changes are tried on copies of the checkout
    "launching",  # real isolation, each in separate processes
    "plugin",  # most are whole runs of pytest
    "processes",  # each starts a spawner
    "real_workers",  # checks of published workers
    "report/test_browser.py",  # with a real browser
    "report/test_live.py",  # each with a live page of a server
    "sample_workers",  # Java and Node.js
    "security",  # attacks, each on a separate server
    "soak",  # many times the same
    "test_leak_check.py",  # whole runs of pytest
    "test_locks.py",  # every use of every shared field
    "test_locks_of_parts.py",  # the same
    "typing",  # mypy on code of users
    "wire/test_protos_coexist.py",  # each in separate processes
    "workers/tee",  # each starts a worker behind the program
    "workers/test_cancellation.py",  # workers that take their time
    "workers/test_hostile_surroundings.py",  # each starts the program
    "workers/test_hostile_folders.py",  # each on a separate server
    "workers/test_hostile_workers.py",  # a misdeed each, and the time until it is noticed
    "workers/test_large_requests.py",  # requests larger than pipes, to slow readers
    "workers/test_lifecycle.py",  # the pages are generated anew
    "workers/test_lifecycle_limits.py",  # workers that are idle for some time
    "workers/test_multiplex_stress.py",  # many times the same
    "workers/test_output_places.py",  # recorded, then checked
    "workers/test_personalities.py",  # each personality on a separate server
    "workers/test_personality_requests.py",  # the same
    "workers/test_likeness.py",  # workers that stay for some seconds
    "workers/test_unasked_ends.py",  # until an end is noticed
    "workers/test_unknown_protocol.py",  # two workers for each action
)
#: Modules in those folders that start no process.
_QUICK = (
    "cli/test_command_line.py",
    *(f"hermeticity/checks/test_{name}.py" for name in ("judgements", "orders", "shrinking")),
    *(
        f"hermeticity/trials/test_{name}.py"
        for name in ("memory", "result_store", "sequential", "snapshot", "trial_keys")
    ),
    "security/test_addresses.py",
)
#: Seconds that processes and threads which a test has ended may take to be gone.
_PATIENCE = 5.0
#: Descriptors of this process: as links to their files (Linux), and as numbers (everywhere).
_LINKS, _NUMBERS = Path("/proc/self/fd"), Path("/dev/fd")

# Machines stall, so the time of an example says nothing about the code.
settings.register_profile(
    "rpw_fixture", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("rpw_fixture")


def pytest_configure(config: pytest.Config) -> None:
    """Make pytest-xdist keep the order: it would run files with few tests, the longest ones, last."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    loaded = {getattr(plugin, "__name__", "") for plugin in pluginmanager.get_plugins()}
    if PLUGIN not in loaded:
        pluginmanager.import_plugin(PLUGIN)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow folders, for ``-m "not slow"``, and run them first.

    So a run with several processes ends with short files, and all processes are busy until the end.
    """
    addresses = [each.nodeid for each in items if " at 0x" in each.nodeid]
    assert not addresses, f"no two processes would agree on the names of these tests: {addresses}"
    for path, tests in itertools.groupby(items, lambda item: item.path):
        if _is_slow(path):
            for each in tests:
                each.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: not _is_slow(item.path))


@functools.cache
def _is_slow(path: Path) -> bool:
    return _is_in(path, _SLOW) and not _is_in(path, _QUICK)


def _is_in(path: Path, names: Iterable[str]) -> bool:
    return any(path.is_relative_to(_TESTS / name) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Processes, threads, descriptors and folders of this process, each as a text."""

    things: frozenset[str]

    @classmethod
    def now(cls) -> Self:
        return cls(things=frozenset({*_processes(), *_threads(), *_descriptors(), *_folders()}))


@pytest.fixture(autouse=True)
def leak_check(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves processes, threads, descriptors or folders behind."""
    before = Held.now()
    yield
    leaked = _leaked(before)
    if leaked:
        # Servers that the plugin keeps for later tests are no leak, so they are stopped first.
        importlib.import_module(PLUGIN).close_servers(request.config)
        deadline = time.monotonic() + _PATIENCE
        while (leaked := _leaked(before)) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert not leaked, "the test left behind:\n  " + "\n  ".join(leaked)


@pytest.fixture
def python3_is_this_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put this interpreter first on PATH: version managers have slow shell scripts named python3."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run checks in this process without pauses and without thousands of requests.

    These two take three quarters of a check's time by default. A test that is about them passes
    ``pause``; a test that starts the program has the default.
    """
    monkeypatch.setattr("rpw_fixture.hermeticity.check._PAUSE", 0.0)


def _leaked(before: Held) -> list[str]:
    return sorted(Held.now().things - before.things)


def _processes() -> Iterator[str]:
    for child in _descendants():
        with suppress(psutil.NoSuchProcess):
            yield f"process {child.pid}: {' '.join(child.cmdline())}"


def _descendants() -> list[psutil.Process]:
    """Return all descendants of this process.

    psutil looks at every process of the machine. Most tests leave no child, which Linux says quickly.
    """
    tasks = Path("/proc/self/task")
    try:
        if not any((task / "children").read_bytes() for task in tasks.iterdir()):
            return []
    except OSError:  # another system, a kernel without it, or a thread that has just ended
        pass
    return psutil.Process().children(recursive=True)


def _threads() -> Iterator[str]:
    for thread in threading.enumerate():
        yield f"thread {thread.ident}: {thread.name}"


def _descriptors() -> Iterator[str]:
    """Yield files, pipes and sockets.

    Descriptors that libraries keep while they are loaded are left out: gRPC's for events, and libffi's
    of its file.
    """
    if not _LINKS.is_dir():
        yield from _nameless_descriptors()
        return
    for link in _LINKS.iterdir():
        with suppress(OSError):
            target = link.readlink()
            is_of_grpc = str(target).startswith(("anon_inode:", "/proc/"))
            if not is_of_grpc and not target.name.startswith("libffi.so"):
                yield f"descriptor of {target}"


def _nameless_descriptors() -> Iterator[str]:
    """Yield files, folders and sockets where the kernel does not show their names (macOS).

    Pipes are left out: gRPC keeps some where there are no event descriptors.
    """
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFSOCK: "socket"}
    for name in os.listdir(_NUMBERS):  # noqa: PTH208 - the listing's own descriptor is closed then
        with suppress(OSError):
            found = os.fstat(int(name))
            kind = kinds.get(stat.S_IFMT(found.st_mode))
            if kind is not None:
                yield f"descriptor {name} of a {kind}, inode {found.st_ino}"


def _folders() -> Iterator[str]:
    mark = f"-{os.getpid()}-"
    for folder in {tempfile.gettempdir(), "/dev/shm"}:  # noqa: S108 - looked into only
        with suppress(OSError):
            names = os.listdir(folder)  # noqa: PTH208 - after every test: a path for each takes long
            yield from (f"folder {folder}/{each}" for each in names if mark in each)


@pytest.fixture(scope="session")
def installed_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with only the package and what it requires; see installed_package.py."""
    from tests.installed_package import installed_package  # noqa: PLC0415 - few tests need it

    base = tmp_path_factory.getbasetemp()
    # Each process of pytest-xdist has a folder below that of the run.
    is_worker = base.name.startswith("popen-")
    return installed_package(base.parent if is_worker else base)
