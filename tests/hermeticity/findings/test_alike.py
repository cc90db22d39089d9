"""Findings that say the same of several actions are shown once, with the names of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.findings import alike, markdown, text
from rpw_fixture.hermeticity.findings.carrier import Carrier
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.report import Report
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import steps


def late(victim: str, **values: Any) -> Finding:
    path = f"out/{victim}.txt"
    summary = f"{victim} writes its outputs after the response: {path}"
    given = {"outputs": (path,), "summary": summary, "evidence": f"about {victim}", **values}
    return Finding(code="RPW216", victim=victim, **given)


def grouped(*findings: Finding) -> list[list[str]]:
    return [[each.victim for each in group] for group in alike.groups(findings)]


def test_findings_that_differ_in_the_victim_alone_are_one_group() -> None:
    assert grouped(late("a"), late("b"), late("c")) == [["a", "b", "c"]]
    assert grouped() == []


def test_groups_come_in_the_order_of_their_first_findings() -> None:
    other = {"summary": "something else"}
    assert grouped(late("a"), late("b", **other), late("c"), late("d", **other)) == [
        ["a", "c"],
        ["b", "d"],
    ]


CARRIERS = (Carrier(kind="file", name="$HOME/x", before="1", after="2", is_confirmed=True),)


@pytest.mark.parametrize(
    "values",
    [
        {"severity": Severity.INFO},
        {"polluters": ("x",)},
        {"carriers": CARRIERS},
        {"summary": "b writes its outputs after the response: out/a.txt"},
        {"summary": "a writes its outputs after the response: out/b.txt"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_whatever_else_differs_makes_another_group(values: dict[str, Any]) -> None:
    assert grouped(late("a"), late("b", **values)) == [["a"], ["b"]]


def test_an_action_that_is_its_own_polluter_is_alike_to_others_that_are() -> None:
    first, second = (
        late(each, polluters=(each,), summary=f"after {each}, {each} differs") for each in "ab"
    )
    assert grouped(first, second) == [["a", "b"]]
    assert grouped(first, replace(second, polluters=("a",))) == [["a"], ["b"]]


def test_actions_that_spoil_each_other_when_they_overlap_are_alike() -> None:
    names = {"a", "b", "c"}
    mixed = [
        late(each, polluters=tuple(sorted(names - {each})), summary=f"they overlap, {each} differs")
        for each in "abc"
    ]
    assert grouped(*mixed) == [["a", "b", "c"]]
    assert grouped(mixed[0], replace(mixed[1], polluters=("a", "d"))) == [["a"], ["b"]]
    one, other = (late(each, polluters=("x",), summary=f"after x, {each} differs") for each in "ab")
    assert grouped(one, other) == [["a", "b"]]
    assert grouped(one, late("x", polluters=("a",), summary="after a, x differs")) == [["a"], ["x"]]


def test_a_name_counts_only_where_it_stands_alone() -> None:
    assert grouped(
        late("a", summary="x-a, a/x, x.a and a.x belong to a."),
        late("b", summary="x-a, a/x, x.a and a.x belong to b."),
    ) == [["a", "b"]]
    assert grouped(late("a", summary="a-b"), late("b", summary="b-b")) == [["a"], ["b"]]


def test_the_longer_path_is_found_where_one_begins_another() -> None:
    outputs = {"a": ("o/a", "o/a.map"), "b": ("o/b", "o/b.map")}
    one, other = (
        late(each, outputs=paths, summary=f"{' and '.join(paths)} differ")
        for each, paths in outputs.items()
    )
    assert grouped(one, other) == [["a", "b"]]


def stale(victim: str, path: str) -> Finding:
    action = SuiteAction(
        name=victim, arguments=(), inputs={f"{victim}/{each}": File(b"") for each in "xy"}
    )
    summary = f"{path} has new content, but {victim} still gives the old result"
    history = steps(action, action.changed("without its inputs", inputs={}))
    return Finding(code="RPW203", victim=victim, summary=summary, history=history)


def test_files_of_the_victim_may_differ_but_each_victim_is_in_a_group_once() -> None:
    first, second, third = stale("a", "a/x"), stale("b", "b/x"), stale("a", "a/y")
    assert grouped(first, second, third, stale("b", "b/y")) == [["a", "b"], ["a", "b"]]
    assert grouped(first, stale("b", "a/x")) == [["a"], ["b"]]


def test_a_report_shows_one_and_names_the_others(tmp_path: Path) -> None:
    findings = [replace(late(each), reproducer=tmp_path / each) for each in "abc"]
    report = Report(
        actions=3, checks=(), findings=tuple(findings), worker_starts=1, requests=1, seconds=1.0
    )
    shown = text.render(report)
    assert shown.count("writes its outputs after the response: out/") == 2  # headline and summary
    assert "    about a\n" in shown
    assert (
        f"    reproducer: {tmp_path}/a\n    the same for b, c\n"
        f"    reproducer for b: {tmp_path}/b\n    reproducer for c: {tmp_path}/c\n"
    ) in shown
    page = markdown.as_markdown(report)
    assert page.count("<details>") == 1
    assert "\nthe same for b, c\n" in page
    assert [f"**Reproducer:** `{tmp_path}/{each}`" in page for each in "abc"] == [True] * 3
