"""The table of docs/isolation.md as data: what each attempt comes to behind each kind of isolation."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = ("none", "landlock", "namespaces")
OUTCOMES = ("open", "refused", "hidden", "own", "settings")
EVIDENCE = ("secret", "change", "file", "output", "network", "success", "never")
_FILE = Path(__file__).with_name("table.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One attempt.

    Attributes:
        group: the part of the table.
        probe: the function in ``attempts``.
        what: the attempt in words.
        user, root: the outcome by kind, for a server that runs as a user and as root.
        evidence: how to tell that something of the machine's own was reached.
        since: the version of Landlock's interface that ``landlock`` needs; before, it is ``open``.
    """

    group: str
    probe: str
    what: str
    user: dict[str, str]
    root: dict[str, str]
    evidence: str
    since: int

    def cell(self, kind: str, *, is_root: bool, landlock: int) -> str:
        """The documented outcome.

        Args:
            kind: of isolation.
            is_root: whether the server runs as root.
            landlock: the version of Landlock's interface here.
        """
        if kind == "landlock" and landlock < self.since:
            return "open"
        return (self.root if is_root else self.user)[kind]


def rows() -> Iterator[Row]:
    """The rows in their order.

    Raises:
        ValueError: for a word that the table does not know.
    """
    for group in tomllib.loads(_FILE.read_text(encoding="utf-8"))["group"]:
        for each in group["rows"]:
            user = _outcomes(each["cells"])
            if each["evidence"] not in EVIDENCE:
                raise ValueError(f"{each['probe']}: unknown evidence {each['evidence']!r}")
            yield Row(
                group=group["title"],
                probe=each["probe"],
                what=each["what"],
                user=user,
                root=_outcomes(each["root"]) if "root" in each else user,
                evidence=each["evidence"],
                since=each.get("since", 1),
            )


def _outcomes(text: str) -> dict[str, str]:
    found = dict(zip(KINDS, text.split(), strict=True))
    if unknown := set(found.values()) - set(OUTCOMES):
        raise ValueError(f"unknown outcomes {unknown} in {text!r}")
    return found
