"""Pages about codes: every code has one, with everything on it, also in a built wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.findings import pages
from rpw_fixture.hermeticity.findings.codes import CODES, page_url

ROOT = Path(__file__).resolve().parents[3]
#: Codes about recordings: no worker has that bug.
_WITHOUT_WORKER = {"RPW402", "RPW403"}


@pytest.mark.parametrize("code", list(CODES))
def test_every_page_is_complete(code: str) -> None:
    text = pages.as_markdown(code)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    expected = ["A real bug", "How to fix it", "How servers react"]
    if code not in _WITHOUT_WORKER:
        expected.insert(0, "A worker with the bug, and one without")
        assert pages.samples()[code]["bad"] != pages.samples()[code]["good"]
    assert headings == expected
    assert re.search(r"\[[\w-]+#\d+\]\(https://github\.com/[\w-]+/[\w-]+/issues/\d+\)", text), text
    assert (ROOT / "docs" / "checks" / f"{code}.md").read_text() == text
    assert page_url(code).endswith(f"/docs/checks/{code}.md")


def test_texts_are_of_codes_and_links_lead_to_workers_that_exist() -> None:
    assert all(re.fullmatch(r"RPW\d{3}", code) for code in pages.texts())
    for path in (ROOT / "docs" / "checks").glob("*.md"):
        for target in re.findall(r"\]\((?!http)([^)]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_an_unknown_code_is_refused() -> None:
    with pytest.raises(ConfigError, match="'RPW2022' is not a check code; did you mean 'RPW202'"):
        pages.as_text("rpw2022")


def test_explain_works_in_a_copy_of_the_package_alone(tmp_path: Path) -> None:
    """As in a wheel, which has no docs and not all sample workers."""
    shutil.copytree(
        ROOT / "rpw_fixture", tmp_path / "rpw_fixture", ignore=shutil.ignore_patterns("*.pyc")
    )
    done = subprocess.run(
        [sys.executable, "-m", "rpw_fixture", "check", "--explain", "RPW203"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == pages.as_text("RPW203")
    assert "def read_cached(" in done.stdout
