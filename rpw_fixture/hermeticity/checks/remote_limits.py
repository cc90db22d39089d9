"""What can be judged on an existing endpoint, and how much a clean result is worth there.

Only tables and words; `running.remote` does the running.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.codes import CODES
from rpw_fixture.hermeticity.trials.probe import REQUESTS, ProbeResult
from rpw_fixture.hermeticity.trials.remote import RemoteRunner, WorkerReuse

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
        "RPW209",
        "RPW212",
    )
)
#: Of those, codes that tell something only where a worker serves more than one request.
_NEED_KEPT = ("RPW109", "RPW202", "RPW203", "RPW204", "RPW212")
#: Codes that compare with a worker, kept or not.
_NEED_WORKER = ("RPW205",)
_NEED_ENVIRONMENT = frozenset(("RPW210", "RPW211", "RPW401"))
_NEED_REQUESTS = frozenset(("RPW107", "RPW110", "RPW111", "RPW213"))
_RECORDED = frozenset(("RPW402", "RPW403"))


def skipped() -> Iterator[tuple[str, str]]:
    """Each code that can't be judged on an endpoint, with the reason."""
    for code in sorted(CODES.keys() - JUDGED - _RECORDED):
        if code in _NEED_ENVIRONMENT:
            need = "a hand in the worker's surroundings"
        elif code in _NEED_REQUESTS:
            need = "a hand in what the worker is sent"
        else:
            need = "eyes on the process"
        yield code, f"needs {need}: not with --target"


def note_limits(context: CheckContext, runner: RemoteRunner) -> None:
    """Notes by which means was judged; skips what was not really tried.

    A check that found nothing on an endpoint that kept no worker has not passed. One that does not
    say who ran a request is asked with a worker of our own.
    """
    context.notes.setdefault(
        "RPW201", "on --target: what depends on the input root's path (RPW210) counts here as well"
    )
    reuse = runner.reuse
    if reuse.starts:
        _note_named(context, reuse)
    elif context.usable:
        _note_probed(context, runner.probe_result)
    if "RPW209" in context.notes:
        text = context.notes["RPW209"].partition(";")[0]
        context.notes["RPW209"] = f"on --target: {text}; everything else is the server's"
    if "RPW203" in context.notes:
        context.notes["RPW203"] += "; inputs read at start-up only (RPW401) count here as well"


def _note_named(context: CheckContext, reuse: WorkerReuse) -> None:
    for code in _NEED_KEPT:
        if reuse.kept:
            context.notes.setdefault(code, _describe(reuse))
        else:
            context.skip(
                code, "nothing was found, but no worker there served two requests in a row"
            )


def _describe(reuse: WorkerReuse) -> str:
    text = f"on --target: {reuse.kept} requests met a warm worker"
    lost = reuse.moved + reuse.unknown
    return f"{text}, {lost} another worker than before or an unknown one" if lost else text


def _note_probed(context: CheckContext, result: ProbeResult) -> None:
    for code in (*_NEED_KEPT, *_NEED_WORKER):
        if problem := _problem(code, result):
            context.skip(code, f"nothing was found, but {problem}")
        elif code in _NEED_KEPT:
            context.notes.setdefault(
                code,
                f"on --target: it does not name the worker of a request; {result.kept} of "
                f"{REQUESTS - 1} later requests of a probe met the worker of the first",
            )


def _problem(code: str, result: ProbeResult) -> str:
    """Why finding nothing says nothing; empty when it does."""
    if result.problem:
        return f"the endpoint names no persistent worker, and {result.problem}"
    if result.one_shots:
        return (
            "the endpoint keeps no persistent worker: it ran "
            f"{result.one_shots} of {REQUESTS} requests of a probe with a worker key one-shot"
        )
    if not result.kept and code in _NEED_KEPT:
        return "the endpoint started a worker anew for each request of a probe with one worker key"
    return ""
