"""The service build.bazel.remote.execution.v2.Execution: Execute and WaitExecution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rpw_fixture.services.base import Call, Service, rpc
from rpw_fixture.storage.cas import Cas
from rpw_fixture.support.pausing import Pause
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi

if TYPE_CHECKING:
    from rpw_fixture.execution.engine import Engine
    from rpw_fixture.execution.operation import Operation


class ExecutionService(Service):
    """Accepts actions and reports their progress.

    Args:
        cas: has the actions.
        engine: returns the engine that executes them.
    """

    name = "build.bazel.remote.execution.v2.Execution"

    def __init__(self, cas: Cas, engine: Callable[[], Engine]) -> None:
        self._cas = cas
        self._engine = engine

    @rpc("Execute", pauses=True)
    def execute(
        self, request: reapi.ExecuteRequest, call: Call
    ) -> Iterator[longrunning.Operation | Pause]:
        """Execute an action, unless its result is cached; yield its operation at every change.

        A missing Action fails the call. All other errors are in the operation's response.
        """
        digest = request.action_digest
        function = self._cas.functions.of_request(request.digest_function, digest.hash)
        store = self._cas.store(function)
        checked = store.shared(function.validate(digest, what="action_digest"))
        operation = self._engine().execute(checked, store, request, call.request_metadata)
        return _updates(operation, call)

    @rpc("WaitExecution", pauses=True)
    def wait_execution(
        self, request: reapi.WaitExecutionRequest, call: Call
    ) -> Iterator[longrunning.Operation | Pause]:
        """Yield an operation at every change, from now until it is done.

        An action continues when its client has gone, so the client can return with this call.
        """
        return _updates(self._engine().find(request.name), call)


def _updates(operation: Operation, call: Call) -> Iterator[longrunning.Operation | Pause]:
    context = call.context
    if context.add_callback(operation.wake):  # called when the client has gone
        yield from operation.progress(context.is_active)
