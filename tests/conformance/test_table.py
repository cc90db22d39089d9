"""The table of points and tests is whole and fresh, and says so when it is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / ".ci" / "conformance_table.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the script is in checkouts only")


def check(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "conformance"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_the_table_is_fresh_and_every_point_is_tested_or_decided() -> None:
    assert check(HERE) == (0, "")


def test_a_new_test_makes_the_table_stale(copy: Path) -> None:
    with (copy / "test_table.py").open("a") as file:
        file.write("\n\n@pytest.mark.point(1)\ndef test_new():\n    pass\n")
    code, told = check(copy)
    assert code == 1
    assert "README.md is stale" in told


def test_a_point_without_test_or_decision_is_named(copy: Path) -> None:
    points = copy / "points.toml"
    points.write_text(points.read_text().replace("[decisions]", '188 = ["M", "new"]\n[decisions]'))
    code, told = check(copy)
    assert code == 1
    assert "point 188 has neither a test nor a decision" in told


def test_a_test_of_an_unknown_point_is_named(copy: Path) -> None:
    with (copy / "test_table.py").open("a") as file:
        file.write("\n\n@pytest.mark.point(999)\ndef test_new():\n    pass\n")
    assert "point 999 is not in points.toml" in check(copy)[1]
