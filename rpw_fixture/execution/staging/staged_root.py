"""An input root on disk that serves one action after another; only differences are written.

A `StagedRoot` remembers what it placed. Before each action it compares the disk with that memory,
removes what a worker or an earlier action left or changed, and then applies the Merkle difference:
folders of equal digest are not entered. Every step uses folder descriptors and follows no symlink, so
that nothing that an action puts in place of a folder leads out of the root.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

from rpw_fixture.execution.staging.changes import FolderWatcher
from rpw_fixture.execution.staging.placed import Parents, Placed
from rpw_fixture.execution.staging.placing import Placing
from rpw_fixture.execution.staging.root_watches import RootWatches
from rpw_fixture.execution.staging.sweeping import Sweep
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.beneath import Beneath
from rpw_fixture.support.removal import Leftover, report
from rpw_fixture.wire.trees import Folder

#: Most repetitions of a staging: a worker that writes after its response may do so between the removal of
#: leftovers and the placing of inputs.
_RETRIES = 3


class StagedRoot:
    """A folder that holds the inputs of one action after another.

    Args:
        place: an existing empty folder, ours alone.
        watcher: reports which folders changed, so that only these are compared; without one all are.

    Attributes:
        place: that folder.
        has_leftovers: something in it could not be removed the last time.
    """

    def __init__(self, place: Beneath, watcher: FolderWatcher | None = None) -> None:
        self.place = place
        self.has_leftovers = False
        self._placed = Placed()
        self._watches = RootWatches(watcher, place.path) if watcher is not None else None

    @property
    def path(self) -> str:
        """Absolute path of the folder, for processes and messages."""
        return self.place.path

    def stage(self, root: Folder, parents: Parents, store: BlobStore) -> list[str]:
        """Make the folder hold exactly ``root`` and ``parents``.

        Returns:
            Paths of inputs that were found changed, replaced or gone since they were placed.

        Raises:
            RequestError: INVALID_ARGUMENT when a parent of an output is an input file.
            BlobMissingError: when a file's blob was evicted meanwhile.
            OSError: such as a full disk, or when the folder itself was removed.
        """
        for _ in range(_RETRIES):
            try:
                return self._stage(root, parents, store)
            except OSError as error:
                if not self._can_retry(error):
                    raise
        return self._stage(root, parents, store)

    def _can_retry(self, error: OSError) -> bool:
        """Return whether another try that compares everything can succeed.

        It can if something is mounted in the root, or a process has just created something there.
        """
        if self._watches is not None:
            self._watches.distrust()  # inotify does not report mounts
        is_mount = error.errno == errno.EXDEV and self._watches is not None
        return is_mount or error.errno == errno.EEXIST

    def _stage(self, root: Folder, parents: Parents, store: BlobStore) -> list[str]:
        sweep = Sweep(store, self._watches.add if self._watches is not None else None)
        with self.place.opened() as fd:
            self._clean(fd, sweep)
            placing = Placing(store, is_shared=False, watches=self._watches)
            placing.apply(fd, self._placed, root, parents)
            leftovers = sweep.leftovers + placing.leftovers
            if self._watches is not None:
                self._watches.settle(fd)
        self._report(leftovers)
        return sweep.changed

    def add(self, root: Folder, parents: Parents, outputs: Iterable[str], store: BlobStore) -> None:
        """Make the folder hold ``root`` and ``parents`` as well, while other actions work in it.

        Only what is in the way of inputs or ``outputs`` of the new action is removed. The caller
        makes sure that the trees of all these actions fit together.

        Raises:
            RequestError, BlobMissingError, OSError: as `stage`.
        """
        placing = Placing(store, is_shared=True, watches=self._watches)
        with self.place.opened() as fd:
            for path in outputs:
                if root.find(path) is None:
                    placing.remove_output(fd, self._placed, path)
            placing.apply(fd, self._placed, root, parents)
        self._report(placing.leftovers)

    def _report(self, leftovers: list[Leftover]) -> None:
        self.has_leftovers = any(each.is_left for each in leftovers)
        if leftovers:
            report(leftovers, self.path)

    def _clean(self, fd: int, sweep: Sweep) -> None:
        suspects = self._watches.suspects(fd, self._placed) if self._watches is not None else None
        try:
            if suspects is None:
                sweep.clean(fd, self._placed)
            else:
                for each in suspects:
                    sweep.clean_only(fd, each)
        except BaseException:
            if self._watches is not None:
                self._watches.distrust()  # some suspects were not compared
            raise
