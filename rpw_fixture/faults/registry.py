"""Faults that can be armed in a server, so that a test sees how a client or a build copes.

Here lives which faults are armed, and for which calls they strike. What a fault is, and how it is
written, stands in specs.py. How one is brought into a call is told in services/faults.py, into
a worker in workers/killing.py. Nothing here imports gRPC.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rpw_fixture.errors import Code
from rpw_fixture.faults.fault import EVERY_METHOD, WORKER, Effect, Fault, code_named
from rpw_fixture.wire.rpcs import SERVED

if TYPE_CHECKING:
    from rpw_fixture.wire.digests import Digest

__all__ = ["ArmedFault", "Effect", "Fault", "Faults", "Slot"]


class ArmedFault:
    """A fault that is armed, and how often it struck.

    Args:
        fault: the fault.
        disarm: called to take it out.
    """

    def __init__(self, fault: Fault, disarm: Callable[[ArmedFault], None]) -> None:
        self.fault = fault
        self._disarm = disarm
        self._lock = threading.Lock()
        self._seen = 0
        self._hits = 0

    def __repr__(self) -> str:
        return f"<armed {self.fault}, hits={self.hits}>"

    @property
    def hits(self) -> int:
        """How many calls or requests it struck."""
        return self._hits

    def disarm(self) -> None:
        """Has it strike no more."""
        self._disarm(self)

    def strikes(self) -> bool:
        """Counts one more call or request; whether the fault strikes this one."""
        fault = self.fault
        with self._lock:
            self._seen += 1
            if (fault.first and self._seen > fault.first) or (
                fault.every and self._seen % fault.every
            ):
                return False
            self._hits += 1
            return True


class Slot:
    """The faults armed for one target; empty nearly always, which is cheap to see.

    Attributes:
        armed: replaced as a whole, so that it can be read without a lock.
    """

    __slots__ = ("armed",)

    def __init__(self) -> None:
        self.armed: tuple[ArmedFault, ...] = ()

    def strike(self) -> list[Fault]:
        """Counts one more call or request; the faults that strike it."""
        return [each.fault for each in self.armed if each.strikes()]


class Faults:
    """The faults of a server. All methods may be called from any thread.

    Args:
        specs: written faults that are armed from the beginning, and again after `clear`.
        evict: drops the blobs for which a predicate holds; how many.

    Raises:
        ConfigError: for a spec that can't be read.
    """

    def __init__(
        self,
        specs: Iterable[str] = (),
        *,
        evict: Callable[[Callable[[Digest], bool]], int],
    ) -> None:
        self._standing = tuple(Fault.parse(spec) for spec in specs)
        self._evict = evict
        self._lock = threading.Lock()
        self._slots = {target: Slot() for target in (*SERVED, WORKER)}
        self._armed: list[ArmedFault] = []
        self.clear()

    def arm(self, fault: Fault | str) -> ArmedFault:
        """Arms a fault, given as a value or written.

        Raises:
            ConfigError: when it can't be read.
        """
        value = Fault.parse(fault) if isinstance(fault, str) else fault
        armed = ArmedFault(value, self._disarm)
        with self._lock:
            self._armed.append(armed)
            self._fill()
        return armed

    def fail(
        self,
        method: str,
        code: Code | str = Code.UNAVAILABLE,
        *,
        first: int = 0,
        every: int = 0,
        after: int = 0,
        delay: float = 0.0,
        message: str = "",
    ) -> ArmedFault:
        """Has calls of ``method`` fail; before the server does anything, unless ``after`` is given.

        A stream with fewer messages than ``after`` fails at its end. A stream of operations never
        tells the end of one before it breaks.
        """
        return self.arm(
            Fault(
                target=method,
                effect=Effect.FAIL,
                code=code_named(code) if isinstance(code, str) else code,
                first=first,
                every=every,
                after=after,
                delay=delay,
                message=message,
            )
        )

    def delay(self, method: str, seconds: float, *, first: int = 0, every: int = 0) -> ArmedFault:
        """Has calls of ``method`` wait before they are served."""
        return self.arm(Fault(target=method, delay=seconds, first=first, every=every))

    def half_close(
        self, method: str = "Execute", *, after: int = 1, first: int = 0, every: int = 0
    ) -> ArmedFault:
        """Ends the stream of ``method`` with OK after so many messages, nothing being done yet."""
        return self.arm(
            Fault(target=method, effect=Effect.HALF_CLOSE, after=after, first=first, every=every)
        )

    def evict_after(self, method: str, *, first: int = 0, every: int = 0) -> ArmedFault:
        """Drops the blobs that a call of ``method`` named, before the client has its last answer.

        After ``ByteStream.Read`` they are those read, after ``FindMissingBlobs`` those asked for,
        after ``GetActionResult`` and ``Execute`` those that the result names: so a result whose
        blobs are gone is what the client has in hands.
        """
        return self.arm(Fault(target=method, effect=Effect.EVICT, first=first, every=every))

    def evict(self, predicate: Callable[[Digest], bool] | None = None) -> int:
        """Drops blobs now, pinned ones too: all, or those for which ``predicate`` holds; how many.

        The empty blob stays.

        Raises:
            ConfigError: when the server does not run.
        """
        return self._evict(predicate or (lambda _digest: True))

    def kill_worker(self, *, in_request: bool = True, first: int = 0, every: int = 0) -> ArmedFault:
        """Kills the worker of a request: before its response counts, or right after it came."""
        effect = Effect.DIE_IN_REQUEST if in_request else Effect.DIE_AFTER_REQUEST
        return self.arm(Fault(target=WORKER, effect=effect, first=first, every=every))

    @property
    def armed(self) -> tuple[ArmedFault, ...]:
        """What is armed, in the order in which it was."""
        with self._lock:
            return tuple(self._armed)

    def clear(self) -> None:
        """Disarms everything; what stands in the server's settings is armed anew."""
        with self._lock:
            self._armed = [ArmedFault(fault, self._disarm) for fault in self._standing]
            self._fill()

    @property
    def workers(self) -> Slot:
        """Where the faults for workers will always be."""
        return self._slots[WORKER]

    def slot(self, target: str) -> Slot | None:
        """Where the faults for a target will always be; None when it can't be one."""
        return self._slots.get(target)

    def _disarm(self, armed: ArmedFault) -> None:
        with self._lock:
            self._armed = [each for each in self._armed if each is not armed]
            self._fill()

    def _fill(self) -> None:
        for target, slot in self._slots.items():
            wanted = (target,) if target == WORKER else (target, EVERY_METHOD)
            slot.armed = tuple(each for each in self._armed if each.fault.target in wanted)
