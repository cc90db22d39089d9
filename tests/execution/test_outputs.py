from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rpw_fixture.errors import Code
from rpw_fixture.execution import outputs
from rpw_fixture.execution.output_lookup import OutputsChangedError
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import remote_execution as reapi

from .collected_outputs import Work, digest_of

# --- files ---


def test_a_file_is_stored_and_reported_by_the_path_that_was_asked_for(work: Work) -> None:
    work.write("out/a.txt", "content")
    outputs = work.collect("out/a.txt")
    (file,) = outputs.result.output_files

    assert file.path == "out/a.txt"
    assert work.store.get(SHA256.validate(file.digest)) == b"content"
    assert not file.is_executable
    assert [(each.path, each.digest) for each in outputs.files] == [
        ("out/a.txt", str(SHA256.of(b"content")))
    ]


@pytest.mark.parametrize(
    ("mode", "is_executable"), [(0o644, False), (0o755, True), (0o500, True), (0o455, False)]
)
def test_the_owners_bit_tells_what_is_executable(
    mode: int, is_executable: bool, work: Work
) -> None:
    work.write("out", mode=mode)
    work.write("folder/out", mode=mode)
    result = work.collect("out", "folder").result
    tree = work.tree("folder")

    assert result.output_files[0].is_executable == is_executable
    assert tree.root.files[0].is_executable == is_executable


def test_what_does_not_exist_is_left_out(work: Work) -> None:
    work.write("file")
    outputs = work.collect("missing", "missing/deep", "file/below")

    assert outputs.result == reapi.ActionResult()
    assert outputs.files == []


def test_a_link_to_itself_on_the_way_means_that_nothing_is_there(work: Work) -> None:
    work.link("loop", "loop")

    assert work.collect("loop/x").result == reapi.ActionResult()


def test_paths_are_relative_to_the_working_directory(work: Work) -> None:
    work.write("work/dir/out", "right")
    work.write("out", "wrong")
    (file,) = work.collect("out", working_directory="work/dir").result.output_files

    assert file.path == "out"
    assert work.store.get(SHA256.validate(file.digest)) == b"right"


def test_a_path_may_leave_the_working_directory_and_is_echoed_as_declared(work: Work) -> None:
    work.write("a/out/file", "inside", mode=0o755)
    work.link("a/link", "out/file")
    outputs = work.collect("../../out", "../../out/file", "../../link", working_directory="a/b/c")

    (folder,) = outputs.result.output_directories
    (file,) = outputs.result.output_files
    (link,) = outputs.result.output_symlinks
    assert (folder.path, file.path, link.path) == ("../../out", "../../out/file", "../../link")
    assert {each.path for each in outputs.files} == {"../../out/file"}
    assert work.tree("../../out", working_directory="a/b/c").root.files[0].name == "file"


def test_node_properties_come_with_outputs_beside_the_working_directory(work: Work) -> None:
    work.write("out/file", mode=0o755)
    outputs = work.collect(
        "../file", "../out", working_directory="w", output_node_properties=["unix_mode"]
    )
    tree = work.tree("../out", working_directory="w", output_node_properties=["unix_mode"])

    assert not outputs.result.output_files
    assert tree.root.files[0].node_properties.unix_mode.value == 0o755


@pytest.mark.parametrize(
    ("path", "folder"), [("", ""), (".", ""), ("..", "w"), ("../..", "w/x"), ("w/..", "")]
)
def test_the_whole_input_root_may_be_an_output(work: Work, path: str, folder: str) -> None:
    work.write("w/x/file")
    outputs = work.collect(path, working_directory=folder)

    (found,) = outputs.result.output_directories
    assert found.path == path
    assert len(outputs.files) == 1


def test_an_input_that_is_declared_as_an_output_is_collected(work: Work) -> None:
    work.write("src/in.txt", "as it is now")

    assert work.collect("src/in.txt").result.output_files[0].digest.size_bytes == 12


def test_outputs_keep_the_order_in_which_they_are_declared(work: Work) -> None:
    for name in "abc":
        work.write(name)

    assert [each.path for each in work.collect("c", "a", "b").result.output_files] == [
        "c",
        "a",
        "b",
    ]


@pytest.mark.parametrize("path", ["a//b", "./a/b", "a/./b"])
def test_a_path_is_echoed_exactly(path: str, work: Work) -> None:
    work.write("a/b")

    assert work.collect(path).result.output_files[0].path == path


# --- folders ---


