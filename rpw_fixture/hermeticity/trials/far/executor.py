"""Asking a cluster: a question becomes an action, which is executed until there is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from rpw_fixture.client import Client
from rpw_fixture.client.async_executions import AsyncExecutions
from rpw_fixture.client.channel import missing_of
from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.hermeticity.trials.far import question as files
from rpw_fixture.hermeticity.trials.far.input_roots import InputFolder, QuestionAction
from rpw_fixture.hermeticity.trials.far.patience import Patience, may_pass, pause
from rpw_fixture.hermeticity.trials.far.question import Answer
from rpw_fixture.hermeticity.trials.trial import UnavailableError
from rpw_fixture.support.closing import Closeable
from rpw_fixture.wire.digests import SHA256, Digest, digest_of
from rpw_fixture.wire.protos import remote_execution as reapi

T = TypeVar("T")
#: Threads for calls that do not wait for an action: uploads, downloads, cancellations.
_THREADS = 8
#: An action may wait this long for a machine before it is asked for again, seconds.
_QUEUE = 600.0
_SHOWN = 400


class Reply:
    """An answer of a cluster, and where the content that it names is.

    Attributes:
        answer: the answer.
        is_cached: whether it is from the cluster's action cache.
    """

    def __init__(
        self, answer: Answer, places: Mapping[str, Digest] | None, *, is_cached: bool
    ) -> None:
        self.answer = answer
        self.is_cached = is_cached
        self._places = places

    def place(self, digest: Digest) -> Digest:
        """Return the cluster's digest of content, of which the answer has the SHA-256."""
        return digest if self._places is None else self._places[digest.hash]


class NoAnswerError(Exception):
    """An action ended without a usable answer; asking again may help."""


