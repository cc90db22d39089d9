"""The one place that keeps who only looks on from failing what is looked at.

A recording, an events file, a counter: whatever goes wrong with one of them, the action or call that it
is about goes on. Everything of that kind is called through `harmless`.
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

    The first failure is logged as an error; later ones most likely have the same cause.

    Args:
        what: names the observer for the log.
        observe: looks at something, and returns nothing that anybody needs.
        on_bug: called with ``what`` and each exception that is no trouble of the system.
    """
    has_failed = False

    @wraps(observe)
    def call(*arguments: P.args, **keywords: P.kwargs) -> None:
        nonlocal has_failed
        try:
            observe(*arguments, **keywords)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not the action's fault
            if not has_failed:
                has_failed = True
                _log.error("%s: %s; what it should have told is lost", what, error or repr(error))
            if on_bug is not None and not isinstance(error, OSError):
                on_bug(what, error)

    return call
