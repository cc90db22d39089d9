"""Make small changes to the code at random and see whether the tests notice each of them.

python -m tests.mutation --seed 7 --count 300 -n 2 [--room workers] [--survivors FILE]

The checkout is never changed. Everything runs in bubblewrap sandboxes, on copies that are removed at the
end. The exit status is 0 when at least ``--least`` percent of the changes were noticed, 1 when not.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.mutation.baseline import Baseline
from tests.mutation.boxes import Box, why_impossible
from tests.mutation.changes import Change, Kind, choose
from tests.mutation.equivalents import reason_of, stale
from tests.mutation.selection import GUARDING, Selection, needed_files
from tests.mutation.trying import Trial, Trials, Verdict, by_room

_CHECKOUT = Path(__file__).resolve().parents[2]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--seed", type=int, required=True, help="the same seed and code choose the same changes")
    add("--count", type=int, default=300, help="changes to try (300)")
    add(
        "--room", action="append", default=[], help="only in this folder of the package; repeatable"
    )
    add("--kind", action="append", default=[], type=Kind, choices=list(Kind), help="repeatable")
    add("-n", "--boxes", type=int, default=2, help="changes tried at the same time (2)")
    add("--longest", type=float, default=120.0, metavar="SECONDS",
        help="how long the tests that are run for one change may take in all (120)")  # fmt: skip
    add("--least", type=float, default=92.0, metavar="PERCENT", help="score to reach (92)")
    add("--fast", action="store_true", help="with the tests of the fast lane only")
    add("--among", type=Path, metavar="FILE",
        help="only those that an earlier run, maybe of older code, wrote there as survivors")  # fmt: skip
    add("--survivors", type=Path, metavar="FILE", help="write the changes that survived to FILE")
    add("--baseline", type=Path, metavar="FILE",
        help="take what the tests run without a change from FILE, or write it there")  # fmt: skip
    add("--list", action="store_true", help="print the chosen changes, try none")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the lane; the exit status."""
    options = _parse(arguments)
    for each in stale(_CHECKOUT):
        _print(f"equivalents.py: nothing in {each.module} is {each.old!r} any more")
    changes = choose(
        _CHECKOUT,
        _modules(options.room),
        seed=options.seed,
        count=options.count,
        is_wanted=_filter(options),
    )
    if options.list:
        _print(*(each.description for each in changes))
        return 0
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM")
    )  # so that copies are removed
    obstacle = why_impossible()
    if obstacle is not None:
        print(obstacle, file=sys.stderr)
        return 2
    return _summarize(_try(changes, options), options)


def _filter(options: argparse.Namespace) -> Callable[[Change], bool]:
    """Return a predicate: whether the options ask for a change."""
    lines = options.among.read_text().splitlines() if options.among else []
    among = {_without_line(each) for each in lines}

    def is_wanted(change: Change) -> bool:
        is_kind = not options.kind or change.kind in options.kind
        return is_kind and (not among or _without_line(change.description) in among)

    return is_wanted


def _without_line(description: str) -> tuple[str, str]:
    """Return what stays the same of a change when lines are added above it."""
    module, _, rest = description.split(":", 2)
    return module, rest


def _modules(rooms: Sequence[str]) -> list[str]:
    """Return the modules of the package, or of some folders of it."""
    paths = (_CHECKOUT / "rpw_fixture").rglob("*.py")
    modules = sorted(str(path.relative_to(_CHECKOUT)) for path in paths)
    wanted = tuple(f"rpw_fixture/{room.strip('/')}" for room in rooms)
    return [each for each in modules if not wanted or each.startswith(wanted)]


def _try(changes: Sequence[Change], options: argparse.Namespace) -> list[Trial]:
    known = {each: reason for each in changes if (reason := reason_of(each)) is not None}
    equivalent = [
        Trial(change=change, verdict=Verdict.EQUIVALENT, by=reason, seconds=0.0)
        for change, reason in known.items()
    ]
    open_changes = [each for each in changes if each not in known]
    with tempfile.TemporaryDirectory(prefix="rpw-mutation-", dir="/var/tmp") as place:
        boxes = [Box(_CHECKOUT, Path(place) / str(number)) for number in range(options.boxes)]
        trials = Trials(boxes, _print)
        baseline = _baseline(trials, open_changes, options)
        selection = Selection(_CHECKOUT, baseline, options.longest)
        return [*equivalent, *trials.try_all(open_changes, selection)]


def _baseline(trials: Trials, changes: Sequence[Change], options: argparse.Namespace) -> Baseline:
    if options.baseline is not None and options.baseline.exists():
        return Baseline.read(options.baseline)
    modules = (each.module for each in changes)
    files = needed_files(_CHECKOUT, modules)
    if options.fast:
        # Those of locks are slow, but nothing else notices a lock that is dropped.
        baseline = trials.measure(files, ("-m", "not slow"), whole=GUARDING)
    else:
        baseline = trials.measure(files)
    if options.baseline is not None:
        baseline.write(options.baseline)
    return baseline


def _summarize(trials: Sequence[Trial], options: argparse.Namespace) -> int:
    _print("")
    for room, there in by_room(trials).items():
        _print(f"{room:12} {_score(there)}")
    _print(f"{'all':12} {_score(trials)} (seed {options.seed})")
    survivors = sorted(each.change for each in trials if each.verdict is Verdict.SURVIVED)
    lines = [each.description for each in survivors]
    if options.survivors is not None:
        options.survivors.write_text("".join(f"{each}\n" for each in lines))
    _print("", "survivors:", *lines)
    return 0 if _percent(trials) >= options.least else 1


def _score(trials: Sequence[Trial]) -> str:
    counts = [sum(each.verdict is verdict for each in trials) for verdict in Verdict]
    caught, survived, equivalent = counts
    tail = f", {equivalent} equivalent" if equivalent else ""
    return f"{_percent(trials):5.1f} %: {caught} caught, {survived} survived{tail}"


def _percent(trials: Sequence[Trial]) -> float:
    """Return how many of the changes that can be noticed were noticed."""
    counted = [each for each in trials if each.verdict is not Verdict.EQUIVALENT]
    caught = sum(each.verdict is Verdict.CAUGHT for each in counted)
    return 100.0 * caught / len(counted) if counted else 0.0


def _print(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
