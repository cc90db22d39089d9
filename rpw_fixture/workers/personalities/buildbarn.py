"""``buildbarn``: the three competing designs for Buildbarn, none of them merged by 2026-08-14.

The name without a suffix is bb-remote-execution#254; the others differ enough to have a personality.
"""

from __future__ import annotations

import dataclasses

from rpw_fixture.wire.flagfiles import Split
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.key import Ability
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import (
    FlagPosition,
    InputList,
    Lack,
    Leftovers,
    PropertySource,
    Protocols,
    SourcedRule,
    Trigger,
    WhenFull,
    unknown,
)

_254 = "bb-remote-execution#254 at 4d15659"
_255 = "bb-remote-execution#255"
_ADR = "bb-adrs#9 (ADR 13)"
_SINGLEPLEX_ONLY = frozenset[Ability]()

BUILDBARN = dataclasses.replace(
    REFERENCE,
    name="buildbarn",
    describes="Buildbarn as proposed in bb-remote-execution#254 (open)",
    properties=SourcedRule(PropertySource.ACTION_ONLY, _254),
    triggers=SourcedRule(REFERENCE.triggers.value, _254),
    unmarked_tools=SourcedRule(Lack.ACCEPTED, f"{_254}: with a warning"),
    unmarked_executable=unknown(REFERENCE.unmarked_executable),
    no_flagfile=SourcedRule(Lack.ERROR, _254),
    containers=unknown(REFERENCE.containers),
    protocols=SourcedRule(
        REFERENCE.protocols.value, f"{_254}: InvalidArgument for any other value"
    ),
    abilities=SourcedRule(_SINGLEPLEX_ONLY, _254),
    key=SourcedRule(
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
    split=SourcedRule(REFERENCE.split.value, _254),
    expansion=SourcedRule(REFERENCE.expansion.value, _254),
    flagfile_base=SourcedRule(REFERENCE.flagfile_base.value, _254),
    inputs=SourcedRule(REFERENCE.inputs.value, _254),
    json_always=unknown(REFERENCE.json_always),
    json_end=unknown(REFERENCE.json_end),
    environment=SourcedRule(REFERENCE.environment.value, _254),
    roots=SourcedRule(REFERENCE.roots.value, _254),
    leftovers=SourcedRule(REFERENCE.leftovers.value, _254),
    flag_position=SourcedRule(REFERENCE.flag_position.value, _254),
    checks_request_id=SourcedRule(True, _254),
    checks_was_cancelled=SourcedRule(True, _254),
    response_text=SourcedRule(REFERENCE.response_text.value, _254),
    worker_stderr=SourcedRule(REFERENCE.worker_stderr.value, f"{_254}: a file for each process"),
    outputs_after_failure=SourcedRule(True, _254),
    when_full=SourcedRule(WhenFull.GROW, f"{_254}: maximumWorkerCount is soft"),
    most_requests=SourcedRule(0, _254),
    not_reproduced=(
        "one-shot above maximumInputFileCount, which the operator sets",
        "tool files without a mark are links that break at the second action",
        "a separate TMPDIR for each worker",
    ),
)

BUILDBARN_255 = dataclasses.replace(
    REFERENCE,
    name="buildbarn-255",
    describes="Buildbarn as proposed in bb-remote-execution#255 (open)",
    properties=SourcedRule(REFERENCE.properties.value, _255),
    triggers=SourcedRule(REFERENCE.triggers.value, _255),
    unmarked_tools=SourcedRule(Lack.ONE_SHOT, _255),
    unmarked_executable=unknown(REFERENCE.unmarked_executable),
    no_flagfile=unknown(REFERENCE.no_flagfile),
    containers=unknown(REFERENCE.containers),
    protocols=SourcedRule(
        Protocols("persistentWorkerProtocol", (WorkerProtocol.PROTO,), Lack.ONE_SHOT),
        f"{_255}: proto only",
    ),
    abilities=SourcedRule(_SINGLEPLEX_ONLY, _255),
    key=SourcedRule(
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
        f"{_255}: a separate compatibility key",
    ),
    multiplex_key_has_tools=unknown(REFERENCE.multiplex_key_has_tools),
    split=SourcedRule(Split.NO_LABELS, f"{_255}: neither @@x nor anything with // is a flagfile"),
    expansion=SourcedRule(REFERENCE.expansion.value, _255),
    flagfile_base=unknown(REFERENCE.flagfile_base),
    inputs=SourcedRule(InputList.RAW, _255),
    json_always=unknown(REFERENCE.json_always),
    json_end=unknown(REFERENCE.json_end),
    environment=unknown(REFERENCE.environment),
    roots=unknown(REFERENCE.roots),
    leftovers=unknown(REFERENCE.leftovers),
    flag_position=SourcedRule(FlagPosition.FIRST, _255),
    checks_request_id=SourcedRule(True, _255),
    checks_was_cancelled=SourcedRule(True, _255),
    response_text=unknown(REFERENCE.response_text),
    worker_stderr=unknown(REFERENCE.worker_stderr),
    outputs_after_failure=unknown(REFERENCE.outputs_after_failure),
    when_full=unknown(REFERENCE.when_full),
    most_requests=unknown(REFERENCE.most_requests),
    not_reproduced=("a duplicate property is an error",),
)

BUILDBARN_ADR13 = dataclasses.replace(
    REFERENCE,
    name="buildbarn-adr13",
    describes="Buildbarn as proposed in bb-adrs#9 (open)",
    properties=unknown(REFERENCE.properties),
    triggers=SourcedRule(
        (
            Trigger("persistentWorkerKey"),
            Trigger("supports-workers", "1", ("startup argument", "environment", "mnemonic")),
        ),
        _ADR,
    ),
    unmarked_tools=SourcedRule(Lack.ACCEPTED, f"{_ADR}: marks are not read"),
    unmarked_executable=SourcedRule(Lack.ACCEPTED, f"{_ADR}: marks are not read"),
    no_flagfile=unknown(REFERENCE.no_flagfile),
    containers=unknown(REFERENCE.containers),
    protocols=SourcedRule(
        REFERENCE.protocols.value, f"{_ADR}: with a fallback that the operator sets"
    ),
    abilities=SourcedRule(_SINGLEPLEX_ONLY, _ADR),
    key=SourcedRule(
        frozenset({"persistentWorkerKey", "working directory"}),
        f"{_ADR}: no tool contents, so the first tool wins",
    ),
    multiplex_key_has_tools=unknown(REFERENCE.multiplex_key_has_tools),
    split=SourcedRule(Split.NO_ESCAPES, f"{_ADR}: @@x and a bare @ start the worker"),
    expansion=unknown(REFERENCE.expansion),
    flagfile_base=unknown(REFERENCE.flagfile_base),
    inputs=SourcedRule(InputList.NONE, _ADR),
    json_always=unknown(REFERENCE.json_always),
    json_end=unknown(REFERENCE.json_end),
    environment=unknown(REFERENCE.environment),
    roots=SourcedRule(REFERENCE.roots.value, _ADR),
    leftovers=SourcedRule(
        Leftovers.KEPT, f"{_ADR}: an overlay, stale inputs are visible by design"
    ),
    flag_position=SourcedRule(
        REFERENCE.flag_position.value, f"{_ADR}: first would break JVM launchers"
    ),
    checks_request_id=SourcedRule(True, f"{_ADR}: 0 is the only id"),
    checks_was_cancelled=unknown(REFERENCE.checks_was_cancelled),
    response_text=unknown(REFERENCE.response_text),
    worker_stderr=unknown(REFERENCE.worker_stderr),
    outputs_after_failure=unknown(REFERENCE.outputs_after_failure),
    when_full=SourcedRule(WhenFull.ERROR, f"{_ADR}: ResourceExhausted"),
    most_requests=unknown(REFERENCE.most_requests),
    not_reproduced=("a limit of requests that the operator sets: here --worker-max-requests",),
)
