"""RPW207, and RPW208 outside the input root: what a worker must not read or write.

Landlock allows inputs, the folders of the run and the system only; if the result changes, the worker
needed something else. strace, if it is installed, names the paths, and shows accesses that do not
change the result.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.accesses import InputAccess
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.harness import cold
from rpw_fixture.hermeticity.trials.trial import (
    BASE,
    RESPONSE,
    Outcome,
    Trial,
    UnavailableError,
    Variation,
    steps,
)
from rpw_fixture.launching import landlock
from rpw_fixture.launching.access import DEVICES, SYSTEM
from rpw_fixture.support.paths import join_normalised

#: What every action may read: more than isolation allows, because this check looks for accidental
#: differences between machines, not for what a hostile worker could reach.
_SYSTEM = (*SYSTEM, "/boot", "/etc", "/proc", "/run", "/nix", "/snap", "/var/cache", "/var/lib")
#: Devices, and where POSIX semaphores and shared memory are: pools of processes need them.
_ALLOWED = (*DEVICES, "/dev/shm")  # noqa: S108 - a fixed name of Linux
_MOST_ACTIONS = 8
_SHOWN = 8
_BINARIES = frozenset(("bin", "sbin", "shims", "scripts"))
_CALL = re.compile(
    r"(?:^|\s)(open|openat|openat2|creat|mkdir|mkdirat|rename|renameat|renameat2|unlink|unlinkat"
    r"|symlink|symlinkat|link|linkat|truncate|mknod|mknodat|rmdir)\((.*)\)\s*= (\d+)"
)
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
_READS = frozenset(("open", "openat", "openat2"))
_CHANGING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")


#: Where a JVM keeps performance data of the processes of a user.
_PERFORMANCE_DATA = re.compile(r"/tmp/hsperfdata_[^/]*")  # noqa: S108 - a fixed name of the JVM


class Accesses(NamedTuple):
    """Paths outside of what an action may use."""

    read: tuple[str, ...] = ()
    written: tuple[str, ...] = ()


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare with runs under Landlock, and read the record of strace."""
    has_landlock = _has_landlock()
    tracer = _usable_tracer(context)
    tools = ["Landlock"] * has_landlock + ["strace"] * (tracer is not None)
    if not tools:
        for code in ("RPW207", "RPW208"):
            context.skip(code, "neither Landlock nor strace can be used on this machine")
        return
    for code in ("RPW207", "RPW208"):
        context.notes[code] = f"by {' and '.join(tools)}"
    readable = _readable(context)
    traced = [_together(context, _tracing(tracer))] if tracer is not None else []
    seen, folders = _without_performance_data(_accesses(context, traced, readable))
    if folders:
        yield _of_performance_data(context.usable[0], folders)
    is_harmless = not seen.written and (has_landlock or not seen.read)
    if is_harmless and not (has_landlock and _suffers(context, readable)):
        if tracer is not None:
            _note_reads(context, seen, tracer, readable)
        return
    left = {*seen.read, *seen.written}
    for action in context.pick(_MOST_ACTIONS):
        findings = list(_of_action(context, action, readable, tracer, has_landlock=has_landlock))
        yield from findings
        if findings and tracer is not None:
            left -= _of_one(context, action, tracer, readable)
            if not left:
                return  # the other actions use no more, above all at the worker's start


def trials(context: CheckContext) -> list[Trial]:
    """Return the trials of all actions on one worker, as far as this machine has what they need."""
    tracer = shutil.which("strace")
    found = [_together(context, _tracing(tracer))] if tracer is not None else []
    if _has_landlock():
        found.append(_together(context, _allowing("", _readable(context))))
    return found


def _has_landlock() -> bool:
    return sys.platform == "linux" and not landlock.why_unavailable()


def _together(context: CheckContext, variation: Variation) -> Trial:
    """Return a trial of all actions on one worker, which shows whether any of them needs a look."""
    return Trial(history=steps(*context.pick(_MOST_ACTIONS)), variation=variation)


def _suffers(context: CheckContext, readable: tuple[str, ...]) -> bool:
    """Return whether one worker gives other results where it can use nothing but inputs and the system."""
    trial = _together(context, _allowing("", readable))
    restricted = context.run(trial).outcomes
    fresh = [context.cold(each.action) for each in trial.history]
    if not _is_other(context, fresh, restricted):
        return False
    # A worker that leaks state gives other results than fresh ones, whatever it can use.
    return _is_other(context, context.run(_together(context, BASE)).outcomes, restricted)


