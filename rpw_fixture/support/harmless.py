"""Calling observers so that their failures never fail the observed action or call.

Recordings, events files and counters are observers: whatever goes wrong with one of them, the action or
call continues. All observers are called through `harmless`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")
_log = logging.getLogger(__name__)


def harmless(
    what: str,
    observe: Callable[P, object],
    on_bug: Callable[[str, Exception], object] | None = None,
) -> Callable[P, None]:
    """Return a function that calls ``observe`` and never raises.

    Only the first failure is logged, as an error; later ones most likely have the same cause.

    Args:
        what: name of the observer for the log.
        observe: the observer; its result is ignored.
        on_bug: called with ``what`` and each exception that is not an OSError.
    """
    has_failed = False

    @wraps(observe)
    def call(*arguments: P.args, **keywords: P.kwargs) -> None:
        nonlocal has_failed
        try:
            observe(*arguments, **keywords)
        except Exception as error:  # noqa: BLE001 - whatever it is, the action did not cause it
            if not has_failed:
                has_failed = True
                # As text: the error would keep the call alive as long as the log record.
                reason = str(error) or repr(error)
                _log.error("%s: %s; what it should have recorded is lost", what, reason)
            if on_bug is not None and not isinstance(error, OSError):
                on_bug(what, error)

    return call
