"""Running one trial: a fresh folder, a cold worker, its requests, and a look after each of them.

Built from the server's own parts (staging, spawner, framing), without gRPC between: what is checked is
what the server would do, some hundred times as often.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rpw_fixture.cancellation import CancelToken
from rpw_fixture.errors import ConfigError
from rpw_fixture.execution import executable, one_shot, staging
from rpw_fixture.execution.input_index import InputIndex
from rpw_fixture.execution.launching import Launch, Local
from rpw_fixture.execution.removal import remove
from rpw_fixture.execution.routing import PERSISTENT_FLAG
from rpw_fixture.hermeticity import layout, survey
from rpw_fixture.hermeticity.conversation import Conversation, Failure
from rpw_fixture.hermeticity.place import Place, children, plant, sample, setup
from rpw_fixture.hermeticity.read_watch import ReadWatch
from rpw_fixture.hermeticity.subject import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import (
    Cancel,
    Listing,
    Outcome,
    Result,
    Step,
    Trial,
    Variation,
    Way,
)
from rpw_fixture.processes.client import Process, Spawner, StartError
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.worker_encodings import encoding
from rpw_fixture.wire.worker_messages import Request, Response
from rpw_fixture.workers.personalities.rules import InputList
from rpw_fixture.workers.plumbing import Pipes, make_pipes

_MAX_OUTPUT = 1 << 20
#: Left alone for so long, seconds, a worker that wrote or answered once too often has done it.
_LATE = 0.15
#: What servers are known to list.
_SERVED = {
    Listing.HONEST: InputList.HEX,
    Listing.RAW: InputList.RAW,
    Listing.MESSAGE: InputList.MESSAGE,
    Listing.NONE: InputList.NONE,
}


class UnavailableError(Exception):
    """This machine can't vary that factor; the text says why."""


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
            runs = (self._run_once(each, place, trial) for each in trial.history)
            return Result(outcomes=tuple(runs))
        first = trial.started_with or trial.history[0].action
        if trial.way is Way.OVERLAPPING:
            return self._overlap(trial, place)
        self._stage(first, place)
        with self._watched(trial, first, place) as watch, self._started(place) as talk:
            if trial.started_with is not None:
                talk.rest()
            outcomes = list(self._converse(trial, place, talk))
            outcomes[-1] = _with_opened(outcomes[-1], watch)
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

    def _prepare(self, variation: Variation, folder: Path) -> Place:
        remove(str(folder))
        root = folder / variation.root
        for each in (root, folder / variation.home, folder / variation.temporary):
            each.mkdir(parents=True)
        return Place(folder=folder, variation=variation, staged=staging.StagedRoot(str(root)))

    def _layout(self, action: SuiteAction, *, is_reversed: bool = False) -> layout.Layout:
        key = (action, is_reversed)
        known = self._layouts.get(key)
        if known is None:
            known = layout.layout(self._worker, action, self._store, is_reversed=is_reversed)
            self._layouts[key] = known
        return known

    def _stage(self, action: SuiteAction, place: Place) -> layout.Layout:
        found = self._layout(action, is_reversed=place.variation.is_reversed)
        place.staged.stage(found.root, found.parents, self._store)
        mtime = place.variation.input_mtime
        if mtime is not None:
            for path, _ in found.root.walk():
                os.utime(os.path.join(place.root, path), (mtime, mtime), follow_symlinks=False)
        return found

    def _environment(self, place: Place) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": place.home,
            "TMPDIR": place.temporary,
            **dict(self._worker.environment),
            **dict(place.variation.environment),
        }

    @contextlib.contextmanager
    def _watched(
        self, trial: Trial, action: SuiteAction, place: Place
    ) -> Iterator[ReadWatch | None]:
        if not trial.is_watched:
            yield None
            return
        paths = [path for path, _ in self._layout(action).root.walk()]
        try:
            watch = ReadWatch(place.root, paths)
        except OSError as error:
            raise UnavailableError(f"reads can't be watched: {error}") from None
        with watch:
            yield watch

    # --- processes ---

    @contextlib.contextmanager
    def _started(self, place: Place) -> Iterator[Conversation]:
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

    def _spawn(self, place: Place, pipes: Pipes) -> Process:
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
                setup=setup(place),
            )
        except StartError as error:
            if error.stage.startswith("setup step"):
                raise UnavailableError(error.message) from None
            raise ConfigError(f"worker.command can't be started: {error}") from None
        except (FileNotFoundError, PermissionError) as error:
            raise ConfigError(f"worker.command can't be started: {error}") from None

    # --- requests ---

    def _converse(self, trial: Trial, place: Place, talk: Conversation) -> Iterator[Outcome]:
        for number, step in enumerate(trial.history, start=1):
            if number > 1 and (fault := talk.find_surplus()) is not None:
                yield Outcome(step=step, exit_code=None, failure=fault.rule, detail=fault.detail)
                return
            outcome = self._request(step, number, place, talk)
            if trial.is_measured:
                outcome = replace(outcome, sample=sample(talk.process.pid, place))
            yield outcome
            if outcome.failure:
                return

    def _request(self, step: Step, number: int, place: Place, talk: Conversation) -> Outcome:
        found = self._stage(step.action, place)
        for path, content in step.planted:
            plant(os.path.join(place.root, path), content)
        before = survey.look(place.root)
        request_id = number if self._worker.multiplex else 0
        talk.stderr.drain()
        mark = talk.stderr.total
        began = time.monotonic()
        talk.send(
            self._work_request(found, step.listing, request_id, number),
            is_extended=step.is_extended,
            delivery=step.delivery,
        )
        self._cancel(step, request_id, talk)
        answer = talk.receive(began + self._worker.timeout)
        seconds = time.monotonic() - began
        seen = self._look(place, before, found)
        late = self._find_late(step, answer, place, talk)
        talk.stderr.drain()
        return replace(
            _told(answer),
            step=step,
            outputs=seen.outputs,
            changed_inputs=seen.changed_inputs,
            strays=seen.strays,
            children=children(talk.process.pid),
            stderr=talk.stderr.since(mark).decode(errors="replace"),
            late=late,
            seconds=seconds,
        )

    def _work_request(
        self,
        found: layout.Layout,
        listing: Listing,
        request_id: int,
        number: int,
        sandbox: str = "",
    ) -> Request:
        return Request(
            arguments=found.arguments,
            inputs=self._inputs(found, listing, number),
            request_id=request_id,
            sandbox_dir=sandbox,
        )

    def _inputs(self, found: layout.Layout, listing: Listing, number: int) -> bytes:
        """What the request of that number in its history lists."""
        served = _SERVED.get(listing)
        if served is not None:
            return self._index.encoded_inputs(found.root, self._encoding, served)
        return self._encoding.encode_inputs(
            (path, _made_up(entry.digest.hash, listing, number))
            for path, entry in found.root.walk()
        )

    def _look(
        self, place: Place, before: dict[str, survey.Seen], found: layout.Layout
    ) -> survey.Survey:
        return survey.compare(
            place.root, before, inputs=found.root, outputs=found.outputs, store=self._store
        )

    def _cancel(self, step: Step, request_id: int, talk: Conversation) -> None:
        if step.cancel is Cancel.AT_WORK:
            talk.hand_over(time.monotonic() + self._worker.timeout)
            time.sleep(step.delay)
        if step.cancel in {Cancel.AT_ONCE, Cancel.AT_WORK}:
            talk.cancel(request_id)

    def _find_late(
        self, step: Step, answer: Response | Failure, place: Place, talk: Conversation
    ) -> str:
        """What a worker does after its answer to a cancelled request that it must not."""
        if isinstance(answer, Failure):
            return ""
        if step.cancel is Cancel.AFTERWARDS:
            talk.cancel(answer.request_id)
            talk.hand_over(time.monotonic() + self._worker.timeout)
            fault = talk.listen(_LATE)
            return f"it answered twice: {fault.detail}" if fault is not None else ""
        return self._await_late_writes(place) if answer.was_cancelled else ""

    def _await_late_writes(self, place: Place) -> str:
        before = survey.look(place.root)
        time.sleep(_LATE)
        after = survey.look(place.root)
        # Deepest first: a folder changes because of what is in it.
        changed = [path for path, seen in reversed(after.items()) if before.get(path) != seen]
        return f"{changed[0]} was written after the response" if changed else ""

    # --- overlapping and one-shot ---

    def _overlap(self, trial: Trial, place: Place) -> Result:
        layouts = [self._layout(step.action) for step in trial.history]
        roots = self._stage_all(layouts, place)
        outcomes: dict[int, Outcome] = {}
        with self._started(place) as talk:
            looks = [survey.look(root) for root in roots]
            for number, (step, found) in enumerate(zip(trial.history, layouts, strict=True), 1):
                sandbox = (
                    os.path.relpath(roots[number - 1], place.root) if self._worker.sandbox else ""
                )
                request = self._work_request(found, step.listing, number, number, sandbox)
                talk.send(request, delivery=step.delivery)
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

    def _stage_all(self, layouts: list[layout.Layout], place: Place) -> list[str]:
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

    def _run_once(self, step: Step, place: Place, trial: Trial) -> Outcome:
        found = self._stage(step.action, place)
        before = survey.look(place.root)
        command = Launch(
            argv=(*self._worker.command, f"@{step.action.flagfile}"),
            environment=self._environment(place),
            root=place.root,
            working_directory=self._worker.working_directory,
        )
        with self._watched(trial, step.action, place) as watch:
            result = one_shot.run(
                command,
                launcher=Local(self._spawner),
                deadline=time.monotonic() + self._worker.timeout,
                token=CancelToken(),
                max_output_bytes=_MAX_OUTPUT,
            )
            opened = watch.opened() if watch is not None else frozenset()
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
            opened=opened,
        )


def _made_up(known: str, listing: Listing, number: int) -> bytes:
    """Digest bytes that no server sends for a content known by its hash."""
    if listing is Listing.EMPTY:
        return b""
    return hashlib.sha256(f"{known} {number}".encode()).hexdigest().encode()


def _told(answer: Response | Failure) -> Outcome:
    step = Step(action=SuiteAction(name="", arguments=()))
    if isinstance(answer, Failure):
        return Outcome(step=step, exit_code=None, failure=answer.rule, detail=answer.detail)
    return Outcome(
        step=step,
        exit_code=None if answer.was_cancelled else answer.exit_code,
        response=answer.output,
    )


def _with_opened(outcome: Outcome, watch: ReadWatch | None) -> Outcome:
    return outcome if watch is None else replace(outcome, opened=watch.opened())
