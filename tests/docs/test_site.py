"""Every page can be found: from the README, and in the navigation of the site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
#: Folders of many short pages, which their README lists.
LISTS = ("decisions", "checks")
LISTED = [each for each in PAGES if each.startswith(LISTS) and not each.endswith("README.md")]
SITE: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def named(entries: list[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values():
            if isinstance(value, str):
                yield value
            else:
                yield from named(value)


def test_the_site_has_every_page_once() -> None:
    assert sorted(named(SITE["nav"])) == [each for each in PAGES if each not in LISTED]


@pytest.mark.parametrize("page", LISTED)
def test_folders_list_their_pages(page: str) -> None:
    folder, _, name = page.partition("/")
    assert f"({name})" in (DOCS / folder / "README.md").read_text()


def test_there_are_three_ways_in() -> None:
    ways = ["Test my worker", "Debug my build", "Check in CI"]
    assert [next(iter(each)) for each in SITE["nav"]][1:4] == ways
    start = (DOCS / "index.md").read_text()
    assert [each for each in re.findall("^## (.*)$", start, re.MULTILINE) if each in ways] == ways


@pytest.mark.parametrize("page", [each for each in PAGES if "/" not in each and each != "index.md"])
def test_readme_links_every_page(page: str) -> None:
    assert f"/docs/{page})" in (ROOT / "README.md").read_text()


def test_links_between_pages_lead_somewhere() -> None:
    """Also those from README and other files of the repository, which the site does not check."""
    files = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    broken = []
    for file in files:
        for target in re.findall(r"\]\(([^)\s]+)\)", file.read_text()):
            path = target.partition("#")[0].partition("?")[0]
            own = re.fullmatch(
                r"https://github.com/rpw-fixture/rpw_fixture/(?:blob|tree)/main/(.*)", path
            )
            if own and not (ROOT / own[1]).exists():
                broken.append(f"{file.name}: {target}")
            if path and "://" not in path and not (file.parent / path).exists():
                broken.append(f"{file.name}: {target}")
    assert not broken
