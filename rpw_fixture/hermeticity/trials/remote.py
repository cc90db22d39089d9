"""Running trials on an existing REAPI endpoint, through the public protocol alone.

Each trial has a new worker key and so gets a cold worker; the requests of a history are then sent one
after the other with that key. The process and its input root can't be observed: trials that need that
are refused. The endpoint retires the workers.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Self

from rpw_fixture.client import ActionOutcome, Client
from rpw_fixture.client.action import Action
from rpw_fixture.client.inputs import File
from rpw_fixture.errors import Code, EnvironmentLacksError, RequestError
from rpw_fixture.hermeticity.suites.suite import USUAL_FLAGFILE, SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import bulk, probe
from rpw_fixture.hermeticity.trials.endpoint import require_execution
from rpw_fixture.hermeticity.trials.trial import (
    BASE,
    NO_RESULT,
    Outcome,
    Result,
    RunMode,
    Step,
    Trial,
    UnavailableError,
    Variation,
)
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.paths import join_normalised
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol

#: Property that separates groups of clients: part of the worker key on most servers.
_SILO = "cache-silo-key"
#: A tool input whose content is the key, for servers on which the key alone gets no fresh worker.
_SALT = "rpw-check.key"
#: An action may wait this long for a machine before the check fails, seconds.
_QUEUE = 120.0


@dataclass(slots=True)
class WorkerReuse:
    """How often the endpoint reused workers, according to the workers that it named.

    Attributes:
        starts: number of first requests of a trial whose worker it named.
        kept: number of later requests served by the same worker as the request before.
        moved: number of later requests served by another worker, though the key was the same.
        unknown: number of requests whose worker it did not name.
    """

    starts: int = 0
    kept: int = 0
    moved: int = 0
    unknown: int = 0
    _seen: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, workers: list[int | None]) -> bool:
        """Add the workers of one trial; return False if the first one was not fresh."""
        with self._lock:
            known = {each for each in workers if each is not None}
            is_fresh = workers[0] is None or workers[0] not in self._seen
            self._seen |= known
            self.starts += workers[0] is not None
            self.unknown += workers.count(None)
            for before, after in itertools.pairwise(workers):
                if after is not None:
                    self.kept += before == after
                    self.moved += before != after
        return is_fresh


class RemoteRunner:
    """A runner of trials of one worker on an endpoint. Thread-safe.

    Args:
        worker: the worker under test.
        client: the client of the endpoint; the caller closes it.
        store: takes the content of outputs, so that differences can be shown.
        platform: platform properties of every action.
        may_silo: send ``cache-silo-key`` if nothing else leads to a fresh worker.
    """

    def __init__(
        self,
        worker: SuiteWorker,
        client: Client,
        store: BlobStore,
        platform: Mapping[str, str] = MappingProxyType({}),
        *,
        may_silo: bool = True,
    ) -> None:
        self.reuse = WorkerReuse()
        self.probe_result = probe.ProbeResult()
        self._worker = worker
        self._client = client
        self._store = store
        self._platform = platform
        self._may_silo = may_silo
        self._serial = itertools.count(1)

    def require_endpoint(self) -> Self:
        """Probe the endpoint; return self.

        Raises:
            EnvironmentLacksError: the endpoint does not answer, or executes no actions.
        """
        require_execution(self._client, "--target", hint_of=_hint)
        self.probe_result = self._probe()
        return self

    def run(self, trial: Trial, folder: Path) -> Result:
        """Run a trial.

        Args:
            trial: the trial.
            folder: not used; the endpoint has its own folders.

        Raises:
            EnvironmentLacksError: a call fails, so that the worker can't be judged.
            UnavailableError: the trial needs more than a client can do.
        """
        del folder
        _require_plain_requests(trial)
        key = self._new_key()
        outcomes: list[Outcome] = []
        workers: list[int | None] = []
        for step in trial.history:
            action = self._action(_enlarged(step), trial.variation)
            if trial.mode is not RunMode.ONE_SHOT:
                action = self._keyed(action, key)
                if self.probe_result.is_shared and action.tool_inputs:
                    action = action.with_tool_input(_SALT, key)
            began = time.monotonic()
            reply = self._execute(action, step.action.title)
            seconds = time.monotonic() - began
            outcomes.append(replace(self._outcome(step, reply), seconds=seconds))
            workers.append(reply.worker)
            if outcomes[-1].failure and trial.mode is not RunMode.ONE_SHOT:
                break
        if trial.mode is not RunMode.ONE_SHOT and not self.reuse.add(workers):
            raise UnavailableError("the endpoint starts no fresh worker for a new worker key")
        return Result(outcomes=tuple(outcomes))

    def effects(self, variation: Variation, folder: Path) -> Mapping[str, object]:
        """Return nothing: what a variation does on the endpoint's machine is unknown."""
        del variation, folder
        return {}

    def with_worker(self, worker: SuiteWorker) -> None:
        """Return nothing: the endpoint's probe was made for the worker of the suite."""
        del worker

    def _probe(self) -> probe.ProbeResult:
        """Run the probe: several requests with one worker key, then one with another key."""
        wanted = probe.action(
            protocol=self._worker.protocol, has_tool_inputs=bool(self._worker.tool_inputs)
        ).with_platform(**self._platform)
        texts = []
        for key in (*[self._new_key()] * probe.REQUESTS, self._new_key()):
            reply = self._execute(wanted.with_worker_key(key), "a probe")
            if reply.status != "OK":
                first_line = reply.message.partition("\n")[0]
                return probe.ProbeResult(problem=f"a probe ends with {reply.status}: {first_line}")
            texts.append(_text(reply))
        probed = probe.judge(texts)
        if probed.is_shared and self._may_silo and self._separates_silos(wanted):
            return replace(probed, is_shared=False, needs_silo=True)
        return probed

    def _separates_silos(self, wanted: Action) -> bool:
        """Return whether ``cache-silo-key`` leads to a fresh worker; strict servers refuse it."""
        key = self._new_key()
        reply = self._execute(_in_silo(wanted.with_worker_key(key), key), "a probe")
        return reply.status == "OK" and probe.is_first(_text(reply))

    def _keyed(self, action: Action, key: str) -> Action:
        """Return the action with a worker key, and what else the endpoint needs for a fresh worker."""
        action = action.with_worker_key(key)
        return _in_silo(action, key) if self.probe_result.needs_silo else action

    def _new_key(self) -> str:
        return f"rpw-check-{self._client.invocation}-{next(self._serial)}"

    def check_layouts(self, actions: tuple[SuiteAction, ...]) -> None:
        """Build all actions once.

        Raises:
            ConfigError: the inputs of an action contradict each other.
        """
        for each in actions:
            self._action(each, BASE)

    def _action(self, wanted: SuiteAction, variation: Variation) -> Action:
        worker = self._worker
        flagfile = self._join(wanted.flagfile)
        covered = {flagfile, *worker.tool_inputs}
        inputs = {path: entry for path, entry in wanted.inputs.items() if path not in covered}
        is_usual = worker.flagfile == USUAL_FLAGFILE
        argument = worker.flagfile_argument(wanted.flagfile)
        if not is_usual:
            inputs[flagfile] = File("".join(f"{line}\n" for line in wanted.arguments).encode())
        return Action(
            arguments=worker.command if is_usual else (*worker.command, argument),
            flagfile=wanted.arguments if is_usual else None,
            flagfile_path=wanted.flagfile,
            inputs=inputs,
            tool_inputs={
                path: each for path, each in worker.tool_inputs.items() if path != flagfile
            },
            outputs=wanted.outputs,
            environment={**dict(worker.environment), **dict(variation.environment)},
            platform=self._platform,
            protocol=None if worker.protocol == WorkerProtocol.PROTO else worker.protocol,
            working_directory=worker.working_directory,
            timeout=worker.timeout,
            do_not_cache=True,
            mnemonic="RpwCheck",
            target=wanted.name,
        )

    def _execute(self, action: Action, title: str) -> ActionOutcome:
        patience = self._worker.timeout + _QUEUE
        try:
            return self._client.run(action, skip_cache_lookup=True, check=False, timeout=patience)
        except RequestError as error:
            raise EnvironmentLacksError(
                f"--target: {title} can't be run: {error}{_hint(error)}"
            ) from None

    def _outcome(self, step: Step, reply: ActionOutcome) -> Outcome:
        try:
            outcome = Outcome(
                step=step,
                exit_code=reply.exit_code,
                response=_text(reply),
                outputs=self._outputs(reply),
            )
            if reply.status == "OK":
                return outcome
            logs = b"\n".join(reply.logs.values())
        except RequestError as error:
            raise EnvironmentLacksError(f"--target: outputs can't be fetched: {error}") from None
        return replace(
            outcome,
            exit_code=None,
            response="",  # the server's text, which may name the worker, and not the worker's
            failure=NO_RESULT,
            detail=f"{reply.status}: {reply.message}",
            stderr=logs.decode(errors="replace"),
        )

    def _outputs(self, reply: ActionOutcome) -> dict[str, str]:
        """Return the outputs by path below the input root, described as in `snapshot`."""
        outputs = reply.outputs
        outputs.fetch()
        found = {self._join(path): "folder" for path in outputs.folders}
        for path, target in outputs.symlinks.items():
            found[self._join(path)] = f"-> {target}"
        for path, file in outputs.files.items():
            mode = " executable" if file.is_executable else ""
            found[self._join(path)] = f"{self._store.put(outputs[path])}{mode}"
        return found

    def _join(self, path: str) -> str:
        return join_normalised(self._worker.working_directory, path)


