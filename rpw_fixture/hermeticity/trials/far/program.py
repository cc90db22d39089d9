"""The program that answers a question on a machine of a cluster. It needs the standard library only.

It keeps no worker and no state: it starts from the files in its working directory, writes its answer
there, and removes everything else.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import documents
from rpw_fixture.hermeticity.trials.far import question as files
from rpw_fixture.hermeticity.trials.far.question import Answer, Question
from rpw_fixture.hermeticity.trials.far.slots import claimed
from rpw_fixture.hermeticity.trials.json_values import converter, dumps
from rpw_fixture.hermeticity.trials.local import LocalRunner
from rpw_fixture.hermeticity.trials.trial import Trial, UnavailableError, Variation
from rpw_fixture.processes.spawner import Spawner
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import SHA256, Digest, DigestFunctions

#: Exit codes; a cluster remembers only results with 0, and the others may differ on another machine.
_ANSWERED, _MISUSED, _UNAVAILABLE = 0, 2, 3
_MEMORY, _SPILL, _MOST_BYTES = 64 << 20, 1 << 20, 64 << 30


def main(root: Path | None = None) -> int:
    """Answer the question in a folder, by default the working directory; return the exit code."""
    root = root or Path.cwd()
    question = files.read_question((root / files.QUESTION).read_bytes())
    code = _ANSWERED
    try:
        answer = _answer(question, root)
    except UnavailableError as error:
        answer, code = Answer(unavailable=str(error)), _UNAVAILABLE
    except ConfigError as error:
        answer, code = Answer(misused=str(error)), _MISUSED
    (root / files.ANSWER).write_bytes(files.write(answer))
    return code


def _answer(question: Question, root: Path) -> Answer:
    """Return the answer.

    Raises:
        UnavailableError: this machine does not support the trial.
        ConfigError: the worker can't be started.
    """
    worker = _read_worker(root / files.WORKER)
    with ExitStack() as stack:
        folder = stack.enter_context(claimed(is_fixed=question.is_fixed))
        cas = _new_cas(folder / "cas")
        stack.callback(cas.close)
        store = cas.store(SHA256)
        runner = LocalRunner(worker, stack.enter_context(Spawner()), store)
        if question.effects:
            variation = converter(Variation, {}).read(json.loads(question.effects))
            effects = runner.effects(variation, folder / "run-00")
            return Answer(effects=dumps(dict(effects)).decode(), folder=str(folder))
        trial = _read_trial(question, root / files.ACTIONS)
        began = time.time()
        result = replace(runner.run(trial, folder / "run-00"), began=began, ended=time.time())
        content = documents.write_result(result, trial, store)
        _write_blobs(content, store, root / files.BLOBS)
        return Answer(result=content.decode(), folder=str(folder))


def _new_cas(folder: Path) -> Cas:
    return Cas(
        DigestFunctions([SHA256.name]),
        folder=folder,
        memory_bytes=_MEMORY,
        spill_threshold=_SPILL,
        max_bytes=_MOST_BYTES,
        durable=False,
    )


def _read_worker(folder: Path) -> SuiteWorker:
    content = (folder / files.DOCUMENT).read_bytes()
    return documents.read_worker(content, lambda digest: _blob(folder, digest))


def _read_trial(question: Question, folder: Path) -> Trial:
    actions: dict[str, SuiteAction] = {}
    for each in sorted(folder.iterdir()):
        content = (each / files.DOCUMENT).read_bytes()
        actions[str(SHA256.of(content))] = _read_action(each, content)
    return documents.read_trial(question.trial.encode(), actions)


def _read_action(folder: Path, content: bytes) -> SuiteAction:
    return documents.read_action(content, lambda digest: _blob(folder, digest))


def _blob(folder: Path, digest: Digest) -> bytes:
    return (folder / digest.hash).read_bytes()


def _write_blobs(content: bytes, store: BlobStore, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for digest in sorted(documents.blobs_of(content)):
        with (folder / digest.hash).open("wb") as file:
            file.writelines(store.read(digest))
