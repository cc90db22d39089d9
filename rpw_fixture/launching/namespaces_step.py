"""A private file system, process table and network for a new process. Runs inside the spawner.

Standard library only, because it runs by path as a `SetupStep`, between fork and exec. Numbers are from
linux/sched.h, linux/mount.h and linux/prctl.h.

A process can't enter a new process namespace, only its children can. So one start leaves three
processes: the *outer* process, which the spawner knows, ends with the program's status; the *init*,
process 1 inside, reaps orphans, and its end kills everything inside; the program is process 2. SIGTERM
is passed on from each to the next by a signal handler.
"""

# pathlib would double the start-up time of the spawner.
from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NoReturn

_NEW_MOUNTS, _NEW_HOST_NAME, _NEW_IPC = 0x00020000, 0x04000000, 0x08000000
_NEW_USER, _NEW_PIDS, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_ALL = _NEW_USER | _NEW_MOUNTS | _NEW_PIDS | _NEW_NETWORK | _NEW_IPC | _NEW_HOST_NAME

_NO_SUID, _NO_DEVICES, _NO_EXEC = 2, 4, 8
_BIND, _RECURSIVE, _UNBINDABLE, _PRIVATE = 4096, 16384, 1 << 17, 1 << 18
_DETACH = 2  # umount2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
_MOUNT_SETATTR = 442  # the same on every architecture
_AT_RECURSIVE, _AT_FDCWD, _READ_ONLY = 0x8000, -100, 1

_SET_DUMPABLE = 4
_GET_INTERFACE_FLAGS, _SET_INTERFACE_FLAGS, _UP = 0x8913, 0x8914, 1
HOST_NAME = b"localhost"

_libc = ctypes.CDLL(None, use_errno=True)


def enter(plan: tuple[str, str, Iterable[tuple[str, str, str]]]) -> None:
    """Move this process into new namespaces; return only in the process that becomes the program.

    The user id does not change. Capabilities in the new namespaces remain until `privileges_step`. The
    network has a loopback device.

    Args:
        plan: an empty folder to build the new root on, the working directory, and the entries of the
            root: (kind, source, target), parents first. Kinds are ``read`` and ``write`` (the source,
            read-only or not), ``memory`` (an empty folder in memory), ``link`` (a symlink with the
            text of source) and ``proc``.

    Raises:
        OSError: the kernel refused.
    """
    base, working_directory, entries = plan
    user, group = os.geteuid(), os.getegid()
    _checked(_libc.unshare(_ALL), "unshare")
    _map_user(user, group)
    _checked(_libc.sethostname(HOST_NAME, len(HOST_NAME)), "sethostname")
    _raise_loopback()
    _become_process_2()
    _build_root(base, entries)
    os.chdir(working_directory)


def _map_user(user: int, group: int) -> None:
    for file, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        # As bytes: a codec would be imported here, from a library that may be unreachable by now.
        with open(f"/proc/self/{file}", "wb", buffering=0) as target:
            target.write(text.encode())


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", b"lo", 0)
        found = fcntl.ioctl(any_socket, _GET_INTERFACE_FLAGS, request)
        flags = struct.unpack_from("H", found, 16)[0]
        request = struct.pack("16sH22x", b"lo", flags | _UP)
        fcntl.ioctl(any_socket, _SET_INTERFACE_FLAGS, request)


def _become_process_2() -> None:
    """Fork twice; the caller continues as process 2 of the new namespace."""
    report, report_writer = os.pipe()
    init = os.fork()
    if init:
        _run_outer(init, report)
    program = os.fork()
    if program:
        _run_init(program, report_writer)
    os.close(report)
    os.close(report_writer)
    os.setsid()


def _run_outer(init: int, report: int) -> NoReturn:
    """Wait for the end of the namespace, then end as the program did."""
    _pass_on_sigterm(lambda: os.kill(init, signal.SIGTERM))
    _close_all_but(report)
    os.waitpid(init, 0)
    data = os.read(report, 4)
    status = int.from_bytes(data, "little", signed=True) if data else -signal.SIGKILL
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # SIGKILL can't be set, and need not be
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status & 0xFF)


