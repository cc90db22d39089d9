"""What is asked of a machine of a cluster, and its answer: files in the input root, and outputs.

    question.json          what to do; names the following by the digests of their documents
    worker/document.json   the worker, and worker/HASH with the content of each tool input
    actions/HASH/          document.json of an action, and the content of each of its inputs

    answer.json            the answer
    blobs/HASH             the content of outputs that the answer names

Content has its SHA-256 as its name, whatever digest function the cluster uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rpw_fixture._version import __version__
from rpw_fixture.hermeticity.trials.json_values import Converter, converter, dumps, read_json

T = TypeVar("T")
QUESTION, ANSWER, BLOBS = "question.json", "answer.json", "blobs"
WORKER, ACTIONS, DOCUMENT = "worker", "actions", "document.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a machine is asked.

    Attributes:
        worker: digest of the document of the worker.
        trial: the document of a trial; empty for none.
        effects: a variation in plain values, whose effects are asked for instead; None for none.
        is_fixed: the trial runs at the path at which all trials run that say so.
        version: version of the program.
    """

    worker: str
    trial: str = ""
    effects: str = ""
    is_fixed: bool = False
    version: str = __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a machine answers; just one of the first four attributes is set.

    Attributes:
        result: the document of the trial's result.
        effects: what each factor looks like to a process, as JSON.
        unavailable: why this machine does not support the trial.
        misused: why the suite can't be run.
        folder: the folder in which the trial ran, which may be in results and records.
    """

    result: str = ""
    effects: str = ""
    unavailable: str = ""
    misused: str = ""
    folder: str = ""


_NO_SPECIAL: Mapping[Any, Converter] = {}


def write(value: Question | Answer) -> bytes:
    """Return a question or an answer as a file."""
    return dumps(converter(type(value), _NO_SPECIAL).write(value))


def read_question(content: bytes) -> Question:
    """Return a question from its file.

    Raises:
        ValueError: it is none.
    """
    return _read(Question, content)


def read_answer(content: bytes) -> Answer:
    """Return an answer from its file.

    Raises:
        ValueError: it is none.
    """
    return _read(Answer, content)


def _read(kind: type[T], content: bytes) -> T:
    return read_json(kind, content, _NO_SPECIAL, name=kind.__name__.lower())
