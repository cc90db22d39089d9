"""RPW201 from two execution logs: equal inputs, different outputs. Pure: no worker is started."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.execution_logs.spawns import LoggedSpawn


def find_differences(
    first: Iterable[LoggedSpawn], second: Iterable[LoggedSpawn]
) -> Iterator[Finding]:
    """Yield the actions of both logs that read the same and wrote something else."""
    known = {_identity(each): each for each in first}
    for each in {_identity(each): each for each in second}.values():
        other = known.get(_identity(each))
        if other is None or other.status or each.status:
            continue
        before = {file.path: file.digest or file.target for file in other.outputs}
        after = {file.path: file.digest or file.target for file in each.outputs}
        differing = sorted(
            path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
        )
        if differing:
            yield Finding(
                code="RPW201",
                victim=each.name,
                outputs=tuple(differing),
                summary=f"{each.name} had the same command, environment and inputs in both logs, "
                "and different outputs",
                evidence="\n".join(
                    f"{path}: {before.get(path, 'not made')} ({other.runner or 'unknown runner'}), "
                    f"then {after.get(path, 'not made')} ({each.runner or 'unknown runner'})"
                    for path in differing
                ),
            )


def compared(first: Iterable[LoggedSpawn], second: Iterable[LoggedSpawn]) -> int:
    """Return how many actions of the second log are in the first one, with the same inputs."""
    known = {_identity(each) for each in first}
    return sum(each in known for each in {_identity(each) for each in second})


def _identity(spawn: LoggedSpawn) -> Hashable:
    inputs = frozenset((each.path, each.digest, each.target) for each in spawn.inputs)
    return spawn.arguments, spawn.environment, inputs, spawn.listed_outputs
