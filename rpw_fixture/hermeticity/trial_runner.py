"""Running one trial: a fresh folder, a cold worker, its requests, and a look after each of them.

Built from the server's own parts (staging, spawner, framing), without gRPC between: what is checked is
what the server would do, some hundred times as often.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from rpw_fixture.cancellation import CancelToken
from rpw_fixture.errors import ConfigError
from rpw_fixture.execution import executable, one_shot, staging
from rpw_fixture.execution.input_index import InputIndex
from rpw_fixture.execution.launching import Launch, Local
from rpw_fixture.execution.routing import PERSISTENT_FLAG
from rpw_fixture.hermeticity import layout, survey
from rpw_fixture.hermeticity.conversation import Conversation, Failure, family
from rpw_fixture.hermeticity.subject import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import (
    Listing,
    Outcome,
    Result,
    Sample,
    Step,
    Trial,
    Variation,
    Way,
)
from rpw_fixture.processes.client import Process, Setup, SetupStep, Spawner, StartError
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.worker_frames import Request, Response, encoding
from rpw_fixture.workers.plumbing import Pipes, make_pipes

_SURROUNDINGS = str(Path(__file__).with_name("surroundings.py"))
_MAX_OUTPUT = 1 << 20
_UMASK = 0o022
#: Left alone for so long, seconds, a worker that wrote after its response has done it.
_LATE_WRITES = 0.15


class UnavailableError(Exception):
    """This machine can't vary that factor; the text says why."""


@dataclass(slots=True, kw_only=True)
class _Place:
    """Where one trial runs."""

    folder: Path
    variation: Variation
    staged: staging.StagedRoot

    @property
    def root(self) -> str:
        return self.staged.path

    @property
    def home(self) -> str:
        return str(self.folder / self.variation.home)

    @property
    def temporary(self) -> str:
        return str(self.folder / self.variation.temporary)

    @property
    def trace(self) -> str:
        return str(self.folder / "trace")


