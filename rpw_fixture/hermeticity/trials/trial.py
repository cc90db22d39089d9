"""The values of trials: steps, variations, trials and outcomes.

A trial is a history of requests to one cold worker, under one variation of its environment. Nothing is
run here; `local` and `remote` run trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.experiment import Experiment, Observation

#: Names of the two aspects that are not outputs; the aspect of an output is its path.
EXIT_CODE, RESPONSE = "exit code", "response text"
#: The failure of a request to an endpoint that reports only that there is no result.
NO_RESULT = "no result"


#: Why a tool is never run one-shot.
NO_ONE_SHOT = "the suite says one_shot = false"


class UnavailableError(Exception):
    """This machine or endpoint does not support a trial; the message says why."""


class Listing(Enum):
    """The inputs that a WorkRequest lists; servers differ in that."""

    HEX = "all inputs with their digests in hex"
    RAW = "all inputs with raw digest bytes"
    MESSAGE = "all inputs with serialized Digest messages"
    CHANGING = "all inputs with different digests in each request"
    NONE = "no inputs"
    EMPTY = "all inputs without digests"


class Delivery(Enum):
    """The pieces in which a request is sent; a pipe may split and join what is written."""

    WHOLE = "in one piece, joined with other requests"
    ALONE = "in a separate write"
    SPLIT_BODY = "in two pieces"
    SPLIT_LENGTH = "in two pieces, the first of them a single byte"
    DRIBBLED = "byte by byte"


class Bulk(Enum):
    """What makes a request large; `bulk` has the sizes."""

    NONE = "nothing"
    FEW_INPUTS = "4 more inputs"
    MANY_INPUTS = "more than 20,000 inputs"
    SHORT_OPTION = "an unknown option"
    MANY_OPTIONS = "4,000 unknown options"
    KIB_64 = "an unknown option of 64 KiB"
    MIB_1 = "an unknown option of 1 MiB"
    MIB_4 = "an unknown option of more than 4 MiB"


class Cancel(Enum):
    """When a cancel request follows a request."""

    NEVER = "not"
    AT_ONCE = "at once"
    AT_WORK = "during its work"
    AFTERWARDS = "after its response"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request of a history.

    Attributes:
        action: the action that is requested.
        listing: the inputs that the request lists.
        planted: files to write below the input root before the request is sent, as path and content.
        in_place: inputs with new content are rewritten and not replaced: their inodes stay the same.
        is_extended: the request has a field that no worker knows.
        cancel: when a cancel request follows.
        delay: seconds from when the worker has read the request to a cancel request `AT_WORK`.
        delivery: the pieces in which the request is sent.
        bulk: what makes the request large.
        verbosity: the verbosity that the request asks for.
        request_id: the id of the request; None for its number with multiplex, else 0.
        pause: seconds of silence before the request.
        held_at: an input whose content comes only when the next request was answered, or not in time.
    """

    action: SuiteAction
    listing: Listing = Listing.HEX
    planted: tuple[tuple[str, bytes], ...] = ()
    in_place: bool = False
    is_extended: bool = False
    cancel: Cancel = Cancel.NEVER
    delay: float = 0.0
    delivery: Delivery = Delivery.WHOLE
    bulk: Bulk = Bulk.NONE
    verbosity: int = 0
    request_id: int | None = None
    pause: float = 0.0
    held_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """The differences between a worker's environment and the usual one.

    Attributes:
        factor: name of what is varied, as findings show it.
        environment: variables that are added or replaced.
        umask: the umask of the process; None for the usual one.
        steps: functions to call between fork and exec, with their argument: those of `setup_steps`, and
            `landlock_step.restrict_paths`.
        root: path of the input root below the run's folder.
        home, temporary: paths of HOME and TMPDIR below the run's folder.
        input_mtime: modification time of all inputs, seconds since the epoch; None for the usual one.
        is_reversed: inputs are created in the opposite order.
        is_order_optional: the run is worth making where a file system lists files in its own order.
        prefix: arguments before the command, such as a tracer.
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
    is_order_optional: bool = False
    prefix: tuple[str, ...] = ()


BASE = Variation()


class RunMode(Enum):
    """How a history is run."""

    WORKER = "one worker, one request after the other"
    OVERLAPPING = "one worker, all requests at once"
    ONE_SHOT = "a process for each action"
    HELD = "one worker, a request before one that is held, and the same request again meanwhile"


class Interruption(Enum):
    """When a worker is killed during the last request of its history."""

    NEVER = "not"
    READING = "while it read its last input"
    FIRST_WRITE = "when it first changed a file that is no output"
    AT_WORK = "during its work"


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """An earlier worker, which ends before the next one starts in its place.

    Attributes:
        history: its requests, at least one.
        interruption: when it is killed; if not at all, it ends when its stdin is closed.
        delay: seconds from when it has read the last request to its end `AT_WORK`.
    """

    history: tuple[Step, ...]
    interruption: Interruption = Interruption.NEVER
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A history and how to run it; equal trials are run once.

    Attributes:
        history: the requests, at least one.
        variation: the environment.
        mode: how the history is run.
        started_with: the action whose inputs are in place when the worker starts, if not the first of
            the history; they are replaced when the worker's start-up is over.
        run: number that distinguishes repeated runs of one history.
        is_measured: resources are measured after each request, or in long histories after every few.
        is_watched: files of the input root are watched for being opened.
        lingers: after each of the last responses, wait and see what the worker still does with its files.
        eof_patience: seconds that the worker may take to end by itself after its stdin was closed.
        timeout: time limit for one request, seconds; None for the suite's.
        max_seconds: no more requests are sent once the history has taken that long, seconds; None for
            no limit. Only for one request after the other.
        is_abandoned: stdin is closed before any response to the overlapping requests is read.
        predecessors: workers that run and end in the same place before, in this order. HOME, TMPDIR and
            undeclared files are then as they left them.
        experiment: what is looked at and put back between the requests; None for nothing.
    """

    history: tuple[Step, ...]
    variation: Variation = BASE
    mode: RunMode = RunMode.WORKER
    started_with: SuiteAction | None = None
    run: int = 0
    is_measured: bool = False
    is_watched: bool = False
    lingers: bool = False
    eof_patience: float = 0.25
    timeout: float | None = None
    max_seconds: float | None = None
    is_abandoned: bool = False
    predecessors: tuple[Predecessor, ...] = ()
    experiment: Experiment | None = None

    @property
    def starts(self) -> int:
        """Number of processes that the trial starts."""
        own = len(self.history) if self.mode is RunMode.ONE_SHOT else 1
        return own + len(self.predecessors)

    def is_cut_short(self, outcomes: Sequence[Outcome]) -> bool:
        """Return whether requests were left out although the worker answered all before them."""
        return len(outcomes) < len(self.history) and not outcomes[-1].failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The resources of a worker and its descendants after a request; ``programs`` are their names.

    ``memory`` is the resident memory, bytes.
    """

    memory: int
    descriptors: int
    threads: int
    files: int
    programs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one request.

    Attributes:
        step: the request.
        exit_code: the exit code of the response; None if there was none.
        response: the text of the response.
        outputs: the declared outputs by path, each as text: content digest and executable bit, the
            target of a link, or a folder.
        failure: the protocol rule that was broken, or another reason for no response; empty for none.
        detail: the evidence of the failure.
        stderr: what the worker wrote to stderr meanwhile.
        changed_inputs: inputs that were changed, replaced or deleted.
        strays: undeclared files that were left in the input root.
        children: processes below the worker after the response.
        late: what the worker did after a response although it must not: output or writes.
        rewritten: outputs that were written between the response and the next request.
        read_late: inputs that were read after the response, in trials that linger.
        still_open: inputs and outputs that were open some time after the response, in the same trials.
        sample: resources, in measured trials.
        opened: files of the input root that were opened since the trial began, in watched trials.
        seconds: time from sending the request to its response.
        ignored: names and values of fields of the response that no WorkResponse in JSON has.
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
    read_late: tuple[str, ...] = ()
    still_open: tuple[str, ...] = ()
    sample: Sample | None = None
    opened: frozenset[str] = frozenset()
    seconds: float = 0.0
    ignored: tuple[tuple[str, str], ...] = ()

    @property
    def aspects(self) -> dict[str, object]:
        """Everything that is compared between two runs, by name."""
        result = self.failure or self.exit_code
        return {EXIT_CODE: result, RESPONSE: self.response, **self.outputs}

    @property
    def is_as_expected(self) -> bool:
        """Whether the response has the exit code that the action expects."""
        return not self.failure and self.exit_code == self.step.action.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of a worker after its stdin was closed.

    Attributes:
        is_by_itself: it ended in time.
        leftovers: number of its processes that remained.
        surplus: description of bytes on stdout after the last response; empty for none.
        rule: the protocol rule that these bytes break.
        unterminated: number of JSON responses that no newline followed.
    """

    is_by_itself: bool = True
    leftovers: int = 0
    surplus: str = ""
    rule: str = ""
    unterminated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What happened to a request while the one before it was held at an input.

    Attributes:
        is_held: the worker opened the input and waited for its content; otherwise nothing was seen.
        is_served: the other request was answered meanwhile.
        usual: seconds that the other request took before, with the worker's start.
        waited: seconds until it was answered, or until the wait was given up.
    """

    is_held: bool = False
    is_served: bool = False
    usual: float = 0.0
    waited: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The result of a predecessor.

    Attributes:
        outcomes: one for each answered request.
        is_interrupted: it was killed before it had answered its last request.
    """

    outcomes: tuple[Outcome, ...]
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a trial.

    Attributes:
        outcomes: one for each request, up to the first one that failed.
        ending: the end of the worker.
        trace: path of a tracer's record; empty for none.
        holding: what a trial with a held request showed.
        earlier: the results of the predecessors.
        began, ended: when the trial was run, seconds since the epoch.
        is_remembered: it was not run now, but by an earlier program.
        observation: what the experiment showed.
    """

    outcomes: tuple[Outcome, ...]
    ending: Ending = field(default_factory=Ending)
    trace: str = ""
    holding: Holding = field(default_factory=Holding)
    earlier: tuple[Earlier, ...] = ()
    began: float = 0.0
    ended: float = 0.0
    is_remembered: bool = False
    observation: Observation = field(default_factory=Observation)


def differing(one: Outcome, other: Outcome, ignored: frozenset[str] = frozenset()) -> list[str]:
    """Return the names of the aspects in which two outcomes differ, without those ``ignored``."""
    left, right = one.aspects, other.aspects
    names = sorted(left.keys() | right.keys())
    return [name for name in names if name not in ignored and left.get(name) != right.get(name)]


def steps(*actions: SuiteAction) -> tuple[Step, ...]:
    """Return plain requests for these actions."""
    return tuple(Step(action=each) for each in actions)
