"""Questions as REAPI actions: one input root for each, most of whose folders are the same for all.

The folders of the program, the worker and each action are encoded once and remembered, so that another
trial costs a few hundred bytes.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from google.protobuf.message import Message

from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.documents import ActionDocuments, Document
from rpw_fixture.hermeticity.trials.far import question as files
from rpw_fixture.hermeticity.trials.far.question import Question
from rpw_fixture.wire.digests import Digest, DigestFunction, message_of
from rpw_fixture.wire.protos import remote_execution as reapi

#: The folder of the program in an input root.
FOLDER = "program"
#: PATH on the machines of a cluster, if nothing else is said.
USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The program that answers.

    Attributes:
        name: name of its file.
        content: the file.
        command: the words that run it in its folder.
        path: PATH of the program and of the worker.
    """

    name: str
    content: bytes
    command: tuple[str, ...]
    path: str = USUAL_PATH


class InputFolder(NamedTuple):
    """A folder of input roots: its digest, and the blobs of all that is in it."""

    digest: Digest
    blobs: Mapping[Digest, bytes]


class QuestionAction(NamedTuple):
    """A question as an action.

    Attributes:
        digest: digest of the action.
        blobs: the messages and files that no other question has.
        shared: folders that it has in common with others.
    """

    digest: Digest
    blobs: Mapping[Digest, bytes]
    shared: tuple[InputFolder, ...]


class InputRoots:
    """A maker of actions for one cluster. Thread-safe.

    Args:
        function: the digest function of the cluster.
        program: the program that answers.
        platform: platform properties of every action.
        is_legacy: for servers before API 2.1, which do not know ``Command.output_paths``.
    """

    def __init__(
        self,
        function: DigestFunction,
        program: Program,
        *,
        platform: Mapping[str, str] = MappingProxyType({}),
        is_legacy: bool = False,
    ) -> None:
        self._function = function
        self._program = program
        self._is_legacy = is_legacy
        self._platform = _platform_of(platform)
        self._lock = threading.Lock()
        self._folders: dict[Digest, InputFolder] = {}
        self._program_folder = self._encode({program.name: program.content}, executable=True)

    def of(
        self,
        question: Question,
        worker: Document,
        documents: ActionDocuments,
        actions: list[SuiteAction],
        timeout: float,
    ) -> QuestionAction:
        """Return the action of a question.

        Args:
            question: the question.
            worker: the document of the worker.
            documents: has the documents of the actions.
            actions: the actions that the question names.
            timeout: most seconds that the answer may take.
        """
        blobs: dict[Digest, bytes] = {}
        shared = [self._program_folder, self._folder_of(worker)]
        root = reapi.Directory()
        named = {each.digest.hash: each for each in map(documents.of, actions)}
        below = reapi.Directory()
        for name, document in sorted(named.items()):
            folder = self._folder_of(document)
            shared.append(folder)
            below.directories.add(name=name, digest=message_of(folder.digest))
        root.directories.add(name=files.ACTIONS, digest=self._add(blobs, below))
        root.directories.add(name=FOLDER, digest=message_of(shared[0].digest))
        root.directories.add(name=files.WORKER, digest=message_of(shared[1].digest))
        content = files.write(question)
        root.files.add(name=files.QUESTION, digest=self._add_bytes(blobs, content))
        action = reapi.Action(
            command_digest=self._add(blobs, self._command()),
            input_root_digest=self._add(blobs, root),
            platform=None if self._is_legacy else self._platform,
        )
        action.timeout.FromNanoseconds(round(timeout * 1e9))
        digest = self._add(blobs, action)
        once = {each.digest: each for each in shared}
        return QuestionAction(Digest(digest.hash, digest.size_bytes), blobs, tuple(once.values()))

    def _command(self) -> reapi.Command:
        program = self._program
        script = "exec " + shlex.join(program.command)
        command = reapi.Command(arguments=["/bin/sh", "-c", script], platform=self._platform)
        command.environment_variables.add(name="PATH", value=program.path)
        if self._is_legacy:
            command.output_files.append(files.ANSWER)
            command.output_directories.append(files.BLOBS)
        else:
            command.output_paths.extend((files.ANSWER, files.BLOBS))
        return command

    def _folder_of(self, document: Document) -> InputFolder:
        with self._lock:
            found = self._folders.get(document.digest)
            if found is None:
                contents = {digest.hash: data for digest, data in document.blobs.items()}
                found = self._encode({files.DOCUMENT: document.content, **contents})
                self._folders[document.digest] = found
            return found

    def _encode(self, contents: Mapping[str, bytes], *, executable: bool = False) -> InputFolder:
        blobs: dict[Digest, bytes] = {}
        message = reapi.Directory()
        for name, data in sorted(contents.items()):
            digest = self._add_bytes(blobs, data)
            message.files.add(name=name, digest=digest, is_executable=executable)
        digest = self._add(blobs, message)
        return InputFolder(Digest(digest.hash, digest.size_bytes), MappingProxyType(blobs))

    def _add(self, blobs: dict[Digest, bytes], message: Message) -> reapi.Digest:
        return self._add_bytes(blobs, message.SerializeToString(deterministic=True))

    def _add_bytes(self, blobs: dict[Digest, bytes], data: bytes) -> reapi.Digest:
        digest = self._function.of(data)
        blobs[digest] = data
        return message_of(digest)


def _platform_of(properties: Mapping[str, str]) -> reapi.Platform:
    return reapi.Platform(
        properties=[
            reapi.Platform.Property(name=name, value=value)
            for name, value in sorted(properties.items())
        ]
    )
