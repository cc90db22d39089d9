"""The figures of reports in words: what the text and Markdown formats print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rpw_fixture.report.inputs import Inputs
from rpw_fixture.report.run_figures import CACHE, COLD, ONE_SHOT, OPEN, WARM, Row

_KINDS = {
    WARM: "warm worker",
    COLD: "fresh worker",
    ONE_SHOT: "one-shot process",
    CACHE: "action cache",
    OPEN: "not finished",
}
_MOST_FAILURES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, a sentence and a table; each of the last two may be empty."""

    title: str
    remark: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The content of a report in words.

    Attributes:
        problems: what is wrong with the inputs.
        sections: everything else, in order.
    """

    problems: tuple[str, ...]
    sections: tuple[Section, ...]


def figures_of(inputs: Inputs) -> Figures:
    """Return the figures of all runs, checks and recordings."""
    sections: list[Section] = []
    for run in inputs.runs:
        sections += _of_run(run)
    for check in inputs.checks:
        sections += _of_check(check)
    sections += [
        Section(
            title=f"Recording {each['name']}",
            remark=f"{len(each['actions'])} worker actions with {len(each['files'])} different inputs.",
        )
        for each in inputs.recordings
    ]
    return Figures(problems=tuple(inputs.problems), sections=tuple(sections))


def seconds(value: float) -> str:
    """Return a time in the unit that suits it."""
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def _of_run(run: Row) -> Iterator[Section]:
    summary = run["summary"]
    reuse = (
        "no worker ran" if summary["reuse"] is None else f"{summary['reuse']:.0%} met a warm worker"
    )
    yield Section(
        title=f"Run {run['name']}",
        remark=f"{summary['actions']} actions, {summary['failed']} failed; {summary['workers']} workers "
        f"started, {reuse}; {len(run['violations'])} protocol violations.",
        columns=("how", "actions"),
        rows=tuple(
            (_KINDS[each], summary["kinds"][each]) for each in _KINDS if each in summary["kinds"]
        ),
    )
    yield Section(
        title="Why there",
        columns=("where", "reason", "actions"),
        rows=tuple(map(tuple, summary["ways"])),
    )
    yield Section(
        title="What workers bought (median, × actions)",
        columns=("mnemonic", "warm", "cold", "one-shot"),
        rows=tuple(
            (
                each["mnemonic"] or "(none)",
                *(_time(each["kinds"].get(kind)) for kind in (WARM, COLD, ONE_SHOT)),
            )
            for each in summary["mnemonics"]
        ),
    )
    yield from _of_trouble(run)


def _time(kind: Mapping[str, Any] | None) -> str:
    return "–" if kind is None else f"{seconds(kind['median'])} × {kind['count']}"


def _of_trouble(run: Row) -> Iterator[Section]:
    if run["violations"]:
        yield Section(
            title="Protocol violations",
            columns=("worker", "rule", "evidence"),
            rows=tuple(
                (each["worker"], each["rule"], each["detail"][:200]) for each in run["violations"]
            ),
        )
    failed = [
        each for each in run["actions"] if each.get("status", "OK") != "OK" or each.get("exit")
    ]
    if failed:
        more = len(failed) - _MOST_FAILURES
        yield Section(
            title="Failed actions",
            remark=f"The first {_MOST_FAILURES}; {more} more failed." if more > 0 else "",
            columns=("target", "mnemonic", "status", "exit code"),
            rows=tuple(
                (
                    each["target"] or each["action"][:12],
                    each["mnemonic"],
                    each["status"],
                    each["exit"],
                )
                for each in failed[:_MOST_FAILURES]
            ),
        )


def _of_check(check: Mapping[str, Any]) -> Iterator[Section]:
    states = Counter(each["status"] for each in check["checks"])
    yield Section(
        title=f"Check {check['name']}",
        remark=f"{len(check['findings'])} findings; {states['passed']} codes passed, "
        f"{states['failed']} failed, {states['skipped']} were not checked.",
        columns=("code", "severity", "finding"),
        rows=tuple((each["code"], each["severity"], each["summary"]) for each in check["findings"]),
    )
    skipped = [each for each in check["checks"] if each["status"] == "skipped"]
    if skipped:
        yield Section(
            title="Not checked",
            columns=("code", "name", "reason"),
            rows=tuple((each["code"], each["name"], each["reason"]) for each in skipped),
        )
