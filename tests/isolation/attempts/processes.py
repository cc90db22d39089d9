"""Attempts at other processes of the same user."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import struct

from probing import Facts, call, checked, libc, opened, permitted, probe, read


@probe
def list_processes(facts: Facts) -> object:
    return facts["token"] if str(facts["server"]) in os.listdir("/proc") else ""


@probe
def server_command_line(facts: Facts) -> object:
    return read(f"/proc/{facts['server']}/cmdline")


@probe
def server_environment(facts: Facts) -> object:
    return read(f"/proc/{facts['server']}/environ")


@probe
def spawner_environment(facts: Facts) -> object:
    return read(f"/proc/{facts['spawner']}/environ")


@probe
def first_process_environment(_facts: Facts) -> object:
    return read("/proc/1/environ") and ""


@probe
def server_memory_map(facts: Facts) -> object:
    return read(f"/proc/{facts['server']}/maps") and ""


@probe
def server_memory(facts: Facts) -> object:
    return opened(f"/proc/{facts['server']}/mem", os.O_RDONLY)


@probe
def read_memory_of_neighbour(facts: Facts) -> object:
    here = ctypes.create_string_buffer(16)
    local = struct.pack("PN", ctypes.addressof(here), 1)
    remote = struct.pack("PN", 1, 1)
    with permitted(errno.EFAULT):
        checked(libc.process_vm_readv(facts["neighbour"], local, 1, remote, 1, 0))


@probe
def server_descriptor_numbers(facts: Facts) -> object:
    return len(os.listdir(f"/proc/{facts['server']}/fd"))


@probe
def server_descriptors(facts: Facts) -> object:
    return os.readlink(f"/proc/{facts['server']}/fd/0")


@probe
def read_file_by_server_root(facts: Facts) -> object:
    return read(f"/proc/{facts['server']}/root{facts['bait']}/secret.txt")


@probe
def take_descriptor_of_neighbour(facts: Facts) -> object:
    return call("pidfd_getfd", os.pidfd_open(facts["neighbour"]), 0, 0)


@probe
def trace_neighbour(facts: Facts) -> object:
    return checked(libc.ptrace(0x4206, facts["neighbour"], None, None))  # PTRACE_SEIZE


@probe
def signal_server(facts: Facts) -> object:
    os.kill(facts["server"], 0)


@probe
def signal_spawner(facts: Facts) -> object:
    os.kill(facts["spawner"], 0)


@probe
def signal_neighbour(facts: Facts) -> object:
    os.kill(facts["neighbour"], signal.SIGURG)


@probe
def limit_neighbour(facts: Facts) -> object:
    now = resource.prlimit(facts["neighbour"], resource.RLIMIT_NOFILE)
    resource.prlimit(facts["neighbour"], resource.RLIMIT_NOFILE, now)


@probe
def slow_neighbour_down(facts: Facts) -> object:
    now = os.getpriority(os.PRIO_PROCESS, facts["neighbour"])
    os.setpriority(os.PRIO_PROCESS, facts["neighbour"], now)


@probe
def pin_neighbour(facts: Facts) -> object:
    os.sched_setaffinity(facts["neighbour"], os.sched_getaffinity(facts["neighbour"]))


@probe
def enter_namespaces_of_server(facts: Facts) -> object:
    return checked(libc.setns(os.open(f"/proc/{facts['server']}/ns/uts", os.O_RDONLY), 0))
