"""``nativelink``: NativeLink's persistent workers."""

from __future__ import annotations

import dataclasses

from rpw_fixture.wire.flagfiles import Split
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.key import Ability
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import (
    Environment,
    Expansion,
    InputList,
    JsonEnd,
    Lack,
    Protocols,
    Roots,
    SourcedRule,
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
    triggers=SourcedRule(
        (Trigger("supports-workers", "1"),), f"{_NATIVELINK}: persistentWorkerKey is ignored"
    ),
    unmarked_tools=SourcedRule(Lack.ACCEPTED, f"{_NATIVELINK}: marks are not read"),
    unmarked_executable=SourcedRule(Lack.ACCEPTED, f"{_NATIVELINK}: marks are not read"),
    no_flagfile=SourcedRule(
        Lack.ACCEPTED, f"{_NATIVELINK}: the whole command line starts the worker"
    ),
    containers=unknown(REFERENCE.containers),
    protocols=SourcedRule(
        Protocols("requires-worker-protocol", tuple(WorkerProtocol), Lack.ONE_SHOT), _NATIVELINK
    ),
    abilities=SourcedRule(
        frozenset[Ability](), f"{_LIVE}: request_id must be 0; no cancel messages"
    ),
    key=SourcedRule(
        frozenset({"startup argument", "protocol"}),
        f"{_NATIVELINK}: without tool inputs, environment and the client's key",
    ),
    multiplex_key_has_tools=unknown(REFERENCE.multiplex_key_has_tools),
    split=SourcedRule(Split.FROM_FIRST_AT, f"{_NATIVELINK}: --flagfile= is not known"),
    expansion=SourcedRule(Expansion.RAW, _NATIVELINK),
    flagfile_base=unknown(REFERENCE.flagfile_base),
    inputs=SourcedRule(InputList.NONE, _NATIVELINK),
    json_always=SourcedRule(
        frozenset({"arguments", "inputs", "requestId", "cancel", "verbosity"}), _NATIVELINK
    ),
    json_end=SourcedRule(JsonEnd.LINE, f"{_LIVE}: a response without a newline is waited for"),
    environment=SourcedRule(Environment.SERVER, f"{_LIVE}: the Command's is not passed on"),
    roots=SourcedRule(
        Roots.SANDBOX_DIR, f"{_NATIVELINK}: a folder for each action, also for singleplex"
    ),
    leftovers=SourcedRule(REFERENCE.leftovers.value, f"{_NATIVELINK}: a folder for each action"),
    flag_position=SourcedRule(REFERENCE.flag_position.value, _LIVE),
    checks_request_id=SourcedRule(True, _LIVE),
    checks_was_cancelled=SourcedRule(False, _LIVE),
    response_text=SourcedRule(REFERENCE.response_text.value, _NATIVELINK),
    worker_stderr=SourcedRule(WorkerStderr.DROPPED, _LIVE),
    outputs_after_failure=unknown(REFERENCE.outputs_after_failure),
    when_full=SourcedRule(WhenFull.ONE_SHOT, _POOL),
    most_requests=SourcedRule(200, _POOL),
    not_reproduced=(
        "a limit of 4 workers for one key; here --max-workers-per-key holds, with that default",
        (
            "it is unknown how a relative program path is found from the shared working directory; "
            "here the tool is in it"
        ),
        "a worker that can't be started makes the action one-shot",
        "a JSON request omits empty arguments and inputs (protocol.rs); here they are []",
    ),
)
