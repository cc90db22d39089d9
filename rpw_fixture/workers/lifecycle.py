"""The states of a worker, and every way between them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a worker stands."""

    STARTING = "starting"
    BUSY = "busy"
    IDLE = "idle"
    RETIRING = "retiring"
    GONE = "gone"


#: From each state, the states that may follow.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.STARTING: frozenset({State.BUSY, State.GONE}),
    State.BUSY: frozenset({State.IDLE, State.RETIRING, State.GONE}),
    State.IDLE: frozenset({State.BUSY, State.RETIRING, State.GONE}),
    State.RETIRING: frozenset({State.GONE}),
    State.GONE: frozenset(),
}

#: States in which a worker counts against the limits: whatever may still have a process.
ALIVE = frozenset(State) - {State.GONE}


class Retirement(StrEnum):
    """Why a worker ends, in the words of `worker_retired`."""

    IDLE_TIMEOUT = "idle timeout"
    REQUEST_BUDGET = "request budget"
    MEMORY_BUDGET = "memory budget"
    REPLACED = "least recently used"
    OUTDATED = "outdated tool"
    CRASHED_IDLE = "ended between requests"
    CRASH = "crash"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    PROTOCOL_VIOLATION = "protocol violation"
    OTHER_PROTOCOL = "asked in the wrong protocol"
    START_FAILED = "start failed"
    START_TIMEOUT = "start timeout"
    SHUTDOWN = "server stopped"
    RESET = "server reset"


def moved(state: State, to: State) -> State:
    """``to``, if there is a way there from ``state``.

    Raises:
        ValueError: when there is none, which is a bug of ours.
    """
    if to not in TRANSITIONS[state]:
        raise ValueError(f"a worker can't go from {state} to {to}")
    return to