def _run_init(program: int, report_writer: int) -> NoReturn:
    """Reap orphans until the program ends; then the kernel kills the remaining processes."""
    # The program can see this process, whose memory holds the server's environment.
    _checked(_libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0), "prctl(PR_SET_DUMPABLE)")
    os.setpgid(0, 0)  # otherwise signals to the group arrive twice, directly and passed on
    _pass_on_sigterm(lambda: os.killpg(program, signal.SIGTERM))
    _close_all_but(report_writer)
    while True:
        pid, status = os.wait()
        if pid == program:
            code = os.waitstatus_to_exitcode(status)
            os.write(report_writer, code.to_bytes(4, "little", signed=True))
            os._exit(0)


def _pass_on_sigterm(action: Callable[[], None]) -> None:
    def pass_on(*_: object) -> None:
        with contextlib.suppress(OSError):
            action()

    signal.signal(signal.SIGTERM, pass_on)


def _close_all_but(descriptor: int) -> None:
    """Close the program's pipes and the spawner's descriptors, so that this process can't hold them."""
    os.closerange(0, descriptor)
    os.closerange(descriptor + 1, 1 << 20)


def _build_root(base: str, entries: Iterable[tuple[str, str, str]]) -> None:
    """Build a new root in memory, from parts of the old one, and detach the old one."""
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    _mount("tmpfs", base, "tmpfs", _NO_SUID | _NO_DEVICES, "mode=0755")
    _mount(None, base, None, _UNBINDABLE)  # otherwise a bind of a parent would contain it
    for kind, source, target in entries:
        _PLACERS[kind](source, base + target)
    _make_read_only(base, 0)
    os.chdir(base)
    machine = os.uname().machine
    if machine not in _PIVOT_ROOT:
        raise OSError(38, f"pivot_root has no known number on {machine}")
    _checked(_libc.syscall(_PIVOT_ROOT[machine], b".", b"."), "pivot_root")
    _checked(_libc.umount2(b".", _DETACH), "umount2")


def _place_readable(source: str, target: str) -> None:
    _place_writable(source, target)
    _make_read_only(target, _AT_RECURSIVE)


def _place_writable(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_CLOEXEC, 0o644))
    _mount(source, target, None, _BIND | _RECURSIVE)


def _place_memory(_source: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    _mount("tmpfs", target, "tmpfs", _NO_SUID | _NO_DEVICES, "mode=01777")


def _place_link(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.symlink(source, target)


def _place_proc(_source: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    _mount("proc", target, "proc", _NO_SUID | _NO_DEVICES | _NO_EXEC)
    if os.geteuid() == 0:
        _guard_from_root(target)


def _guard_from_root(proc: str) -> None:
    """Make ``/proc`` read-only: user id 0 can write the machine's settings there without a capability.

    Further user namespaces are forbidden too: in one, the process could mount another ``/proc``.
    """
    with open(f"{proc}/sys/user/max_user_namespaces", "wb", buffering=0) as limit:
        limit.write(b"0")
    _make_read_only(proc, 0)


_PLACERS = {
    "read": _place_readable,
    "write": _place_writable,
    "memory": _place_memory,
    "link": _place_link,
    "proc": _place_proc,
}


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    parts = [
        None if each is None else os.fsencode(each) for each in (source, target, kind, options)
    ]
    done = _libc.mount(parts[0], parts[1], parts[2], ctypes.c_ulong(flags), parts[3])
    _checked(done, f"mount on {target}")


def _make_read_only(target: str, flags: int) -> None:
    """Make a mount read-only, by mount_setattr: mount(2) would have to repeat all its other flags."""
    attributes = struct.pack("QQQQ", _READ_ONLY, 0, 0, 0)
    arguments = (_AT_FDCWD, os.fsencode(target), flags, attributes, len(attributes))
    _checked(_libc.syscall(_MOUNT_SETATTR, *arguments), f"mount_setattr of {target}")


def _checked(value: int, what: str) -> int:
    if value < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return value
