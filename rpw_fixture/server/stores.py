"""The stores of a server: the blobs of its CAS and the results of its action cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rpw_fixture.config import Config
from rpw_fixture.storage.action_cache import ActionCache
from rpw_fixture.storage.budget import Budget
from rpw_fixture.storage.cas import Cas
from rpw_fixture.support.closing import Closeable
from rpw_fixture.wire.digests import Digest, DigestFunction, DigestFunctions


class Stores(Closeable):
    """The stores of one server.

    Attributes:
        cas: its blobs.
        cache: results of actions.
    """

    __slots__ = ("cache", "cas")

    def __init__(self, cas: Cas, cache: ActionCache) -> None:
        self.cas = cas
        self.cache = cache

    def clear(self) -> None:
        """Forget everything."""
        self.cache.clear()
        self.cas.clear()

    def close(self) -> None:
        """Close both; what is durable stays."""
        self.cache.close()
        self.cas.close()


def open_stores(
    config: Config,
    functions: DigestFunctions,
    folder: Path,
    on_corrupt: Callable[[DigestFunction, Digest, str], None],
) -> Stores:
    """Open the stores of a server.

    Args:
        config: says how large they may be, and where durable ones are.
        functions: digest functions of the server.
        folder: for files that end with the server.
        on_corrupt: called with a blob whose file was changed, and the file's path.

    Raises:
        OSError: when a folder can't be made or read.
    """
    root = Path(config.root) if config.root is not None else None
    files = (root or folder) / "cas"
    budget = Budget.within_limit(
        memory_bytes=config.cas_memory_bytes, max_bytes=config.cas_max_bytes, folder=files
    )
    cas = Cas(
        functions,
        folder=files,
        memory_bytes=budget.memory_bytes,
        spill_threshold=config.cas_spill_threshold,
        max_bytes=budget.max_bytes,
        durable=root is not None,
        on_corrupt=on_corrupt,
    )
    try:
        results = root / "ac" if root is not None else None
        return Stores(cas, ActionCache(results, max_bytes=budget.results_bytes))
    except BaseException:
        cas.close()
        raise
