"""An endpoint that is an existing server, which runs outside of the test.

Its events are made from results and their metadata alone. What only the processes themselves show is
left out, and assertions about it skip.
"""

from __future__ import annotations

import re
import threading
import uuid
from typing import Any, Self

from rpw_fixture.client import ActionOutcome
from rpw_fixture.client.action import Action
from rpw_fixture.client.outcome import Check
from rpw_fixture.config import Config
from rpw_fixture.events.actions import Mode
from rpw_fixture.events.kinds import ActionCompleted, ActionRouted, FileRecord, RequestSent
from rpw_fixture.events.log import EventLog
from rpw_fixture.testing.endpoint import Endpoint

_OUR_NAMES = re.compile(r"rpw_fixture(?:/worker-\d+)?")


class Cluster(Endpoint):
    """An existing server, which stays when the test ends.

    Its caches cannot be emptied, so `reset` gives every later action another salt: earlier results are
    not found again.

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
        self, action: Action, *, skip_cache_lookup: bool = False, check: Check = True
    ) -> ActionOutcome:
        """Run an action; see `Endpoint.run`."""
        __tracebackhide__ = True
        outcome = self.client.run(
            self._salted(action), skip_cache_lookup=skip_cache_lookup, check=False
        )
        with self._log_lock:
            self._log_outcome(outcome)
        outcome.raise_for(check)
        self._remember(action, outcome)
        return outcome

    def reset(self) -> None:
        """Forget what was observed, and make later actions differ from earlier ones."""
        self._salt = uuid.uuid4().bytes
        self._succeeded.clear()
        self.events.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_client()

    def stop(self) -> None:
        """Close the connection; the server stays."""
        self.close_client()

    def _salted(self, action: Action) -> Action:
        return action.replace(salt=action.salt + self._salt)

    def _digest(self, action: Action) -> str:
        return super()._digest(self._salted(action))

    def _client_options(self) -> dict[str, Any]:
        return {"headers": {}, **self._options}

    def _log_outcome(self, outcome: ActionOutcome) -> None:
        """Append events for an execution, as far as its result shows what happened."""
        mode = _mode(outcome)
        common: Any = {"action": outcome.digest, "operation": outcome.operation}
        self.events.append(
            ActionRouted(
                **common,
                mnemonic=outcome.action.mnemonic,
                target=outcome.action.target,
                mode=mode,
                reason="",
            )
        )
        if outcome.worker is not None:
            inputs = len(outcome.action.entries)
            self.events.append(
                RequestSent(**common, worker=outcome.worker, request_id=0, inputs=inputs)
            )
        self.events.append(
            ActionCompleted(
                **common,
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


def _mode(outcome: ActionOutcome) -> Mode:
    """Return how an action ran; only the worker names of rpw_fixture show it."""
    if outcome.cached:
        return Mode.CACHE
    if not _OUR_NAMES.fullmatch(outcome.worker_name):
        return Mode.UNSEEN
    return Mode.WORKER if outcome.worker is not None else Mode.ONE_SHOT
