"""The executor of the gRPC server: decides when a call gets a thread, and from which lane.

A call gets a thread when its first message has arrived. Each lane has a limited number of threads, so that
streams of slow clients leave threads for short calls, and clients without a token leave some for others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

import grpc

from rpw_fixture.services.calls import grpc_calls
from rpw_fixture.services.calls.client_waits import ClientWaits
from rpw_fixture.services.calls.grpc_calls import ServerCall
from rpw_fixture.services.calls.lanes import HowToServe, Lane
from rpw_fixture.services.calls.sweeper import Sweeper, Swept
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.thread_pool import ThreadPool, ThreadStartError

#: How long a client without a valid token may keep a call open, seconds.
STRANGER_SECONDS = 5.0
#: When calls wait for a thread of a lane, streams of the lane end whose client is idle this long, seconds.
STALL_SECONDS = 10.0
#: How long a stopping server waits for clients that do nothing, seconds.
STOP_PATIENCE = 0.5
_STOP_INTERVAL = 0.02
_MOST_STRANGERS = 16
_NO_MESSAGE = "the call has no request message"
_STRANGER = (
    f"a client without a valid token may keep a call open for {STRANGER_SECONDS:g} s; "
    "send the token in the metadata 'authorization'"
)


class CallExecutor(Closeable, Swept):
    """Serves calls in threads, of which it starts more as they are needed.

    Args:
        threads: number of threads for short calls; half as many serve uploads and downloads, and half
            as many send the updates of waiting calls.

    Attributes:
        sweeper: checks calls from time to time.
        waits: calls that have a thread while they wait for their client.
    """

    def __init__(self, threads: int) -> None:
        most = {
            Lane.UNARY: threads,
            Lane.TRANSFER: max(1, threads // 2),
            Lane.WAITING: max(1, threads // 2),
            Lane.STRANGER: min(threads, _MOST_STRANGERS),
        }
        self.sweeper = Sweeper()
        self.waits = ClientWaits()
        self._lanes = {lane: ThreadPool(count, f"rpw-{lane.value}") for lane, count in most.items()}
        if not grpc_calls.IS_SUPPORTED:  # no call can be refused then, so a thread must exist
            self._lanes[Lane.UNARY].start(lambda: None)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Serve a call. gRPC's thread calls this, so it neither blocks nor raises.

        Returns:
            A completed future; gRPC only counts calls with it.
        """
        call = grpc_calls.server_call(fn, args)
        if call is None:
            with suppress(RuntimeError):  # the pool was shut down
                self._lanes[Lane.UNARY].start_or_wait(partial(fn, *args, **kwargs))
        else:
            self._accept(call)
        return _DONE

    def resume(self, work: Callable[[], None], lane: Lane) -> None:
        """Continue a waiting call."""
        with suppress(RuntimeError):  # all threads have ended, and so have all calls
            self._lanes[lane].start_or_wait(work)
        if self._lanes[lane].backlog:
            self.sweeper.add(self)

    def wait_for_clients(self, stopped: threading.Event, deadline: float) -> None:
        """Wait until all calls have ended, or all that are open only wait for idle clients.

        Args:
            stopped: set when all calls have ended.
            deadline: when to return at the latest, monotonic seconds.
        """
        began = 0.0
        while not stopped.wait(_STOP_INTERVAL):
            now = time.monotonic()
            began = (began or now) if self._only_clients_are_left() else 0.0
            if now >= deadline or (began and now - began >= STOP_PATIENCE):
                return

    def _only_clients_are_left(self) -> bool:
        """Return whether all open calls have been waiting for their clients for a moment."""
        waiting = self.waits.since()
        busy = sum(lane.busy for lane in self._lanes.values())
        return (
            busy <= len(waiting) and time.monotonic() - max(waiting, default=0.0) >= _STOP_INTERVAL
        )

    def sweep(self, now: float) -> bool:
        """End calls of idle clients in lanes where other calls wait for a thread."""
        crowded = [lane for lane, threads in self._lanes.items() if threads.backlog]
        for lane in crowded:
            self.waits.cancel_stalled(lane, now - STALL_SECONDS)
        return bool(crowded)

    def close(self) -> None:
        """End all threads; all calls must have ended."""
        for lane in self._lanes.values():
            lane.shutdown()
        self.sweeper.close()

    def _accept(self, call: ServerCall) -> None:
        how = getattr(call.handler, "how", _PLAIN)
        if how.lane is Lane.STRANGER and how.needs_message:
            self.sweeper.add(_Stranger(call))
        if how.needs_message:
            call.receive(self._serve_message)
        else:
            self._start(call, how.lane, call.serve)

    def _serve_message(self, call: ServerCall, message: bytes | None) -> None:
        how: HowToServe = getattr(call.handler, "how", _PLAIN)
        if message is None and not how.has_stream:
            call.end(grpc.StatusCode.UNIMPLEMENTED, _NO_MESSAGE)
            return
        serve = partial(call.serve_message, message, is_stream=how.has_stream)
        self._start(call, how.lane, serve)

    def _start(self, call: ServerCall, lane: Lane, serve: Callable[[], None]) -> None:
        try:
            self._lanes[lane].start(serve)
            if self._lanes[lane].backlog:
                self.sweeper.add(self)
        except ThreadStartError as error:
            call.end(grpc.StatusCode.RESOURCE_EXHAUSTED, error.message)
        except RuntimeError:  # the pool was shut down
            call.end(grpc.StatusCode.UNAVAILABLE, "the server is stopping")


class _Stranger(Swept):
    """A call of a client without a valid token, which ends after some seconds at the latest."""

    __slots__ = ("_call", "_end")

    def __init__(self, call: ServerCall) -> None:
        self._call = call
        self._end = time.monotonic() + STRANGER_SECONDS

    def sweep(self, now: float) -> bool:
        """End the call when its time is over; return whether to check it again."""
        if not self._call.is_active:
            return False
        if now < self._end:
            return True
        self._call.end(grpc.StatusCode.UNAUTHENTICATED, _STRANGER)
        return False


_PLAIN = HowToServe(needs_message=False)
_DONE: Future[Any] = Future()
_DONE.set_result(None)
