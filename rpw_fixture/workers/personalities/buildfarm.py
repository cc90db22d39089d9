"""``buildfarm``: Buildfarm's persistent executor."""

from __future__ import annotations

import dataclasses

from rpw_fixture.wire.flagfiles import Split
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.key import Ability
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import (
    ContainerPolicy,
    Environment,
    Expansion,
    InputList,
    Lack,
    Leftovers,
    Protocols,
    SourcedRule,
    TextTo,
    WorkerStderr,
    unknown,
)

_EXECUTOR = "Buildfarm, PersistentExecutor at 85ad8a005"
_KEYMAKER = "Buildfarm, Keymaker at 85ad8a005"
_COORDINATOR = "Buildfarm, ProtoCoordinator at 85ad8a005"

BUILDFARM = dataclasses.replace(
    REFERENCE,
    name="buildfarm",
    describes="Buildfarm's worker at 85ad8a005, 2026-06-29",
    properties=unknown(REFERENCE.properties),
    triggers=SourcedRule(
        REFERENCE.triggers.value,
        "Buildfarm, Executor; its list of allowed mnemonics allows all by default",
    ),
    unmarked_tools=SourcedRule(Lack.ACCEPTED, _EXECUTOR),
    unmarked_executable=SourcedRule(
        Lack.ERROR, f"{_EXECUTOR}: neither a tool input nor an absolute path"
    ),
    no_flagfile=unknown(REFERENCE.no_flagfile),
    containers=SourcedRule(
        ContainerPolicy.IGNORED, "Buildfarm, Executor: persistent workers are checked before docker"
    ),
    protocols=SourcedRule(
        Protocols("", (WorkerProtocol.PROTO,), Lack.ACCEPTED), f"{_COORDINATOR}: proto only"
    ),
    abilities=SourcedRule(frozenset[Ability](), f"{_EXECUTOR}: request_id is 0; no cancel"),
    key=SourcedRule(
        frozenset({"startup argument", "environment", "tool input"}),
        f"{_KEYMAKER}; tool inputs since buildfarm#2228; the client's key does not count",
    ),
    multiplex_key_has_tools=unknown(REFERENCE.multiplex_key_has_tools),
    split=SourcedRule(Split.SUFFIX, f"{_EXECUTOR}: flagfiles must end the command line"),
    expansion=SourcedRule(Expansion.RAW, _EXECUTOR),
    flagfile_base=unknown(REFERENCE.flagfile_base),
    inputs=SourcedRule(InputList.HEX, _EXECUTOR),
    json_always=unknown(REFERENCE.json_always),
    json_end=unknown(REFERENCE.json_end),
    environment=SourcedRule(Environment.COMMAND_OR_EMPTY, f"{_EXECUTOR}; buildfarm#2066"),
    roots=SourcedRule(
        REFERENCE.roots.value, f"{_COORDINATOR}: inputs are copied to the worker's folder"
    ),
    leftovers=SourcedRule(
        Leftovers.KEPT_AFTER_FAILURE, f"{_COORDINATOR}: cleaned on exit code 0 only"
    ),
    flag_position=SourcedRule(REFERENCE.flag_position.value, _EXECUTOR),
    checks_request_id=SourcedRule(False, _COORDINATOR),
    checks_was_cancelled=SourcedRule(False, _COORDINATOR),
    response_text=SourcedRule(TextTo.STDOUT, _EXECUTOR),
    worker_stderr=SourcedRule(
        WorkerStderr.ACTION, f"{_EXECUTOR}: read and emptied for each request"
    ),
    outputs_after_failure=SourcedRule(False, _COORDINATOR),
    when_full=SourcedRule(REFERENCE.when_full.value, "Buildfarm, CommonsPool: a borrower waits"),
    most_requests=SourcedRule(0, "Buildfarm, CommonsPool"),
    not_reproduced=(
        "outputs declared by output_paths are lost (buildfarm#2615); here they are collected",
        "a broken worker gives exit code -1 and status OK",
        "a limit of 6 workers for one key; here --max-workers-per-key holds",
        "no idle timeout; here --worker-idle-timeout holds",
    ),
)
