"""What can be judged on an existing endpoint, and how much a clean result is worth there.

Only tables and words; `remote_runner` does the running.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.bench import Bench
from rpw_fixture.hermeticity.codes import CODES
from rpw_fixture.hermeticity.remote_runner import Sightings

#: Codes whose evidence are results alone.
JUDGED = frozenset(
    (
        "RPW108",
        "RPW109",
        "RPW201",
        "RPW202",
        "RPW203",
        "RPW204",
        "RPW205",
        "RPW212",
    )
)
#: Of those, codes that tell something only where a worker serves more than one request.
_NEED_KEPT = ("RPW109", "RPW202", "RPW203", "RPW204", "RPW212")
#: Codes that compare with a worker, kept or not.
_NEED_WORKER = ("RPW205",)
_SURROUNDINGS = frozenset(("RPW209", "RPW210", "RPW211", "RPW401"))
_REQUESTS = frozenset(("RPW107", "RPW110", "RPW111", "RPW213"))
_RECORDED = frozenset(("RPW402", "RPW403"))


def skipped() -> Iterator[tuple[str, str]]:
    """Each code that can't be judged on an endpoint, with the reason."""
    for code in sorted(CODES.keys() - JUDGED - _RECORDED):
        if code in _SURROUNDINGS:
            need = "a hand in the worker's surroundings"
        elif code in _REQUESTS:
            need = "a hand in what the worker is sent"
        else:
            need = "eyes on the process"
        yield code, f"needs {need}: not with --target"


def tell(bench: Bench, seen: Sightings) -> None:
    """Notes by which means was judged; skips what was not really tried.

    A check that found nothing on an endpoint that kept no worker, or does not say, has not passed.
    """
    bench.notes.setdefault(
        "RPW201", "on --target: what depends on the input root's path (RPW210) counts here as well"
    )
    if not seen.starts:
        reason = (
            "nothing was found, but the endpoint named no persistent worker for any action: "
            "they may have run one-shot, or it does not tell"
        )
        for code in (*_NEED_KEPT, *_NEED_WORKER):
            bench.skip(code, reason)
    elif not seen.kept:
        for code in _NEED_KEPT:
            bench.skip(code, "nothing was found, but no worker there served two requests in a row")
    else:
        for code in _NEED_KEPT:
            bench.notes.setdefault(code, _means(seen))
        bench.notes["RPW203"] += "; inputs read at start-up only (RPW401) count here as well"


def _means(seen: Sightings) -> str:
    told = f"on --target: {seen.kept} requests met a warm worker"
    lost = seen.moved + seen.unknown
    return f"{told}, {lost} another worker than before or an unknown one" if lost else told
