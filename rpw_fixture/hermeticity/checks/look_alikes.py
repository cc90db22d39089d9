"""Requests that are easily taken for an earlier one: almost equal digests, names that are shadowed."""

from __future__ import annotations

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.input_changes import shadowed, variants, with_equal_prefix
from rpw_fixture.hermeticity.checks.warm_screening import Pair
from rpw_fixture.hermeticity.trials.trial import Step, steps

#: Searching equal digests reads nothing above this size, bytes.
_LARGEST = 1 << 20
_MOST_SHADOWED = 2


def steps_of(context: CheckContext) -> tuple[Step, ...]:
    """Return the requests of all look-alikes; those with added files follow their plain ones elsewhere."""
    if context.is_remote:
        return ()
    same = equal_prefixes(context)
    return steps(*(same or ()), *(each.changed for each in shadows(context)))


def equal_prefixes(context: CheckContext) -> Pair | None:
    """Return two versions of an action, whose input has digests that begin with 8 equal digits."""
    for action in context.succeeding:
        for path, entry in action.inputs.items():
            if not isinstance(entry, File) or len(entry.content) > _LARGEST:
                continue
            for other in variants(entry.content)[:1]:
                if (found := with_equal_prefix(entry.content, other)) is not None:
                    return Pair(*(action.with_content(path, each) for each in found))
    return None


def shadows(context: CheckContext) -> list[Pair]:
    """Return actions, and versions with more files that shadow inputs."""
    pairs = ((each, shadowed(each)) for each in context.succeeding)
    return [Pair(plain, more) for plain, more in pairs if more is not None][:_MOST_SHADOWED]
