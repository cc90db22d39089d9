"""What can be judged on an existing endpoint, and how much a clean result means there.

Only tables and texts; `trials.remote` runs the trials.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.codes import CODES
from rpw_fixture.hermeticity.trials.probe import REQUESTS, ProbeResult
from rpw_fixture.hermeticity.trials.remote import RemoteRunner, WorkerReuse
from rpw_fixture.support.plurals import counted

#: Codes whose evidence is results alone.
JUDGED = frozenset(
    (
        "RPW108",
        "RPW109",
        "RPW113",
        "RPW201",
        "RPW202",
        "RPW203",
        "RPW204",
        "RPW205",
        "RPW209",
        "RPW212",
    )
)
#: Of those, codes that prove something only if a worker serves more than one request.
_NEED_KEPT = ("RPW109", "RPW202", "RPW203", "RPW204", "RPW212")
#: Codes that compare with a worker, whether it is kept or not.
_NEED_WORKER = ("RPW113", "RPW205")
_NEED_REQUESTS = frozenset(("RPW107", "RPW110", "RPW111", "RPW116", "RPW117", "RPW118", "RPW213"))
_NEED_RESPONSES = frozenset(("RPW101", "RPW104", "RPW105", "RPW114", "RPW115"))
_NEED_ENVIRONMENT = frozenset(("RPW210", "RPW211", "RPW214", "RPW215", "RPW401"))
_RECORDED = frozenset(("RPW402", "RPW403"))


def skipped() -> Iterator[tuple[str, str]]:
    """Yield each code that can't be judged on an endpoint, with the reason."""
    for code in sorted(CODES.keys() - JUDGED - _RECORDED):
        if code in _NEED_ENVIRONMENT:
            need = "control of the worker's environment"
        elif code in _NEED_REQUESTS:
            need = "control of the requests"
        elif code in _NEED_RESPONSES:
            need = "a view of the responses"
        else:
            need = "a view of the process"
        yield code, f"not possible with --target: needs {need}"


def note_limits(context: CheckContext, runner: RemoteRunner) -> None:
    """Note how the codes were judged; skip those that could not find anything there.

    A check that found nothing has not passed if the endpoint kept no worker. If the endpoint does not
    say which worker ran a request, the probe's result counts.
    """
    context.notes.setdefault(
        "RPW201", "on --target: dependence on the input root's path (RPW210) counts here as well"
    )
    reuse = runner.reuse
    if reuse.starts:
        _note_named(context, reuse)
    elif context.usable:
        _note_probed(context, runner.probe_result)
    if "RPW209" in context.notes:
        text = context.notes["RPW209"].partition(";")[0]
        context.notes["RPW209"] = f"on --target: {text}; the server decides everything else"
    if "RPW203" in context.notes:
        context.notes["RPW203"] += "; inputs read at start-up only (RPW401) count here as well"


def _note_named(context: CheckContext, reuse: WorkerReuse) -> None:
    for code in _NEED_KEPT:
        if reuse.kept:
            context.notes.setdefault(code, _describe(reuse))
        else:
            context.skip(
                code,
                "nothing was found, but no worker of the endpoint served two requests in a row",
            )


def _describe(reuse: WorkerReuse) -> str:
    text = f"on --target: {counted(reuse.kept, 'request')} met a warm worker"
    lost = reuse.moved + reuse.unknown
    return f"{text}, {lost} met another worker than before or an unknown one" if lost else text


def _note_probed(context: CheckContext, result: ProbeResult) -> None:
    for code in (*_NEED_KEPT, *_NEED_WORKER):
        if problem := _problem(code, result):
            context.skip(code, f"nothing was found, but {problem}")
        elif code in _NEED_KEPT:
            context.notes.setdefault(
                code,
                f"on --target: the endpoint does not name the worker of a request; {result.kept} of "
                f"{REQUESTS - 1} later requests of a probe met the worker of the first one",
            )


def _problem(code: str, result: ProbeResult) -> str:
    """Return why finding nothing proves nothing; empty if it proves something."""
    if result.problem:
        return f"the endpoint names no persistent worker, and {result.problem}"
    if result.one_shots:
        return (
            "the endpoint keeps no persistent worker: it ran "
            f"{result.one_shots} of {REQUESTS} requests of a probe with a worker key one-shot"
        )
    if not result.kept and code in _NEED_KEPT:
        return "the endpoint started a new worker for each request of a probe with one worker key"
    return ""
