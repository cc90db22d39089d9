"""Of JVM workers that keep state, `check` names the field and confirms it by putting it back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sample_workers.requirements import require_program

from .locations import locate, write_suite

SOURCE = Path(__file__).parent / "leaks" / "Worker.java"
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xmx64m")
#: By the worker's argument: the kind of place, and its name.
KINDS = {
    "late": ("static field", "leaks.Worker$Registry.COUNTS"),
}


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    javac = require_program("javac")
    folder = tmp_path_factory.mktemp("classes")
    command = (javac, "-J-XX:TieredStopAtLevel=1", "-proc:none", "-d", str(folder), str(SOURCE))
    subprocess.run(command, check=True)
    return folder


def suite_of(classes: Path, folder: Path, kind: str) -> Path:
    words = (require_program("java"), *QUICK, "-cp", "tools", "leaks.Worker", kind)
    command = ", ".join(f'"{each}"' for each in words)
    suite = write_suite(folder, {}, command=command, more='protocol = "json"\n')
    shutil.copytree(classes, folder / "tools", dirs_exist_ok=True)
    return suite


@pytest.mark.parametrize("kind", KINDS)
def test_the_carrier_of_a_jvm_worker_is_confirmed(kind: str, classes: Path, tmp_path: Path) -> None:
    finding = locate(suite_of(classes, tmp_path, kind))
    assert [each.is_confirmed for each in finding.carriers] == [True], finding.evidence
    carrier = finding.carriers[0]
    assert (carrier.kind, carrier.name) == KINDS[kind]
    file, _, line = carrier.place.partition(":")
    assert file == "leaks/Worker.java"
    field = carrier.name.rpartition(".")[2]
    assert field in SOURCE.read_text("utf-8").splitlines()[int(line) - 1]
    assert carrier.before != carrier.after
