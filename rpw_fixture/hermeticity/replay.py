"""Replay a reproducer: run its requests once, and compare with a fresh worker."""

from __future__ import annotations

from pathlib import Path

from rpw_fixture.hermeticity.checks import replaying
from rpw_fixture.hermeticity.findings import history_file
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness


def replay(folder: Path) -> str:
    """Run the requests of a reproducer that ``check --reproducers`` has written.

    Returns:
        What is wrong, as readable text; "" once the bug is fixed.

    Raises:
        ConfigError: the folder is not such a reproducer, or its worker can't be started.
    """
    suite = load(folder / "suite.toml")
    history = history_file.read(folder, suite)
    with Harness(suite) as harness:
        return replaying.find_wrong(harness, history)