def test_a_folder_becomes_a_tree_of_all_that_is_in_it(work: Work) -> None:
    work.write("out/b/c/deep", "d")
    work.write("out/a", "a")
    work.link("out/link", "b/c")
    (work.root / "out/empty").mkdir()
    tree = work.tree()
    outputs = work.collect("out")

    assert [each.name for each in tree.root.files] == ["a"]
    assert [(each.name, each.target) for each in tree.root.symlinks] == [("link", "b/c")]
    assert [each.name for each in tree.root.directories] == ["b", "empty"]
    assert len(tree.children) == 3
    assert sorted(each.path for each in outputs.files) == ["out/a", "out/b/c/deep"]


def test_an_empty_folder_is_a_tree_with_an_empty_root(work: Work) -> None:
    (work.root / "out").mkdir()
    (output,) = work.collect("out").result.output_directories

    assert work.store.get(SHA256.validate(output.tree_digest)) == b"\x0a\x00"
    assert SHA256.validate(output.root_directory_digest) == SHA256.empty


def test_folders_of_equal_content_stand_once_after_all_their_parents(work: Work) -> None:
    for place in ("a/shared", "b/x/shared", "b/shared", "shared", "z/y/x/w"):
        work.write(f"out/{place}/lib/file", "same")
    tree = work.tree()

    assert len(tree.children) == len({digest_of(each) for each in tree.children}) == 7


def test_a_folder_that_is_child_and_grandchild_stands_after_the_deepest(work: Work) -> None:
    # e/ is empty everywhere: a child of the root and of a/b/c/d at the same time.
    (work.root / "out/a/b/c/d/e").mkdir(parents=True)
    (work.root / "out/a/e").mkdir()
    (work.root / "out/e").mkdir()
    tree = work.tree()

    assert tree.children[-1] == reapi.Directory()
    assert len(tree.children) == 5


def test_equal_folders_have_equal_trees_whatever_the_order_on_disk(work: Work) -> None:
    names = ["z", "a", "é", "B", "10", "9", "a.b", "a-b", "🙂"]
    for name in names:
        work.write(f"one/{name}", name)
        work.write(f"one/d/{name}/x")
    for name in reversed(names):
        work.write(f"two/d/{name}/x")
        work.write(f"two/{name}", name)
    one, two = work.collect("one", "two").result.output_directories

    assert one.tree_digest == two.tree_digest
    work.tree("one")


def test_the_whole_working_directory_may_be_an_output(work: Work) -> None:
    work.write("work/a")
    work.write("other")
    outputs = work.collect(output_directories=[""], working_directory="work")

    assert outputs.result.output_directories[0].path == ""
    assert [each.path for each in outputs.files] == ["a"]


def test_a_slash_at_the_end_of_a_folders_path_changes_only_what_is_echoed(work: Work) -> None:
    work.write("out/a")
    outputs = work.collect("out/")

    assert outputs.result.output_directories[0].path == "out/"
    assert [each.path for each in outputs.files] == ["out/a"]


def test_the_deepest_folder_is_collected_and_one_deeper_is_refused(work: Work) -> None:
    deepest = work.root / "out" / "/".join("d" * 199)
    deepest.mkdir(parents=True)
    assert len(work.tree().children) == 199
    (deepest / "d").mkdir()

    assert "200 folders deep" in work.refused("out")


def test_a_wide_folder_is_collected(work: Work) -> None:
    (work.root / "out").mkdir()
    for number in range(1000):
        (work.root / f"out/{number}").touch()

    assert len(work.tree().root.files) == 1000


# --- symlinks ---


@pytest.mark.parametrize("target", ["file", "folder", "missing", "/etc/passwd", "../..", "out"])
def test_a_symlink_is_reported_verbatim_and_not_followed(target: str, work: Work) -> None:
    work.write("file")
    (work.root / "folder").mkdir()
    work.link("out", target)
    result = work.collect("out").result

    assert [(each.path, each.target) for each in result.output_symlinks] == [("out", target)]
    result.ClearField("output_symlinks")
    assert result == reapi.ActionResult()


def test_a_symlink_stays_one_even_with_a_slash_behind_it(work: Work) -> None:
    work.write("folder/a")
    work.link("out", "folder")
    result = work.collect("out/").result

    assert [each.target for each in result.output_symlinks] == ["folder"]
    assert not result.output_directories


def test_symlinks_inside_folders_are_reported_verbatim(work: Work) -> None:
    work.link("out/absolute", work.outside)
    work.link("out/dangling", "nowhere")
    tree = work.tree()

    assert [each.target for each in tree.root.symlinks] == [str(work.outside), "nowhere"]
    assert not tree.root.directories


