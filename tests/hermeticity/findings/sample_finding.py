"""A finding with a value in each field, and the same for JSON."""

from __future__ import annotations

from rpw_fixture.hermeticity.findings.carrier import Carrier
from rpw_fixture.hermeticity.findings.finding import Finding

FINDING = Finding(
    code="RPW202",
    victim="alpha",
    polluters=("beta",),
    outputs=("out/a",),
    summary="it differs",
    evidence="a difference",
    carriers=(Carrier(kind="file", name="$HOME/a", before="x", after="y", is_confirmed=True),),
)
FINDING_AS_DICT = {
    "code": "RPW202",
    "severity": "error",
    "victim": "alpha",
    "polluters": ["beta"],
    "outputs": ["out/a"],
    "summary": "it differs",
    "evidence": "a difference",
    "reproducer": None,
    "carriers": [
        {"kind": "file", "name": "$HOME/a", "place": "", "before": "x", "after": "y"}
        | {"confirmed": True}
    ],
}
