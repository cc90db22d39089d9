"""What a worker keeps outside of its memory: what is seen of it, and what is put back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.hermeticity.trials import surroundings as module
from rpw_fixture.hermeticity.trials.surroundings import Surroundings
from rpw_fixture.hermeticity.trials.trial import BASE
from rpw_fixture.support.beneath import OwnFolder
from tests.waiting import until


class Place:
    """The folder of a worker with HOME, TMPDIR and the input root, and its surroundings."""

    def __init__(self, path: Path, own: OwnFolder) -> None:
        self.home, self.temporary, self.root = (path / name for name in ("home", "tmp", "root"))
        for each in (self.home, self.temporary, self.root):
            each.mkdir()
        self.remains: dict[str, bytes] = {}
        folder: Any = SimpleNamespace(
            folder=own.at(path.name), variation=BASE, root=str(self.root), remains=self.remains
        )
        self.surroundings = Surroundings(folder)

    def changes(self, pid: int | None = None) -> dict[str, tuple[str, str, bool]]:
        return {
            each.name: (each.before, each.after, each.can_restore)
            for each in self.surroundings.changes(pid)
        }

    def restore_all(self, pid: int | None = None) -> None:
        ids = {each.id for each in self.surroundings.changes(pid)}
        self.surroundings.restore(ids, pid)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with OwnFolder(str(tmp_path.parent)) as own:
        made = Place(tmp_path, own)
        (made.home / "folder/in").mkdir(parents=True)
        for name, content in (("text", b"old\n"), ("folder/in/file", b"deep"), ("data", b"\0\1")):
            (made.home / name).write_bytes(content)
        (made.home / "text").chmod(0o640)
        (made.home / "link").symlink_to("text")
        made.surroundings.mark(None)
        yield made


def wiped(path: Path) -> None:
    for each in sorted(path.rglob("*"), reverse=True):
        each.unlink() if not each.is_dir() or each.is_symlink() else each.rmdir()
    path.rmdir()


OLD = "'old\\n'"
FILES: dict[str, tuple[Callable[[Path], object], dict[str, tuple[str, str, bool]]]] = {
    "new": (
        lambda home: (home / "new").write_text("n"),
        {"$HOME/new": ("absent", "'n'", True)},
    ),
    "new, in folders": (
        lambda home: ((home / "a/b").mkdir(parents=True), (home / "a/b/new").write_text("n")),
        {"$HOME/a/b/new": ("absent", "'n'", True)},
    ),
    "new folders": (
        lambda home: (home / "a/b").mkdir(parents=True),
        {"$HOME/a/b": ("absent", "a folder", True)},
    ),
    "a longer text": (
        lambda home: (home / "text").write_text("new text\n"),
        {"$HOME/text": (OLD, "'new text\\n'", True)},
    ),
    "another mode": (
        lambda home: (home / "text").chmod(0o600),
        {"$HOME/text": (OLD, OLD, True)},
    ),
    "bytes": (
        lambda home: (home / "data").write_bytes(b"\0\1\2"),
        {"$HOME/data": ("2 bytes", "3 bytes", True)},
    ),
    "gone": (
        lambda home: (home / "text").unlink(),
        {"$HOME/text": (OLD, "absent", True)},
    ),
    "a folder that is gone": (
        lambda home: wiped(home / "folder"),
        {
            "$HOME/folder": ("a folder", "absent", False),
            "$HOME/folder/in": ("a folder", "absent", False),
            "$HOME/folder/in/file": ("'deep'", "absent", True),
        },
    ),
    "a folder in its place": (
        lambda home: ((home / "text").unlink(), (home / "text").mkdir()),
        {"$HOME/text": (OLD, "a folder", True)},
    ),
    "a link in its place": (
        lambda home: ((home / "text").unlink(), (home / "text").symlink_to("data")),
        {"$HOME/text": (OLD, "4 bytes", True)},
    ),
    "another link": (
        lambda home: ((home / "link").unlink(), (home / "link").symlink_to("other")),
        {"$HOME/link": ("4 bytes", "5 bytes", False)},
    ),
}


def state(folder: Path) -> dict[str, Any]:
    return {
        str(each.relative_to(folder)): (
            each.readlink()
            if each.is_symlink()
            else each.is_dir() or (each.read_bytes(), each.stat().st_mode & 0o777)
        )
        for each in folder.rglob("*")
    }


@pytest.mark.parametrize("case", FILES)
def test_files_that_changed_are_put_back(case: str, place: Place) -> None:
    change, expected = FILES[case]
    assert place.changes() == {}
    before = state(place.home)
    change(place.home)
    assert place.changes() == expected
    place.restore_all()
    if case == "a folder that is gone":
        assert not (place.home / "folder/in/file").exists()  # where it was, there is no folder
    elif case != "another link":
        assert state(place.home) == before


def test_only_what_is_asked_for_is_put_back(place: Place) -> None:
    (place.home / "new").touch()
    (place.temporary / "new").touch()
    (place.home / "text").write_text("new")
    ids = {each.name: each.id for each in place.surroundings.changes(None)}
    place.surroundings.restore([ids["$TMPDIR/new"], ids["$HOME/text"]], None)
    assert set(place.changes()) == {"$HOME/new", "$HOME/text"}  # of a text with another time
    assert (place.home / "text").read_text() == "old\n"


def test_a_file_that_the_worker_has_open_keeps_its_inode(place: Place) -> None:
    with (place.home / "text").open("r+") as stream:
        stream.write("poison and more")
        stream.flush()
        place.restore_all()
        stream.seek(0)
        assert stream.read() == "old\n"


def test_what_earlier_workers_left_in_the_root_is_forgotten(place: Place) -> None:
    place.remains.update({"left": b"text", "data": b"\0" * 300, "other": b"x"})
    changes = place.surroundings.changes(None)
    assert [(each.name, each.before, each.after) for each in changes] == [
        ("left", "absent", "'text'"),
        ("data", "absent", "300 bytes"),
        ("other", "absent", "'x'"),
    ]
    assert all(each.can_restore and each.kind == "file" for each in changes)
    place.surroundings.restore([each.id for each in changes[:2]], None)
    assert set(place.remains) == {"other"}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("a", "a"),
        ("a12b3", "a*b*"),
        ("tmpabcdefgh", "tmp*"),
        ("tmpabcdefghi", "tmpabcdefghi"),
        ("tmpab_cd01_.txt", "tmp*.txt"),
        ("0123456789abcdef", "*"),
        ("abcdefabcdef", "*"),
        ("abcdefabcde", "abcdefabcde"),
    ],
)
def test_names_that_differ_from_run_to_run_have_a_pattern(name: str, pattern: str) -> None:
    assert module._pattern(name) == pattern


def test_files_of_one_pattern_are_one_change(place: Place) -> None:
    for number in range(3):
        (place.temporary / f"tmp{number}").write_text("x")
    assert len(place.changes()) == 1
    place.restore_all()
    assert list(place.temporary.iterdir()) == []


def test_large_files_are_seen_and_not_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (module._LARGEST, module._MOST_KEPT) == (4 << 20, 64 << 20)
    monkeypatch.setattr(module, "_LARGEST", 10)
    monkeypatch.setattr(module, "_MOST_KEPT", 25)
    for name, size in (("a", 10), ("b", 11), ("c", 9), ("d", 1), ("e", 1)):
        (place.temporary / name).write_bytes(b"x" * size)
    home = place.home
    wiped(home)
    home.mkdir()
    place.surroundings.mark(None)
    for name in "abcde":
        (place.temporary / name).write_bytes(b"y" * 30)
    assert place.changes() == {
        "$TMPDIR/a": (repr("x" * 10), "30 bytes", True),
        "$TMPDIR/b": ("11 bytes", "30 bytes", False),
        "$TMPDIR/c": (repr("x" * 9), "30 bytes", True),
        "$TMPDIR/d": ("'x'", "30 bytes", True),
        "$TMPDIR/e": ("'x'", "30 bytes", True),
    }
    monkeypatch.setattr(module, "_MOST_KEPT", 19)
    (place.temporary / "b").unlink()
    for name, size in (("a", 10), ("c", 9), ("d", 1), ("e", 1)):
        (place.temporary / name).write_bytes(b"x" * size)
    place.surroundings.mark(None)
    kept = place.surroundings._before["$TMPDIR"].contents
    assert set(kept) == {"a", "c"}


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"", "''"),
        (b"x" * 60, repr("x" * 60)),
        (b"x" * 61, repr("x" * 60 + "…")),
        (b"line\n", "'line\\n'"),
        (b"two\nlines\n", "10 bytes"),
        (b"\0", "1 bytes"),
        (b"\xff", "'\ufffd'"),
    ],
)
def test_content_is_shown_in_short(content: bytes, shown: str) -> None:
    assert module._shortened(content, len(content)) == shown


def test_paths_are_called_the_same_in_every_run(place: Place) -> None:
    for path, shown in (
        (f"{place.home}/a", "$HOME/a"),
        (str(place.temporary), "$TMPDIR"),
        (f"{place.root}/a/b", "a/b"),
        (str(place.root), "."),
        (f"{place.root}s/a", f"{place.root}s/a"),
        ("/elsewhere", "/elsewhere"),
    ):
        assert place.surroundings._shown(path) == shown


# --- processes ---

WORKER = """
import os, subprocess, sys, threading
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


