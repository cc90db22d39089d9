from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpw_fixture.support.globs import matcher
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import worker
from rpw_fixture.wire.worker.encodings import encoding
from rpw_fixture.wire.worker.messages import Request
from rpw_fixture.workers.input_index import InputIndex
from rpw_fixture.workers.key import ToolInput, ToolInputs

NAMES = st.sampled_from(["a", "b", "ab", "tools", "x.jar"])
NODES = st.recursive(
    st.tuples(st.sampled_from([b"1", b"2"]), st.booleans(), st.booleans()),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TREES = st.dictionaries(NAMES, NODES, max_size=3)
with_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def unmarked(_path: str) -> bool:
    return False


def built(inputs, tree: dict) -> dict:
    """A generated tree in the form that `inputs` takes."""
    return {
        name: built(inputs, node)
        if isinstance(node, dict)
        else inputs.File(content=node[0], is_executable=node[1], is_tool=node[2])
        for name, node in tree.items()
    }


def tools_of(tree: dict, prefix: str = "") -> list[ToolInput]:
    """What the marks say, worked out without folders."""
    tools = []
    for name, node in tree.items():
        if isinstance(node, dict):
            tools += tools_of(node, f"{prefix}{name}/")
        elif node[2]:
            tools.append(ToolInput(prefix + name, str(SHA256.of(node[0])), node[1]))
    return sorted(tools)


# --- tool inputs ---


def test_marked_files_and_symlinks_are_tool_inputs(inputs) -> None:
    root = inputs.folder(
        {
            "src": {"a": b"a"},
            "tools": {
                "bin": inputs.File(content=b"x", is_executable=True, is_tool=True),
                "lib": inputs.File(content=b"l", is_tool=True),
                "latest": inputs.Link(target="bin", is_tool=True),
                "notes": b"n",
            },
        }
    )

    assert InputIndex(unmarked).tool_inputs(root).files == (
        ToolInput("tools/bin", str(SHA256.of(b"x")), is_executable=True),
        ToolInput("tools/latest", "-> bin", is_executable=False),
        ToolInput("tools/lib", str(SHA256.of(b"l")), is_executable=False),
    )


def test_globs_mark_what_a_client_can_not(inputs) -> None:
    tree = {"tools": {"a": b"a", "deep": {"b": b"b"}}, "src": {"x.jar": b"j", "y": b"y"}}
    index = InputIndex(matcher(["tools/**", "**/*.jar"]))

    paths = {each.path for each in index.tool_inputs(inputs.folder(tree)).files}
    assert paths == {"tools/a", "tools/deep/b", "src/x.jar"}


def test_a_folder_in_two_places_is_marked_where_the_glob_says(inputs) -> None:
    same = {"f": b"f"}
    index = InputIndex(matcher(["tools/**"]))

    found = index.tool_inputs(inputs.folder({"src": same, "tools": same}))
    assert [each.path for each in found.files] == ["tools/f"]


def test_without_a_mark_there_are_no_tool_inputs(inputs) -> None:
    assert not InputIndex(unmarked).tool_inputs(inputs.folder({"a": {"b": b"b"}}))


@with_store
@given(TREES)
def test_the_tool_inputs_are_exactly_the_marked_files(inputs, tree: dict) -> None:
    found = InputIndex(unmarked).tool_inputs(inputs.folder(built(inputs, tree)))

    assert sorted(found.files) == tools_of(tree)


@with_store
@given(TREES, TREES)
def test_two_trees_have_equal_tool_inputs_just_when_their_marked_files_are(
    inputs, one: dict, other: dict
) -> None:
    index = InputIndex(unmarked)
    first = index.tool_inputs(inputs.folder(built(inputs, one)))
    second = index.tool_inputs(inputs.folder(built(inputs, other)))

    assert (first == second) == (tools_of(one) == tools_of(other))


@with_store
@given(TREES, TREES)
def test_inputs_that_are_no_tool_change_nothing(inputs, tools: dict, others: dict) -> None:
    def plain(tree: dict) -> dict:
        return {
            name: plain(node) if isinstance(node, dict) else (node[0], node[1], False)
            for name, node in tree.items()
        }

    index = InputIndex(unmarked)
    alone = index.tool_inputs(inputs.folder({"t": built(inputs, tools)}))
    beside = index.tool_inputs(
        inputs.folder({"s": built(inputs, plain(others)), "t": built(inputs, tools), "x": b"x"})
    )

    assert alone == beside
    assert alone.files == beside.files


@pytest.mark.parametrize(
    "changed",
    [
        {"tools": {"t": ("T", False)}},
        {"tools": {"t": ("t", True)}},
        {"tools": {"u": ("t", False)}},
        {"other": {"t": ("t", False)}},
        {"t": ("t", False)},
        {"tools": {"t": ("t", False)}, "more": ("m", False)},
        {"tools": {"t": ("t", False), "deep": {"t": ("t", False)}}},
        {},
    ],
)
def test_any_change_of_a_tool_changes_the_fingerprint(changed: dict, inputs) -> None:
    def marked(tree: dict) -> dict:
        return {
            name: marked(node)
            if isinstance(node, dict)
            else inputs.File(content=node[0].encode(), is_executable=node[1], is_tool=True)
            for name, node in tree.items()
        }

    index = InputIndex(unmarked)
    before = index.tool_inputs(inputs.folder(marked({"tools": {"t": ("t", False)}})))
    after = index.tool_inputs(inputs.folder(marked(changed)))

    assert before != after
    assert before.fingerprint != after.fingerprint


def test_clearing_forgets_and_works_out_the_same_again(inputs) -> None:
    index = InputIndex(matcher(["**"]))
    root = inputs.folder({"a": {"b": b"b"}, "c": b"c"})
    before = index.tool_inputs(root)
    assert index.tool_inputs(root) is before
    index.clear()

    assert index.tool_inputs(root) == before
    assert isinstance(index.tool_inputs(root), ToolInputs)


# --- the inputs of a request ---


def listed(protocol: str, encoded: bytes) -> dict[str, bytes | str]:
    """Path and digest of each input in a request with these encoded inputs."""
    data = encoding(protocol).encode(Request(inputs=encoded))
    if protocol == "json":
        return {each["path"]: each["digest"] for each in json.loads(data)["inputs"]}
    start = next(n for n in range(1, 6) if data[n - 1] < 0x80)
    return {each.path: each.digest for each in worker.WorkRequest.FromString(data[start:]).inputs}


def test_all_files_are_listed_with_their_hex_and_tool_inputs_are_too(inputs) -> None:
    root = inputs.folder(
        {
            "src": {"a": b"a", "empty": {}},
            "tool": inputs.File(content=b"t", is_tool=True),
            "link": inputs.Link(target="tool"),
        }
    )

    assert listed("proto", InputIndex(unmarked).encoded_inputs(root, encoding("proto"))) == {
        "src/a": SHA256.of(b"a").hash.encode(),
        "tool": SHA256.of(b"t").hash.encode(),
    }


@pytest.mark.parametrize("protocol", ["proto", "json"])
def test_many_folders_are_listed_whole_in_both_encodings(protocol: str, inputs) -> None:
    rng = random.Random(7)
    tree: dict = {}
    paths = set()
    for number in range(300):
        folders = [rng.choice("abc") for _ in range(rng.randrange(4))]
        here = tree
        for name in folders:
            here = here.setdefault(name, {})
        here[f"f{number}"] = b""
        paths.add("/".join([*folders, f"f{number}"]))
    index = InputIndex(unmarked)
    encoded = index.encoded_inputs(inputs.folder(tree), encoding(protocol))

    assert listed(protocol, encoded).keys() == paths
    assert index.encoded_inputs(inputs.folder(tree), encoding(protocol)) == encoded


@pytest.mark.parametrize("protocol", ["proto", "json"])
def test_only_a_changed_file_is_encoded_again(protocol: str, inputs, monkeypatch) -> None:
    chosen, index, seen = encoding(protocol), InputIndex(unmarked), []
    encode = chosen.encode_inputs

    def noting(_, files):
        files = list(files)
        seen.extend(path for path, _ in files)
        return encode(files)

    monkeypatch.setattr(type(chosen), "encode_inputs", noting)
    tree = {"a": {"1": b"1", "2": b"2"}, "b": {"c": {"3": b"3"}}, "4": b"4"}
    first = index.encoded_inputs(inputs.folder(tree), chosen)
    assert seen == ["4", "a/1", "a/2", "b/c/3"]

    assert index.encoded_inputs(inputs.folder(tree), chosen) == first
    assert len(seen) == 4
    changed = index.encoded_inputs(inputs.folder({**tree, "a": {"1": b"1", "2": b"!"}}), chosen)
    assert seen[4:] == ["a/2"]
    assert len(changed) == len(first)
    assert changed != first


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("", {"a", "main/b", "main/deep/c", "main2/d", "other/deep/e"}),
        ("main", {"../a", "b", "deep/c", "../main2/d", "../other/deep/e"}),
        ("main/", {"../a", "b", "deep/c", "../main2/d", "../other/deep/e"}),
        ("main/deep", {"../../a", "../b", "c", "../../main2/d", "../../other/deep/e"}),
        ("none", {"../a", "../main/b", "../main/deep/c", "../main2/d", "../other/deep/e"}),
    ],
)
@pytest.mark.parametrize("protocol", ["proto", "json"])
def test_paths_are_relative_to_the_working_directory(
    protocol: str, base: str, expected: set[str], inputs
) -> None:
    index = InputIndex(unmarked)
    tree = {
        "a": b"",
        "main": {"b": b"", "deep": {"c": b""}},
        "main2": {"d": b""},
        "other": {"deep": {"e": b""}},
    }
    for where, paths in (("", None), (base, expected)):  # what is kept for one is not for the other
        encoded = index.encoded_inputs(inputs.folder(tree), encoding(protocol), base=where)
        assert paths is None or listed(protocol, encoded).keys() == paths


def test_an_empty_root_lists_nothing(inputs) -> None:
    for protocol in ("proto", "json"):
        encoded = InputIndex(unmarked).encoded_inputs(inputs.folder({"d": {}}), encoding(protocol))
        assert listed(protocol, encoded) == {}


def test_each_encoding_is_kept_by_itself(inputs) -> None:
    index = InputIndex(unmarked)
    root = inputs.folder({"a": b"a"})

    assert listed("json", index.encoded_inputs(root, encoding("json"))).keys() == {"a"}
    assert listed("proto", index.encoded_inputs(root, encoding("proto"))).keys() == {"a"}
