"""A staged input root with a neighbour, and programs that are launched in it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpw_fixture.launching.launch import Launch, Launcher
from rpw_fixture.processes.spawner import Exit
from tests.watched_process import WatchedProcess

PYTHON = (sys.executable, "-I", "-S", "-c")


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


class Running(WatchedProcess):
    """What a launcher starts."""

    def __init__(self, launcher: Launcher, command: Launch) -> None:
        super().__init__(
            lambda stdin, output: launcher.launch(
                command, stdin=stdin, stdout=output, stderr=output
            )
        )


def run(launcher: Launcher, command: Launch) -> tuple[str, Exit]:
    with Running(launcher, command) as running:
        return running.read_all().decode(), running.ended()
