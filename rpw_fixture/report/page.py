"""Write the page: one HTML file with its style, its program and its data inside.

The browser refuses everything else: a Content-Security-Policy names the hashes of the style and the
program, and allows no other address.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from rpw_fixture._version import __version__
from rpw_fixture.hermeticity.findings.codes import CODES
from rpw_fixture.report.inputs import Inputs

#: Parts of the program, each after those that it imports.
SCRIPTS: Final = (
    *("numbers.js", "dom.js", "model.js", "key_differences.js", "lane_layout.js", "evidence.js"),
    *("difference.js", "input_tree.js", "virtual_list.js", "matrix.js", "overview.js", "lanes.js"),
    *("action.js", "actions.js", "keys.js", "findings.js", "growth.js", "compare.js", "live.js"),
    "main.js",
)
_IMPORT: Final = re.compile(r"^import (\{[^}]*\}) from \"\./(\w+)\.js\";$", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (function|const|class) (\w+)", re.MULTILINE)


def render(inputs: Inputs, *, title: str = "rpw_fixture report", is_live: bool = False) -> str:
    """Return the page as HTML."""
    data = {
        "format": 1,
        "version": __version__,
        "live": is_live,
        "problems": inputs.problems,
        "runs": inputs.runs,
        "checks": inputs.checks,
        "recordings": inputs.recordings,
        "codes": _codes(inputs),
    }
    values = {
        "title": html.escape(title),
        "policy": policy(is_live=is_live),
        "style": style(),
        "script": script(),
        "data": embedded(data),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], _file("page.html"))


def policy(*, is_live: bool = False) -> str:
    """Return the Content-Security-Policy of the page."""
    connect = "'self'" if is_live else "'none'"
    return (
        f"default-src 'none'; style-src '{_hash(style())}'; script-src '{_hash(script())}'; "
        f"connect-src {connect}; img-src data:; base-uri 'none'; form-action 'none'"
    )


def embedded(data: Mapping[str, Any]) -> str:
    """Return JSON that can stand in a script element: no text in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    # A lone surrogate, from a file name that is not UTF-8, can't be encoded.
    text = text.encode("utf-8", "replace").decode()
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def style() -> str:
    """Return the style sheet."""
    return f"\n{_file('style.css')}"


@cache
def script() -> str:
    """Return the program: every module as a function that returns its exports."""
    parts = "\n".join(map(_module, SCRIPTS))
    return f'\n(() => {{\n"use strict";\nconst modules = {{}};\n{parts}\n}})();\n'


def _module(name: str) -> str:
    text = _file(name)
    exports = ", ".join(found[2] for found in _EXPORT.finditer(text))
    body = _IMPORT.sub(r"const \1 = modules.\2;", _EXPORT.sub(r"\1 \2", text))
    return f"modules.{name.removesuffix('.js')} = (() => {{\n{body}return {{ {exports} }};\n}})();"


def _codes(inputs: Inputs) -> dict[str, dict[str, str]]:
    """Return the explanation of every code in the checks."""
    used = {
        each["code"] for check in inputs.checks for each in (*check["checks"], *check["findings"])
    }
    return {
        code: {
            "name": each.name,
            "meaning": each.meaning,
            "example": each.example,
            "remedy": each.remedy,
        }
        for code, each in CODES.items()
        if code in used
    }


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _file(name: str) -> str:
    return (resources.files("rpw_fixture.report") / "page" / name).read_text(encoding="utf-8")
