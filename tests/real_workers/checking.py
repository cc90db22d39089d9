"""Checking one published worker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.real_workers.packages import JAR
from tests.real_workers.published import PublishedWorker

_PATIENCE = 1800.0
#: The figures of a check, beside its report.
_MEASURED = "measured.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `check` said of a worker.

    Attributes:
        seconds: from start to end.
        processor_seconds: of the check and the workers; a loaded machine does not change them much.
        result: the JSON report.
        packages: the folder with the packages.
    """

    seconds: float
    processor_seconds: float
    result: dict[str, Any]
    packages: Path

    @property
    def findings(self) -> dict[str, list[dict[str, Any]]]:
        """The findings, by code."""
        found: dict[str, list[dict[str, Any]]] = {}
        for each in self.result["findings"]:
            found.setdefault(each["code"], []).append(each)
        return found

    def count(self, status: str) -> int:
        """Return how many codes have a status."""
        return sum(each["status"] == status for each in self.result["checks"])


def check(worker: PublishedWorker, packages: Path, *options: str) -> Report:
    """Run `check` with a worker's suite, beside the packages."""
    suite = write_suite(worker, packages)
    report = packages / "report.json"
    formats = [f"--format=json={report}", f"--format=text={packages / 'report.txt'}"]
    began, used = time.monotonic(), _processor_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "rpw_fixture", "check", str(suite), *options, *formats],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"check of {worker.name} ended with {done.returncode}: {done.stderr}")
    measured = {
        "seconds": time.monotonic() - began,
        "processor_seconds": _processor_seconds() - used,
    }
    (packages / _MEASURED).write_text(json.dumps(measured))
    return read_report(packages)


def read_report(packages: Path) -> Report:
    """Return what an earlier check left in a folder."""
    measured = json.loads((packages / _MEASURED).read_text())
    result = json.loads((packages / "report.json").read_text())
    return Report(**measured, result=result, packages=packages)


def write_suite(worker: PublishedWorker, packages: Path) -> Path:
    """Copy a worker's files beside its packages; return its suite, which knows where they are."""
    shutil.copytree(worker.folder, packages, dirs_exist_ok=True)
    suite = packages / "suite.toml"
    text = suite.read_text("utf-8")
    places = {"{packages}": packages, "{python}": sys.executable, "{jar}": JAR}
    for name, place in places.items():
        text = text.replace(name, str(place))
    suite.write_text(text, "utf-8")
    return suite


def _processor_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system
