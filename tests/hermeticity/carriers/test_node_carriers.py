"""Of Node.js workers that keep state, `check` names the place and confirms it by putting it back.

All of them: ``python -m tests.hermeticity.carriers node``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .leaky_node_workers import LEAKY_NODE, LeakyNode
from .locations import locate
from .sampled import node_suite


@pytest.mark.parametrize("worker", LEAKY_NODE[:3], ids=str)
def test_the_carrier_of_a_node_worker_is_confirmed(worker: LeakyNode, tmp_path: Path) -> None:
    lines = worker.source.splitlines()
    line = next(at for at, text in enumerate(lines, start=1) if text.endswith("// here"))
    suite = node_suite(worker, tmp_path)
    finding = locate(suite)
    assert [each.is_confirmed for each in finding.carriers] == [True], finding.evidence
    carrier = finding.carriers[0]
    assert (carrier.kind, carrier.name) == (worker.kind, worker.name)
    assert carrier.place == f"tools/worker.js:{line}"
    assert carrier.before != carrier.after
