"""Running trials as ordinary actions of a cluster. It keeps no worker there, and no state.

A machine of the cluster does just what `LocalRunner` does here, so that every check is possible.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.errors import ConfigError, EnvironmentLacksError, RequestError
from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import documents, input_tree
from rpw_fixture.hermeticity.trials.documents import ActionDocuments
from rpw_fixture.hermeticity.trials.endpoint import require_execution
from rpw_fixture.hermeticity.trials.far import archive
from rpw_fixture.hermeticity.trials.far.executor import ClusterExecutor, NoAnswerError, Reply
from rpw_fixture.hermeticity.trials.far.input_roots import USUAL_PATH, InputRoots, QuestionAction
from rpw_fixture.hermeticity.trials.far.loop_thread import LoopThread
from rpw_fixture.hermeticity.trials.far.question import Question
from rpw_fixture.hermeticity.trials.far.remote_store import FetchingStore
from rpw_fixture.hermeticity.trials.json_values import converter, dumps
from rpw_fixture.hermeticity.trials.trial import BASE, Result, Trial, UnavailableError, Variation
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.closing import Closeable
from rpw_fixture.wire.digests import Digest

T = TypeVar("T")
#: Outputs of at most this many bytes are fetched at once, larger ones when they are read.
_EAGER = 64 << 10
#: Seconds for the start of the program and of a worker, and the most that one trial may take.
_START, _MOST_SECONDS = 120.0, 3600.0


class ExecutorRunner(Closeable):
    """A runner of trials of one worker on a cluster. Thread-safe.

    Args:
        worker: the worker under test.
        server: the cluster.
        store: the store that takes content of outputs.
        home: a folder for records of tracers, which takes the place of the machines' folders in them.
        jobs: most trials that the cluster has at once.
        is_fresh: take no answer from the cluster's action cache.

    Attributes:
        store: has the content of outputs, and fetches what is missing.
        is_fresh: take no answer from the cluster's action cache.
        is_one_path: all trials of a machine run at one path, one after the other.
    """

    def __init__(
        self,
        worker: SuiteWorker,
        server: ExistingServer,
        store: BlobStore,
        *,
        home: Path,
        jobs: int,
        is_fresh: bool = False,
    ) -> None:
        self.is_one_path = False
        self.is_fresh = is_fresh
        self._worker = worker
        self._server = server
        self._home = home
        self._jobs = jobs
        self._documents = ActionDocuments()
        self._serial = itertools.count()
        self._roots: InputRoots | None = None
        self._limit: asyncio.Semaphore | None = None
        with ExitStack() as undo:
            self._client = undo.enter_context(server.connect())
            self._executor = undo.enter_context(ClusterExecutor(server, self._client))
            self._loop = undo.enter_context(LoopThread())
            self._undo = undo.pop_all()
        self.store = FetchingStore(store, self._fetch_now)

    @property
    def search_path(self) -> str:
        """PATH on the machines."""
        return self._server.search_path or USUAL_PATH

    def require_endpoint(self) -> Self:
        """Ask a first question; return self.

        Raises:
            EnvironmentLacksError: the endpoint does not answer, or can't run the program.
        """
        require_execution(self._client, "--executor")
        self._roots = InputRoots(
            self._client.digest_function,
            archive.program(self.search_path),
            platform=self._server.platform,
            is_legacy=self._client.is_legacy,
        )
        try:
            self.effects(BASE)
        except UnavailableError as error:
            raise EnvironmentLacksError(
                f"--executor: {error}; a machine needs /bin/sh and Python 3.11 or newer as python3 "
                "(see --executor-path, --platform-property)"
            ) from None
        return self

    def begin(
        self,
        trial: Trial,
        *,
        worker: SuiteWorker | None = None,
        before: Callable[[], None] = lambda: None,
        done: Callable[[Result], None] = lambda _result: None,
        is_fresh: bool = False,
    ) -> Future[Result]:
        """Begin a trial; it waits until fewer than ``jobs`` trials run.

        Args:
            trial: the trial.
            worker: another worker than the one under test.
            before: called just before the trial begins; what it raises is the outcome.
            done: called with the result.
            is_fresh: do not take the result from the cluster's action cache.

        Returns:
            The result; raises what `LocalRunner.run` raises, and UnavailableError for a trial that
            the cluster does not answer.
        """
        return self._loop.submit(self._run(trial, worker or self._worker, before, done, is_fresh))

    def effects(self, variation: Variation) -> Mapping[str, object]:
        """Return what each factor looks like to a process under a variation, on some machine.

        Raises:
            UnavailableError: the machine does not support the variation, or none answers.
        """
        plain = dumps(converter(Variation, {}).write(variation)).decode()
        document = documents.write_worker(self._worker)
        question = Question(worker=str(document.digest), effects=plain)
        action = self._action(question, self._worker, [], _START)
        return self._loop.run(
            self._executor.ask(action, _effects, seconds=_START, is_fresh=True, title="effects")
        )

    def check_layouts(self, actions: Sequence[SuiteAction]) -> None:
        """Lay out the inputs of all actions once.

        Raises:
            ConfigError: the inputs of an action contradict each other.
        """
        for each in actions:
            input_tree.layout(self._worker, each, self.store)

    def cancel(self) -> None:
        """Cancel all trials, and their operations on the cluster."""
        self._loop.cancel_all()

    def close(self) -> None:
        """Cancel all trials and close the connection."""
        self._loop.cancel_all()
        self._loop.run(self._executor.close_calls())
        self._undo.close()
        # Cancelled calls are in cycles with their errors, and gRPC keeps a thread as long as they exist.
        gc.collect()

    async def _run(
        self,
        trial: Trial,
        worker: SuiteWorker,
        before: Callable[[], None],
        done: Callable[[Result], None],
        is_fresh: bool,
    ) -> Result:
        if self._limit is None:
            self._limit = asyncio.Semaphore(self._jobs)
        async with self._limit:
            before()
            question = Question(
                worker=str(documents.write_worker(worker).digest),
                trial=self._documents.write_trial(trial).decode(),
                is_fixed=self.is_one_path,
            )
            actions = documents.actions_of(trial)
            seconds = _seconds(trial, worker)
            title = trial.history[-1].action.name
            action = self._action(question, worker, actions, seconds)
            result = await self._executor.ask(
                action,
                partial(self._result, trial),
                seconds=seconds,
                is_fresh=is_fresh or self.is_fresh,
                title=title,
            )
        done(result)
        return result

    def _action(
        self, question: Question, worker: SuiteWorker, actions: list[SuiteAction], seconds: float
    ) -> QuestionAction:
        assert self._roots is not None
        document = documents.write_worker(worker)
        return self._roots.of(question, document, self._documents, actions, seconds)

    async def _result(self, trial: Trial, reply: Reply) -> Result:
        """Return the result in a reply, with its smaller outputs fetched.

        Raises:
            UnavailableError: the machine does not support the trial.
            ConfigError: the suite can't be run there.
            NoAnswerError: the result can't be used.
            RequestError: content is lost.
        """
        answer = _require(reply).answer
        content = answer.result.encode()
        traces: set[Digest] = set()

        def trace_path(digest: Digest) -> str:
            traces.add(digest)
            return ""

        try:
            documents.read_result(content, trial, trace_path)
            named = documents.blobs_of(content)
            places = {each: reply.place(each) for each in named}
        except (ValueError, KeyError) as error:
            raise NoAnswerError(f"the answer can't be read: {error}") from None
        self.store.places.update(places)
        small = {each for each in named if each.size <= _EAGER} | traces
        await self._fetch(each for each in small if not self.store.contains(each))
        result = documents.read_result(
            content, trial, lambda digest: self._write_trace(digest, answer.folder)
        )
        return replace(result, is_remembered=reply.is_cached)

    async def _fetch(self, digests: Iterable[Digest]) -> None:
        places = {self.store.places[each]: each for each in digests}
        if places:
            for place, data in (await self._executor.fetch(places)).items():
                if place in places:
                    self.store.put(data, places[place])

    def _fetch_now(self, place: Digest) -> bytes | None:
        """Return a blob of the cluster; None if it is lost. Not for the loop's thread."""
        try:
            return self._client.download([place])[place]
        except RequestError:
            return None

    def _write_trace(self, digest: Digest, folder: str) -> str:
        """Write the record of a tracer to a file, as if the trial had run here; return its path."""
        path = self._home / f"far-trace-{next(self._serial)}"
        text = self.store.get(digest)
        path.write_bytes(text.replace(folder.encode(), str(self._home).encode()))
        return str(path)


async def _effects(reply: Reply) -> Mapping[str, object]:
    try:
        found = json.loads(_require(reply).answer.effects)
    except ValueError as error:
        raise NoAnswerError(f"the answer can't be read: {error}") from None
    return found if isinstance(found, dict) else {}


def _require(reply: Reply) -> Reply:
    """Return a reply that answers the question.

    Raises:
        UnavailableError: the machine does not support the trial.
        ConfigError: the suite can't be run there.
    """
    if reply.answer.unavailable:
        raise UnavailableError(reply.answer.unavailable)
    if reply.answer.misused:
        raise ConfigError(reply.answer.misused)
    return reply


def _seconds(trial: Trial, worker: SuiteWorker) -> float:
    """Return the most seconds that a trial can take, by its time limits."""
    steps = [*trial.history, *(step for each in trial.predecessors for step in each.history)]
    limit = trial.timeout or worker.timeout
    requests = sum(limit + step.pause + step.delay for step in steps)
    return min(_MOST_SECONDS, _START + requests + trial.starts * trial.eof_patience)
