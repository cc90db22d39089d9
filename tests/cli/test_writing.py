"""Where `check` writes: what would fail is refused before the run, and what fails has the option's name."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.cli import check, check_reports
from rpw_fixture.errors import ConfigError, EnvironmentLacksError


def test_text_goes_to_the_file_or_to_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_reports.write("é\n", tmp_path / "file", "--x")
    check_reports.write("text", None, "--y")
    assert (tmp_path / "file").read_bytes() == "é\n".encode()
    assert capsys.readouterr().out == "text"


def test_a_file_that_can_not_be_written_is_named_by_its_option(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLacksError, match=r"^--x: No such file or directory$"):
        check_reports.write("text", tmp_path / "absent/file", "--x")


FORMATS: list[tuple[list[str], str | None, str | None, list[tuple[str, str | None, str]]]] = [
    ([], None, None, [("text", None, "stdout")]),
    ([], "o", None, [("text", "o", "--output o")]),
    (["json"], None, None, [("json", None, "stdout")]),
    (["json"], "o", None, [("json", "o", "--output o")]),
    (["json=a"], None, None, [("json", "a", "--format json=a"), ("text", None, "stdout")]),
    (["json=a"], "o", None, [("json", "a", "--format json=a"), ("text", "o", "--output o")]),
    (["text=a"], None, None, [("text", "a", "--format text=a")]),
    (["text=a"], "o", None, [("text", "a", "--format text=a"), ("text", "o", "--output o")]),
    (["text=a", "json"], None, None, [("text", "a", "--format text=a"), ("json", None, "stdout")]),
    ([], None, "r", [("text", None, "stdout"), ("html", "r", "--report r")]),
]


def wanted(given: list[str], output: str | None, report: str | None) -> list[Any]:
    paths = [None if each is None else Path(each) for each in (output, report)]
    formats = [check_reports._parsed(each) for each in given]
    options = argparse.Namespace(format=formats, output=paths[0], report=paths[1])
    return [*check_reports.wanted(options)]


@pytest.mark.parametrize(("given", "output", "report", "expected"), FORMATS)
def test_each_report_goes_to_one_place(
    given: list[str], output: str | None, report: str | None, expected: list[Any]
) -> None:
    found = [
        (each.name, None if each.path is None else str(each.path), each.option)
        for each in wanted(given, output, report)
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("given", "output", "report", "problem"),
    [
        (["json", "text"], None, None, "--format json and --format text would both go to stdout"),
        (["json", "text"], "o", None, "would both go to --output o; .* --format text=FILE"),
    ],
)
def test_two_reports_do_not_go_to_one_place(
    given: list[str], output: str | None, report: str | None, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        wanted(given, output, report)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("jsn", "there is no format 'jsn'; did you mean 'json'"), ("json=", "'json=' names no file")],
)
def test_a_format_that_is_none_is_refused(text: str, problem: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=problem):
        check_reports._parsed(text)


NUMBERS: dict[str, tuple[float | None, int | None]] = {
    # text: as seconds, as a count from 1 on
    "0": (0.0, None),
    "1": (1.0, 1),
    "12": (12.0, 12),
    "1.5": (1.5, None),
    "-1": (None, None),
    "-0.0": (0.0, None),
    "nan": (None, None),
    "inf": (None, None),
    "1e3": (1000.0, None),
    "": (None, None),
    "many": (None, None),
}


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_are_read_or_refused(text: str) -> None:
    for parse, number in zip((check._seconds, check._positive), NUMBERS[text], strict=True):
        if number is None:
            with pytest.raises(argparse.ArgumentTypeError, match=f"^{text!r} is not a "):
                parse(text)
        else:
            assert parse(text) == number


@pytest.mark.parametrize("text", ["", "1", "0/1", "2/1", "a/b", "1/", "1/2/3"])
def test_a_shard_that_is_none_is_refused_in_words(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{text!r}"):
        check._shard(text)
    assert check._shard("2/3") == (2, 3)
