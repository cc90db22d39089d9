"""Of Node.js workers that keep state, `check` names the place and confirms it by putting it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sample_workers.requirements import require_program

from .leaky_node_workers import LEAKY_NODE, LeakyNode
from .locations import locate, write_suite


@pytest.mark.parametrize("worker", LEAKY_NODE, ids=str)
def test_the_carrier_of_a_node_worker_is_confirmed(worker: LeakyNode, tmp_path: Path) -> None:
    node = require_program("node")
    lines = worker.source.splitlines()
    line = next(at for at, text in enumerate(lines, start=1) if text.endswith("// here"))
    suite = write_suite(
        tmp_path,
        {"worker.js": worker.source},
        command=f'"{node}", "tools/worker.js"',
        more='protocol = "json"\n',
    )
    finding = locate(suite)
    assert [each.is_confirmed for each in finding.carriers] == [True], finding.evidence
    carrier = finding.carriers[0]
    assert (carrier.kind, carrier.name) == (worker.kind, worker.name)
    assert carrier.place == f"tools/worker.js:{line}"
    assert carrier.before != carrier.after
