"""Attempts at places that belong to other processes, or to the server."""

from __future__ import annotations

import fcntl
import os

from probing import Facts, opened, probe, read


@probe
def write_tmp(facts: Facts) -> object:
    return opened(f"/tmp/{facts['file']}", os.O_CREAT | os.O_WRONLY)


@probe
def write_shared_memory_folder(facts: Facts) -> object:
    return opened(f"/dev/shm/{facts['file']}", os.O_CREAT | os.O_WRONLY)


@probe
def read_home(facts: Facts) -> object:
    return read(f"{facts['home']}/secret.txt")


@probe
def read_other_root(facts: Facts) -> object:
    return read(f"{facts['other_root']}/resident.txt")


@probe
def write_other_root(facts: Facts) -> object:
    return opened(f"{facts['other_root']}/{facts['file']}", os.O_CREAT | os.O_WRONLY)


@probe
def read_other_tmp(facts: Facts) -> object:
    return read(f"{facts['other_tmp']}/resident.txt")


@probe
def write_other_tmp(facts: Facts) -> object:
    return opened(f"{facts['other_tmp']}/{facts['file']}", os.O_CREAT | os.O_WRONLY)


@probe
def read_blob(facts: Facts) -> object:
    return read(facts["blob"])


@probe
def write_blob_folder(facts: Facts) -> object:
    return opened(f"{os.path.dirname(facts['blob'])}/{facts['file']}", os.O_CREAT | os.O_WRONLY)


@probe
def list_action_cache(facts: Facts) -> object:
    return len(os.listdir(facts["action_cache"]))


@probe
def read_password_hashes(_facts: Facts) -> object:
    return opened("/etc/shadow", os.O_RDONLY)


@probe
def open_device(facts: Facts) -> object:
    return opened(facts["device"], os.O_RDONLY | os.O_NONBLOCK)


@probe
def write_terminal(facts: Facts) -> object:
    terminal = os.open(facts["terminal"], os.O_WRONLY | os.O_NOCTTY)
    os.write(terminal, b"x")


@probe
def type_into_terminal(_facts: Facts) -> object:
    fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), 0x5412, b"x")  # TIOCSTI
