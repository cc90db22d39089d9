"""Every event has a sentence in the timeline of a failed test."""

from __future__ import annotations

import pytest

from rpw_fixture.events import kinds
from rpw_fixture.testing.explain import timeline

from .event_script import EventScript


def sentence(event: kinds.Event) -> str:
    """What the timeline says of an event after the action that it is about."""
    script = EventScript()
    operation = script.on_worker("a", 1).operation
    log = script.endpoint.events
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
            "worker 1 stopped request 7: ACTION (CANCELLED)",
        ),
        (
            kinds.InputsChanged(worker=1, action="x", operation="", paths=("a.txt", "b")),
            "inputs in the folder of worker 1 had changed and were restored: a.txt, b",
        ),
        (
            kinds.ActionRetried(action="x", operation="", worker=1, reason="crashed while idle"),
            "ACTION: retried after worker 1: crashed while idle",
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
def test_an_event_has_a_sentence(event: kinds.Event, words: str) -> None:
    assert sentence(event) == words
