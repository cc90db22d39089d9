"""What tests touch of a server: running actions, what was observed, and assertions about it.

An `Endpoint` has an address and a log of events; it does not know how the server behind it works, or
whether it runs in this process.
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
    from rpw_fixture.faults.registry import Faults
    from rpw_fixture.services.interceptors.counters import Counters
    from rpw_fixture.testing.lookup import Subject
    from rpw_fixture.testing.records import ActionRecord, Actions, Workers

#: How many actions `assert_hermetic` knows without being told.
_REMEMBERED = 200


class Endpoint:
    """A server that can be asked to run actions.

    Attributes:
        config: the server's settings.
        events: what was observed.
        reproducers: where `assert_hermetic` puts reproducers unless it is told; None for nowhere.
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
        """Tells where the server can be reached from now on."""
        self._endpoint = address if address.startswith("unix:") else f"{scheme}://{address}"

    @property
    def endpoint(self) -> str:
        """The address with its scheme, as clients take it: ``grpc://127.0.0.1:41213``.

        Raises:
            ConfigError: when the server was not started.
        """
        if not self._endpoint:
            raise ConfigError("the server was not started; use `with Server() as server:`")
        return self._endpoint

    @property
    def address(self) -> str:
        """The address without its scheme: ``127.0.0.1:41213``."""
        return self.endpoint.rpartition("://")[2]

    @property
    def client(self) -> Client:
        """A client of this server, with which `run` works."""
        with self._client_lock:
            if self._client is None:
                self._client = self.connect()
            return self._client

    def connect(self, **options: Any) -> Client:
        """Another client of this server; the caller closes it.

        Args:
            options: arguments of `Client`, instead of those that follow from the server's settings.
        """
        from rpw_fixture.client import Client  # noqa: PLC0415 - loads grpc

        return Client(self.endpoint, **{**self._client_options(), **options})

    def close_client(self) -> None:
        """Closes the client, if there is one; the next use makes a new one."""
        with self._client_lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def run(
        self, action: Action, *, skip_cache_lookup: bool = False, check: bool = True
    ) -> ActionOutcome:
        """Has an action executed and waits for how it ended.

        Args:
            skip_cache_lookup: execute it even if its result is known.
            check: raise when the status is not OK; an exit code other than 0 never raises.

        Raises:
            ActionFailedError: the action could not be run to its end.
            RequestError: a call failed.
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
        """What can be armed so that calls fail, blobs disappear and workers die.

        Raises:
            unittest.SkipTest: when the server is not one of ours.
        """
        raise _skipped(f"no fault can be armed in {self._endpoint}, which is not ours")

    @property
    def counters(self) -> Counters:
        """How often what was asked for.

        Raises:
            unittest.SkipTest: when the server is not one of ours.
        """
        raise _skipped(f"nobody counts the calls of {self._endpoint}, which is not ours")

    def mark(self) -> int:
        """This point in time, for ``actions.since(mark)`` and ``workers.since(mark)``."""
        events = self.events.snapshot()
        return events[-1].seq if events else 0

    def worker_stderr(self) -> dict[int, str]:
        """The end of what each worker wrote to stderr, by its number."""
        ended = {each.worker: each.stderr_tail for each in self.workers if not each.is_alive}
        return {**ended, **self._live_stderr()}

    def bazel_flags(self) -> list[str]:
        """What makes ``bazel build`` run every action here and none on its own machine.

        They suit every Bazel from 4 on. Bazel 6 and newer mark tool inputs with
        ``--experimental_remote_mark_tool_inputs`` in addition; for older ones `Config.tool_inputs`
        does it.
        """
        flags = [
            f"--remote_executor={self.endpoint}",
            "--spawn_strategy=remote",
            "--remote_local_fallback=false",
        ]
        options = self._client_options()
        flags += [f"--remote_header={name}={value}" for name, value in options["headers"].items()]
        if options.get("tls_ca") is not None:
            flags.append(f"--tls_certificate={options['tls_ca']}")
        if options.get("instance_name"):
            flags.append(f"--remote_instance_name={options['instance_name']}")
        return flags

    def assert_worker_reused(self, *actions: Subject) -> None:
        """One worker served all ``actions``, and was warm for all but the first.

        Args:
            actions: outcomes of `run`, actions (their last execution), records, or selections of
                `actions`. A single one must have met a worker that had served before.

        Raises:
            AssertionError: with what kept the worker from being reused.
        """
        __tracebackhide__ = True
        testing.assertions.worker_reused(self._records(actions), self.workers)

    def assert_worker_restarted(
        self, before: Subject, after: Subject, *, because: str | None = None
    ) -> None:
        """Another worker served ``after`` than ``before``.

        Args:
            because: a part of the reason: of a difference of their keys, such as
                ``tools/lib.py`` or ``environment: LANG``, or of why the first worker ended, such as
                ``crash``.

        Raises:
            AssertionError: with the keys of both.
        """
        __tracebackhide__ = True
        unmarked = testing.lookup.unmarked_inputs(after, because) if because is not None else []
        testing.assertions.worker_restarted(
            self._record(before), self._record(after), because, self.workers, unmarked
        )

    def assert_tool_inputs(self, action: Subject, paths: Iterable[str]) -> None:
        """The tool inputs of ``action`` are exactly those that ``paths`` name.

        Args:
            paths: relative to the input root; globs such as ``tools/**`` stand for at least one.

        Raises:
            AssertionError: with what is missing and what is there beyond.
        """
        __tracebackhide__ = True
        testing.assertions.tool_inputs(self._record(action), paths, self.actions)

    def assert_one_shot(self, action: Subject, *, because: str | None = None) -> None:
        """``action`` ran as a process of its own, not on a worker.

        Args:
            because: a part of the reason, such as ``persistentWorkerKey`` or ``flagfile``.

        Raises:
            AssertionError: with how it ran, and why.
        """
        __tracebackhide__ = True
        testing.assertions.one_shot(self._record(action), because)

    def assert_hermetic(
        self,
        *actions: Action,
        select: str | None = None,
        ignore: str | None = None,
        seed: int = 0,
        max_seconds: float | None = None,
        reproducers: str | Path | None = None,
    ) -> None:
        """The workers of ``actions`` keep no state that reaches an output, and follow the protocol.

        Each worker is checked as ``python -m rpw_fixture check`` does it, in processes of its own;
        the server has no part in it.

        Args:
            actions: worker actions that succeed; those that `run` ran so far when none is given.
            select: codes, separated by commas; prefixes such as ``RPW2`` are allowed, and ``RPW`` is
                all. When not given, all but RPW207, RPW208, RPW209 and RPW3, which take longest.
            ignore: codes to leave out, written likewise.
            seed: decides what is tried where not everything can be.
            max_seconds: for each worker; None for no limit.
            reproducers: folder for the smallest reproducer of each finding; in pytest a temporary
                one when not given.

        Raises:
            AssertionError: with victim, polluters and differences of each finding.
            ConfigError: when there is nothing to check, or for a code that does not exist.
        """
        __tracebackhide__ = True
        from rpw_fixture.hermeticity.assertion import assert_hermetic  # noqa: PLC0415 - loads a lot

        assert_hermetic(
            actions or tuple(self._succeeded),
            select=select,
            ignore=ignore,
            seed=seed,
            max_seconds=max_seconds,
            reproducers=Path(reproducers) if reproducers is not None else self.reproducers,
        )

    def check(self) -> None:
        """Nothing went wrong inside the server.

        Raises:
            AssertionError: with every error of the server's own code, which are its bugs.
        """
        __tracebackhide__ = True
        testing.assertions.no_internal_error(self.events)

    def _live_stderr(self) -> dict[int, str]:
        """What workers that are still alive wrote, where somebody reads it."""
        return {}

    def _remember(self, action: Action, outcome: ActionOutcome) -> None:
        """Keeps a worker action that succeeded, for `assert_hermetic`."""
        if action.worker_key and outcome.status == "OK" and outcome.exit_code == 0:
            self._succeeded.append(action)

    def _observed(self, outcome: ActionOutcome, *, check: bool) -> ActionOutcome:
        """The outcome with what only the log knows; raises when its status is not OK."""
        __tracebackhide__ = True
        from rpw_fixture.client import ActionFailedError  # noqa: PLC0415 - loads grpc

        record = testing.records.execution_in(self.events.snapshot(), outcome.operation)
        if record is not None and record.worker is not None:
            outcome = dataclasses.replace(outcome, worker=record.worker, reused=record.reused)
        if check and outcome.status != "OK":
            raise ActionFailedError(outcome)
        return outcome

    def _records(self, subjects: Iterable[Subject]) -> list[ActionRecord]:
        __tracebackhide__ = True
        known = self.actions
        found: list[ActionRecord] = []
        for subject in subjects:
            if isinstance(subject, testing.records.Actions):
                found += subject
            else:
                found.append(testing.lookup.subject_of(subject, known, self._digest))
        return found

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


def _skipped(reason: str) -> Exception:
    """What ends a test that can't be made here, in pytest and in unittest."""
    import unittest  # noqa: PLC0415 - takes long to load

    return unittest.SkipTest(reason)