@pytest.mark.parametrize(
    ("target", "declared"),
    [("file", "file"), ("folder", "folder"), ("missing", "file"), ("missing", "folder")],
)
def test_older_clients_get_a_symlink_in_the_list_of_its_declared_type_too(
    target: str, declared: str, work: Work
) -> None:
    work.write("file")
    (work.root / "folder").mkdir()
    work.link("out", target)
    lists = {"file": "output_files", "folder": "output_directories"}
    result = work.collect(**{lists[declared]: ["out"]}).result
    told = {
        "file": [each.target for each in result.output_file_symlinks],
        "folder": [each.target for each in result.output_directory_symlinks],
    }

    assert told.pop(declared) == [target]
    assert told.popitem()[1] == []
    assert [each.target for each in result.output_symlinks] == [target]


@pytest.mark.parametrize(
    ("target", "fields"),
    [("folder", {"output_files": ["out"]}), ("file", {"output_directories": ["out"]})],
)
def test_a_symlink_to_the_wrong_type_is_refused_for_older_clients(
    target: str, fields: dict, work: Work
) -> None:
    work.write("file")
    (work.root / "folder").mkdir()
    work.link("out", target)

    assert "'out'" in work.refused(**fields)


def test_an_output_behind_a_link_inside_the_root_is_collected(work: Work) -> None:
    work.write("real/out", "x")
    work.link("link", "real")

    assert work.collect("link/out").result.output_files[0].path == "link/out"


@pytest.mark.parametrize("path", ["link/file", "link/folder", "deep/link/file"])
def test_an_output_behind_a_link_out_of_the_root_is_refused(path: str, work: Work) -> None:
    work.link("link", work.outside)
    work.link("deep/link", "../../outside")
    message = work.refused(path)

    assert repr(path) in message
    assert not work.store.contains(SHA256.of(b"secret"))


def test_a_working_directory_that_became_a_link_out_of_the_root_is_refused(work: Work) -> None:
    work.link("work", work.outside)

    work.refused("file", working_directory="work")
    assert not work.store.contains(SHA256.of(b"secret"))


def test_a_root_that_begins_like_the_real_one_is_outside(work: Work) -> None:
    beside = work.root.with_name("root-beside")
    beside.mkdir()
    (beside / "file").write_text("secret")
    work.link("link", beside)

    work.refused("link/file")


# --- what is no output ---


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"output_files": ["folder"]}, "declared as a file, but is a folder"),
        ({"output_directories": ["file"]}, "declared as a folder, but is a file"),
    ],
)
def test_the_wrong_type_is_refused_for_older_clients(fields: dict, told: str, work: Work) -> None:
    work.write("file")
    (work.root / "folder").mkdir()

    assert told in work.refused(**fields)


def test_older_clients_get_files_and_folders_by_their_lists(work: Work) -> None:
    work.write("f")
    work.write("d/x")
    result = work.collect(output_files=["f", "no"], output_directories=["d", "neither"]).result

    assert [each.path for each in result.output_files] == ["f"]
    assert [each.path for each in result.output_directories] == ["d"]


@pytest.mark.parametrize("fields", [{"output_files": ["fifo"]}, {"output_paths": ["fifo"]}])
def test_a_fifo_is_refused_without_waiting_for_a_writer(fields: dict, work: Work) -> None:
    os.mkfifo(work.root / "fifo")
    paths = fields.pop("output_paths", ())

    assert "'fifo'" in work.refused(*paths, **fields)


def test_a_fifo_inside_a_folder_is_left_out(work: Work) -> None:
    work.write("out/a")
    os.mkfifo(work.root / "out/fifo")

    assert [each.name for each in work.tree().root.files] == ["a"]


@pytest.mark.parametrize("place", ["file", "folder", "link", "target"])
def test_a_name_that_is_no_utf8_is_refused_and_shown(place: str, work: Work) -> None:
    (work.root / "out").mkdir()
    name = os.fsencode(work.root / "out") + b"/bad\xff"
    match place:
        case "file":
            Path(os.fsdecode(name)).touch()
        case "folder":
            Path(os.fsdecode(name)).mkdir()
        case "link":
            Path(os.fsdecode(name)).symlink_to("x")
        case "target":
            (work.root / "out/link").symlink_to(os.fsdecode(b"bad\xff"))

    assert "bad\\xff" in work.refused("out")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up the rights of root")
