"""Locates growth in a worker: files, descriptors and threads by name, memory by an observer in the worker.

Files, descriptors and threads are counted, so what accounts for most of the growth is confirmed. Memory is
confirmed for what frees most of it when it is put back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.carrier import Carrier
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.experiment import Experiment, Growing
from rpw_fixture.hermeticity.trials.trial import Trial

#: The kind of what grows, by code; "" for memory.
KINDS = {"RPW301": "", "RPW302": "descriptor", "RPW303": "thread", "RPW304": "file"}
#: Requests before the state is remembered, and after that.
_WARM_UP, _MEASURED = 10, 30
#: The part of the growth that the confirmed carriers account for at least.
_MOST = 0.5
#: Fewer than this per measured request are not the growth that was found.
_LEAST = 0.1
_SHOWN = 8


def locate(
    context: CheckContext, finding: Finding, observer: str, program: str
) -> tuple[tuple[Carrier, ...], str]:
    """Return what grows, and a remark about what is not known.

    Raises:
        OutOfTimeError, ConfigError, UnavailableError: as `Harness.run`.
    """
    history = finding.history[: _WARM_UP + _MEASURED]
    mark = min(_WARM_UP, len(history) // 3)
    experiment = Experiment(observer=observer, program=program, mark=mark, counts_growth=True)
    observation = context.run(Trial(history=history, experiment=experiment)).observation
    kind = KINDS[finding.code]
    growing = observation.growing
    found = _of_memory(growing) if not kind else _counted(growing, kind, len(history) - mark)
    if found:
        return found, observation.remark
    if not kind and not observer:
        return (), "the worker's runtime is not one whose memory can be looked into"
    why = observation.remark or "nothing that has a name has grown as much"
    return (), why


def _counted(growing: Sequence[Growing], kind: str, requests: int) -> tuple[Carrier, ...]:
    """Return the names that account for most of what grows; what holds them are suspects."""
    named = [each for each in growing if each.kind == kind]
    named = [each for each in named if each.after - each.before >= _LEAST * requests]
    named.sort(key=lambda each: each.before - each.after)
    total = sum(each.after - each.before for each in named)
    found = [
        replace(_carrier(each), is_confirmed=(each.after - each.before) >= _MOST * total)
        for each in named[:_SHOWN]
    ]
    holders = [each for each in growing if each.unit == "entries" and each.place]
    return (*found, *(_carrier(each) for each in holders[:_SHOWN]))


def _of_memory(growing: Sequence[Growing]) -> tuple[Carrier, ...]:
    """Return the containers that hold the memory, with the line that allocates most of it."""
    line = next((each.place for each in growing if each.kind == "allocation"), "")
    others = [each for each in growing if each.kind not in {"descriptor", "file", "thread"}]
    found = [
        replace(_carrier(each), is_confirmed=each.freed >= _MOST, changed_at=line)
        for each in others
        if each.freed >= _MOST
    ]
    if found:
        return tuple(found)
    return tuple(_carrier(each) for each in others[:_SHOWN])


def _carrier(each: Growing) -> Carrier:
    return Carrier(
        kind=each.kind,
        name=each.name,
        place=each.place,
        before=f"{each.before} {each.unit}",
        after=f"{each.after} {each.unit}",
    )
