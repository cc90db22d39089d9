"""Snapshots of an input root that its worker may still be changing."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.trials import snapshot
from rpw_fixture.hermeticity.trials.run_folder import plant
from rpw_fixture.storage.cas import Cas
from rpw_fixture.support.beneath import Beneath, OwnFolder
from rpw_fixture.support.removal import remove
from rpw_fixture.wire.digests import SHA256, Digest, DigestFunctions
from rpw_fixture.wire.trees import FileEntry, Folder, SymlinkEntry
from tests.mounting import mount, nothing_mounted, require_mounts

NO_INPUTS = Folder(Digest("0", 0), {}, {}, {})


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Beneath]:
    """An input root with a folder of outputs, beside a folder that must stay unread."""
    (tmp_path / "secret/deep").mkdir(parents=True)
    (tmp_path / "secret/file").write_text("secret")
    (tmp_path / "secret/deep/file").write_text("secret")
    (tmp_path / "root/out/deep").mkdir(parents=True)
    (tmp_path / "root/out/file").write_text("output")
    (tmp_path / "root/out/deep/file").write_text("output")
    with OwnFolder(str(tmp_path)) as own:
        yield own.at("root")


@pytest.fixture
def cas(tmp_path: Path) -> Iterator[Cas]:
    made = Cas(
        DigestFunctions(["SHA256"]),
        folder=tmp_path / "cas",
        memory_bytes=1 << 20,
        spill_threshold=1 << 10,
        max_bytes=1 << 20,
        durable=False,
    )
    with contextlib.closing(made):
        yield made


def swap(root: Beneath) -> None:
    """Puts a link in the place of the folder of outputs."""
    out = Path(root.path, "out")
    out.rename(out.with_name("moved"))
    out.symlink_to("../secret")


def compared(
    root: Beneath, cas: Cas, before: dict[str, snapshot.FileState]
) -> snapshot.RootChanges:
    return snapshot.compare(
        root, before, inputs=NO_INPUTS, outputs=("out",), store=cas.store(SHA256)
    )


def test_outputs_are_seen_with_their_content(root: Beneath, cas: Cas) -> None:
    Path(root.path, "out/link").symlink_to("file")
    found = compared(root, cas, {})

    assert sorted(found.outputs) == ["out", "out/deep", "out/deep/file", "out/file", "out/link"]
    assert found.outputs["out/file"] == str(SHA256.of(b"output"))
    assert found.outputs["out/link"] == "-> file"


@pytest.mark.parametrize("moment", range(1, 12))
def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(
    moment: int, root: Beneath, cas: Cas, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(1, 1000))

    def swapping(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if next(calls) == moment:
                swap(root)
            return real(*arguments, **options)

        return call

    for name in ("scandir", "open", "fstat", "read", "close"):
        monkeypatch.setattr(os, name, swapping(getattr(os, name)))
    found = compared(root, cas, {})
    monkeypatch.undo()

    assert str(SHA256.of(b"secret")) not in found.outputs.values()
    assert not cas.store(SHA256).contains(SHA256.of(b"secret"))


def test_a_root_that_is_gone_or_a_link_shows_nothing(root: Beneath, cas: Cas) -> None:
    before = snapshot.look(root)
    Path(root.path).rename(f"{root.path}-moved")
    assert snapshot.look(root) == {}
    Path(root.path).symlink_to("secret")
    assert snapshot.look(root) == {}
    assert snapshot.count_files(root) == 0
    assert compared(root, cas, before).outputs == {}


def test_a_mount_is_not_entered(root: Beneath, cas: Cas) -> None:
    require_mounts(Path(root.own.path))
    with nothing_mounted(Path(root.path)):
        mount("--bind", f"{root.own.path}/secret", f"{root.path}/out/deep")
        found = compared(root, cas, {})
    assert sorted(found.outputs) == ["out", "out/deep", "out/file"]


def test_folders_deeper_than_descriptors_reach_are_not_looked_into(root: Beneath) -> None:
    fd = os.open(root.path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert 100 < len(snapshot.look(root)) < 500
    assert remove(root.path) == []


@pytest.mark.parametrize("there", ["nothing", "file", "link", "folder"])
def test_a_file_is_planted_in_the_place_of_anything(there: str, root: Beneath) -> None:
    path = Path(root.path, "new/place/file")
    if there != "nothing":
        path.parent.mkdir(parents=True)
    match there:
        case "file":
            path.write_text("old")
        case "link":
            path.symlink_to("../../../secret/file")
        case "folder":
            (path / "below").mkdir(parents=True)
    plant(root, "new/place/file", b"planted")

    assert path.read_bytes() == b"planted"
    assert Path(root.own.path, "secret/file").read_text() == "secret"


def test_nothing_is_planted_through_a_link(root: Beneath) -> None:
    swap(root)
    with pytest.raises(NotADirectoryError):
        plant(root, "out/file", b"planted")
    with pytest.raises(NotADirectoryError):
        plant(root, "out/new/file", b"planted")

    assert Path(root.own.path, "secret/file").read_text() == "secret"


def test_bytecode_is_no_stray_not_even_while_it_is_written(root: Beneath, cas: Cas) -> None:
    """On a loaded machine, Python is at it when the folder is looked at before the first request."""
    cache = Path(root.path, "tools", "__pycache__")
    cache.mkdir(parents=True)
    unfinished = cache / "kit.cpython-311.pyc.139892562757936"
    unfinished.write_bytes(b"")
    before = snapshot.look(root)
    assert compared(root, cas, {}).strays == ()
    unfinished.rename(cache / "kit.cpython-311.pyc")
    (cache / "notes.txt").write_text("left")

    assert compared(root, cas, before).strays == ("tools/__pycache__/notes.txt",)


# --- inputs and undeclared files ---

INPUTS = Folder(
    Digest("0", 0),
    {"file": FileEntry(SHA256.of(b"input"), False, False)},
    {"in": Folder(Digest("1", 0), {"deep": FileEntry(SHA256.of(b"deep"), False, False)}, {}, {})},
    {"link": SymlinkEntry("file", False)},
)


@pytest.fixture
def staged(root: Beneath) -> Path:
    """The input root with inputs, and undeclared files that were there before."""
    path = Path(root.path)
    (path / "in").mkdir()
    (path / "in/deep").write_bytes(b"deep")
    (path / "file").write_bytes(b"input")
    (path / "link").symlink_to("file")
    (path / "stray").write_bytes(b"x")
    (path / "folder").mkdir()
    return path


def replaced_by(kind: str, path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove(str(path))
    else:
        path.unlink(missing_ok=True)
    match kind:
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("elsewhere")
        case "fifo":
            os.mkfifo(path)
        case "same":
            path.write_bytes(b"input")
        case "other":
            path.write_bytes(b"other")
        case "longer":
            path.write_bytes(b"input and more")


CHANGES = {
    # what is done to which path: changed inputs, undeclared files
    ("file", "same"): ((), ()),
    ("file", "other"): (("file",), ()),
    ("file", "longer"): (("file",), ()),
    ("file", "gone"): (("file",), ()),
    ("file", "folder"): (("file",), ()),
    ("file", "link"): (("file",), ()),
    ("file", "fifo"): (("file",), ()),
    ("link", "same"): (("link",), ()),
    ("link", "link"): (("link",), ()),
    ("link", "gone"): (("link",), ()),
    ("in", "gone"): (("in", "in/deep"), ()),
    ("in", "other"): (("in", "in/deep"), ()),
    ("in/deep", "other"): (("in/deep",), ()),
    ("stray", "other"): ((), ("stray",)),
    ("stray", "fifo"): ((), ("stray",)),
    ("stray", "gone"): ((), ("stray (deleted)",)),
    ("stray", "folder"): ((), ()),
    ("folder", "gone"): ((), ("folder (deleted)",)),
    ("new", "other"): ((), ("new",)),
    ("new", "link"): ((), ("new",)),
    ("new", "folder"): ((), ()),
    ("out/file", "gone"): ((), ()),
    ("out/new", "other"): ((), ()),
}


@pytest.mark.parametrize(("path", "kind"), CHANGES)
def test_each_change_of_the_root_is_told(
    path: str, kind: str, staged: Path, root: Beneath, cas: Cas
) -> None:
    before = snapshot.look(root)
    replaced_by(kind, staged / path)
    found = snapshot.compare(root, before, inputs=INPUTS, outputs=("out",), store=cas.store(SHA256))
    assert (found.changed_inputs, found.strays) == CHANGES[path, kind]
    assert all(each.startswith("out") for each in found.outputs)


@pytest.mark.usefixtures("staged")
def test_nothing_is_told_of_a_root_that_stayed_as_it_was(root: Beneath, cas: Cas) -> None:
    before = snapshot.look(root)
    found = snapshot.compare(root, before, inputs=INPUTS, outputs=(), store=cas.store(SHA256))
    assert found == snapshot.RootChanges(outputs={}, changed_inputs=(), strays=())
    assert snapshot.count_files(root) == 6  # links too, folders not


def test_outputs_of_each_kind_are_told(staged: Path, root: Beneath, cas: Cas) -> None:
    (staged / "out/file").chmod(0o755)
    (staged / "out/link").symlink_to("nowhere")
    os.mkfifo(staged / "out/fifo")
    found = compared(root, cas, {}).outputs
    assert found["out"] == found["out/deep"] == "folder"
    assert found["out/file"] == f"{SHA256.of(b'output')} executable"
    assert found["out/deep/file"] == str(SHA256.of(b"output"))
    assert found["out/link"] == "-> nowhere"
    assert found["out/fifo"] == "not a file, folder or link"
    assert cas.store(SHA256).get(SHA256.of(b"output")) == b"output"


def test_an_output_that_can_not_be_read_is_told_as_such(
    staged: Path, root: Beneath, cas: Cas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Digest:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(snapshot, "put_file", refuse)
    assert compared(root, cas, {}).outputs["out/file"] == "unreadable: Permission denied"
    assert staged.exists()


def test_states_and_contents_of_chosen_paths_are_read(staged: Path, root: Beneath) -> None:
    paths = ("file", "in/deep", "in", "link", "absent", "absent/file", "out/file")
    assert set(snapshot.look_at(root, paths)) == {"file", "in/deep", "link", "out/file"}
    everything = snapshot.look(root)
    assert all(everything[path] == state for path, state in snapshot.look_at(root, paths).items())
    assert snapshot.contents(root, paths, 4) == {
        "file": b"inpu",
        "in/deep": b"deep",
        "out/file": b"outp",
    }
    remove(str(staged))
    assert snapshot.look_at(root, paths) == {}
    assert snapshot.contents(root, paths, 4) == {}
