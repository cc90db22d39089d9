"""Runs of an action in another place: other paths, and its inputs in another order."""

from __future__ import annotations

from dataclasses import replace

from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Trial, Variation, steps

#: Another folder, with a path of another length.
ELSEWHERE = Variation(factor="exec root path", root="another/and/rather/longer/path/to/the/root")
#: All paths that a worker gets to know are different.
ALL_ELSEWHERE = Variation(
    factor="all paths",
    root=ELSEWHERE.root,
    home="another/and/rather/longer/home",
    temporary="another/and/rather/longer/tmp",
)
#: The same with the inputs in another order: one run for both questions, because few results follow either.
REPEATED = replace(
    ALL_ELSEWHERE,
    factor="all paths and directory order",
    is_reversed=True,
    is_order_optional=True,
)


def fresh_elsewhere(action: SuiteAction) -> Trial:
    """Return the trial of an action in a fresh worker with other paths and another order of its inputs."""
    return Trial(history=steps(action), variation=REPEATED)
