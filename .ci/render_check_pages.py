"""Writes docs/checks/ and the samples that check --explain shows. ``--check`` only compares.

A page shows code of sample_workers, so it can't differ from what the tests run. Run it with the package
importable; it exits 1 naming each file that is stale.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import textwrap
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from rpw_fixture.hermeticity.findings import pages
from rpw_fixture.hermeticity.findings.codes import CODES

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "checks"
WORKERS = ROOT / "sample_workers"


def main() -> int:
    """Write or compare the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    missing = [code for code in CODES if code not in pages.texts()]
    if missing:
        print(f"code_pages.toml says nothing about {', '.join(missing)}")
        return 1
    stale = [path for path, text in _samples() if _replace(path, text, options.check)]
    pages.samples.cache_clear()
    stale += [path for path, text in _pages() if _replace(path, text, options.check)]
    known = {FOLDER / f"{code}.md" for code in CODES} | {FOLDER / "README.md"}
    for path in set(FOLDER.glob("*")) - known:
        stale.append(path)
        if not options.check:
            path.unlink()
    if options.check:
        for path in stale:
            print(f"{path} is stale; run {Path(__file__).name}")
    return int(options.check and bool(stale))


def _replace(path: Path, text: str, is_check: bool) -> bool:
    """Return whether a file was stale; write it unless it is only compared."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    if not is_check:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return True


def _samples() -> Iterator[tuple[Path, str]]:
    found = {
        code: {"bad": _code(page.bad), "good": _code(page.good)}
        for code, page in sorted(pages.texts().items())
        if code in CODES and page.bad
    }
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    yield Path(str(files(pages.__package__))) / pages.SAMPLES_FILE, text


def _pages() -> Iterator[tuple[Path, str]]:
    for code in CODES:
        yield FOLDER / f"{code}.md", pages.as_markdown(code)
    lines = [
        "# Check codes",
        "",
        "Generated from the code by `.ci/render_check_pages.py`; `check --explain CODE` shows a page.",
        "",
        *pages.index(sorted(CODES), lambda code: CODES[code].meaning),
    ]
    yield FOLDER / "README.md", "\n".join(lines) + "\n"


def _code(references: tuple[str, ...]) -> str:
    return "\n\n\n".join(_excerpt(*each.partition(":")[::2]) for each in references)


def _excerpt(path: str, name: str) -> str:
    """Return a function or class of a sample worker; without a name, all below its docstring."""
    source = (WORKERS / path).read_text(encoding="utf-8")
    tree = ast.parse(source)
    lines = source.splitlines()
    if not name:
        return "\n".join(lines[tree.body[0].end_lineno or 0 :]).strip("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))
    raise SystemExit(f"{path} has no {name}; see code_pages.toml")


if __name__ == "__main__":
    sys.exit(main())
