"""What a finding says about the carrier of a sample, beside what it should say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings.carrier import Carrier
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.report import Report
from rpw_fixture.hermeticity.findings.text import Paint, shown
from rpw_fixture.hermeticity.suites.suite_file import load
from tests.hermeticity.carriers.sampled import Sample

HEADER = ("worker", "its carrier", "the finding names", "status", "line", "starts", "seconds")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A sample, and the report of its check."""

    sample: Sample
    report: Report

    @property
    def finding(self) -> Finding | None:
        """The first finding with the expected code."""
        return next((each for each in self.report.findings if each.code == self.sample.code), None)

    @property
    def wrong(self) -> list[Carrier]:
        """Confirmed carriers of any finding that are not the true one."""
        found = [carrier for each in self.report.findings for carrier in each.carriers]
        return [each for each in found if each.is_confirmed and not self._is_true(each)]

    @property
    def status(self) -> str:
        """``confirmed``, ``suspect``, ``missed``, ``wrong``; ``found`` or ``no finding``."""
        if self.wrong:
            return "wrong"
        if self.finding is None or not self.sample.carrier:
            return "no finding" if self.finding is None else "found"
        true = [each for each in self.finding.carriers if self._is_true(each)]
        if not true:
            return "missed"
        return "confirmed" if any(each.is_confirmed for each in true) else "suspect"

    @property
    def is_right(self) -> bool:
        """Whether the true carrier is named, or nothing of a good worker."""
        return self.status in ({"confirmed", "suspect"} if self.sample.carrier else {"no finding"})

    @property
    def line(self) -> int:
        """The line of the finding's text that names the carrier, from 1; 0 if none does."""
        lines = shown(self.finding, Paint(is_on=False)) if self.finding is not None else ()
        named = (number for number, each in enumerate(lines, 1) if self._names(each))
        return next(named, 0)

    @property
    def named(self) -> str:
        """The true carriers as the finding writes them; else the first one that it names."""
        carriers = self.finding.carriers if self.finding is not None else ()
        true = [each for each in carriers if self._is_true(each)]
        return " and ".join(_written(each) for each in true or carriers[:1])

    @property
    def row(self) -> tuple[str, ...]:
        """The cells of a table, as in `HEADER`."""
        expected = f"{self.sample.kind}: `{self.sample.carrier}`" if self.sample.carrier else "none"
        line = str(self.line or "")
        figures = str(self.report.worker_starts), f"{self.report.seconds:.1f}"
        return (str(self.sample), expected, self.named, self.status, line, *figures)

    def _is_true(self, carrier: Carrier) -> bool:
        return self._names(carrier.name)

    def _names(self, text: str) -> bool:
        return bool(re.search(rf"(?<!\w){re.escape(self.sample.word)}(?!\w)", text))


def _written(carrier: Carrier) -> str:
    place = f" ({carrier.place})" if carrier.place else ""
    return f"{carrier.kind} `{carrier.name}`{place}"


def judge(sample: Sample, folder: Path, *, selected: frozenset[str] = frozenset()) -> Verdict:
    """Check a sample in an empty folder, with its code alone if none are selected."""
    options = Options(selected=selected or frozenset((sample.code,)), pause=0.0)
    return Verdict(sample=sample, report=check(load(sample.stage(folder)), options))
