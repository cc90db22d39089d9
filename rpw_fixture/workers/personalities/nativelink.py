"""``nativelink``: NativeLink's persistent workers."""

from __future__ import annotations

import dataclasses

from rpw_fixture.wire.flagfiles import Split
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import (
    Environment,
    Expansion,
    InputList,
    JsonEnd,
    Lack,
    Protocols,
    Roots,
    Rule,
    Trigger,
    WhenFull,
    WorkerStderr,
    unknown,
)

_NATIVELINK = "NativeLink at v1.6.6"
_LIVE = f"{_NATIVELINK}, live_worker.rs"
_POOL = f"{_NATIVELINK}, pool.rs"

NATIVELINK = dataclasses.replace(
    REFERENCE,
    name="nativelink",
    describes="NativeLink v1.6.6",
    properties=unknown(REFERENCE.properties),
    triggers=Rule(
        (Trigger("supports-workers", "1"),), f"{_NATIVELINK}: persistentWorkerKey is ignored"
    ),
    unmarked_tools=Rule(Lack.ACCEPTED, f"{_NATIVELINK}: marks are not read"),
    unmarked_executable=Rule(Lack.ACCEPTED, f"{_NATIVELINK}: marks are not read"),
    no_flagfile=Rule(Lack.ACCEPTED, f"{_NATIVELINK}: the whole command line starts the worker"),
    containers=unknown(REFERENCE.containers),
    protocols=Rule(
        Protocols("requires-worker-protocol", ("proto", "json"), Lack.ONE_SHOT), _NATIVELINK
    ),
    abilities=Rule(frozenset[str](), f"{_LIVE}: request_id must be 0; no cancel messages"),
    key=Rule(
        frozenset({"startup argument", "protocol"}),
        f"{_NATIVELINK}: neither tool inputs nor environment nor the client's key",
    ),
    multiplex_key_has_tools=unknown(REFERENCE.multiplex_key_has_tools),
    split=Rule(Split.FROM_FIRST_AT, f"{_NATIVELINK}: --flagfile= is not known"),
    expansion=Rule(Expansion.RAW, _NATIVELINK),
    flagfile_base=unknown(REFERENCE.flagfile_base),
    inputs=Rule(InputList.NONE, _NATIVELINK),
    json_always=Rule(
        frozenset({"arguments", "inputs", "requestId", "cancel", "verbosity"}), _NATIVELINK
    ),
    json_end=Rule(JsonEnd.LINE, f"{_LIVE}: a response without a newline is waited for"),
    environment=Rule(Environment.SERVER, f"{_LIVE}: the Command's is not passed on"),
    roots=Rule(Roots.SANDBOX_DIR, f"{_NATIVELINK}: a folder for each action, also for singleplex"),
    leftovers=Rule(REFERENCE.leftovers.value, f"{_NATIVELINK}: a folder for each action"),
    flag_position=Rule(REFERENCE.flag_position.value, _LIVE),
    checks_request_id=Rule(True, _LIVE),
    checks_was_cancelled=Rule(False, _LIVE),
    response_text=Rule(REFERENCE.response_text.value, _NATIVELINK),
    worker_stderr=Rule(WorkerStderr.DROPPED, _LIVE),
    outputs_after_failure=unknown(REFERENCE.outputs_after_failure),
    when_full=Rule(WhenFull.ONE_SHOT, _POOL),
    most_requests=Rule(200, _POOL),
    not_reproduced=(
        "a limit of 4 workers for one key; here --max-workers-per-key holds, whose default it is",
        (
            "how a relative program path is found from the shared working directory is not known; "
            "here the tool lies in it"
        ),
        "a worker that can't be started makes the action one-shot",
        "a JSON request leaves empty arguments and inputs out (protocol.rs); here they are []",
    ),
)
