"""FastCDC 2020: splits a blob at places that its content decides, the same ones as in every client.

The algorithm is that of the paper (Xia et al., 2020), the values are those of its reference
implementation: normalisation level 2, a gear table made with MD5, and masks with spread bits. The
smallest chunk is a quarter of the average, the largest is four times the average
(remote_execution.proto, FastCdc2020Params).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property

#: Average length of a chunk that is announced to clients, bytes; Bazel's default.
AVERAGE_BYTES = 512 << 10
#: XORed into the gear table; 0 leaves it unchanged.
SEED = 0

_NORMALISATION = 2
#: Masks by how many bits of the hash they test: with n bits a chunk has 2**n bytes on average.
_MASKS = {
    8: 0x0000001800035300,
    9: 0x0000019000353000,
    10: 0x0000590003530000,
    11: 0x0000D90003530000,
    12: 0x0000D90103530000,
    13: 0x0000D90303530000,
    14: 0x0000D90313530000,
    15: 0x0000D90F03530000,
    16: 0x0000D90303537000,
    17: 0x0000D90703537000,
    18: 0x0000D90707537000,
    19: 0x0000D91707537000,
    20: 0x0000D91747537000,
    21: 0x0000D91767537000,
    22: 0x0000D93767537000,
}
# No mask tests a bit above 47, and shifts only go up.
_RELEVANT = (1 << 48) - 1


class FastCdc:
    """A chunker with its parameters.

    Args:
        average: average length of a chunk, bytes: a power of two from 1 KiB to 1 MiB.
        seed: 32 bits that are XORed into the gear table.
        largest: length of the longest chunk, bytes; 0 for four times the average.

    Raises:
        ValueError: for any other average.
    """

    def __init__(self, average: int = AVERAGE_BYTES, seed: int = SEED, largest: int = 0) -> None:
        if average not in {1 << bits for bits in range(10, 21)}:
            raise ValueError(f"average {average} is not a power of two from 1 KiB to 1 MiB")
        self.average = average
        self.seed = seed
        self.largest = largest or 4 * average

    @property
    def smallest(self) -> int:
        """Length of the shortest chunk, bytes; only the last one may be shorter."""
        return self.average // 4

    def split(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the chunks of the content of all ``pieces`` together; about one is in memory at a time."""
        waiting = bytearray()
        for piece in pieces:
            waiting += piece
            while len(waiting) >= self.largest:
                yield self._take(waiting)
        while waiting:
            yield self._take(waiting)

    def _take(self, waiting: bytearray) -> bytes:
        length = self._first_cut(waiting)
        chunk = bytes(waiting[:length])
        del waiting[:length]
        return chunk

    def _first_cut(self, data: bytearray) -> int:
        """Return the length of the first chunk.

        Args:
            data: at least ``largest`` bytes, or all that is left of the content.
        """
        end = min(len(data), self.largest)
        if end <= self.smallest:
            return end
        # The reference implementation rolls two bytes at a time, so every border is even.
        middle = min(self.average, end) & ~1
        start = self.smallest & ~1
        bits = self.average.bit_length() - 1
        strict, lax = _MASKS[bits + _NORMALISATION], _MASKS[bits - _NORMALISATION]
        gear, value = self._gear, 0
        for position, byte in enumerate(data[start:middle], start):
            value = ((value << 1) + gear[byte]) & _RELEVANT
            if not value & strict:
                return position
        for position, byte in enumerate(data[middle : end & ~1], middle):
            value = ((value << 1) + gear[byte]) & _RELEVANT
            if not value & lax:
                return position
        return end

    @cached_property
    def _gear(self) -> list[int]:
        digests = (hashlib.md5(bytes([byte]) * 64, usedforsecurity=False) for byte in range(256))
        words = (int.from_bytes(digest.digest()[:8], "big") for digest in digests)
        return [(word ^ self.seed) & _RELEVANT for word in words]
