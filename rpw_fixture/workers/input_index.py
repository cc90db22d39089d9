"""The tool inputs of an input root, and its files as a WorkRequest lists them.

Both are computed folder by folder and kept by the folder's digest and path, so that an action that
changes one file pays only for that file's folder and its parents. Most files of a changed folder did
not change, so the encoding of each file is kept too.
"""

from __future__ import annotations

import functools
import hashlib
import posixpath
from collections.abc import Callable, Iterable

from rpw_fixture.support.memo import Memo
from rpw_fixture.wire.digests import Digest, message_of
from rpw_fixture.wire.trees import Folder
from rpw_fixture.wire.worker.messages import Encoding
from rpw_fixture.workers.key import ToolInput, ToolInputs
from rpw_fixture.workers.personalities.rules import InputList

_NONE = ToolInputs(())
#: Limits of the caches, bytes.
_MOST_TOOLS, _MOST_ENCODED, _MOST_PIECES = 4 << 20, 2 << 20, 4 << 20
#: Bytes of an entry of a cache beside its value, most of them its key: the key of a piece has a digest.
_ENTRY_BYTES, _PIECE_BYTES = 300, 450
_TOOL_INPUT_BYTES = 130


class InputIndex:
    """An index of input roots.

    Args:
        is_tool: whether the input at a path is a tool input although it is not marked; None if only
            marked ones are.
    """

    def __init__(self, is_tool: Callable[[str], bool] | None = None) -> None:
        self._is_tool = is_tool
        self._tools: Memo[tuple[str, str], ToolInputs] = Memo(_MOST_TOOLS, _tool_bytes)
        self._encoded: Memo[tuple[str, str, str], bytes] = Memo(_MOST_ENCODED, _bytes)
        self._pieces: Memo[tuple[str, str, Digest, str], bytes] = Memo(_MOST_PIECES, _piece_bytes)

    def clear(self) -> None:
        """Forget everything computed so far."""
        self._tools.clear()
        self._encoded.clear()
        self._pieces.clear()

    def tool_inputs(self, root: Folder) -> ToolInputs:
        """Return the marked files and symlinks of an input root, and those that `is_tool` accepts."""
        return self._tools_below(root, "")

    def encoded_inputs(
        self,
        root: Folder,
        encoding: Encoding,
        listing: InputList = InputList.HEX,
        base: str = "",
    ) -> bytes:
        """Return all files of an input root, tool inputs included, as the ``inputs`` of a WorkRequest.

        Args:
            root: input root of the action.
            encoding: encoding that the worker uses.
            listing: format of the digest bytes, by default the ASCII bytes of the hex as in Bazel.
            base: folder to which the paths are relative, like the paths in the arguments, so that
                the worker finds the files. With Bazel's --experimental_sibling_repository_layout it
                is not the input root.
        """
        if listing is InputList.NONE:
            return b""
        # The list of the whole root is not kept: it is the longest, and few actions have equal ones.
        return self._encode(root, "", _ListingFormat(encoding, listing, base))

    def _tools_below(self, folder: Folder, prefix: str) -> ToolInputs:
        key = (folder.digest.hash, prefix)
        known = self._tools.get(key)
        if known is not None:
            return known
        direct = tuple(sorted(self._direct_tools(folder, prefix)))
        below = [
            tools
            for name, child in sorted(folder.folders.items())
            if (tools := self._tools_below(child, f"{prefix}{name}/"))
        ]
        return self._tools.put(key, _joined(direct, below))

    def _direct_tools(self, folder: Folder, prefix: str) -> Iterable[ToolInput]:
        is_tool = self._is_tool
        for name, entry in folder.files.items():
            if entry.is_marked or (is_tool is not None and is_tool(prefix + name)):
                yield ToolInput(prefix + name, str(entry.digest), entry.is_executable)
        for name, link in folder.symlinks.items():
            if link.is_marked or (is_tool is not None and is_tool(prefix + name)):
                yield ToolInput(prefix + name, f"-> {link.target}", is_executable=False)

    def _encoded_below(self, folder: Folder, prefix: str, listing_format: _ListingFormat) -> bytes:
        key = (folder.digest.hash, prefix, listing_format.name)
        known = self._encoded.get(key)
        if known is not None:
            return known
        return self._encoded.put(key, self._encode(folder, prefix, listing_format))

    def _encode(self, folder: Folder, prefix: str, listing_format: _ListingFormat) -> bytes:
        form, get_piece = listing_format.name, self._pieces.get
        pieces = [
            get_piece((prefix, name, each.digest, form))
            or self._piece(prefix, name, each.digest, listing_format)
            for name, each in folder.files.items()
        ]
        pieces += [
            self._encoded_below(child, f"{prefix}{name}/", listing_format)
            for name, child in folder.folders.items()
        ]
        return listing_format.encoding.join_inputs(pieces)

    def _piece(
        self, prefix: str, name: str, digest: Digest, listing_format: _ListingFormat
    ) -> bytes:
        encoded = _DIGEST_BYTES[listing_format.listing](digest)
        path = listing_format.request_path(prefix) + name
        piece = listing_format.encoding.encode_inputs([(path, encoded)])
        return self._pieces.put((prefix, name, digest, listing_format.name), piece)


class _ListingFormat:
    """A way to list inputs, with a name that identifies it in cache keys."""

    __slots__ = ("_base", "encoding", "listing", "name")

    def __init__(self, encoding: Encoding, listing: InputList, base: str) -> None:
        self.encoding = encoding
        self.listing = listing
        self.name = _format_name(encoding.name, listing.value, base)
        self._base = base

    def request_path(self, prefix: str) -> str:
        """Return a folder's path for use in requests, from its path in the input root."""
        if not self._base:
            return prefix
        path = posixpath.relpath(prefix or ".", self._base)
        return "" if path == "." else f"{path}/"


@functools.lru_cache(maxsize=64)
def _format_name(encoding: str, listing: str, base: str) -> str:
    # It is a part of the key of each kept entry; they share one string.
    return f"{encoding} {listing} {base}"


def _tool_bytes(tools: ToolInputs) -> int:
    return _ENTRY_BYTES + _TOOL_INPUT_BYTES * len(tools.files)


def _piece_bytes(encoded: bytes) -> int:
    return _PIECE_BYTES + len(encoded)


def _bytes(encoded: bytes) -> int:
    return _ENTRY_BYTES + len(encoded)


def _message(digest: Digest) -> bytes:
    return message_of(digest).SerializeToString()


_DIGEST_BYTES: dict[InputList, Callable[[Digest], bytes]] = {
    InputList.HEX: lambda digest: digest.hash.encode(),
    InputList.RAW: lambda digest: bytes.fromhex(digest.hash),
    InputList.MESSAGE: _message,
}


def _joined(direct: tuple[ToolInput, ...], below: list[ToolInputs]) -> ToolInputs:
    if not below:
        return ToolInputs(direct) if direct else _NONE
    if len(below) == 1 and not direct:
        return below[0]
    hasher = hashlib.sha256(repr(direct).encode())
    for tools in below:
        hasher.update(tools.fingerprint)
    files = direct + tuple(each for tools in below for each in tools.files)
    return ToolInputs(files, hasher.digest())
