"""BuildStream 2 builds an element on our server, whose build root is three folders deep.

BuildStream declares its outputs relative to that folder: ``.`` and ``../../../buildstream-install``. It
takes the input root for ``/``, which it is not here, so the commands use relative paths.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .requirements import require_bst
from .serve_process import ServeProcess

PROJECT = """\
name: sample
min-version: "2.0"
element-path: elements
variables:
  build-root: /build/of/sample
"""
#: BuildStream wants a shell among the inputs; the one that runs is this machine's.
BASE = "kind: import\nsources:\n- kind: local\n  path: files\n"
ELEMENT = """\
kind: manual
build-depends:
- base.bst
sources:
- kind: local
  path: source
config:
  install-commands:
"""


class BuildStream:
    """A project with one element, ``made.bst``, and the settings that send its commands to a server."""

    def __init__(self, program: Path, folder: Path, address: str) -> None:
        self._program = program
        self._folder = folder
        self.project = folder / "project"
        for name in ("elements", "files/bin", "source"):
            (self.project / name).mkdir(parents=True)
        (self.project / "project.conf").write_text(PROJECT)
        (self.project / "elements/base.bst").write_text(BASE)
        shell = self.project / "files/bin/sh"
        shell.write_text("#!/bin/sh\n")
        shell.chmod(0o755)
        (self.project / "source/hello.txt").write_text("hello\n")
        services = "".join(
            f"  {name}:\n    url: http://{address}\n"
            for name in ("execution-service", "storage-service", "action-cache-service")
        )
        places = "".join(f"{name}dir: {folder / name}\n" for name in ("cache", "log", "source"))
        (folder / "user.conf").write_text(f"{places}remote-execution:\n{services}")

    def write(self, *commands: str) -> None:
        """Lets the element run these commands."""
        text = ELEMENT + "".join(f"  - {each}\n" for each in commands)
        (self.project / "elements/made.bst").write_text(text)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs ``bst``."""
        return subprocess.run(
            [self._program, "--no-colors", "--no-interactive", *self._options, *arguments],
            cwd=self.project,
            env={**os.environ, "HOME": str(self._folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    @property
    def _options(self) -> tuple[str, ...]:
        return ("--config", str(self._folder / "user.conf"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServeProcess]:
    program = require_bst()
    assert program
    with ServeProcess(tmp_path) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def bst(tmp_path: Path, server: ServeProcess) -> BuildStream:
    return BuildStream(require_bst(), tmp_path / "buildstream", server.address)


def test_an_element_is_built_three_folders_deep(
    bst: BuildStream, server: ServeProcess, tmp_path: Path
) -> None:
    bst.write(
        "mkdir -p ../../../buildstream-install/usr",
        "tr a-z A-Z < hello.txt > ../../../buildstream-install/usr/hello.txt",
        "chmod +x ../../../buildstream-install/usr/hello.txt",
    )
    built = bst.run("build", "made.bst")
    assert built.returncode == 0, built.stdout
    checkout = tmp_path / "checkout"
    taken = bst.run("artifact", "checkout", "made.bst", "--deps=none", f"--directory={checkout}")
    assert taken.returncode == 0, taken.stdout

    assert (checkout / "usr/hello.txt").read_text() == "HELLO\n"
    assert os.access(checkout / "usr/hello.txt", os.X_OK)
    (done,) = [each for each in server.events() if each.event == "action_completed"]
    assert (done.mode, done.exit_code) == ("one-shot", 0)
    assert "../../../buildstream-install/usr/hello.txt" in {each.path for each in done.outputs}


def test_a_command_that_fails_is_shown(bst: BuildStream) -> None:
    bst.write("echo this is wrong >&2; exit 3")
    built = bst.run("build", "made.bst")

    assert built.returncode != 0
    assert "this is wrong" in built.stdout
