"""Events of made-up runs, as a server writes them, for tests of reports."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from rpw_fixture.hermeticity.findings import contents

#: A target whose name would end the page's data and run a program, were it not escaped.
EVIL = "//evil:</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
START = 1_700_000_000.0


class LogWriter:
    """Collects lines of a log; times are seconds since its start."""

    def __init__(self, *, is_old: bool = False) -> None:
        self.lines: list[str] = []
        self._seq = count(1)
        self._is_old = is_old
        if not is_old:
            settings = {"jobs": 4}
            server = {"version": "0.1.0", "pid": 77, "endpoint": "grpc://127.0.0.1:1"}
            self.add("server_started", 0.0, **server, configuration=settings)

    def add(self, event: str, time: float, **fields: Any) -> None:
        line = {"seq": next(self._seq), "time": START + time, "event": event, **fields}
        self.lines.append(json.dumps(line))

    def worker(
        self, number: int, time: float, key: str, tool: str = "tools/worker.py", **parts: str
    ) -> None:
        tools = [
            {"path": tool, "digest": f"{key * 16}/120"},
            {"path": "tools/lib.py", "digest": f"{'c' * 64}/9"},
        ]
        arguments = ["python3", tool, "--persistent_worker"]
        fields: dict[str, Any] = {"mnemonic": "Compile", "target": "//:first"}
        if not self._is_old:
            fields["key_parts"] = {"persistentWorkerKey": "python", **parts}
        self.add(
            "worker_started",
            time,
            worker=number,
            pid=100 + number,
            key=key * 16,
            startup_arguments=arguments,
            tool_inputs=tools,
            **fields,
        )

    def retire(
        self, number: int, time: float, reason: str = "idle timeout", stderr: str = ""
    ) -> None:
        age = {} if self._is_old else {"seconds": time, "peak_bytes": 20 << 20}
        self.add(
            "worker_retired",
            time,
            worker=number,
            reason=reason,
            exit_status=0,
            stderr_tail=stderr,
            requests=2,
            **age,
        )

    def action(
        self,
        number: int,
        time: float,
        seconds: float = 0.5,
        *,
        worker: int | None = 1,
        target: str = "",
        mode: str = "worker",
        reused: bool = True,
        **ending: Any,
    ) -> None:
        """Add the events of an action from its routing to its end."""
        names = {"action": f"{number:064x}/80", "operation": f"op-{number}"}
        client = {"mnemonic": "Compile", "target": target or f"//:target{number}"}
        self.add(
            "action_routed", time, **names, **client, mode=mode, reason="flagfile", key="k" * 64
        )
        sent = time + seconds * 0.2
        if worker is not None:
            self.add("request_sent", sent, **names, worker=worker, request_id=0, inputs=3)
            answer = {"exit_code": 0, "seconds": seconds * 0.7}
            self.add(
                "response_received",
                sent + seconds * 0.7,
                **names,
                worker=worker,
                request_id=0,
                **answer,
            )
        outputs = [{"path": f"out/{number}.txt", "digest": f"{number:064x}/5"}]
        end = {
            "mode": mode,
            "worker": worker,
            "reused": reused,
            "exit_code": 0,
            "cached": mode == "cache",
        }
        end |= {"seconds": seconds, "outputs": outputs, "status": "OK", "message": "", **ending}
        if not self._is_old:
            shares = {
                "queued": 0.1,
                "staged": 0.2,
                "executed": 0.9,
                "collected": 0.95,
                "replied": 1.0,
            }
            end["phases"] = {name: share * seconds for name, share in shares.items()}
            client["reason"] = "flagfile"
        self.add("action_completed", time + seconds, **names, **client, **end)

    def write(self, path: Path, more: Iterable[str] = ()) -> Path:
        path.write_text("".join(f"{line}\n" for line in (*self.lines, *more)), encoding="utf-8")
        return path


def small_log(*, is_old: bool = False) -> LogWriter:
    """Two workers of one tool with other keys, a process, a failure, and a target with an evil name."""
    log = LogWriter(is_old=is_old)
    log.worker(1, 1.0, "aaaa")
    log.action(1, 1.0, target="//:first", reused=False)
    log.action(2, 2.0, target=EVIL)
    log.action(3, 2.1, target="//:overlaps")
    log.add(
        "worker_not_reused",
        3.0,
        action=f"{4:064x}/80",
        operation="op-4",
        key="bbbb" * 16,
        closest_worker=1,
        differences=["cache-silo-key: '' → 'blue'"],
    )
    log.worker(2, 3.0, "bbbb", **{"cache-silo-key": "blue"})
    log.action(
        4,
        3.0,
        worker=2,
        reused=False,
        exit_code=None,
        status="FAILED_PRECONDITION",
        message="the worker crashed",
    )
    log.add("protocol_violation", 3.4, worker=2, rule="text on stdout", detail="'<b>hello</b>'")
    log.retire(2, 3.5, "crash", "Traceback <&>")
    log.action(5, 4.0, worker=None, mode="one-shot", reused=False, target="//:alone")
    log.action(6, 5.0, worker=None, mode="cache", reused=False, target="//:cached")
    log.retire(1, 9.0)
    return log


def large_log(actions: int, workers: int) -> LogWriter:
    """Many actions on many workers, two hundred of them for each key."""
    log = LogWriter()
    for number in range(1, workers + 1):
        log.worker(
            number, number * 0.01, f"{number // 4:04x}", **{"cache-silo-key": str(number // 4)}
        )
    for number in range(actions):
        worker = number % workers + 1
        start = 1.0 + number // workers * 0.2
        log.action(
            number,
            start,
            0.15,
            worker=worker,
            target=f"//some/package/of/many:target_{number}",
            reused=number >= workers,
        )
    for number in range(1, workers + 1):
        log.retire(number, actions / workers * 0.2 + 2)
    return log


def check_report() -> dict[str, Any]:
    """The JSON of a check with findings of several kinds."""
    difference = (
        "out/beta.txt:\n  --- fresh worker\n  +++ after the polluters\n  @@ -1,2 +1,3 @@\n"
        "  +alpha\n   beta\n  -one <b>\n  +two"
    )
    hexadecimal = (
        "out/a.bin: first difference at byte 4: 41 42 (fresh worker), 43 44 (after the polluters); "
        "8 and 9 bytes"
    )
    base: dict[str, Any] = {"severity": "error", "reproducer": None, "outputs": ["out/beta.txt"]}
    findings = [
        {
            "code": "RPW202",
            "victim": "beta",
            "polluters": ["alpha"],
            "summary": "after alpha, beta differs",
            "evidence": f"{difference}\n{hexadecimal}\nout/c.zip!text: as below",
            "differences": [_difference_of_archives()],
            "carriers": [_carrier(confirmed=True), _carrier(name="<b>", confirmed=False)],
            **base,
            "reproducer": "repro/01",
        },
        {
            "code": "RPW301",
            "victim": "alpha",
            "polluters": [],
            "summary": "memory grows <script>",
            "evidence": "from 1 to 2",
            **base,
            "outputs": [],
        },
    ]
    checks = [
        {"code": "RPW202", "name": "state-leak", "status": "failed", "reason": ""},
        {"code": "RPW301", "name": "memory-growth", "status": "failed", "reason": ""},
        {"code": "RPW203", "name": "stale-input", "status": "passed", "reason": ""},
        {
            "code": "RPW110",
            "name": "cancel-broken",
            "status": "skipped",
            "reason": "the suite does not say cancellation = true",
        },
        {"code": "RPW204", "name": "phantom-input", "status": "skipped", "reason": "out of time"},
    ]
    values = [20_000_000 + 60_000 * number for number in range(40)]
    growth = [{"action": "alpha", "resource": "memory", "values": values, "limit": 8192}]
    return {
        "schema": 1,
        "actions": 3,
        "checks": checks,
        "findings": findings,
        "worker_starts": 3,
        "requests": 9,
        "seconds": 1.5,
        "action_names": ["alpha", "beta", "gamma"],
        "accepted": [],
        "growth": growth,
        "accesses": [
            {
                "action": "alpha",
                "read": ["src/alpha.txt", "tools/worker.py"],
                "unread": ["src/<b>unused.txt"],
                "undeclared": ["/home/user/style.txt"],
            },
            {"action": "//:first Compile", "read": ["a.java"], "unread": ["deep/in/some/b.java"]},
        ],
    }


def _carrier(*, name: str = "_seen", confirmed: bool) -> dict[str, Any]:
    places = {"place": "tools/worker.py:16", "changed_at": "tools/worker.py:29"}
    values = {"before": "[]", "after": "['a']", "confirmed": confirmed}
    return {"kind": "module global", "name": name, **places, **values}


def _difference_of_archives() -> dict[str, object]:
    """An archive with a binary member that differs, one in text, one that is new, and one that is equal."""

    def archive(**members: bytes) -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as file:
            for name, content in members.items():
                file.writestr(zipfile.ZipInfo(name), content)
        return target.getvalue()

    binary = bytes(range(200))
    before = archive(code=binary, text=b"one\n", same=b"same")
    after = archive(code=binary[:90] + b"!!" + binary[92:], text=b"<two>\n", same=b"same", new=b"1")
    labels = ("fresh worker", "after the polluters")
    return contents.compare("out/c.zip", before, after, labels).as_dict()


def write_check(path: Path) -> Path:
    path.write_text(json.dumps(check_report()), encoding="utf-8")
    return path
