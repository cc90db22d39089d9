from __future__ import annotations

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.wire.command import CommandSpec, decode_command, inside, property_map
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import remote_execution as reapi


def decode(message: reapi.Command | bytes) -> CommandSpec:
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return decode_command(SHA256.of(data), data)


def refused(message: reapi.Command | bytes) -> str:
    with pytest.raises(RequestError) as caught:
        decode(message)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert len(caught.value.message) < 500
    return caught.value.message


def command(**fields: object) -> reapi.Command:
    return reapi.Command(arguments=["tool"], **fields)


def variables(*pairs: tuple[str, str]) -> reapi.Command:
    message = command()
    for name, value in pairs:
        message.environment_variables.add(name=name, value=value)
    return message


def test_a_command_is_kept_as_a_value() -> None:
    message = reapi.Command(
        arguments=["bin/tool", "", "@flags"],
        working_directory="work/./dir/",
        output_paths=["out/b", "out/a"],
        output_node_properties=["mtime"],
        output_directory_format=reapi.Command.TREE_AND_DIRECTORY,
    )
    message.platform.properties.add(name="OSFamily", value="linux")
    spec = decode(message)

    assert spec == decode(message)
    assert spec.arguments == ("bin/tool", "", "@flags")
    assert spec.working_directory == "work/dir"
    assert spec.outputs == spec.output_paths == ("out/b", "out/a")
    assert spec.platform == (("OSFamily", "linux"),)
    assert spec.output_node_properties == ("mtime",)
    assert spec.directory_format == reapi.Command.TREE_AND_DIRECTORY


def test_output_paths_come_before_the_lists_of_older_clients() -> None:
    older = command(output_files=["f"], output_directories=["d"])
    assert decode(older).output_paths is None
    assert decode(older).outputs == ("f", "d")

    newer = command(output_files=["f"], output_directories=["d"], output_paths=["p"])
    assert decode(newer).outputs == ("p",)


def test_outputs_listed_twice_are_collected_once_in_their_first_order() -> None:
    assert decode(command(output_paths=["b", "a", "b"])).output_paths == ("b", "a")


def test_variables_are_sorted_and_of_a_name_set_twice_the_last_value_is_the_one() -> None:
    spec = decode(variables(("B", "2"), ("A", "z"), ("A", "a"), ("C", "x=y")))

    assert spec.environment == (("A", "a"), ("B", "2"), ("C", "x=y"))


def test_of_a_property_given_twice_the_last_value_is_the_one() -> None:
    assert property_map([("a", "1"), ("b", ""), ("a", "2")]) == {"a": "2", "b": ""}


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05ab", b"\x0a\x01\xff"])
def test_bytes_that_are_no_command_are_refused(data: bytes) -> None:
    assert "is not a Command" in refused(data)


def test_a_command_without_arguments_is_refused() -> None:
    assert "no arguments" in refused(reapi.Command())


@pytest.mark.parametrize(
    "message",
    [
        reapi.Command(arguments=["tool", "a\0b"]),
        variables(("", "x")),
        variables(("A=B", "x")),
        variables(("A\0", "x")),
        variables(("A", "x\0")),
        variables(("A" * 10_000 + "=", "x")),
    ],
    ids=["argument", "no name", "equals sign", "NUL in name", "NUL in value", "endless"],
)
def test_what_no_process_can_be_given_is_refused(message: reapi.Command) -> None:
    refused(message)


HOSTILE = [
    "/etc/passwd",
    "//x",
    "..",
    "../x",
    "a/../../x",
    "a/\0",
    "x" * 256,
    "a/" + "é" * 128 + "/b",
    "a/" * 101 + "b",
    "a/" * 5_000,
    "/" + "x" * 100_000,
]


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: repr(path[:12]))
@pytest.mark.parametrize(
    "field", ["output_paths", "output_files", "output_directories", "working_directory"]
)
def test_a_path_that_leaves_the_root_or_can_not_exist_is_refused(field: str, path: str) -> None:
    value = path if field == "working_directory" else ["fine", path]

    refused(command(**{field: value}))


@pytest.mark.parametrize("path", ["../../out", "../../..", "..", "a/../b", "../c/../../out"])
@pytest.mark.parametrize("field", ["output_paths", "output_files", "output_directories"])
def test_an_output_may_leave_the_working_directory_but_not_the_root(field: str, path: str) -> None:
    spec = decode(command(working_directory="a/b/c", **{field: [path]}))

    assert spec.outputs == (path,)


@pytest.mark.parametrize(
    ("path", "folder"), [("../x", ""), ("../../../../out", "a/b/c"), ("a/../../../x", "w")]
)
@pytest.mark.parametrize("field", ["output_paths", "output_files", "output_directories"])
def test_the_refusal_of_an_output_outside_says_where_it_starts(
    field: str, path: str, folder: str
) -> None:
    told = refused(command(working_directory=folder, **{field: [path]}))

    assert f"output path {path!r}" in told
    assert "leads out of the input root" in told
    assert (repr(folder) in told) == bool(folder)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/etc/passwd", "is absolute"), ("a\0b", "NUL"), ("x" * 256, "name of over 255 bytes")],
)
def test_a_refused_path_is_refused_for_what_it_is(path: str, reason: str) -> None:
    assert reason in refused(command(output_paths=[path]))
    assert reason in refused(command(working_directory=path))


def test_a_deep_output_counts_from_the_root() -> None:
    deep = "/".join("a" * 60)

    assert "folders deep" in refused(command(working_directory=deep, output_paths=[deep]))


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("", ""),
        (".", ""),
        ("./", ""),
        ("a/..", ""),
        ("a/./b//c/", "a/b/c"),
        ("a/../b", "b"),
        ("...", "..."),
        ("a\nb", "a\nb"),
        ("x" * 255, "x" * 255),
        ("/".join("a" * 100), "/".join("a" * 100)),
    ],
    ids=lambda path: repr(path[:12]),
)
def test_a_path_inside_is_normalised(path: str, normal: str) -> None:
    assert inside(path, "path") == normal
    assert decode(command(working_directory=path)).working_directory == normal


def test_an_output_path_is_echoed_as_it_was_given() -> None:
    assert decode(command(output_paths=["", "./a/", "b//c"])).output_paths == ("", "./a/", "b//c")
