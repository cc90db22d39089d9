from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.wire import flagfiles
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.flagfiles import FlagfileReader, expand, split
from rpw_fixture.wire.trees import FileEntry, Folder, SymlinkEntry


def reading(files: Mapping[str, str | bytes]) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        if path not in files:
            raise RequestError(Code.INVALID_ARGUMENT, f"{path} is not a declared input")
        content = files[path]
        return content.encode() if isinstance(content, str) else content

    return read


def refused(arguments: list[str], files: Mapping[str, str | bytes]) -> RequestError:
    with pytest.raises(RequestError) as caught:
        expand(arguments, reading(files))
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value


# --- splitting the command line ---


@pytest.mark.parametrize(
    "argument",
    [
        "@args",
        "@@args",
        "@@",
        "@repo//pkg:target",
        "@//pkg",
        "-flagfile=args",
        "--flagfile=args",
        "@a b",
        "@@@",
        "-flagfile=@x",
    ],
)
def test_a_flagfile_argument_goes_to_the_request(argument: str) -> None:
    assert split(["tool", argument]).flagfiles == (argument,)


@pytest.mark.parametrize(
    "argument",
    [
        "@",
        "-flagfile=",
        "--flagfile=",
        "--flagfile",
        "---flagfile=x",
        "flagfile=x",
        "x@y",
        " @x",
        "-Flagfile=x",
        "--flagfile_x=y",
        "",
        "@two\nlines",  # the dot of Bazel's pattern stops at line ends
        "@two\u2028lines",
    ],
)
def test_any_other_argument_starts_the_worker(argument: str) -> None:
    assert split(["tool", argument]).startup == ("tool", argument)


def test_flagfiles_may_stand_anywhere_and_both_orders_are_kept() -> None:
    parts = split(["@a", "java", "-flagfile=b", "-jar", "x.jar", "@@c", "--flagfile=d"])

    assert parts.startup == ("java", "-jar", "x.jar")
    assert parts.flagfiles == ("@a", "-flagfile=b", "@@c", "--flagfile=d")


@given(st.lists(st.text(alphabet="@-=flagie/x\n ", max_size=12)))
def test_splitting_loses_and_invents_nothing(arguments: list[str]) -> None:
    parts = split(arguments)
    startup, in_flagfiles = list(parts.startup), list(parts.flagfiles)
    for argument in arguments:
        (startup if argument in startup[:1] else in_flagfiles).remove(argument)

    assert startup == in_flagfiles == []


# --- expanding flagfiles ---


def test_a_flagfile_is_replaced_by_its_lines() -> None:
    assert expand(["@p", "@q"], reading({"p": "--in\nsrc\n", "q": "--out\no"})) == [
        "--in",
        "src",
        "--out",
        "o",
    ]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("", []),
        ("\n", [""]),
        ("a\n\nb\n", ["a", "", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\rb\r", ["a", "b"]),
        ("a\n\rb", ["a", "", "b"]),
        (" a \n\tb", [" a ", "\tb"]),
        ("'a b'\n\"c\\\"\n# d", ["'a b'", '"c\\"', "# d"]),
        ("a\x0bb\x0cc\x85d\u2028e", ["a\x0bb\x0cc\x85d\u2028e"]),
        ("é🙂", ["é🙂"]),
    ],
)
def test_lines_end_as_javas_line_reader_ends_them_and_are_kept_as_they_are(
    content: str, lines: list[str]
) -> None:
    assert expand(["@p"], reading({"p": content})) == lines


@pytest.mark.parametrize(
    "argument", ["-flagfile=p", "--flagfile=p", "@@p", "@repo//pkg:x", "@//x", "@", "plain", ""]
)
def test_what_bazel_does_not_open_passes_verbatim_at_any_depth(argument: str) -> None:
    assert expand([argument], reading({"p": "no"})) == [argument]
    assert expand(["@f"], reading({"f": f"@g\n{argument}\n", "g": f"{argument}\n"})) == [
        argument,
        argument,
    ]


def test_nested_flagfiles_are_expanded_in_place() -> None:
    files = {"a": "1\n@dir/b\n4", "dir/b": "2\n@c", "c": "3\n"}

    assert expand(["@a", "5", "@c"], reading(files)) == ["1", "2", "3", "4", "5", "3"]


def test_one_flagfile_may_be_named_twice_but_not_by_itself() -> None:
    assert expand(["@a"], reading({"a": "@b\n@b", "b": "x"})) == ["x", "x"]
    error = refused(["@a"], {"a": "@b", "b": "@c", "c": "@b"})

    assert "includes itself: a → b → c → b" in error.message


def test_a_flagfile_that_includes_itself_under_another_name_is_refused() -> None:
    assert "includes itself" in refused(["@a"], {"a": "@./a", "./a": "@./a"}).message


def test_a_missing_flagfile_is_the_readers_error() -> None:
    assert "c is not a declared input" in refused(["@a"], {"a": "@c"}).message


def test_a_flagfile_that_is_no_utf8_is_refused() -> None:
    assert "'p' is not UTF-8" in refused(["@p"], {"p": b"a\xff"}).message


def test_nesting_is_bounded() -> None:
    files = {f"f{n}": f"@f{n + 1}" for n in range(1000)}

    assert expand(["@f0"], reading({**files, f"f{flagfiles.MAX_DEPTH - 1}": "end"})) == ["end"]
    assert "'f0' is nested over" in refused(["@f0"], files).message


@pytest.mark.parametrize("leaf", ["", "x\n"])
def test_flagfiles_that_multiply_are_refused_soon_even_if_they_end_in_nothing(
    leaf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flagfiles, "MAX_ARGUMENTS", 10_000)
    files = {f"f{n}": f"@f{n + 1}\n" * 100 for n in range(10)}

    assert "over 10000 arguments" in refused(["@f0"], {**files, "f10": leaf}).message


def test_one_large_flagfile_is_fine() -> None:
    lines = [f"--define=x{n}" for n in range(50_000)]

    assert expand(["@p"], reading({"p": "\n".join(lines)})) == lines


def tree() -> Folder:
    leaf = Folder(
        SHA256.of(b"leaf"), {"a.params": FileEntry(SHA256.of(b"x\n"), False, False)}, {}, {}
    )
    return Folder(
        SHA256.of(b"root"), {}, {"pkg": leaf}, {"link.params": SymlinkEntry("pkg/a.params", False)}
    )


@pytest.mark.parametrize(
    ("base", "path"), [("", "pkg/a.params"), ("pkg", "a.params"), ("pkg", "../pkg/./a.params")]
)
def test_flagfiles_are_read_from_the_input_tree(base, path):
    reader = FlagfileReader(tree(), base, {SHA256.of(b"x\n"): b"x\n"}.__getitem__)
    assert expand([f"@{path}"], reader.read) == ["x"]
    assert reader.paths == ["pkg/a.params"]


@pytest.mark.parametrize(
    "path", ["none", "pkg", "link.params", "/pkg/a.params", "../pkg/a.params", "..", ".", ""]
)
def test_only_declared_files_are_read_as_flagfiles(path):
    reader = FlagfileReader(tree(), "", {SHA256.of(b"x\n"): b"x\n"}.__getitem__)
    with pytest.raises(RequestError, match=re.escape(f"{path!r} is not a declared input")):
        reader.read(path)
    assert reader.paths == []