def _enlarged(step: Step) -> SuiteAction:
    """Return the action of a request with the inputs and arguments that make the request large."""
    action = step.action
    more = {path: File(b"") for path, _ in bulk.more_inputs(step.bulk)}
    arguments = (*action.arguments, *bulk.more_arguments(step.bulk))
    return replace(action, arguments=arguments, inputs={**action.inputs, **more})


def _in_silo(action: Action, key: str) -> Action:
    return action.with_platform(**{_SILO: key})


def _text(reply: ActionOutcome) -> str:
    return (reply.stdout + reply.stderr).decode(errors="replace")


def _hint(error: Exception) -> str:
    """Return which option may be missing."""
    code = error.code if isinstance(error, RequestError) else None
    if code in {Code.UNAUTHENTICATED, Code.PERMISSION_DENIED}:
        return "; give credentials with --remote-header or --tls-client-certificate"
    if code in {Code.NOT_FOUND, Code.INVALID_ARGUMENT}:
        return "; is --remote-instance-name right?"
    return ""


def _require_plain_requests(trial: Trial) -> None:
    """Raise unless the trial consists of plain or large requests in sequence, with environment variables.

    Raises:
        UnavailableError: the trial needs more than that.
    """
    plain = Trial(
        history=tuple(Step(action=each.action, bulk=each.bulk) for each in trial.history),
        variation=replace(BASE, environment=trial.variation.environment),
        mode=trial.mode,
        run=trial.run,
    )
    wanted = replace(trial, variation=replace(trial.variation, factor=""))
    if wanted != plain or trial.mode in {RunMode.OVERLAPPING, RunMode.HELD}:
        raise UnavailableError(
            "not possible with --target: needs control of the process or requests"
        )
