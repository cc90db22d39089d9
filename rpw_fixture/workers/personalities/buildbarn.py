"""``buildbarn``: the three designs that compete for Buildbarn, none of them merged by 2026-08-14.

The name without a suffix is bb-remote-execution#254; the others differ enough to be worth a test.
"""

from __future__ import annotations

import dataclasses

from rpw_fixture.wire.flagfiles import Split
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import (
    FlagPosition,
    InputList,
    Lack,
    Leftovers,
    PropertySource,
    Protocols,
    Rule,
    Trigger,
    WhenFull,
    unknown,
)

_254 = "bb-remote-execution#254 at 4d15659"
_255 = "bb-remote-execution#255"
_ADR = "bb-adrs#9 (ADR 13)"
_SINGLE = frozenset[str]()

BUILDBARN = dataclasses.replace(
    REFERENCE,
    name="buildbarn",
    describes="Buildbarn as proposed in bb-remote-execution#254 (open)",
    properties=Rule(PropertySource.ACTION_ONLY, _254),
    triggers=Rule(REFERENCE.triggers.value, _254),
    unmarked_tools=Rule(Lack.ACCEPTED, f"{_254}: with a warning"),
    unmarked_executable=unknown(REFERENCE.unmarked_executable),
    no_flagfile=Rule(Lack.ERROR, _254),
    containers=unknown(REFERENCE.containers),
    protocols=Rule(REFERENCE.protocols.value, f"{_254}: InvalidArgument for any other value"),
    abilities=Rule(_SINGLE, _254),
    key=Rule(
        frozenset(
            {
                "persistentWorkerKey",
                "protocol",
                "working directory",
                "startup argument",
                "environment",
                "tool path",
            }
        ),
        f"{_254}: paths of tool inputs count, their content does not",
    ),
    multiplex_key_has_tools=unknown(REFERENCE.multiplex_key_has_tools),
    split=Rule(REFERENCE.split.value, _254),
    expansion=Rule(REFERENCE.expansion.value, _254),
    flagfile_base=Rule(REFERENCE.flagfile_base.value, _254),
    inputs=Rule(REFERENCE.inputs.value, _254),
    json_always=unknown(REFERENCE.json_always),
    json_end=unknown(REFERENCE.json_end),
    environment=Rule(REFERENCE.environment.value, _254),
    roots=Rule(REFERENCE.roots.value, _254),
    leftovers=Rule(REFERENCE.leftovers.value, _254),
    flag_position=Rule(REFERENCE.flag_position.value, _254),
    checks_request_id=Rule(True, _254),
    checks_was_cancelled=Rule(True, _254),
    response_text=Rule(REFERENCE.response_text.value, _254),
    worker_stderr=Rule(REFERENCE.worker_stderr.value, f"{_254}: a file for each process"),
    outputs_after_failure=Rule(True, _254),
    when_full=Rule(WhenFull.GROW, f"{_254}: maximumWorkerCount is soft"),
    most_requests=Rule(0, _254),
    not_reproduced=(
        "one-shot above maximumInputFileCount, which the operator sets",
        "tool files without a mark are links that break at the second action",
        "TMPDIR of its own for each worker",
    ),
)

