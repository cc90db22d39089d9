"""Write the state diagrams of docs/worker-protocol.md, taken from the tables in the code.

Each stands between a pair of markers. Run it after a change of a table; `--check` writes nothing and
exits 1 when the page is stale.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout is enough

from rpw_fixture.workers import lifecycle, protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "worker-protocol.md"


def request_diagram() -> str:
    """Return the diagram of one request's states, from `protocol.TRANSITIONS`."""
    return _diagram(
        (state.name.lower(), to.name.lower(), signal.name.lower().replace("_", " "))
        for (state, signal), to in protocol.TRANSITIONS.items()
    )


def worker_diagram() -> str:
    """The states of one worker, from `lifecycle.TRANSITIONS`."""
    return _diagram(
        (str(state), str(to), "")
        for state, following in lifecycle.TRANSITIONS.items()
        for to in sorted(following, key=list(lifecycle.State).index)
    )


def rendered(text: str) -> str:
    """The page with its diagrams as they should be.

    Raises:
        ValueError: when the markers of a diagram are not in it.
    """
    for name, diagram in (("request", request_diagram()), ("worker", worker_diagram())):
        begin, end = f"<!-- {name} diagram: begin -->\n", f"<!-- {name} diagram: end -->"
        place = re.compile(f"(?<={re.escape(begin)}).*?(?={re.escape(end)})", re.DOTALL)
        if len(place.findall(text)) != 1:
            raise ValueError(f"no place for the {name} diagram")
        text = place.sub(lambda _, diagram=diagram: diagram, text)
    return text


def _diagram(ways: Iterable[tuple[str, str, str]]) -> str:
    ways = list(ways)
    sources = {source for source, _, _ in ways}
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {ways[0][0]}"]
    lines += [f"    {source} --> {to}" + (f" : {why}" if why else "") for source, to, why in ways]
    ends = dict.fromkeys(to for _, to, _ in ways if to not in sources)
    lines += [f"    {end} --> [*]" for end in ends]
    return "\n".join([*lines, "```", ""])


def main() -> int:
    """Do what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    parser.add_argument("page", nargs="?", type=Path, default=PAGE)
    options = parser.parse_args()
    text = options.page.read_text(encoding="utf-8")
    try:
        expected = rendered(text)
    except ValueError as error:
        print(f"{options.page}: {error}")
        return 1
    if text == expected:
        return 0
    if options.check:
        print(f"{options.page} is stale; run {Path(__file__).name}")
        return 1
    options.page.write_text(expected, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
