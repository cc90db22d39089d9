"""An existing server, which we can ask but not watch: the other kind of endpoint.

Its log is told from results and their metadata alone. Whatever needs eyes on the processes is left
unsaid, and assertions about it skip.
"""

from __future__ import annotations

import re
import threading
import uuid
from typing import Any, Self

from rpw_fixture.client import ActionFailedError, ActionOutcome
from rpw_fixture.client.action import Action
from rpw_fixture.config import Config
from rpw_fixture.events.kinds import ActionCompleted, ActionRouted, FileRecord, RequestSent
from rpw_fixture.events.log import EventLog
from rpw_fixture.testing.assertions import UNSEEN
from rpw_fixture.testing.endpoint import Endpoint

_OURS = re.compile(r"rpw_fixture(?:/worker-\d+)?")


class Cluster(Endpoint):
    """A server that was there before and stays.

    Its caches can't be emptied, so `reset` gives every later action another salt: what was run before
    is not found again.

    Args:
        endpoint: as `Client` takes it.
        options: further arguments of `Client`.
    """

    def __init__(self, endpoint: str, **options: Any) -> None:
        super().__init__(Config(), EventLog())
        self._endpoint = endpoint
        self._options = options
        self._log_lock = threading.Lock()
        self.reset()

    def run(
        self, action: Action, *, skip_cache_lookup: bool = False, check: bool = True
    ) -> ActionOutcome:
        """See `Endpoint.run`."""
        __tracebackhide__ = True
        outcome = self.client.run(
            self._own(action), skip_cache_lookup=skip_cache_lookup, check=False
        )
        with self._log_lock:
            self._tell(outcome)
        if check and outcome.status != "OK":
            raise ActionFailedError(outcome)
        self._remember(action, outcome)
        return outcome

    def reset(self) -> None:
        """Forgets what was observed, and has later actions differ from earlier ones."""
        self._salt = uuid.uuid4().bytes
        self._succeeded.clear()
        self.events.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_client()

    def stop(self) -> None:
        """Closes the connection; the server stays."""
        self.close_client()

    def _own(self, action: Action) -> Action:
        return action.replace(salt=action.salt + self._salt)

    def _digest(self, action: Action) -> str:
        return super()._digest(self._own(action))

    def _client_options(self) -> dict[str, Any]:
        return {"headers": {}, **self._options}

    def _tell(self, outcome: ActionOutcome) -> None:
        """Notes an execution as far as its result tells of it."""
        mode = _mode(outcome)
        named: Any = {"action": outcome.digest, "operation": outcome.operation}
        self.events.append(
            ActionRouted(
                **named,
                mnemonic=outcome.action.mnemonic,
                target=outcome.action.target,
                mode=mode,
                reason="",
            )
        )
        if outcome.worker is not None:
            inputs = len(outcome.action.entries)
            self.events.append(
                RequestSent(**named, worker=outcome.worker, request_id=0, inputs=inputs)
            )
        self.events.append(
            ActionCompleted(
                **named,
                mnemonic=outcome.action.mnemonic,
                target=outcome.action.target,
                mode=mode,
                worker=outcome.worker,
                reused=False,
                exit_code=outcome.exit_code,
                cached=outcome.cached,
                seconds=0.0,
                outputs=tuple(
                    FileRecord(path, str(file.digest))
                    for path, file in outcome.outputs.files.items()
                ),
                status=outcome.status,
                message=outcome.message,
            )
        )


def _mode(outcome: ActionOutcome) -> str:
    """How it ran; only our own server's names for workers say so."""
    if outcome.cached:
        return "cache"
    if not _OURS.fullmatch(outcome.worker_name):
        return UNSEEN
    return "worker" if outcome.worker is not None else "one-shot"
