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
    if pages.texts()[code].carrier:
        expected.insert(1, "Where the state lives")
    assert headings == expected
    assert re.search(r"\[[\w-]+#\d+\]\(https://github\.com/[\w-]+/[\w-]+/issues/\d+\)", text), text
    assert (ROOT / "docs" / "checks" / f"{code}.md").read_text() == text
    assert page_url(code).endswith(f"/docs/checks/{code}.md")


@pytest.mark.parametrize("code", [each for each in CODES if pages.texts()[each].carrier])
def test_the_lines_of_a_carrier_are_those_of_its_sample(code: str) -> None:
    text = pages.texts()[code].carrier
    found = re.search(r"([\w(]+)\)? \(tools/(\w+\.py):(\d+)\)", text)
    if found is None:
        assert re.search(r"carried by (file \$|descriptor |thread )", text)
        return
    name, file, line = found.groups()
    (path,) = (ROOT / "sample_workers").glob(f"*/{file}")
    source = path.read_text("utf-8").splitlines()
    assert name.rpartition("(")[2] in source[int(line) - 1]
    if text.startswith("suspect: "):
        return
    changed = re.search(rf"changed at tools/{file}:(\d+)", text)
    assert changed is not None
    assert name.rpartition("(")[2] in source[int(changed[1]) - 1]


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
