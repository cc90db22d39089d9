"""What a worker keeps outside of its memory: files, descriptors, working directory, threads, children.

It is read from outside, so it is the same for every language. Files can be put back, and children ended;
the others can only be seen.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import signal
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from rpw_fixture.hermeticity.trials import process_facts, snapshot
from rpw_fixture.hermeticity.trials.experiment import Change, Growing
from rpw_fixture.hermeticity.trials.process_facts import ProcessFacts, family
from rpw_fixture.hermeticity.trials.run_folder import RunFolder, plant
from rpw_fixture.hermeticity.trials.snapshot import FileState
from rpw_fixture.support.beneath import Beneath
from rpw_fixture.support.removal import remove_at

#: A larger file is not kept, so it can't be put back.
_LARGEST = 4 << 20
#: Content is kept up to this many bytes in all.
_MOST_KEPT = 64 << 20
_SHOWN = 60
#: Parts of names that differ from run to run: numbers, and what Python's tempfile makes.
_RANDOM = re.compile(r"(?<=tmp)[a-z0-9_]{8}(?![a-z0-9])|[0-9a-f]{12,}|\d+")
_ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class _FilesBelow:
    """The state of the files in a folder, with the content of small ones."""

    states: Mapping[str, FileState]
    contents: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Processes:
    """What a worker and the processes below it hold, by name; ``directory`` and ``umask`` as text."""

    descriptors: Counter[str] = field(default_factory=Counter)
    threads: Counter[str] = field(default_factory=Counter)
    children: Counter[str] = field(default_factory=Counter)
    directory: str = ""
    umask: str = ""


class Surroundings:
    """The surroundings of one worker, as they were when they were marked.

    Args:
        run_folder: where the worker runs.
    """

    def __init__(self, run_folder: RunFolder) -> None:
        self._run_folder = run_folder
        variation = run_folder.variation
        self._places = {
            "$HOME": run_folder.folder.below(variation.home),
            "$TMPDIR": run_folder.folder.below(variation.temporary),
        }
        self._before: dict[str, _FilesBelow] = {}
        self._processes = _Processes()
        self._known: set[int] = set()
        #: What the paths of the run are called in every run, the longest first.
        self._names = (
            (self._places["$HOME"].path, "$HOME"),
            (self._places["$TMPDIR"].path, "$TMPDIR"),
            (run_folder.root, "."),
        )

    def mark(self, pid: int | None) -> None:
        """Remember the surroundings; ``pid`` is the worker's, if there is one."""
        self._before = {name: _read(place) for name, place in self._places.items()}
        if pid is not None:
            self._processes = _look_at(pid, self._shown)
            self._known = {each.pid for each in family(pid)}

    def changes(self, pid: int | None) -> list[Change]:
        """Return what changed since the mark."""
        found: dict[str, Change] = {}
        for change in (*self._changed_files(), *self._remains()):
            found.setdefault(change.id, change)
        if pid is not None:
            for change in _compared(self._processes, _look_at(pid, self._shown)):
                found.setdefault(change.id, change)
        return list(found.values())

    def restore(self, ids: Collection[str], pid: int | None) -> None:
        """Put back the files, and end the children, with these ids."""
        for name, place in self._places.items():
            before = self._before.get(name, _FilesBelow({}, {}))
            _restore(
                place, before, [each for each in ids if each.startswith(f"file {name}/")], name
            )
        for path in list(self._run_folder.remains):
            if _file_id(f"input root/{path}") in ids:
                del self._run_folder.remains[path]
        if pid is not None:
            self._end_children(ids, pid)

    def growing(self, pid: int) -> Iterator[Growing]:
        """Yield the files, descriptors and threads of which there are more than at the mark."""
        now = _look_at(pid, self._shown)
        files = [_pattern(f"{name}/{path}") for name, path in self._new_files()]
        for kind, counted, known in (
            ("file", Counter(files), Counter[str]()),
            ("descriptor", now.descriptors, self._processes.descriptors),
            ("thread", now.threads, self._processes.threads),
        ):
            for name, count in counted.items():
                if count > known[name]:
                    yield Growing(
                        kind=kind, name=name, before=known[name], after=count, unit=_UNITS[kind]
                    )

    def _shown(self, path: str) -> str:
        """Return a path as it is called in every run."""
        for folder, name in self._names:
            if path == folder or path.startswith(f"{folder}/"):
                return f"{name}{path[len(folder) :]}".removeprefix("./")
        return path

    def _new_files(self) -> Iterator[tuple[str, str]]:
        for name, place in self._places.items():
            known = self._before.get(name, _FilesBelow({}, {})).states
            for path, state in snapshot.look(place).items():
                if path not in known and not stat.S_ISDIR(state.mode):
                    yield name, path

    def _changed_files(self) -> Iterator[Change]:
        for name, place in self._places.items():
            before = self._before.get(name, _FilesBelow({}, {}))
            now = _read(place)
            for path in sorted(before.states.keys() | now.states.keys()):
                if _is_changed(path, before.states, now.states):
                    yield Change(
                        id=_file_id(f"{name}/{path}"),
                        kind="file",
                        name=f"{name}/{path}",
                        before=_described(path, before),
                        after=_described(path, now),
                        can_restore=path not in before.states or path in before.contents,
                    )

    def _remains(self) -> Iterator[Change]:
        """Yield the undeclared files that an earlier worker left in the input root."""
        for path, content in self._run_folder.remains.items():
            yield Change(
                id=_file_id(f"input root/{path}"),
                kind="file",
                name=path,
                before=_ABSENT,
                after=_shortened(content, len(content)),
                can_restore=True,
            )

    def _end_children(self, ids: Collection[str], pid: int) -> None:
        for each in family(pid)[1:]:
            if each.pid not in self._known and f"child {_command(each)}" in ids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)


