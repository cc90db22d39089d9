from __future__ import annotations

import ctypes
import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpw_fixture.errors import BlobMissingError, Code, RequestError
from rpw_fixture.execution.changes import FolderWatcher
from rpw_fixture.execution.staging import INPUT_MTIME_NS, Parents, StagedRoot, remove
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.trees import Folder

NOBODY = Parents()


class Root:
    """A staged root with a folder beside it that nothing may touch."""

    def __init__(self, path: Path, inputs, watcher: FolderWatcher | None = None) -> None:
        self.path = path / "root"
        self.path.mkdir()
        self.outside = path / "outside"
        (self.outside / "folder").mkdir(parents=True)
        (self.outside / "file").write_text("precious")
        self.inputs = inputs
        self.staged = StagedRoot(str(self.path), watcher)

    def stage(self, tree: dict, *parents: str) -> list[str]:
        folder = tree if isinstance(tree, Folder) else self.inputs.folder(tree)
        return self.staged.stage(folder, Parents.of(parents), self.inputs.store)

    def add(self, tree: dict, *parents: str, outputs: tuple[str, ...] = ()) -> None:
        folder = self.inputs.folder(tree)
        self.staged.add(folder, Parents.of(parents), outputs, self.inputs.store)

    def found(self) -> dict:
        """What is on disk, in the form in which trees are told."""
        return told(self.path)

    def outside_is_intact(self) -> bool:
        return told(self.outside) == {"folder": {}, "file": b"precious"}

    def inodes(self) -> dict[str, tuple[int, int]]:
        """Inode and change time of every file and folder by its path."""
        return {
            str(path.relative_to(self.path)): (path.lstat().st_ino, path.lstat().st_ctime_ns)
            for path in self.path.rglob("*")
        }


def told(path: Path) -> dict:
    tree: dict = {}
    for entry in os.scandir(path):
        if entry.is_symlink():
            tree[entry.name] = ("->", str(Path(entry.path).readlink()))
        elif entry.is_dir():
            tree[entry.name] = told(Path(entry.path))
        elif entry.is_file():
            tree[entry.name] = Path(entry.path).read_bytes()
        else:
            tree[entry.name] = ("special",)
    return tree


@pytest.fixture(scope="module")
def watcher() -> Iterator[FolderWatcher]:
    """One for all roots, as a server has it; closing one takes the kernel many milliseconds."""
    made = FolderWatcher()
    yield made
    made.close()


@pytest.fixture(params=["compared", "watched"])
def root(request: pytest.FixtureRequest, tmp_path: Path, inputs, watcher: FolderWatcher) -> Root:
    """A root that looks everywhere for changes, and one that is told of them."""
    return Root(tmp_path, inputs, watcher if request.param == "watched" else None)


TREE = {
    "a.txt": b"a",
    "src": {"b.txt": b"b", "deep": {"c.txt": b"c"}},
    "lib": {"d.txt": b"d"},
    "empty": {},
}


# --- the first time ---


def test_a_tree_is_placed_with_everything_in_it(root: Root, inputs) -> None:
    tree = {
        **TREE,
        "tool": inputs.File(content=b"#!", is_executable=True),
        "link": inputs.Link(target="src/b.txt"),
        "dangling": inputs.Link(target="../../nowhere"),
        "absolute": inputs.Link(target="/etc"),
        "new\nline": b"",
        "é": {"-rf": b"x"},
    }
    assert root.stage(tree) == []

    assert root.found() == {
        **TREE,
        "tool": b"#!",
        "link": ("->", "src/b.txt"),
        "dangling": ("->", "../../nowhere"),
        "absolute": ("->", "/etc"),
        "new\nline": b"",
        "é": {"-rf": b"x"},
    }


def test_inputs_are_read_only_executable_as_told_and_of_a_fixed_time(root: Root, inputs) -> None:
    old = os.umask(0o077)
    try:
        root.stage({"a": b"a", "x": inputs.File(content=b"x", is_executable=True)})
    finally:
        os.umask(old)

    for name, mode in (("a", 0o444), ("x", 0o555)):
        status = (root.path / name).stat()
        assert stat.S_IMODE(status.st_mode) == mode
        assert status.st_mtime_ns == INPUT_MTIME_NS


