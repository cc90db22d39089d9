"""Write the diagrams of docs/worker-protocol.md and docs/architecture.md, taken from the code.

Each stands between a pair of markers. Run it after a change of a state table or of the executors that
an action passes through; `--check` writes nothing and exits 1 when a page is stale.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout is enough

from rpw_fixture.config import Config
from rpw_fixture.events.log import EventLog
from rpw_fixture.faults.registry import Faults
from rpw_fixture.server.engine import EngineDependencies, build_engine
from rpw_fixture.storage.action_cache import ActionCache
from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.wire.digests import DigestFunctions
from rpw_fixture.workers import lifecycle, protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rpw_fixture.execution.executor import Executor

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"


def request_diagram() -> str:
    """Return the diagram of one request's states, from `protocol.TRANSITIONS`."""
    return _states(
        (state.name.lower(), to.name.lower(), signal.name.lower().replace("_", " "))
        for (state, signal), to in protocol.TRANSITIONS.items()
    )


def worker_diagram() -> str:
    """Return the diagram of a worker's states, from `lifecycle.TRANSITIONS`."""
    return _states(
        (str(state), str(to), "")
        for state, following in lifecycle.TRANSITIONS.items()
        for to in sorted(following, key=list(lifecycle.State).index)
    )


def action_diagram() -> str:
    """Return the diagram of the executors that a server with a recording builds."""
    with tempfile.TemporaryDirectory() as folder:
        edges = list(_edges_of_engine(Path(folder)))
    nodes = dict.fromkeys(node for source, _, to in edges for node in (source, to))
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {_name(node)}["{_name(node)}<br/>{_file(node)}"]' for node in nodes]
    lines += [
        f"    {_name(source)} -->{f'|{label}|' if label else ''} {_name(to)}"
        for source, label, to in edges
    ]
    return "\n".join([*lines, "```", ""])


def _edges_of_engine(folder: Path) -> Iterator[tuple[type, str, type]]:
    cas = Cas(
        DigestFunctions(["SHA256"]),
        folder=folder / "cas",
        memory_bytes=1 << 20,
        spill_threshold=1 << 10,
        max_bytes=1 << 20,
        durable=False,
    )
    given = EngineDependencies(
        config=Config(record=str(folder / "recording")),
        log=EventLog(),
        folder=folder,
        results=CompleteResults(ActionCache(None), cas),
        worker_faults=Faults((), evict=lambda _: 0).workers,
    )
    with contextlib.closing(cas), build_engine(given) as engine:
        yield type(engine), "", type(engine.scheduler)
        yield type(engine.scheduler), "", type(engine.executor)
        yield from _edges(engine.executor)


def _edges(executor: Executor) -> Iterator[tuple[type, str, type]]:
    """From an executor to those that it has execute an action, and on from there."""
    for name, inner in vars(executor).items():
        if not name.startswith("_") and hasattr(inner, "execute"):
            yield type(executor), "" if name == "inner" else name.replace("_", "-"), type(inner)
            yield from _edges(inner)


def _name(node: type) -> str:
    return node.__name__


def _file(node: type) -> str:
    return str(Path(inspect.getfile(node)).relative_to(DOCS.parent))


#: Which diagrams each page has.
PAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "worker-protocol.md": ("request", "worker"),
    "architecture.md": ("action", "worker"),
}
DIAGRAMS: Final[Mapping[str, Callable[[], str]]] = {
    "request": request_diagram,
    "worker": worker_diagram,
    "action": action_diagram,
}


def rendered(text: str, names: Iterable[str]) -> str:
    """Return the page with up-to-date diagrams.

    Raises:
        ValueError: when the markers of a diagram are not in it.
    """
    for name in names:
        diagram = DIAGRAMS[name]()
        begin, end = f"<!-- {name} diagram: begin -->\n", f"<!-- {name} diagram: end -->"
        place = re.compile(f"(?<={re.escape(begin)}).*?(?={re.escape(end)})", re.DOTALL)
        if len(place.findall(text)) != 1:
            raise ValueError(f"no place for the {name} diagram")
        text = place.sub(lambda _, diagram=diagram: diagram, text)
    return text


def _states(ways: Iterable[tuple[str, str, str]]) -> str:
    ways = list(ways)
    sources = {source for source, _, _ in ways}
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {ways[0][0]}"]
    lines += [f"    {source} --> {to}" + (f" : {why}" if why else "") for source, to, why in ways]
    ends = dict.fromkeys(to for _, to, _ in ways if to not in sources)
    lines += [f"    {end} --> [*]" for end in ends]
    return "\n".join([*lines, "```", ""])


def _is_fresh(page: Path, *, only_check: bool) -> bool:
    """Compare a page with the code, and write it unless it is only to be checked."""
    text = page.read_text(encoding="utf-8")
    try:
        expected = rendered(text, PAGES[page.name])
    except ValueError as error:
        print(f"{page}: {error}")
        return False
    if text == expected:
        return True
    if only_check:
        print(f"{page} is stale; run {Path(__file__).name}")
        return False
    page.write_text(expected, encoding="utf-8")
    return True


def main() -> int:
    """Do what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    parser.add_argument(
        "pages", nargs="*", type=Path, help=f"copies of {', '.join(PAGES)}; default: those in docs/"
    )
    options = parser.parse_args()
    for page in options.pages:
        if page.name not in PAGES:
            parser.error(f"{page} has no diagrams; pages with diagrams: {', '.join(PAGES)}")
    pages = options.pages or [DOCS / name for name in PAGES]
    stale = [page for page in pages if not _is_fresh(page, only_check=options.check)]
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
