"""The folders of one trial, the set-up of its worker's process, and what the worker holds.

`worker_setup` stages inputs, `worker_session` exchanges requests and responses.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rpw_fixture.execution.staging.staged_root import StagedRoot
from rpw_fixture.hermeticity.trials import process_facts, snapshot
from rpw_fixture.hermeticity.trials.input_tree import Layout
from rpw_fixture.hermeticity.trials.trial import Sample, Variation
from rpw_fixture.launching import landlock_step
from rpw_fixture.processes.spawner import Setup, SetupStep
from rpw_fixture.storage.files import CREATE, write_all
from rpw_fixture.support.beneath import Beneath
from rpw_fixture.support.removal import remove_at

_SETUP_STEPS = str(Path(__file__).with_name("setup_steps.py"))
#: Files of the steps that are not in `setup_steps`.
_STEP_FILES = {"restrict_paths": landlock_step.__file__}
_UMASK = 0o022
#: Of an undeclared file that is kept, at most this many bytes.
_LARGEST_STRAY = 1 << 20


@dataclass(slots=True, kw_only=True)
class RunFolder:
    """The folders of one trial.

    Attributes:
        folder: the folder that contains all others.
        variation: the environment, with the paths of the other folders.
        staged: the staged input root.
        remains: undeclared files that earlier workers left in the input root, by path.
        layout: what was staged last, if anything was.
    """

    folder: Beneath
    variation: Variation
    staged: StagedRoot
    remains: dict[str, bytes] = field(default_factory=dict)
    layout: Layout | None = None

    @property
    def input_root(self) -> Beneath:
        """The input root."""
        return self.staged.place

    @property
    def root(self) -> str:
        """The path of the input root."""
        return self.staged.path

    def keep(self, strays: Iterable[str]) -> None:
        """Keep undeclared files of the input root for all later requests."""
        self.remains.update(snapshot.contents(self.input_root, strays, _LARGEST_STRAY))

    @property
    def home(self) -> str:
        """The worker's HOME."""
        return self.folder.below(self.variation.home).path

    @property
    def temporary(self) -> str:
        """The worker's TMPDIR."""
        return self.folder.below(self.variation.temporary).path

    @property
    def trace(self) -> str:
        """The file that a tracer writes."""
        return self.folder.below("trace").path


def process_setup(run_folder: RunFolder) -> Setup:
    """Return the steps that set up the worker's process between fork and exec."""
    variation = run_folder.variation
    steps = []
    for function, argument in variation.steps:
        file = _STEP_FILES.get(function, _SETUP_STEPS)
        steps.append(
            SetupStep(file=file, function=function, argument=_filled(argument, run_folder))
        )
    umask = _UMASK if variation.umask is None else variation.umask
    return Setup(umask=umask, steps=tuple(steps))


def plant(root: Beneath, path: str, content: bytes) -> None:
    """Write a file at ``path`` in an input root, and remove what is there.

    Raises:
        OSError: a parent folder was replaced by something else.
    """
    above, name = posixpath.split(path)
    if above:
        with contextlib.suppress(FileExistsError):
            root.below(above).make()
    with root.below(above).opened() as fd:
        remove_at(fd, name)
        file = os.open(name, CREATE, 0o644, dir_fd=fd)
        try:
            write_all(file, content)
        finally:
            os.close(file)


def children(pid: int) -> tuple[str, ...]:
    """Return the running processes below a worker, each as id and name."""
    found = process_facts.family(pid)[1:]
    return tuple(f"{each.pid} {each.name}" for each in found if not each.is_zombie)


def sample(pid: int, run_folder: RunFolder) -> Sample | None:
    """Return the resources of a worker and the processes below it; None if it is gone."""
    processes = process_facts.family(pid)
    try:
        return Sample(
            memory=sum(process_facts.memory(each.pid) for each in processes),
            descriptors=sum(process_facts.descriptors(each.pid) for each in processes),
            threads=sum(each.threads for each in processes),
            files=sum(map(snapshot.count_files, _written_folders(run_folder))),
            programs=frozenset(each.name for each in processes),
        )
    except OSError:
        return None


def _written_folders(run_folder: RunFolder) -> tuple[Beneath, Beneath]:
    """Return the worker's HOME and TMPDIR."""
    variation = run_folder.variation
    return run_folder.folder.below(variation.home), run_folder.folder.below(variation.temporary)


def _filled(argument: object, run_folder: RunFolder) -> object:
    """Return the argument with ``{run}`` replaced by the run's folder."""
    if isinstance(argument, str):
        return argument.replace("{run}", run_folder.folder.path)
    if isinstance(argument, tuple):
        return tuple(_filled(each, run_folder) for each in argument)
    return argument