@pytest.mark.parametrize("place", ["out", "out/file", "out/sub"])
def test_an_output_that_can_not_be_read_is_refused_by_its_path(place: str) -> None:
    script = """
import os, sys
from pathlib import Path
from rpw_fixture.errors import RequestError
from rpw_fixture.wire.command import decode_command
from rpw_fixture.support.beneath import OwnFolder
from rpw_fixture.execution.outputs import collect
from rpw_fixture.execution.results import Timeline
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import SHA256, DigestFunctions
from rpw_fixture.wire.protos import remote_execution as re
work, place = Path(sys.argv[1]), sys.argv[2]
os.setuid(65534)
(work / "out/sub").mkdir(parents=True)
(work / "out/file").touch()
(work / place).chmod(0)
cas = Cas(DigestFunctions(["SHA256"]), folder=work / "cas", memory_bytes=1000,
          spill_threshold=1000, max_bytes=10000, durable=False)
data = re.Command(arguments=["x"], output_paths=["out"]).SerializeToString()
try:
    root = OwnFolder(str(work.parent)).at(work.name)
    collect(root, decode_command(SHA256.of(data), data), cas.store(SHA256), timeline=Timeline())
except RequestError as error:
    print(error.code.name, error.message)
finally:
    (work / place).chmod(0o700)
"""
    project = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", script, folder, place],
            env={"PYTHONPATH": project, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.stdout.startswith("FAILED_PRECONDITION"), done.stderr
    assert place in done.stdout


# --- node properties ---


def test_properties_are_reported_only_when_asked_for(work: Work) -> None:
    path = work.write("out/a", mode=0o640)
    os.utime(path, ns=(1, 1_500_000_000_123_456_789))
    asked = work.collect("out/a", output_node_properties=["mtime", "unix_mode"]).result
    tree = work.tree(output_node_properties=["unix_mode"])
    properties = asked.output_files[0].node_properties

    assert properties.mtime.ToNanoseconds() == 1_500_000_000_123_456_789
    assert properties.unix_mode.value == 0o640
    assert tree.root.files[0].node_properties.unix_mode.value == 0o640
    assert not tree.root.files[0].node_properties.HasField("mtime")
    assert not work.collect("out/a").result.output_files[0].HasField("node_properties")


# --- outputs that change while they are collected ---


def remove_file(work: Work) -> None:
    (work.root / "out/d/file").unlink()


def remove_all(work: Work) -> None:
    shutil.rmtree(work.root / "out")


def folder_to_link(work: Work) -> None:
    (work.root / "out/d").rename(work.root / "moved")
    (work.root / "out/d").symlink_to(work.outside)


def file_to_link(work: Work) -> None:
    (work.root / "out/d/file").unlink()
    (work.root / "out/d/file").symlink_to(work.outside / "file")


def file_to_fifo(work: Work) -> None:
    (work.root / "out/d/file").unlink()
    os.mkfifo(work.root / "out/d/file")


@pytest.mark.parametrize("moment", [1, 2])
@pytest.mark.parametrize(
    "misdeed", [remove_file, remove_all, folder_to_link, file_to_link, file_to_fifo]
)
def test_an_output_that_changes_after_it_was_seen_is_the_actions_fault(
    misdeed: Callable[[Work], None], moment: int, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.write("out/d/file", "content")
    real, calls = outputs._sorted_entries, iter(range(1, 10))

    def listing(folder: int) -> list[os.DirEntry[str]]:
        entries = list(real(folder))
        if next(calls) == moment:
            misdeed(work)
        return entries

    monkeypatch.setattr(outputs, "_sorted_entries", listing)
    if (moment, misdeed) in {(1, remove_all), (1, folder_to_link)} or (
        moment == 2 and misdeed is not folder_to_link
    ):
        with pytest.raises(OutputsChangedError, match="'out/d") as caught:
            work.collect("out")
        assert caught.value.code is Code.FAILED_PRECONDITION
    else:  # it was seen as it is now, or opened already
        files = work.collect("out").files
        assert {each.digest for each in files} <= {str(SHA256.of(b"content"))}
    assert not work.store.contains(SHA256.of(b"secret"))


def test_a_root_that_became_a_link_is_not_followed(work: Work) -> None:
    work.write("file", "content")
    work.root.rename(work.root.with_name("moved"))
    work.root.symlink_to(work.outside)

    assert "in the place of its input root" in work.refused("file")
    assert not work.store.contains(SHA256.of(b"secret"))


def test_of_a_root_that_is_gone_nothing_is_collected(work: Work) -> None:
    work.root.rmdir()

    assert work.collect("file", "folder").result == reapi.ActionResult()
    assert work.collect(output_directories=["folder"]).files == []


def test_the_target_of_a_link_is_not_looked_at_outside_of_the_root(work: Work) -> None:
    work.link("out", work.outside / "file")  # a file, though a folder was declared

    result = work.collect(output_directories=["out"]).result
    assert [each.target for each in result.output_directory_symlinks] == [f"{work.outside}/file"]
