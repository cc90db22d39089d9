"""A staged input root with a neighbour, and programs that are launched in it."""

from __future__ import annotations

import os
import select
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from rpw_fixture.execution.launching import Launch, Launcher
from rpw_fixture.processes.client import Exit, Process

PYTHON = (sys.executable, "-I", "-S", "-c")
DEADLINE = 30.0


@dataclass
class Place:
    """A staged input root with a neighbour, and what runs in it."""

    folder: Path
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.folder / "own" / "root"
        self.root.mkdir(parents=True)
        source = self.root / "input.txt"
        source.write_text("declared")
        source.chmod(0o444)
        (self.folder / "neighbour").mkdir()
        (self.folder / "neighbour" / "secret.txt").write_text("undeclared")

    def launch(self, *argv: str, private: str = "private", **others: Any) -> Launch:
        settings = {"environment": {"LANG": "C.UTF-8"}, **others}
        return Launch(
            argv=argv, root=str(self.root), private=str(self.folder / "own" / private), **settings
        )


class Running:
    """A launched process with its output."""

    def __init__(self, launcher: Launcher, command: Launch) -> None:
        self.output, writing = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        try:
            self.process: Process = launcher.launch(
                command, stdin=null, stdout=writing, stderr=writing
            )
        except BaseException:
            os.close(self.output)
            raise
        finally:
            os.close(writing)
            os.close(null)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close()
        os.close(self.output)

    def read(self) -> bytes:
        assert select.select([self.output], [], [], DEADLINE)[0], "no output in time"
        return os.read(self.output, 1 << 16)

    def read_all(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def ended(self) -> Exit:
        ended = self.process.wait(DEADLINE)
        assert ended is not None, "still running"
        return ended


def run(launcher: Launcher, command: Launch) -> tuple[str, Exit]:
    with Running(launcher, command) as running:
        return running.read_all().decode(), running.ended()
