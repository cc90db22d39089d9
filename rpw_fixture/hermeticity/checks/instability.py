"""The parts of results that differ among fresh workers in the same environment: not evidence of state.

Nor are outputs that a fresh worker still writes after its response: when they are read is chance.

They are learnt from repetitions. Repetitions that follow at once show random numbers, process ids and
hash orders; repetitions at another second, and at another minute, show the clock. The first run of an
action comes before everything else, so a repetition after a suspicious run shows what the clock changed
between the two.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rpw_fixture.hermeticity.findings import diff, parts
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import EXIT_CODE, RESPONSE, Outcome
from rpw_fixture.hermeticity.trials.trial import differing as differing_aspects
from rpw_fixture.storage.blobs import BlobStore

#: The coarsest clock that results show, seconds: times in zip archives have steps of 2 seconds.
CLOCK_GRAIN = 2
#: What most texts of a time show beside the seconds, or instead of them, changes with this, seconds.
MINUTE = 60
#: Repeat one action at most this often.
_MOST = 7
_SHOWN = 3

#: By aspect, the parts of it that are left out.
LeftOut = Mapping[str, frozenset[str]]
_NOTHING: LeftOut = {}


@dataclass(slots=True)
class _Known:
    """The repetitions of an action, and the parts in which they differ.

    Attributes:
        samples: the outcomes, the oldest first.
        left_out: by aspect, the parts in which they differ.
        late: the outputs that some of them wrote after the response.
        has_seen_tick: whether some began when every clock showed another time than at first.
        minute: when the newest of them began, minutes since the epoch.
    """

    samples: list[Outcome] = field(default_factory=list)
    left_out: dict[str, frozenset[str]] = field(default_factory=dict)
    late: frozenset[str] = frozenset()
    has_seen_tick: bool = False
    minute: int = 0


class Instability:
    """The parts of results that differ without any state. Thread-safe.

    Args:
        store: holds the content of outputs.
    """

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[SuiteAction, _Known] = {}
        self._elsewhere: dict[SuiteAction, dict[str, frozenset[str]]] = {}
        self._by_name: dict[str, SuiteAction] = {}
        self._tick = 0.0
        self._lessons: list[str] = []

    def begin(self, samples: Sequence[Outcome], began: float, ended: float) -> None:
        """Forget everything, and add the first outcome of each action.

        Args:
            samples: the outcomes.
            began: when the first of them began, seconds since the epoch.
            ended: when the last of them was there.
        """
        minute = _minute(began)
        with self._lock:
            self._known = {
                each.step.action: _Known([each], late=frozenset(each.rewritten), minute=minute)
                for each in samples
            }
            self._by_name = {each.step.action.name: each.step.action for each in samples}
            self._elsewhere.clear()
            self._tick = next_tick(ended)

    def missing(self, action: SuiteAction, enough: int, now: float) -> range:
        """Return the numbers of the runs still missing until ``enough``, and until the clock moved.

        Args:
            action: the action.
            enough: number of repetitions that is enough.
            now: when the newest result of any action was there, seconds since the epoch.

        When a minute has passed since the newest run, one more is always missing: a result that was seen
        meanwhile may differ from it by nothing but the time.
        """
        with self._lock:
            known = self._known.get(action, _Known())
            count = len(known.samples)
            if count >= enough and known.minute != _minute(now):
                return range(count, count + 1)
            is_known = count > enough and (known.has_seen_tick or enough == 1)
            if is_known or count >= _MOST:
                return range(0)
            return range(count, max(enough, count) + 1)

    def add(self, action: SuiteAction, outcomes: Sequence[Outcome], began: float) -> bool:
        """Add repetitions of an action; return whether they showed another unstable part.

        Args:
            action: the action that was repeated.
            outcomes: its outcomes.
            began: when the first of them began, seconds since the epoch.
        """
        with self._lock:
            known = self._known.setdefault(action, _Known())
            known.samples += outcomes
            known.has_seen_tick = known.has_seen_tick or began >= self._tick
            known.minute = _minute(began)
            before = known.left_out, known.late
            known.late = known.late.union(*(each.rewritten for each in outcomes))
            known.left_out = self._compare(known.samples, known.late)
            is_new = (known.left_out, known.late) != before
            if is_new:
                self._lessons.append(action.name)
            return is_new

    @property
    def tick(self) -> float:
        """When every clock shows another time than in the first runs, seconds since the epoch."""
        return self._tick

    def has_seen_tick(self, action: SuiteAction) -> bool:
        """Return whether the action was repeated when every clock showed another time than at first."""
        return self._known.get(action, _Known()).has_seen_tick

    @property
    def lessons(self) -> Sequence[str]:
        """Names of the actions for which an unstable part was found, in that order."""
        return tuple(self._lessons)

    def leave_out(self, action: SuiteAction, one: Outcome, other: Outcome) -> None:
        """Leave out what differs between two outcomes for another reason than state."""
        known = self._elsewhere.setdefault(action, {})
        for name in differing_aspects(one, other):
            found = self._parts(name, one, other, frozenset())
            known[name] = known.get(name, frozenset()) | found

    def differing(self, one: Outcome, other: Outcome) -> list[str]:
        """Return the aspects in which two outcomes differ, unstable parts left out."""
        left_out = self.left_out(one.step.action)
        return [
            name
            for name in differing_aspects(one, other)
            if name not in left_out or self._parts(name, one, other, left_out[name])
        ]

    def left_out(self, action: SuiteAction) -> LeftOut:
        """Return what is left out of comparisons of an action, and of changed versions of it."""
        plain = self._by_name.get(action.name, action)
        sources: list[LeftOut] = []
        for each in dict.fromkeys((action, plain)):
            known = self._known.get(each)
            sources += [known.left_out, _whole(known.late)] if known is not None else []
            sources += [self._elsewhere.get(each, _NOTHING)]
        found: dict[str, frozenset[str]] = {}
        for source in sources:
            for name, some in source.items():
                found[name] = found.get(name, frozenset()) | some
        return found

    def pair(self, action: SuiteAction) -> tuple[Outcome, Outcome] | None:
        """Return two outcomes of fresh workers that differ; None if all are equal."""
        known = self._known.get(action)
        if known is None or not known.left_out:
            return None
        first, *others = known.samples
        return next(((first, each) for each in others if _differ(first, each, known.late)), None)

    def await_tick(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Wait until every clock shows another time than in the first runs."""
        sleep(max(0.0, self._tick - time.time()))

    def unstable(self, action: SuiteAction) -> list[str]:
        """Return the aspects in which fresh workers differ in the same environment."""
        known = self._known.get(action)
        return sorted(known.left_out) if known is not None else []

    def describe(self) -> Iterator[str]:
        """Yield what is left out as texts: action, aspect and places."""
        for action in self._by_name.values():
            for name, some in sorted(self.left_out(action).items()):
                places = sorted(some)
                more = f" and {len(places) - _SHOWN} more places" if len(places) > _SHOWN else ""
                where = "" if parts.WHOLE in some else f" ({', '.join(places[:_SHOWN])}{more})"
                where = " (written after the response)" if name in self._late(action) else where
                yield f"{action.name}: {name}{where}"

    @property
    def has_late_outputs(self) -> bool:
        """Whether a fresh worker writes outputs after its response."""
        return any(each.late for each in self._known.values())

    def _late(self, action: SuiteAction) -> frozenset[str]:
        return self._known.get(action, _Known()).late

    def is_blank(self, actions: Sequence[SuiteAction]) -> bool:
        """Return whether nothing of any result is left to compare."""
        return bool(actions) and all(self._is_blank(each) for each in actions)

    def _is_blank(self, action: SuiteAction) -> bool:
        known = self._known.get(action)
        if known is None or not known.samples:
            return False
        left_out = self.left_out(action)
        outputs = (known.samples[0].aspects.keys() | left_out.keys()) - {EXIT_CODE, RESPONSE}
        return bool(outputs) and all(parts.WHOLE in left_out.get(each, ()) for each in outputs)

    def _compare(
        self, samples: Sequence[Outcome], late: frozenset[str]
    ) -> dict[str, frozenset[str]]:
        names = {name for each in samples[1:] for name in _differ(samples[0], each, late)}
        return {name: self._of_samples(name, samples) for name in names}

    def _of_samples(self, name: str, samples: Sequence[Outcome]) -> frozenset[str]:
        contents = [_content(name, each, self._store) for each in samples]
        known = [each for each in contents if each is not None]
        if len(known) < len(contents) or len({is_executable for _, is_executable in known}) > 1:
            return frozenset((parts.WHOLE,))
        return parts.unstable([data for data, _ in known])

    def _parts(
        self, name: str, one: Outcome, other: Outcome, ignored: frozenset[str]
    ) -> frozenset[str]:
        if parts.WHOLE in ignored:
            return frozenset()
        before, after = (_content(name, each, self._store) for each in (one, other))
        if before is None or after is None or before[1] != after[1]:
            return frozenset((parts.WHOLE,))
        return parts.differing(before[0], after[0], ignored)


def _differ(one: Outcome, other: Outcome, late: frozenset[str]) -> list[str]:
    """Return the aspects in which outcomes differ, without outputs that are written late."""
    return [each for each in differing_aspects(one, other) if each not in late]


def _whole(aspects: Iterable[str]) -> LeftOut:
    return dict.fromkeys(aspects, frozenset((parts.WHOLE,)))


def next_tick(now: float) -> float:
    """Return when every clock shows another time than at ``now``, seconds since the epoch."""
    return (math.floor(now / CLOCK_GRAIN) + 1) * CLOCK_GRAIN + 0.01


def _minute(moment: float) -> int:
    return int(moment // MINUTE)


def _content(name: str, outcome: Outcome, store: BlobStore) -> tuple[bytes, bool] | None:
    """Return the bytes of an aspect and whether it is executable; None if it has no bytes."""
    value = outcome.aspects.get(name)
    if name == EXIT_CODE:
        return None
    if name == RESPONSE:
        return str(value).encode(errors="surrogateescape"), False
    return diff.content(value, store)
