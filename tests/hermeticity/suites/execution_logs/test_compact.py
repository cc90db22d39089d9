"""Compact logs: entries that name each other become actions."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.execution_logs.reader import load
from rpw_fixture.hermeticity.suites.execution_logs.spawns import LoggedSpawn
from rpw_fixture.wire.protos import spawn
from tests.hermeticity.suites.execution_logs.logs import (
    Entry,
    digest,
    entry,
    input_set,
    invocation,
    write_compact,
)


def read(tmp_path: Path, *entries: Entry) -> list[LoggedSpawn]:
    return load(write_compact(tmp_path / "log.zst", *entries))


def spawn_entry(**fields: object) -> Entry:
    return Entry(spawn=Entry.Spawn(**{"args": ["tool", "@x.params"], **fields}))


def paths(found: LoggedSpawn) -> list[str]:
    return [each.path for each in found.inputs]


def test_sets_are_joined_and_tools_marked(tmp_path: Path) -> None:
    (found,) = read(
        tmp_path,
        invocation(),
        entry(1, "a", b"a"),
        entry(2, "b", b"b"),
        entry(3, "tool", b"t"),
        input_set(10, 3),
        input_set(11, 1),
        input_set(12, 2, sets=[11]),
        input_set(13, sets=[12, 11, 10]),
        entry(4, "out", b"o"),
        spawn_entry(
            input_set_id=13,
            tool_set_id=10,
            env_vars=[spawn.EnvironmentVariable(name="B", value="2")],
            platform=spawn.Platform(
                properties=[spawn.Platform.Property(name="persistentWorkerKey", value="k")]
            ),
            outputs=[Entry.Output(output_id=4), Entry.Output(invalid_output_path="missing")],
            target_label="//a:b",
            mnemonic="M",
            exit_code=3,
            status="NON_ZERO_EXIT",
            runner="worker",
            timeout_millis=1500,
        ),
    )
    assert paths(found) == ["a", "b", "tool"]
    assert [each.is_tool for each in found.inputs] == [False, False, True]
    assert found.inputs[0].digest == f"{digest(b'a').hash}/1"
    assert found.inputs[0].function == "SHA-256"
    assert (found.environment, found.key) == ((("B", "2"),), "k")
    assert ([each.path for each in found.outputs], found.listed_outputs) == (
        ["out"],
        ("out", "missing"),
    )
    assert (found.name, found.exit_code, found.status) == ("//a:b M", 3, "NON_ZERO_EXIT")
    assert (found.runner, found.timeout) == ("worker", 1.5)


def test_folders_links_and_empty_files(tmp_path: Path) -> None:
    files = [Entry.File(path="x/1", digest=digest(b"1")), Entry.File(path="2")]
    (found,) = read(
        tmp_path,
        invocation(),
        Entry(id=1, directory=Entry.Directory(path="tree", files=files)),
        Entry(id=2, unresolved_symlink=Entry.UnresolvedSymlink(path="link", target_path="../far")),
        Entry(id=3, directory=Entry.Directory(path="made")),
        Entry(id=4, directory=Entry.Directory(path="one", files=files[:1])),
        input_set(5, 1, 2),
        spawn_entry(input_set_id=5, outputs=[Entry.Output(output_id=3), Entry.Output(output_id=4)]),
    )
    assert paths(found) == ["link", "tree/2", "tree/x/1"]
    assert found.inputs[0].target == "../far"
    assert (found.inputs[1].digest, found.inputs[1].size) == ("", 0)
    assert found.listed_outputs == ("made", "one")
    assert [each.path for each in found.outputs] == ["one/x/1"]


def test_a_runfiles_tree_is_put_together(tmp_path: Path) -> None:
    tree = Entry.RunfilesTree(
        path="bazel-out/k8/bin/tool.runfiles",
        input_set_id=20,
        symlinks_id=31,
        root_symlinks_id=32,
        empty_files=["pkg/__init__.py"],
        repo_mapping_manifest=Entry.File(digest=digest(b"map")),
        legacy_external_runfiles=True,
    )
    (found,) = read(
        tmp_path,
        invocation(),
        entry(1, "pkg/lib.py", b"lib"),
        entry(2, "bazel-out/k8/bin/pkg/gen.py", b"gen"),
        entry(3, "external/dep/d.py", b"dep"),
        Entry(
            id=4,
            directory=Entry.Directory(
                path="data", files=[Entry.File(path="x", digest=digest(b"x"))]
            ),
        ),
        entry(5, "elsewhere", b"else"),
        input_set(20, 1, 2, 3),
        Entry(id=30, symlink_entry_set=Entry.SymlinkEntrySet(direct_entries={"inner": 5})),
        Entry(
            id=31,
            symlink_entry_set=Entry.SymlinkEntrySet(
                direct_entries={"linked": 4, "pkg/lib.py": 5}, transitive_set_ids=[30]
            ),
        ),
        Entry(id=32, symlink_entry_set=Entry.SymlinkEntrySet(direct_entries={"top": 5})),
        Entry(id=40, runfiles_tree=tree),
        input_set(41, 40),
        spawn_entry(input_set_id=41, tool_set_id=41),
    )
    base = "bazel-out/k8/bin/tool.runfiles/"
    assert sorted(each.removeprefix(base) for each in paths(found)) == [
        "_main/external/dep/d.py",
        "_main/inner",
        "_main/linked/x",
        "_main/pkg/__init__.py",
        "_main/pkg/gen.py",
        "_main/pkg/lib.py",
        "_repo_mapping",
        "dep/d.py",
        "top",
    ]
    by_path = {each.path.removeprefix(base): each for each in found.inputs}
    assert by_path["_main/pkg/gen.py"].source == "bazel-out/k8/bin/pkg/gen.py"
    # An artifact at its own place wins over a link.
    assert by_path["_main/pkg/lib.py"].digest == f"{digest(b'lib').hash}/3"
    assert all(each.is_tool for each in found.inputs)


def test_a_tree_without_files_of_the_main_repository_has_its_folder(tmp_path: Path) -> None:
    (found,) = read(
        tmp_path,
        invocation(sibling_repository_layout=True),
        entry(1, "../dep/d.py", b"d"),
        input_set(2, 1),
        Entry(id=3, runfiles_tree=Entry.RunfilesTree(path="t.runfiles", input_set_id=2)),
        input_set(4, 3),
        spawn_entry(input_set_id=4),
    )
    assert paths(found) == ["t.runfiles/_main/.runfile", "t.runfiles/dep/d.py"]


def test_a_deep_and_wide_graph_of_sets_is_walked_once(tmp_path: Path) -> None:
    entries = [invocation(), entry(1, "a", b"a"), input_set(2, 1)]
    entries += [input_set(number, sets=[number - 1, number - 1]) for number in range(3, 3000)]
    (found,) = read(tmp_path, *entries, spawn_entry(input_set_id=2999))
    assert paths(found) == ["a"]


def test_entries_that_are_unknown_or_of_no_interest_are_skipped(tmp_path: Path) -> None:
    link = Entry.SymlinkAction(input_path="a", output_path="b")
    unknown = Entry.FromString(b"\x08\x07\xa2\x06\x03abc")  # a field of a later version
    assert (
        len(read(tmp_path, invocation(), Entry(symlink_action=link), unknown, spawn_entry())) == 1
    )


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([input_set(2, 1), spawn_entry(input_set_id=2)], "entry 1 is used before it is there"),
        ([spawn_entry(input_set_id=9)], "entry 9 is used before it is there"),
        ([entry(1, "a", b""), spawn_entry(input_set_id=1)], "entry 1 is of another kind"),
        ([input_set(1, sets=[1]), spawn_entry(input_set_id=1)], None),
    ],
)
def test_references_that_lead_nowhere(
    tmp_path: Path, entries: list[Entry], reason: str | None
) -> None:
    if reason is None:  # a set that holds itself holds nothing
        assert paths(read(tmp_path, *entries)[0]) == []
        return
    with pytest.raises(ConfigError, match=rf"at byte \d+ of the decompressed log: {reason}"):
        read(tmp_path, *entries)
