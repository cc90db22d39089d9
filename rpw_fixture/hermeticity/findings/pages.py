"""Pages about check codes: Markdown for the documentation, plain text for ``check --explain``."""

from __future__ import annotations

import json
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.findings.codes import CODES, page_url
from rpw_fixture.support.suggestions import did_you_mean

#: Code of the sample workers, by code and by ``bad`` or ``good``; written by `.ci/render_check_pages.py`.
SAMPLES_FILE = "code_samples.json"
_TEXTS_FILE = "code_pages.toml"
_REPOSITORIES = "repositories"
_CITED = re.compile(r"\b([a-z][\w-]*)#(\d+)")
_WIDTH = 100
_TITLES = {"java": "Java", "javascript": "Node.js"}
_CARRIER = (
    "The finding names what carried the state, in its second line "
    "([how](../where-the-state-lives.md)):"
)
_SUSPECT = (
    "The finding names what changed meanwhile; there is no moment to put it back and prove it "
    "([how](../where-the-state-lives.md)):"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierExample:
    """State in a worker of another language than Python, and what its finding says.

    Attributes:
        language: ``java`` or ``javascript``.
        code: the members, or statements, that keep the state.
        carrier: the line of the finding that names it.
    """

    language: str
    code: str
    carrier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageText:
    """The text of a page beyond the entry in `codes`.

    Attributes:
        bad, good: code of sample workers, as ``FILE`` or ``FILE:NAME`` below ``sample_workers``.
        bug: a real bug; empty if the entry has one.
        servers: how servers react.
        carrier: how a finding about the bad code names what carried the state; empty if it can't.
        examples: the same in other languages.
    """

    bad: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    bug: str = ""
    servers: str = ""
    carrier: str = ""
    examples: tuple[CarrierExample, ...] = ()


@cache
def texts() -> Mapping[str, PageText]:
    """Return the texts by code; also those of codes that do not exist yet."""
    return {
        code: PageText(
            bad=tuple(entry.get("bad", ())),
            good=tuple(entry.get("good", ())),
            bug=entry.get("bug", ""),
            servers=entry["servers"],
            carrier=entry.get("carrier", ""),
            examples=tuple(CarrierExample(**each) for each in entry.get("examples", ())),
        )
        for code, entry in _document().items()
        if code != _REPOSITORIES
    }


def as_markdown(code: str) -> str:
    """Return the page of a code for the documentation."""
    entry, page = CODES[code], texts()[code]
    blocks = [f"# {code} {entry.name}", entry.meaning, entry.note]
    if code in samples():
        blocks += ["## A worker with the bug, and one without", _table(samples()[code])]
        blocks.append(f"From {_sources(page)}.")
    if page.carrier:
        text = _SUSPECT if page.carrier.startswith("suspect: ") else _CARRIER
        blocks += ["## Where the state lives", text, f"```text\n{page.carrier}\n```"]
        blocks += chain.from_iterable(_example(each) for each in page.examples)
    blocks += ["## A real bug", _linked(_bugs(code))]
    blocks += ["## How to fix it", entry.remedy]
    blocks += ["## How servers react", _linked(page.servers)]
    return "\n\n".join(_filled(each) for each in blocks if each) + "\n"


def as_text(code: str) -> str:
    """Return the page of a code for a terminal.

    Raises:
        ConfigError: the code does not exist.
    """
    code = code.upper()
    if code not in CODES:
        hint = did_you_mean(code, CODES) or f"; known codes: {', '.join(CODES)}"
        raise ConfigError(f"{code!r} is not a check code{hint}")
    entry, page = CODES[code], texts().get(code, PageText())
    blocks = [f"{code} {entry.name}", entry.meaning, entry.note]
    blocks += [f"Real example: {_bugs(code)}", f"Fix: {entry.remedy}"]
    blocks.append(f"Servers: {page.servers}" if page.servers else "")
    blocks.append(f"Its finding says: {page.carrier}" if page.carrier else "")
    for each in page.examples:
        blocks += [f"In {_TITLES[each.language]}:", textwrap.indent(each.carrier, "    ")]
    for kind, title in (("bad", "A worker with the bug:"), ("good", "One without:")):
        if code in samples():
            blocks += [title, textwrap.indent(samples()[code][kind], "    ")]
    blocks.append(f"This page: {page_url(code)}")
    return "\n\n".join(_filled(each) for each in blocks if each) + "\n"


@cache
def samples() -> Mapping[str, Mapping[str, str]]:
    """Return the code of sample workers: by code, then ``bad`` and ``good``."""
    text = files(__package__).joinpath(SAMPLES_FILE).read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = json.loads(text)
    return found


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(_TEXTS_FILE).read_text(encoding="utf-8"))


def _bugs(code: str) -> str:
    return " ".join(
        each for each in (texts().get(code, PageText()).bug, CODES[code].example) if each
    )


def _linked(text: str) -> str:
    """Return a text with links for what it cites as ``repository#number``."""
    repositories = _document()[_REPOSITORIES]

    def link(match: re.Match[str]) -> str:
        name, number = match.groups()
        if name not in repositories:
            return match[0]
        return f"[{match[0]}](https://github.com/{repositories[name]}/issues/{number})"

    return _CITED.sub(link, text)


def _example(example: CarrierExample) -> Iterator[str]:
    yield f"In {_TITLES[example.language]}:"
    yield f"```{example.language}\n{example.code.strip()}\n```"
    yield f"```text\n{example.carrier.strip()}\n```"


def _table(sample: Mapping[str, str]) -> str:
    """Return bad and good code side by side; Markdown inside of HTML needs empty lines around it."""
    cells = "\n</td><td>\n\n".join(f"```python\n{sample[kind]}\n```\n" for kind in ("bad", "good"))
    return f"<table><tr><th>bad</th><th>good</th></tr><tr><td>\n\n{cells}\n</td></tr></table>"


def _sources(page: PageText) -> str:
    paths = dict.fromkeys(each.partition(":")[0] for each in (*page.bad, *page.good))
    return " and ".join(f"[{path}](../../sample_workers/{path})" for path in paths)


def _filled(block: str) -> str:
    """Return a paragraph in lines of bounded length; leave anything else as it is."""
    if block.startswith(("#", "<", " ")) or "\n" in block:
        return block
    return textwrap.fill(block, _WIDTH, break_long_words=False, break_on_hyphens=False)


def index(codes: Sequence[str], title_of: Callable[[str], str]) -> Iterator[str]:
    """Yield the lines of a list of pages.

    Args:
        codes: codes in order.
        title_of: returns what stands behind the link.
    """
    for code in codes:
        yield f"- [{code} {CODES[code].name}]({code}.md): {title_of(code)}"
