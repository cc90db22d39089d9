"""Response streams that need no thread while they wait: updates of actions, and of the server's health.

When the attribute ``experimental_non_blocking`` of a handler is true, gRPC passes it a function that sends
a response, and does not end the call when the handler returns. gRPC's health service relies on that too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator

import grpc

from rpw_fixture.services.calls.executor import CallExecutor
from rpw_fixture.services.calls.grpc_calls import BlockingSender, Sender
from rpw_fixture.services.calls.lanes import Lane
from rpw_fixture.services.calls.sweeper import Swept
from rpw_fixture.support.pausing import Pause

_NEVER = float("inf")


class WaitingStream(Swept):
    """A response stream.

    A response is held back until the generator yields the next item or ends, so that the last response
    is sent together with the status.

    Args:
        responses: encoded responses and pauses. When it fails, it ends the call by
            `grpc.ServicerContext.abort`.
        context: gRPC's object for the call.
        send: gRPC's function that sends a response and waits until it is sent.
        executor: continues the stream after a pause.
        lane: whose threads it uses.
    """

    def __init__(
        self,
        responses: Generator[bytes | Pause, None, None],
        context: grpc.ServicerContext,
        send: Callable[[bytes | None], None],
        executor: CallExecutor,
        lane: Lane,
    ) -> None:
        self._responses = responses
        self._context = context
        self._can_send_anywhere = Sender.is_supported(context)
        self._sender = Sender(context) if self._can_send_anywhere else BlockingSender(send)
        self._executor = executor
        self._lane = lane
        self._lock = threading.Lock()
        self._held: bytes | None = None
        self._pause: Pause | None = None
        self._due = _NEVER
        self._is_sending = False
        self._is_resting = False
        self._was_woken = False

    def begin(self) -> None:
        """Send responses in this thread, until the first pause."""
        if self._context.add_callback(self._wake):
            self._advance()
        else:
            self._responses.close()

    def sweep(self, now: float) -> bool:
        """Continue when the time of a pause is over; see `Swept.sweep`."""
        if now >= self._due:
            self._wake()
        return True

    def _advance(self) -> None:
        if self._pause is not None:
            self._executor.sweeper.discard(self)
            self._pause.signal.forget(self._on_event)
            self._pause = None
        while not self._step():
            pass

    def _step(self) -> bool:
        """Do one step; return True when this thread has nothing more to do."""
        if not self._context.is_active():
            self._responses.close()
            return True
        if self._is_sending:
            return self._rest()
        item = self._next()
        if isinstance(item, Pause):
            self._send_held()
            return self._rest_until(item)
        if item is None:
            self._sender.finish(self._held)
            return True
        self._send_held()
        self._held = item
        return False

    def _next(self) -> bytes | Pause | None:
        """Return the next item of the generator; None when it has ended, with any status."""
        try:
            return next(self._responses, None)
        except Exception:  # noqa: BLE001 - `abort` raises one without a type; the status is set
            return None

    def _send_held(self) -> None:
        data, self._held = self._held, None
        if data is not None:
            self._is_sending = True
            self._sender.send(data, self._sent)

    def _rest_until(self, pause: Pause) -> bool:
        """Give up the thread for a pause; return False when the pause is over already."""
        self._due = _NEVER if pause.seconds is None else time.monotonic() + pause.seconds
        self._pause = pause
        self._executor.sweeper.add(self)
        if pause.signal.listen(self._on_event, pause.seen) and self._rest():
            return True
        self._executor.sweeper.discard(self)
        pause.signal.forget(self._on_event)
        self._pause = None
        return False

    def _rest(self) -> bool:
        """Give up the thread; return False when there is more to do already."""
        with self._lock:
            is_needless = self._was_woken or (self._pause is None and not self._is_sending)
            self._was_woken = False
            self._is_resting = not is_needless
            return self._is_resting

    @property
    def _on_event(self) -> Callable[[], None]:
        # Kept as an attribute, it would keep the call, and with it sockets, until garbage is collected.
        return self._continue if self._can_send_anywhere else self._wake

    def _wake(self) -> None:
        if self._end_rest():
            self._executor.resume(self._advance, self._lane)

    def _continue(self) -> None:
        """Continue in the thread of the event, which sending does not block."""
        if self._end_rest():
            self._advance()

    def _end_rest(self) -> bool:
        """End the rest; return False when a thread is at work, which then checks once more."""
        with self._lock:
            self._was_woken = self._was_woken or not self._is_resting
            was_resting, self._is_resting = self._is_resting, False
            return was_resting

    def _sent(self) -> None:
        with self._lock:
            self._is_sending = False
            is_awaited = self._is_resting and self._pause is None
            if not is_awaited:
                return
            self._is_resting = False
        self._executor.resume(self._advance, self._lane)