def test_parents_of_outputs_stand_beside_the_inputs(root: Root) -> None:
    root.stage({"src": {"a": b"a"}}, "out/deep/er", "src/gen", "src")

    assert root.found() == {"src": {"a": b"a", "gen": {}}, "out": {"deep": {"er": {}}}}


def test_parents_are_told_as_nested_names() -> None:
    assert Parents.of(["a/b", "a/c/d", "", "a"]) == {"a": {"b": {}, "c": {"d": {}}}}


@pytest.mark.parametrize("parent", ["a.txt", "a.txt/x", "src/b.txt"])
def test_an_output_below_an_input_file_is_refused(parent: str, root: Root) -> None:
    for _ in range(2):
        with pytest.raises(RequestError) as caught:
            root.stage(TREE, parent)
        assert caught.value.code is Code.INVALID_ARGUMENT
    root.stage(TREE)

    assert root.found() == TREE


def test_an_output_below_an_input_symlink_goes_where_that_leads(root: Root, inputs) -> None:
    tree = {"real": {}, "out": inputs.Link(target="real")}
    root.stage(tree, "out", "out/sub")

    assert root.found() == {"real": {}, "out": ("->", "real")}


# --- only the difference ---


def test_the_same_tree_again_touches_nothing(root: Root) -> None:
    root.stage(TREE, "out")
    before = root.inodes()

    assert root.stage(TREE, "out") == []
    assert root.inodes() == before


def test_one_changed_file_leaves_every_other_inode_alone(root: Root) -> None:
    root.stage(TREE)
    before = root.inodes()
    root.stage({**TREE, "src": {"b.txt": b"B", "deep": TREE["src"]["deep"]}})
    after = root.inodes()

    assert root.found()["src"]["b.txt"] == b"B"
    changed = {path for path in before if before[path] != after[path]}
    assert changed <= {"src", "src/b.txt"}


