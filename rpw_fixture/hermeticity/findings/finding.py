"""A finding: what a check has seen, and the requests that show it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from rpw_fixture.hermeticity.findings.carrier import Carrier
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.contents import Difference
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import (
    BASE,
    EXIT_CODE,
    RESPONSE,
    Bulk,
    Delivery,
    Listing,
    RunMode,
    Step,
    Trial,
    Variation,
)

#: More edits are counted: the reproducer has all of them.
_MOST_EDITS = 6
#: Ends the summary of a finding that could not be reproduced.
SEEN_ONCE = "; seen once, not reproduced"


class Identity(NamedTuple):
    """What identifies a finding from run to run, and an entry of a baseline."""

    code: str
    victim: str
    polluters: tuple[str, ...]
    outputs: tuple[str, ...]
    factor: str = ""

    def __str__(self) -> str:
        """Return the entry in words."""
        after = f"after {listed(self.polluters)}" if self.polluters else ""
        on = f"on {self.factor}" if self.factor else ""
        where = f"({', '.join(self.outputs)})" if self.outputs else ""
        return " ".join(each for each in (self.code, self.victim, after, on, where) if each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One bug, with its evidence.

    Attributes:
        code: the check code.
        severity: how bad it is.
        victim: name of the action with the wrong result; empty if the bug has no single victim.
        polluters: names of the actions that must run before, in order.
        are_polluters_any: any other requests of the same number have the same effect.
        outputs: paths of the outputs that differ.
        summary: one sentence.
        evidence: what was observed, as readable text.
        differences: the contents that the evidence compares, as pages draw them.
        reproducer: folder with a minimal suite; None while none was written.
        history: the requests that show the bug.
        mode: how the requests are run.
        variation: the environment that shows the bug.
        is_doubtful: it could not be reproduced; its code has not passed.
        trial: the trial that shows the bug, if it is more than a plain run of the history.
        carriers: what carried the state from one request to another, as far as it was located.
    """

    code: str
    severity: Severity = Severity.ERROR
    victim: str = ""
    polluters: tuple[str, ...] = ()
    are_polluters_any: bool = False
    outputs: tuple[str, ...] = ()
    summary: str
    evidence: str = ""
    differences: tuple[Difference, ...] = field(default=(), repr=False)
    reproducer: str | None = None
    history: tuple[Step, ...] = field(default=(), repr=False)
    mode: RunMode = field(default=RunMode.WORKER, repr=False)
    variation: Variation = field(default=BASE, repr=False)
    is_doubtful: bool = field(default=False, repr=False)
    trial: Trial | None = field(default=None, repr=False)
    carriers: tuple[Carrier, ...] = ()

    @property
    def factor(self) -> str:
        """The factor of the environment that the finding depends on; empty for none."""
        return self.variation.factor if self.code == "RPW209" else ""

    @property
    def identity(self) -> tuple[object, ...]:
        """What identifies a finding within one run."""
        is_advice = self.severity is Severity.INFO
        return self.code, is_advice, self.victim, self.polluters, self.outputs, self.factor

    @property
    def polluters_in_words(self) -> str:
        """The polluters as a list, equal ones in a row counted; only their number if only that matters."""
        if self.are_polluters_any:
            return f"any {len(self.polluters)} requests"
        return listed(self.polluters)

    @property
    def last_action(self) -> tuple[SuiteAction, ...]:
        """The action of the last request of the history; empty if there is none."""
        return tuple(each.action for each in self.history[-1:])

    def as_dict(self) -> dict[str, object]:
        """Return the value for JSON; ``factor`` and ``differences`` are there if the finding has some."""
        more: dict[str, object] = {"factor": self.factor} if self.factor else {}
        if self.differences:
            more["differences"] = [each.as_dict() for each in self.differences]
        return {
            "code": self.code,
            "severity": str(self.severity),
            "victim": self.victim,
            "polluters": list(self.polluters),
            "outputs": list(self.outputs),
            "summary": self.summary,
            "evidence": self.evidence,
            "reproducer": self.reproducer,
            "carriers": [each.as_dict() for each in self.carriers],
            **more,
        }


def with_edits(finding: Finding) -> Finding:
    """Return the finding with what ``check`` edited in its requests at the beginning of its evidence."""
    edits = [f"check edited {text}" for step in finding.history for text in _edits(step)]
    if finding.factor and finding.variation.environment:
        values = (f"{name}={value}" for name, value in finding.variation.environment)
        edits.append(f"check set {', '.join(values)}")
    if not edits:
        return finding
    edits = list(dict.fromkeys(edits))
    if len(edits) > _MOST_EDITS:
        edits[_MOST_EDITS:] = [f"(and {len(edits) - _MOST_EDITS} edits more)"]
    lines = [*edits, finding.evidence]
    return replace(finding, evidence="\n".join(each for each in lines if each))


def _edits(step: Step) -> Iterator[str]:
    name = step.action.name
    if step.action.variant:
        yield f"{name}: {step.action.variant}"
    for path, _ in step.planted:
        yield f"the folder of {name}: {path} was there before the request"
    if step.is_extended:
        yield f"the request of {name}: it has an unknown field"
    if step.listing is not Listing.HEX:
        yield f"the request of {name}: it lists {step.listing.value}"
    if step.delivery is not Delivery.WHOLE:
        yield f"the request of {name}: it arrives {step.delivery.value}"
    if step.bulk is not Bulk.NONE:
        yield f"the request of {name}: it has {step.bulk.value}"
    if step.request_id is not None:
        yield f"the request of {name}: its request_id is {step.request_id}"
    if step.verbosity:
        yield f"the request of {name}: its verbosity is {step.verbosity}"
    if step.pause:
        yield f"the request of {name}: it comes after {step.pause:g} s of silence"


def listed(names: Sequence[str]) -> str:
    """Return names as a list; equal ones in a row are counted from three on."""
    runs = [(name, len(list(some))) for name, some in groupby(names)]
    return ", ".join(
        f"{count} × {name}" if count > 2 else ", ".join([name] * count) for name, count in runs
    )


def outputs_among(aspects: list[str]) -> tuple[str, ...]:
    """Return those of the aspects that are paths of outputs."""
    return tuple(each for each in aspects if each not in {EXIT_CODE, RESPONSE})
