"""All workers with one leak, in three languages: the suite of each, and the carrier that is to be found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.hermeticity.carriers.corpus import staging
from tests.hermeticity.carriers.corpus.staging import CorpusWorker
from tests.hermeticity.carriers.hard_workers import HARD, HARD_JAVA, HARD_NODE
from tests.hermeticity.carriers.leaky_java_workers import (
    LEAKY_JAVA,
    LeakyJava,
    compiled,
    put_classes,
)
from tests.hermeticity.carriers.leaky_node_workers import LEAKY_NODE, LeakyNode
from tests.hermeticity.carriers.leaky_workers import LEAKY
from tests.hermeticity.carriers.locations import write_suite
from tests.sample_workers.requirements import require_program


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A worker with one leak.

    Attributes:
        language: ``python``, ``node`` or ``java``.
        title: its name.
        kind, carrier: what the finding should name, as the worker's author says it; "" for a good worker.
        stage: writes its suite into a folder, and returns the suite's path.
        code: the code that it is found under.
    """

    language: str
    title: str
    kind: str
    carrier: str
    stage: Callable[[Path], Path]
    code: str = "RPW202"

    @property
    def word(self) -> str:
        """The last word of the carrier's name: tools differ in how they write what is before it."""
        name = self.carrier.split()[-1] if self.carrier else ""
        return name if "/" in name else name.removesuffix("()").rpartition(".")[2]

    def __str__(self) -> str:
        return f"{self.language} {self.title}"


def samples(scratch: Path) -> list[Sample]:
    """Return all samples; ``scratch`` is a folder for compiled classes."""
    return [*_python(), *_node(), *_java(scratch), *_corpus(scratch)]


def _python() -> Iterator[Sample]:
    for number, each in enumerate((*LEAKY, *HARD)):
        files = {"worker.py": each.source, **dict(each.files)}
        yield Sample(
            language="python",
            title=f"{number} {each.kind}",
            kind=each.kind,
            carrier=each.name,
            stage=lambda folder, files=files: write_suite(folder, files),  # type: ignore[misc]
        )


def _node() -> Iterator[Sample]:
    for number, each in enumerate((*LEAKY_NODE, *HARD_NODE)):
        yield Sample(
            language="node",
            title=f"{number} {each.kind}",
            kind=each.kind,
            carrier=each.name,
            stage=lambda folder, each=each: node_suite(each, folder),  # type: ignore[misc]
        )


def _java(scratch: Path) -> Iterator[Sample]:
    workers = [*LEAKY_JAVA, *HARD_JAVA]
    classes: list[Path] = []

    def stage(each: LeakyJava, folder: Path) -> Path:
        if not classes:
            classes.append(compiled(workers, scratch))
        return java_suite(each, classes[0], folder)

    for each in workers:
        yield Sample(
            language="java",
            title=each.title,
            kind=each.kind,
            carrier=each.name,
            stage=lambda folder, each=each: stage(each, folder),  # type: ignore[misc]
        )


def _corpus(scratch: Path) -> Iterator[Sample]:
    classes: list[Path] = []

    def stage(each: CorpusWorker, folder: Path) -> Path:
        if each.language == "java" and not classes:
            classes.append(staging.compile_java(scratch / "corpus"))
        return staging.stage(each, folder, classes[0] if classes else None)

    for each in staging.workers():
        yield Sample(
            language=each.language,
            title=f"corpus {each.name}",
            kind=each.kind,
            carrier=each.carrier,
            stage=lambda folder, each=each: stage(each, folder),  # type: ignore[misc]
            code=each.code or "RPW202",
        )


def node_suite(worker: LeakyNode, folder: Path) -> Path:
    """Write the suite of a Node.js worker."""
    return _json_suite(
        folder, {"worker.js": worker.source}, (require_program("node"), "tools/worker.js")
    )


def java_suite(worker: LeakyJava, classes: Path, folder: Path) -> Path:
    """Write the suite of a Java worker whose classes are compiled."""
    suite = _json_suite(folder, {}, worker.command)
    put_classes(worker, classes, folder / "tools")
    return suite


def _json_suite(folder: Path, files: Mapping[str, str], command: tuple[str, ...]) -> Path:
    words = ", ".join(json.dumps(each) for each in command)
    return write_suite(folder, files, command=words, more='protocol = "json"\n')
