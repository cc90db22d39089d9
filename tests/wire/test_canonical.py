"""Messages in canonical form, and what is said of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.wire import canonical
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import remote_execution as reapi

#: Texts that a protobuf string can hold.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = TEXT.filter(lambda name: name not in {"", ".", ".."} and not set(name) & set("/\0"))
EMPTY = reapi.Digest(hash=SHA256.empty.hash)


def variables(names: Sequence[str]) -> reapi.Command:
    return reapi.Command(
        environment_variables=[reapi.Command.EnvironmentVariable(name=name) for name in names]
    )


def files(names: Sequence[str]) -> reapi.Directory:
    return reapi.Directory(files=[reapi.FileNode(name=name, digest=EMPTY) for name in names])


@given(st.lists(TEXT, unique=True))
def test_sorted_names_are_canonical(names: list[str]) -> None:
    assert list(canonical.command_problems(variables(sorted(names)))) == []


@given(st.lists(TEXT, min_size=2))
def test_names_are_canonical_only_when_sorted_by_their_bytes_and_unique(names: list[str]) -> None:
    is_sorted = names == sorted(set(names), key=str.encode)
    assert (list(canonical.command_problems(variables(names))) == []) == is_sorted


@given(st.lists(NAMES, unique=True))
def test_a_sorted_folder_is_canonical(names: list[str]) -> None:
    assert list(canonical.directory_problems(files(sorted(names)))) == []


@given(st.binary(max_size=60))
def test_any_bytes_are_judged_without_an_error_but_invalid_argument(data: bytes) -> None:
    for require in (
        canonical.require_action,
        canonical.require_command,
        canonical.require_directory,
        canonical.require_tree,
    ):
        assert code_of(lambda: require("x", data)) in {Code.OK, Code.INVALID_ARGUMENT}  # noqa: B023 - called at once


def code_of(judge: Callable[[], None]) -> Code:
    try:
        judge()
    except RequestError as error:
        return error.code
    return Code.OK


def test_the_error_names_the_message_and_its_problem() -> None:
    data = files(["b", "a"]).SerializeToString()
    with pytest.raises(RequestError) as caught:
        canonical.require_directory("the root", data)
    assert caught.value.message == (
        "Directory the root is not canonical: file 'a' comes after 'b'; sort them by name"
    )


def test_a_name_of_two_kinds_is_reported() -> None:
    folder = files(["a"])
    folder.symlinks.add(name="a", target="x")
    assert list(canonical.directory_problems(folder)) == ["'a' is both a file and a symlink"]


def test_node_properties_out_of_order_are_reported_with_their_node() -> None:
    folder = files(["a"])
    for name in ("z", "y"):
        folder.files[0].node_properties.properties.add(name=name)
        folder.node_properties.properties.add(name=name)
    assert list(canonical.directory_problems(folder)) == [
        "of the directory itself, node property 'y' comes after 'z'; sort them by name",
        "of 'a', node property 'y' comes after 'z'; sort them by name",
    ]


def test_platform_properties_may_repeat_a_name_with_values_in_order() -> None:
    command = reapi.Command()
    for value in ("1", "2"):
        command.platform.properties.add(name="a", value=value)
    assert list(canonical.command_problems(command)) == []


@pytest.mark.parametrize("path", ["/a", "a/", "a//b", "a/./b", "a/../b", "."])
def test_an_odd_path_is_reported(path: str) -> None:
    for field in ("output_paths", "output_files", "output_directories"):
        (problem,) = canonical.command_problems(reapi.Command(**{field: [path]}))
        assert repr(path) in problem


@pytest.mark.parametrize("path", ["..", "../out", "../../out/x"])
def test_a_path_that_starts_with_dot_dot_is_in_its_shortest_form(path: str) -> None:
    for field in ("output_paths", "output_files", "output_directories"):
        command = reapi.Command(working_directory="a/b", **{field: [path]})
        assert list(canonical.command_problems(command)) == []


@pytest.mark.parametrize("path", ["../a/../b", ".././b", "a/..", "../."])
def test_dot_dot_after_a_name_is_reported(path: str) -> None:
    (problem,) = canonical.command_problems(
        reapi.Command(working_directory="a/b", output_paths=[path])
    )
    assert repr(path) in problem


def test_a_working_directory_never_starts_with_dot_dot() -> None:
    (problem,) = canonical.command_problems(reapi.Command(working_directory="../a"))
    assert "'..'" in problem


def test_the_empty_path_is_a_folder_and_no_file() -> None:
    assert list(canonical.command_problems(reapi.Command(output_paths=[""]))) == []
    assert list(canonical.command_problems(reapi.Command(output_directories=[""]))) == []
    (problem,) = canonical.command_problems(reapi.Command(output_files=[""]))
    assert "empty" in problem


def test_one_path_as_file_and_folder_is_reported() -> None:
    command = reapi.Command(output_files=["a"], output_directories=["a"])
    (problem,) = canonical.command_problems(command)
    assert problem == "'a' is both an output file and an output directory"


def test_an_action_without_digests_is_reported() -> None:
    assert list(canonical.action_problems(reapi.Action())) == [
        "command_digest is not set",
        "input_root_digest is not set",
    ]


def test_long_names_are_cut_in_what_is_reported() -> None:
    (problem,) = canonical.command_problems(variables(["z" * 5000, "a" * 5000]))
    assert len(problem) < 300


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0"])
def test_a_name_that_none_can_have_is_reported_with_its_kind(name: str) -> None:
    folder = reapi.Directory(files=[reapi.FileNode(name=name)])
    (problem,) = canonical.directory_problems(folder)
    assert "file nodes" in problem
