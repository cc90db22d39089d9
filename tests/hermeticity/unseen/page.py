"""The page about the unseen workers, from the log of their runs."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tests.hermeticity.unseen.corpus import Sample
from tests.hermeticity.unseen.run_log import Run

_INTRODUCTION = """\
# Workers that the checks were not written for

{broken} small workers with one defect each, and {good} that only look bad, in Python, Node.js and Java.
Somebody wrote them who had not read the checks; they are in `tests/hermeticity/unseen/workers`. The
sample workers are with the good ones. `python -m tests.hermeticity.unseen --log FILE --page
docs/unseen-workers.md` checks them with all codes and writes this page.

A worker is found if one of the expected codes is reported. Its polluters are exact if no other request
is named. Any other error must be true as well: a cache by path, for example, is stale *and* a state
leak. The seconds are those of a busy machine, for comparison only.
"""
_ACCUSED = "## Good workers\n\nA false alarm is an error or a warning. {busy}\n"
_BUSY = "In {count} of the runs two other programs did nothing but compute."
_CUT = "In {count} of them the suite was cut to {most} actions, which the seed chose."


def render(samples: Iterable[Sample], runs: Sequence[Run]) -> str:
    """Return the page about all workers that have a run."""
    by_worker: dict[str, list[Run]] = defaultdict(list)
    for each in runs:
        by_worker[each.worker].append(each)
    tried = [each for each in samples if str(each) in by_worker]
    broken = [each for each in tried if each.expected]
    good = [each for each in tried if not each.expected]
    lines = [
        _INTRODUCTION.format(broken=len(broken), good=len(good)),
        *_broken_table(broken, by_worker),
        *_good_table(good, by_worker),
    ]
    return "\n".join(lines) + "\n"


def defect(sample: Sample) -> str:
    """Return what a source says of itself in its first comment."""
    return sample.source.splitlines()[0].lstrip("#/ ")


def _broken_table(samples: Sequence[Sample], runs: dict[str, list[Run]]) -> Iterator[str]:
    last = {str(each): runs[str(each)][-1] for each in samples}
    found = sum(each.is_found for each in last.values())
    named = [each for each in last.values() if each.is_exact is not None]
    exact = sum(bool(each.is_exact) for each in named)
    wrong = sum(bool(each.wrong) for each in last.values())
    yield "## Defective workers\n"
    yield f"Found: {found} of {len(last)}. Polluters exact: {exact} of {len(named)}. "
    yield f"With an error that is not true: {wrong}.\n"
    yield "| worker | defect | expected | found | exact | starts | seconds |"
    yield "|---|---|---|---|---|---|---|"
    for each in samples:
        run = last[str(each)]
        mark = {True: "yes", False: "**no**", None: ""}[run.is_exact]
        told = _told(run) if run.is_found else f"**missed**; {_told(run)}"
        cells = (
            f"`{each}`",
            defect(each).replace("|", "\\|"),
            ", ".join(sorted(each.expected)),
            told + (f"; **not true: {', '.join(run.wrong)}**" if run.wrong else ""),
            mark,
            str(run.starts),
            f"{run.seconds:.0f}",
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _told(run: Run) -> str:
    """Return the codes of errors and warnings; information is left out."""
    told = (
        code if severity == "error" else f"{code} ({severity})"
        for code, severity in sorted(run.found.items())
        if severity != "info"
    )
    return ", ".join(told) or "nothing"


def _good_table(samples: Sequence[Sample], runs: dict[str, list[Run]]) -> Iterator[str]:
    tried = [run for each in samples for run in runs[str(each)]]
    accused = [each for each in tried if each.wrong]
    busy = sum(each.is_busy for each in tried)
    seeds = len({each.seed for each in tried})
    yield _ACCUSED.format(busy=_BUSY.format(count=busy) if busy else "")
    yield f"Runs: {len(tried)}, of {len(samples)} workers with up to {seeds} seeds. "
    yield from _cut([runs[str(each)] for each in samples])
    yield f"With a false alarm: {len(accused)}.\n"
    yield "| worker | what it is | runs | seeds | false alarms | starts | seconds |"
    yield "|---|---|---|---|---|---|---|"
    for each in samples:
        some = runs[str(each)]
        alarms = sorted({code for run in some for code in run.wrong})
        cells = (
            f"`{each}`",
            defect(each).replace("|", "\\|"),
            str(len(some)),
            _ranges(sorted({run.seed for run in some})),
            f"**{', '.join(alarms)}**" if alarms else "none",
            f"{statistics.median(run.starts for run in some):.0f}",
            f"{statistics.median(run.seconds for run in some):.0f}",
        )
        yield f"| {' | '.join(cells)} |"


def _cut(by_worker: Iterable[Sequence[Run]]) -> Iterator[str]:
    """Yield how many runs had fewer actions than others of the same worker."""
    cut = [
        run.actions
        for runs in by_worker
        for run in runs
        if run.actions < max(each.actions for each in runs)
    ]
    if cut:
        yield _CUT.format(count=len(cut), most=max(cut))


def _ranges(seeds: Sequence[int]) -> str:
    """Return numbers as a list in which three or more in a row are a range."""
    rows: list[list[int]] = []
    for each in seeds:
        if rows and rows[-1][-1] == each - 1:
            rows[-1].append(each)
        else:
            rows.append([each])
    return ", ".join(
        f"{row[0]}–{row[-1]}" if len(row) > 2 else ", ".join(map(str, row)) for row in rows
    )
