"""What all modes of running a trial need: staged inputs, a run folder, a process, its requests.

It uses the server's own parts (staging, spawner, framing) without gRPC in between, so that a check does
what the server would do, but much faster.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from rpw_fixture.errors import ConfigError
from rpw_fixture.execution.staging.staged_root import StagedRoot
from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import bulk, input_tree, rewriting, snapshot
from rpw_fixture.hermeticity.trials.read_watch import ReadWatch
from rpw_fixture.hermeticity.trials.run_folder import RunFolder, plant, process_setup
from rpw_fixture.hermeticity.trials.trial import (
    BASE,
    Listing,
    Outcome,
    Step,
    Trial,
    UnavailableError,
    Variation,
)
from rpw_fixture.hermeticity.trials.worker_session import Failure, WorkerSession
from rpw_fixture.launching import executable
from rpw_fixture.processes.spawner import Process, Spawner, StartError
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.beneath import Beneath
from rpw_fixture.support.removal import discard
from rpw_fixture.wire.worker.encodings import encoding
from rpw_fixture.wire.worker.messages import Request, Response
from rpw_fixture.wire.worker.protocol_names import PERSISTENT_FLAG
from rpw_fixture.workers.input_index import InputIndex
from rpw_fixture.workers.personalities.rules import InputList
from rpw_fixture.workers.process_pipes import Pipes, make_pipes

#: The lists that servers are known to send.
_SERVED = {
    Listing.HEX: InputList.HEX,
    Listing.RAW: InputList.RAW,
    Listing.MESSAGE: InputList.MESSAGE,
    Listing.NONE: InputList.NONE,
}


class WorkerSetup:
    """The set-up of trials: stages inputs and starts workers. Thread-safe.

    Args:
        worker: the worker under test.
        spawner: starts processes.
        store: takes inputs and outputs.
    """

    def __init__(self, worker: SuiteWorker, spawner: Spawner, store: BlobStore) -> None:
        self.worker = worker
        self.spawner = spawner
        self.store = store
        self.tools = input_tree.tool_layout(worker, store)
        self._encoding = encoding(worker.protocol)
        self._index = InputIndex()
        self._layouts: dict[tuple[SuiteAction, bool, int | None], input_tree.Layout] = {}

    def prepare(self, variation: Variation, folder: Beneath) -> RunFolder:
        """Return a run folder in ``folder``, which is emptied before.

        Raises:
            UnavailableError: the file system does not support the variation.
        """
        discard(folder)
        root = folder.below(variation.root)
        for each in (root, folder.below(variation.home), folder.below(variation.temporary)):
            with contextlib.suppress(FileExistsError):  # an earlier worker made it undeletable
                each.make()
        must_reverse = variation.is_reversed and not variation.is_order_optional
        if must_reverse and not _lists_by_creation(folder):
            raise UnavailableError(
                "this file system does not list files in the order of their creation; "
                "put TMPDIR on a RAM disk"
            )
        return RunFolder(folder=folder, variation=variation, staged=StagedRoot(root))

    def laid_out(self, action: SuiteAction, variation: Variation = BASE) -> input_tree.Layout:
        """Return the layout of an action, which is computed once.

        Args:
            action: the action.
            variation: says in which order and with which times its inputs are created.

        Raises:
            ConfigError: the inputs contradict each other.
        """
        is_reversed, mtime = variation.is_reversed, variation.input_mtime
        known = self._layouts.get((action, is_reversed, mtime))
        if known is None:
            known = input_tree.layout(
                self.worker, action, self.store, is_reversed=is_reversed, mtime=mtime
            )
            self._layouts[action, is_reversed, mtime] = known
        return known

    def stage(
        self, action: SuiteAction, run_folder: RunFolder, *, in_place: bool = False
    ) -> input_tree.Layout:
        """Stage the action's inputs, and remove everything but what earlier workers left.

        Args:
            action: the action.
            run_folder: where it is staged.
            in_place: files that are there and get new content keep their inodes.
        """
        layout = self.laid_out(action, run_folder.variation)
        is_next = run_folder.layout is not None and run_folder.layout is not layout
        if is_next and run_folder.variation.is_reversed:
            # Inputs of the request before would keep their places in the order.
            run_folder.staged.stage(self.tools.root, self.tools.parents, self.store)
        run_folder.layout = layout
        with rewriting.kept_inodes(run_folder, layout.root, enabled=in_place):
            run_folder.staged.stage(layout.root, layout.parents, self.store)
        for path, content in run_folder.remains.items():
            if layout.root.find(path) is None:
                with contextlib.suppress(OSError):  # a folder of the inputs has that name
                    plant(run_folder.input_root, path, content)
        return layout

    def look(
        self, root: Beneath, before: dict[str, snapshot.FileState], layout: input_tree.Layout
    ) -> snapshot.RootChanges:
        """Return what changed in an input root since ``before``."""
        return snapshot.compare(
            root, before, inputs=layout.root, outputs=layout.outputs, store=self.store
        )

    def environment(self, run_folder: RunFolder) -> dict[str, str]:
        """Return the environment of the process: the suite's, changed by the variation."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": run_folder.home,
            "TMPDIR": run_folder.temporary,
            **dict(self.worker.environment),
            **dict(run_folder.variation.environment),
        }

    @contextlib.contextmanager
    def watched(
        self, trial: Trial, action: SuiteAction, run_folder: RunFolder
    ) -> Iterator[ReadWatch | None]:
        """Watch reads of the action's inputs within the block, if the trial is watched.

        Raises:
            UnavailableError: this machine can't watch reads.
        """
        if not trial.is_watched:
            yield None
            return
        paths = [path for path, _ in self.laid_out(action).root.walk()]
        try:
            watch = ReadWatch(run_folder.input_root, paths)
        except OSError as error:
            raise UnavailableError(f"reads can't be watched: {error}") from None
        with watch:
            yield watch

    @contextlib.contextmanager
    def started(
        self, run_folder: RunFolder, more: Mapping[str, str] = MappingProxyType({})
    ) -> Iterator[WorkerSession]:
        """Start a fresh worker, and end it after the block.

        Args:
            run_folder: where it runs.
            more: variables that its environment has besides.

        Raises:
            ConfigError: the command can't be started.
            UnavailableError: this machine does not support the variation.
        """
        ours, theirs = make_pipes()
        try:
            process = self._spawn(run_folder, theirs, more)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        session = WorkerSession(process, ours, self._encoding)
        try:
            yield session
        finally:
            session.close()

    def request(
        self,
        layout: input_tree.Layout,
        step: Step,
        number: int,
        *,
        request_id: int,
        sandbox: str = "",
    ) -> Request:
        """Return the WorkRequest for a step, which is the ``number``-th of its history."""
        inputs = self._inputs(layout, step.listing, number)
        if more := bulk.more_inputs(step.bulk):
            pairs = [(self._relative(path), digest) for path, digest in more]
            inputs = self._encoding.join_inputs((inputs, self._encoding.encode_inputs(pairs)))
        return Request(
            arguments=(*layout.arguments, *bulk.more_arguments(step.bulk)),
            inputs=inputs,
            request_id=request_id,
            verbosity=step.verbosity,
            sandbox_dir=sandbox,
        )

    def _spawn(self, run_folder: RunFolder, pipes: Pipes, more: Mapping[str, str]) -> Process:
        argv = [*run_folder.variation.prefix, *self.worker.command, PERSISTENT_FLAG]
        argv = [each.replace("{trace}", run_folder.trace) for each in argv]
        environment = {**self.environment(run_folder), **more}
        cwd = os.path.join(run_folder.root, self.worker.working_directory)
        try:
            return self.spawner.spawn(
                executable=executable.find(argv[0], environment, cwd),
                argv=argv,
                env=environment,
                cwd=cwd,
                stdin=pipes.stdin,
                stdout=pipes.stdout,
                stderr=pipes.stderr,
                setup=process_setup(run_folder),
            )
        except StartError as error:
            if error.stage.startswith("setup step"):
                raise UnavailableError(error.message) from None
            raise ConfigError(f"worker.command can't be started: {error}") from None
        except (FileNotFoundError, PermissionError) as error:
            if run_folder.variation.prefix:
                raise UnavailableError(f"this machine has no {argv[0]}: {error}") from None
            raise ConfigError(f"worker.command can't be started: {error}") from None

    def _inputs(self, layout: input_tree.Layout, listing: Listing, number: int) -> bytes:
        served = _SERVED.get(listing)
        base = self.worker.working_directory
        if served is not None:
            return self._index.encoded_inputs(layout.root, self._encoding, served, base)
        return self._encoding.encode_inputs(
            (self._relative(path), _unusual_digest(entry.digest.hash, listing, number))
            for path, entry in layout.root.walk()
        )

    def _relative(self, path: str) -> str:
        """Return a path below the input root as the worker sees it from its working directory."""
        base = self.worker.working_directory
        return os.path.relpath(path, base) if base else path


def outcome_of(step: Step, answer: Response | Failure) -> Outcome:
    """Return the outcome of a step from the worker's response alone."""
    if isinstance(answer, Failure):
        return Outcome(step=step, exit_code=None, failure=answer.rule, detail=answer.detail)
    return Outcome(
        step=step,
        exit_code=None if answer.was_cancelled else answer.exit_code,
        response=answer.output,
        ignored=answer.ignored,
    )


def _lists_by_creation(folder: Beneath) -> bool:
    """Return whether the file system lists files in the order of their creation."""
    lists = []
    for number, names in enumerate(("ab", "ba")):
        probe = folder.below(f"order-{number}")
        probe.make()
        with probe.opened() as fd:
            for name in names:
                os.mkdir(name, dir_fd=fd)
            lists.append(os.listdir(fd))
        discard(probe)
    return lists[0] != lists[1]


def _unusual_digest(known: str, listing: Listing, number: int) -> bytes:
    """Return digest bytes that no server sends for a content with that hash."""
    if listing is Listing.EMPTY:
        return b""
    return hashlib.sha256(f"{known} {number}".encode()).hexdigest().encode()
