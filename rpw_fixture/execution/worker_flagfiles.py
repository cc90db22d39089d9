"""The arguments of a work request: flagfiles, expanded by the rules of a personality."""

from __future__ import annotations

from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.wire import flagfiles
from rpw_fixture.wire.flagfiles import FlagfileReader
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
        names: arguments of the command line that name flagfiles.
        rules: decide whether the server or the worker reads flagfiles.

    Raises:
        RequestError: INVALID_ARGUMENT for a flagfile that is not an input.
    """
    if rules.expansion.value is Expansion.RAW:
        return names
    reader = FlagfileReader(action.root, request_base(action, rules), action.store.get)
    return tuple(flagfiles.expand(names, reader.read))