def _is_other(
    context: CheckContext, usual: Sequence[Outcome], restricted: Sequence[Outcome]
) -> bool:
    """Return whether results differ; not if only texts mention the refusal: the worker coped with it."""
    return len(usual) != len(restricted) or any(
        {*context.differing(*pair)} - {RESPONSE} for pair in zip(usual, restricted, strict=True)
    )


def _note_reads(
    context: CheckContext, seen: Accesses, tracer: str, readable: tuple[str, ...]
) -> None:
    """Note what the actions read beside their inputs, though no result needs it."""
    actions = context.pick(_MOST_ACTIONS)
    # What the first and the last one read alone is usually all of it: a worker reads it at its start.
    ends = dict.fromkeys((actions[0], actions[-1])) if seen.read else ()
    is_equal = all(_of_one(context, each, tracer, readable) == {*seen.read} for each in ends)
    for action in actions:
        reads = seen.read if is_equal else sorted(_of_one(context, action, tracer, readable))
        context.note_access(InputAccess(action=action.name, undeclared=tuple(reads)))


def _of_one(
    context: CheckContext, action: SuiteAction, tracer: str, readable: tuple[str, ...]
) -> set[str]:
    alone = _accesses(context, [cold(action, variation=_tracing(tracer))], readable)
    return {*alone.read, *alone.written}


def _of_action(
    context: CheckContext,
    action: SuiteAction,
    readable: tuple[str, ...],
    tracer: str | None,
    *,
    has_landlock: bool,
) -> Iterator[Finding]:
    traced = [cold(action, variation=_tracing(tracer))] if tracer is not None else []
    seen, _ = _without_performance_data(_accesses(context, traced, readable))
    if tracer is not None:
        context.note_access(InputAccess(action=action.name, undeclared=seen.read))
    if has_landlock:
        yield from _restricted(context, action, readable, seen)
    if seen.read and not has_landlock:
        yield _finding(context, "RPW207", action, (), "", seen.read)
    if seen.written:
        yield _finding(context, "RPW208", action, (), "", seen.written)


def _without_performance_data(seen: Accesses) -> tuple[Accesses, set[str]]:
    """Return the accesses without those to a JVM's performance data, and the folders of that."""
    found = {each[0] for path in seen.written if (each := _PERFORMANCE_DATA.match(path))}
    read, written = (
        tuple(path for path in paths if not _PERFORMANCE_DATA.match(path)) for paths in seen
    )
    return Accesses(read, written), found


def _of_performance_data(action: SuiteAction, folders: set[str]) -> Finding:
    return Finding(
        code="RPW208",
        severity=Severity.INFO,
        victim=action.name,
        summary=f"the JVM keeps performance data in {', '.join(sorted(folders))}; "
        "-XX:-UsePerfData turns that off",
        evidence="it reaches no output, but takes time at each start",
        history=steps(action),
    )


#: What a restriction forbids, by the code that it finds; "" stands for both.
_RESTRICTIONS = {
    "": "only inputs and the system can be used",
    "RPW207": "only inputs and the system can be read",
    "RPW208": "only the run's folder can be written",
}


def _allowing(code: str, readable: tuple[str, ...]) -> Variation:
    reads, writes = ("{run}", *readable, *_ALLOWED), ("{run}", *_ALLOWED, "/proc")
    rules = (None if code == "RPW208" else reads, None if code == "RPW207" else writes)
    return Variation(factor=_RESTRICTIONS[code], steps=(("restrict_paths", rules),))


def _restricted(
    context: CheckContext, action: SuiteAction, readable: tuple[str, ...], seen: Accesses
) -> Iterator[Finding]:
    plain = context.cold(action)
    for code in _RESTRICTIONS:
        if code == "RPW208" and seen.read and not seen.written:
            continue  # what is seen explains the difference, and it writes nothing
        varied = _allowing(code, readable)
        outcome = context.run(cold(action, variation=varied)).outcomes[0]
        aspects = context.differing(plain, outcome)
        # If only the response text mentions the refusal, the worker has coped with it.
        is_clean = not aspects or aspects == [RESPONSE]
        if is_clean and not code:
            return  # no effect together, so none alone
        if is_clean or not code:
            continue
        labels = ("unrestricted", varied.factor)
        evidence = context.explain(plain, outcome, aspects, labels)
        for text in (outcome.response, outcome.stderr):
            if text.strip() and text not in evidence:
                evidence += f"\nits output: {text.strip()[-1000:]}"
        paths = seen.read if code == "RPW207" else seen.written
        paths = paths or _refused(outcome.response + outcome.stderr)
        yield _finding(context, code, action, outputs_among(aspects), evidence, paths, varied)


