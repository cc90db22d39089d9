"""Markdown reports: text of workers must not become markup."""

from __future__ import annotations

from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.markdown import as_markdown
from rpw_fixture.hermeticity.findings.report import CheckState, Report, Status


def rendered(finding: Finding) -> str:
    state = CheckState(code=finding.code, status=Status.FAILED)
    return as_markdown(Report(actions=1, checks=(state,), findings=(finding,)))


def test_names_and_evidence_stay_text() -> None:
    text = rendered(
        Finding(
            code="RPW202",
            victim="a|b <script>",
            polluters=("*x*",),
            summary="</summary><script>",
            evidence="```\nnot the end\n```",
        )
    )
    assert r"a\|b \<script\>" in text
    assert r"after \*x\*" in text
    assert "&lt;/summary&gt;&lt;script&gt;" in text
    assert "````text\n```\nnot the end\n```\n````" in text


def test_long_evidence_is_cut() -> None:
    text = rendered(Finding(code="RPW201", summary="x", evidence="y" * 5000))
    assert "… 1000 more characters" in text
    assert len(text) < 6000


def test_nothing_found_is_short() -> None:
    state = CheckState(code="RPW202", status=Status.PASSED)
    text = as_markdown(Report(actions=2, checks=(state,), findings=()))
    assert text.startswith("### check: no errors\n\n1 of 1 check passed on 2 actions")
    assert "|" not in text
