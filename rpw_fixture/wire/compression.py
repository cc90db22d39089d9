"""The compressors of REAPI: Zstandard and raw DEFLATE, whole or piece by piece.

Whatever comes in may be hostile: output is made in small pieces and never beyond a given size. The
libraries are loaded when they are first used.
"""

from __future__ import annotations

import importlib
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol

from rpw_fixture.errors import RequestError, invalid_argument

#: Most bytes that come out of a decoder at a time.
PIECE_BYTES = 1 << 20
#: A frame of nine bytes may be empty, and takes as much work as one of many: so many may be tiny.
_FREE_FRAMES, _BYTES_OF_A_FRAME = 256, 1024
_LONGEST_SLICE, _SHORTEST_SLICE = 1 << 20, 512
_ZSTD_MODULE = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
#: Negative window bits: no zlib header (remote_execution.proto, Compressor.DEFLATE, RFC 1951).
_RAW = -zlib.MAX_WBITS


class Decoder(Protocol):
    """Turns compressed pieces into plain ones."""

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """What ``data`` adds to the output.

        Raises:
            RequestError: INVALID_ARGUMENT when it is corrupt.
        """

    def finish(self) -> None:
        """Nothing, when the input so far is whole.

        Raises:
            RequestError: INVALID_ARGUMENT when it ends in the middle.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressor:
    """One member of Compressor.Value.

    Attributes:
        name: as in resource names.
        number: its enum value.
    """

    name: str
    number: int
    _module: str
    _decoder: Callable[[], Decoder]
    _encoder: Callable[[], Any]

    @property
    def is_available(self) -> bool:
        """The library for it is installed."""
        try:
            return find_spec(self._module) is not None
        except ModuleNotFoundError:  # of the package around it
            return False

    def decoder(self) -> Decoder:
        """A fresh decoder."""
        return self._decoder()

    def compress(self, data: bytes) -> bytes:
        """``data``, compressed."""
        encoder = self._encoder()
        compressed: bytes = encoder.compress(data) + encoder.flush()
        return compressed

    def compress_pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The compression of all ``pieces`` together, in pieces, none of them empty."""
        encoder = self._encoder()
        for piece in pieces:
            compressed = encoder.compress(piece)
            if compressed:
                yield compressed
        yield encoder.flush()

    def decompress(self, data: bytes, size: int) -> bytes:
        """The ``size`` plain bytes that ``data`` stands for.

        Raises:
            RequestError: INVALID_ARGUMENT when it is corrupt, or stands for more or fewer bytes.
        """
        decoder, pieces, length = self.decoder(), [], 0
        for piece in decoder.feed(data):
            length += len(piece)
            if length > size:
                raise invalid_argument(f"{self.name} data decompresses to more than {size} bytes")
            pieces.append(piece)
        decoder.finish()
        if length < size:
            raise invalid_argument(f"{self.name} data decompresses to {length} bytes, not {size}")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _ZstdDecoder:
    """Frames with or without a content size (RFC 8878), as many as any encoder makes."""

    def __init__(self) -> None:
        self._library = _zstd()
        self._frame: Any = None
        self._frames = 0
        self._fed = 0

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        view = memoryview(data)
        self._fed += len(data)
        # What is behind the end of a frame is copied by the library: thousands of tiny frames are
        # fed in small slices, or each would copy all that follow it.
        length = _LONGEST_SLICE
        try:
            while view or (self._frame is not None and not self._frame.needs_input):
                if self._frame is None:
                    self._frame = self._new_frame()
                fed, view = (
                    (view[:length], view[length:]) if self._frame.needs_input else (b"", view)
                )
                piece = self._frame.decompress(fed, max_length=PIECE_BYTES)
                if piece:
                    yield piece
                length = min(2 * length, _LONGEST_SLICE)
                if self._frame.eof:
                    unused = len(self._frame.unused_data)
                    position = len(data) - len(view) - unused
                    view, self._frame = memoryview(data)[position:], None
                    length = _SHORTEST_SLICE if unused else length
        except self._library.ZstdError as error:
            raise _corrupt("zstd", error) from None

    def finish(self) -> None:
        if self._frame is not None:
            raise _truncated("zstd")

    def _new_frame(self) -> Any:
        self._frames += 1
        if self._frames > _FREE_FRAMES + self._fed // _BYTES_OF_A_FRAME:
            raise invalid_argument(
                f"{self._frames} zstd frames in {self._fed} bytes: so many tiny ones are refused; "
                "compress a blob as one frame"
            )
        return self._library.ZstdDecompressor()


class _DeflateDecoder:
    """One raw DEFLATE stream."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_RAW)
        self._is_fresh = True

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        stream = self._stream
        self._is_fresh = self._is_fresh and not data
        try:
            while data:
                piece = stream.decompress(data, PIECE_BYTES)
                if piece:
                    yield piece
                data = stream.unconsumed_tail
                if not data and len(piece) == PIECE_BYTES:  # it may hold more back
                    rest = stream.decompress(b"", PIECE_BYTES)
                    data = stream.unconsumed_tail
                    if rest:
                        yield rest
        except zlib.error as error:
            raise _corrupt("deflate", error) from None
        if stream.unused_data:
            raise _corrupt("deflate", "there are bytes after the end of the stream")

    def finish(self) -> None:
        if not self._stream.eof and not self._is_fresh:
            raise _truncated("deflate")


@cache
def _zstd() -> Any:
    return importlib.import_module(_ZSTD_MODULE)


#: Every compressor known here, by name; some may lack their library.
COMPRESSORS = {
    compressor.name: compressor
    for compressor in (
        Compressor(
            name="zstd",
            number=1,
            _module=_ZSTD_MODULE,
            _decoder=_ZstdDecoder,
            # The lowest regular level: what is sent over loopback is worth no more.
            _encoder=lambda: _zstd().ZstdCompressor(level=1),
        ),
        Compressor(
            name="deflate",
            number=2,
            _module="zlib",
            _decoder=_DeflateDecoder,
            _encoder=lambda: zlib.compressobj(level=1, wbits=_RAW),
        ),
    )
}


@cache
def available() -> dict[int, Compressor]:
    """The compressors that work here, by number."""
    return {each.number: each for each in COMPRESSORS.values() if each.is_available}


def compressor_named(name: str) -> Compressor:
    """The compressor of a resource name.

    Raises:
        RequestError: INVALID_ARGUMENT when it does not work here.
    """
    compressor = COMPRESSORS.get(name)
    if compressor is None or compressor.number not in available():
        raise _unsupported(name)
    return compressor


def compressor_numbered(number: int) -> Compressor:
    """The compressor of an enum value.

    Raises:
        RequestError: INVALID_ARGUMENT when it does not work here.
    """
    compressor = available().get(number)
    if compressor is None:
        raise _unsupported(str(number))
    return compressor


def _unsupported(what: str) -> RequestError:
    names = ", ".join(each.name for each in available().values())
    return invalid_argument(f"compressor {what} is not supported; this server takes {names}")


def _corrupt(name: str, error: object) -> RequestError:
    return invalid_argument(f"corrupt {name} data: {error}")


def _truncated(name: str) -> RequestError:
    return invalid_argument(f"truncated {name} data: it ends in the middle of a frame")
