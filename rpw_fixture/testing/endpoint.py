"""The endpoint: a test runs actions on it, reads what was observed, and asserts.

An `Endpoint` has an address and a log of events; it does not know how the server works, or whether it
runs in this process.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpw_fixture import testing
from rpw_fixture.config import Config
from rpw_fixture.errors import ConfigError
from rpw_fixture.events.log import EventLog

if TYPE_CHECKING:
    from rpw_fixture.client import ActionOutcome, Client
    from rpw_fixture.client.action import Action
    from rpw_fixture.client.outcome import Check
    from rpw_fixture.faults.registry import Faults
    from rpw_fixture.services.interceptors.counters import Counters
    from rpw_fixture.testing.lookup import Subject
    from rpw_fixture.testing.records import ActionRecord, Actions, Workers

#: How many of the newest actions `assert_hermetic` checks when none is given.
_REMEMBERED = 200


class Endpoint:
    """A server that runs actions.

    Attributes:
        config: the server's settings.
        events: everything that the server observed.
        reproducers: folder for the reproducers of `assert_hermetic`; None writes none.
    """

    def __init__(self, config: Config, events: EventLog) -> None:
        self.config = config
        self.events = events
        self.reproducers: Path | None = None
        self._endpoint = ""
        self._client: Client | None = None
        self._client_lock = threading.Lock()
        self._succeeded: deque[Action] = deque(maxlen=_REMEMBERED)

    def _reach(self, scheme: str, address: str) -> None:
        """Set the address at which the server listens from now on."""
        self._endpoint = endpoint_of(scheme, address)

    @property
    def endpoint(self) -> str:
        """The address with its scheme, as clients take it: ``grpc://127.0.0.1:41213``.

        Raises:
            ConfigError: if the server was not started.
        """
        if not self._endpoint:
            raise ConfigError("the server was not started; write `with Server() as server:`")
        return self._endpoint

    @property
    def address(self) -> str:
        """The address without its scheme: ``127.0.0.1:41213``."""
        return self.endpoint.rpartition("://")[2]

    @property
    def client(self) -> Client:
        """The client of this server that `run` uses."""
        with self._client_lock:
            if self._client is None:
                self._client = self.connect()
            return self._client

    def connect(self, **options: Any) -> Client:
        """Return another client of this server; the caller closes it.

        Args:
            options: arguments of `Client` that replace those from the server's settings.
        """
        from rpw_fixture.client import Client  # noqa: PLC0415 - loads grpc

        return Client(self.endpoint, **{**self._client_options(), **options})

    def close_client(self) -> None:
        """Close the client, if there is one; the next use makes a new one."""
        with self._client_lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def run(
        self, action: Action, *, skip_cache_lookup: bool = False, check: Check = True
    ) -> ActionOutcome:
        """Execute an action and wait for its outcome.

        Args:
            skip_cache_lookup: execute it even if the action cache has its result.
            check: raise if the status is not OK; with ``"exit"`` also for an exit code other than 0.

        Raises:
            ActionFailedError: if the action failed; see ``check``.
            RequestError: if a call failed.
        """
        __tracebackhide__ = True
        outcome = self._observed(
            self.client.run(action, skip_cache_lookup=skip_cache_lookup, check=False), check=check
        )
        self._remember(action, outcome)
        return outcome

    @property
    def actions(self) -> Actions:
        """All executions of actions so far, in the order in which they were routed."""
        return testing.records.actions_in(self.events)

    @property
    def workers(self) -> Workers:
        """All worker processes so far, in the order in which they were started."""
        return testing.records.workers_in(self.events)

    @property
    def faults(self) -> Faults:
        """Faults to arm: calls that fail, blobs that disappear, workers that die.

        Raises:
            unittest.SkipTest: if the server is not embedded in the test.
        """
        raise _skipped(f"faults need a server embedded in the test; {self._endpoint} is not")

    @property
    def counters(self) -> Counters:
        """Counters of calls, bytes and blobs.

        Raises:
            unittest.SkipTest: if the server is not embedded in the test.
        """
        raise _skipped(f"counters need a server embedded in the test; {self._endpoint} is not")

    def mark(self) -> int:
        """Return this point in time, for ``actions.since(mark)`` and ``workers.since(mark)``."""
        events = self.events.snapshot()
        return events[-1].seq if events else 0

    def worker_stderr(self) -> dict[int, str]:
        """Return the end of each worker's stderr, by the number of the worker."""
        ended = {each.worker: each.stderr_tail for each in self.workers if not each.is_alive}
        return {**ended, **self._live_stderr()}

    def bazel_flags(self, *, shows_secrets: bool = True) -> list[str]:
        """Return flags that make ``bazel build`` run every action on this server, and none locally.

        They work from Bazel 4 on. To mark tool inputs, add
        ``--experimental_remote_mark_tool_inputs`` from Bazel 6 on, and set `Config.tool_inputs` for
        older ones.

        Args:
            shows_secrets: False names the file of a token instead of the token.
        """
        flags = [
            f"--remote_executor={self.endpoint}",
            "--spawn_strategy=remote",
            "--remote_local_fallback=false",
        ]
        options = self._client_options()
        if not shows_secrets and self.config.auth_token_file is not None:
            options["headers"] = {"authorization": f"Bearer <{self.config.auth_token_file}>"}
        flags += [f"--remote_header={name}={value}" for name, value in options["headers"].items()]
        if options.get("tls_ca") is not None:
            flags.append(f"--tls_certificate={options['tls_ca']}")
        if options.get("instance_name"):
            flags.append(f"--remote_instance_name={options['instance_name']}")
        return flags

    def assert_worker_reused(self, *actions: Subject) -> None:
        """Assert that one worker served all ``actions``, and was warm for all but the first.

        Args:
            actions: outcomes of `run`, actions (their last execution), records, or selections of
                `actions`. A single one must have run on a worker that had served before.

        Raises:
            AssertionError: with the reason why the worker was not reused.
        """
        __tracebackhide__ = True
        testing.assertions.worker_reused(self._records(actions), self.workers)

    def assert_on_worker(self, *actions: Subject) -> None:
        """Assert that each of ``actions`` ran on a persistent worker, cold or warm.

        Args:
            actions: as for `assert_worker_reused`.

        Raises:
            AssertionError: with the reason why an action did not.
        """
        __tracebackhide__ = True
        testing.assertions.on_worker(self._records(actions))

    def assert_workers(self, at_most: int) -> None:
        """Assert that at most `at_most` workers were started since the last reset.

        Raises:
            AssertionError: with the reason for each start.
        """
        __tracebackhide__ = True
        testing.assertions.workers_at_most(at_most, self.actions, self.workers)

    def assert_worker_restarted(
        self, before: Subject, after: Subject, *, because: str | None = None
    ) -> None:
        """Assert that another worker served ``after`` than ``before``.

        Args:
            because: a part of the reason. The reason is a difference of their worker keys, such as
                ``tools/lib.py`` or ``environment: LANG``, or why the first worker ended, such as
                ``crash``.

        Raises:
            AssertionError: with the worker keys of both.
        """
        __tracebackhide__ = True
        unmarked = testing.lookup.unmarked_inputs(after, because) if because is not None else []
        testing.assertions.worker_restarted(
            self._record(before), self._record(after), because, self.workers, unmarked
        )

    def assert_tool_inputs(self, action: Subject, paths: Iterable[str]) -> None:
        """Assert that the tool inputs of ``action`` are exactly those that ``paths`` name.

        Args:
            paths: one or more, relative to the input root; a glob such as ``tools/**`` must match at
                least one.

        Raises:
            AssertionError: with the missing and the unexpected paths.
        """
        __tracebackhide__ = True
        testing.assertions.tool_inputs(self._record(action), paths, self.actions)

    def assert_one_shot(self, action: Subject, *, because: str | None = None) -> None:
        """Assert that ``action`` ran one-shot: in a new process, not on a worker.

        Args:
            because: a part of the reason, such as ``persistentWorkerKey`` or ``flagfile``.

        Raises:
            AssertionError: with how it ran, and why.
        """
        __tracebackhide__ = True
        testing.assertions.one_shot(self._record(action), because)

    def assert_hermetic(
        self,
        *actions: Action | ActionOutcome,
        select: str | None = None,
        ignore: str | None = None,
        seed: int = 0,
        max_seconds: float | None = None,
        reproducers: str | Path | None = None,
    ) -> None:
        """Assert that the workers of ``actions`` follow the protocol and leak no state into outputs.

        Each worker is checked as ``python -m rpw_fixture check`` does it, in new processes that this
        server does not manage.

        Args:
            actions: worker actions that succeed, or their outcomes; if none is given, the actions
                that `run` ran so far.
            select: codes, separated by commas; prefixes such as ``RPW2`` are allowed, and ``RPW``
                means all. The default is all but RPW207, RPW208, RPW209 and RPW3, which take longest.
            ignore: codes to leave out, written likewise.
            seed: for the random choice of what to try when there is too much to try everything.
            max_seconds: limit for each worker; None for no limit.
            reproducers: folder for the smallest reproducer of each finding; in pytest the default
                is a temporary one.

        Raises:
            AssertionError: with victim, polluters and differences of each finding.
            ConfigError: if there is nothing to check, or for a code that does not exist.
        """
        __tracebackhide__ = True
        from rpw_fixture.hermeticity.assertion import assert_hermetic  # noqa: PLC0415 - loads a lot

        assert_hermetic(
            [testing.lookup.action_of(each) for each in actions] or tuple(self._succeeded),
            select=select,
            ignore=ignore,
            seed=seed,
            max_seconds=max_seconds,
            reproducers=Path(reproducers) if reproducers is not None else self.reproducers,
        )

    def assert_no_internal_error(self) -> None:
        """Assert that the server found no bug of rpw_fixture itself.

        In pytest, `rpw_server` and `make_rpw_server` do this after every test.

        Raises:
            AssertionError: with the unexpected exceptions in the server's code.
        """
        __tracebackhide__ = True
        testing.assertions.no_internal_error(self.events)

    def _live_stderr(self) -> dict[int, str]:
        """Return the end of the stderr of live workers, if the server runs in this process."""
        return {}

    def _remember(self, action: Action, outcome: ActionOutcome) -> None:
        """Keep a worker action that succeeded, for `assert_hermetic`."""
        if action.worker_key and outcome.status == "OK" and outcome.exit_code == 0:
            self._succeeded.append(action)

    def _observed(self, outcome: ActionOutcome, *, check: Check) -> ActionOutcome:
        """Return the outcome with what only the log knows; raise as ``check`` demands."""
        __tracebackhide__ = True
        record = testing.records.execution_in(self.events.snapshot(), outcome.operation)
        if record is not None and record.worker is not None:
            outcome = dataclasses.replace(outcome, worker=record.worker, reused=record.reused)
        outcome.raise_for(check)
        return outcome

    def _records(self, subjects: Iterable[Subject]) -> list[ActionRecord]:
        __tracebackhide__ = True
        known = self.actions
        records: list[ActionRecord] = []
        for subject in subjects:
            if isinstance(subject, testing.records.Actions):
                records += subject
            else:
                records.append(testing.lookup.subject_of(subject, known, self._digest))
        return records

    def _record(self, subject: Subject) -> ActionRecord:
        __tracebackhide__ = True
        if isinstance(subject, testing.records.Actions):
            return subject.only()
        return testing.lookup.subject_of(subject, self.actions, self._digest)

    def _digest(self, action: Action) -> str:
        return self.client.digest_of(action)

    def _client_options(self) -> dict[str, Any]:
        config = self.config
        headers = {}
        if config.auth_token_file is not None:
            token = Path(config.auth_token_file).read_text(encoding="utf-8").strip()
            headers["authorization"] = f"Bearer {token}"
        return {"headers": headers, "tls_ca": config.tls_cert}


def endpoint_of(scheme: str, address: str) -> str:
    """Return an address with its scheme, as clients take it; a socket's has none."""
    return address if address.startswith("unix:") else f"{scheme}://{address}"


def _skipped(reason: str) -> Exception:
    """Return the exception that skips a test, in pytest and in unittest."""
    import unittest  # noqa: PLC0415 - takes long to load

    return unittest.SkipTest(reason)
