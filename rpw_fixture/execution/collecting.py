"""Collecting an action's outputs while its executor still has the folder they are in."""

from __future__ import annotations

from rpw_fixture.execution.job import ActionProgress
from rpw_fixture.execution.outputs import collect
from rpw_fixture.support.beneath import Beneath


def collect_outputs(root: Beneath, progress: ActionProgress, *, absolute_symlinks: bool) -> None:
    """Put the outputs into the store, and what they are into ``progress``.

    Args:
        root: the action's input root on disk.
        progress: of the action.
        absolute_symlinks: False refuses links with absolute targets.

    Raises:
        RequestError, OSError: as `outputs.collect`.
    """
    action, timeline = progress.action, progress.timeline
    timeline.reach("output_upload_start")
    progress.outputs = collect(
        root, action.command, action.store, absolute_symlinks=absolute_symlinks
    )
    timeline.reach("output_upload_completed")
