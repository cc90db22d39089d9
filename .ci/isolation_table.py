"""Write the table of docs/isolation.md: what a process can do behind each kind of isolation.

The rows stand in tests/isolation/table.toml, and tests/isolation/test_table.py tries each cell. Run it
after a change of the rows; `--check` writes nothing and exits 1 when the page is stale.
"""

from __future__ import annotations

import argparse
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout is enough

from tests.isolation.table import KINDS, Row, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "isolation.md"
#: The first Linux with a version of Landlock's interface.
_LINUX: Final = {2: "5.19", 3: "6.2", 4: "6.7", 5: "6.10", 6: "6.12", 7: "6.15", 8: "7.0", 9: "7.1"}
_PLACE = re.compile(
    r"(?<=<!-- isolation table: begin -->\n).*?(?=<!-- isolation table: end -->)", re.DOTALL
)


def rendered(text: str) -> str:
    """Return the page with its table as it should be.

    Raises:
        ValueError: when there is no place for it.
    """
    if len(_PLACE.findall(text)) != 1:
        raise ValueError(f"{PAGE.name} has no place for the table: two comments must mark it")
    return _PLACE.sub(lambda _: "\n".join(_lines()) + "\n", text)


def _lines() -> Iterator[str]:
    yield f"\n| | {' | '.join(f'`{kind}`' for kind in KINDS)} |"
    yield "|---|---|---|---|"
    for title, group in groupby(rows(), lambda row: row.group):
        yield f"| **{title}** | | | |"
        for row in group:
            yield f"| {row.what} | {' | '.join(_cell(row, kind) for kind in KINDS)} |"
    yield ""


def _cell(row: Row, kind: str) -> str:
    user, root = row.user[kind], row.root[kind]
    text = _shown(user)
    if kind == "landlock" and row.since in _LINUX:
        text += f" (from Linux {_LINUX[row.since]})"
    return text if root == user else f"{text}; root: {_shown(root)}"


def _shown(outcome: str) -> str:
    return f"**{outcome}**" if outcome == "open" else outcome


def main() -> int:
    """Write the page, or say whether it is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    options = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    new = rendered(text)
    if options.check:
        if new != text:
            print(f"{PAGE.name} is stale: run {Path(__file__).name}")
        return int(new != text)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
