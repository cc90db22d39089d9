"""The arguments of a work request: flagfiles, expanded by the rules of a personality."""

from __future__ import annotations

import posixpath

from rpw_fixture.errors import invalid_argument
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.wire import flagfiles
from rpw_fixture.wire.trees import FileEntry
from rpw_fixture.workers.personalities.rules import Expansion, FlagfileBase, Personality


def request_base(action: ResolvedAction, rules: Personality) -> str:
    """Return the folder to which paths in requests are relative, itself relative to the input root."""
    is_from_root = rules.flagfile_base.value is FlagfileBase.INPUT_ROOT
    return "" if is_from_root else action.command.working_directory


def request_arguments(
    action: ResolvedAction, names: tuple[str, ...], rules: Personality
) -> tuple[str, ...]:
    """Return the arguments of an action's request.

    Args:
        action: has the flagfiles among its inputs.
        names: the arguments of the command line that name flagfiles.
        rules: say whether the server or the worker reads flagfiles.

    Raises:
        RequestError: INVALID_ARGUMENT for a flagfile that is not an input.
    """
    if rules.expansion.value is Expansion.RAW:
        return names
    base = request_base(action, rules)
    return tuple(flagfiles.expand(names, lambda path: _read(action, base, path)))


def _read(action: ResolvedAction, base: str, path: str) -> bytes:
    full = posixpath.normpath(posixpath.join(base, path))
    entry = None if path.startswith("/") else action.root.find(full)
    if not isinstance(entry, FileEntry):
        raise invalid_argument(
            f"flagfile {path!r} is not a declared input of the action (flagfile @{path})"
        )
    return action.store.get(entry.digest)
