"""``bazel-local``: how Bazel runs workers on its own machine, as far as a server can do the same."""

from __future__ import annotations

import dataclasses

from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import Leftovers, SourcedRule, unknown

BAZEL_LOCAL = dataclasses.replace(
    REFERENCE,
    name="bazel-local",
    describes="Bazel's local worker strategy without --worker_sandboxing",
    # Execution requirements activate a worker, and no client transmits them.
    properties=unknown(REFERENCE.properties),
    triggers=unknown(REFERENCE.triggers),
    unmarked_tools=unknown(REFERENCE.unmarked_tools),
    containers=unknown(REFERENCE.containers),
    protocols=unknown(REFERENCE.protocols),
    flagfile_base=SourcedRule(
        REFERENCE.flagfile_base.value, "Bazel's WorkerSpawnRunner: the exec root"
    ),
    key=SourcedRule(
        frozenset(
            {
                "startup argument",
                "environment",
                "mnemonic",
                "protocol",
                "ability",
                "tool input",
            }
        ),
        "Bazel's WorkerKey; tool inputs are compared when a worker is taken from the pool",
    ),
    multiplex_key_has_tools=SourcedRule(
        False, "bazel#29447: a multiplex worker survives a changed tool"
    ),
    environment=SourcedRule(REFERENCE.environment.value, "Bazel's WorkerKey"),
    leftovers=SourcedRule(Leftovers.KEPT, "Bazel's SingleplexWorker works in the shared exec root"),
    checks_request_id=SourcedRule(False, "Bazel's SingleplexWorker reads no id"),
    outputs_after_failure=SourcedRule(True, "the exec root belongs to the client"),
    not_reproduced=(
        "a request that waits without end: requests have no timeout (bazel#10288)",
        "the flags --worker_extra_flag and --experimental_worker_strict_flagfiles",
    ),
)
