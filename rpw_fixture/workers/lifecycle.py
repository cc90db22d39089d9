"""The states of a worker, and every transition between them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of a worker."""

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

#: States in which a worker counts against the limits, because its process may exist.
ALIVE = frozenset(State) - {State.GONE}
#: States in which a worker makes room for another one soon.
LEAVING = frozenset({State.RETIRING, State.GONE})


class Retirement(StrEnum):
    """The reason why a worker ends, as `worker_retired` reports it."""

    IDLE_TIMEOUT = "idle timeout"
    REQUEST_BUDGET = "request budget"
    MEMORY_BUDGET = "memory budget"
    REPLACED = "least recently used"
    OUTDATED = "outdated tool"
    CLOSED_STDOUT = "closed its stdout between requests"
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


def transition(state: State, to: State) -> State:
    """Return the state ``to``, if it may follow ``state``.

    Raises:
        ValueError: if it may not, which is a bug of this server.
    """
    if to not in TRANSITIONS[state]:
        raise ValueError(f"a worker can't go from {state} to {to}")
    return to
