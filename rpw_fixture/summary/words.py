"""A run's summary in words, for a terminal of 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rpw_fixture.events.kinds import ProtocolViolation
from rpw_fixture.summary.model import Durations, MnemonicSummary, RunSummary
from rpw_fixture.support.plurals import counted
from rpw_fixture.testing import explain
from rpw_fixture.testing.records import ActionRecord
from rpw_fixture.testing.starts import StartReason, WorkerStart

WIDTH = 100
#: Lines of one kind that are shown.
_MOST = 6
_TITLES = (
    *("mnemonic", "actions", "starts", "reused", "one-shot", "cached", "failed"),
    *("warm", "cold", "one-shot s"),
)
_WIDEST_NAME = 26


def summary(run: RunSummary) -> str:
    """Return the whole summary."""
    return "\n".join(_summary(run))


def headline(run: RunSummary) -> str:
    """Return in one line how the actions of a run ran."""
    if not run.actions:
        return "no action reached the server"
    one_shot = sum(len(each.actions) for each in run.one_shot)
    cached = sum(each.cached for each in run.mnemonics)
    parts = [f"{run.on_worker} on workers"]
    if run.reuse_rate is not None:
        parts[0] += f" ({run.reused} reused, {run.reuse_rate:.0%})"
    parts += [f"{one_shot} one-shot"]
    parts += [f"{cached} from the cache"] if cached else []
    parts += [f"{len(run.refused)} refused"] if run.refused else []
    return f"{counted(len(run.actions), 'action')}: {', '.join(parts)}"


def wrapped(text: str, first: str = "", then: str = "  ") -> list[str]:
    """Return a text in lines that fit the terminal."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def remedy(text: str, indent: str = "  ") -> list[str]:
    """Return the lines of a remedy; none for an empty one."""
    return wrapped(" ".join(text.split()), indent, f"{indent}     ") if text else []


def name_of(action: ActionRecord | None) -> str:
    """Return how users know an action: mnemonic and target, else its digest."""
    if action is None:
        return "no action"
    named = " ".join(each for each in (action.mnemonic, action.target) if each)
    return named or f"action {action.action[:8]}"


def _summary(run: RunSummary) -> Iterator[str]:
    yield headline(run)
    if run.missing:
        yield f"{counted(run.missing, 'event')} missing: this is what the others show"
    if run.mnemonics:
        yield ""
        yield from _table(run.mnemonics)
    yield from _section(_starts(run.starts), f"{counted(len(run.starts), 'worker')} started:")
    yield from _section(_one_shot(run), "One-shot:")
    yield from _section(_failures(run.actions), "Failed:")
    yield from _section(_violations(run.violations), "Violations of the worker protocol:")
    yield from _section(
        [
            f"  {each.where}: {each.detail.rstrip().splitlines()[-1]}"
            for each in run.internal_errors
        ],
        "Bugs of rpw_fixture (please report them):",
    )


def _section(lines: Iterable[str], title: str) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("", title, *found)


def _table(mnemonics: Sequence[MnemonicSummary]) -> Iterator[str]:
    rows = [_TITLES, *map(_row, mnemonics)]
    # Columns without any value only take room.
    kept = [
        column
        for column in range(len(_TITLES))
        if column < 4 or any(row[column] not in {"0", "-"} for row in rows[1:])
    ]
    widths = {column: max(len(row[column]) for row in rows) for column in kept}
    for row in rows:
        first, *others = kept
        cells = [f"{row[first]:<{widths[first]}}"]
        cells += [f"{row[column]:>{widths[column]}}" for column in others]
        yield "  ".join(cells).rstrip()


def _row(each: MnemonicSummary) -> tuple[str, ...]:
    numbers = (each.actions, each.starts, each.reused, each.one_shot, each.cached, each.failed)
    name = each.mnemonic or "(no mnemonic)"
    shown = name if len(name) <= _WIDEST_NAME else f"{name[: _WIDEST_NAME - 1]}…"
    times = map(_median, (each.warm, each.cold, each.one_shot_seconds))
    return (shown, *map(str, numbers), *times)


def _median(durations: Durations | None) -> str:
    return "-" if durations is None else f"{durations.median:.3f} s"


def _starts(starts: Sequence[WorkerStart]) -> Iterator[str]:
    """Yield the starts that could have been avoided first: the others need no reading."""
    ordered = sorted(starts, key=lambda each: each.reason is StartReason.FIRST)
    named: set[str] = set()
    for each in ordered[:_MOST]:
        what = f"worker {each.worker.worker}, for {name_of(each.action)}: {each.text}"
        yield from wrapped(what, "  ", "    ")
        if each.remedy and each.remedy not in named:
            named.add(each.remedy)
            yield from remedy(each.remedy, "    ")
    if len(ordered) > _MOST:
        yield f"  … and {len(ordered) - _MOST} more"


def _one_shot(run: RunSummary) -> Iterator[str]:
    for each in run.one_shot[:_MOST]:
        mnemonics = sorted({action.mnemonic for action in each.actions if action.mnemonic})
        of = f" ({', '.join(mnemonics[:4])}{', …' if len(mnemonics) > 4 else ''})"
        line = f"{len(each.actions)} × {each.reason}{of if mnemonics else ''}"
        yield from wrapped(line, "  ", "    ")
        # Ordinary actions need no remedy, unless all there is runs like that.
        if each.is_warning or not run.on_worker:
            yield from remedy(each.remedy, "    ")
    if len(run.one_shot) > _MOST:
        yield f"  … and {counted(len(run.one_shot) - _MOST, 'more reason')}"


def _failures(actions: Iterable[ActionRecord]) -> Iterator[str]:
    failed = [each for each in actions if explain.ending(each) and each.is_complete]
    for each in failed[:_MOST]:
        yield from wrapped(f"{name_of(each)}{explain.ending(each)}", "  ", "    ")
    if len(failed) > _MOST:
        yield f"  … and {len(failed) - _MOST} more"


def _violations(violations: Sequence[ProtocolViolation]) -> Iterator[str]:
    for each in violations[:_MOST]:
        line = f"worker {each.worker}: {each.rule}: {each.detail}"
        yield from wrapped(" ".join(line.split()), "  ", "    ")
    if len(violations) > _MOST:
        yield f"  … and {len(violations) - _MOST} more"
