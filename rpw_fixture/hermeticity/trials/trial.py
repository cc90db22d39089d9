"""What is tried and what comes out: steps, variations, trials and outcomes, all of them values.

A trial is a history fed to one cold worker under one variation of its surroundings. Nothing here runs
anything; `running` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from rpw_fixture.hermeticity.suites.suite import SuiteAction

#: Names of the two aspects that are no outputs; an output's aspect is its path.
EXIT_CODE, RESPONSE = "exit code", "response text"
#: The failure of a request to an endpoint that only says that there is no result.
NO_RESULT = "no result"


class UnavailableError(Exception):
    """What a trial asks for can't be had on this machine or endpoint; the text says why."""


class Listing(Enum):
    """Which inputs a WorkRequest lists; servers differ in that."""

    HEX = "all inputs with their digests in hex"
    RAW = "all inputs with raw digest bytes"
    MESSAGE = "all inputs with serialized Digest messages"
    CHANGING = "all inputs with digests that are others in each request"
    NONE = "no inputs"
    EMPTY = "all inputs without digests"


class Delivery(Enum):
    """In which pieces a request comes; pipes part and join what is written as they like."""

    WHOLE = "in one piece, joined with what else is to be sent"
    ALONE = "in a write of its own"
    SPLIT_BODY = "in two pieces"
    SPLIT_LENGTH = "in two pieces, the first of them a single byte"
    DRIBBLED = "byte by byte"


class Cancel(Enum):
    """When a cancel request follows a request."""

    NEVER = "not"
    AT_ONCE = "at once"
    AT_WORK = "while it was worked on"
    AFTERWARDS = "after it was answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request of a history.

    Attributes:
        action: what is asked for.
        listing: what the request lists.
        planted: content to put at paths below the input root before the request is sent.
        is_extended: the request carries a field that no worker knows.
        cancel: when a cancel request follows.
        delay: seconds from the worker's reading of the request to a cancel request `AT_WORK`.
        delivery: in which pieces the request comes.
    """

    action: SuiteAction
    listing: Listing = Listing.HEX
    planted: tuple[tuple[str, bytes], ...] = ()
    is_extended: bool = False
    cancel: Cancel = Cancel.NEVER
    delay: float = 0.0
    delivery: Delivery = Delivery.WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How a worker's surroundings differ from the usual ones.

    Attributes:
        factor: what is varied, as findings name it.
        environment: variables added or replaced.
        umask: of the process.
        steps: names of functions in `surroundings`, or `landlock_step.restrict_paths`, with arguments,
            called between fork and exec.
        root: where the input root lies below the run's folder.
        home, temporary: where HOME and TMPDIR lie below the run's folder.
        input_mtime: modification time of all inputs, seconds since the epoch; None for the usual.
        is_reversed: inputs are created in the opposite order.
        prefix: put before the command, such as a tracer.
    """

    factor: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    umask: int | None = None
    steps: tuple[tuple[str, object], ...] = ()
    root: str = "root"
    home: str = "home"
    temporary: str = "tmp"
    input_mtime: int | None = None
    is_reversed: bool = False
    prefix: tuple[str, ...] = ()


BASE = Variation()


class RunMode(Enum):
    """How a history is run."""

    WORKER = "one worker, one request after the other"
    OVERLAPPING = "one worker, all requests at once"
    ONE_SHOT = "a process of its own for each action"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A history and how to run it; equal trials are run once.

    Attributes:
        history: the requests, at least one.
        variation: of the surroundings.
        mode: how the history is run.
        started_with: the action whose inputs are in place when the worker starts, when that is not
            the first of the history; the worker comes to rest before they are replaced.
        run: tells repeated runs of one history apart.
        is_measured: resources are sampled after each request.
        is_watched: files of the input root are watched for being opened.
        eof_patience: seconds the worker gets to end by itself after its stdin was closed.
    """

    history: tuple[Step, ...]
    variation: Variation = BASE
    mode: RunMode = RunMode.WORKER
    started_with: SuiteAction | None = None
    run: int = 0
    is_measured: bool = False
    is_watched: bool = False
    eof_patience: float = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a worker and its descendants hold after a request; ``programs`` are their names."""

    memory: int
    descriptors: int
    threads: int
    files: int
    programs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one request led to.

    Attributes:
        step: the request.
        exit_code: None when there was no response.
        response: its text.
        outputs: by path, what each declared output is: content digest and executable bit, the target
            of a link, or a folder.
        failure: the rule that was broken, or what else kept the response away; empty for none.
        detail: the evidence of that.
        stderr: what the worker wrote to stderr meanwhile.
        changed_inputs: inputs that were changed, replaced or deleted.
        strays: what was left in the input root without being declared.
        children: processes below the worker after the response.
        late: what happened after the response that must not: bytes on stdout, writes.
        rewritten: outputs that were written between the response and the next request.
        sample: resources, of measured trials.
        opened: files of the input root that were opened since the trial began, of watched trials.
        seconds: from sending to the response.
    """

    step: Step
    exit_code: int | None
    response: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    detail: str = ""
    stderr: str = ""
    changed_inputs: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    late: str = ""
    rewritten: tuple[str, ...] = ()
    sample: Sample | None = None
    opened: frozenset[str] = frozenset()
    seconds: float = 0.0

    @property
    def aspects(self) -> dict[str, object]:
        """Everything two runs are compared by, by name."""
        result = self.failure or self.exit_code
        return {EXIT_CODE: result, RESPONSE: self.response, **self.outputs}

    @property
    def is_as_expected(self) -> bool:
        """It answered with the exit code that its action expects."""
        return not self.failure and self.exit_code == self.step.action.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a worker ended after its stdin was closed.

    Attributes:
        is_by_itself: it ended in time.
        leftovers: processes of it that were still there.
        surplus: bytes that came on stdout after the last response.
        rule: what those bytes break.
    """

    is_by_itself: bool = True
    leftovers: int = 0
    surplus: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a trial yielded.

    Attributes:
        outcomes: one for each request up to the one, if any, that the worker did not survive.
        ending: of the worker.
        trace: where a tracer wrote its record, if there was one.
    """

    outcomes: tuple[Outcome, ...]
    ending: Ending = field(default_factory=Ending)
    trace: str = ""


def differing(one: Outcome, other: Outcome, ignored: frozenset[str] = frozenset()) -> list[str]:
    """Names of the aspects in which two outcomes differ, without those ``ignored``."""
    left, right = one.aspects, other.aspects
    names = sorted(left.keys() | right.keys())
    return [name for name in names if name not in ignored and left.get(name) != right.get(name)]


def steps(*actions: SuiteAction) -> tuple[Step, ...]:
    """Plain requests for these actions."""
    return tuple(Step(action=each) for each in actions)
