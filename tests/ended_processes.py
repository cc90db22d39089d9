"""What the spawner says of processes that have ended, for tests that start none."""

from __future__ import annotations

from rpw_fixture.processes.spawner import Exit

#: Peak of memory of such a process, bytes.
PEAK = 7


def ended(status: int, *, lost: bool = False) -> Exit:
    return Exit(
        status=status,
        user_seconds=0.0,
        system_seconds=0.0,
        max_rss_bytes=PEAK,
        leftovers_killed=0,
        survivors=0,
        lost=lost,
    )
