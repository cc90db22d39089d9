"""Attempts at rights."""

from __future__ import annotations

import ctypes
import errno
import os
import resource

from probing import Facts, call, checked, libc, opened, output_of, permitted, probe, read

_NEW_MOUNTS, _NEW_USER, _NEW_NETWORK, _NEW_PIDS = 0x20000, 0x10000000, 0x40000000, 0x20000000


@probe
def keep_capabilities(_facts: Facts) -> object:
    lines = read("/proc/self/status").splitlines()
    sets = [each for each in lines if each.startswith(("CapPrm", "CapEff", "CapInh", "CapAmb"))]
    if not any(int(each.split()[1], 16) for each in sets):
        raise OSError(errno.EPERM, "")
    return " ".join(sets)


@probe
def set_user_id_program(facts: Facts) -> object:
    effective = int(output_of([facts["set_user_id"], "-u"]))
    if effective == os.geteuid():
        raise OSError(errno.EPERM, "")
    return effective


@probe
def change_user(_facts: Facts) -> object:
    os.setresuid(65534, 65534, 65534)


@probe
def change_groups(_facts: Facts) -> object:
    os.setgroups([65534])


@probe
def make_device(_facts: Facts) -> object:
    os.mknod("device", 0o600 | 0o020000, os.makedev(1, 3))
    os.unlink("device")


@probe
def chroot(_facts: Facts) -> object:
    os.chroot(".")


@probe
def mount(_facts: Facts) -> object:
    checked(libc.unshare(_NEW_MOUNTS))
    checked(libc.mount(None, b"/", None, ctypes.c_ulong(1 << 18 | 16384), None))
    checked(libc.mount(b"tmpfs", b".", b"tmpfs", ctypes.c_ulong(0), None))


@probe
def unmount(_facts: Facts) -> object:
    with permitted(errno.EINVAL):
        checked(libc.umount2(b".", 0))


@probe
def pivot_root(_facts: Facts) -> object:
    with permitted(errno.EINVAL, errno.EBUSY):
        call("pivot_root", b".", b".")


@probe
def unshare_user(_facts: Facts) -> object:
    checked(libc.unshare(_NEW_USER))


@probe
def mount_in_own_user_namespace(_facts: Facts) -> object:
    checked(libc.unshare(_NEW_USER))
    mount({})


@probe
def unshare_network_and_processes(_facts: Facts) -> object:
    checked(libc.unshare(_NEW_NETWORK | _NEW_PIDS))


@probe
def raise_limit(_facts: Facts) -> object:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.prlimit(0, resource.RLIMIT_NOFILE, (hard, hard + 1))


@probe
def raise_priority(_facts: Facts) -> object:
    return os.nice(-1)


@probe
def real_time_priority(_facts: Facts) -> object:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


@probe
def escape_out_of_memory_killer(_facts: Facts) -> object:
    with open("/proc/self/oom_score_adj", "r+") as file:
        value = int(file.read()) - 1
        file.seek(0)
        file.write(str(value))


@probe
def kernel_settings_in_own_namespaces(_facts: Facts) -> object:
    checked(libc.unshare(_NEW_USER | _NEW_MOUNTS | _NEW_PIDS))
    reading, writing = os.pipe()
    if os.fork() == 0:  # only a child is in the new process namespace, and may mount its /proc
        libc.umount2(b"/proc/sys", 2)
        libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(0), None)
        try:
            opened("/proc/sys/kernel/core_pattern", os.O_WRONLY)
        except OSError as error:
            os.write(writing, bytes([error.errno or 255]))
        os._exit(0)
    os.close(writing)
    if code := os.read(reading, 1):
        raise OSError(code[0], "")
