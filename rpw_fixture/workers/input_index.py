"""What of an input root are tool inputs, and how its files are listed in a WorkRequest.

Both are worked out folder by folder and kept by the folder's digest and place, so that an action that
changes one file pays for that file's folder and its parents only. Of a folder that changed, most files
did not: how each is listed is kept too.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterable

from rpw_fixture.support.memo import Memo
from rpw_fixture.wire.digests import Digest, message_of
from rpw_fixture.wire.trees import FileEntry, Folder
from rpw_fixture.wire.worker.messages import Encoding
from rpw_fixture.workers.key import ToolInput, ToolInputs
from rpw_fixture.workers.personalities.rules import InputList

_NONE = ToolInputs(())
#: What is remembered: files and folders, and bytes.
_MOST_TOOLS, _MOST_ENCODED, _MOST_PIECES = 50_000, 4 << 20, 4 << 20


class InputIndex:
    """Indexes input roots.

    Args:
        is_tool: whether the input at a path is a tool input though it carries no mark.
    """

    def __init__(self, is_tool: Callable[[str], bool]) -> None:
        self._is_tool = is_tool
        self._tools: Memo[tuple[str, str], ToolInputs] = Memo(_MOST_TOOLS, _files)
        self._encoded: Memo[tuple[str, str, str], bytes] = Memo(_MOST_ENCODED, len)
        self._pieces: Memo[tuple[str, str, Digest, str], bytes] = Memo(_MOST_PIECES, len)

    def clear(self) -> None:
        """Forgets everything worked out so far."""
        self._tools.clear()
        self._encoded.clear()
        self._pieces.clear()

    def tool_inputs(self, root: Folder) -> ToolInputs:
        """The marked files and symlinks of an input root, and those the globs mark."""
        return self._tools_below(root, "")

    def encoded_inputs(
        self,
        root: Folder,
        encoding: Encoding,
        listing: InputList = InputList.HEX,
        base: str = "",
    ) -> bytes:
        """All files of an input root as the ``inputs`` of a WorkRequest, tool inputs too.

        Args:
            root: of the action.
            encoding: of the worker.
            listing: what the digest bytes are, by default the ASCII bytes of the hex as in Bazel.
            base: folder to which the paths are relative, as those of the arguments are: a worker
                finds files only so. It is not the root with Bazel's
                --experimental_sibling_repository_layout.
        """
        if listing is InputList.NONE:
            return b""
        return self._encoded_below(root, "", _Form(encoding, listing, base))

    def _tools_below(self, folder: Folder, prefix: str) -> ToolInputs:
        key = (folder.digest.hash, prefix)
        known = self._tools.get(key)
        if known is not None:
            return known
        own = tuple(sorted(self._own_tools(folder, prefix)))
        below = [
            tools
            for name, child in sorted(folder.folders.items())
            if (tools := self._tools_below(child, f"{prefix}{name}/"))
        ]
        return self._tools.put(key, _joined(own, below))

    def _own_tools(self, folder: Folder, prefix: str) -> Iterable[ToolInput]:
        for name, entry in folder.files.items():
            if entry.is_marked or self._is_tool(prefix + name):
                yield ToolInput(prefix + name, str(entry.digest), entry.is_executable)
        for name, link in folder.symlinks.items():
            if link.is_marked or self._is_tool(prefix + name):
                yield ToolInput(prefix + name, f"-> {link.target}", is_executable=False)

    def _encoded_below(self, folder: Folder, prefix: str, form: _Form) -> bytes:
        key = (folder.digest.hash, prefix, form.name)
        known = self._encoded.get(key)
        if known is not None:
            return known
        pieces = [self._piece(prefix, name, each, form) for name, each in folder.files.items()]
        pieces += [
            self._encoded_below(child, f"{prefix}{name}/", form)
            for name, child in folder.folders.items()
        ]
        return self._encoded.put(key, form.encoding.join_inputs(pieces))

    def _piece(self, prefix: str, name: str, entry: FileEntry, form: _Form) -> bytes:
        key = (prefix, name, entry.digest, form.name)
        known = self._pieces.get(key)
        if known is not None:
            return known
        digest = _DIGEST_BYTES[form.listing](entry.digest)
        path = form.told(prefix) + name
        return self._pieces.put(key, form.encoding.encode_inputs([(path, digest)]))


class _Form:
    """How inputs are listed, with a name that stands for it."""

    __slots__ = ("_base", "encoding", "listing", "name")

    def __init__(self, encoding: Encoding, listing: InputList, base: str) -> None:
        self.encoding = encoding
        self.listing = listing
        self.name = f"{encoding.name} {listing.value} {base}"
        self._base = base

    def told(self, prefix: str) -> str:
        """Return the path of a folder as requests say it, from its path in the input root."""
        if not self._base:
            return prefix
        path = posixpath.relpath(prefix or ".", self._base)
        return "" if path == "." else f"{path}/"


def _files(tools: ToolInputs) -> int:
    return 1 + len(tools.files)


def _message(digest: Digest) -> bytes:
    return message_of(digest).SerializeToString()


_DIGEST_BYTES: dict[InputList, Callable[[Digest], bytes]] = {
    InputList.HEX: lambda digest: digest.hash.encode(),
    InputList.RAW: lambda digest: bytes.fromhex(digest.hash),
    InputList.MESSAGE: _message,
}


def _joined(own: tuple[ToolInput, ...], below: list[ToolInputs]) -> ToolInputs:
    if not below:
        return ToolInputs(own) if own else _NONE
    if len(below) == 1 and not own:
        return below[0]
    hasher = hashlib.sha256(repr(own).encode())
    for tools in below:
        hasher.update(tools.fingerprint)
    files = own + tuple(each for tools in below for each in tools.files)
    return ToolInputs(files, hasher.digest())
