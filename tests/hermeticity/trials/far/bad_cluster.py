"""A cluster that answers trials as a test says, for what a good one never does."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from rpw_fixture.errors import Code
from rpw_fixture.hermeticity.trials.far import question as files
from rpw_fixture.hermeticity.trials.far.question import Answer
from rpw_fixture.hermeticity.trials.json_values import dumps
from rpw_fixture.wire.digests import SHA256, message_of
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi
from tests.client import fake_server
from tests.client.fake_server import BrokenError

#: Answers one Execute of a trial: the messages of the stream, for the name of the operation.
Way = Callable[["BadCluster", str], Iterator[Any]]


class BadCluster:
    """Blobs, and the ways in which the next trials are executed; the others are executed well.

    Attributes:
        ways: how the next trials are executed, each once.
        executed: names of the operations of trials so far.
        cancelled: names of the operations that a client cancelled.
        released: until it is set, operations that are late wait.
        endpoint: set while it serves.
        calls: calls so far: method name and request.
    """

    def __init__(self, *ways: Way) -> None:
        self.ways = list(ways)
        self.executed: list[str] = []
        self.cancelled: list[str] = []
        self.released = threading.Event()
        self.endpoint = ""
        self.calls: list[tuple[str, Any]] = []
        self._blobs: dict[str, bytes] = {}
        self._serial = itertools.count()

    @contextmanager
    def serving(self) -> Iterator[BadCluster]:
        """Serve for the block."""
        answers = {
            "GetCapabilities": _capabilities,
            "FindMissingBlobs": self._find_missing,
            "BatchUpdateBlobs": self._update,
            "Execute": self._execute,
            "WaitExecution": lambda request: good(self, request.name),
            "CancelOperation": self._cancel,
        }
        with fake_server.fake_server(**answers) as (self.endpoint, self.calls):
            try:
                yield self
            finally:
                self.released.set()

    def _find_missing(self, request: Any) -> Any:
        missing = [each for each in request.blob_digests if each.hash not in self._blobs]
        return reapi.FindMissingBlobsResponse(missing_blob_digests=missing)

    def _update(self, request: Any) -> Any:
        response = reapi.BatchUpdateBlobsResponse()
        for each in request.requests:
            self._blobs[each.digest.hash] = each.data
            response.responses.add(digest=each.digest)
        return response

    def _cancel(self, request: Any) -> Any:
        self.cancelled.append(request.name)
        return fake_server.NOTHING["CancelOperation"](request)

    def _execute(self, request: Any) -> Iterator[Any]:
        action = reapi.Action.FromString(self._blobs[request.action_digest.hash])
        root = reapi.Directory.FromString(self._blobs[action.input_root_digest.hash])
        question = files.read_question(self._blobs[root.files[0].digest.hash])
        if question.effects:
            yield _done("effects", files.write(Answer(effects="{}")))
            return
        name = f"trial-{next(self._serial)}"
        self.executed.append(name)
        way = self.ways.pop(0) if self.ways else good
        yield from way(self, name)


def good(_cluster: BadCluster, name: str) -> Iterator[Any]:
    """The worker answered."""
    yield _done(name, _result(0))


def late(cluster: BadCluster, name: str) -> Iterator[Any]:
    """The answer comes when nothing waits for it any longer, and is another one."""
    yield fake_server.under_way(name)
    cluster.released.wait()
    yield _done(name, _result(9))


def cut_off(_cluster: BadCluster, name: str) -> Iterator[Any]:
    """Something between ends the stream at a time limit that the client did not set."""
    yield fake_server.under_way(name)
    raise BrokenError(grpc.StatusCode.DEADLINE_EXCEEDED, "no stream may take longer")


def twice(_cluster: BadCluster, name: str) -> Iterator[Any]:
    """The action was executed twice, and both answers come."""
    yield _done(name, _result(0))
    yield _done(name, _result(9))


def garbled(_cluster: BadCluster, name: str) -> Iterator[Any]:
    """Another program answers."""
    yield _done(name, b'{"answer": "hello"}')


def foreign(_cluster: BadCluster, name: str) -> Iterator[Any]:
    """The result is that of no trial."""
    yield _done(name, files.write(Answer(result='{"outcomes": [{"step": 77}]}', folder="/x")))


def refusing(code: Code) -> Way:
    """Return the way of a cluster that refuses the properties of the action."""

    def refuse(_cluster: BadCluster, name: str) -> Iterator[Any]:
        response = reapi.ExecuteResponse()
        response.status.code = code.value
        response.status.message = "no machine has Pool=big"
        yield fake_server.done(name, response)

    return refuse


def _capabilities(_request: Any) -> Any:
    found = fake_server.capabilities()
    found.cache_capabilities.max_batch_total_size_bytes = (
        0  # no limit, so that it needs no ByteStream
    )
    found.execution_capabilities.exec_enabled = True
    found.execution_capabilities.digest_function = reapi.DigestFunction.SHA256
    return found


def _result(exit_code: int) -> bytes:
    outcome = {"step": 0, "exit_code": exit_code, "seconds": 0.1}
    return files.write(Answer(result=dumps({"outcomes": [outcome]}).decode(), folder="/x"))


def _done(name: str, content: bytes) -> Any:
    response = reapi.ExecuteResponse()
    digest = message_of(SHA256.of(content))
    response.result.output_files.add(path=files.ANSWER, digest=digest, contents=content)
    operation: Any = longrunning.Operation(name=name, done=True)
    operation.response.Pack(response)
    return operation
