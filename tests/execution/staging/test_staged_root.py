from __future__ import annotations

import os
import stat
from collections.abc import Callable

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.execution.staging.placed import INPUT_MTIME_NS, Parents

from .staged_roots import LEFTOVERS, TREE, Root

# --- the first time ---


@pytest.mark.parametrize("left", ["out", "src/a"])
def test_what_a_process_writes_in_the_meantime_is_replaced(
    root: Root, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """A worker that writes after its response does not know that the root is being staged again."""
    store = root.inputs.store
    materialise, late = store.materialise, [left]

    def write_late(*arguments, **options):
        while late:
            (root.path / late[0]).mkdir(parents=True)
            (root.path / late.pop() / "late").write_text("late")
        return materialise(*arguments, **options)

    monkeypatch.setattr(store, "materialise", write_late)
    root.stage({"first": b"1", "src": {"a": b"a"}}, "out")

    assert root.found() == {"first": b"1", "src": {"a": b"a"}, "out": {}}


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


def test_folders_are_made_in_the_order_of_the_tree_then_of_the_outputs(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    mkdir = os.mkdir

    def noted(name: str, *arguments: int, **options: int) -> None:
        made.append(name)
        mkdir(name, *arguments, **options)

    monkeypatch.setattr(os, "mkdir", noted)
    inputs = [f"input-{number}" for number in range(10, 20)]
    outputs = [f"output-{number}" for number in range(20, 10, -1)]
    root.stage({each: {} for each in inputs}, *outputs)
    assert made == [*inputs, *outputs]


def test_inputs_are_read_only_executable_as_requested_and_of_a_fixed_time(
    root: Root, inputs
) -> None:
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


def test_parents_are_given_as_nested_names() -> None:
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
