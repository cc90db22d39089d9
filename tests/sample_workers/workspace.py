"""An action's folder with a sample worker staged in it, and only the files the worker names."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from .driver import Worker, run_once
from .encodings import Encoding, Json, Proto

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """``command`` starts the worker staged in ``root``, where ``src`` and ``out`` are empty."""

    root: Path
    command: tuple[str, ...]
    encoding: Encoding

    def start(self, *startup: str) -> Worker:
        return Worker([*self.command, *startup], self.encoding, self.root)

    def run_once(self, *arguments: str) -> tuple[int, str]:
        """Exit code and stderr of a run without ``--persistent_worker``."""
        done = run_once([*self.command, *arguments], self.root)
        assert done.stdout == b""
        return done.returncode, done.stderr.decode()

    def write(self, path: str, text: str) -> str:
        (self.root / path).write_text(text)
        return path

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def files(self) -> set[str]:
        """Every file below the root, relative to it."""
        return {
            file.relative_to(self.root).as_posix()
            for file in self.root.rglob("*")
            if not file.is_dir()
        }


def stage_python(folder: Path, script: str, encoding: Encoding) -> Workspace:
    """A Python sample in ``folder/root/tools``, next to the files that its docstring lists."""
    source = SAMPLES / "python" / script
    listed = re.search(r"^Files: (.+)$", source.read_text(), re.MULTILINE)
    assert listed, f"{script} does not say which files it needs"
    root = make_root(folder)
    for name in listed[1].split(", "):
        shutil.copy(SAMPLES / "python" / name, root / "tools" / name)
    protocol = [f"--worker_protocol={encoding.name}"] if encoding.name != "proto" else []
    command = (sys.executable, f"tools/{script}", *protocol)
    return Workspace(root=root, command=command, encoding=encoding)


def stage_node(folder: Path, node: str) -> Workspace:
    root = make_root(folder)
    shutil.copy(SAMPLES / "node" / "worker.js", root / "tools" / "worker.js")
    return Workspace(root=root, command=(node, "tools/worker.js"), encoding=Json())


def make_root(folder: Path) -> Path:
    root = folder / "root"
    for name in ("tools", "src", "out"):
        (root / name).mkdir(parents=True)
    return root


def compiled(*lines: str) -> str:
    """The tiny compiler's output for lines that are in upper case already."""
    text = "".join(f"{line}\n" for line in lines)
    return f"{text}sha256 {hashlib.sha256(text.encode()).hexdigest()}\n"


ENCODINGS = {"proto": Proto, "json": Json}
