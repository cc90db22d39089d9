"""Trials, their actions, and results as JSON documents, and back.

A document names content by its SHA-256 digest and does not hold it, but for files that a check plants.
Equal values have equal documents, so the digest of a document is a key. A document does not name the
program: results may depend on its version, so a key that outlives the program has to name it, too.

| document | names | written by |
|---|---|---|
| of an action | the content of its inputs | `ActionDocuments.of` |
| of a worker | the content of its tool inputs | `write_worker` |
| of a trial | the digests of its actions' documents | `ActionDocuments.write_trial` |
| of a result | the content of outputs, and the tracer's record | `write_result` |
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials.json_values import Converter, converter, dumps, read_json
from rpw_fixture.hermeticity.trials.trial import Result, Step, Trial
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.file_intake import put_file
from rpw_fixture.wire.digests import SHA256, Digest

#: How `snapshot` describes an output that is a file: its digest comes first.
_FILE_OUTPUT = re.compile(r"([0-9a-f]{64})/([0-9]+)(?: executable)?")

_NO_ACTION = SuiteAction(name="", arguments=())
T = TypeVar("T")

#: Returns content by its digest.
ReadBlob = Callable[[Digest], bytes]


class Document(NamedTuple):
    """A document and the content that it names.

    Attributes:
        content: the document.
        blobs: the content of the files that it names.
    """

    content: bytes
    blobs: Mapping[Digest, bytes]

    @property
    def digest(self) -> Digest:
        """The digest of the document itself."""
        return SHA256.of(self.content)


class ActionDocuments:
    """The documents of actions, each of which is written once, and of trials. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, bool], Document] = {}
        special = {SuiteAction: Converter(lambda each: str(self.of(each).digest), _unreadable)}
        self._trials = converter(Trial, special)

    def of(self, action: SuiteAction) -> Document:
        """Return the document of an action."""
        key = (action.identity, action.flagfile, action.do_not_cache)
        found = self._known.get(key)
        if found is None:
            found = self._known.setdefault(key, _write(SuiteAction, action))
        return found

    def write_trial(self, trial: Trial) -> bytes:
        """Return the document of a trial, which names its actions by the digests of theirs."""
        return dumps(self._trials.write(trial))


def actions_of(trial: Trial) -> list[SuiteAction]:
    """Return the actions that the document of a trial names, each once."""
    found = [each.action for each in _steps(trial)]
    if trial.started_with is not None:
        found.append(trial.started_with)
    return list(dict.fromkeys(found))


def read_trial(content: bytes, actions: Mapping[str, SuiteAction]) -> Trial:
    """Return the trial of a document.

    Args:
        content: the document.
        actions: the actions that it names, by the digests of their documents.

    Raises:
        ValueError: it is no such document, or an action is missing.
    """
    special = {SuiteAction: Converter(_unreadable, actions.__getitem__)}
    return _read(Trial, content, special)


def read_action(content: bytes, blob: ReadBlob) -> SuiteAction:
    """Return the action of a document. Raises what `read_trial` and ``blob`` raise."""
    return _read(SuiteAction, content, {File: _reading_files(blob)})


def write_worker(worker: SuiteWorker) -> Document:
    """Return the document of a worker."""
    return _write(SuiteWorker, worker)


def read_worker(content: bytes, blob: ReadBlob) -> SuiteWorker:
    """Return the worker of a document. Raises what `read_action` raises."""
    return _read(SuiteWorker, content, {File: _reading_files(blob)})


def write_result(result: Result, trial: Trial, store: BlobStore) -> bytes:
    """Return the document of a trial's result.

    Args:
        result: the result. The record of a tracer, if it is a file, is put into the store.
        trial: the trial; its requests are named by their numbers.
        store: the store that has the outputs.

    Raises:
        OSError: the record can't be read.
    """
    if result.trace:
        is_file = os.path.isfile(result.trace) and not os.path.islink(result.trace)
        result = replace(result, trace=str(put_file(store, result.trace)) if is_file else "")
    return dumps(converter(Result, _numbered(tuple(_steps(trial)))).write(result))


def read_result(content: bytes, trial: Trial, trace_path: Callable[[Digest], str]) -> Result:
    """Return the result of a document.

    Args:
        content: the document.
        trial: the trial that the result is of.
        trace_path: writes the record of a tracer to a file and returns the path.

    Raises:
        ValueError: it is no document of a result of that trial.
    """
    result = _read(Result, content, _numbered(tuple(_steps(trial))))
    return replace(result, trace=trace_path(digest_of(result.trace))) if result.trace else result


def blobs_of(content: bytes) -> set[Digest]:
    """Return the digests of all content that the document of a result names.

    Raises:
        ValueError: it is no document of a result.
    """
    step = Converter(_unreadable, lambda _number: Step(action=_NO_ACTION))
    result = _read(Result, content, {Step: step})
    outcomes = [*result.outcomes, *(each for some in result.earlier for each in some.outcomes)]
    found = {digest_of(result.trace)} if result.trace else set()
    for each in outcomes:
        for text in each.outputs.values():
            if match := _FILE_OUTPUT.fullmatch(text):
                found.add(Digest(match[1], int(match[2])))
    return found


def digest_of(text: str) -> Digest:
    """Return the digest that ``HASH/SIZE`` names.

    Raises:
        ValueError: the text names none.
    """
    match = _FILE_OUTPUT.fullmatch(text)
    if match is None or text.endswith("executable"):
        raise ValueError(f"{text!r} is no digest")
    return Digest(match[1], int(match[2]))


def _write(kind: type[Any], value: object) -> Document:
    blobs: dict[Digest, bytes] = {}
    plain = converter(kind, {File: _writing_files(blobs)}).write(value)
    return Document(dumps(plain), blobs)


def _writing_files(blobs: dict[Digest, bytes]) -> Converter:
    """Return a converter of files that collects their content."""

    def write(file: File) -> dict[str, Any]:
        digest = SHA256.of(file.content)
        blobs[digest] = file.content
        return {"digest": str(digest), **({"is_executable": True} if file.is_executable else {})}

    return Converter(write, _unreadable)


def _reading_files(blob: ReadBlob) -> Converter:
    def read(plain: Any) -> File:
        return File(blob(digest_of(plain["digest"])), plain.get("is_executable", False))

    return Converter(_unreadable, read)


def _unreadable(value: object) -> Any:
    """Refuse the direction that a converter does not have."""
    raise TypeError(f"{value!r} can't be converted in this direction")


def _read(kind: type[T], content: bytes, special: Mapping[Any, Converter]) -> T:
    """Return the value of a document.

    Raises:
        ValueError: it is no document of that kind.
    """
    return read_json(kind, content, special, name=f"document of a {kind.__name__}")


def _numbered(steps: tuple[Step, ...]) -> Mapping[Any, Converter]:
    """Return a converter of requests to their numbers among ``steps``."""
    numbers = {step: number for number, step in reversed(list(enumerate(steps)))}
    return {Step: Converter(numbers.__getitem__, steps.__getitem__)}


def _steps(trial: Trial) -> Iterator[Step]:
    """Yield the requests of a trial and of its predecessors."""
    yield from trial.history
    for each in trial.predecessors:
        yield from each.history