BUILDBARN_255 = dataclasses.replace(
    REFERENCE,
    name="buildbarn-255",
    describes="Buildbarn as proposed in bb-remote-execution#255 (open)",
    properties=Rule(REFERENCE.properties.value, _255),
    triggers=Rule(REFERENCE.triggers.value, _255),
    unmarked_tools=Rule(Lack.ONE_SHOT, _255),
    unmarked_executable=unknown(REFERENCE.unmarked_executable),
    no_flagfile=unknown(REFERENCE.no_flagfile),
    containers=unknown(REFERENCE.containers),
    protocols=Rule(
        Protocols("persistentWorkerProtocol", ("proto",), Lack.ONE_SHOT), f"{_255}: proto only"
    ),
    abilities=Rule(_SINGLE, _255),
    key=Rule(
        frozenset(
            {
                "instance name",
                "digest function",
                "startup argument",
                "working directory",
                "platform",
                "environment",
                "tool input",
            }
        ),
        f"{_255}: a compatibility key of its own",
    ),
    multiplex_key_has_tools=unknown(REFERENCE.multiplex_key_has_tools),
    split=Rule(Split.NO_LABELS, f"{_255}: neither @@x nor anything with // is a flagfile"),
    expansion=Rule(REFERENCE.expansion.value, _255),
    flagfile_base=unknown(REFERENCE.flagfile_base),
    inputs=Rule(InputList.RAW, _255),
    json_always=unknown(REFERENCE.json_always),
    json_end=unknown(REFERENCE.json_end),
    environment=unknown(REFERENCE.environment),
    roots=unknown(REFERENCE.roots),
    leftovers=unknown(REFERENCE.leftovers),
    flag_position=Rule(FlagPosition.FIRST, _255),
    checks_request_id=Rule(True, _255),
    checks_was_cancelled=Rule(True, _255),
    response_text=unknown(REFERENCE.response_text),
    worker_stderr=unknown(REFERENCE.worker_stderr),
    outputs_after_failure=unknown(REFERENCE.outputs_after_failure),
    when_full=unknown(REFERENCE.when_full),
    most_requests=unknown(REFERENCE.most_requests),
    not_reproduced=("a property that stands twice is an error",),
)

BUILDBARN_ADR13 = dataclasses.replace(
    REFERENCE,
    name="buildbarn-adr13",
    describes="Buildbarn as proposed in bb-adrs#9 (open)",
    properties=unknown(REFERENCE.properties),
    triggers=Rule(
        (
            Trigger("persistentWorkerKey"),
            Trigger("supports-workers", "1", ("startup argument", "environment", "mnemonic")),
        ),
        _ADR,
    ),
    unmarked_tools=Rule(Lack.ACCEPTED, f"{_ADR}: marks are not read"),
    unmarked_executable=Rule(Lack.ACCEPTED, f"{_ADR}: marks are not read"),
    no_flagfile=unknown(REFERENCE.no_flagfile),
    containers=unknown(REFERENCE.containers),
    protocols=Rule(REFERENCE.protocols.value, f"{_ADR}: with a fallback that the operator sets"),
    abilities=Rule(_SINGLE, _ADR),
    key=Rule(
        frozenset({"persistentWorkerKey", "working directory"}),
        f"{_ADR}: no tool contents, so the first tool wins",
    ),
    multiplex_key_has_tools=unknown(REFERENCE.multiplex_key_has_tools),
    split=Rule(Split.NO_ESCAPES, f"{_ADR}: @@x and a bare @ start the worker"),
    expansion=unknown(REFERENCE.expansion),
    flagfile_base=unknown(REFERENCE.flagfile_base),
    inputs=Rule(InputList.NONE, _ADR),
    json_always=unknown(REFERENCE.json_always),
    json_end=unknown(REFERENCE.json_end),
    environment=unknown(REFERENCE.environment),
    roots=Rule(REFERENCE.roots.value, _ADR),
    leftovers=Rule(Leftovers.KEPT, f"{_ADR}: an overlay, stale inputs are visible by design"),
    flag_position=Rule(REFERENCE.flag_position.value, f"{_ADR}: first would break JVM launchers"),
    checks_request_id=Rule(True, f"{_ADR}: 0 is the only id"),
    checks_was_cancelled=unknown(REFERENCE.checks_was_cancelled),
    response_text=unknown(REFERENCE.response_text),
    worker_stderr=unknown(REFERENCE.worker_stderr),
    outputs_after_failure=unknown(REFERENCE.outputs_after_failure),
    when_full=Rule(WhenFull.ERROR, f"{_ADR}: ResourceExhausted"),
    most_requests=unknown(REFERENCE.most_requests),
    not_reproduced=("a budget of requests that the operator sets: here --worker-max-requests",),
)
