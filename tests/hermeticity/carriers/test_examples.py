"""The workers on the pages about codes: `check` says of them what their pages say."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings import pages
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.pages import CarrierExample
from rpw_fixture.hermeticity.findings.text import Paint, shown
from rpw_fixture.hermeticity.suites.suite_file import load
from tests.hermeticity.carriers.leaky_java_workers import LeakyJava, compiled
from tests.hermeticity.carriers.leaky_node_workers import LeakyNode
from tests.hermeticity.carriers.locations import locate
from tests.hermeticity.carriers.sampled import java_suite, node_suite


def examples(code: str) -> list[CarrierExample]:
    return list(pages.texts()[code].examples)


def suite_of(example: CarrierExample, folder: Path) -> Path:
    if example.language == "javascript":
        return node_suite(LeakyNode("", "", f"\n{example.code}"), folder / "suite")
    worker = LeakyJava("Compiler", "", "", f"\n{example.code}")
    return java_suite(worker, compiled([worker], folder), folder / "suite")


def lines(finding: Finding) -> list[str]:
    return [each.strip() for each in shown(finding, Paint(is_on=False))]


def test_a_check_names_the_carrier_in_the_second_line(tmp_path: Path) -> None:
    (example,) = (each for each in examples("RPW202") if each.language == "javascript")
    report = check(load(suite_of(example, tmp_path)), Options(selected=frozenset(("RPW202",))))
    texts = [lines(each) for each in report.findings if each.polluters == ("hello",)]
    assert [each[1] for each in texts] == [example.carrier]


def test_the_carrier_of_the_example_in_java_is_confirmed(tmp_path: Path) -> None:
    # By itself, because a whole check starts the JVM 35 times.
    (example,) = (each for each in examples("RPW202") if each.language == "java")
    assert lines(locate(suite_of(example, tmp_path)))[1] == example.carrier


@pytest.mark.parametrize("example", examples("RPW301"), ids=lambda each: each.language)
def test_the_classes_that_grow_are_named(example: CarrierExample, tmp_path: Path) -> None:
    finding = locate(suite_of(example, tmp_path), ("hello",) * 40, "RPW301")
    suspects = "\n".join(each for each in lines(finding) if each.startswith("suspect: "))
    assert suspects == example.carrier
