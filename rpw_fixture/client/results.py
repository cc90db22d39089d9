"""Read an ExecuteResponse into an `ActionOutcome`: expand output folders, fetch streams and logs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from rpw_fixture.client.action import Action
from rpw_fixture.client.outcome import ActionOutcome, OutputFile, OutputFiles
from rpw_fixture.client.transfer import Transfer
from rpw_fixture.errors import Code
from rpw_fixture.wire.digests import Digest, digest_of
from rpw_fixture.wire.protos import remote_execution as reapi

#: How a server of this package names its persistent workers in ExecutedActionMetadata.
_WORKER = re.compile(r"rpw_fixture/worker-(\d+)")
#: Outputs of at most this size in total, in bytes, are fetched at once; larger ones when read.
_EAGER_BYTES = 1 << 20
_SUFFIX = "_timestamp"
#: What a message about a missing output shows: number of files, and of characters of the action's output.
_SHOWN_FILES, _SHOWN_TEXT = 8, 2_000


def outcome_of(
    response: reapi.ExecuteResponse, action: Action, digest: Digest, operation: str, blobs: Transfer
) -> ActionOutcome:
    """Return the outcome in ``response``.

    Args:
        digest: of the action.
        operation: name of the operation.
        blobs: downloads blobs of which the response has only the digest.

    Raises:
        RequestError: if a download failed.
    """
    result = response.result
    worker = _WORKER.fullmatch(result.execution_metadata.worker)
    stdout = _stream(result.stdout_raw, result.stdout_digest, blobs)
    stderr = _stream(result.stderr_raw, result.stderr_digest, blobs)
    status = Code(response.status.code).name
    ending = f"exit code {result.exit_code}" if status == "OK" else status
    return ActionOutcome(
        exit_code=result.exit_code,
        stdout=stdout,
        stderr=stderr,
        outputs=_outputs(result, blobs, _ActionEnding(ending, stdout + stderr, action.outputs)),
        status=status,
        message=response.status.message or response.message,
        cached=response.cached_result,
        action=action,
        digest=str(digest),
        operation=operation,
        worker_name=result.execution_metadata.worker,
        worker=int(worker[1]) if worker and not response.cached_result else None,
        timestamps=dict(_timestamps(result.execution_metadata)),
        logs=OutputFiles(
            {name: OutputFile(digest_of(log.digest)) for name, log in response.server_logs.items()},
            fetch=blobs.download,
        ),
    )


@dataclass(slots=True)
class _Tree:
    files: dict[str, OutputFile] = field(default_factory=dict)
    symlinks: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    def add(
        self, path: str, folder: reapi.Directory, children: Mapping[Digest, reapi.Directory]
    ) -> None:
        """Add an output folder and everything below it."""
        self.folders.add(path)
        prefix = f"{path}/" if path else ""
        for file in folder.files:
            self.files[prefix + file.name] = OutputFile(digest_of(file.digest), file.is_executable)
        for link in folder.symlinks:
            self.symlinks[prefix + link.name] = link.target
        for child in folder.directories:
            self.add(prefix + child.name, children[digest_of(child.digest)], children)


class _ActionEnding(NamedTuple):
    """How an action ended, for the message about an output that it did not make."""

    ending: str
    text: bytes
    declared: Sequence[str]

    def why_missing(self, made: Sequence[str], path: str) -> str:
        """Return the message: the ending, what was made instead, and the end of the text."""
        names = ", ".join(made[:_SHOWN_FILES]) + (", …" if len(made) > _SHOWN_FILES else "")
        lines = [
            f"no output {path!r}; the action ended with {self.ending} and made {names or 'none'}"
        ]
        below = any(path.startswith(f"{each}/") for each in self.declared)
        if path not in self.declared and not below and "." not in self.declared:
            declared = ", ".join(self.declared[:_SHOWN_FILES])
            lines.append(f"It is not declared; outputs of the Action are {declared or 'none'}.")
        shown = self.text.decode(errors="replace").strip()
        if shown:
            lines.append(f"Its output ends with:\n{shown[-_SHOWN_TEXT:]}")
        return "\n".join(lines)


def _outputs(result: reapi.ActionResult, blobs: Transfer, end: _ActionEnding) -> OutputFiles:
    tree = _Tree()
    known: dict[Digest, bytes] = {}
    for file in result.output_files:
        digest = digest_of(file.digest)
        tree.files[file.path] = OutputFile(digest, file.is_executable)
        if len(file.contents) == digest.size:
            known[digest] = file.contents
    for links in (
        result.output_symlinks,
        result.output_file_symlinks,
        result.output_directory_symlinks,
    ):
        tree.symlinks.update((link.path, link.target) for link in links)
    for folder in result.output_directories:
        _expand(folder, tree, blobs)
    outputs = OutputFiles(
        tree.files,
        symlinks=tree.symlinks,
        folders=tree.folders,
        known=known,
        fetch=blobs.download,
        why_missing=partial(end.why_missing, sorted({*tree.files, *tree.symlinks})),
    )
    if sum(file.digest.size for file in tree.files.values()) <= _EAGER_BYTES:
        outputs.fetch()
    return outputs


def _expand(output: reapi.OutputDirectory, into: _Tree, blobs: Transfer) -> None:
    if output.HasField("tree_digest"):
        digest = digest_of(output.tree_digest)
        tree = reapi.Tree.FromString(blobs.download([digest])[digest])
        root, children = tree.root, {}
        for child in tree.children:
            children[blobs.function.of(child.SerializeToString(deterministic=True))] = child
    else:
        digest = digest_of(output.root_directory_digest)
        children = _fetch_folders(digest, blobs)
        root = children[digest]
    into.add(output.path, root, children)


def _fetch_folders(root: Digest, blobs: Transfer) -> dict[Digest, reapi.Directory]:
    """Return a folder and all folders below it; makes one call for each level."""
    folders: dict[Digest, reapi.Directory] = {}
    wanted = {root}
    while wanted:
        found = blobs.download(wanted)
        level = {digest: reapi.Directory.FromString(found[digest]) for digest in wanted}
        folders.update(level)
        children = (child for folder in level.values() for child in folder.directories)
        wanted = {digest_of(child.digest) for child in children} - folders.keys()
    return folders


def _stream(raw: bytes, message: reapi.Digest, blobs: Transfer) -> bytes:
    digest = digest_of(message)
    if raw or not digest.size:
        return raw
    return blobs.download([digest])[digest]


def _timestamps(metadata: reapi.ExecutedActionMetadata) -> Iterator[tuple[str, float]]:
    for descriptor, value in metadata.ListFields():
        if descriptor.name.endswith(_SUFFIX):
            yield descriptor.name.removesuffix(_SUFFIX), value.ToNanoseconds() / 1e9
