"""The forms of the program, and how they are started."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 120.0
ROOT = Path(__file__).resolve().parents[2]
SHELL_SUITE = ROOT / "sample_workers" / "shell"


@dataclass(frozen=True)
class Programs:
    """What `.ci/binary` has built, and a cache folder in which it may unpack itself."""

    folder: Path
    cache: Path

    @property
    def file(self) -> Path:
        return self.folder / "rpw-fixture"

    @property
    def zipapp(self) -> Path:
        return self.folder / "rpw-fixture.pyz"

    @property
    def wheel(self) -> Path:
        (found,) = self.folder.glob("*.whl")
        return found

    @property
    def sdist(self) -> Path:
        (found,) = self.folder.glob("*.tar.gz")
        return found

    def environment(self, **more: str) -> dict[str, str]:
        """A small environment without anything of this test run's own Python."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.cache),
            "XDG_CACHE_HOME": str(self.cache),
            **more,
        }

    def command(self, form: str) -> list[str]:
        return {
            "file": [str(self.file)],
            "zipapp": [str(Path(sys.executable).resolve()), "-E", "-s", str(self.zipapp)],
        }[form]


def run(
    command: list[str], folder: Path, environment: dict[str, str], expected: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == expected, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done
