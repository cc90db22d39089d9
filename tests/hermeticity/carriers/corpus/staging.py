"""The workers of `manifest.toml`, and folders in which they can be started."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
import zipapp
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent
PROJECT = CORPUS.parents[3]


@dataclass(frozen=True, kw_only=True)
class CorpusWorker:
    """A worker, and what is known of it; `manifest.toml` describes the fields."""

    suite: str
    polluter: str = ""
    victim: str = ""
    others: list[list[str]] = field(default_factory=list)
    code: str = ""
    also: list[str] = field(default_factory=list)
    kind: str = ""
    carrier: str = ""
    change: str = ""
    note: str = ""
    build: str = ""
    main: str = ""
    shared: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return self.suite.replace("/", "-")

    @property
    def language(self) -> str:
        return self.suite.partition("/")[0]

    @property
    def name(self) -> str:
        return self.suite.partition("/")[2]

    @property
    def folder(self) -> Path:
        return CORPUS / self.suite

    @property
    def files(self) -> list[Path]:
        """The tool's own files, relative to `folder`."""
        names = ("tools", "sources", "app")
        found = [each for name in names for each in (self.folder / name).rglob("*")]
        return sorted(each.relative_to(self.folder) for each in found if each.is_file())

    def read_suite(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "suite.toml").read_text("utf-8"))


def workers() -> list[CorpusWorker]:
    manifest = tomllib.loads((CORPUS / "manifest.toml").read_text("utf-8"))
    return [CorpusWorker(**each) for each in manifest["worker"]]


def compile_java(classes: Path) -> Path:
    """Compile the sources of all Java workers in one call, because most of its time is the start."""
    java = [each for each in workers() if each.language == "java"]
    sources = {str(path) for each in java for path in _java_sources(each)}
    subprocess.run(["javac", "-g", "-d", str(classes), *sorted(sources)], check=True)
    return classes


def stage(worker: CorpusWorker, folder: Path, classes: Path | None = None) -> Path:
    """Copy a worker's suite to a new folder, build its tool, and return the path of the suite."""
    shutil.copytree(
        worker.folder, folder, ignore=shutil.ignore_patterns("sources", "app", "__pycache__")
    )
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    if worker.build.endswith(".pyz"):
        zipapp.create_archive(worker.folder / "app", tools / worker.build)
    elif worker.build:
        assert classes is not None
        _put_classes(worker, tools, classes)
    else:
        _put_shared(worker, tools)
    return folder / "suite.toml"


def _put_shared(worker: CorpusWorker, tools: Path) -> None:
    """Put a shared module beside the tool's main module."""
    main = next(iter(tools.glob("*/__main__.py")), None)
    for each in worker.shared:
        shutil.copy(PROJECT / each, main.parent if main else tools)


def _java_sources(worker: CorpusWorker) -> list[Path]:
    own = sorted((worker.folder / "sources").rglob("*.java"))
    return own + [PROJECT / each for each in worker.shared]


def _put_classes(worker: CorpusWorker, tools: Path, classes: Path) -> None:
    stems = {path.stem for path in _java_sources(worker)}
    chosen = [each for each in classes.rglob("*.class") if each.stem.split("$")[0] in stems]
    if worker.build.endswith(".jar"):
        with zipfile.ZipFile(tools / worker.build, "w") as jar:
            manifest = f"Manifest-Version: 1.0\r\nMain-Class: {worker.main}\r\n\r\n"
            jar.writestr("META-INF/MANIFEST.MF", manifest)
            for each in chosen:
                jar.write(each, each.relative_to(classes))
        return
    for each in chosen:
        target = tools / worker.build / each.relative_to(classes)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(each, target)
