"""``as_user.py UID COMMAND [ARG…]``: run a command as a user without any right. Needs root.

The interpreter and the checkout may lie below a folder that only root may enter, such as ``/root``. For
the command alone, in a mount namespace, such a folder is replaced by one that anybody may enter, with
nothing in it but those. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
_NEW_MOUNTS, _BIND, _PRIVATE, _RECURSIVE = 0x20000, 4096, 1 << 18, 16384


def needed() -> set[str]:
    """Return the folders that a server is run from."""
    checkout = str(Path(__file__).resolve().parents[2])
    links = (sys.prefix, sys.base_prefix)
    return {checkout, *links, *map(os.path.realpath, links)}


def closed_parents(paths: set[str]) -> Iterator[str]:
    """Yield the topmost folders on the way to them that others may not enter."""
    for path in sorted(paths):
        parts = path.split("/")
        parents = ("/".join(parts[:count]) for count in range(2, len(parts)))
        for parent in parents:
            if not os.stat(parent).st_mode & 0o001:
                yield parent
                break


def open_up(folder: str, kept: list[str]) -> None:
    """Replace a folder by an open one that holds only what is kept."""
    held = [(path, os.open(path, os.O_PATH)) for path in kept]
    mount(b"tmpfs", folder, b"tmpfs", 0, b"mode=0755")
    for path, descriptor in held:
        os.makedirs(path, exist_ok=True)
        mount(os.fsencode(f"/proc/self/fd/{descriptor}"), path, None, _BIND | _RECURSIVE, None)
        os.close(descriptor)


def mount(
    source: bytes | None, target: str, kind: bytes | None, flags: int, data: bytes | None
) -> None:
    if libc.mount(source, os.fsencode(target), kind, ctypes.c_ulong(flags), data) < 0:
        raise OSError(ctypes.get_errno(), f"mount on {target}")


def main(user: int, *command: str) -> None:
    paths = needed()
    if closed := set(closed_parents(paths)):
        if libc.unshare(_NEW_MOUNTS) < 0:
            raise OSError(ctypes.get_errno(), "unshare")
        mount(None, "/", None, _PRIVATE | _RECURSIVE, None)
        for folder in closed:
            open_up(folder, sorted(each for each in paths if each.startswith(f"{folder}/")))
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
