"""The status of an action whose process could not be started."""

from __future__ import annotations

import errno

from rpw_fixture.errors import Code
from rpw_fixture.processes.spawner import StartError

#: Errors for resources of the machine that are used up at present.
_EXHAUSTED = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
#: Stages that fail because of the command.
_OF_COMMAND = frozenset({"executable", "working directory"})
#: Stages that fail because of the settings of this server.
_OF_SETTINGS = ("setup step", "limits", "umask")


def status_of_failed_start(error: OSError | StartError) -> Code:
    """Return the status of an action that never ran; OK if its command is wrong.

    Args:
        error: the exception of the failed start.
    """
    if error.errno in _EXHAUSTED:
        return Code.RESOURCE_EXHAUSTED
    if not isinstance(error, StartError) or error.stage in _OF_COMMAND:
        return Code.OK
    if error.stage.startswith(_OF_SETTINGS):
        return Code.FAILED_PRECONDITION
    return Code.UNAVAILABLE
