"""The Action builder: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture import Action, ConfigError, EmptyFolder, File, Symlink
from rpw_fixture.client.encoding import EncodedAction, encode
from rpw_fixture.wire.digests import FUNCTIONS, SHA256, Digest
from rpw_fixture.wire.protos import remote_execution as reapi

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8)
FILES = st.dictionaries(
    NAMES.filter(lambda name: name not in {".", ".."}), st.binary(max_size=8), max_size=6
)


def an_action(**changes: Any) -> Action:
    return Action(
        **{
            "arguments": ["tool", "x"],
            "inputs": {"src/a": "hello\n", "src/sub/b": b"\0"},
            "tool_inputs": {"tools/tool": File(b"#!", is_executable=True)},
            "outputs": ["out/a"],
            **changes,
        }
    )


class Decoded:
    """The messages of an encoded action."""

    def __init__(self, encoded: EncodedAction) -> None:
        self.blobs = encoded.blobs
        self.action = reapi.Action.FromString(self.blobs[encoded.digest])
        self.command = reapi.Command.FromString(self.blob(self.action.command_digest))

    def blob(self, digest: reapi.Digest) -> bytes:
        return self.blobs[Digest(digest.hash, digest.size_bytes)]

    def folder(self, path: str = "") -> reapi.Directory:
        folder = reapi.Directory.FromString(self.blob(self.action.input_root_digest))
        for name in path.split("/") if path else []:
            (node,) = [each for each in folder.directories if each.name == name]
            folder = reapi.Directory.FromString(self.blob(node.digest))
        return folder


def decoded(action: Action, **options: Any) -> Decoded:
    return Decoded(encode(action, SHA256, **options))


def test_text_bytes_and_files_on_disk_are_inputs(tmp_path: Path) -> None:
    (tmp_path / "run").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "run").chmod(0o755)
    action = an_action(inputs={"a": "ü", "b": b"\xff", "c": tmp_path / "run"})
    assert action.inputs == {
        "a": File("ü".encode()),
        "b": File(b"\xff"),
        "c": File(b"#!/bin/sh\n", is_executable=True),
    }


def test_a_file_on_disk_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    action = an_action(inputs={"a": tmp_path / "a"})
    (tmp_path / "a").write_text("after")
    assert action.inputs["a"] == File(b"before")


def test_a_folder_on_disk_stands_for_everything_in_it(tmp_path: Path) -> None:
    (tmp_path / "sub/empty").mkdir(parents=True)
    (tmp_path / "sub/file").write_text("x")
    (tmp_path / "sub/link").symlink_to("file")
    expected = {"sub/empty": EmptyFolder(), "sub/file": File(b"x"), "sub/link": Symlink("file")}
    assert an_action(inputs={"": tmp_path}).inputs == expected
    assert an_action(inputs={"d": tmp_path}).inputs == {
        f"d/{path}": entry for path, entry in expected.items()
    }


def test_an_empty_folder_on_disk_is_an_input_too(tmp_path: Path) -> None:
    assert an_action(inputs={"d": tmp_path}).inputs == {"d": EmptyFolder()}


def test_a_link_out_of_the_folder_is_followed_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/link").symlink_to(tmp_path / "outside")
    assert an_action(inputs={"": tmp_path / "folder"}).inputs == {"link": File(b"x")}


def test_a_link_to_a_folder_outside_is_refused_instead_of_followed_without_end(
    tmp_path: Path,
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/loop").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="link to a folder outside"):
        an_action(inputs={"": tmp_path / "folder"})


def test_globs_choose_inputs_and_tool_inputs_below_a_folder(tmp_path: Path) -> None:
    for path in ("tools/a.py", "tools/b.py", "src/x", "src/y", "README"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    action = Action.from_folder(
        tmp_path, inputs=["src/*", "tools/**"], tool_inputs=["**/a.py"], arguments=["x"]
    )
    assert list(action.inputs) == ["src/x", "src/y", "tools/b.py"]
    assert list(action.tool_inputs) == ["tools/a.py"]
    more = action.with_files(tmp_path, ["README"]).with_files(tmp_path, ["src/x"], as_tools=True)
    assert list(more.inputs) == ["README", "src/y", "tools/b.py"]
    assert list(more.tool_inputs) == ["src/x", "tools/a.py"]


def test_a_glob_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(ConfigError, match=r"glob 'src/\*' matches nothing"):
        Action.from_folder(tmp_path, inputs=["src/*"], arguments=["x"])


def test_variations_leave_the_original_alone() -> None:
    action = an_action(environment={"LANG": "C"}, worker_key="k")
    before = copy.copy(action)
    changed = (
        action.with_input("src/a", "new")
        .with_tool_input("tools/tool", "new")
        .with_environment(LANG=None, HOME="/h")
        .with_platform(pool="big")
        .with_worker_key("other")
        .with_arguments("other")
        .with_flagfile("--x")
        .with_outputs("o")
    )
    assert action == before
    assert changed.inputs["src/a"] == changed.tool_inputs["tools/tool"] == File(b"new")
    assert changed.environment == {"HOME": "/h"}
    assert changed.platform == {"persistentWorkerKey": "other", "pool": "big"}
    assert changed.command_line == ("other", "@action.params")
    assert changed.outputs == ("o",)


def test_an_input_can_become_a_tool_input_and_back() -> None:
    action = an_action()
    marked = action.with_tool_input("src/a")
    assert "src/a" in marked.tool_inputs
    assert "src/a" not in marked.inputs
    assert marked.with_input("src/a", "hello\n") == action
    with pytest.raises(ConfigError, match="no input 'src/missing'"):
        action.with_tool_input("src/missing")


def test_taking_away_a_folder_takes_everything_below_it() -> None:
    action = an_action(inputs={"src/a": "", "src/sub/b": "", "src2": ""})
    assert list(action.without_input("src").inputs) == ["src2"]
    assert action.without_input("nothing") == action


def test_content_can_not_be_changed_in_place() -> None:
    action = an_action()
    with pytest.raises(TypeError):
        action.inputs["src/a"] = File(b"")  # type: ignore[index]  # what is tested
    with pytest.raises(AttributeError):
        action.timeout = 1.0  # type: ignore[misc]  # what is tested


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"arguments": []}, "needs arguments"),
        ({"arguments": "tool x"}, "must be a list of texts"),
        ({"inputs": {"/etc/passwd": ""}}, "inside the input root"),
        ({"inputs": {"../x": ""}}, "inside the input root"),
        ({"inputs": {".": ""}}, "does not name a file"),
        ({"inputs": {"a": "", "./a": ""}}, "given twice"),
        ({"inputs": {"tools/tool": ""}}, "both an input and a tool input"),
        ({"inputs": {"a": "", "a/b": ""}}, "is below 'a', which is not a folder"),
        ({"inputs": {"a": 1}}, "is a int"),
        ({"inputs": {"action.params": ""}, "flagfile": []}, "is also an input"),
        ({"flagfile": ["a\nb"]}, "is one line"),
        ({"outputs": ["/tmp/x"]}, "inside the input root"),
        ({"working_directory": ".."}, "inside the input root"),
        ({"timeout": -1.0}, "timeout -1.0 must be a number of seconds"),
        ({"timeout": "1"}, "timeout '1' must be a number of seconds"),
        ({"timeout": float("inf")}, "timeout inf must be"),
        ({"arguments": ["sleep", 1]}, "each of arguments must be a text, not 1"),
        ({"outputs": [Path("a")]}, "each of outputs must be a text, not "),
        ({"inputs": ["a"]}, "inputs must be a mapping, such as a dict, not "),
        ({"environment": {"A": 1}}, "A in environment must be a text, not 1"),
        ({"environment": ["A=1"]}, "environment must be a mapping"),
        ({"platform": {"a": True}}, "a in platform must be a text, not True"),
        ({"worker_key": 1}, "persistentWorkerKey in platform must be a text, not 1"),
        ({"target": 1}, "target must be a text, not 1"),
    ],
)
def test_what_can_not_work_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        an_action(**changes)


def test_outputs_and_flagfile_may_lie_beside_the_working_directory() -> None:
    action = an_action(
        working_directory="a/b/c",
        outputs=["../../out/", "./d/../x", ".."],
        flagfile=["--x"],
        flagfile_path="../../my.params",
    )

    assert action.outputs == ("..", "../../out/", "x")
    assert action.command_line[-1] == "@../../my.params"
    assert action.entries["a/my.params"] == File(b"--x\n")
    assert list(decoded(action).command.output_paths) == ["..", "../../out", "x"]


@pytest.mark.parametrize("name", ["outputs", "flagfile_path"])
def test_what_leads_out_of_the_root_from_the_working_directory_is_refused(name: str) -> None:
    path = "../../../x"
    with pytest.raises(ConfigError, match=r"'\.\./\.\./\.\./x' .* starts in 'a/b'"):
        an_action(working_directory="a/b", **{name: [path] if name == "outputs" else path})


def test_messages_carry_what_the_action_says() -> None:
    action = an_action(
        environment={"B": "2", "A": "1"},
        platform={"pool": "big"},
        worker_key="k",
        protocol="json",
        working_directory="src",
        timeout=1.5,
        do_not_cache=True,
        salt=b"s",
        outputs=["z", "folder/", "a"],
        flagfile=["--one", "--two words"],
    )
    found = decoded(action)
    assert list(found.command.arguments) == ["tool", "x", "@action.params"]
    assert [(each.name, each.value) for each in found.command.environment_variables] == [
        ("A", "1"),
        ("B", "2"),
    ]
    assert found.command.working_directory == "src"
    assert list(found.command.output_paths) == ["a", "folder", "z"]
    assert {each.name: each.value for each in found.action.platform.properties} == {
        "persistentWorkerKey": "k",
        "persistentWorkerProtocol": "json",
        "pool": "big",
    }
    assert found.command.platform == found.action.platform
    assert found.action.timeout.ToNanoseconds() == 1_500_000_000
    assert (found.action.do_not_cache, found.action.salt) == (True, b"s")
    flagfile = found.folder("src").files[1]
    assert flagfile.name == "action.params"
    assert found.blob(flagfile.digest) == b"--one\n--two words\n"


def test_servers_before_api_2_1_get_outputs_by_kind() -> None:
    command = decoded(an_action(outputs=["b", "folder/", "a"]), is_legacy=True).command
    assert list(command.output_files) == ["a", "b"]
    assert list(command.output_directories) == ["folder"]
    assert not command.output_paths


def test_only_tool_inputs_are_marked() -> None:
    action = an_action(tool_inputs={"t/a": "", "t/link": Symlink("a")})
    found = decoded(action)
    nodes = [*found.folder("t").files, *found.folder("t").symlinks]
    marks = [[each.name for each in node.node_properties.properties] for node in nodes]
    assert marks == [["bazel_tool_input"], ["bazel_tool_input"]]
    assert not found.folder("src").files[0].HasField("node_properties")


def test_links_empty_folders_and_executables_are_staged_as_they_are() -> None:
    found = decoded(
        an_action(
            inputs={"d/e": EmptyFolder(), "l": Symlink("../x"), "x": File(b"", is_executable=True)}
        )
    )
    root = found.folder()
    assert [(each.name, each.target) for each in root.symlinks] == [("l", "../x")]
    assert [(each.name, each.is_executable) for each in root.files] == [("x", True)]
    assert found.folder("d/e") == reapi.Directory()


@given(FILES)
def test_equal_actions_have_equal_digests_however_they_were_written(
    files: dict[str, bytes],
) -> None:
    one = Action(arguments=["x"], inputs=files)
    other = Action(
        arguments=("x",), inputs={f"./{name}": files[name] for name in reversed(list(files))}
    )
    assert (one, hash(one), encode(one, SHA256).digest) == (
        other,
        hash(other),
        encode(other, SHA256).digest,
    )


@given(FILES)
def test_folders_are_in_the_canonical_order(files: dict[str, bytes]) -> None:
    names = [each.name for each in decoded(Action(arguments=["x"], inputs=files)).folder().files]
    assert names == sorted(files, key=str.encode)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_digests_are_of_the_function_asked_for(name: str) -> None:
    digest = encode(an_action(), FUNCTIONS[name]).digest
    assert len(digest.hash) == FUNCTIONS[name].hex_length


@pytest.mark.parametrize(
    "variation",
    [
        {"arguments": ["tool"]},
        {"inputs": {}},
        {"tool_inputs": {"tools/tool": File(b"#!")}},
        {"outputs": []},
        {"environment": {"A": ""}},
        {"platform": {"A": ""}},
        {"worker_key": "k"},
        {"flagfile": []},
        {"timeout": 0.0},
        {"do_not_cache": True},
        {"salt": b"x"},
        {"working_directory": "src"},
    ],
)
def test_whatever_is_part_of_the_action_changes_its_digest(variation: dict[str, Any]) -> None:
    assert encode(an_action(**variation), SHA256).digest != encode(an_action(), SHA256).digest


def test_mnemonic_and_target_are_not_part_of_the_action() -> None:
    assert (
        encode(an_action(mnemonic="M", target="//a:b"), SHA256).digest
        == encode(an_action(), SHA256).digest
    )


def test_content_is_shown_if_it_is_short() -> None:
    assert repr(File(b"x" * 40)) == f"File({b'x' * 40!r})"
    assert repr(File(b"x" * 41, is_executable=True)) == "File(<41 bytes>, is_executable=True)"


def test_a_path_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="'in/file' is given twice"):
        Action(arguments=["x"], inputs={"in": tmp_path, "in/file": "y"})