def test_equal_folders_are_not_entered(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    root.stage(TREE)
    made: list[str] = []
    real = root.inputs.store.materialise
    monkeypatch.setattr(
        root.inputs.store,
        "materialise",
        lambda digest, path, **options: made.append(path) or real(digest, path, **options),
    )
    root.stage({**TREE, "lib": {"d.txt": b"D", "e.txt": b"e"}})

    assert sorted(made) == ["d.txt", "e.txt"]


def test_only_the_executable_bit_changed_is_a_change(root: Root, inputs) -> None:
    root.stage({"tool": b"x"})
    root.stage({"tool": inputs.File(content=b"x", is_executable=True)})

    assert (root.path / "tool").stat().st_mode & 0o777 == 0o555


def test_only_the_mark_changed_moves_nothing(root: Root, inputs) -> None:
    root.stage({"tool": b"x"})
    before = root.inodes()
    root.stage({"tool": inputs.File(content=b"x", is_tool=True)})

    assert root.inodes() == before


KINDS: dict[str, Callable] = {
    "file": lambda _inputs: b"file",
    "folder": lambda _inputs: {"inside": b"x"},
    "link": lambda inputs: inputs.Link(target="elsewhere"),
    "nothing": lambda _inputs: None,
}


@pytest.mark.parametrize("after", KINDS)
@pytest.mark.parametrize("before", KINDS)
@pytest.mark.parametrize("parents", [((), ()), (("x",), ()), (("x",), ("x/y",))])
def test_a_name_may_become_any_other_kind(
    before: str, after: str, parents: tuple[tuple[str, ...], ...], root: Root, inputs
) -> None:
    def one(kind: str) -> dict:
        node = KINDS[kind](inputs)
        return {"x": node} if node is not None else {}

    def stage(kind: str, above: tuple[str, ...]) -> None:
        if kind == "file" and above:
            with pytest.raises(RequestError, match="input file"):
                root.stage(one(kind), *above)
        else:
            root.stage(one(kind), *above)
            expected = one(kind)
            if kind == "link":
                expected = {"x": ("->", "elsewhere")}
            elif above:
                folder = {**expected.get("x", {}), **({"y": {}} if above == ("x/y",) else {})}
                expected = {"x": folder}
            assert root.found() == expected

    stage(before, parents[0])
    stage(after, parents[1])


def test_parents_that_are_needed_no_more_are_gone(root: Root) -> None:
    root.stage(TREE, "out/a", "src/gen")
    root.stage(TREE, "out/b")

    assert root.found() == {**TREE, "out": {"b": {}}}


# --- what others left ---

LEFTOVERS: dict[str, Callable[[Path, Path], object]] = {
    "file": lambda at, _: at.write_text("left"),
    "folder": lambda at, _: (at / "a/b/c").mkdir(parents=True),
    "symlink to a file": lambda at, outside: at.symlink_to(outside / "file"),
    "symlink to a folder": lambda at, outside: at.symlink_to(outside),
    "symlink to itself": lambda at, _: at.symlink_to(at.name),
    "hard link": lambda at, outside: at.hardlink_to(outside / "file"),
    "fifo": lambda at, _: os.mkfifo(at),
    "closed folder": lambda at, _: ((at / "x").mkdir(parents=True), at.chmod(0)),
    "folder of links": lambda at, outside: (at.mkdir(), (at / "l").symlink_to(outside)),
}


@pytest.mark.parametrize("kind", LEFTOVERS)
@pytest.mark.parametrize("place", ["left", "src/new\nline", "empty/left"])
def test_what_an_action_left_is_removed_and_nothing_else(kind: str, place: str, root: Root) -> None:
    root.stage(TREE)
    before = root.inodes()
    LEFTOVERS[kind](root.path / place, root.outside)
    assert root.stage(TREE) == []

    assert root.found() == TREE
    assert root.outside_is_intact()
    files = [path for path in before if path.endswith(".txt")]
    assert {path: root.inodes()[path] for path in files} == {path: before[path] for path in files}


@pytest.mark.parametrize("kind", LEFTOVERS)
@pytest.mark.parametrize("place", ["a.txt", "src/b.txt", "src/deep", "empty"])
def test_what_stands_in_the_place_of_an_input_is_replaced_and_told(
    kind: str, place: str, root: Root
) -> None:
    root.stage(TREE)
    remove(str(root.path / place))
    LEFTOVERS[kind](root.path / place, root.outside)
    changed = root.stage(TREE)

    assert root.found() == TREE
    assert root.outside_is_intact()
    if "folder" in kind and "symlink" not in kind and "." not in place:
        # Told is the folder itself, or what it should have held.
        assert all(each.startswith(place) for each in changed)
        assert changed or place == "empty"
    else:
        assert changed == [place]


@pytest.mark.parametrize("place", ["src", "src/deep", "empty"])
def test_a_folder_in_the_place_of_another_is_looked_after_like_that(place: str, root: Root) -> None:
    root.stage(TREE)
    for _ in range(3):
        remove(str(root.path / place))
        (root.path / place).mkdir()  # it may get the same inode
        root.stage(TREE)
        (root.path / place / "left").touch()
        root.stage(TREE)
        assert root.found() == TREE


def test_another_folder_in_the_place_of_the_root_is_filled_like_that(root: Root) -> None:
    root.stage(TREE)
    for _ in range(3):
        remove(str(root.path))
        root.path.mkdir()
        root.stage(TREE)
        (root.path / "src/left").touch()
        (root.path / "left").touch()
        root.stage(TREE)
        assert root.found() == TREE


def test_folders_that_changed_places_are_told_apart(root: Root) -> None:
    root.stage(TREE)
    (root.path / "src").rename(root.path / "aside")
    (root.path / "lib").rename(root.path / "src")
    (root.path / "aside").rename(root.path / "lib")
    assert root.stage(TREE)
    (root.path / "src/left").touch()
    (root.path / "lib/left").touch()
    root.stage(TREE)

    assert root.found() == TREE


def test_a_folder_moved_away_and_back_is_the_same(root: Root) -> None:
    root.stage(TREE)
    (root.path / "src").rename(root.outside.parent / "away")
    (root.outside.parent / "away/left").touch()
    (root.outside.parent / "away").rename(root.path / "src")
    root.stage(TREE)

    assert root.found() == TREE


@pytest.mark.parametrize("name", [b"\xff\xfe", "é".encode("latin-1"), b"a\nb", b"-rf *", b"\\"])
def test_leftovers_of_any_name_are_removed(name: bytes, root: Root) -> None:
    root.stage(TREE)
    left = root.path / "src" / os.fsdecode(name)
    left.mkdir()
    (left / "file").touch()
    root.stage(TREE)

    assert root.found() == TREE


def test_a_socket_is_removed(root: Root) -> None:
    root.stage(TREE)
    script = (
        "import os, socket, sys; os.chdir(sys.argv[1]); socket.socket(socket.AF_UNIX).bind('s')"
    )
    subprocess.run([sys.executable, "-c", script, str(root.path)], check=True)
    root.stage(TREE)

    assert root.found() == TREE


def dig(path: Path, depth: int, name: str = "d") -> None:
    """Folders in folders, deeper than any path may be long."""
    fd = os.open(path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


def test_folders_deeper_than_the_stack_and_the_descriptors_reach_are_removed(root: Root) -> None:
    root.stage(TREE)
    dig(root.path / "src", 2_500)
    root.stage(TREE)

    assert root.found() == TREE


def test_a_whole_root_is_removed_whatever_is_in_it(root: Root) -> None:
    root.stage(TREE)
    dig(root.path, 100, "x" * 200)
    for kind, leave in LEFTOVERS.items():
        leave(root.path / "lib" / kind, root.outside)
    remove(str(root.path))
    remove(str(root.path))

    assert not root.path.exists()
    assert root.outside_is_intact()
    assert {each.name for each in root.path.parent.iterdir()} == {"outside", "cas"}


def test_removing_a_symlink_leaves_what_it_leads_to(root: Root) -> None:
    link = root.path / "link"
    link.symlink_to(root.outside)
    remove(str(link))

    assert not link.is_symlink()
    assert root.outside_is_intact()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up the rights of root")
def test_folders_of_any_mode_are_emptied_without_the_rights_of_root() -> None:
    script = """
import os, sys
from rpw_fixture.execution.removal import remove
os.setuid(65534)
root = sys.argv[1]
os.makedirs(f"{root}/top/a/b")
open(f"{root}/top/a/b/file", "w").close()
for path in ("top/a/b", "top/a", "top"):
    os.chmod(f"{root}/{path}", 0)
remove(f"{root}/top")
assert os.listdir(root) == [], os.listdir(root)
"""
    project = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory() as work:
        Path(work).chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", script, work],
            env={"PYTHONPATH": project, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stderr


# --- inputs that were changed ---


def later(path: Path) -> None:
    """Waits until the clock of the file system has moved since ``path`` was changed."""
    probe = path.parent.parent / "clock"
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns > path.stat().st_ctime_ns:
            probe.unlink()
            return


def rewrite(path: Path, content: bytes) -> None:
    """Writes in place and puts mode and time back, as somebody would who wants to hide it."""
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)
    os.utime(path, ns=(INPUT_MTIME_NS, INPUT_MTIME_NS))


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": lambda path: path.write_bytes(b"longer") if not path.chmod(0o644) else None,
    "touched": lambda path: path.touch(),
    "mode": lambda path: path.chmod(0o644),
    "deleted": lambda path: path.unlink(),
    "rewritten with its time put back": lambda path: rewrite(path, b"X"),
    "replaced with its time put back": lambda path: (
        path.unlink(),
        path.touch(),
        rewrite(path, b"X"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("place", ["a.txt", "src/deep/c.txt"])
def test_a_changed_input_is_told_and_restored(change: str, place: str, root: Root) -> None:
    root.stage(TREE)
    before = (root.path / "lib/d.txt").stat().st_ino
    later(root.path / "a.txt")
    CHANGES[change](root.path / place)

    assert root.stage(TREE) == [place]
    assert root.found() == TREE
    assert (root.path / "lib/d.txt").stat().st_ino == before
    assert root.stage(TREE) == []


def test_a_changed_symlink_is_told_and_restored(root: Root, inputs) -> None:
    tree = {"link": inputs.Link(target="a"), "a": b"a"}
    root.stage(tree)
    (root.path / "link").unlink()
    (root.path / "link").symlink_to(root.outside)

    assert root.stage(tree) == ["link"]
    assert root.found()["link"] == ("->", "a")
    assert root.outside_is_intact()


def test_a_deleted_folder_is_told_once_and_restored_whole(root: Root) -> None:
    root.stage(TREE)
    remove(str(root.path / "src"))

    assert root.stage(TREE) == ["src"]
    assert root.found() == TREE


def test_an_input_that_somebody_only_linked_is_not_told_as_changed(root: Root) -> None:
    root.stage(TREE)
    later(root.path / "a.txt")
    inode = (root.path / "a.txt").stat().st_ino
    (root.path / "src/copy").hardlink_to(root.path / "a.txt")

    assert root.stage(TREE) == []
    assert root.found() == TREE
    assert (root.path / "a.txt").stat().st_ino == inode


def test_a_changed_input_is_never_what_the_store_gives_out(root: Root) -> None:
    root.stage(TREE)
    (root.path / "a.txt").chmod(0o644)
    (root.path / "a.txt").write_bytes(b"poison")

    assert root.inputs.store.get(SHA256.of(b"a")) == b"a"


def test_a_folder_made_inaccessible_is_given_back(root: Root) -> None:
    root.stage(TREE)
    (root.path / "src").chmod(0)
    root.path.chmod(0o500)

    assert root.stage(TREE) == []
    assert (root.path / "src").stat().st_mode & 0o700 == 0o700
    assert root.path.stat().st_mode & 0o700 == 0o700


def test_a_root_that_is_gone_or_replaced_is_an_error_and_is_not_followed(root: Root) -> None:
    root.stage(TREE)
    remove(str(root.path))
    with pytest.raises(FileNotFoundError):
        root.stage(TREE)
    root.path.symlink_to(root.outside)
    with pytest.raises(NotADirectoryError):
        root.stage(TREE)

    assert root.outside_is_intact()


# --- failures in between ---


def test_a_blob_that_has_gone_is_named_and_the_next_try_mends_all(root: Root, cas: Cas) -> None:
    folder = root.inputs.folder(TREE)
    cas.evict(lambda _function, digest: digest == SHA256.of(b"c"))
    with pytest.raises(BlobMissingError) as caught:
        root.stage(folder)
    assert caught.value.missing == (f"blobs/{SHA256.of(b'c')}",)
    root.inputs.store.put(b"c")
    root.stage(folder)

    assert root.found() == TREE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    libc = ctypes.CDLL(None, use_errno=True)
    disk = tmp_path / "disk"
    disk.mkdir()
    if libc.mount(b"none", os.fsencode(disk), b"tmpfs", 0, b"size=256k"):
        pytest.skip(f"no mount here: {os.strerror(ctypes.get_errno())}")
    yield disk
    libc.umount2(os.fsencode(disk), 2)


def test_a_full_disk_is_told_and_once_there_is_room_the_tree_is_whole(
    small_disk: Path, inputs
) -> None:
    root = Root(small_disk, inputs)
    tree = {"d": {str(number): bytes([number]) * 40_000 for number in range(10)}}
    with pytest.raises(RequestError) as caught:
        root.stage(tree)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    smaller = {"d": {name: tree["d"][name] for name in "123"}}
    root.stage(smaller)

    assert root.found() == smaller


@pytest.mark.parametrize("after", range(1, 6))
def test_a_disk_that_fails_anywhere_leaves_nothing_half_written_behind(
    after: int, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.stage({"a.txt": b"old", "src": {"gone": b"x"}})
    real, calls = os.utime, iter(range(1, 100))

    def failing(*arguments, **options) -> None:
        if next(calls) == after:
            raise OSError(errno.EIO, "broken disk")
        real(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "utime", failing)
        if after <= 4:
            with pytest.raises(OSError, match="broken disk"):
                root.stage(TREE)
        else:
            root.stage(TREE)

    assert root.stage(TREE) == []
    assert root.found() == TREE


def test_leftovers_are_found_again_when_removing_one_of_them_failed(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.stage(TREE)
    for place in ("src/left", "lib/left", "empty/left"):
        (root.path / place).touch()

    def failing(*_arguments, **_options) -> None:
        raise OSError(errno.EIO, "broken disk")

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", failing)
        with pytest.raises(OSError, match="broken disk"):
            root.stage(TREE)
    root.stage(TREE)

    assert root.found() == TREE


# --- trees that share one root ---


def test_a_second_tree_is_added_and_nothing_of_the_first_is_touched(root: Root) -> None:
    root.stage(TREE, "out")
    (root.path / "out/first").write_text("at work")
    (root.path / "scratch").mkdir()
    before = root.inodes()
    root.add({"src": {"new": b"n", "deep": TREE["src"]["deep"]}, "more": {"m": b"m"}}, "out/second")
    after = root.inodes()

    assert (root.path / "src/new").read_bytes() == b"n"
    assert (root.path / "more/m").read_bytes() == b"m"
    assert (root.path / "out/second").is_dir()
    assert {path: after[path][0] for path in before} == {path: before[path][0] for path in before}


def test_after_sharing_one_tree_alone_is_staged_exactly(root: Root) -> None:
    root.stage(TREE)
    root.add({"more": {"m": b"m"}}, "out")
    root.stage({"more": {"m": b"m"}, "a.txt": b"a"})

    assert root.found() == {"more": {"m": b"m"}, "a.txt": b"a"}


def test_what_an_ended_request_placed_gives_way_to_a_newer_one(root: Root, inputs) -> None:
    root.stage({"f": b"old", "folder": {"x": b"x"}, "file": b"x", "l": inputs.Link(target="a")})
    root.add({"f": b"new", "folder": b"now a file", "file": {"y": b"y"}, "l": {"z": b"z"}})

    assert root.found() == {
        "f": b"new",
        "folder": b"now a file",
        "file": {"y": b"y"},
        "l": {"z": b"z"},
    }


@pytest.mark.parametrize("kind", LEFTOVERS)
def test_leftovers_where_inputs_belong_make_room(kind: str, root: Root) -> None:
    root.stage({})
    LEFTOVERS[kind](root.path / "f", root.outside)
    if kind not in {"folder", "closed folder", "folder of links"}:
        LEFTOVERS[kind](root.path / "d", root.outside)
    root.add({"f": b"input", "d": {"x": b"x"}}, "d/out")

    assert root.found() == {"f": b"input", "d": {"x": b"x", "out": {}}}
    assert root.outside_is_intact()


def test_older_outputs_are_removed_before_a_request_that_declares_them(root: Root) -> None:
    root.stage({}, "out")
    (root.path / "out/o").write_text("stale")
    (root.path / "out/folder").mkdir()
    (root.path / "out/folder/o").write_text("stale")
    (root.path / "out/other").write_text("somebody's")
    root.add({}, "out", outputs=("out/o", "out/folder", "missing/o"))

    assert root.found() == {"out": {"other": b"somebody's"}}


def test_an_older_output_that_is_an_input_now_stays(root: Root) -> None:
    root.stage({"o": b"input"})
    root.add({"o": b"input"}, outputs=("o",))

    assert root.found() == {"o": b"input"}
    assert root.stage({"o": b"input"}) == []


@pytest.mark.parametrize("output", ["link/file", "link/folder", "link", "real/link/file"])
def test_removing_outputs_is_never_led_outside(output: str, root: Root) -> None:
    root.stage({"real": {}})
    (root.path / "link").symlink_to(root.outside)
    (root.path / "real/link").symlink_to(root.outside)
    root.add({"real": {}}, outputs=(output,))

    assert root.outside_is_intact()


def test_adding_below_an_input_symlink_or_file_is_as_in_staging(root: Root, inputs) -> None:
    root.stage({"l": inputs.Link(target="elsewhere")})
    root.add({"l": inputs.Link(target="elsewhere")}, "l")
    with pytest.raises(RequestError, match="input file"):
        root.add({"f": b"f"}, "f")

    assert root.found()["l"] == ("->", "elsewhere")
