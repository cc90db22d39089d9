"""The error of an action whose worker failed: the cause, and the end of the worker's stderr."""

from __future__ import annotations

from dataclasses import dataclass

from rpw_fixture.errors import Code, RequestError

#: How much of a worker's stderr goes into an error message, in characters.
SHOWN_STDERR = 4096

_ADVICE = {
    "text on stdout": "a worker may write only WorkResponses to stdout; print to stderr instead",
    "wrong request_id": "the response must carry the request's own id",
    "unexpected was_cancelled": "only the response to a cancelled request may set was_cancelled",
    "unexpected response": "there must be exactly one response to each request",
}


class WorkerFailure(RequestError):  # noqa: N818 - the field's word for it
    """A persistent worker that did not answer an action as the protocol demands.

    Its status is one that Bazel does not retry: FAILED_PRECONDITION without details, or
    DEADLINE_EXCEEDED for a timeout. Failures of the machine have other codes: UNAVAILABLE when the
    worker was killed together with its supervisor, RESOURCE_EXHAUSTED when no worker can be started.

    Args:
        worker: the worker's number.
        rule: what happened, in the words that events use.
        detail: the evidence.
        stderr_tail: the end of what the worker wrote to stderr.
        exit_status: exit status of the process, None when it was still alive.
        is_violation: the worker broke the protocol (a crash or a timeout does not).
        was_unread: the worker had read nothing of the request, so that another worker can get it.
        had_read_others: it had read other requests, which may have ended it.
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
        had_read_others: bool = False,
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
        self.had_read_others = had_read_others

    def with_note(self, note: str) -> WorkerFailure:
        """Return the same failure with another paragraph in its message."""
        failure = self.for_another(
            was_unread=self.was_unread, had_read_others=self.had_read_others, code=self.code
        )
        failure.message = f"{self.message}\n{note}"
        failure.args = (failure.message,)
        return failure

    def for_another(
        self, *, was_unread: bool, had_read_others: bool = False, code: Code | None = None
    ) -> WorkerFailure:
        """Return the same failure for a request that shares the worker and is not the cause."""
        shared = self.code if self.code is Code.UNAVAILABLE else Code.FAILED_PRECONDITION
        return WorkerFailure(
            worker=self.worker,
            rule=self.rule,
            detail=self.detail,
            stderr_tail=self.stderr_tail,
            exit_status=self.exit_status,
            is_violation=self.is_violation,
            was_unread=was_unread,
            had_read_others=had_read_others,
            code=code or shared,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleProblem:
    """The reason why an idle worker is unusable.

    Attributes:
        reason: why the worker must be retired, as in `worker_retired`.
        violation: rule and detail, if the worker wrote to stdout without a request.
    """

    reason: str
    violation: tuple[str, str] | None = None
