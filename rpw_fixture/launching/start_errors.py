"""Which status an action gets whose process could not be started."""

from __future__ import annotations

import errno

from rpw_fixture.errors import Code
from rpw_fixture.processes.spawner import StartError

#: What the machine has no more of, now.
_EXHAUSTED = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
#: Stages in which it is the command that names what can't be used.
_OF_COMMAND = frozenset({"executable", "working directory"})
#: Stages in which the settings of this server are what can't be met.
_OF_SETTINGS = ("setup step", "limits", "umask")


def status_of_failed_start(error: OSError | StartError) -> Code:
    """Return the status of an action that never ran; OK if its own command is what is wrong.

    Args:
        error: what was raised when the process was to be started.
    """
    if error.errno in _EXHAUSTED:
        return Code.RESOURCE_EXHAUSTED
    if not isinstance(error, StartError) or error.stage in _OF_COMMAND:
        return Code.OK
    if error.stage.startswith(_OF_SETTINGS):
        return Code.FAILED_PRECONDITION
    return Code.UNAVAILABLE
