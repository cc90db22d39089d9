"""A runner that remembers results between programs: it runs only trials that the store does not know."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import documents
from rpw_fixture.hermeticity.trials.result_store import ResultStore
from rpw_fixture.hermeticity.trials.trial import Result, Trial, Variation
from rpw_fixture.hermeticity.trials.trial_keys import TrialKeys
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.digests import Digest

#: Stands for the folder of all trials in what is stored: each program has another one.
_FOLDER = "/rpw-check-folder-b2c9"
#: A result with more content than this is not stored, bytes.
_MOST = 256 << 20


class Runner(Protocol):
    """Something that runs a trial."""

    def run(self, trial: Trial, folder: Path) -> Result:
        """Run a trial in a folder."""

    def effects(self, variation: Variation, folder: Path) -> Mapping[str, object]:
        """Return what each factor looks like to a process under a variation."""

    def check_layouts(self, actions: tuple[SuiteAction, ...]) -> None:
        """Lay out the inputs of all actions once."""

    def with_worker(self, worker: SuiteWorker) -> Runner | None:
        """Return a runner of trials of another worker; None if there can be none."""


class RememberingRunner:
    """A runner around another one. Thread-safe if the other one is.

    Args:
        inner: runs what is not remembered.
        results: the store that outlives the program.
        keys: what is looked up there.
        store: has the content of outputs.
        folder: the folder below which all trials run.

    Attributes:
        is_trusting: results are read from the store, and written to it. Not where they depend on the
            folder in which a worker runs, because another program has another one.
        problem: why nothing can be stored any more; "" while it can.
    """

    def __init__(
        self,
        inner: Runner,
        results: ResultStore,
        keys: TrialKeys,
        store: BlobStore,
        folder: Path,
    ) -> None:
        self._inner = inner
        self._results = results
        self._keys = keys
        self._store = store
        self._folder = folder
        self._serial = itertools.count()
        self._afresh: set[Trial] = set()
        self.is_trusting = True
        self.problem = ""

    def run(self, trial: Trial, folder: Path) -> Result:
        """Return the remembered result of a trial, else run it. Raises what the other runner raises."""
        if not self._may_remember(trial):
            return self._inner.run(trial, folder)
        key = self._keys.of(trial)
        found = self._read(key, trial) if trial not in self._afresh else None
        if found is not None:
            return replace(found, is_remembered=True)
        return self._inner.run(trial, folder)

    def keep(self, trial: Trial, result: Result) -> None:
        """Store a result that was run just now, with the record of a tracer still in its place."""
        if result.is_remembered or self.problem or not self._may_remember(trial):
            return
        if trial.max_seconds is not None and trial.is_cut_short(result.outcomes):
            return  # a machine that is less busy shows more
        try:
            self._write(self._keys.of(trial), trial, result)
        except OSError as error:
            self.problem = f"results are not stored any more: {error.strerror or error}"

    def _may_remember(self, trial: Trial) -> bool:
        """Return whether a trial is looked up and stored: experiments say where state lives now."""
        return self.is_trusting and trial.experiment is None

    def ask_afresh(self, trial: Trial) -> None:
        """Run a trial when it is asked for the next time, even if it is remembered."""
        self._afresh.add(trial)

    def effects(self, variation: Variation, folder: Path) -> Mapping[str, object]:
        """Return what the other runner returns, and raise what it raises."""
        return self._inner.effects(variation, folder)

    def check_layouts(self, actions: tuple[SuiteAction, ...]) -> None:
        """Do what the other runner does, and raise what it raises."""
        self._inner.check_layouts(actions)

    def with_worker(self, worker: SuiteWorker) -> Runner | None:
        """Return what the other runner returns: nothing of another worker is remembered."""
        return self._inner.with_worker(worker)

    def _read(self, key: str, trial: Trial) -> Result | None:
        content = self._results.read_result(key)
        if content is None:
            return None
        try:
            blobs = documents.blobs_of(content)
            if not all(self._is_known(each) for each in blobs):
                return None
            content = content.replace(_FOLDER.encode(), self._named())
            return documents.read_result(content, trial, self._unpack)
        except ValueError:
            self._results.forget_result(key)
            return None

    def _is_known(self, digest: Digest) -> bool:
        if self._store.contains(digest):
            return True
        content = self._results.read_blob(digest)
        if content is None:
            return False
        self._store.put(content, digest)
        return True

    def _unpack(self, trace: Digest) -> str:
        """Write the record of a tracer to a file, with the paths of this program's folder."""
        content = self._store.get(trace).replace(_FOLDER.encode(), str(self._folder).encode())
        path = self._folder / f"remembered-{next(self._serial)}"
        path.write_bytes(content)
        return str(path)

    def _write(self, key: str, trial: Trial, result: Result) -> None:
        if result.trace:
            result = replace(result, trace=self._packed(result.trace))
        content = documents.write_result(result, trial, self._store)
        content = content.replace(self._named(), _FOLDER.encode())
        blobs = documents.blobs_of(content)
        if sum(each.size for each in blobs) > _MOST:
            return
        for each in blobs:
            data = self._store.get(each)
            if str(self._folder).encode() in data and not result.trace:
                return  # it would look like a difference to the next program
            self._results.write_blob(each, data)
        self._results.write_result(key, content)

    def _packed(self, trace: str) -> str:
        """Return a copy of a tracer's record without the paths of this program's folder."""
        content = Path(trace).read_bytes().replace(str(self._folder).encode(), _FOLDER.encode())
        path = self._folder / f"packed-{next(self._serial)}"
        path.write_bytes(content)
        return str(path)

    def _named(self) -> bytes:
        """Return the folder of all trials as it stands in a JSON string."""
        return json.dumps(str(self._folder))[1:-1].encode()
