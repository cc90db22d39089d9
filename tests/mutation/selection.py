"""Which tests may notice a change of a module, those that concern it first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

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
    "rpw_fixture/server/": "test_server.py cli services security workers",
    "rpw_fixture/services/": "services test_locks.py conformance faults security",
    "rpw_fixture/storage/": (
        "storage test_locks.py conformance/test_cas.py conformance/test_action_cache.py "
        "conformance/test_bytestream*.py"
    ),
    "rpw_fixture/support/": "support test_locks.py execution/staging security/test_tls.py",
    "rpw_fixture/testing/": "testing plugin client",
    "rpw_fixture/wire/": "wire conformance",
    "rpw_fixture/wire/worker/": "wire/worker workers",
    "rpw_fixture/workers/": "test_locks.py workers",
}
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
        seconds: how long each test file took, by its path; files not in it are not run.
        longest: a file that takes longer is run only for the modules it concerns, seconds.
    """

    def __init__(self, root: Path, seconds: dict[str, float], longest: float) -> None:
        self._root = root
        self._seconds = seconds
        self._longest = longest

    def first(self, module: str) -> list[str]:
        """Return the test files that concern the module, the quick ones of each entry first."""
        files: dict[str, None] = {}
        for entry in FIRST[entry_of(module)].split():
            files.update(dict.fromkeys(self._by_time(files_of(self._root, entry))))
        return list(files)

    def rest(self, module: str) -> list[str]:
        """Return the other test files that are quick enough for every change."""
        before = set(self.first(module))
        files = (each for each in ordinary_files(self._root) if each not in before)
        return [each for each in self._by_time(files) if self._seconds[each] <= self._longest]

    def _by_time(self, files: Iterable[str]) -> list[str]:
        return sorted(
            (each for each in files if each in self._seconds), key=self._seconds.__getitem__
        )


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
