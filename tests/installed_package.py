"""A virtual environment that has the package as users install it, and no checkout.

The wheel is built with hatchling, and the package's requirements are links to the packages that the
tests run with, so nothing is downloaded. One environment is made for all processes of a test run.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def installed_package(base: Path) -> Path:
    """The environment's Python; made below ``base``, a folder of the whole test run, when first asked."""
    folder = base / "installed-package"
    done = folder / "done"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _make(folder)
            done.touch()
    return folder / "venv/bin/python"


def clean_environment(python: Path, home: Path) -> dict[str, str]:
    """Variables of a shell in which that environment is active, with nothing of this test run."""
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "HOME": str(home), "PYTHONWARNINGS": "error"}


def _make(folder: Path) -> None:
    if importlib.util.find_spec("hatchling") is None:
        reason = "there is no hatchling to build the wheel with (pip install hatchling)"
        if os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    venv.create(folder / "venv", symlinks=True, with_pip=False)
    (packages,) = (folder / "venv/lib").glob("python*/site-packages")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    for name in sorted(_requirements("rpw_fixture")):
        _link(importlib.metadata.distribution(name), packages)
    script = folder / "venv/bin/rpw-fixture"
    python = folder / "venv/bin/python"
    script.write_text(
        f"#!{python}\nimport sys\nfrom rpw_fixture.__main__ import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)


def _requirements(name: str) -> set[str]:
    """Distributions that one needs, extras left out, and that are installed here."""
    found: set[str] = set()
    todo = [name]
    while todo:
        for each in importlib.metadata.requires(todo.pop()) or ():
            needed = re.match(r"[\w.-]+", each)
            if needed is None or "extra ==" in each or needed[0] in found:
                continue
            try:
                importlib.metadata.distribution(needed[0])
            except importlib.metadata.PackageNotFoundError:
                continue  # for another Python or system
            found.add(needed[0])
            todo.append(needed[0])
    return found


def _link(distribution: importlib.metadata.Distribution, packages: Path) -> None:
    for path in _top_levels(distribution):
        link = packages / path.name
        if not link.exists():
            link.symlink_to(path)


def _top_levels(distribution: importlib.metadata.Distribution) -> Iterator[Path]:
    names = {each.parts[0] for each in distribution.files or () if each.parts[0] != ".."}
    for name in sorted(names - {"__pycache__"}):
        yield Path(str(distribution.locate_file(name)))
