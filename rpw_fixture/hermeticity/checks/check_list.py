"""The list of checks: the codes of each, the facts it needs and shares, and the order that follows.

The order puts the blame in the right place: what differs among fresh workers is known before state
leaks are looked for, and what is read at start-up before stale inputs are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rpw_fixture.hermeticity.checks import (
    cancellation,
    cold_runs,
    concurrency,
    ended_workers,
    environment,
    every_run,
    input_listings,
    interrupted_state,
    large_messages,
    large_suites,
    lifecycle,
    long_runs,
    longer_runs,
    lost_diagnostics,
    misread_changes,
    multiplexing,
    one_shot,
    one_worker,
    pauses,
    resources,
    response_fields,
    split_requests,
    stale_inputs,
    stale_outputs,
    state_leaks,
    surviving_state,
    undeclared_access,
    unknown_fields,
    unread_inputs,
    unusual_requests,
    verbosity,
    warm_questions,
)
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import (
    COLD_RESULTS,
    GROWING,
    LATER_LEFT_PROCESSES,
    LEFT_PROCESSES,
    LOST_REQUESTS,
    MISREAD_PIECES,
    ORDER_IGNORED,
    REPORTED,
    SANDBOX_IGNORED,
    START_UP_INPUTS,
    Fact,
)
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Trial

#: Codes of the worker protocol, which many checks may find.
PROTOCOL = ("RPW101", "RPW102", "RPW103", "RPW104", "RPW105")
_LEAKS = ("RPW109", "RPW202", "RPW212")
_GROWTH = ("RPW301", "RPW302", "RPW303", "RPW304")
_COLD = (COLD_RESULTS,)


@dataclass(frozen=True, slots=True)
class Check:
    """Some codes and the function that finds them.

    Attributes:
        codes: codes of the findings it may yield.
        find: yields the findings.
        needs: facts it reads; the checks that share them run before it.
        shares: facts it sets for later checks.
        always: run even if none of its codes is selected, because others rest on it.
        is_last: run after all checks that are not, because it looks at the runs of all of them.
        needs_worker: run only if a fresh worker answers at least one action.
        begin: begins its trials that wait, long before it runs.
        ahead: trials that it asks for if workers answer, so that they may run beside those of others.
        needs_answers: run only if a warm worker answers; each missing response would cost a timeout.
    """

    codes: tuple[str, ...]
    find: Callable[[CheckContext], Iterator[Finding]]
    needs: tuple[Fact[Any], ...] = _COLD
    shares: tuple[Fact[Any], ...] = ()
    always: bool = False
    is_last: bool = False
    needs_worker: bool = True
    begin: Callable[[CheckContext], None] | None = None
    ahead: Callable[[CheckContext], Iterable[Trial]] | None = None
    needs_answers: bool = False


CHECKS = (
    Check(
        (*PROTOCOL, "RPW201", "RPW210"),
        cold_runs.find,
        needs=(),
        shares=(*_COLD, ORDER_IGNORED),
        always=True,
        needs_worker=False,
    ),
    Check((*PROTOCOL, *_LEAKS), large_suites.find, shares=(REPORTED,)),
    Check(("RPW106", "RPW112"), lifecycle.find, shares=(LEFT_PROCESSES,)),
    Check(("RPW106", "RPW112"), lifecycle.find_unfinished),
    Check(("RPW107",), unknown_fields.find, ahead=one_worker.trials),
    Check(("RPW116",), multiplexing.find_ignored_sandbox, shares=(SANDBOX_IGNORED,)),
    Check(
        ("RPW118",),
        split_requests.find,
        needs=(*_COLD, SANDBOX_IGNORED),
        shares=(LOST_REQUESTS, MISREAD_PIECES),
    ),
    Check(
        ("RPW113",),
        large_messages.find,
        needs=(*_COLD, MISREAD_PIECES),
        needs_answers=True,
    ),
    Check(("RPW104", "RPW113"), large_messages.find_lost_ids, needs_answers=True),
    Check(("RPW108", "RPW205"), one_shot.find, needs_worker=False),
    Check(
        ("RPW209",),
        environment.find,
        needs=(*_COLD, ORDER_IGNORED),
        begin=environment.begin,
        needs_answers=True,
    ),
    Check(
        ("RPW209",),
        input_listings.find,
        ahead=warm_questions.unlisted_trials,
        needs_answers=True,
    ),
    Check(("RPW209",), verbosity.find, needs_answers=True),
    Check(
        ("RPW401",), stale_inputs.find_start_up_reads, shares=(START_UP_INPUTS,), needs_answers=True
    ),
    Check((*PROTOCOL, *_LEAKS), state_leaks.find, shares=(REPORTED,), begin=state_leaks.begin),
    Check(("RPW218",), lost_diagnostics.find, needs=(*_COLD, REPORTED), needs_answers=True),
    Check(
        ("RPW203",),
        stale_inputs.find_stale,
        needs=(*_COLD, START_UP_INPUTS),
        ahead=warm_questions.trials,
        needs_answers=True,
    ),
    Check(
        ("RPW204",), stale_inputs.find_phantoms, needs=(*_COLD, START_UP_INPUTS), needs_answers=True
    ),
    Check(("RPW203",), misread_changes.find, needs=(*_COLD, START_UP_INPUTS), needs_answers=True),
    Check(("RPW211",), stale_outputs.find, needs_answers=True),
    Check(("RPW214",), surviving_state.find, ahead=ended_workers.trials, needs_answers=True),
    Check(("RPW215",), interrupted_state.find, needs_answers=True),
    Check(("RPW207", "RPW208"), undeclared_access.find, ahead=undeclared_access.trials),
    Check(("RPW207",), unread_inputs.find),
    Check(
        ("RPW110",),
        cancellation.find,
        needs=(*_COLD, LOST_REQUESTS, SANDBOX_IGNORED),
        needs_answers=True,
    ),
    Check(
        ("RPW111", "RPW213"),
        concurrency.find_mixups,
        needs=(*_COLD, LOST_REQUESTS, SANDBOX_IGNORED),
        needs_answers=True,
    ),
    Check(
        ("RPW117",),
        multiplexing.find_serial,
        needs=(*_COLD, LOST_REQUESTS, SANDBOX_IGNORED),
        needs_answers=True,
    ),
    Check(
        (*PROTOCOL, *_LEAKS),
        long_runs.find,
        needs=(*_COLD, LEFT_PROCESSES, REPORTED),
        shares=(REPORTED,),
        ahead=resources.first_trial,
        needs_answers=True,
    ),
    Check(
        ("RPW112",),
        every_run.find_processes,
        needs=(*_COLD, LEFT_PROCESSES),
        shares=(LATER_LEFT_PROCESSES,),
        needs_answers=True,
    ),
    Check(
        _GROWTH,
        resources.find,
        needs=(*_COLD, LEFT_PROCESSES, LATER_LEFT_PROCESSES),
        shares=(GROWING,),
        needs_answers=True,
    ),
    Check(
        (*PROTOCOL, *_LEAKS, *_GROWTH),
        longer_runs.find,
        needs=(*_COLD, GROWING, LEFT_PROCESSES, LATER_LEFT_PROCESSES, REPORTED),
        shares=(REPORTED,),
        needs_answers=True,
    ),
    Check(
        ("RPW202", "RPW212"),
        unusual_requests.find,
        needs=(*_COLD, REPORTED),
        shares=(REPORTED,),
        needs_answers=True,
    ),
    Check((*PROTOCOL, "RPW202"), pauses.find, begin=pauses.begin, needs_answers=True),
    Check(
        ("RPW206", "RPW208", "RPW216"),
        every_run.find_traces,
        needs=(*_COLD, LEFT_PROCESSES),
        is_last=True,
    ),
    Check(
        PROTOCOL,
        every_run.find_failures,
        needs=(*_COLD, REPORTED, START_UP_INPUTS),
        shares=(REPORTED,),
        is_last=True,
    ),
    Check(("RPW114", "RPW115"), response_fields.find, is_last=True),
    # Repeating comes late, so that nothing has to wait until the clock shows another time.
    Check(("RPW201",), cold_runs.find_late, is_last=True),
)


def in_order(checks: Sequence[Check]) -> list[Check]:
    """Return the checks so that each comes after those that share what it needs.

    Among the checks that could come next, the first of the sequence does. A check that both needs and
    shares a fact adds to it, and comes after those that only share it.

    Raises:
        ValueError: when checks need facts of each other in a circle.
    """
    left, found = list(checks), list[Check]()
    while left:
        ready = next((each for each in left if not any(_precedes(one, each) for one in left)), None)
        if ready is None:
            codes = ", ".join(each.codes[-1] for each in left)
            raise ValueError(f"checks need facts of each other in a circle: {codes}")
        left.remove(ready)
        found.append(ready)
    return found


def _precedes(one: Check, other: Check) -> bool:
    """Return whether a check must come before another one."""
    if one.is_last != other.is_last:
        return other.is_last
    return any(fact in one.shares and fact not in one.needs for fact in other.needs)
