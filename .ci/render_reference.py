"""Writes docs/reference.md from the code: settings, events, fixtures. ``--check`` only compares.

Run it with the package importable; it exits 1 naming the page when it is stale.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rpw_fixture import pytest_plugin
from rpw_fixture.config import Config
from rpw_fixture.config.flags import flags
from rpw_fixture.events import kinds as events
from rpw_fixture.testing.endpoint import Endpoint

PAGE = Path(__file__).parent.parent / "docs" / "reference.md"


def main() -> int:
    """Write or compare the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    text = "\n".join(_page()) + "\n"
    if options.check:
        if PAGE.read_text(encoding="utf-8") != text:
            print(f"{PAGE} is stale; run {Path(__file__).name}")
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


def _page() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "Generated from the code by `.ci/render_reference.py`."
    yield from _fixtures()
    yield from _server()
    yield from _settings()
    yield from _events()


def _fixtures() -> Iterator[str]:
    yield from ("", "## Fixtures", "")
    for name, value in sorted(vars(pytest_plugin).items()):
        function = getattr(value, "__wrapped__", None) or getattr(value, "_fixture_function", None)
        if name.startswith(("rpw", "make_rpw")) and function is not None:
            yield f"- `{name}`: {_summary(function)}"


def _server() -> Iterator[str]:
    yield from ("", "## On a server", "")
    for name, value in sorted(vars(Endpoint).items()):
        target = value.fget if isinstance(value, property) else value
        if not name.startswith("_") and callable(target):
            signature = "" if isinstance(value, property) else _signature(target)
            yield f"- `.{name}{signature}`: {_summary(target)}"


def _settings() -> Iterator[str]:
    known = {flag.field: flag for flag in flags()}
    yield from ("", "## Settings", "")
    yield (
        "Each is a keyword of `Server`, `make_rpw_server` and the marker `rpw`, and a field of "
        "`Config`. Where a flag stands, `serve` has it, and the environment variable "
        "`RPW_FIXTURE_…` of the same name."
    )
    yield from ("", "| setting | flag | default | meaning |", "|---|---|---|---|")
    for field in dataclasses.fields(Config):
        flag = f"`--{known[field.name].name}`" if field.name in known else ""
        meaning = field.metadata["help"].replace("|", "\\|")
        yield f"| `{field.name}` | {flag} | `{field.default!r}` | {meaning} |"


def _events() -> Iterator[str]:
    yield from ("", "## Events", "")
    yield "Every record has `seq`, `time` (seconds since the epoch) and `event`."
    yield from ("", "| event | fields | meaning |", "|---|---|---|")
    kinds = [
        kind
        for kind in vars(events).values()
        if inspect.isclass(kind) and issubclass(kind, events.Event) and kind.event
    ]
    for kind in kinds:
        fields = [
            f"`{field.name}`"
            for field in dataclasses.fields(kind)
            if field.init and field.metadata.get("json", True)
        ]
        yield f"| `{kind.event}` | {', '.join(fields)} | {_summary(kind)} |"


def _summary(target: object) -> str:
    text = inspect.getdoc(target) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def _signature(function: object) -> str:
    signature = inspect.signature(function)  # type: ignore[arg-type]  # it is callable, see above
    shown = [
        str(each).split(":")[0] for name, each in signature.parameters.items() if name != "self"
    ]
    return re.sub(r"\s+", " ", f"({', '.join(shown)})")


if __name__ == "__main__":
    sys.exit(main())
