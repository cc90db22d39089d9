"""Workers that die of an armed fault, as they would of the kernel's out-of-memory killer."""

from __future__ import annotations

from rpw_fixture.faults.fault import Effect
from rpw_fixture.faults.registry import Slot
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.wire.worker.messages import Request, Response
from rpw_fixture.workers.process_pipes import ProcessPipes
from rpw_fixture.workers.worker import Conversation


class FaultInjectingConversation:
    """A conversation with a worker that armed faults kill.

    The worker is killed once its response is there, when it certainly has read the request: what
    then counts as inside the request and what as after it differs only in what becomes of the
    response, so that nothing depends on who is faster.

    Args:
        conversation: the real one.
        plumbing: the way to the worker.
        slot: the faults armed for workers.
    """

    def __init__(self, conversation: Conversation, plumbing: ProcessPipes, slot: Slot) -> None:
        self._conversation = conversation
        self._plumbing = plumbing
        self._slot = slot
        self.new_request_id = conversation.new_request_id
        self.find_problem = conversation.find_problem
        self.close = conversation.close

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Sends a request and waits for its response.

        Raises:
            WorkerFailure: the worker must not be used again.
            RequestError: CANCELLED or DEADLINE_EXCEEDED of this request alone.
        """
        if not self._slot.armed:
            return self._conversation.call(request, deadline, token)
        sent_from = self._plumbing.written
        response = self._conversation.call(request, deadline, token)
        effects = {fault.effect for fault in self._slot.strike()}
        if effects:
            self._plumbing.kill()
        if Effect.DIE_IN_REQUEST in effects:
            raise self._plumbing.crashed("was killed by an armed fault", sent_from)
        return response
