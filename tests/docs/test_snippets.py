"""What the README and the pages under docs/ show can be found, and is understood.

test_installed.py executes it.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from rpw_fixture import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: What links of the README begin with: package pages show it without the files beside it.
REPOSITORY = re.compile(r"https://github\.com/rpw-fixture/rpw_fixture/(?:blob|tree)/main/")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets(page: Path, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(page.read_text("utf-8")) if kind == language]


def with_snippets(language: str) -> list[Path]:
    return [page for page in PAGES if snippets(page, language)]


def commands() -> list[str]:
    """All lines of shell snippets, continuation lines joined."""
    found = []
    for page in PAGES:
        for snippet in snippets(page, "sh"):
            found += snippet.replace("\\\n", " ").splitlines()
    return [line for line in found if line and not line.startswith("#")]


def our_commands() -> list[str]:
    return [line for line in commands() if "python -m rpw_fixture" in line and "venv" not in line]


@pytest.mark.parametrize("line", our_commands())
def test_a_command_of_ours_is_understood(line: str) -> None:
    words = shlex.split(line)
    arguments = words[words.index("rpw_fixture") + 1 :]
    if "--help" in arguments:
        with pytest.raises(SystemExit, match="0"):
            cli.main(arguments)
    else:
        assert cli.parse(arguments) is not None


def test_the_readme_has_exactly_two_commands_for_a_fresh_machine() -> None:
    fresh = [line for line in commands() if line.startswith("python3 -m venv")]
    assert len(fresh) == 2
    assert fresh[0].endswith("python -m rpw_fixture demo")
    assert " -m pytest" in fresh[1]


def test_links_of_the_readme_are_absolute_and_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text("utf-8"))
    for link in links:
        assert REPOSITORY.match(link), link
        assert (ROOT / REPOSITORY.sub("", link)).exists(), link
    assert len(links) > 5


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
