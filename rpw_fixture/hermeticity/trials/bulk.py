"""What makes a request large: many listed inputs that exist, long arguments, and many of them.

The many inputs are few files in a folder with many names: each symlink to the folder lists all of
them again, so that a worker can open every path that the request lists.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from typing import NamedTuple

from rpw_fixture.hermeticity.trials.trial import Bulk
from rpw_fixture.support.beneath import Beneath

#: An option that no tool knows.
OPTION = "--rpw-no-such-option"
_FOLDER = "rpw-more-inputs"
#: The digest of an empty file, as most servers send it.
_DIGEST = hashlib.sha256().hexdigest().encode()


class _Size(NamedTuple):
    """Additional inputs are ``names`` × ``names``; each of the ``options`` has a value of ``length``.

    All have a value, because some tools refuse an unknown option without one, and no other.
    """

    names: int = 0
    options: int = 0
    length: int = 1


_SIZES = {
    Bulk.FEW_INPUTS: _Size(names=2),
    Bulk.MANY_INPUTS: _Size(names=142),
    Bulk.SHORT_OPTION: _Size(options=1),
    # Together longer than what a pipe holds. Some parsers need time that grows with the square.
    Bulk.MANY_OPTIONS: _Size(options=4_000),
    Bulk.KIB_64: _Size(options=1, length=64 << 10),
    Bulk.MIB_1: _Size(options=1, length=1 << 20),
    Bulk.MIB_4: _Size(options=1, length=(4 << 20) + 1024),
}


def more_arguments(bulk: Bulk) -> tuple[str, ...]:
    """Return the arguments that a request has behind those of its action."""
    size = _SIZES.get(bulk, _Size())
    return (f"{OPTION}={'x' * size.length}",) * size.options


def more_inputs(bulk: Bulk) -> list[tuple[str, bytes]]:
    """Return the inputs that a request lists besides those of its action, as path and digest."""
    names = range(_SIZES.get(bulk, _Size()).names)
    pairs = itertools.product(names, names)
    return [(f"{_FOLDER}/{folder}/{name}.txt", _DIGEST) for folder, name in pairs]


def plant(bulk: Bulk, root: Beneath) -> None:
    """Create the inputs that `more_inputs` lists below an input root."""
    names = _SIZES.get(bulk, _Size()).names
    if not names:
        return
    folder = root.below(f"{_FOLDER}/0")
    folder.make()
    with folder.opened() as fd:
        for name in range(names):
            os.close(os.open(f"{name}.txt", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
    with root.below(_FOLDER).opened() as fd:
        for name in range(1, names):
            os.symlink("0", str(name), dir_fd=fd)
