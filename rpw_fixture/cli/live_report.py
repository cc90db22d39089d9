"""Reports on stderr what a server does while it runs: lines about actions, and warnings.

A thread follows the event log, so that no action waits for a terminal.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TextIO

from rpw_fixture.events.actions import Mode
from rpw_fixture.events.kinds import ActionCompleted, ActionRouted, Event
from rpw_fixture.events.log import EventLog
from rpw_fixture.summary import words
from rpw_fixture.summary.model import is_refused, should_warn
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.printable import printable
from rpw_fixture.testing import remedies

#: Seconds between two looks at the log.
_PERIOD = 0.1
_MNEMONIC, _TARGET, _HOW = 14, 40, 30


class LiveReport(Closeable):
    """Writes what happens until it is closed; a stream that can't be written is given up silently.

    Args:
        log: the server's events.
        stream: where the lines go.
        shows_actions: write a line for each action that ends, and a note for each reason of running
            one-shot. Else only those reasons are written that look like a mistake.
    """

    def __init__(self, log: EventLog, stream: TextIO, *, shows_actions: bool) -> None:
        self._log = log
        self._stream = stream
        self._shows_actions = shows_actions
        self._seen = 0
        self._named: set[tuple[str, bool]] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="rpw-report")
        self._thread.start()

    def close(self) -> None:
        """Write what is left, and end."""
        self._end.set()
        self._thread.join()

    def _follow(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while not self._end.wait(_PERIOD):
                self._catch_up()
            self._catch_up()

    def _catch_up(self) -> None:
        events = self._log.since(self._seen)
        if not events:
            return
        self._seen = events[-1].seq
        lines = [line for event in events for line in self._lines(event)]
        if lines:
            self._stream.write("".join(f"{_one_line(line)}\n" for line in lines))
            self._stream.flush()

    def _lines(self, event: Event) -> list[str]:
        if isinstance(event, ActionRouted) and event.mode == Mode.ONE_SHOT:
            return self._one_shot_lines(event)
        if isinstance(event, ActionCompleted) and self._shows_actions:
            return [action_line(event)]
        return []

    def _one_shot_lines(self, event: ActionRouted) -> list[str]:
        """Return the lines about a reason of running one-shot, the first time it is seen."""
        is_warning = should_warn(event)
        if is_refused(event) or not (is_warning or self._shows_actions):
            return []
        # A warning is still due after a note: the reason may be normal for some actions only.
        if (event.reason, is_warning) in self._named or (event.reason, True) in self._named:
            return []
        self._named.add((event.reason, is_warning))
        kind = "warning" if is_warning else "note"
        named = " ".join(filter(None, (event.mnemonic, event.target))) or "an action"
        lines = words.wrapped(f"{kind}: {named} runs one-shot: {event.reason}")
        return [*lines, *words.remedy(remedies.for_one_shot(event.reason))]


def action_line(event: ActionCompleted) -> str:
    """Return one line about an action that ended: what, where, how long."""
    name = event.mnemonic or "-"
    target = event.target or event.action[:12]
    line = f"{_cut(name, _MNEMONIC)}  {_cut(target, _TARGET)}  {_how(event):<{_HOW}}"
    return f"{line}  {event.seconds:7.3f} s"


def _how(event: ActionCompleted) -> str:
    ending = ""
    if event.status != "OK":
        ending = f", {event.status}"
    elif event.exit_code:
        ending = f", exit code {event.exit_code}"
    if event.cached:
        return f"cache{ending}"
    if event.worker is None:
        return f"{'no worker' if event.mode == Mode.WORKER else 'one-shot'}{ending}"
    return f"worker {event.worker}, {'reused' if event.reused else 'started'}{ending}"


def _one_line(text: str) -> str:
    return printable(text.replace("\n", " "))


def _cut(text: str, width: int) -> str:
    """Return a text of exactly this width; the end of a label says more than its beginning."""
    return f"{text:<{width}}" if len(text) <= width else f"…{text[1 - width :]}"
