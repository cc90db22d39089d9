"""The workers to check, as their files in ``workers/`` describe them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORKERS = Path(__file__).with_name("workers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What somebody found who read the worker because of a finding.

    Attributes:
        code: of the finding.
        verdict: "true", "harmless" (true, and no author would change it) or "false".
        because: what the worker does, for a reader of the page.
        file: where it does that, relative to the folder with the packages or absolute; "" for none.
        text: a piece of that line; the script looks for it, so that the page is about this version.
    """

    code: str
    verdict: str
    because: str
    file: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWorker:
    """A worker that others published.

    Attributes:
        name: of its folder.
        title: the heading of its section.
        description: what it is, and what was put around it.
        npm, pip: packages with their versions.
        java: a source file beside the folder that is compiled against Debian's Bazel.
        readings: see there.
    """

    name: str
    title: str
    description: str
    npm: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    java: str = ""
    readings: tuple[Reading, ...] = field(default_factory=tuple)

    @property
    def folder(self) -> Path:
        """The folder with its suite."""
        return WORKERS / self.name


def load(name: str) -> PublishedWorker:
    """Return the worker in a folder of ``workers/``."""
    about: dict[str, Any] = tomllib.loads((WORKERS / name / "about.toml").read_text("utf-8"))
    return PublishedWorker(
        name=name,
        title=about["title"],
        description=" ".join(about["description"].split()),
        npm=tuple(about.get("npm", ())),
        pip=tuple(about.get("pip", ())),
        java=about.get("java", ""),
        readings=tuple(
            Reading(**{**each, "because": " ".join(each["because"].split())})
            for each in about.get("reading", ())
        ),
    )


def load_all() -> list[PublishedWorker]:
    """Return all workers, in the order of their folders' names."""
    return [load(path.parent.name) for path in sorted(WORKERS.glob("*/about.toml"))]
