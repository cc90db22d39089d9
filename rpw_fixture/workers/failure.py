"""What is told when a worker fails an action: always the cause, and the end of its stderr."""

from __future__ import annotations

from dataclasses import dataclass

from rpw_fixture.errors import Code, RequestError

#: How much of a worker's stderr goes into an error's message, in characters.
SHOWN_STDERR = 4096

_ADVICE = {
    "text on stdout": "a worker may write nothing but WorkResponses to stdout; print to stderr",
    "wrong request_id": "the response must carry the request's own id",
    "unexpected was_cancelled": "only a request that was sent a cancel may be answered so",
    "unexpected response": "there must be exactly one response to each request",
}


class WorkerFailure(RequestError):  # noqa: N818 - the field's word for it
    """A persistent worker did not answer an action as the protocol demands.

    Its status is one that Bazel does not retry: FAILED_PRECONDITION without details, or
    DEADLINE_EXCEEDED for a timeout. It is another one when the machine is to blame: UNAVAILABLE when
    the worker was killed together with what supervises it, RESOURCE_EXHAUSTED when none can be started.

    Args:
        worker: its number.
        rule: what happened, in the terms that events use.
        detail: the evidence.
        stderr_tail: the end of what the worker wrote to stderr.
        exit_status: of the process, None when it was still alive.
        is_violation: it broke the protocol (a crash or a timeout is none).
        was_unread: it had ended before it read any of the request, which can be sent to another.
        code: the status the client sees.
    """

    def __init__(
        self,
        *,
        worker: int,
        rule: str,
        detail: str,
        stderr_tail: str = "",
        exit_status: int | None = None,
        is_violation: bool = False,
        was_unread: bool = False,
        code: Code = Code.FAILED_PRECONDITION,
    ) -> None:
        lines = [f"persistent worker {worker}: {rule}" + (f": {detail}" if detail else "")]
        if rule in _ADVICE:
            lines.append(f"({_ADVICE[rule]})")
        if stderr_tail.strip():
            lines.append(f"worker's stderr ends with:\n{stderr_tail[-SHOWN_STDERR:].rstrip()}")
        else:
            lines.append("worker's stderr is empty")
        super().__init__(code, "\n".join(lines))
        self.worker = worker
        self.rule = rule
        self.detail = detail
        self.stderr_tail = stderr_tail
        self.exit_status = exit_status
        self.is_violation = is_violation
        self.was_unread = was_unread

    def with_note(self, note: str) -> WorkerFailure:
        """Return the same failure with a paragraph more in its message."""
        failure = self.for_another(was_unread=self.was_unread, code=self.code)
        failure.message = f"{self.message}\n{note}"
        failure.args = (failure.message,)
        return failure

    def for_another(self, *, was_unread: bool, code: Code | None = None) -> WorkerFailure:
        """The same failure as seen by a request that shares the worker and is not its cause."""
        shared = self.code if self.code is Code.UNAVAILABLE else Code.FAILED_PRECONDITION
        return WorkerFailure(
            worker=self.worker,
            rule=self.rule,
            detail=self.detail,
            stderr_tail=self.stderr_tail,
            exit_status=self.exit_status,
            is_violation=self.is_violation,
            was_unread=was_unread,
            code=code or shared,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleProblem:
    """What makes an idle worker unusable.

    Attributes:
        reason: why it must go, as `worker_retired` says it.
        violation: rule and detail of what it said unasked, if that is it.
    """

    reason: str
    violation: tuple[str, str] | None = None
