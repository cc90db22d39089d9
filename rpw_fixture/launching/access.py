"""The paths that an isolated process may read and change; Landlock and namespaces enforce the same ones.

The lists are data: what programs need of a Unix system in order to run. They avoid paths whose content
depends on the machine, user or build: ``/etc/hostname``, home folders and ``/tmp`` are not in them.
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
#: Devices that every process may read and write.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Absolute paths that exist; each includes everything below it.

    Attributes:
        readable: paths to read and execute.
        writable: paths to read, execute and change.
    """

    readable: tuple[str, ...]
    writable: tuple[str, ...]


def access_of(command: Launch, extra: tuple[str, ...] = ()) -> Access:
    """Return the paths that the process of ``command`` may use.

    Readable are the system, the program with the folder where it is installed, and ``extra``. Writable
    are the exec root and the private folders of the process.

    Raises:
        FileNotFoundError, PermissionError: the program is not there, or may not be executed.
    """
    installed = _installation(command.find_program(), command.root)
    readable = (*SYSTEM, *_settings(), *installed, *extra)
    private = (os.path.join(command.private, each) for each in PRIVATE_FOLDERS.values())
    writable = [command.root, *filter(os.path.exists, private)]
    return Access(
        readable=tuple(_outermost(filter(os.path.exists, readable), writable)),
        writable=tuple(writable),
    )


def _outermost(paths: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return ``paths``, sorted, without those below another one or below one of ``others``."""
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
    """Return the folders where a program is installed, such as a virtual environment.

    Each symlink on the way to the file counts: a virtual environment's ``python`` finds its packages
    next to the link, and its standard library next to the target.
    """
    forbidden = [os.path.join(each, "") for each in (os.path.expanduser("~"), root)]
    path = os.path.abspath(program)
    found = [_allowed_path(path, forbidden)]
    for _ in range(_MAX_LINKS):
        if not os.path.islink(path):
            break
        path = os.path.abspath(os.path.join(os.path.dirname(path), os.readlink(path)))
        found.append(_allowed_path(path, forbidden))
    return [*found, _allowed_path(os.path.realpath(path), forbidden)]


def _allowed_path(path: str, forbidden: list[str]) -> str:
    """Return the path to allow for a program: its prefix, else its folder, else the file alone.

    A folder that contains the home folder or the exec root is never allowed.
    """
    folder = os.path.dirname(path)
    prefix = os.path.dirname(folder)
    is_prefix = os.path.basename(folder) in {"bin", "sbin"} and os.path.isdir(f"{prefix}/lib")
    for candidate in (prefix, folder) if is_prefix else (folder,):
        if not any(each.startswith(os.path.join(candidate, "")) for each in forbidden):
            return candidate
    return path
