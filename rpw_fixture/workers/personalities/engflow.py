"""``engflow``: EngFlow RE, as far as its public pages describe it."""

from __future__ import annotations

import dataclasses

from rpw_fixture.workers.key import Ability
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import SourcedRule, unknown

_PAGE = "EngFlow's page Remote Persistent Workers"

ENGFLOW = dataclasses.replace(
    REFERENCE,
    name="engflow",
    describes="EngFlow RE, as its public pages describe it (closed source)",
    properties=unknown(REFERENCE.properties),
    unmarked_executable=unknown(REFERENCE.unmarked_executable),
    no_flagfile=unknown(REFERENCE.no_flagfile),
    protocols=unknown(REFERENCE.protocols),
    abilities=SourcedRule(frozenset[Ability](), f"{_PAGE}: no multiplex workers as of 2024-09-05"),
    key=unknown(REFERENCE.key),
    multiplex_key_has_tools=unknown(REFERENCE.multiplex_key_has_tools),
    split=unknown(REFERENCE.split),
    expansion=unknown(REFERENCE.expansion),
    flagfile_base=unknown(REFERENCE.flagfile_base),
    inputs=unknown(REFERENCE.inputs),
    json_always=unknown(REFERENCE.json_always),
    json_end=unknown(REFERENCE.json_end),
    environment=unknown(REFERENCE.environment),
    roots=unknown(REFERENCE.roots),
    leftovers=unknown(REFERENCE.leftovers),
    flag_position=unknown(REFERENCE.flag_position),
    checks_request_id=unknown(REFERENCE.checks_request_id),
    checks_was_cancelled=unknown(REFERENCE.checks_was_cancelled),
    response_text=unknown(REFERENCE.response_text),
    worker_stderr=unknown(REFERENCE.worker_stderr),
    outputs_after_failure=unknown(REFERENCE.outputs_after_failure),
    when_full=unknown(REFERENCE.when_full),
    most_requests=unknown(REFERENCE.most_requests),
    not_reproduced=(
        (
            "a worker that understands only JSON fails without persistentWorkerProtocol "
            "(bazel#28405); here only with --default-protocol proto"
        ),
    ),
)
