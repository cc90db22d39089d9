"""What an execution log shows without any content: where actions ran, and what keeps them from workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rpw_fixture.hermeticity.suites.execution_logs.selection import Selection
from rpw_fixture.hermeticity.suites.execution_logs.spawns import KEY_PROPERTY, LoggedSpawn
from rpw_fixture.support.plurals import counted

_SHOWN = 4
_REMEDIES = {
    "flagfile": "pass the arguments in a flagfile: use_param_file(use_always = True)",
    "tool input": "mark the tool's files: tools = … of the action, or --tool-input GLOB",
    KEY_PROPERTY: "Bazel 6 and newer sends it with --experimental_remote_mark_tool_inputs; "
    "older ones need exec_properties",
}


def overview(spawns: Sequence[LoggedSpawn], selection: Selection) -> list[str]:
    """Return lines about the actions of a log that are, or should be, workers'."""
    wanted = [each for each in spawns if selection.is_wanted(each)]
    if not wanted:
        return list(_nothing(spawns, selection))
    groups: dict[str, list[LoggedSpawn]] = {}
    for each in wanted:
        groups.setdefault(each.mnemonic, []).append(each)
    return [line for name, group in groups.items() for line in _group(name, group, selection)]


def _group(name: str, group: Sequence[LoggedSpawn], selection: Selection) -> Iterator[str]:
    runners = Counter(each.runner or "unknown" for each in group)
    ran = ", ".join(f"{runner} {count}" for runner, count in runners.most_common())
    yield f"{name}: {counted(len(group), 'action')}; runner: {ran}"
    lacks = Counter(lack for each in group for lack in _lacks(each, selection))
    persistent = sum(not _lacks(each, selection) for each in group)
    yield f"  would be persistent on a remote server: {persistent} of {len(group)}"
    for lack, count in lacks.most_common():
        yield f"    without {lack}: {count} ({_REMEDIES[lack]})"
    if not any(each.is_tool for spawn in group for each in spawn.inputs):
        guess = sorted({path for each in group for path in selection.tools(each)})
        shown = ", ".join(guess[:_SHOWN]) + (
            f" and {len(guess) - _SHOWN} more" * (len(guess) > _SHOWN)
        )
        how = "by --tool-input" if selection.tool_globs else "by their names"
        yield f"  the log marks no tool inputs; taken for them {how}: {shown or 'none'}"


def _lacks(spawn: LoggedSpawn, selection: Selection) -> list[str]:
    """Return the conditions of a persistent worker that an action does not meet."""
    found = [] if spawn.split.flagfiles else ["flagfile"]
    found += [] if selection.tools(spawn) else ["tool input"]
    return found + ([] if spawn.key else [KEY_PROPERTY])


def _nothing(spawns: Sequence[LoggedSpawn], selection: Selection) -> Iterator[str]:
    if selection.mnemonics:
        yield f"no action has the mnemonic {' or '.join(selection.mnemonics)}"
    else:
        yield f"no action ran on a worker, and none has the property {KEY_PROPERTY}"
    yield f"  the log has {counted(len(spawns), 'action')}: {_counts(each.mnemonic for each in spawns)}"
    possible = _counts(each.mnemonic for each in spawns if each.split.flagfiles)
    if possible:
        yield f"  with a flagfile, so a worker could run them: {possible}; name one with --mnemonic"


def _counts(names: Iterable[str]) -> str:
    return ", ".join(f"{name or 'unnamed'} {count}" for name, count in Counter(names).most_common())