def _refused(text: str) -> tuple[str, ...]:
    """Return the absolute paths in lines about a refusal."""
    lines = [line for line in text.splitlines() if "ermission denied" in line]
    paths = (path for line in lines for path in re.findall(r"/[^\s'\":]+", line))
    return tuple(dict.fromkeys(each for each in paths if not _PERFORMANCE_DATA.match(each)))


def _finding(
    context: CheckContext,
    code: str,
    action: SuiteAction,
    outputs: tuple[str, ...],
    evidence: str,
    paths: tuple[str, ...],
    variation: Variation = BASE,
) -> Finding:
    verb = "reads" if code == "RPW207" else "writes"
    shown = ", ".join(paths[:_SHOWN]) or "the path is not known (install strace to see it)"
    return Finding(
        code=code,
        victim=action.name,
        outputs=outputs,
        summary=f"{action.name} {verb} undeclared files: {shown}",
        evidence=evidence or f"{context.notes[code].removeprefix('by ')} saw: {', '.join(paths)}",
        history=steps(action),
        variation=variation,
    )


# --- the system ---


def _readable(context: CheckContext) -> tuple[str, ...]:
    """Return the system, the installations on PATH and in ``env``, and what the suite names."""
    worker = context.suite.worker
    environment = {"PATH": context.harness.search_path, **dict(worker.environment)}
    found = [*_SYSTEM]
    found += [form for each in worker.readable for form in (each, os.path.realpath(each))]
    for folder in environment["PATH"].split(":"):
        found += [_installation(folder), _installation(os.path.realpath(folder))]
    program = shutil.which(worker.command[0], path=environment["PATH"])
    while program is not None:
        found += [program, _installation(os.path.dirname(program))]
        if not os.path.islink(program):
            break
        program = os.path.join(os.path.dirname(program), os.readlink(program))
    if program is not None:
        found.append(_installation(os.path.dirname(os.path.realpath(program))))
    # JAVA_HOME and similar variables name installations, too.
    values = [value for _, value in worker.environment if value.startswith("/")]
    found += [each for each in values if os.path.isdir(os.path.join(each, "bin"))]
    return tuple(dict.fromkeys(each for each in found if each and os.path.exists(each)))


def _installation(folder: str) -> str:
    """Return the parent of a ``bin`` folder, unless that is the home folder or ``/``."""
    parent = os.path.dirname(folder.rstrip("/"))
    is_usual = os.path.basename(folder.rstrip("/")) in _BINARIES
    return parent if is_usual and parent not in {"/", str(Path.home())} else folder


# --- strace ---


def _usable_tracer(context: CheckContext) -> str | None:
    tracer = shutil.which("strace")
    if tracer is None:
        return None
    try:
        outcome = context.run(_together(context, _tracing(tracer))).outcomes[0]
    except UnavailableError:
        return None
    return None if outcome.failure else tracer


def _tracing(tracer: str) -> Variation:
    options = ("-f", "-qq", "-y", "-s", "4096", "-e", "trace=%file", "-o", "{trace}")
    return Variation(factor="strace", prefix=(tracer, *options))


def _accesses(
    context: CheckContext, traced: Sequence[Trial], readable: tuple[str, ...]
) -> Accesses:
    """Return what strace recorded in some trials, as far as it is undeclared."""
    texts = []
    for each in traced:
        with contextlib.suppress(OSError):
            trace = Path(context.run(each).trace)
            texts.append(trace.read_text(encoding="utf-8", errors="replace"))
    inside = str(context.harness.folder)
    return accesses("\n".join(texts), readable=readable, inside=inside)


def accesses(text: str, *, readable: tuple[str, ...], inside: str) -> Accesses:
    """Return the undeclared reads and writes in a record of strace.

    Args:
        text: the record, made with ``-f -y``.
        readable: folders that may be read.
        inside: the folder that may be read and written.
    """
    read: dict[str, None] = {}
    written: dict[str, None] = {}
    for match in map(_CALL.search, text.splitlines()):
        if match is None:
            continue
        call, arguments, _ = match.groups()
        is_change = call not in _READS or _CHANGING.search(arguments) is not None
        for base, name in _PATH.findall(arguments):
            if not base and not name.startswith("/"):
                continue  # relative to the working directory, which is inside
            path = join_normalised(base, name)
            if _is_below(path, (inside, *_ALLOWED, "/dev/pts", "/proc", "/sys")):
                continue
            if is_change:
                written[path] = None
            elif not _is_below(path, readable) and not inside.startswith(path.rstrip("/") + "/"):
                read[path] = None
    return Accesses(tuple(read), tuple(written))


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == each or path.startswith(each.rstrip("/") + "/") for each in folders)
