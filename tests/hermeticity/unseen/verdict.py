"""What ``check`` said of a sample, beside what it should say."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.report import Report
from rpw_fixture.hermeticity.suites.suite_file import load
from tests.hermeticity.unseen import sample_workers
from tests.hermeticity.unseen.corpus import Sample, stage
from tests.hermeticity.unseen.sample_workers import SAMPLE_WORKER

HEADER = ("worker", "expected", "found", "exact", "seconds", "starts", "")


@dataclass(frozen=True, kw_only=True)
class Built:
    """What was compiled: a folder of classes, and the jar of the sample worker."""

    classes: Path | None = None
    jar: Path | None = None


NOTHING = Built()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A sample and its report."""

    sample: Sample
    report: Report

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The errors that are not true, and for a good worker also the warnings."""
        true = self.sample.expected | self.sample.also
        worst = {Severity.ERROR} if self.sample.expected else {Severity.ERROR, Severity.WARNING}
        found = self.report.findings
        return tuple(each for each in found if each.severity in worst and each.code not in true)

    @property
    def hits(self) -> tuple[Finding, ...]:
        """The findings with an expected code; an information is none."""
        expected = self.sample.expected
        found = self.report.findings
        return tuple(
            each for each in found if each.code in expected and each.severity is not Severity.INFO
        )

    @property
    def is_found(self) -> bool:
        return bool(self.hits)

    @property
    def is_exact(self) -> bool | None:
        """Whether all polluters are right; None if there are none to name."""
        if not self.sample.polluters or not self.hits:
            return None
        return all(self._is_exact(each) for each in self.hits)

    def _is_exact(self, finding: Finding) -> bool:
        if finding.are_polluters_any:
            return "any" in self.sample.polluters
        allowed = self.sample.polluters
        names = allowed | ({finding.victim} if "same" in allowed else set())
        return "any" in allowed or set(finding.polluters) <= names

    @property
    def row(self) -> tuple[str, ...]:
        severest = {each.code: "" for each in reversed(self.report.findings)}
        for each in reversed(self.report.findings):
            severest[each.code] = "" if each.severity is Severity.ERROR else f"({each.severity})"
        exact = {True: "yes", False: "no", None: ""}[self.is_exact]
        return (
            str(self.sample),
            "/".join(sorted(self.sample.expected)) or "-",
            " ".join(f"{code}{mark}" for code, mark in sorted(severest.items())) or "-",
            exact,
            f"{self.report.seconds:.1f}",
            str(self.report.worker_starts),
            " ".join(self._remarks),
        )

    @property
    def _remarks(self) -> Iterable[str]:
        if self.sample.expected and not self.is_found:
            yield "MISSED"
        if self.wrong:
            yield "FALSE:" + ",".join(sorted({each.code for each in self.wrong}))


def judge(
    sample: Sample,
    folder: Path,
    options: Options,
    built: Built = NOTHING,
    most_actions: int | None = None,
) -> Verdict:
    """Check a sample in an empty folder; with fewer actions than it has, the seed says which."""
    suite = load(_stage(sample, folder, built))
    if most_actions is not None and len(suite.actions) > most_actions:
        source = random.Random(options.seed)
        kept = source.sample(range(len(suite.actions)), most_actions)
        suite = replace(suite, actions=tuple(suite.actions[place] for place in sorted(kept)))
    return Verdict(sample=sample, report=check(suite, options))


def _stage(sample: Sample, folder: Path, built: Built) -> Path:
    if sample.language != SAMPLE_WORKER:
        return stage(folder, sample, built.classes)
    return sample_workers.stage(folder / "suite", sample.name, built.jar)
