"""The expectations of ``run --expect``, and whether they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rpw_fixture.errors import ConfigError
from rpw_fixture.events.actions import Mode
from rpw_fixture.summary import words
from rpw_fixture.summary.model import RunSummary, one_shot_reasons
from rpw_fixture.support.plurals import counted
from rpw_fixture.support.suggestions import did_you_mean
from rpw_fixture.testing.records import ActionRecord
from rpw_fixture.testing.starts import WorkerStart

HERMETIC = "hermetic"
NAMES = ("reused", "no-one-shot", "worker-starts<=N", "no-violations", HERMETIC)
_SYNTAX = re.compile(
    r"(?P<name>reused|no-one-shot|worker-starts|no-violations|hermetic)"
    r"(<=(?P<limit>\d+))?(@(?P<mnemonic>\S+))?"
)
_MOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One expectation.

    Attributes:
        text: as the user wrote it.
        name: the part before ``<=`` and ``@``.
        limit: the number of ``worker-starts<=N``, else None.
        mnemonic: the only mnemonic that counts, empty for all.
    """

    text: str
    name: str
    limit: int | None = None
    mnemonic: str = ""

    @classmethod
    def parse(cls, text: str) -> Expectation:
        """Return the expectation in a text.

        Raises:
            ConfigError: it is none; names those that exist.
        """
        found = _SYNTAX.fullmatch(text)
        if found is None or (found["name"] == "worker-starts") != (found["limit"] is not None):
            hint = did_you_mean(text.partition("@")[0], NAMES)
            raise ConfigError(
                f"--expect {text!r}{hint}; known are {', '.join(NAMES)}, each with an optional @MNEMONIC"
            )
        limit = found["limit"]
        return cls(
            text=text,
            name=found["name"],
            limit=int(limit) if limit is not None else None,
            mnemonic=found["mnemonic"] or "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether an expectation holds, and the lines that show why."""

    expectation: Expectation
    holds: bool
    lines: Sequence[str]


def judge(expectation: Expectation, run: RunSummary, check: Callable[[str], str]) -> Judgement:
    """Return whether an expectation holds.

    Args:
        check: checks the workers that served a mnemonic, or all; returns what it found in words, empty
            for nothing.
    """
    actions = [each for each in run.actions if expectation.mnemonic in {"", each.mnemonic}]
    if not actions and expectation.mnemonic:
        lines = list(_unknown_mnemonic(expectation.mnemonic, run))
    else:
        lines = list(_JUDGES[expectation.name](expectation, run, actions, check))
    return Judgement(expectation=expectation, holds=not lines, lines=lines)


def _unknown_mnemonic(mnemonic: str, run: RunSummary) -> Iterator[str]:
    known = [each.mnemonic for each in run.mnemonics if each.mnemonic]
    hint = did_you_mean(mnemonic, known)
    yield f"no action with the mnemonic {mnemonic} reached the server{hint}"
    if known:
        yield f"those that did: {', '.join(known)}"


def _reused(
    _expectation: Expectation,
    run: RunSummary,
    actions: Sequence[ActionRecord],
    _check: Callable[[str], str],
) -> Iterator[str]:
    """Every mnemonic with two actions on workers needs one on a warm worker, and there must be one."""
    served = [each for each in actions if each.mode == Mode.WORKER and each.worker is not None]
    if not served:
        yield "no action ran on a worker" if actions else "no action reached the server"
        yield from _one_shot_lines(actions)
        return
    by_mnemonic: dict[str, list[ActionRecord]] = {}
    for each in served:
        by_mnemonic.setdefault(each.mnemonic, []).append(each)
    is_any_reused = any(each.reused for each in served)
    for mnemonic, group in by_mnemonic.items():
        if any(each.reused for each in group) or (len(group) == 1 and is_any_reused):
            continue
        what = f"{mnemonic} action" if mnemonic else "action"
        yield f"{counted(len(group), what)} on workers, each on a new one"
        yield from _start_lines(run.starts, mnemonic)


def _no_one_shot(
    _expectation: Expectation,
    _run: RunSummary,
    actions: Sequence[ActionRecord],
    _check: Callable[[str], str],
) -> Iterator[str]:
    yield from _one_shot_lines(actions)


def _worker_starts(
    expectation: Expectation,
    run: RunSummary,
    _actions: Sequence[ActionRecord],
    _check: Callable[[str], str],
) -> Iterator[str]:
    starts = [each for each in run.starts if expectation.mnemonic in {"", each.worker.mnemonic}]
    if expectation.limit is None or len(starts) <= expectation.limit:
        return
    yield f"{counted(len(starts), 'worker')} started"
    yield from _start_lines(starts, expectation.mnemonic)


def _no_violations(
    expectation: Expectation,
    run: RunSummary,
    actions: Sequence[ActionRecord],
    _check: Callable[[str], str],
) -> Iterator[str]:
    operations = {each.operation for each in actions}
    of_mnemonic = {
        each.worker.worker for each in run.starts if each.worker.mnemonic == expectation.mnemonic
    }
    for each in run.violations:
        is_counted = each.operation in operations or (
            not each.operation and each.worker in of_mnemonic
        )
        if not expectation.mnemonic or is_counted:
            yield f"worker {each.worker}: {each.rule}: {each.detail}"


def _hermetic(
    expectation: Expectation,
    _run: RunSummary,
    _actions: Sequence[ActionRecord],
    check: Callable[[str], str],
) -> Iterator[str]:
    yield from check(expectation.mnemonic).splitlines()


_JUDGES = {
    "reused": _reused,
    "no-one-shot": _no_one_shot,
    "worker-starts": _worker_starts,
    "no-violations": _no_violations,
    HERMETIC: _hermetic,
}


def _one_shot_lines(actions: Iterable[ActionRecord]) -> Iterator[str]:
    for reason in one_shot_reasons(actions):
        shown = ", ".join(words.name_of(each) for each in reason.actions[:3])
        more = ", …" if len(reason.actions) > 3 else ""
        yield f"{counted(len(reason.actions), 'action')} ran one-shot: {reason.reason}"
        yield f"  {shown}{more}"
        yield from words.remedy(reason.remedy)


def _start_lines(starts: Iterable[WorkerStart], mnemonic: str) -> Iterator[str]:
    found = [each for each in starts if mnemonic in {"", each.worker.mnemonic}]
    named: set[str] = set()
    for each in found[:_MOST]:
        yield f"  worker {each.worker.worker}, for {words.name_of(each.action)}: {each.text}"
        if each.remedy and each.remedy not in named:
            named.add(each.remedy)
            yield from words.remedy(each.remedy, "    ")
    if len(found) > _MOST:
        yield f"  … and {len(found) - _MOST} more"
