"""The README of the sample workers: its commands work, and it knows every worker."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from .requirements import require_program
from .workspace import SAMPLES, compiled

if TYPE_CHECKING:
    from pathlib import Path

README = (SAMPLES / "README.md").read_text()
SNIPPETS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(SAMPLES, tmp_path / "sample_workers")
    return tmp_path


def run(snippet: str, folder: Path) -> str:
    done = subprocess.run(["sh", "-ec", snippet], cwd=folder, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def test_the_snippets_run_a_worker_once_and_as_a_worker(folder: Path) -> None:
    once, served, _ = SNIPPETS
    assert run(once, folder) == ""
    output = folder / "out/hello.txt"
    assert output.read_text() == compiled("HELLO")
    output.unlink()
    assert '"exitCode": 0' in run(served, folder)
    assert output.read_text() == compiled("HELLO")


def test_the_snippet_that_compiles_java_makes_a_jar(folder: Path) -> None:
    require_program("javac")
    (folder / "app").mkdir()
    (folder / "app/App.java").write_text("package app; class App {}")
    with zipfile.ZipFile(folder / "lib.jar", "w") as library:
        library.writestr("empty", "")
    assert run(SNIPPETS[2], folder) == ""
    assert "app/App.class" in zipfile.ZipFile(folder / "app.jar").namelist()


@pytest.mark.parametrize("file", sorted([*SAMPLES.glob("python/*.py"), *SAMPLES.glob("node/*.js")]))
def test_every_worker_is_in_the_table(file: Path) -> None:
    assert f"`{file.relative_to(SAMPLES).as_posix()}`" in README
