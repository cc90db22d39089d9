"""``buildbuddy``: BuildBuddy's executor."""

from __future__ import annotations

import dataclasses

from rpw_fixture.workers.key import Ability
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import (
    ContainerPolicy,
    FlagfileBase,
    InputList,
    Lack,
    SourcedRule,
    Trigger,
    WhenFull,
    unknown,
)

_WORKER = "BuildBuddy, persistentworker.go at 1becb3a"
_RUNNER = "BuildBuddy, runner.go at 003de47"

BUILDBUDDY = dataclasses.replace(
    REFERENCE,
    name="buildbuddy",
    describes="BuildBuddy's executor, 2025-06 and later",
    properties=SourcedRule(REFERENCE.properties.value, _RUNNER),
    triggers=SourcedRule(
        (
            Trigger("persistentWorkerKey"),
            Trigger("persistent-workers", "true", ("startup argument",)),
        ),
        f"{_RUNNER}; buildbuddy#9777",
    ),
    unmarked_tools=SourcedRule(Lack.ACCEPTED, f"{_RUNNER}: the server does not hash tools"),
    unmarked_executable=SourcedRule(Lack.ACCEPTED, _RUNNER),
    no_flagfile=SourcedRule(Lack.ONE_SHOT, _RUNNER),
    containers=SourcedRule(
        ContainerPolicy.ALWAYS, f"{_WORKER}: a process inside the runner's container"
    ),
    protocols=SourcedRule(REFERENCE.protocols.value, f"{_WORKER}: an error for any other value"),
    abilities=SourcedRule(
        frozenset[Ability](), f"{_WORKER}: request_id is always 0, no cancel, no sandbox_dir"
    ),
    key=SourcedRule(
        frozenset({"persistentWorkerKey", "instance name", "platform"}),
        f"{_RUNNER}, RunnerKey: group, instance name, whole Platform, worker key",
    ),
    multiplex_key_has_tools=unknown(REFERENCE.multiplex_key_has_tools),
    split=SourcedRule(REFERENCE.split.value, _WORKER),
    expansion=SourcedRule(REFERENCE.expansion.value, _WORKER),
    flagfile_base=SourcedRule(
        FlagfileBase.INPUT_ROOT, f"{_WORKER}: relative to the workspace root"
    ),
    inputs=SourcedRule(InputList.MESSAGE, _WORKER),
    json_always=SourcedRule(
        frozenset({"arguments", "inputs", "requestId", "cancel", "verbosity", "sandboxDir"}),
        f"{_WORKER}: unset fields are written",
    ),
    json_end=SourcedRule(REFERENCE.json_end.value, f"{_WORKER}: it decodes values, not lines"),
    environment=SourcedRule(REFERENCE.environment.value, _WORKER),
    roots=SourcedRule(REFERENCE.roots.value, _RUNNER),
    leftovers=SourcedRule(
        REFERENCE.leftovers.value, f"{_RUNNER}: cleaned between tasks, unless preserve-workspace"
    ),
    flag_position=SourcedRule(REFERENCE.flag_position.value, _WORKER),
    checks_request_id=SourcedRule(False, _WORKER),
    checks_was_cancelled=SourcedRule(False, _WORKER),
    response_text=SourcedRule(REFERENCE.response_text.value, _WORKER),
    worker_stderr=SourcedRule(
        REFERENCE.worker_stderr.value, f"{_WORKER}: shown in error texts only (buildbuddy#2132)"
    ),
    outputs_after_failure=unknown(REFERENCE.outputs_after_failure),
    when_full=SourcedRule(
        WhenFull.GROW, f"{_RUNNER}: idle runners are evicted, no action waits for one"
    ),
    most_requests=SourcedRule(0, _RUNNER),
    not_reproduced=(
        "Unavailable as the status of a broken worker, which clients retry",
        "preserve-workspace and clean-workspace-inputs",
        "flagfile lines longer than 64 KiB fail (inferred from the reader that it uses)",
    ),
)