@pytest.fixture
def worker(place: Place) -> Iterator[Callable[[str], None]]:
    """A worker that runs each line that it gets; its surroundings are marked."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=place.root,
        start_new_session=True,
    ) as process:

        def do(line: str) -> None:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"

        do.pid = process.pid  # type: ignore[attr-defined]
        do("os.umask(0o022)")
        do(CHILD)
        place.surroundings.mark(process.pid)
        yield do
        os.killpg(process.pid, signal.SIGKILL)


#: Once it has written a line, its shell opens no more files.
CHILD = (
    "child = subprocess.Popen(['sh', '-c', 'echo ready; read end'], stdin=-1, stdout=-1); "
    "child.stdout.readline()"
)
linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@linux
def test_what_processes_hold_is_compared(worker: Any, place: Place) -> None:
    assert place.changes(worker.pid) == {}
    worker(f"file = open({str(place.home / 'text')!r})")
    worker("pipe = os.pipe()")
    worker("go = threading.Event(); thread = threading.Thread(target=go.wait, daemon=True)")
    worker("thread.start()")
    worker(f"os.chdir({str(place.temporary)!r}); os.umask(0o77)")
    name = Path(f"/proc/{worker.pid}/comm").read_text().strip()
    until(lambda: place.changes(worker.pid).get(name) == ("1", "2", False))
    assert place.changes(worker.pid) == {
        "$HOME/text": ("0", "1", False),
        "pipe": ("6", "8", False),
        name: ("1", "2", False),
        "working directory": (".", "$TMPDIR", False),
        "umask": ("0022", "0077", False),
    }
    growing = {each.name: (each.kind, each.before, each.after, each.unit)
               for each in place.surroundings.growing(worker.pid)}  # fmt: skip
    assert growing["$HOME/text"] == ("descriptor", 0, 1, "open descriptors")
    assert growing[name] == ("thread", 1, 2, "threads")
    worker(f"first = child; {CHILD}")
    assert place.changes(worker.pid)["sh -c echo ready; read end"] == ("1", "2", True)
    place.restore_all(worker.pid)
    worker("assert child.wait() == -9 and first.poll() is None")


def test_new_files_are_counted_by_their_patterns(place: Place, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_look_at", lambda *_: module._Processes())
    (place.temporary / "folder").mkdir()
    for number in range(3):
        (place.temporary / f"folder/{number}").touch()
    (place.home / "text").write_text("changed")
    (found,) = place.surroundings.growing(1)
    assert (found.kind, found.name, found.before, found.after, found.unit) == (
        *("file", "$TMPDIR/folder/*", 0, 3, "files"),
    )


def test_what_there_is_more_or_less_of_is_told_by_its_name() -> None:
    before = module._Processes(
        descriptors=Counter(a=1, b=2), children=Counter(c=1, d=1), directory="x", umask="0"
    )
    after = module._Processes(
        descriptors=Counter(a=1, b=1), children=Counter(c=2), directory="x", umask="0"
    )
    found = [(each.id, each.before, each.after, each.can_restore)
             for each in module._compared(before, after)]  # fmt: skip
    assert found == [
        ("descriptor b", "2", "1", False),
        ("child c", "1", "2", True),
        ("child d", "1", "0", False),
    ]


@linux
def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    with subprocess.Popen(["true"]) as child:
        pass
    assert module._look_at(child.pid, str) == module._Processes()
    assert list(module._links(child.pid)) == list(module._thread_names(child.pid)) == []
    assert (module._link(f"/proc/{child.pid}/cwd"), module._umask(child.pid)) == ("", "")
