"""What is used in a ``with`` block and closed at its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Closeable(ABC):
    """Base of what gives something back in `close`."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Give back all that is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
