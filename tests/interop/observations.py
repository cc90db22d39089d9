"""Questions to a list of events, whether they come from a server in this process or from a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

Events = Iterable[Any]


def of_kind(events: Events, name: str) -> list[Any]:
    """The events with that name, oldest first."""
    return [event for event in events if event.event == name]


def routes(events: Events) -> Counter[str]:
    """How many actions went each way."""
    return Counter(event.mode for event in of_kind(events, "action_routed"))


def starts_by_key(events: Events) -> Counter[str]:
    """How many workers were started for each pool key."""
    return Counter(event.key for event in of_kind(events, "worker_started"))


def requests_by_action(events: Events) -> Counter[str]:
    """How many times each action was sent to a worker."""
    return Counter(event.action for event in of_kind(events, "request_sent"))


def tool_digest(worker_started: Any, path: str) -> str:
    """The digest of one tool input, as the worker had it when it started."""
    digests = {each.path: each.digest for each in worker_started.tool_inputs}
    return str(digests[path])


def assert_no_internal_error(events: Events) -> None:
    """A handler that raised is a bug of the server, whatever the build's result was."""
    assert of_kind(events, "internal_error") == []
