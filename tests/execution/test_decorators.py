"""Each executor around other executors, alone: what it adds, and what it leaves as it is."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from rpw_fixture.config import Config
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.events.actions import ActionIdentity, Mode
from rpw_fixture.events.kinds import ActionCompleted, ActionRouted, FileRecord, InternalError
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution.decorators.caching import Caching
from rpw_fixture.execution.decorators.error_translating import ErrorTranslating
from rpw_fixture.execution.decorators.event_logging import EventLogging
from rpw_fixture.execution.decorators.recording import Recording
from rpw_fixture.execution.decorators.routing import Routing
from rpw_fixture.execution.executor import Executor
from rpw_fixture.execution.job import ActionProgress, Job
from rpw_fixture.execution.job_queue import JobQueue
from rpw_fixture.execution.operation import Execution
from rpw_fixture.execution.recorder import Recorder
from rpw_fixture.execution.resolve import ResolvedAction, Resolver
from rpw_fixture.execution.results import RunResult
from rpw_fixture.execution.routing import Route, Router
from rpw_fixture.storage.action_cache import ActionCache
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.wire.digests import Digest, DigestFunction
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.workers.lease import PoolFullError

MakeJob = Callable[..., Job]
TO_WORKER = Route(mode=Mode.WORKER, reason="it fits")
TO_PROCESS = Route(mode=Mode.ONE_SHOT, reason="it does not fit")


class Inner:
    """Stands for the executors inside: does what a test says, and keeps the jobs it got."""

    def __init__(self, do: Callable[[Job], None] = lambda _job: None, exit_code: int = 0) -> None:
        self.jobs: list[Job] = []
        self._do = do
        self._exit_code = exit_code

    def execute(self, job: Job) -> reapi.ExecuteResponse:
        self.jobs.append(job)
        self._do(job)
        return reapi.ExecuteResponse(result=reapi.ActionResult(exit_code=self._exit_code))


def raising(error: Exception) -> Inner:
    def fail(_job: Job) -> None:
        raise error

    return Inner(fail)


@pytest.fixture
def log() -> EventLog:
    return EventLog()


@pytest.fixture
def make_job(store: BlobStore, inputs: Any) -> MakeJob:
    """Makes a job of an action that is in the store."""

    def make(*, skip_cache_lookup: bool = False, do_not_cache: bool = False) -> Job:
        action = inputs.action({"in": b"text"})
        action.do_not_cache = do_not_cache
        digest = store.put(action.SerializeToString())
        execution = Execution()
        return Job(
            identity=ActionIdentity(digest=str(digest), operation="op", mnemonic="M", target="//t"),
            digest=digest,
            action=action,
            store=store,
            instance_name="",
            skip_cache_lookup=skip_cache_lookup,
            execution=execution,
            turn=JobQueue(1, lambda: None).turn(execution),
            progress=ActionProgress(timeline=execution.timeline),
        )

    return make


# --- the event log ---


def test_how_an_action_ended_is_logged(make_job: MakeJob, log: EventLog) -> None:
    def run(job: Job) -> None:
        job.progress.route = TO_WORKER
        job.progress.assign(3, is_reused=True)
        job.progress.result = RunResult(exit_code=7)
        job.progress.outputs.files.append(FileRecord("out", "abc/1"))

    job = make_job()
    EventLogging(Inner(run, exit_code=7), log).execute(job)

    (done,) = log.of(ActionCompleted)
    assert (done.action, done.operation) == (job.identity.digest, "op")
    assert (done.mnemonic, done.target) == ("M", "//t")
    assert (done.mode, done.reason) == ("worker", "it fits")
    assert (done.worker, done.reused, done.exit_code) == (3, True, 7)
    assert done.outputs == (FileRecord("out", "abc/1"),)
    assert done.status == "OK"
    assert type(done.mode) is str


def test_an_action_without_a_result_is_logged_without_an_exit_code(
    make_job: MakeJob, log: EventLog
) -> None:
    EventLogging(Inner(), log).execute(make_job())

    (done,) = log.of(ActionCompleted)
    assert (done.exit_code, done.worker, done.mode) == (None, None, "one-shot")


# --- errors ---


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RequestError(Code.CANCELLED, "cancelled"), Code.CANCELLED, "cancelled"),
        (OSError(errno.ENOSPC, "no space"), Code.RESOURCE_EXHAUSTED, "the disk is full"),
        (OSError(errno.EMFILE, "files"), Code.RESOURCE_EXHAUSTED, "too many open files"),
        (OSError(errno.ENAMETOOLONG, "name"), Code.INVALID_ARGUMENT, "too long for this system"),
        (OSError(errno.EIO, "broken"), Code.INTERNAL, "internal error"),
        (ZeroDivisionError("a bug"), Code.INTERNAL, "a bug"),
    ],
)
def test_an_exception_becomes_a_response(
    make_job: MakeJob, log: EventLog, error: Exception, code: Code, text: str
) -> None:
    response = ErrorTranslating(raising(error), log).execute(make_job())

    assert response.status.code == code
    assert text in response.status.message
    assert text in response.result.stderr_raw.decode()
    assert response.result.execution_metadata.worker
    assert len(log.of(InternalError)) == (code is Code.INTERNAL)


def test_what_an_action_made_before_it_failed_is_in_the_response(
    make_job: MakeJob, log: EventLog
) -> None:
    def run(job: Job) -> None:
        job.progress.result = RunResult(exit_code=1, stderr=b"said before")
        job.progress.outputs.result.output_files.add(path="partial")
        raise RequestError(Code.FAILED_PRECONDITION, "refused")

    response = ErrorTranslating(Inner(run), log).execute(make_job())

    assert response.result.stderr_raw == b"said before\nrpw_fixture: refused\n"
    assert [file.path for file in response.result.output_files] == ["partial"]


def test_interrupts_pass(make_job: MakeJob, log: EventLog) -> None:
    def run(_job: Job) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ErrorTranslating(Inner(run), log).execute(make_job())


# --- the cache ---


@pytest.fixture
def results(cas: Cas) -> Iterator[CompleteResults]:
    cache = ActionCache(None)
    yield CompleteResults(cache, cas)
    cache.close()


def test_an_action_runs_once_and_comes_from_the_cache_then(
    make_job: MakeJob, log: EventLog, results: CompleteResults
) -> None:
    inner = Inner()
    caching = Caching(inner, results, log)
    caching.execute(make_job())
    assert not log.of(ActionRouted)
    job = make_job()
    response = caching.execute(job)

    assert response.cached_result
    assert len(inner.jobs) == 1
    assert job.progress.route.mode is Mode.CACHE
    assert [each.mode for each in log.of(ActionRouted)] == ["cache"]


def test_a_client_that_skips_the_cache_has_the_action_run_and_kept(
    make_job: MakeJob, log: EventLog, results: CompleteResults
) -> None:
    inner = Inner()
    caching = Caching(inner, results, log)
    for _ in range(2):
        assert not caching.execute(make_job(skip_cache_lookup=True)).cached_result

    assert len(inner.jobs) == 2
    assert caching.execute(make_job()).cached_result


@pytest.mark.parametrize(("exit_code", "do_not_cache"), [(1, False), (0, True)])
def test_what_may_not_be_cached_runs_again(
    make_job: MakeJob,
    log: EventLog,
    results: CompleteResults,
    exit_code: int,
    do_not_cache: bool,
) -> None:
    inner = Inner(exit_code=exit_code)
    caching = Caching(inner, results, log)
    for _ in range(2):
        assert not caching.execute(make_job(do_not_cache=do_not_cache)).cached_result
    assert len(inner.jobs) == 2


def test_a_cancelled_action_neither_runs_nor_comes_from_the_cache(
    make_job: MakeJob, log: EventLog, results: CompleteResults
) -> None:
    inner, job = Inner(), make_job()
    job.token.cancel()
    with pytest.raises(RequestError) as caught:
        Caching(inner, results, log).execute(job)

    assert caught.value.code is Code.CANCELLED
    assert not inner.jobs


def test_a_result_that_finds_no_room_in_the_cache_is_still_given(
    make_job: MakeJob,
    log: EventLog,
    results: CompleteResults,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise RequestError(Code.RESOURCE_EXHAUSTED, "the disk is full")

    monkeypatch.setattr(results, "put", full)

    assert Caching(Inner(), results, log).execute(make_job()).status.code == Code.OK


# --- the recorder ---


class Recorded:
    """Stands for the recorder."""

    folder = Path("recording")

    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[dict[str, Any]] = []
        self.gaps: list[str] = []
        self._error = error

    def add(self, _action: ResolvedAction, _route: Route, **rest: object) -> None:
        if self._error is not None:
            raise self._error
        self.seen.append(rest)

    def explain_gap(self, route: Route) -> None:
        self.gaps.append(route.reason)


def served(inputs: Any, mode: Mode) -> Callable[[Job], None]:
    def run(job: Job) -> None:
        job.progress.resolved = inputs.resolved(job.action)
        job.progress.route = Route(mode=mode, reason="because")
        job.progress.result = RunResult(exit_code=4, sent=5.0)

    return run


@pytest.mark.parametrize("mode", Mode)
def test_only_what_a_worker_served_is_recorded(make_job: MakeJob, inputs: Any, mode: Mode) -> None:
    recorder = Recorded()
    bugs: list[str] = []
    recording = Recording(
        Inner(served(inputs, mode)), cast("Recorder", recorder), lambda what, _: bugs.append(what)
    )
    recording.execute(make_job())

    expected = {"mnemonic": "M", "target": "//t", "sent": 5.0, "exit_code": 4, "outputs": []}
    assert recorder.seen == ([expected] if mode is Mode.WORKER else [])
    assert recorder.gaps == (["because"] if mode is Mode.ONE_SHOT else [])
    assert not bugs


def test_a_recorder_that_raises_fails_no_action(
    make_job: MakeJob, inputs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bugs: list[str] = []
    recording = Recording(
        Inner(served(inputs, Mode.WORKER)),
        cast("Recorder", Recorded(ValueError("a bug"))),
        lambda what, _: bugs.append(what),
    )
    with caplog.at_level(logging.CRITICAL, "rpw_fixture.support.harmless"):
        assert recording.execute(make_job()).status.code == Code.OK
    assert bugs == ["--record recording"]


# --- routing ---


class Decides:
    """Stands for the router."""

    def __init__(self, route: Route | RequestError) -> None:
        self._route = route

    def route(self, _action: ResolvedAction, mnemonic: str) -> Route:
        assert mnemonic == "M"
        if isinstance(self._route, RequestError):
            raise self._route
        return self._route


def routing(
    log: EventLog, route: Route | RequestError, worker: Executor, once: Executor
) -> Routing:
    return Routing(
        resolver=Resolver(Config()),
        router=cast("Router", Decides(route)),
        log=log,
        worker=worker,
        one_shot=once,
    )


def modes(log: EventLog) -> Sequence[str]:
    return [each.mode for each in log.of(ActionRouted)]


@pytest.mark.parametrize("route", [TO_WORKER, TO_PROCESS])
def test_an_action_runs_where_its_route_leads(
    make_job: MakeJob, log: EventLog, route: Route
) -> None:
    worker, once = Inner(), Inner()
    routing(log, route, worker, once).execute(make_job())

    assert (len(worker.jobs), len(once.jobs)) == (route is TO_WORKER, route is TO_PROCESS)
    assert modes(log) == [route.mode]


def test_a_full_pool_routes_again_when_its_policy_says_so(make_job: MakeJob, log: EventLog) -> None:
    once, job = Inner(), make_job()
    full = raising(PoolFullError("the worker pool is full", is_one_shot=True))
    routing(log, TO_WORKER, full, once).execute(job)

    assert once.jobs == [job]
    assert modes(log) == ["worker", "one-shot"]
    assert job.progress.route.reason == "the worker pool is full"


def test_a_full_pool_fails_the_action_when_its_policy_says_so(
    make_job: MakeJob, log: EventLog
) -> None:
    once = Inner()
    full = raising(PoolFullError("the worker pool is full", is_one_shot=False))
    with pytest.raises(PoolFullError):
        routing(log, TO_WORKER, full, once).execute(make_job())
    assert not once.jobs


def test_a_refused_action_is_logged_with_the_reason_and_runs_nowhere(
    make_job: MakeJob, log: EventLog
) -> None:
    worker, once = Inner(), Inner()
    refusal = RequestError(Code.FAILED_PRECONDITION, "containers are off")
    with pytest.raises(RequestError, match="containers are off"):
        routing(log, refusal, worker, once).execute(make_job())

    (routed,) = log.of(ActionRouted)
    assert routed.reason == "refused, FAILED_PRECONDITION: containers are off"
    assert not worker.jobs + once.jobs


def test_an_action_that_is_cancelled_while_it_is_routed_runs_nowhere(
    make_job: MakeJob, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, once, job = Inner(), Inner(), make_job()

    def resolve(
        _self: Resolver, digest: Digest, action: reapi.Action, store: BlobStore, instance: str
    ) -> ResolvedAction:
        job.token.cancel()
        function: DigestFunction = store.function
        assert (digest, action, instance) == (job.digest, job.action, "")
        return cast("ResolvedAction", function)

    monkeypatch.setattr(Resolver, "resolve", resolve)
    with pytest.raises(RequestError) as caught:
        routing(log, TO_WORKER, worker, once).execute(job)

    assert caught.value.code is Code.CANCELLED
    assert not worker.jobs + once.jobs
