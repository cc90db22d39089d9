"""``reference``: the published rules of remote persistent workers, with Bazel's own semantics.

A rule that is unknown in another personality has the value that it has here.
"""

from __future__ import annotations

from rpw_fixture.wire.flagfiles import Split
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.key import REFERENCE_PARTS, Ability
from rpw_fixture.workers.personalities.rules import (
    ContainerPolicy,
    Environment,
    Expansion,
    FlagfileBase,
    FlagPosition,
    InputList,
    JsonEnd,
    Lack,
    Leftovers,
    Personality,
    PropertySource,
    Protocols,
    Roots,
    SourcedRule,
    TextTo,
    Trigger,
    WhenFull,
    WorkerStderr,
)

_PAGE = "EngFlow's page Remote Persistent Workers, 2020-11-19"
_CREATING = "Bazel's page Creating Persistent Workers"

REFERENCE = Personality(
    name="reference",
    describes="the published rules, with Bazel's flagfile and protocol semantics",
    properties=SourcedRule(
        PropertySource.ACTION_ELSE_COMMAND, "remote_execution.proto, Action.platform"
    ),
    triggers=SourcedRule((Trigger("persistentWorkerKey"),), f"{_PAGE}, client settings 1"),
    unmarked_tools=SourcedRule(Lack.ONE_SHOT, f"{_PAGE}, client settings 3"),
    unmarked_executable=SourcedRule(Lack.ACCEPTED, "no published rule demands it"),
    no_flagfile=SourcedRule(Lack.ONE_SHOT, f"{_CREATING}: a worker's action has a flagfile"),
    containers=SourcedRule(ContainerPolicy.NEEDS_REUSE, f"{_PAGE}, client settings 2"),
    protocols=SourcedRule(
        Protocols("persistentWorkerProtocol", tuple(WorkerProtocol), Lack.ERROR),
        "bazel#28489, bazel#29299",
    ),
    abilities=SourcedRule(
        frozenset(Ability),
        "Bazel's pages on multiplex workers; the names of the properties are this project's",
    ),
    key=SourcedRule(
        REFERENCE_PARTS,
        "all that a server can see; bazel#29447 and buildfarm#2228 show the cost of omitting a part",
    ),
    multiplex_key_has_tools=SourcedRule(True, "bazel#29447 shows the cost of omitting them"),
    split=SourcedRule(Split.BAZEL, "Bazel's WorkerParser, legacy mode"),
    expansion=SourcedRule(Expansion.LINES, "Bazel's WorkerSpawnRunner"),
    flagfile_base=SourcedRule(FlagfileBase.WORKING_DIRECTORY, "remote_execution.proto, Command"),
    inputs=SourcedRule(InputList.HEX, "Bazel's WorkerSpawnRunner"),
    json_always=SourcedRule(frozenset({"arguments", "inputs"}), "bazel#14293: zeros are omitted"),
    json_end=SourcedRule(JsonEnd.OBJECT, "Bazel's JsonWorkerProtocol"),
    environment=SourcedRule(
        Environment.COMMAND, "remote_execution.proto, Command.environment_variables"
    ),
    roots=SourcedRule(Roots.WORKING_DIRECTORY, _CREATING),
    leftovers=SourcedRule(Leftovers.REMOVED, "remote_execution.proto, Action.input_root_digest"),
    flag_position=SourcedRule(FlagPosition.LAST, "Bazel's WorkerParser"),
    checks_request_id=SourcedRule(True, f"{_CREATING}: the response carries the request's id"),
    checks_was_cancelled=SourcedRule(True, "Bazel's SingleplexWorker"),
    response_text=SourcedRule(TextTo.STDERR, "Bazel's WorkerSpawnRunner"),
    worker_stderr=SourcedRule(
        WorkerStderr.SERVER_LOG, f"{_CREATING}: stderr is not part of an action's output"
    ),
    outputs_after_failure=SourcedRule(True, "remote_execution.proto, ActionResult"),
    when_full=SourcedRule(WhenFull.WAIT, "Bazel's worker pool"),
    most_requests=SourcedRule(0, "Bazel's worker pool has no such limit"),
)