class ClusterExecutor(Closeable):
    """A cluster that answers questions; `ask` and `fetch` are used in one loop.

    Args:
        server: the cluster.
        client: a client of it, which stays open.
    """

    def __init__(self, server: ExistingServer, client: Client) -> None:
        self.patience = Patience()
        self._server = server
        self._client = client
        self._executions: AsyncExecutions | None = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="rpw-far")
        self._uploads: dict[Digest, asyncio.Task[None]] = {}
        self._given_up = ""

    async def ask(
        self,
        action: QuestionAction,
        use: Callable[[Reply], Awaitable[T]],
        *,
        seconds: float,
        is_fresh: bool,
        title: str,
    ) -> T:
        """Ask a question, again if that may help, and return what is made of the answer.

        Args:
            action: the question.
            use: makes something of the reply; it may fetch content that the answer names.
            seconds: the most that the action may take on a machine.
            is_fresh: do not take a remembered answer.
            title: names the question in the cluster's own pages.

        Raises:
            UnavailableError: there is no answer, with the reason.
            ConfigError: as ``use``.
        """
        problem, attempt = self._given_up, 0
        while not self._given_up:
            # No exception is kept: its traceback would hold the calls, and gRPC with them.
            try:
                response = await self._execute(
                    action, seconds, title, skips_cache=is_fresh or attempt > 0
                )
                found = await use(await self._reply(response))
            except NoAnswerError as error:
                problem, may_repeat = str(error), True
            except RequestError as error:
                problem, may_repeat = str(error), may_pass(error)
                self._forget(action)  # the cluster may have lost blobs
            else:
                self.patience.note_answer()
                return found
            attempt += 1
            if not may_repeat:
                break
            if not self.patience.may_repeat(attempt):
                if self.patience.is_exhausted():
                    self._given_up = problem
                break
            await asyncio.sleep(pause(attempt))
        raise UnavailableError(f"the executor gives no answer: {problem}")

    async def fetch(self, places: Iterable[Digest]) -> dict[Digest, bytes]:
        """Return blobs of the cluster.

        Raises:
            RequestError: one can't be read, or is lost.
        """
        return await self._in_thread(lambda: self._client.download(places))

    async def close_calls(self) -> None:
        """Close what belongs to the loop."""
        if self._executions is not None:
            await self._executions.close()
            self._executions = None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    async def _execute(
        self, action: QuestionAction, seconds: float, title: str, *, skips_cache: bool
    ) -> reapi.ExecuteResponse:
        """Upload and execute an action; cancel the operation if nothing waits for it any longer.

        Raises:
            RequestError: a call failed, or the action's status is not OK.
        """
        for each in action.shared:
            await self._upload_once(each)
        await self._in_thread(lambda: self._client.upload(action.blobs))
        if self._executions is None:
            self._executions = AsyncExecutions(self._server, self._client)
        operations: list[str] = []
        try:
            response = await self._executions.run(
                action.digest,
                skip_cache_lookup=skips_cache,
                inline_outputs=(files.ANSWER,),
                seconds=seconds + _QUEUE,
                on_operation=operations.append,
                target=title,
            )
        except RequestError as error:
            if operations and error.code is Code.DEADLINE_EXCEEDED:
                self._cancel(operations[-1])
            raise
        except asyncio.CancelledError:
            if operations:
                self._cancel(operations[-1])
            raise
        status = response.status
        if status.code:
            code = Code(status.code)
            text = f"{code.name}: {status.message}"
            raise RequestError(code, text, missing=missing_of(status))
        return response

    def _cancel(self, operation: str) -> None:
        """Have an operation cancelled; `close` waits for that."""

        def cancel() -> None:
            with suppress(RequestError):  # it has ended, or the cluster can't cancel
                self._client.cancel(operation)

        self._threads.submit(cancel)

    async def _reply(self, response: reapi.ExecuteResponse) -> Reply:
        result = response.result
        found = {each.path: each for each in result.output_files}
        if files.ANSWER not in found:
            raise NoAnswerError(await self._describe(result))
        file = found[files.ANSWER]
        digest = digest_of(file.digest)
        content = file.contents
        if not content and digest.size:
            content = (await self.fetch([digest]))[digest]
        try:
            answer = files.read_answer(content)
        except ValueError as error:
            raise NoAnswerError(str(error)) from None
        places = None if self._client.digest_function is SHA256 else await self._places(result)
        return Reply(answer, places, is_cached=response.cached_result)

    async def _places(self, result: reapi.ActionResult) -> dict[str, Digest]:
        """Return the cluster's digests of content by its SHA-256."""
        for each in result.output_directories:
            if each.path == files.BLOBS:
                digest = digest_of(each.tree_digest)
                tree = reapi.Tree.FromString((await self.fetch([digest]))[digest])
                return {file.name: digest_of(file.digest) for file in tree.root.files}
        return {}

    async def _describe(self, result: reapi.ActionResult) -> str:
        """Return how a program ended that has left no answer."""
        text = bytes(result.stderr_raw or result.stdout_raw)
        if not text and result.HasField("stderr_digest"):
            digest = digest_of(result.stderr_digest)
            with suppress(RequestError):
                text = (await self.fetch([digest]))[digest]
        shown = text.decode(errors="replace").strip()[-_SHOWN:]
        return f"the program ended with exit code {result.exit_code}: {shown or '(no output)'}"

    async def _upload_once(self, folder: InputFolder) -> None:
        """Upload a folder that many questions have in common, unless that was done."""
        task = self._uploads.get(folder.digest)
        if task is None:
            upload = self._in_thread(lambda: self._client.upload(folder.blobs))
            task = self._uploads[folder.digest] = asyncio.ensure_future(upload)
            task.add_done_callback(_note_outcome)
        await asyncio.shield(task)

    def _forget(self, action: QuestionAction) -> None:
        """Forget that the folders of a question were uploaded: the cluster may have lost them."""
        for each in action.shared:
            task = self._uploads.get(each.digest)
            if task is not None and task.done():
                del self._uploads[each.digest]

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)


def _note_outcome(task: asyncio.Task[None]) -> None:
    """Take note of an error that nothing may wait for any longer, so that it is not logged."""
    if not task.cancelled():
        task.exception()
