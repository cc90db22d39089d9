"""Attempts at the kernel."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct

from probing import Facts, call, checked, libc, opened, permitted, probe, read


@probe
def kernel_log(_facts: Facts) -> object:
    return checked(libc.klogctl(3, ctypes.create_string_buffer(100), 100))


@probe
def kernel_settings(_facts: Facts) -> object:
    return opened("/proc/sys/kernel/core_pattern", os.O_WRONLY)


@probe
def kernel_orders(_facts: Facts) -> object:
    return opened("/proc/sysrq-trigger", os.O_WRONLY)


@probe
def control_groups(_facts: Facts) -> object:
    own = read("/proc/self/cgroup").splitlines()[-1].rpartition(":")[2]
    return opened(f"/sys/fs/cgroup{own.rstrip('/')}/cgroup.procs", os.O_WRONLY)


@probe
def reboot(_facts: Facts) -> object:
    with permitted(errno.EINVAL):
        call("reboot", 0, 0, 0, None)  # no magic numbers


@probe
def load_kernel(_facts: Facts) -> object:
    with permitted(errno.EINVAL):
        call("kexec_load", 0, 99, None, ctypes.c_ulong(0xFF00))  # no such flags


@probe
def load_module(_facts: Facts) -> object:
    with permitted(errno.EBADF):
        call("finit_module", -1, b"", 0)


@probe
def swap(_facts: Facts) -> object:
    with permitted(errno.ENOENT):
        checked(libc.swapoff(b"nothing-here"))


@probe
def set_clock(_facts: Facts) -> object:
    with permitted(errno.EINVAL):
        checked(libc.adjtimex(struct.pack("I", 0x4000).ljust(400, b"\0")))  # a tick of 0


@probe
def set_host_name(_facts: Facts) -> object:
    socket.sethostname(socket.gethostname())


@probe
def load_bpf(_facts: Facts) -> object:
    return call("bpf", 0, struct.pack("IIII", 2, 4, 4, 1).ljust(72, b"\0"), 72)


@probe
def watch_all_processors(_facts: Facts) -> object:
    event = struct.pack("II", 1, 112).ljust(112, b"\0")  # the software clock
    return call("perf_event_open", event, -1, 0, -1, 0)


@probe
def handle_page_faults(_facts: Facts) -> object:
    return call("userfaultfd", 0)
