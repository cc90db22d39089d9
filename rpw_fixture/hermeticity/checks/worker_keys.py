"""RPW402 and RPW403: the worker keys of a recorded build. Pure: no worker is started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.recording import RecordedAction
from rpw_fixture.hermeticity.suites.suite import SuiteWorker, fingerprint

#: From this many keys for one tool, and more than half as many as actions, there are too many.
_MANY_KEYS = 4
_SHOWN = 5


def find_collisions(recorded: Sequence[RecordedAction]) -> Iterator[Finding]:
    """Yield the worker keys that stand for different tool inputs (RPW402)."""
    first: dict[str, RecordedAction] = {}
    reported: set[str] = set()
    for each in recorded:
        known = first.setdefault(each.key, each)
        differing = _differing_tools(known.worker, each.worker)
        if differing and each.key not in reported:
            reported.add(each.key)
            yield Finding(
                code="RPW402",
                victim=each.action.name,
                polluters=(known.action.name,),
                summary=f"{known.action.name} and {each.action.name} have the same "
                f"persistentWorkerKey but different tool inputs: {', '.join(differing[:_SHOWN])}",
                evidence=f"key {each.key}",
            )


def find_churn(recorded: Sequence[RecordedAction]) -> Iterator[Finding]:
    """Yield the mnemonics with too many worker keys (RPW403)."""
    groups: dict[str, list[RecordedAction]] = {}
    for each in recorded:
        groups.setdefault(each.mnemonic or each.worker.command[0], []).append(each)
    for mnemonic, group in groups.items():
        keys = dict.fromkeys(each.key for each in group)
        if len(keys) < _MANY_KEYS or 2 * len(keys) <= len(group):
            continue
        yield Finding(
            code="RPW403",
            severity=Severity.WARNING,
            victim=group[0].action.name,
            summary=f"{len(group)} {mnemonic} actions have {len(keys)} different worker keys, so "
            "workers can hardly be reused",
            evidence=f"differences: {', '.join(_differences(group)) or 'none in the recording'}",
        )


def _differing_tools(one: SuiteWorker, other: SuiteWorker) -> list[str]:
    left = {path: fingerprint(entry) for path, entry in one.tool_inputs.items()}
    right = {path: fingerprint(entry) for path, entry in other.tool_inputs.items()}
    return sorted(path for path in left.keys() | right.keys() if left.get(path) != right.get(path))


def _differences(group: Iterable[RecordedAction]) -> list[str]:
    """Return descriptions of what differs between the workers of a group."""
    workers = [each.worker for each in group]
    first = workers[0]
    found: dict[str, None] = {}
    for each in workers[1:]:
        for one, other in zip(first.command, each.command, strict=False):
            if one != other:
                found[f"startup argument {one!r} or {other!r}"] = None
        if len(first.command) != len(each.command):
            found["the number of startup arguments"] = None
        for name in {name for name, _ in set(first.environment) ^ set(each.environment)}:
            found[f"environment {name}"] = None
        for path in _differing_tools(first, each):
            found[f"tool input {path}"] = None
    return list(found)[:_SHOWN]
