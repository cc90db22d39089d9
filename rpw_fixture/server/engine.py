"""Puts together the engine, which executes actions.

This module is imported for the first call about actions, because it loads a third of the package.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from rpw_fixture.config import Config
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution.decorators.caching import Caching
from rpw_fixture.execution.decorators.error_translating import ErrorTranslating
from rpw_fixture.execution.decorators.event_logging import EventLogging
from rpw_fixture.execution.decorators.recording import Recording
from rpw_fixture.execution.decorators.routing import Routing
from rpw_fixture.execution.engine import Engine
from rpw_fixture.execution.executor import Executor
from rpw_fixture.execution.one_shot import OneShotExecutor
from rpw_fixture.execution.persistent import PersistentExecutor
from rpw_fixture.execution.protocol_finder import ProtocolFinder
from rpw_fixture.execution.recorder import Recorder
from rpw_fixture.execution.resolve import Resolver
from rpw_fixture.execution.routing import Router
from rpw_fixture.execution.scheduler import Scheduler
from rpw_fixture.execution.worker_request import WorkerRequests
from rpw_fixture.execution.worker_start import WorkerStarter
from rpw_fixture.faults.registry import Slot
from rpw_fixture.launching import isolation
from rpw_fixture.processes.spawner import Spawner
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.support import globs
from rpw_fixture.support.beneath import OwnFolder
from rpw_fixture.workers import personalities
from rpw_fixture.workers.input_index import InputIndex
from rpw_fixture.workers.personalities.rules import Personality, WhenFull
from rpw_fixture.workers.pool import WorkerPool
from rpw_fixture.workers.protocol_memory import ProtocolMemory


class EngineDependencies(NamedTuple):
    """The parts of a server that its engine needs.

    Attributes:
        config: limits and policies.
        log: gets the records.
        folder: of the server; the spawner removes it if this process is killed.
        results: the action cache.
        worker_faults: strike requests to workers.
    """

    config: Config
    log: EventLog
    folder: Path
    results: CompleteResults
    worker_faults: Slot


def build_engine(given: EngineDependencies) -> Engine:
    """Build an engine.

    Raises:
        ConfigError: for settings that this machine can't meet.
        EnvironmentLacksError: the recording can't be written.
        OSError: the server's folder can't be used.
    """
    config, log = given.config, given.log
    work = given.folder / "work"
    work.mkdir(exist_ok=True)
    rules = personalities.find(config.personality)
    resolver, protocols = Resolver(config), ProtocolMemory()
    index = InputIndex(globs.matcher(config.tool_inputs) if config.tool_inputs else None)
    router = Router(config, index, rules, protocols)
    with ExitStack() as resources:
        spawner = resources.enter_context(Spawner(str(given.folder)))
        launcher = resources.enter_context(isolation.launching(config, log, spawner))
        folder = resources.enter_context(OwnFolder(str(work)))
        starter = WorkerStarter(config, rules, launcher, folder, given.worker_faults)
        resources.enter_context(starter)
        pool = _pool(config, rules, log, starter)
        resources.callback(pool.close)
        requests = WorkerRequests(
            config=config, rules=rules, log=log, index=index, starter=starter, pool=pool
        )
        worker = _worker_executor(config, rules, log, protocols, requests)
        one_shot = OneShotExecutor(config, launcher, folder)
        routing = Routing(
            resolver=resolver, router=router, log=log, worker=worker, one_shot=one_shot
        )
        executor = _decorated(_recording(routing, config, rules, log, resources), given)
        scheduler = _scheduler(executor, config, log, pool)
        return Engine(
            resolver=resolver,
            scheduler=scheduler,
            executor=executor,
            pool=pool,
            forget=(resolver.clear, index.clear, router.clear),
            resources=resources.pop_all(),
        )


def _decorated(inner: Executor, given: EngineDependencies) -> Executor:
    """Return an executor with its decorators; `rpw_fixture.execution.decorators` explains the order."""
    caching = Caching(inner, given.results, given.log)
    return EventLogging(ErrorTranslating(caching, given.log), given.log)


def _recording(
    inner: Executor, config: Config, rules: Personality, log: EventLog, resources: ExitStack
) -> Executor:
    """Return an executor that writes a recording, if one is wanted."""
    if config.record is None:
        return inner
    recorder = Recorder(Path(config.record), rules.flagfile_base.value)
    resources.callback(recorder.close)
    return Recording(inner, recorder, log.append_bug)


def _pool(config: Config, rules: Personality, log: EventLog, starter: WorkerStarter) -> WorkerPool:
    return WorkerPool(
        config,
        log,
        starter.clean_up,
        when_full=WhenFull(config.when_full or rules.when_full.value),
        most_requests=config.worker_max_requests or rules.most_requests.value,
    )


def _worker_executor(
    config: Config,
    rules: Personality,
    log: EventLog,
    protocols: ProtocolMemory,
    requests: WorkerRequests,
) -> PersistentExecutor:
    finder = ProtocolFinder(
        config=config, rules=rules, log=log, memory=protocols, requests=requests
    )
    return PersistentExecutor(config=config, rules=rules, log=log, requests=requests, finder=finder)


def _scheduler(executor: Executor, config: Config, log: EventLog, pool: WorkerPool) -> Scheduler:
    return Scheduler(
        executor,
        jobs=config.jobs,
        grace=config.operation_grace,
        abandoned_timeout=config.abandoned_timeout,
        on_room=pool.serve_waiting,
        on_bug=log.append_bug,
    )
