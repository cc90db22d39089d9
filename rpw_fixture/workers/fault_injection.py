"""Faults that kill workers, as the kernel's out-of-memory killer would."""

from __future__ import annotations

from rpw_fixture.faults.fault import Effect
from rpw_fixture.faults.registry import Slot
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.wire.worker.messages import Request, Response
from rpw_fixture.workers.process_pipes import ProcessPipes
from rpw_fixture.workers.worker import Conversation


class FaultInjectingConversation:
    """A conversation with a worker that injected faults kill.

    The worker is killed once its response has arrived, when it has certainly read the request. Dying
    in a request and dying after it differ only in whether the response is dropped, so that the
    outcome does not depend on timing.

    Args:
        conversation: the conversation without faults.
        pipes: the pipes to the worker.
        slot: the faults registered for workers.
    """

    def __init__(self, conversation: Conversation, pipes: ProcessPipes, slot: Slot) -> None:
        self._conversation = conversation
        self._pipes = pipes
        self._slot = slot
        self.new_request_id = conversation.new_request_id
        self.find_problem = conversation.find_problem
        self.close = conversation.close

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Send a request and wait for its response.

        Raises:
            WorkerFailure: the worker must not be used again.
            RequestError: CANCELLED or DEADLINE_EXCEEDED of this request alone.
        """
        if not self._slot.armed:
            return self._conversation.call(request, deadline, token)
        sent_from = self._pipes.written
        response = self._conversation.call(request, deadline, token)
        effects = {fault.effect for fault in self._slot.strike()}
        if effects:
            self._pipes.kill()
        if Effect.DIE_IN_REQUEST in effects:
            raise self._pipes.crashed("was killed by an injected fault", sent_from)
        return response
