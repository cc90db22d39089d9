"""Write the tables of docs/personalities.md, taken from the personalities themselves.

They stand between a pair of markers. Run it after a change of a rule; `--check` writes nothing and
exits 1 when the page is stale.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout is enough

from rpw_fixture.workers.personalities import all_personalities
from rpw_fixture.workers.personalities.rules import Personality, SourcedRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "personalities.md"
_PLACE = re.compile(
    r"(?<=<!-- personalities: begin -->\n).*?(?=<!-- personalities: end -->)", re.DOTALL
)


def rendered(text: str) -> str:
    """Return the page with up-to-date tables.

    Raises:
        ValueError: when there is no place for them.
    """
    if len(_PLACE.findall(text)) != 1:
        raise ValueError("no place for the personalities")
    return _PLACE.sub(lambda _: "\n".join(_lines()) + "\n", text)


def rules_of(personality: Personality) -> Iterator[tuple[str, SourcedRule[Any]]]:
    """All rules of a personality with their names."""
    for each in dataclasses.fields(personality):
        value = getattr(personality, each.name)
        if isinstance(value, SourcedRule):
            yield each.name, value


def _lines() -> Iterator[str]:
    yield "\n## Where they differ\n"
    yield from _differences()
    for each in all_personalities():
        yield f"\n## {each.name}\n"
        yield f"{each.describes[0].upper()}{each.describes[1:]}.\n"
        yield from _table(
            ("rule", "value", "source"),
            (
                (f"`{name}`", _shown(rule.value), rule.source or "unknown; as in `reference`")
                for name, rule in rules_of(each)
            ),
        )
        if each.not_reproduced:
            yield "\nKnown, and not reproduced here:\n"
            yield from (f"- {text}" for text in each.not_reproduced)


def _differences() -> Iterator[str]:
    reference = dict(rules_of(all_personalities()[0]))
    others = all_personalities()[1:]
    rows = []
    for name, rule in reference.items():
        values = [dict(rules_of(each))[name] for each in others]
        if all(each.value == rule.value for each in values):
            continue
        cells = ["" if each.value == rule.value else _shown(each.value) for each in values]
        rows.append((f"`{name}`", _shown(rule.value), *cells))
    yield "An empty cell is as in `reference`, known or not.\n"
    yield from _table(("rule", "`reference`", *(f"`{each.name}`" for each in others)), rows)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "none"
    if isinstance(value, tuple):
        return " or ".join(map(str, value))
    return str(value)


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    titles = tuple(titles)
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for row in rows:
        cells = (each.replace("|", "\\|") for each in row)
        yield f"| {' | '.join(cells)} |"


def main() -> int:
    """Write the page, or say whether it is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
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
