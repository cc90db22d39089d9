"""The status of an action that never ran: whose fault it is, and whether it may be tried again."""

from __future__ import annotations

import errno

import pytest

from rpw_fixture.errors import Code
from rpw_fixture.launching.start_errors import status_of_failed_start
from rpw_fixture.processes.spawner import StartError

STAGES = {
    "executable": Code.OK,
    "working directory": Code.OK,
    "setup step landlock": Code.FAILED_PRECONDITION,
    "limits": Code.FAILED_PRECONDITION,
    "umask": Code.FAILED_PRECONDITION,
    "descriptors": Code.UNAVAILABLE,
    "spawner": Code.UNAVAILABLE,
}
EXHAUSTED = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


@pytest.mark.parametrize("stage", STAGES)
def test_the_stage_says_whose_fault_it_is(stage: str) -> None:
    error = StartError(errno.ENOENT, "cannot start x", stage=stage)
    assert status_of_failed_start(error) is STAGES[stage]


@pytest.mark.parametrize("code", EXHAUSTED)
@pytest.mark.parametrize("stage", [*STAGES, None])
def test_what_is_used_up_may_be_there_later(stage: str | None, code: int) -> None:
    error = OSError(code, "x") if stage is None else StartError(code, "x", stage=stage)
    assert status_of_failed_start(error) is Code.RESOURCE_EXHAUSTED


def test_a_program_that_is_not_there_is_the_command_s_fault() -> None:
    assert status_of_failed_start(FileNotFoundError(errno.ENOENT, "x")) is Code.OK
