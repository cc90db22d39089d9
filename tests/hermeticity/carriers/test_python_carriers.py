"""Of Python workers that keep state in all kinds of places, the place is named and confirmed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.findings.text import Paint, shown
from tests.hermeticity.carriers.hard_workers import HARD
from tests.hermeticity.carriers.leaky_workers import LEAKY, Leaky
from tests.hermeticity.carriers.locations import locate, write_suite


def line_of(worker: Leaky) -> str:
    """The place that is marked in the sources of a worker."""
    for name, text in (("worker.py", worker.source), *worker.files):
        for number, line in enumerate(text.splitlines(), start=1):
            if line.endswith("# here"):
                return f"tools/{name}:{number}"
    raise AssertionError("no line is marked")


@pytest.mark.parametrize("worker", [*LEAKY, *HARD], ids=str)
def test_the_carrier_is_confirmed_and_named(worker: Leaky, tmp_path: Path) -> None:
    finding = locate(write_suite(tmp_path, {"worker.py": worker.source, **dict(worker.files)}))
    assert [each.is_confirmed for each in finding.carriers] == [True], finding
    carrier = finding.carriers[0]
    assert (carrier.kind, carrier.name) == (worker.kind, worker.name)
    assert carrier.before != carrier.after
    if worker.has_line:
        assert carrier.place == line_of(worker)
    first_lines = list(shown(finding, Paint(is_on=False)))[:2]
    assert worker.name in first_lines[1]
