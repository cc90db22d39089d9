"""Every event is told in words of its own, for people who read a failed test."""

from __future__ import annotations

import pytest

from rpw_fixture.events import kinds
from rpw_fixture.testing.explain import timeline

from .event_script import Story


def told(event: kinds.Event) -> str:
    """What the timeline says of an event after the action that it is about."""
    story = Story()
    operation = story.on_worker("a", 1).operation
    log = story.endpoint.events
    if hasattr(event, "operation"):
        object.__setattr__(event, "operation", operation)
    log.append(event)
    *_, ended, last = timeline(log.snapshot()).splitlines()
    name = ended.partition(" s  ")[2].rpartition(": OK")[0]
    return last.partition(" s  ")[2].replace(name, "ACTION")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            kinds.RequestCancelled(
                worker=1, request_id=7, action="x", operation="", reason="CANCELLED"
            ),
            "worker 1 gave up request 7: ACTION (CANCELLED)",
        ),
        (
            kinds.InputsChanged(worker=1, action="x", operation="", paths=("a.txt", "b")),
            "worker 1 had changed inputs, put back for the next: a.txt, b",
        ),
        (
            kinds.ActionRetried(action="x", operation="", worker=1, reason="crashed while idle"),
            "ACTION: tried again after worker 1: crashed while idle",
        ),
        (
            kinds.ContainerStarted(container="rpw-1", image="img", purpose="worker 2"),
            "container rpw-1 of img started for worker 2",
        ),
        (
            kinds.IsolationDegraded(wanted="namespaces", got="none", reason="no permission"),
            "isolation none instead of namespaces: no permission",
        ),
    ],
    ids=lambda value: value.event if isinstance(value, kinds.Event) else "",
)
def test_an_event_is_told_in_words(event: kinds.Event, words: str) -> None:
    assert told(event) == words
