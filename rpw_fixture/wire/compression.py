"""The compressors of REAPI: Zstandard and raw DEFLATE, for whole blobs and for streams.

Input may be hostile: output comes in small pieces and never exceeds a given size. The libraries are
loaded when they are first used.
"""

from __future__ import annotations

import importlib
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

from rpw_fixture.errors import RequestError, invalid_argument

#: Most bytes that a decoder yields at a time.
PIECE_BYTES = 1 << 20
#: An empty frame of nine bytes costs as much time as a long one, so the number of tiny ones is limited.
_MAX_TINY_FRAMES, _MIN_BYTES_PER_FRAME = 256, 1024
_LONGEST_SLICE, _SHORTEST_SLICE = 1 << 20, 512
_ZSTD_MODULE = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
#: Negative window bits: no zlib header (remote_execution.proto, Compressor.DEFLATE, RFC 1951).
_RAW = -zlib.MAX_WBITS


class Decoder(Protocol):
    """Decompresses a stream, piece by piece."""

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """Yield the output that ``data`` adds.

        Raises:
            RequestError: INVALID_ARGUMENT when ``data`` is corrupt.
        """

    def finish(self) -> None:
        """Raise unless the input is complete.

        Raises:
            RequestError: INVALID_ARGUMENT when it ends in the middle of a frame.
        """


class Compressor(NamedTuple):
    """One member of Compressor.Value.

    Attributes:
        name: as in resource names.
        number: its enum value.
        library: module that it needs.
        decoder: returns a new decoder.
        encoder: returns a new compressor, as those of `zlib`.
    """

    name: str
    number: int
    library: str
    decoder: Callable[[], Decoder]
    encoder: Callable[[], Any]

    @property
    def is_available(self) -> bool:
        """Whether the library for it is installed."""
        try:
            return find_spec(self.library) is not None
        except ModuleNotFoundError:  # of the package around it
            return False

    def compress(self, data: bytes) -> bytes:
        """Return ``data`` in compressed form."""
        encoder = self.encoder()
        compressed: bytes = encoder.compress(data) + encoder.flush()
        return compressed

    def compress_pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the compressed form of all ``pieces`` together, in pieces; only the last may be empty."""
        encoder = self.encoder()
        for piece in pieces:
            compressed = encoder.compress(piece)
            if compressed:
                yield compressed
        yield encoder.flush()

    def decompress(self, data: bytes, size: int) -> bytes:
        """Return the ``size`` bytes that ``data`` decompresses to.

        Raises:
            RequestError: INVALID_ARGUMENT when it is corrupt, or decompresses to another size.
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
    """Decodes Zstandard frames, with or without a content size (RFC 8878)."""

    def __init__(self) -> None:
        self._library = _zstd()
        self._frame: Any = None
        self._frames = 0
        self._fed = 0

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        view = memoryview(data)
        self._fed += len(data)
        # The library copies what follows the end of a frame. Feed tiny frames in small slices, or each
        # of them would copy all that follow it.
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
        if self._frames > _MAX_TINY_FRAMES + self._fed // _MIN_BYTES_PER_FRAME:
            raise invalid_argument(
                f"too many tiny zstd frames: {self._frames} in {self._fed} bytes; "
                "compress a blob as one frame"
            )
        return self._library.ZstdDecompressor()


class _DeflateDecoder:
    """Decodes one raw DEFLATE stream."""

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
            raise _corrupt("deflate", "bytes follow the end of the stream")

    def finish(self) -> None:
        if not self._stream.eof and not self._is_fresh:
            raise _truncated("deflate")


@cache
def _zstd() -> Any:
    return importlib.import_module(_ZSTD_MODULE)


#: Every compressor by name, also those whose library is not installed.
COMPRESSORS = {
    compressor.name: compressor
    for compressor in (
        Compressor(
            name="zstd",
            number=1,
            library=_ZSTD_MODULE,
            decoder=_ZstdDecoder,
            # The lowest regular level: over loopback, time matters more than size.
            encoder=lambda: _zstd().ZstdCompressor(level=1),
        ),
        Compressor(
            name="deflate",
            number=2,
            library="zlib",
            decoder=_DeflateDecoder,
            encoder=lambda: zlib.compressobj(level=1, wbits=_RAW),
        ),
    )
}


@cache
def available() -> dict[int, Compressor]:
    """Return the compressors whose library is installed, by number."""
    return {each.number: each for each in COMPRESSORS.values() if each.is_available}


def compressor_named(name: str) -> Compressor:
    """Return the compressor with the name that stands in a resource name.

    Raises:
        RequestError: INVALID_ARGUMENT when it is unknown or its library is not installed.
    """
    compressor = COMPRESSORS.get(name)
    if compressor is None or compressor.number not in available():
        raise _unsupported(name)
    return compressor


def compressor_numbered(number: int) -> Compressor:
    """Return the compressor with an enum value.

    Raises:
        RequestError: INVALID_ARGUMENT when it is unknown or its library is not installed.
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
