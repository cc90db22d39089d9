"""The model of a run that pages show: a row for each action and each worker, made from events.

Rows are plain dictionaries, which become JSON as they are. They are made one event at a time, so that
a live page gets only the rows that changed. Times are seconds since the run's ``start``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rpw_fixture.report.run_figures import summarized

Row = dict[str, Any]
_Event = Mapping[str, Any]

_OLD: Final = (
    "was written by an older version, which does not record the server's settings, and no phases: bars "
    "show the time from request to response only"
)


class RunRows:
    """Builds the model of one run from its events, which are given as `Event.as_dict` makes them."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._end = 0.0
        self._server: Row = {}
        self._actions: dict[str, Row] = {}
        self._workers: dict[int, Row] = {}
        self._tools: dict[tuple[tuple[str, str], ...], int] = {}
        self._violations: list[Row] = []
        self._bugs: list[Row] = []
        self._lost = 0
        self._dirty: dict[int, tuple[str, Row]] = {}

    def add(self, event: _Event) -> None:
        """Bring the rows up to date with one event."""
        if self._start is None:
            self._start = event["time"]
        self._end = max(self._end, event["time"])
        name = event["event"]
        handler: Callable[[_Event], None] | None = getattr(self, f"_on_{name}", None)
        if handler is not None:
            handler(event)

    def row(self, name: str) -> Row:
        """Return the whole model."""
        return {
            "name": name,
            **self._server,
            "start": self._start or 0.0,
            "end": self._since(self._end),
            "actions": list(self._actions.values()),
            "workers": list(self._workers.values()),
            "tools": [list(each) for each in self._tools],
            "violations": self._violations,
            "bugs": self._bugs,
            "notes": self._about(),
            "summary": self.summary(),
        }

    def summary(self) -> Row:
        """Return the figures of the run."""
        return summarized(self._actions.values(), self._workers.values())

    def take_changes(self) -> Row:
        """Return the rows that changed since the last call, and what pages show beside them."""
        dirty, self._dirty = list(self._dirty.values()), {}
        return {
            "start": self._start or 0.0,
            "end": self._since(self._end),
            "actions": [row for kind, row in dirty if kind == "action"],
            "workers": [row for kind, row in dirty if kind == "worker"],
            "tools": [list(each) for each in self._tools],
            "violations": self._violations,
            "bugs": self._bugs,
            "summary": self.summary(),
        }

    @property
    def has_changes(self) -> bool:
        """Whether `take_changes` would return rows."""
        return bool(self._dirty)

    def _about(self) -> list[str]:
        """Return sentences about what the log lacks."""
        texts = []
        ended = [each for each in self._actions.values() if each["end"] is not None]
        if ended and not any(each["phases"] for each in ended):
            texts.append(_OLD)
        if self._lost:
            texts.append(
                f"{self._lost} events are missing: the file could not be written, as on a full disk"
            )
        return texts

    def _since(self, time: float) -> float:
        return round(time - (self._start or time), 6)

    def _action(self, event: _Event) -> Row:
        name = event.get("operation") or event["action"]
        row = self._actions.get(name)
        if row is None:
            row = self._actions[name] = {
                "id": len(self._actions),
                "action": event["action"],
                "mnemonic": "",
                "target": "",
                "mode": "",
                "reason": "",
                "worker": None,
                "start": self._since(event["time"]),
                "end": None,
                "requests": [],
            }
        self._dirty[id(row)] = ("action", row)
        return row

    def _worker(self, number: int) -> Row:
        row = self._workers.get(number)
        if row is None:
            row = self._workers[number] = {
                "id": number,
                "key": "",
                "start": 0.0,
                "end": None,
                "tools": None,
            }
        self._dirty[id(row)] = ("worker", row)
        return row

    def _on_server_started(self, event: _Event) -> None:
        names = ("version", "pid", "endpoint", "configuration")
        self._server = {each: event.get(each) for each in names}

    def _on_action_routed(self, event: _Event) -> None:
        row = self._action(event)
        row |= {each: event.get(each) or "" for each in ("mnemonic", "target", "mode", "reason")}
        row |= {"key": event.get("key"), "invocation": event.get("invocation") or ""}

    def _on_protocol_detected(self, event: _Event) -> None:
        self._action(event).update(
            key=event["key"], protocol=event["protocol"], protocol_detail=event.get("detail", "")
        )

    def _on_worker_started(self, event: _Event) -> None:
        tools = tuple((each["path"], each["digest"]) for each in event["tool_inputs"])
        self._worker(event["worker"]).update(
            pid=event["pid"],
            key=event["key"],
            mnemonic=event.get("mnemonic") or "",
            target=event.get("target") or "",
            start=self._since(event["time"]),
            arguments=list(event["startup_arguments"]),
            parts=event.get("key_parts") or {},
            tools=self._tools.setdefault(tools, len(self._tools)),
        )

    def _on_worker_not_reused(self, event: _Event) -> None:
        self._action(event)["closest"] = {
            "worker": event["closest_worker"],
            "differences": list(event["differences"]),
        }

    def _on_request_sent(self, event: _Event) -> None:
        self._action(event)["requests"].append(
            {
                "worker": event["worker"],
                "id": event["request_id"],
                "sent": self._since(event["time"]),
                "received": None,
                "inputs": event.get("inputs"),
            }
        )

    def _on_response_received(self, event: _Event) -> None:
        received = self._since(event["time"])
        for request in reversed(self._action(event)["requests"]):
            if (request["worker"], request["id"]) == (event["worker"], event["request_id"]):
                request |= {"received": received, "exit": event["exit_code"]}
                return

    def _on_request_cancelled(self, event: _Event) -> None:
        row = self._action(event)
        row["cancelled"] = event["reason"]
        for request in row["requests"]:
            if request["worker"] == event["worker"] and request["received"] is None:
                request["received"] = self._since(event["time"])

    def _on_inputs_changed(self, event: _Event) -> None:
        self._action(event)["inputs_changed"] = {
            "worker": event["worker"],
            "paths": list(event["paths"]),
        }

    def _on_action_retried(self, event: _Event) -> None:
        retries = self._action(event).setdefault("retries", [])
        retries.append({"worker": event["worker"], "reason": event["reason"]})

    def _on_worker_retired(self, event: _Event) -> None:
        self._worker(event["worker"]).update(
            end=self._since(event["time"]),
            reason=event["reason"],
            exit=event.get("exit_status"),
            stderr=event.get("stderr_tail") or "",
            requests=event.get("requests"),
            peak=event.get("peak_bytes") or None,
        )

    def _on_action_completed(self, event: _Event) -> None:
        row = self._action(event)
        phases = event.get("phases") or {}
        end = self._since(event["time"])
        seconds = float(event["seconds"])
        # Phases count from when the action was sent; that is before it was routed.
        total = float(phases.get("replied") or seconds)
        row |= {each: event[each] for each in ("mnemonic", "target", "reason") if event.get(each)}
        row |= {
            "mode": event["mode"],
            "worker": event.get("worker"),
            "reused": bool(event.get("reused")),
            "exit": event.get("exit_code"),
            "cached": bool(event.get("cached")),
            "status": event.get("status", "OK"),
            "message": event.get("message", ""),
            "seconds": round(seconds, 6),
            "start": round(min(row["start"], end - total), 6),
            "end": end,
            "phases": {name: round(float(value), 6) for name, value in phases.items()},
            "outputs": [[each["path"], each["digest"]] for each in event.get("outputs") or ()],
        }

    def _on_protocol_violation(self, event: _Event) -> None:
        self._violations.append(
            {"worker": event["worker"], "time": self._since(event["time"])}
            | {each: event.get(each) or "" for each in ("rule", "detail")}
        )
        self._worker(event["worker"])

    def _on_internal_error(self, event: _Event) -> None:
        self._bugs.append({each: event.get(each) or "" for each in ("where", "detail")})

    def _on_events_lost(self, event: _Event) -> None:
        self._lost += event["count"]
