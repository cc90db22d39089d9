"""The pool: lends the workers of a server to actions, within limits.

An action gets the worker of its key that was used last. When a limit is reached, actions wait in line;
fair_order.py decides which one is served next, and when an idle worker of another key must make room.
The caller starts processes; the reaper ends them.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Callable

from rpw_fixture.config import Config
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.events.kinds import ProtocolViolation
from rpw_fixture.events.log import EventLog
from rpw_fixture.workers import worker_records
from rpw_fixture.workers.failure import IdleProblem
from rpw_fixture.workers.fair_order import Choice, NextStep, PoolState, next_choice
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.lease import Lease, PoolFullError
from rpw_fixture.workers.lifecycle import LEAVING, Retirement, State
from rpw_fixture.workers.likeness import OutdatedTools
from rpw_fixture.workers.personalities.rules import WhenFull
from rpw_fixture.workers.reaper import Reaper
from rpw_fixture.workers.resident_memory import resident_bytes
from rpw_fixture.workers.waiting import LeaseRequest, Waiter
from rpw_fixture.workers.worker import Worker

#: Starts a worker process of a number for a key; raises WorkerFailure.
Start = Callable[[int, WorkerKey], Worker]
#: How often a waiting action may be passed over by later ones, for each action that may run at once.
_PATIENCE = 32
#: Seconds without an action for the former version of a tool, after which its workers are ended.
_OUTDATED_PATIENCE = 5.0


class WorkerPool:
    """Keeps workers and their limits.

    Args:
        config: the limits.
        log: gets records of the workers' starts and ends.
        clean_up: called with each worker that has ended, to remove its folder.
        when_full: what to do with an action when the limits are reached.
        most_requests: number of requests after which a worker ends; 0 for no limit.
    """

    def __init__(
        self,
        config: Config,
        log: EventLog,
        clean_up: Callable[[Worker], None],
        *,
        when_full: WhenFull = WhenFull.WAIT,
        most_requests: int = 0,
    ) -> None:
        self._config = config
        self._when_full = when_full
        self._most_requests = most_requests
        self._log = log
        self._clean_up = clean_up
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._numbers = itertools.count(1)
        self._alive: dict[int, Worker] = {}
        self._free: dict[str, list[Worker]] = {}
        self._starting: Counter[str] = Counter()
        self._waiters: list[Waiter] = []
        self._served_at = 0.0
        self._outdated = OutdatedTools()
        self._ending: Retirement | None = None
        self._reaper = Reaper(grace=0.5, on_gone=self._on_gone, inspect_idle=self._inspect_idle)

    @property
    def alive(self) -> list[Worker]:
        """Workers that have not ended, oldest first."""
        with self._lock:
            return list(self._alive.values())

    def lease(self, request: LeaseRequest, start: Start) -> Lease:
        """Lend a worker of the request's key, until the lease's ``with`` block is left.

        That is an idle worker, else a new one; when there is no room for a new one, the action waits for
        its turn among those that wait.

        Args:
            request: the action, and the worker that it needs.
            start: starts a new worker.

        Raises:
            PoolFullError: when no worker is free and actions do not wait.
            RequestError: DEADLINE_EXCEEDED when no worker came free in time, neither for this action
                nor for others in line; CANCELLED.
            WorkerFailure: the process could not be started.
        """
        worker = self._find(request)
        if worker is not None:
            return Lease(self, worker, is_reused=True)
        return Lease(self, self._start_worker(request, start), is_reused=False)

    def _find(self, request: LeaseRequest) -> Worker | None:
        """Return a live worker; None to start one, which is counted in `_starting` already."""
        key = request.key
        with self._lock:
            if request.is_extra:
                self._starting[key.digest] += 1
                return None
            worker = None if self._waiters else self._take(key.digest)
            if worker is not None:
                return worker
            waiter = Waiter(key, self._most(key), request.turn)
            self._waiters.append(waiter)
            self._serve()
            self._refuse_to_wait(waiter)
            is_waiting = waiter in self._waiters
            if is_waiting:
                request.turn.pause()
        if is_waiting:
            self._wait(waiter, request)
        return waiter.worker

    def serve_waiting(self) -> None:
        """Serve waiting actions that could not go on before, because too many other actions ran."""
        with self._lock:
            self._serve()

    def release(self, worker: Worker) -> None:
        """Take back a worker that can be used again, unless it is due to retire."""
        with self._lock:
            worker.leases -= 1
            is_last = worker.state is State.GONE and not worker.leases
            if worker.state is State.BUSY:
                self._take_back(worker)
        if is_last:
            self._dispose(worker)

    def discard(self, worker: Worker, reason: str) -> None:
        """End a worker that failed; return when its processes have ended and its folder is removed."""
        with self._lock:
            worker.leases -= 1
            is_first = worker.state is State.BUSY
            is_last = worker.state is State.GONE and not worker.leases
            if is_first:
                worker.move(State.RETIRING)
                self._take_out(worker)
        if is_first:
            worker.kill()
            self._on_gone(worker, reason)
        elif is_last:
            self._dispose(worker)

    def empty(self, reason: Retirement, timeout: float) -> bool:
        """Kill all workers as soon as they are idle, and wait until they are gone.

        Returns:
            False when some were still alive or starting after ``timeout`` seconds.
        """
        with self._changed:
            self._ending = reason
            self._retire_idle(reason)
            try:
                return self._changed.wait_for(
                    lambda: not self._alive and not self._starting.total(), timeout
                )
            finally:
                self._ending = None

    def close(self) -> None:
        """End all idle workers and the reaper; no worker may be busy."""
        with self._lock:
            self._retire_idle(Retirement.SHUTDOWN)
        self._reaper.stop()

    def _wait(self, waiter: Waiter, request: LeaseRequest) -> None:
        request.turn.pass_on()
        with request.token.calling(waiter.served.set):
            waiter.wait(request.patience, lambda: self._served_at, self.serve_waiting)
        with self._lock:
            if waiter not in self._waiters:
                return
            self._waiters.remove(waiter)
        request.token.check()
        raise RequestError(
            Code.DEADLINE_EXCEEDED,
            f"no worker came free within the action's timeout; {self._limits}",
        )

    def _refuse_to_wait(self, waiter: Waiter) -> None:
        if waiter not in self._waiters or self._when_full is WhenFull.WAIT:
            return
        if self._when_full is WhenFull.GROW and not waiter.key.is_multiplex:
            self._starting[waiter.key.digest] += 1
            self._let_go(waiter)
            return
        self._waiters.remove(waiter)
        is_one_shot = self._when_full is WhenFull.ONE_SHOT
        raise PoolFullError(
            f"the worker pool is full ({self._limits}){': one-shot instead' if is_one_shot else ''}",
            is_one_shot=is_one_shot,
        )

    @property
    def _limits(self) -> str:
        config = self._config
        return (
            f"--max-workers-per-key is {config.max_workers_per_key}, "
            f"--max-workers {config.max_workers}"
        )

    def _take_back(self, worker: Worker) -> None:
        """Offer a worker to other actions, or retire it, after one of its leases has ended."""
        retire_reason = worker.retire_reason or self._ending
        if retire_reason is not None:
            if not worker.leases:
                self._take_out(worker)
                self._retire(worker, retire_reason, at_once=retire_reason is self._ending)
            return
        if not worker.leases:
            worker.move(State.IDLE)
            worker.idle_since = time.monotonic()
        self._take_out(worker)
        self._free.setdefault(worker.key.digest, []).append(worker)
        self._trim()
        if self._waiters:
            self._serve()

    def _trim(self) -> None:
        """Retire idle workers above the limit, unless actions wait."""
        staying = sum(worker.state not in LEAVING for worker in self._alive.values())
        if staying > self._config.max_workers and not self._waiters and (idle := self._idle()):
            self._replace(min(idle, key=lambda worker: worker.idle_since))

    def _replace(self, worker: Worker) -> None:
        self._take_out(worker)
        self._retire(worker, Retirement.REPLACED)

    def _serve(self) -> None:
        """Serve the waiting actions as far as there are workers and room."""
        while self._waiters and (choice := self._choose()) is not None:
            waiter = choice.waiter
            if choice.step is NextStep.REPLACE:
                self._replace(self._idle_of(choice.victim))
            elif choice.step is NextStep.REUSE and self._usable(waiter.key_digest) is None:
                continue  # it had ended; the pool looks different now
            elif not waiter.turn.resume():
                return
            elif choice.step is NextStep.REUSE:
                waiter.worker = self._take(waiter.key_digest)
                self._let_go(waiter)
            else:
                self._starting[waiter.key_digest] += 1
                self._let_go(waiter)

    def _choose(self) -> Choice[Waiter] | None:
        workers, config = list(self._alive.values()), self._config
        is_patient, turn = self._when_full is WhenFull.WAIT, self._waiters[0].turn
        counts = self._starting + Counter(worker.key.digest for worker in workers)
        idle = sorted(self._idle(), key=lambda worker: worker.idle_since)
        state = PoolState(
            free_keys=self._free.keys(),
            idle_keys=[worker.key.digest for worker in idle],
            counts=counts,
            room=config.max_workers - counts.total(),
            leaving=sum(worker.state in LEAVING for worker in workers),
            more_to_come=is_patient and turn.has_successors,
            others_run=is_patient and turn.others_run,
            patience=_PATIENCE * min(config.jobs, config.max_workers),
        )
        wanted = [each for each in self._waiters if each.turn.is_wanted]
        return next_choice(wanted or self._waiters, state)

    def _idle_of(self, key: str) -> Worker:
        idle = (worker for worker in self._idle() if worker.key.digest == key)
        return min(idle, key=lambda worker: worker.idle_since)

    def _most(self, key: WorkerKey) -> int:
        """Return how many workers a key may have; a multiplex worker serves all of its key, as in Bazel."""
        return 1 if key.is_multiplex else self._config.max_workers_per_key

    def _let_go(self, waiter: Waiter) -> None:
        self._waiters.remove(waiter)
        self._served_at = time.monotonic()
        waiter.served.set()

    def _take(self, key: str) -> Worker | None:
        """Return a worker of the key that takes one more request, and count that request."""
        worker = self._usable(key)
        if worker is not None:
            self._lease(worker)
        return worker

    def _usable(self, key: str) -> Worker | None:
        """Return a worker of the key that could take one more request."""
        free = self._free.get(key)
        while free:
            worker = free[-1]
            problem = worker.find_problem()
            if problem is None:
                return worker
            self._take_out(worker)
            if not worker.leases:
                self._retire_faulty(worker, problem)
        return None

    def _lease(self, worker: Worker) -> None:
        if worker.state is not State.BUSY:
            worker.move(State.BUSY)
        worker.leases += 1
        worker.outdated_at = math.inf
        worker.granted += 1
        if self._most_requests and worker.granted >= self._most_requests:
            worker.retire_reason = worker.retire_reason or Retirement.REQUEST_BUDGET
        if worker.leases == worker.slots or worker.retire_reason is not None:
            self._take_out(worker)

    def _take_out(self, worker: Worker) -> None:
        """Remove the worker from those that can be lent."""
        free = self._free.get(worker.key.digest, [])
        if worker in free:
            free.remove(worker)
            if not free:
                del self._free[worker.key.digest]

    def _idle(self) -> list[Worker]:
        return [
            worker for free in self._free.values() for worker in free if worker.state is State.IDLE
        ]

    def _start_worker(self, request: LeaseRequest, start: Start) -> Worker:
        key, worker = request.key, None
        try:
            if request.before_start is not None:
                request.before_start()
            refusal = None if request.is_extra else worker_records.not_reused(self.alive, request)
            if refusal is not None:
                self._log.append(refusal)
            worker = start(next(self._numbers), key)
            # Logged before another action can get the worker, so that its start precedes its requests.
            self._log.append(worker_records.started(worker, request.identity))
        finally:
            with self._changed:
                self._starting[key.digest] -= 1
                if worker is not None:
                    self._alive[worker.number] = worker
                    self._free.setdefault(key.digest, []).append(worker)
                    self._lease(worker)
                    self._retire_outdated(key)
                self._serve()
                self._changed.notify_all()
        self._reaper.watch()
        return worker

    def _retire(self, worker: Worker, reason: str, *, at_once: bool = False) -> None:
        worker.move(State.RETIRING)
        self._reaper.retire(worker, reason, at_once=at_once)

    def _retire_idle(self, reason: Retirement) -> None:
        for worker in self._idle():
            self._take_out(worker)
            self._retire(worker, reason, at_once=True)

    def _retire_outdated(self, key: WorkerKey) -> None:
        """Retire workers with a former version of the tool; busy ones after their requests.

        If the client's key did not change with the tool, it may be no edit: two clients may use two
        versions of the tool. Such workers stay for a few seconds, and longer if they get actions.
        """
        for worker in self._outdated.among(self._alive.values(), key):
            if worker.key.client_key == key.client_key:
                worker.outdated_at = time.monotonic()
                continue
            self._take_out(worker)
            worker.retire_reason = worker.retire_reason or Retirement.OUTDATED
            if worker.state is State.IDLE:
                self._retire(worker, Retirement.OUTDATED)

    def _retire_faulty(self, worker: Worker, problem: IdleProblem) -> None:
        if problem.violation is not None:
            rule, detail = problem.violation
            self._log.append(ProtocolViolation(worker=worker.number, rule=rule, detail=detail))
        self._retire(worker, problem.reason, at_once=True)

    def _on_gone(self, worker: Worker, reason: str) -> None:
        worker.stderr.drain()
        self._log.append(worker_records.retired(worker, str(reason)))
        with self._lock:
            worker.move(State.GONE)
            is_unused = not worker.leases  # else the last lease that ends disposes of it
        if is_unused:
            self._dispose(worker)
        with self._changed:
            del self._alive[worker.number]
            self._serve()
            self._changed.notify_all()

    def _dispose(self, worker: Worker) -> None:
        """Release descriptors and folder of a worker that has ended and is not leased."""
        worker.close()
        self._clean_up(worker)

    def _inspect_idle(self) -> None:
        """Retire workers whose time is up, that use too much memory, or that have ended."""
        self._retire_over_memory()
        limit = self._config.worker_idle_timeout
        with self._lock:
            for worker in self._idle():
                problem = worker.find_problem()
                if problem is not None:
                    self._take_out(worker)
                    self._retire_faulty(worker, problem)
                elif limit and time.monotonic() - worker.idle_since >= limit:
                    self._take_out(worker)
                    self._retire(worker, Retirement.IDLE_TIMEOUT)
                elif worker.idle_for(since=worker.outdated_at) >= _OUTDATED_PATIENCE:
                    self._take_out(worker)
                    self._retire(worker, Retirement.OUTDATED)

    def _retire_over_memory(self) -> None:
        """Retire workers that use too much memory; busy ones after their requests."""
        limit = self._config.worker_max_rss
        for worker in self.alive if limit else ():
            if resident_bytes(worker.process.pid) <= limit:
                continue
            with self._lock:
                if worker.state in {State.BUSY, State.IDLE} and worker.retire_reason is None:
                    worker.retire_reason = Retirement.MEMORY_BUDGET
                    self._take_out(worker)
                if worker.state is State.IDLE:
                    self._retire(worker, Retirement.MEMORY_BUDGET)
