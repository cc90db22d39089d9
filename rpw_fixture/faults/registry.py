"""The faults that are armed in a server, so that a test sees how a client or a build reacts.

This module decides which calls they strike. fault.py has a fault and its written form. Two places apply
faults: services/interceptors/faults.py to calls, workers/fault_injection.py to workers. Nothing here
imports gRPC.
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
    """An armed fault, and how often it struck.

    Args:
        fault: the fault.
        disarm: called with this object to disarm it.

    Attributes:
        fault: the same.
    """

    def __init__(self, fault: Fault, disarm: Callable[[ArmedFault], None]) -> None:
        self.fault = fault
        self._disarm = disarm
        self._lock = threading.Lock()
        self._calls = 0
        self._hits = 0

    def __repr__(self) -> str:
        return f"<armed {self.fault}, hits={self.hits}>"

    @property
    def hits(self) -> int:
        """Number of calls or requests it struck."""
        return self._hits

    def disarm(self) -> None:
        """Stop it from striking."""
        self._disarm(self)

    def strikes(self) -> bool:
        """Count a call or request; return whether the fault strikes it."""
        fault = self.fault
        with self._lock:
            self._calls += 1
            if (fault.first and self._calls > fault.first) or (
                fault.every and self._calls % fault.every
            ):
                return False
            self._hits += 1
            return True


class Slot:
    """The faults that are armed for one target.

    Attributes:
        armed: the faults; replaced as a whole, so reading needs no lock. Nearly always empty.
    """

    __slots__ = ("armed",)

    def __init__(self) -> None:
        self.armed: tuple[ArmedFault, ...] = ()

    def strike(self) -> list[Fault]:
        """Count a call or request; return the faults that strike it."""
        return [each.fault for each in self.armed if each.strikes()]


class Faults:
    """The faults of a server. Thread-safe.

    Args:
        specs: faults in written form that are armed from the start, and again after `clear`.
        evict: removes the blobs for which a predicate is true; returns how many.

    Raises:
        ConfigError: for a spec that is not the written form of a fault.
    """

    def __init__(
        self,
        specs: Iterable[str] = (),
        *,
        evict: Callable[[Callable[[Digest], bool]], int],
    ) -> None:
        self._configured = tuple(Fault.parse(spec) for spec in specs)
        self._evict = evict
        self._lock = threading.Lock()
        self._slots = {target: Slot() for target in (*SERVED, WORKER)}
        self._armed: list[ArmedFault] = []
        self.clear()

    def arm(self, fault: Fault | str) -> ArmedFault:
        """Arm a fault, given as a value or in written form.

        Raises:
            ConfigError: when the written form is wrong.
        """
        value = Fault.parse(fault) if isinstance(fault, str) else fault
        armed = ArmedFault(value, self._disarm)
        with self._lock:
            self._armed.append(armed)
            self._fill_slots()
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
        """Fail calls of ``method``, before the server does anything unless ``after`` is given.

        A stream with fewer messages than ``after`` fails at its end. The client of a stream of
        operations never gets a finished one before the stream fails.

        Args:
            method: an RPC, as in ``Execute`` or ``ByteStream.Read``; ``*`` for all.
            code: the status code.
            first: only the first calls, this many; 0 for all.
            every: only every N-th call; 0 for all.
            after: messages of the stream that pass first.
            delay: seconds to wait first.
            message: the text of the status; empty for one that names the fault.

        Raises:
            ConfigError: for parts that do not go together; the message names them.
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
        """Delay calls of ``method`` by ``seconds`` before they are served."""
        return self.arm(Fault(target=method, delay=seconds, first=first, every=every))

    def half_close(
        self, method: str = "Execute", *, after: int = 1, first: int = 0, every: int = 0
    ) -> ArmedFault:
        """End the response stream of ``method`` with OK after ``after`` messages, before it is complete."""
        return self.arm(
            Fault(target=method, effect=Effect.HALF_CLOSE, after=after, first=first, every=every)
        )

    def evict_after(self, method: str, *, first: int = 0, every: int = 0) -> ArmedFault:
        """Remove the blobs that a call of ``method`` names, before the client gets the last response.

        After ``ByteStream.Read`` that is the blob read, after ``FindMissingBlobs`` those in the
        request, after ``GetActionResult`` and ``Execute`` those in the result. So a client gets a
        result whose blobs are gone.
        """
        return self.arm(Fault(target=method, effect=Effect.EVICT, first=first, every=every))

    def evict(self, predicate: Callable[[Digest], bool] | None = None) -> int:
        """Remove blobs now, pinned ones too; return how many. The empty blob stays.

        Args:
            predicate: whether to remove the blob with a digest; None for all blobs.

        Raises:
            ConfigError: when the server is not running.
        """
        return self._evict(predicate or (lambda _digest: True))

    def kill_worker(self, *, in_request: bool = True, first: int = 0, every: int = 0) -> ArmedFault:
        """Kill the worker of a request, so that its response is lost, or right after its response.

        Args:
            in_request: whether the response is lost.
            first, every: see `fail`.
        """
        effect = Effect.DIE_IN_REQUEST if in_request else Effect.DIE_AFTER_REQUEST
        return self.arm(Fault(target=WORKER, effect=effect, first=first, every=every))

    @property
    def armed(self) -> tuple[ArmedFault, ...]:
        """Armed faults, in the order in which they were armed."""
        with self._lock:
            return tuple(self._armed)

    def clear(self) -> None:
        """Disarm everything, then arm the faults of the server's settings again."""
        with self._lock:
            self._armed = [ArmedFault(fault, self._disarm) for fault in self._configured]
            self._fill_slots()

    @property
    def workers(self) -> Slot:
        """Slot of the faults for workers; always the same object."""
        return self._slots[WORKER]

    def slot(self, target: str) -> Slot | None:
        """Return the slot of a target, always the same object; None for an unknown target."""
        return self._slots.get(target)

    def _disarm(self, armed: ArmedFault) -> None:
        with self._lock:
            self._armed = [each for each in self._armed if each is not armed]
            self._fill_slots()

    def _fill_slots(self) -> None:
        for target, slot in self._slots.items():
            wanted = (target,) if target == WORKER else (target, EVERY_METHOD)
            slot.armed = tuple(each for each in self._armed if each.fault.target in wanted)
