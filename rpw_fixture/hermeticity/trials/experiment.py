"""The values of experiments: what is looked at, and put back, between two requests to one worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What a trial looks at, and puts back, while its worker waits for a request.

    Attributes:
        observer: the runtime whose observer is loaded into the worker, such as ``python``; "" for none.
        program: the worker's interpreter, an absolute path; some observers need what is beside it.
        mark: number of answered requests after which the state is remembered.
        restored: ids of changes that are put back before the last request.
        watched: ids of places whose changing line is wanted.
        loaded: modules that are loaded before the state is remembered, because a request would load them.
        counts_growth: what grew is asked for after the last request.
    """

    observer: str = ""
    program: str = ""
    mark: int = 0
    restored: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()
    counts_growth: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A place whose content changed since it was marked.

    Attributes:
        id: identifies the place in every run of the worker.
        kind: what it is, such as ``module global``.
        name: its name, such as ``_seen``.
        place: where it is defined, ``tools/compiler.py:12``; "" if that is not known.
        before, after: its content in a short form.
        can_restore: it can be put back.
        changed_at: the line that changed it; "" if that is not known.
    """

    id: str
    kind: str
    name: str
    place: str = ""
    before: str = ""
    after: str = ""
    can_restore: bool = False
    changed_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """Something that grew since the mark.

    Attributes:
        kind: what it is; "" for what has no better name than its type.
        name: its name, or its type.
        place: where it is defined, or where its content is allocated; "" if that is not known.
        before, after: its size.
        unit: what the sizes count, such as ``entries`` or ``bytes``.
        freed: the part of the memory's growth that was free again when it was put back, 0 to 1.
    """

    kind: str = ""
    name: str
    place: str = ""
    before: int = 0
    after: int = 0
    unit: str = ""
    freed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What an experiment showed.

    Attributes:
        programs: executables of the worker and the processes below it, absolute paths.
        runtime: the runtime of the observer that answered; "" if none did.
        changes: what changed between the mark and the last request.
        failed: ids that could not be put back, each with the reason.
        growing: what grew between the mark and the end, largest first.
        remark: why something is missing: limits that were reached, an observer that did not answer.
    """

    programs: tuple[str, ...] = ()
    runtime: str = ""
    changes: tuple[Change, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    growing: tuple[Growing, ...] = ()
    remark: str = ""
