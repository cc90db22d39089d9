"""Serves actions whose worker's protocol is unknown: sends requests in one, then in the other."""

from __future__ import annotations

import logging
import time
from functools import partial

from rpw_fixture.config import Config
from rpw_fixture.errors import RequestError
from rpw_fixture.events.kinds import ProtocolDetected
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution.job import ActionProgress
from rpw_fixture.execution.protocol_race import ProtocolRace, Side
from rpw_fixture.execution.results import RunResult
from rpw_fixture.execution.worker_request import WorkerRequests
from rpw_fixture.execution.worker_task import WorkerTask
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.lease import Lease
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.personalities.rules import Personality
from rpw_fixture.workers.protocol_memory import ProtocolMemory
from rpw_fixture.workers.worker import Worker

_log = logging.getLogger(__name__)


class ProtocolSettledError(Exception):
    """While a task waited for a worker, another action showed that its protocol is the other one."""


class ProtocolFinder:
    """Serves tasks whose protocol is open.

    Args:
        config: limits.
        rules: the personality's; they name the property for the protocol.
        log: gets a record of each protocol that was found.
        memory: keeps the protocols that were found.
        requests: leases workers and sends requests.
    """

    def __init__(
        self,
        *,
        config: Config,
        rules: Personality,
        log: EventLog,
        memory: ProtocolMemory,
        requests: WorkerRequests,
    ) -> None:
        self._config = config
        self._property = rules.protocols.value.name
        self._log = log
        self._memory = memory
        self._requests = requests

    def settled(self, task: WorkerTask) -> WorkerTask:
        """Return the task with the protocol of its tool, if that is known by now."""
        answer = self._memory.answer(task.key)
        if answer is None:
            return task
        key = task.key.with_protocol(answer)
        if key is not task.key:
            self._log_found(task, key, None, "another action with the same tool found it out")
        return task._replace(key=key, is_protocol_open=False)

    def check(self, task: WorkerTask) -> None:
        """Raise if the task's guess is known to be wrong by now.

        Raises:
            ProtocolSettledError: no worker should be started for the guess.
        """
        if self._memory.answer(task.key) not in {None, task.key.protocol}:
            raise ProtocolSettledError

    def serve(self, lease: Lease, task: WorkerTask) -> RunResult:
        """Have the leased worker serve the task or, if it speaks another protocol, a second worker.

        In the latter case the leased worker has been killed; the caller releases its lease as usual.

        Raises:
            WorkerFailure: of the leased worker; with the rule `Retirement.OTHER_PROTOCOL` when the task
                should be tried again in the protocol that another action has shown meanwhile.
            RequestError: as `WorkerRequests.serve`.
        """
        worker = lease.worker
        if worker.has_answered:
            self._memory.settle(worker.key)
            return self._requests.serve(lease, task)
        deadline = time.monotonic() + task.action.timeout
        race = ProtocolRace(
            self._memory,
            worker,
            patience=self._config.protocol_patience,
            deadline=deadline,
            token=task.token,
        )
        first = task._replace(latest=deadline, accept=partial(race.claim, Side.FIRST))
        second = _second(task, race, deadline)
        result = failure = None
        with race.watching(partial(self._serve_second, race, second)):
            try:
                result = self._requests.serve(lease, first)
            except WorkerFailure as error:
                failure = error
                race.first_failed(error)
        if race.winner is Side.SECOND:
            task.progress.take_over(second.progress)
        return self._outcome(race, worker, task, result, failure)

    def _outcome(
        self,
        race: ProtocolRace,
        worker: Worker,
        task: WorkerTask,
        result: RunResult | None,
        failure: WorkerFailure | None,
    ) -> RunResult:
        """Return the winner's result, or raise the error with which the action fails."""
        if result is not None:
            if race.was_second_asked:
                detail = f"worker {worker.number} was slow to answer"
                self._log_found(task, worker.key, worker.number, detail)
            return result
        if race.winner is Side.SECOND:
            worker.retire_reason = Retirement.OTHER_PROTOCOL
            if race.result is None:
                raise race.error or RuntimeError("the second worker has no result")
            self._warn(task, race.result, worker, failure)
            return race.result
        if race.error is not None and not isinstance(race.error, RequestError):
            raise race.error
        if failure is None:
            raise RuntimeError("a worker that has neither answered nor failed")
        if race.is_assumption_wrong:
            raise _wrong_guess(worker) from None
        raise self._explained(failure, race) from None

    def _serve_second(self, race: ProtocolRace, second: WorkerTask) -> None:
        """Have another worker serve the task, in the other protocol."""
        with self._requests.lease(second, is_extra=True) as lease:
            second.progress.assign(lease.worker.number, is_reused=lease.is_reused)
            try:
                race.enter(lease.worker)
                race.result = self._requests.serve(lease, second)
            except WorkerFailure as failure:
                race.leave()
                lease.discard(Retirement.OTHER_PROTOCOL)
                race.error = failure
            except BaseException:
                race.leave()
                raise

    def _explained(self, failure: WorkerFailure, race: ProtocolRace) -> WorkerFailure:
        """Return the first worker's failure, with the error of the second one."""
        if race.error is None:
            return failure
        cause = str(race.error).partition("\n")[0]
        return failure.with_note(
            f"(the action does not say {self._property}, so it was sent to a second process as "
            f"{race.second_key.protocol} as well: {cause})"
        )

    def _log_found(self, task: WorkerTask, key: WorkerKey, worker: int | None, detail: str) -> None:
        self._log.append(
            ProtocolDetected(
                action=task.identity.digest,
                operation=task.identity.operation,
                worker=worker,
                protocol=key.protocol.value,
                key=key.digest,
                detail=detail,
                key_components=key.components,
            )
        )

    def _warn(
        self, task: WorkerTask, result: RunResult, first: Worker, failure: WorkerFailure | None
    ) -> None:
        """Log which protocol was found, what the client should send, and what other servers do."""
        key = result.key or task.key
        detail = (
            f"worker {first.number} was asked in {first.key.protocol} and {_fate(failure)}; "
            f"worker {result.worker} answered in {key.protocol}"
        )
        self._log_found(task, key, result.worker, detail)
        if key.protocol is WorkerProtocol.PROTO:  # every server supports it
            return
        identity = task.identity
        name = " ".join(filter(None, (identity.mnemonic, identity.target)))
        mnemonic = identity.mnemonic or "MNEMONIC"
        _log.warning(
            "action %s does not say which protocol its worker speaks: %s. Send the platform property "
            "%s=json (exec_properties of the target, or --remote_default_exec_properties), or start "
            "this server with --default-protocol %s=json. Other servers take a missing property for "
            "proto; there this action fails, or waits until its timeout.",
            name or identity.digest,
            detail,
            self._property,
            mnemonic,
        )


def _second(task: WorkerTask, race: ProtocolRace, deadline: float) -> WorkerTask:
    """Return the task for the second worker; its progress counts only if that worker wins."""
    return task._replace(
        key=race.second_key,
        is_protocol_open=False,
        progress=ActionProgress(resolved=task.action, route=task.progress.route),
        latest=deadline,
        accept=partial(race.claim, Side.SECOND),
    )


def _fate(failure: WorkerFailure | None) -> str:
    if failure is None or failure.rule == Retirement.CRASH:
        return "did not answer"
    return f"failed ({failure.rule})"


def _wrong_guess(worker: Worker) -> WorkerFailure:
    return WorkerFailure(
        worker=worker.number,
        rule=str(Retirement.OTHER_PROTOCOL),
        detail=f"another action with the same tool found out that it does not speak {worker.key.protocol}",
    )