_UNITS = {"file": "files", "descriptor": "open descriptors", "thread": "threads"}


def _pattern(name: str) -> str:
    return _RANDOM.sub("*", name)


def _file_id(name: str) -> str:
    return f"file {_pattern(name)}"


def _read(place: Beneath) -> _FilesBelow:
    states = snapshot.look(place)
    small: list[str] = []
    total = 0
    for path, state in states.items():
        if stat.S_ISREG(state.mode) and state.size <= _LARGEST:
            total += state.size
            if total <= _MOST_KEPT:
                small.append(path)
    return _FilesBelow(states, snapshot.contents(place, small, _LARGEST))


def _is_changed(path: str, before: Mapping[str, FileState], now: Mapping[str, FileState]) -> bool:
    """Return whether a file changed; a folder counts if it is new and empty, or gone."""
    old, new = before.get(path), now.get(path)
    if new is not None and stat.S_ISDIR(new.mode):
        if old is None:
            return not any(each.startswith(f"{path}/") for each in now)
        return not stat.S_ISDIR(old.mode)
    if new is None or old is None:
        return True
    return old != new


def _described(path: str, folder: _FilesBelow) -> str:
    state = folder.states.get(path)
    if state is None:
        return _ABSENT
    if stat.S_ISDIR(state.mode):
        return "a folder"
    content = folder.contents.get(path)
    return f"{state.size} bytes" if content is None else _shortened(content, state.size)


def _shortened(content: bytes, size: int) -> str:
    text = content[: 4 * _SHOWN].decode(errors="replace")
    shown = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
    return shown if text.isprintable() or text.strip().isprintable() else f"{size} bytes"


def _restore(place: Beneath, before: _FilesBelow, ids: Collection[str], name: str) -> None:
    """Put files back: remove new ones, write the old content of the others."""
    now = snapshot.look(place)
    for path in sorted(before.states.keys() | now.keys(), reverse=True):
        if _file_id(f"{name}/{path}") not in ids or not _is_changed(path, before.states, now):
            continue
        with contextlib.suppress(OSError):
            if path in before.contents:
                _write(place, path, before)
            elif path not in before.states:
                _remove(place, path, before.states)


def _write(place: Beneath, path: str, before: _FilesBelow) -> None:
    """Write the old content of a file: into the file that is there, which the worker may have open."""
    mode = stat.S_IMODE(before.states[path].mode)
    above, name = posixpath.split(path)
    with place.below(above).opened() as fd:
        try:
            file = os.open(
                name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=fd
            )
        except OSError:
            plant(place, path, before.contents[path])
            os.chmod(name, mode, dir_fd=fd)
            return
        with os.fdopen(file, "wb") as stream:
            os.fchmod(file, mode)
            os.ftruncate(file, 0)
            stream.write(before.contents[path])


def _remove(place: Beneath, path: str, known: Mapping[str, FileState]) -> None:
    """Remove a path, and the folders above it that are new and empty then."""
    above, name = posixpath.split(path)
    with place.below(above).opened() as fd:
        remove_at(fd, name)
    while above and above not in known:
        parent, name = posixpath.split(above)
        with place.below(parent).opened() as fd, contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=fd)
        above = parent


def _look_at(pid: int, shown: Callable[[str], str]) -> _Processes:
    descriptors: Counter[str] = Counter()
    threads: Counter[str] = Counter()
    children: Counter[str] = Counter()
    for number, each in enumerate(family(pid)):
        descriptors.update(map(shown, _links(each.pid)))
        threads.update(_thread_names(each.pid))
        if number:
            children[_command(each)] += 1
    return _Processes(
        descriptors=descriptors,
        threads=threads,
        children=children,
        directory=shown(_link(f"/proc/{pid}/cwd")),
        umask=_umask(pid),
    )


def _links(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            target = _link(f"{folder}/{name}")
            if target:
                # The number of a pipe or socket says nothing, and a deleted file has its old name.
                yield re.sub(r":\[\d+\]$", "", target).removesuffix(" (deleted)")


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _thread_names(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/task"
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            with contextlib.suppress(OSError), open(f"{folder}/{name}/comm", "rb") as file:
                yield file.read().decode(errors="replace").strip()


def _umask(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith(b"Umask:"):
                return line.split()[1].decode()
    return ""


def _command(process: ProcessFacts) -> str:
    """Return the command line of a process in a short form that is the same in every run."""
    return _pattern(process_facts.command_line(process.pid)[:80] or process.name)


def _compared(before: _Processes, now: _Processes) -> Iterator[Change]:
    for kind, old, new in (
        ("descriptor", before.descriptors, now.descriptors),
        ("thread", before.threads, now.threads),
        ("child", before.children, now.children),
    ):
        for name in sorted(old.keys() | new.keys()):
            if old[name] != new[name]:
                yield Change(
                    id=f"{kind} {_pattern(name)}",
                    kind=kind,
                    name=name,
                    before=str(old[name]),
                    after=str(new[name]),
                    can_restore=kind == "child" and new[name] > old[name],
                )
    if before.directory != now.directory:
        yield _single("working directory", before.directory, now.directory)
    if before.umask != now.umask:
        yield _single("umask", before.umask, now.umask)


def _single(kind: str, before: str, after: str) -> Change:
    return Change(id=kind, kind=kind, name=kind, before=before, after=after)
