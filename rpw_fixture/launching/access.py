"""What an isolated process may read and change, whichever mechanism enforces that.

The lists are data: what programs need of a Unix system in order to run at all. Nothing in them tells
one machine, user or build from another, as far as that can be had: ``/etc/hostname``, home folders and
``/tmp`` are not in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from rpw_fixture.launching.launch import PRIVATE_FOLDERS, Launch

#: Programs and libraries. ``/opt``, ``/nix`` and the like hold toolchains on many machines.
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/snap",
    "/home/linuxbrew/.linuxbrew",
    "/sys",
)
#: Settings that libc, TLS libraries, the JVM and Debian's alternatives read at run time.
_SETTINGS = (
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld.so.preload",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "passwd",
    "pki",
    "protocols",
    "resolv.conf",
    "services",
    "ssl",
)
#: Settings with a version in their name: ``/etc/java-17-openjdk``, ``/etc/python3.11``.
_SETTING_PREFIXES = ("java", "python", "perl", "node", "dotnet")
_MAX_LINKS = 40  # as many as Linux follows
#: What every process may read and write.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Absolute paths that exist: each stands for itself and all below it.

    Attributes:
        readable: to read and execute.
        writable: to change as well.
    """

    readable: tuple[str, ...]
    writable: tuple[str, ...]


def access_of(command: Launch, extra: tuple[str, ...] = ()) -> Access:
    """Return what the process of ``command`` may use.

    It is the system, the program it is started with and where that is installed, ``extra``, and to
    change, the exec root and what is private to it.

    Raises:
        FileNotFoundError, PermissionError: the program is not there, or may not be executed.
    """
    installed = _installation(command.find_program(), command.root)
    readable = (*SYSTEM, *_settings(), *installed, *extra)
    private = (os.path.join(command.private, each) for each in PRIVATE_FOLDERS.values())
    writable = [command.root, *filter(os.path.exists, private)]
    return Access(
        readable=tuple(_tops(filter(os.path.exists, readable), writable)),
        writable=tuple(writable),
    )


def _tops(paths: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the paths that lie in none of the rest and in none of the others, sorted."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(f"{path}/".startswith(f"{each}/") for each in (*kept, *others)):
            kept.append(path)
    return kept


def _settings() -> list[str]:
    try:
        found = os.listdir("/etc")
    except OSError:
        return []
    known = set(_SETTINGS)
    return [f"/etc/{name}" for name in found if name in known or name.startswith(_SETTING_PREFIXES)]


def _installation(program: str, root: str) -> list[str]:
    """Return where a program outside the system's own folders is installed, such as a virtual environment.

    Each link on the way to the file itself counts: a virtual environment's ``python`` finds its
    packages by the link's place, and its standard library by the target's.
    """
    taboo = [os.path.join(each, "") for each in (os.path.expanduser("~"), root)]
    path = os.path.abspath(program)
    found = [_place(path, taboo)]
    for _ in range(_MAX_LINKS):
        if not os.path.islink(path):
            break
        path = os.path.abspath(os.path.join(os.path.dirname(path), os.readlink(path)))
        found.append(_place(path, taboo))
    return [*found, _place(os.path.realpath(path), taboo)]


def _place(path: str, taboo: list[str]) -> str:
    """Return what to allow for a program: its prefix, else its folder, else the file alone.

    Nothing that contains a home folder or exec root is allowed for being near a program.
    """
    folder = os.path.dirname(path)
    prefix = os.path.dirname(folder)
    is_prefix = os.path.basename(folder) in {"bin", "sbin"} and os.path.isdir(f"{prefix}/lib")
    for place in (prefix, folder) if is_prefix else (folder,):
        if not any(each.startswith(os.path.join(place, "")) for each in taboo):
            return place
    return path