class TrialRunner:
    """Runs trials of one worker. Thread-safe; each trial needs a folder that no other one uses.

    Args:
        worker: what is under test.
        spawner: starts processes.
        store: takes inputs and outputs.
    """

    def __init__(self, worker: SuiteWorker, spawner: Spawner, store: BlobStore) -> None:
        self._worker = worker
        self._spawner = spawner
        self._store = store
        self._encoding = encoding(worker.protocol)
        self._index = InputIndex(lambda _path: False)
        self._layouts: dict[tuple[SuiteAction, bool], layout.Layout] = {}
        self._tools = layout.tool_layout(worker, store)

    def run(self, trial: Trial, folder: Path) -> Result:
        """Runs a trial.

        Args:
            trial: what to do.
            folder: is emptied before; input root, HOME and TMPDIR lie in it.

        Raises:
            ConfigError: when the command can't be started.
            UnavailableError: when the variation can't be had here.
        """
        place = self._prepare(trial.variation, folder)
        if trial.way is Way.ONE_SHOT:
            return Result(outcomes=tuple(self._run_once(each, place) for each in trial.history))
        first = trial.started_with or trial.history[0].action
        if trial.way is Way.OVERLAPPING:
            return self._overlap(trial, place)
        self._stage(first, place)
        with self._started(place) as talk:
            if trial.started_with is not None:
                talk.rest()
            outcomes = list(self._converse(trial, place, talk))
            is_alive = not outcomes[-1].failure
            ending = talk.finish(trial.eof_patience if is_alive else 0.0)
        if ending.rule and is_alive:
            outcomes[-1] = replace(outcomes[-1], failure=ending.rule, detail=ending.surplus)
        trace = place.trace if trial.variation.prefix else ""
        return Result(outcomes=tuple(outcomes), ending=ending, trace=trace)

    def check_layouts(self, actions: tuple[SuiteAction, ...]) -> None:
        """Lays all actions out once.

        Raises:
            ConfigError: for one that can't be.
        """
        for each in actions:
            self._layout(each)

    # --- places ---

    def _prepare(self, variation: Variation, folder: Path) -> _Place:
        staging.remove(str(folder))
        root = folder / variation.root
        for each in (root, folder / variation.home, folder / variation.temporary):
            each.mkdir(parents=True)
        return _Place(folder=folder, variation=variation, staged=staging.StagedRoot(str(root)))

    def _layout(self, action: SuiteAction, *, is_reversed: bool = False) -> layout.Layout:
        key = (action, is_reversed)
        known = self._layouts.get(key)
        if known is None:
            known = layout.layout(self._worker, action, self._store, is_reversed=is_reversed)
            self._layouts[key] = known
        return known

    def _stage(self, action: SuiteAction, place: _Place) -> layout.Layout:
        found = self._layout(action, is_reversed=place.variation.is_reversed)
        place.staged.stage(found.root, found.parents, self._store)
        mtime = place.variation.input_mtime
        if mtime is not None:
            for path, _ in found.root.walk():
                os.utime(os.path.join(place.root, path), (mtime, mtime), follow_symlinks=False)
        return found

    def _environment(self, place: _Place) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": place.home,
            "TMPDIR": place.temporary,
            **dict(self._worker.environment),
            **dict(place.variation.environment),
        }

    # --- processes ---

    @contextlib.contextmanager
    def _started(self, place: _Place) -> Iterator[Conversation]:
        ours, theirs = make_pipes()
        try:
            process = self._spawn(place, theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        talk = Conversation(process, ours, self._encoding)
        try:
            yield talk
        finally:
            talk.close()

    def _spawn(self, place: _Place, pipes: Pipes) -> Process:
        argv = [*place.variation.prefix, *self._worker.command, PERSISTENT_FLAG]
        argv = [each.replace("{trace}", place.trace) for each in argv]
        environment = self._environment(place)
        cwd = os.path.join(place.root, self._worker.working_directory)
        try:
            return self._spawner.spawn(
                executable=executable.find(argv[0], environment, cwd),
                argv=argv,
                env=environment,
                cwd=cwd,
                stdin=pipes.stdin,
                stdout=pipes.stdout,
                stderr=pipes.stderr,
                setup=_setup(place),
            )
        except StartError as error:
            if error.stage.startswith("setup step"):
                raise UnavailableError(error.message) from None
            raise ConfigError(f"worker.command can't be started: {error}") from None
        except (FileNotFoundError, PermissionError) as error:
            raise ConfigError(f"worker.command can't be started: {error}") from None

    # --- requests ---

    def _converse(self, trial: Trial, place: _Place, talk: Conversation) -> Iterator[Outcome]:
        for number, step in enumerate(trial.history, start=1):
            if number > 1 and (fault := talk.find_surplus()) is not None:
                yield Outcome(step=step, exit_code=None, failure=fault.rule, detail=fault.detail)
                return
            outcome = self._request(step, number, place, talk)
            if trial.is_measured:
                outcome = replace(outcome, sample=_sample(talk.process.pid, place))
            yield outcome
            if outcome.failure:
                return

    def _request(self, step: Step, number: int, place: _Place, talk: Conversation) -> Outcome:
        found = self._stage(step.action, place)
        for path, content in step.planted:
            _plant(os.path.join(place.root, path), content)
        before = survey.look(place.root)
        request_id = number if self._worker.multiplex else 0
        talk.stderr.drain()
        mark = talk.stderr.total
        began = time.monotonic()
        talk.send(self._work_request(found, step.listing, request_id), is_extended=step.is_extended)
        if step.is_cancelled:
            talk.cancel(request_id)
        answer = talk.receive(began + self._worker.timeout)
        seconds = time.monotonic() - began
        seen = self._look(place, before, found)
        late = ""
        if step.is_cancelled and isinstance(answer, Response) and answer.was_cancelled:
            late = self._await_late_writes(place)
        told = _told(answer)
        return replace(
            told,
            step=step,
            outputs=seen.outputs,
            changed_inputs=seen.changed_inputs,
            strays=seen.strays,
            children=_children(talk.process.pid),
            stderr=talk.stderr.since(mark).decode(errors="replace"),
            late=late,
            seconds=seconds,
        )

    def _work_request(
        self, found: layout.Layout, listing: Listing, request_id: int, sandbox: str = ""
    ) -> Request:
        if listing is Listing.NONE:
            inputs = b""
        elif listing is Listing.WRONG:
            inputs = self._encoding.encode_inputs(
                (path, entry.digest.hash[::-1].encode()) for path, entry in found.root.walk()
            )
        else:
            inputs = self._index.encoded_inputs(found.root, self._encoding)
        return Request(
            arguments=found.arguments,
            inputs=inputs,
            request_id=request_id,
            sandbox_dir=sandbox,
        )

    def _look(
        self, place: _Place, before: dict[str, survey.Seen], found: layout.Layout
    ) -> survey.Survey:
        return survey.compare(
            place.root, before, inputs=found.root, outputs=found.outputs, store=self._store
        )

    def _await_late_writes(self, place: _Place) -> str:
        before = survey.look(place.root)
        time.sleep(_LATE_WRITES)
        after = survey.look(place.root)
        changed = [path for path, seen in after.items() if before.get(path) != seen]
        return f"{changed[0]} was written after the response" if changed else ""

    # --- overlapping and one-shot ---

    def _overlap(self, trial: Trial, place: _Place) -> Result:
        layouts = [self._layout(step.action) for step in trial.history]
        roots = self._stage_all(layouts, place)
        outcomes: dict[int, Outcome] = {}
        with self._started(place) as talk:
            looks = [survey.look(root) for root in roots]
            for number, (step, found) in enumerate(zip(trial.history, layouts, strict=True), 1):
                sandbox = (
                    os.path.relpath(roots[number - 1], place.root) if self._worker.sandbox else ""
                )
                talk.send(self._work_request(found, step.listing, number, sandbox))
            deadline = time.monotonic() + self._worker.timeout
            failure: Failure | None = None
            answers: dict[int, Response] = {}
            while len(answers) < len(layouts) and failure is None:
                answer = talk.receive(deadline)
                if isinstance(answer, Failure):
                    failure = answer
                else:
                    answers[answer.request_id] = answer
            for number, step in enumerate(trial.history, 1):
                told = _told(answers.get(number) or failure or Failure("timeout", "no response"))
                seen = survey.compare(
                    roots[number - 1],
                    looks[number - 1],
                    inputs=layouts[number - 1].root,
                    outputs=layouts[number - 1].outputs,
                    store=self._store,
                )
                outcomes[number] = replace(told, step=step, outputs=seen.outputs)
            ending = talk.finish(trial.eof_patience)
        return Result(outcomes=tuple(outcomes[each] for each in sorted(outcomes)), ending=ending)

    def _stage_all(self, layouts: list[layout.Layout], place: _Place) -> list[str]:
        if not self._worker.sandbox:
            merged = layout.merged(layouts)
            place.staged.stage(merged.root, merged.parents, self._store)
            return [place.root] * len(layouts)
        place.staged.stage(self._tools.root, self._tools.parents, self._store)
        roots = []
        for number, found in enumerate(layouts, 1):
            root = os.path.join(place.root, "__sandbox", str(number))
            os.makedirs(root)
            staging.StagedRoot(root).stage(found.root, found.parents, self._store)
            roots.append(root)
        return roots

    def _run_once(self, step: Step, place: _Place) -> Outcome:
        found = self._stage(step.action, place)
        before = survey.look(place.root)
        command = Launch(
            argv=(*self._worker.command, f"@{step.action.flagfile}"),
            environment=self._environment(place),
            root=place.root,
            working_directory=self._worker.working_directory,
        )
        result = one_shot.run(
            command,
            launcher=Local(self._spawner),
            deadline=time.monotonic() + self._worker.timeout,
            token=CancelToken(),
            max_output_bytes=_MAX_OUTPUT,
        )
        seen = self._look(place, before, found)
        return Outcome(
            step=step,
            exit_code=None if result.timed_out else result.exit_code,
            response=(result.stdout + result.stderr).decode(errors="replace"),
            outputs=seen.outputs,
            failure="timeout" if result.timed_out else "",
            detail="no end within the timeout" if result.timed_out else "",
            changed_inputs=seen.changed_inputs,
            strays=seen.strays,
        )


def usable_steps() -> str:
    """Path of the file whose functions `Variation.steps` names."""
    return _SURROUNDINGS


def _setup(place: _Place) -> Setup:
    variation = place.variation
    steps = []
    for function, argument in variation.steps:
        steps.append(
            SetupStep(file=_SURROUNDINGS, function=function, argument=_filled(argument, place))
        )
    umask = _UMASK if variation.umask is None else variation.umask
    return Setup(umask=umask, steps=tuple(steps))


def _filled(argument: object, place: _Place) -> object:
    """The argument with ``{run}`` replaced by the run's folder, wherever it stands."""
    if isinstance(argument, str):
        return argument.replace("{run}", str(place.folder))
    if isinstance(argument, tuple):
        return tuple(_filled(each, place) for each in argument)
    return argument


def _told(answer: Response | Failure) -> Outcome:
    step = Step(action=SuiteAction(name="", arguments=()))
    if isinstance(answer, Failure):
        return Outcome(step=step, exit_code=None, failure=answer.rule, detail=answer.detail)
    return Outcome(
        step=step,
        exit_code=None if answer.was_cancelled else answer.exit_code,
        response=answer.output,
    )


def _plant(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    Path(path).write_bytes(content)


def _children(pid: int) -> tuple[str, ...]:
    """Living processes below a worker, each as its id and name."""
    told = []
    for each in family(pid)[1:]:
        with contextlib.suppress(psutil.Error):
            if each.status() != psutil.STATUS_ZOMBIE:
                told.append(f"{each.pid} {each.name()}")
    return tuple(told)


def _sample(pid: int, place: _Place) -> Sample | None:
    processes = family(pid)
    try:
        return Sample(
            memory=sum(each.memory_info().rss for each in processes),
            descriptors=sum(each.num_fds() for each in processes),
            threads=sum(each.num_threads() for each in processes),
            files=survey.count_files(place.home) + survey.count_files(place.temporary),
            programs=frozenset(each.name() for each in processes),
        )
    except psutil.Error:
        return None
