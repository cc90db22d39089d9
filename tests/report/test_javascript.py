"""The page's modules that only compute, in Node.js with its own test runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.interop.requirements import require_node

FOLDER = Path(__file__).parent / "javascript"


def test_the_modules_compute_what_they_should(tmp_path: Path) -> None:
    # The package's folder has no package.json that would say that its files are modules.
    root = FOLDER.parents[2]
    modules = Path("rpw_fixture/report/page")
    shutil.copytree(root / modules, tmp_path / modules)
    tests = tmp_path / "tests/report/javascript"
    shutil.copytree(FOLDER, tests)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    files = sorted(map(str, tests.glob("*.test.mjs")))
    ran = subprocess.run(
        [require_node(), "--test", *files], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert "pass 0" not in ran.stdout
