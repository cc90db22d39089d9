"""Summaries as text and Markdown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rpw_fixture.report import inputs, markdown, text
from rpw_fixture.report.figures import Section
from rpw_fixture.report.inputs import Inputs

from .sample_log import EVIL, small_log, write_check


def sample(tmp_path: Path) -> Inputs:
    log = small_log()
    log.action(7, 6.0, target=f"{EVIL}|\x1b[31m", exit_code=1)
    return inputs.read([log.write(tmp_path / "log"), write_check(tmp_path / "check")])


def test_text_has_the_figures(tmp_path: Path) -> None:
    found = text.render(sample(tmp_path))
    assert (
        "7 actions, 2 failed; 2 workers started, 60% met a warm worker; 1 protocol violations"
        in found
    )
    assert "RPW110  cancel-broken  the suite does not say cancellation = true" in found
    assert "RPW202  error     after alpha, beta differs" in found


def test_text_has_no_control_characters(tmp_path: Path) -> None:
    assert "\x1b" not in text.render(sample(tmp_path))


def test_markdown_has_tables_in_which_nothing_is_markup(tmp_path: Path) -> None:
    found = markdown.render(sample(tmp_path))
    assert "### Run log" in found
    assert "| RPW202 | error | after alpha, beta differs |" in found
    assert "<script>" not in found.replace("\\<", "")
    rows = [line for line in found.splitlines() if "evil" in line]
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)


def test_problems_come_first() -> None:
    problem = Inputs(problems=["log: the log is empty"])
    assert text.render(problem).startswith("note: log: the log is empty")
    assert markdown.render(problem).startswith("> **About the inputs**")


def test_each_section_has_its_heading_and_what_it_has_besides() -> None:
    sections = (
        Section(title="Nothing"),
        Section(title="A remark", remark="one|two"),
        Section(title="Rows", columns=("a", "b"), rows=((1, "x\ny"), (2, "|"))),
        Section(title="Both", remark="said", columns=("a",), rows=((3,),)),
    )
    figures: Any = SimpleNamespace(problems=("torn",), sections=sections)
    assert list(markdown._lines(figures)) == [
        *("> **About the inputs**", "> - torn", ""),
        *("### Nothing", ""),
        *("### A remark", "", "one\\|two", ""),
        *("### Rows", "", "| a | b |", "| --- | --- |", "| 1 | x y |", "| 2 | \\| |", ""),
        *("### Both", "", "said", "", "| a |", "| --- |", "| 3 |", ""),
    ]
    nothing: Any = SimpleNamespace(problems=(), sections=())
    assert list(markdown._lines(nothing)) == []
