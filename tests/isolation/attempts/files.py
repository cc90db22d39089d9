"""Attempts at files that are no inputs."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import socket
import struct

from probing import Facts, call, checked, libc, opened, output_of, probe, read


@probe
def read_file(facts: Facts) -> object:
    return read(f"{facts['bait']}/secret.txt")


@probe
def read_file_by_io_uring(facts: Facts) -> object:
    parameters = ctypes.create_string_buffer(120)
    ring = call("io_uring_setup", 4, parameters)
    tail, array = (
        struct.unpack_from("I", parameters, 44)[0],
        struct.unpack_from("I", parameters, 64)[0],
    )
    completions = struct.unpack_from("I", parameters, 100)[0]
    path = ctypes.create_string_buffer(os.fsencode(f"{facts['bait']}/secret.txt"))
    with mmap.mmap(ring, 4096) as queue, mmap.mmap(ring, 4096, offset=0x10000000) as entries:
        struct.pack_into("BBHiQQII", entries, 0, 18, 0, 0, -100, 0, ctypes.addressof(path), 0, 0)
        struct.pack_into("I", queue, array, 0)
        struct.pack_into("I", queue, tail, 1)
        call("io_uring_enter", ring, 1, 1, 1, None, 0)
        result = struct.unpack_from("Qi", queue, completions)[1]
    if result < 0:
        raise OSError(-result, "")
    return os.read(result, 1000).decode()


@probe
def read_file_by_handle(facts: Facts) -> object:
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    path = os.fsencode(f"{facts['bait']}/secret.txt")
    checked(libc.name_to_handle_at(-100, path, handle, ctypes.byref(mount), 0))
    folder = os.open(facts["bait"], os.O_RDONLY)
    return os.read(checked(libc.open_by_handle_at(folder, handle, 0)), 1000).decode()


@probe
def list_folder(facts: Facts) -> object:
    return " ".join(os.listdir(facts["bait"]))


@probe
def stat_file(facts: Facts) -> object:
    return os.stat(f"{facts['bait']}/secret.txt").st_size


@probe
def read_link(facts: Facts) -> object:
    return os.readlink(f"{facts['bait']}/link")


@probe
def enter_folder(facts: Facts) -> object:
    return os.chdir(facts["bait"])


@probe
def watch_folder(facts: Facts) -> object:
    watcher = checked(libc.inotify_init1(0))
    return checked(libc.inotify_add_watch(watcher, os.fsencode(facts["bait"]), 0xFFF))


@probe
def run_program(facts: Facts) -> object:
    return output_of([f"{facts['bait']}/program"])


@probe
def write_file(facts: Facts) -> object:
    with open(f"{facts['bait']}/secret.txt", "a") as file:
        file.write("changed")


@probe
def truncate_file(facts: Facts) -> object:
    os.truncate(f"{facts['bait']}/secret.txt", 1)


@probe
def create_file(facts: Facts) -> object:
    return opened(f"{facts['bait']}/new", os.O_CREAT | os.O_WRONLY)


@probe
def make_folder(facts: Facts) -> object:
    os.mkdir(f"{facts['bait']}/new")


@probe
def make_symlink(facts: Facts) -> object:
    os.symlink("anything", f"{facts['bait']}/new")


@probe
def make_fifo(facts: Facts) -> object:
    os.mkfifo(f"{facts['bait']}/new")


@probe
def make_socket(facts: Facts) -> object:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{facts['bait']}/new")


@probe
def delete_file(facts: Facts) -> object:
    os.unlink(f"{facts['bait']}/secret.txt")


@probe
def rename_file(facts: Facts) -> object:
    os.rename(f"{facts['bait']}/secret.txt", f"{facts['bait']}/new")


@probe
def move_file_in(facts: Facts) -> object:
    os.rename(f"{facts['bait']}/secret.txt", "taken")


@probe
def hard_link_in(facts: Facts) -> object:
    os.link(f"{facts['bait']}/secret.txt", "linked")
    return read("linked")


@probe
def chmod_file(facts: Facts) -> object:
    os.chmod(f"{facts['bait']}/secret.txt", 0o600)


@probe
def chown_file(facts: Facts) -> object:
    os.chown(f"{facts['bait']}/secret.txt", 65534, 65534)


@probe
def touch_file(facts: Facts) -> object:
    os.utime(f"{facts['bait']}/secret.txt", (1, 1))


@probe
def set_attribute(facts: Facts) -> object:
    os.setxattr(f"{facts['bait']}/secret.txt", "user.rpw", b"changed")


@probe
def dump_core_there(facts: Facts) -> object:
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
            os.chdir(facts["bait"])
            os.abort()
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status):
        raise OSError(errno.ENOENT, "")
    if not os.WCOREDUMP(status):
        raise OSError(errno.EACCES, "")
